//! Where what a rehearsal has opened lies: every Secret of a cluster is in its snapshot, so in memory where there is room, and
//! on a disk only where there is none. What a rehearsal that was killed has left is taken away by the next one.

use std::fs::{Permissions, read_dir, remove_dir_all};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;
use tempfile::{Builder, TempDir};

/// How each begins; behind it stands the process that it is of.
const NAME: &str = "kubewright-rehearsal-";
/// Memory that everybody on Linux has as a folder. <https://docs.kernel.org/filesystems/tmpfs.html>
const SHARED_MEMORY: &str = "/dev/shm";

/// A folder that nobody else reads. It goes when nobody needs it any more.
#[derive(Debug)]
pub struct Private {
    folder: TempDir,
    in_memory: bool,
}

impl Private {
    /// A new one with room for so many bytes.
    ///
    /// # Errors
    ///
    /// No folder can be made.
    pub fn with_room_for(bytes: u64) -> io::Result<Self> {
        // systemd keeps it in memory, for its user alone (`pam_systemd(8)`).
        let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        let memory: Vec<PathBuf> = own.into_iter().chain([PathBuf::from(SHARED_MEMORY)]).collect();
        Self::within(&memory, &std::env::temp_dir(), bytes)
    }

    fn within(memory: &[PathBuf], disk: &Path, bytes: u64) -> io::Result<Self> {
        memory.iter().map(PathBuf::as_path).chain([disk]).for_each(clear);
        let made = memory.iter().filter(|place| has_room(place, bytes)).find_map(|place| make(place).ok());
        match made {
            Some(folder) => Ok(Self { folder, in_memory: true }),
            None => Ok(Self { folder: make(disk)?, in_memory: false }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether no disk holds it.
    pub fn in_memory(&self) -> bool {
        self.in_memory
    }
}

fn make(place: &Path) -> io::Result<TempDir> {
    let name = format!("{NAME}{}-", std::process::id());
    Builder::new().prefix(&name).permissions(Permissions::from_mode(0o700)).tempdir_in(place)
}

/// Half of it stays free for others: memory that is full ends programs.
fn has_room(place: &Path, bytes: u64) -> bool {
    statvfs(place).is_ok_and(|there| there.f_bavail.saturating_mul(there.f_frsize) / 2 >= bytes)
}

/// Takes away what rehearsals have left that do not run any more. What is another user's stays: it cannot be taken away.
fn clear(place: &Path) {
    for entry in read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let of = name.to_str().and_then(|name| name.strip_prefix(NAME)?.split_once('-')?.0.parse::<u32>().ok());
        if of.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists()) {
            let _ = remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_taken_where_there_is_room_and_a_disk_where_there_is_none() {
        let (memory, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let places = [memory.path().join("nowhere"), memory.path().to_path_buf()];
        let small = Private::within(&places, disk.path(), 1).unwrap();
        assert!(small.in_memory() && small.path().starts_with(memory.path()));
        assert_eq!(small.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let large = Private::within(&places, disk.path(), u64::MAX).unwrap();
        assert!(!large.in_memory() && large.path().starts_with(disk.path()));
    }

    #[test]
    fn what_was_left_is_taken_away_and_what_is_in_use_stays() {
        let place = tempfile::tempdir().unwrap();
        // No process has so high a number: `PID_MAX_LIMIT` of the kernel is 4194304.
        let left = place.path().join(format!("{NAME}4194305-abc"));
        let others = place.path().join("kubewright-of-somebody");
        for folder in [&left, &others] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("etcd.db"), "secrets").unwrap();
        }
        let first = Private::within(&[], place.path(), 1).unwrap();
        assert!(!left.exists() && others.exists());
        let second = Private::within(&[], place.path(), 1).unwrap();
        assert!(first.path().exists() && second.path().exists());
        drop(first);
        assert!(second.path().exists() && read_dir(place.path()).unwrap().count() == 2);
    }
}
