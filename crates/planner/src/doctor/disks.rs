//! Filesystems and disks.

use kubewright_model::doctor::{Finding, Mend, Papers, Place};
use kubewright_model::ids::NodeName;
use kubewright_model::spec::kubernetes::Distribution;

use super::case::{Case, told};

/// kubelet collects images at 85 percent and evicts pods at 90 (`imagefs.available<15%`, `nodefs.available<10%`).
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#hard-eviction-thresholds>
const FULL: u8 = 90;
const NEARLY_FULL: u8 = 85;

/// Filesystems that are full by their nature.
fn counts(mount: &str) -> bool {
    // What lies below kubelet are volumes of pods, which their applications fill.
    !["/snap/", "/boot", "/proc", "/sys", "/dev", "/run", "/media", "/mnt/cdrom", "/var/lib/kubelet/"]
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

/// Of the filesystems of a host, the one that holds a path.
fn holds<'a>(all: &[(&'a str, u8, &'a str)], path: &str) -> Option<&'a str> {
    let above = |mount: &str| mount == "/" || path == mount || path.starts_with(&format!("{mount}/"));
    all.iter().map(|(mount, ..)| *mount).filter(|mount| above(mount)).max_by_key(|mount| mount.len())
}

/// Where a node keeps what it needs to run: its system, its pods, its images, its datastore.
fn needed(case: &Case<'_>) -> [&'static str; 5] {
    ["/", "/var", "/var/lib/kubelet", store(case), "/var/lib/etcd"]
}

/// Where containerd keeps its images.
fn store(case: &Case<'_>) -> &'static str {
    match case.distribution() {
        Distribution::K3s => "/var/lib/rancher/k3s/agent",
        Distribution::Rke2 => "/var/lib/rancher/rke2/agent",
        Distribution::Kubeadm | Distribution::Talos => "/var/lib/containerd",
    }
}

/// So much of old logs stays.
const LOGS: f64 = 200.0 * 1024.0 * 1024.0;

/// What `journalctl --disk-usage` says, in bytes: `Archived and active journals take up 3.8G in the file system.`
fn journals(papers: &Papers) -> f64 {
    let word = papers.lines("journal-size").find_map(|line| line.split_once("take up ")?.1.split_whitespace().next());
    let Some((number, unit)) = word.and_then(|word| word.split_at_checked(word.len().saturating_sub(1))) else {
        return 0.0;
    };
    let power = ["B", "K", "M", "G", "T"].iter().position(|it| *it == unit);
    power.and_then(|power| Some(number.parse::<f64>().ok()? * 1024_f64.powi(power.try_into().ok()?))).unwrap_or(0.0)
}

/// What makes room. Old logs may go by themselves; images may not, for those that came without a registry never come back, and
/// kubelet takes unused ones away itself from 85 percent on.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#container-image-lifecycle>
fn room(case: &Case<'_>, host: &NodeName, papers: &Papers, mount: &str, found: Finding) -> Finding {
    let all = filesystems(papers, "df");
    if holds(&all, "/var/log/journal") == Some(mount) && journals(papers) > 2.0 * LOGS {
        let commands = vec![vec!["journalctl".into(), "--vacuum-size=200M".into()]];
        let shown = papers.lines("journal-size").map(str::to_string).collect::<Vec<_>>();
        let mend = Mend::Run { host: host.clone(), title: "take away old logs".into(), commands };
        return found.shown(shown).mended([mend]);
    }
    let mut words = vec![format!("on {host}: du -xh --max-depth=3 {mount} | sort -h | tail -n 20")];
    if case.is_member(host) && holds(&all, store(case)) == Some(mount) {
        let crictl = match case.kubernetes_unit(host) {
            "kubelet.service" => "crictl",
            "k3s.service" | "k3s-agent.service" => "k3s crictl",
            // RKE2 puts its crictl beside its data and leaves its configuration there (docs.rke2.io/reference/cli_tools).
            _ => "/var/lib/rancher/rke2/bin/crictl --config /var/lib/rancher/rke2/agent/etc/crictl.yaml",
        };
        words.push(format!(
            "unused images go too, and those that came without a registry never come back: {crictl} rmi --prune"
        ));
    }
    words.push("or give the machine a larger disk".into());
    found.by_hand(words)
}

fn full(case: &Case<'_>, paper: &str, what: &str) -> Vec<Finding> {
    let found = case.hosts().flat_map(|(name, papers)| {
        let all = filesystems(papers, paper);
        let full = all.clone().into_iter().filter(|(_, percent, _)| *percent >= NEARLY_FULL);
        full.map(move |(mount, percent, line)| {
            let cause = format!("{what} of {mount} are used to {percent} %");
            // A disk of data is somebody's own matter.
            let ours = needed(case).iter().any(|path| holds(&all, path) == Some(mount));
            let found = match percent >= FULL && ours {
                true => Finding::sick(Place::host(name), cause),
                false => Finding::risk(Place::host(name), cause),
            };
            let lines = told(papers, "log", &["no space left on device", "No space left on device"]);
            room(case, name, papers, mount, found.shown([line]).shown(lines))
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
