//! Filesystems and disks.

use kubewright_model::doctor::{Finding, Mend, Papers, Place};
use kubewright_model::ids::NodeName;

use super::case::{Case, told};

/// kubelet collects images at 85 percent and evicts pods at 90 (`imagefs.available<15%`, `nodefs.available<10%`).
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#hard-eviction-thresholds>
const FULL: u8 = 90;
const NEARLY_FULL: u8 = 85;

/// Filesystems that are full by their nature.
fn counts(mount: &str) -> bool {
    !["/snap/", "/boot/efi", "/proc", "/sys", "/dev", "/run", "/media", "/mnt/cdrom"]
        .iter()
        .any(|it| mount.starts_with(it))
}

/// A filesystem of `df -P`, and how full it is in percent.
fn filesystems<'a>(papers: &'a Papers, paper: &str) -> Vec<(&'a str, u8, &'a str)> {
    let row = |line: &'a str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // A name of a filesystem may hold blanks, so it is read from its end; inodes of some are told as `-`.
        let [.., used, mount] = words.as_slice() else { return None };
        let percent = used.strip_suffix('%')?.parse().ok()?;
        counts(mount).then_some((*mount, percent, line))
    };
    let mut all: Vec<_> = papers.lines(paper).skip(1).filter_map(row).collect();
    // Of one filesystem in several places, the first is told.
    let mut seen = Vec::new();
    all.retain(|(_, _, line)| {
        let device = line.split_whitespace().take(3).collect::<Vec<_>>();
        let is_new = !seen.contains(&device);
        seen.push(device);
        is_new
    });
    all
}

/// What makes room at once and loses nothing that is in use.
fn room(case: &Case<'_>, host: &NodeName) -> Mend {
    let mut commands = vec![vec!["journalctl".into(), "--vacuum-size=200M".into()]];
    if case.is_member(host) {
        let words = match case.kubernetes_unit(host) {
            "kubelet.service" => vec!["crictl", "rmi", "--prune"],
            "k3s.service" | "k3s-agent.service" => vec!["k3s", "crictl", "rmi", "--prune"],
            // RKE2 puts its crictl beside its data and leaves its configuration there (docs.rke2.io/reference/cli_tools).
            _ => vec![
                "/var/lib/rancher/rke2/bin/crictl",
                "--config",
                "/var/lib/rancher/rke2/agent/etc/crictl.yaml",
                "rmi",
                "--prune",
            ],
        };
        commands.push(words.into_iter().map(String::from).collect());
    }
    Mend::Run { host: host.clone(), title: "take away unused images and old logs".into(), commands }
}

fn full(case: &Case<'_>, paper: &str, what: &str) -> Vec<Finding> {
    let found = case.hosts().flat_map(|(name, papers)| {
        let full = filesystems(papers, paper).into_iter().filter(|(_, percent, _)| *percent >= NEARLY_FULL);
        full.map(move |(mount, percent, line)| {
            let cause = format!("{what} of {mount} are used to {percent} %");
            let found = match percent >= FULL {
                true => Finding::sick(Place::host(name), cause),
                false => Finding::risk(Place::host(name), cause),
            };
            let lines = told(papers, "log", &["no space left on device", "No space left on device"]);
            found.shown([line]).shown(lines).mended([room(case, name)])
        })
    });
    found.collect()
}

pub(super) fn space(case: &Case<'_>) -> Vec<Finding> {
    full(case, "df", "the blocks")
}

pub(super) fn inodes(case: &Case<'_>) -> Vec<Finding> {
    full(case, "df-inodes", "the inodes")
}

/// Kinds of filesystems that are on a disk and that somebody writes to.
const WRITTEN: [&str; 4] = ["ext4", "xfs", "btrfs", "ext3"];

pub(super) fn read_only(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().flat_map(|(name, papers)| {
        let read_only = |line: &&str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, mount, kind, options, ..] = words.as_slice() else { return false };
            // Volumes of pods may be mounted so by will.
            let system =
                ["/", "/var", "/var/lib", "/etc", "/opt"].contains(mount) || mount.starts_with("/var/lib/rancher");
            system && WRITTEN.contains(kind) && options.split(',').any(|option| option == "ro")
        };
        papers.lines("mounts").filter(read_only).map(move |line| {
            let mount = line.split_whitespace().nth(1).unwrap_or_default();
            Finding::sick(Place::host(name), format!("{mount} can only be read"))
                .shown([line])
                .shown(told(papers, "kernel", &["Remounting filesystem read-only", "I/O error"]))
                .by_hand([
                    format!("on {name}: dmesg | grep -iE 'error|remount'"),
                    "repair it with fsck from a rescue system, then restart the host".into(),
                ])
        })
    });
    found.collect()
}

/// What the kernel says of blocks (`block/blk-core.c`, `fs/ext4/super.c`, `fs/xfs`).
pub(super) fn errors(case: &Case<'_>) -> Vec<Finding> {
    let words = ["I/O error, dev ", "EXT4-fs error", "critical medium error", "XFS", "Buffer I/O error"];
    let found = case.hosts().filter_map(|(name, papers)| {
        let lines: Vec<&str> = told(papers, "kernel", &words);
        let lines: Vec<&str> =
            lines.into_iter().filter(|line| line.contains("error") || line.contains("corrupt")).collect();
        (!lines.is_empty()).then(|| {
            Finding::sick(Place::host(name), "the kernel cannot read or write a disk")
                .shown(lines)
                .by_hand([format!("on {name}: smartctl -a /dev/DISK, or look at the storage of its hypervisor")])
        })
    });
    found.collect()
}
