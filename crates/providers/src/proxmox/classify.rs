//! What kind of failure it is, from the status and from Proxmox' own words.
//!
//! Proxmox answers most refusals with 500 and a sentence, so the sentence decides. The words are those of pve-common
//! (`Tools.pm`, `Exception.pm`), pve-guest-common (`AbstractConfig.pm`), pve-cluster (`Cluster.pm`), pve-storage,
//! pve-container and qemu-server. A task that fails ends with the same sentences. What no line here knows may pass: it is
//! tried again until the engine's patience ends, and that costs time and nothing else.

use crate::ErrorKind;

/// Words, all in small letters, and what they mean. The first line that fits decides.
const WORDS: &[(&str, ErrorKind)] = &[
    // Locks: of a file (`can't lock file '…' - got timeout`), of a guest (`CT is locked (backup)`), of the cluster's
    // files, and a configuration that somebody else has just changed.
    ("can't lock file", ErrorKind::Busy),
    ("can't acquire lock", ErrorKind::Busy),
    ("is locked (", ErrorKind::Busy),
    ("got lock request timeout", ErrorKind::Busy),
    ("-locked command timed out", ErrorKind::Busy),
    ("unable to acquire lock", ErrorKind::Busy),
    ("detected modified configuration", ErrorKind::Busy),
    ("(file change by other user?)", ErrorKind::Busy),
    // It was stopped before it was to be destroyed, and HA takes its time.
    ("is running - destroy failed", ErrorKind::Busy),
    ("container is running", ErrorKind::Busy),
    // The cluster as a whole.
    ("no quorum", ErrorKind::Transient),
    ("is not online", ErrorKind::Transient),
    // Refusals.
    ("permission check failed", ErrorKind::Denied),
    ("permission denied", ErrorKind::Denied),
    ("protection mode enabled", ErrorKind::Denied),
    ("only root can", ErrorKind::Denied),
    ("only allowed for root@pam", ErrorKind::Denied),
    ("already exists", ErrorKind::Conflict),
    ("config file already exists", ErrorKind::Conflict),
    // A template whose linked clones are there.
    ("is still in use by linked clone", ErrorKind::Conflict),
    // Room. LVM, thin pools, ZFS, file systems, quotas.
    ("not enough free space", ErrorKind::Quota),
    ("no space left on device", ErrorKind::Quota),
    ("out of space", ErrorKind::Quota),
    ("insufficient free space", ErrorKind::Quota),
    ("quota exceeded", ErrorKind::Quota),
    // Wishes that cannot be had.
    ("checksum mismatch", ErrorKind::Invalid),
    ("is not configured for content-type", ErrorKind::Invalid),
    ("unable to shrink disk size", ErrorKind::Invalid),
    ("shrinking disks is not supported", ErrorKind::Invalid),
    ("can't clone to non-shared storage", ErrorKind::Invalid),
    ("uses local storage", ErrorKind::Invalid),
    ("not allowed for linked clones", ErrorKind::Invalid),
    ("clone feature is not supported", ErrorKind::Invalid),
    ("does not support vm images", ErrorKind::Invalid),
    ("does not support container directories", ErrorKind::Invalid),
    ("is not available on node", ErrorKind::Invalid),
    ("is disabled", ErrorKind::Invalid),
    // HA's groups are no more since Proxmox VE 9.
    ("groups have been migrated", ErrorKind::Invalid),
    ("not ha managed", ErrorKind::NotFound),
    ("does not exist", ErrorKind::NotFound),
    ("no such volume", ErrorKind::NotFound),
    ("no such logical volume", ErrorKind::NotFound),
    ("no such cluster node", ErrorKind::NotFound),
];

/// What kind of failure a status and a sentence are.
pub(super) fn kind(status: u16, message: &str) -> ErrorKind {
    match status {
        // 595 to 599 are the node that we asked saying that it cannot reach the node that we mean.
        408 | 502..=504 | 520..=599 => return ErrorKind::Transient,
        429 => return ErrorKind::Busy,
        401 | 403 => return ErrorKind::Denied,
        404 => return ErrorKind::NotFound,
        // A path or a verb that the API does not have.
        405 | 501 => return ErrorKind::Bug,
        _ => {}
    }
    match sentence(message) {
        Some(kind) => kind,
        None if status == 400 || status == 413 => ErrorKind::Invalid,
        None if status >= 500 => ErrorKind::Transient,
        None => ErrorKind::Bug,
    }
}

/// What kind of failure a task's last words are.
pub(super) fn of_task(message: &str) -> ErrorKind {
    sentence(message).unwrap_or(ErrorKind::Transient)
}

fn sentence(message: &str) -> Option<ErrorKind> {
    let message = message.to_lowercase();
    WORDS.iter().find(|(words, _)| message.contains(words)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxmox_words_have_kinds() {
        let cases = [
            (595, "No route to host", ErrorKind::Transient),
            (596, "Connection timed out", ErrorKind::Transient),
            (502, "Bad Gateway", ErrorKind::Transient),
            (500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", ErrorKind::Busy),
            (500, "CT is locked (backup)", ErrorKind::Busy),
            (500, "cluster not ready - no quorum?", ErrorKind::Transient),
            (500, "VM 400 already exists on node 'pve2'", ErrorKind::Conflict),
            (500, "unable to create CT 400 - CT 400 already exists on node 'pve1'", ErrorKind::Conflict),
            (500, "Configuration file 'nodes/pve1/lxc/400.conf' does not exist", ErrorKind::NotFound),
            (500, "can't remove CT 400 - protection mode enabled", ErrorKind::Denied),
            (500, "unable to shrink disk size", ErrorKind::Invalid),
            (500, "lvcreate 'pve/vm-400-disk-0' error: not enough free space (2 < 4)", ErrorKind::Quota),
            (500, "detected modified configuration - file changed by other user? Try again.", ErrorKind::Busy),
            (500, "something that nobody has seen before", ErrorKind::Transient),
            (400, "Parameter verification failed.", ErrorKind::Invalid),
            (401, "authentication failure", ErrorKind::Denied),
            (403, "Permission check failed (/vms/400, VM.Allocate)", ErrorKind::Denied),
            (501, "Method 'GET /nonsense' not implemented", ErrorKind::Bug),
        ];
        for (status, message, wanted) in cases {
            assert_eq!(kind(status, message), wanted, "{status} {message}");
        }
    }

    #[test]
    fn tasks_end_with_the_same_words() {
        assert_eq!(of_task("clone failed: can't lock file '/x' - got timeout"), ErrorKind::Busy);
        assert_eq!(of_task("command 'mkfs.ext4' failed: exit code 1"), ErrorKind::Transient);
    }
}
