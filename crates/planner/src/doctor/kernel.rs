//! The kernel of a host: what kubelet needs of it, and what is used up.

use std::collections::BTreeMap;

use kubewright_model::doctor::{Finding, Mend, Papers, Place};
use kubewright_model::host::HostResource;
use kubewright_model::ids::NodeName;

use super::case::{Case, number, sysctl, told};

/// Of what has an end, so much is nearly all: between two looks it may be used up.
const NEARLY: f64 = 0.9;

/// kubelet opens it when it starts (`pkg/kubelet/cm/util`, and cadvisor's watcher of kills).
pub(super) fn kmsg(case: &Case<'_>) -> Vec<Finding> {
    let missing = |papers: &Papers| papers.lacks("kmsg") || papers.status("kmsg").is_some_and(|status| status != 0);
    let hosts = case.hosts().filter(|(name, papers)| case.is_member(name) && missing(papers));
    hosts
        .map(|(name, papers)| {
            let found =
                Finding::sick(Place::host(name), "/dev/kmsg is not there, and kubelet does not start without it")
                    .shown(papers.lines("kmsg"))
                    .shown(told(papers, "log", &["/dev/kmsg"]));
            found.applied([name.as_str()])
        })
        .collect()
}

/// In a container, /proc/sys is a mount of its own that may be read-only.
pub(super) fn proc_sys(case: &Case<'_>) -> Vec<Finding> {
    let read_only = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(1) == Some(&"/proc/sys") && words.get(3).is_some_and(|it| it.split(',').any(|word| word == "ro"))
    };
    let found = case.hosts().filter(|(name, _)| case.is_member(name)).filter_map(|(name, papers)| {
        let line = papers.lines("mounts").find(read_only)?;
        let found = Finding::sick(Place::host(name), "/proc/sys is read-only, so kubelet cannot set what it needs")
            .shown([line])
            .shown(told(papers, "log", &["Failed to start ContainerManager", "read-only file system"]));
        Some(found.by_hand([
            "on its hypervisor, in /etc/pve/lxc/VMID.conf: `lxc.mount.auto: proc:rw sys:rw cgroup:rw`",
            "then `pct stop VMID && pct start VMID`; `kubewright apply` does both where the container is the spec's",
        ]))
    });
    found.collect()
}

/// /proc/swaps lists every swap that is on, below one line of headings. Kubelets of K3s and RKE2 bear it (`fail-swap-on=false` in
/// K3s' `pkg/daemons/agent`), and so do those that the spec tells to: it is wrong where the spec has it turned off.
pub(super) fn swap(case: &Case<'_>) -> Vec<Finding> {
    let unwanted =
        |name: &NodeName| case.host(name).is_some_and(|host| host.resources.contains(&HostResource::SwapOff));
    let hosts = case.hosts().filter(|(name, papers)| unwanted(name) && papers.rows("swaps").next().is_some());
    hosts
        .map(|(name, papers)| {
            let swaps = papers.rows("swaps").filter_map(|row| row.first().map(ToString::to_string));
            let swaps: Vec<String> = swaps.collect();
            let found = Finding::sick(Place::host(name), format!("swap is on: {}", swaps.join(", ")));
            let found = found.shown(papers.lines("swaps")).shown(told(papers, "log", &["running with swap on"]));
            found.applied([name.as_str()])
        })
        .collect()
}

fn make(host: &NodeName, resource: HostResource) -> Mend {
    Mend::Make { host: host.clone(), resources: vec![resource] }
}

fn set(host: &NodeName, key: &str, value: &str) -> Mend {
    make(host, HostResource::Sysctl { key: key.into(), value: value.into() })
}

/// A setting that must be 1 and is not.
fn must_be_one(case: &Case<'_>, key: &str, cause: &str) -> Vec<Finding> {
    let hosts = case.hosts().filter(|(name, papers)| case.is_member(name) && sysctl(papers, key) == Some("0"));
    hosts
        .map(|(name, _)| {
            Finding::sick(Place::host(name), cause).shown([format!("{key} = 0")]).mended([set(name, key, "1")])
        })
        .collect()
}

/// <https://kubernetes.io/docs/setup/production-environment/container-runtimes/#prerequisite-ipv4-forwarding-optional>
pub(super) fn ip_forward(case: &Case<'_>) -> Vec<Finding> {
    must_be_one(case, "net.ipv4.ip_forward", "the kernel forwards no packets, so pods reach no other node")
}

/// <https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/#network-plugin-requirements>
pub(super) fn bridge_netfilter(case: &Case<'_>) -> Vec<Finding> {
    let cause = "packets between pods of one node pass the rules of Services by";
    must_be_one(case, "net.bridge.bridge-nf-call-iptables", cause)
}

/// The kernel says it with the error of too many files (`man 7 inotify`, `EMFILE`); instances are the scarce ones.
pub(super) fn inotify(case: &Case<'_>) -> Vec<Finding> {
    let words = ["too many open files", "no space left on device\" watch", "inotify_init", "inotify_add_watch"];
    let found = case.hosts().filter_map(|(name, papers)| {
        let lines = told(papers, "log", &words);
        let instances = number(papers, "fs.inotify.max_user_instances")?;
        let fix =
            [set(name, "fs.inotify.max_user_instances", "8192"), set(name, "fs.inotify.max_user_watches", "524288")];
        let cause = format!("programs get no more inotify instances: {instances} are allowed for each user");
        (!lines.is_empty() && instances < 8192).then(|| {
            let limit = format!("fs.inotify.max_user_instances = {instances}");
            Finding::sick(Place::host(name), cause).shown(lines).shown([limit]).mended(fix)
        })
    });
    found.collect()
}

/// `fs.file-nr` holds those in use, unused ones and the limit (`man 5 proc_sys_fs`).
pub(super) fn file_handles(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let line = sysctl(papers, "fs.file-nr")?;
        let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [used, _, all] = numbers.as_slice() else { return None };
        (*used >= all * NEARLY).then(|| {
            Finding::sick(Place::host(name), format!("{used} of {all} open files are used"))
                .shown([format!("fs.file-nr = {line}")])
                .by_hand([format!(
                    "see who holds them on {name}: lsof -n | awk '{{print $1}}' | sort | uniq -c | sort -n"
                )])
        })
    });
    found.collect()
}

/// The fourth field of /proc/loadavg tells how many threads there are (`man 5 proc_loadavg`).
pub(super) fn pids(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let all = number(papers, "kernel.pid_max")?;
        let load = papers.text("loadavg")?.trim();
        let (_, threads) = load.split_whitespace().nth(3)?.split_once('/')?;
        let threads: u64 = threads.parse().ok()?;
        (threads as f64 >= all as f64 * NEARLY).then(|| {
            Finding::sick(Place::host(name), format!("{threads} of {all} process ids are used"))
                .shown([format!("/proc/loadavg: {load}"), format!("kernel.pid_max = {all}")])
                .mended([set(name, "kernel.pid_max", "4194304")])
        })
    });
    found.collect()
}

/// <https://docs.kernel.org/networking/nf_conntrack-sysctl.html>
pub(super) fn conntrack(case: &Case<'_>) -> Vec<Finding> {
    const KEYS: [&str; 2] = ["net.netfilter.nf_conntrack_count", "net.netfilter.nf_conntrack_max"];
    let found = case.hosts().filter_map(|(name, papers)| {
        let (count, max) = (number(papers, KEYS[0])?, number(papers, KEYS[1])?);
        let dropped = told(papers, "kernel", &["nf_conntrack: table full"]);
        let is_full = count as f64 >= max as f64 * NEARLY;
        (is_full || !dropped.is_empty()).then(|| {
            let (place, more) = (Place::host(name), (max.max(65_536) * 4).to_string());
            let found = match is_full {
                true => Finding::sick(place, format!("{count} of {max} connections are in the kernel's table"))
                    .mended([set(name, KEYS[1], &more)]),
                // The kernel's log holds it for hours after it is over.
                false => Finding::risk(place, "the kernel's table of connections was full for a while")
                    .by_hand([format!("where that comes back: `hosts.sysctls` of the spec: {}: {more}", KEYS[1])]),
            };
            found.shown([format!("{} = {count}", KEYS[0]), format!("{} = {max}", KEYS[1])]).shown(dropped)
        })
    });
    found.collect()
}

/// What the kernel says when it kills (`mm/oom_kill.c`).
pub(super) fn out_of_memory(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        // A container at its own limit is a matter of its pod.
        let lines = told(papers, "kernel", &["Out of memory: Killed process"]);
        (!lines.is_empty()).then(|| {
            // That is over; what has died of it has findings of its own.
            Finding::risk(Place::host(name), "the host had no memory left, and the kernel killed processes")
                .shown(lines)
                .shown(papers.lines("meminfo").filter(|line| line.starts_with("Mem")))
                .by_hand([format!(
                    "give {name} more memory in the spec, or its pods limits; `kubectl top pods -A` shows who has it"
                )])
        })
    });
    found.collect()
}

/// <https://kubernetes.io/docs/concepts/architecture/cgroups/#deprecation-of-cgroup-v1>
pub(super) fn cgroups(case: &Case<'_>) -> Vec<Finding> {
    let old = |papers: &Papers| papers.text("cgroup").is_some_and(|text| text.trim() == "tmpfs");
    let hosts = case.hosts().filter(|(name, papers)| case.is_member(name) && old(papers));
    hosts
        .map(|(name, _)| {
            Finding::risk(Place::host(name), "the host has the first version of control groups")
                .shown(["stat -fc %T /sys/fs/cgroup: tmpfs"])
                .by_hand([format!(
                    "on {name}: boot with systemd.unified_cgroup_hierarchy=1, or install a newer system"
                )])
        })
        .collect()
}

/// Hosts by what a paper of theirs says in its first line, where several say the same.
fn alike<'a>(case: &Case<'a>, paper: &str) -> Vec<(&'a str, Vec<&'a NodeName>)> {
    let mut by: BTreeMap<&str, Vec<&NodeName>> = BTreeMap::new();
    for (name, papers) in case.hosts() {
        if let Some(line) = papers.lines(paper).next().map(str::trim).filter(|line| !line.is_empty()) {
            by.entry(line).or_default().push(name);
        }
    }
    by.into_iter().filter(|(_, hosts)| hosts.len() > 1).collect()
}

fn listed(hosts: &[&NodeName]) -> String {
    hosts.iter().map(|host| host.as_str()).collect::<Vec<_>>().join(", ")
}

/// `man 5 machine-id`: unique for each system.
pub(super) fn machine_ids(case: &Case<'_>) -> Vec<Finding> {
    let found = alike(case, "machine-id").into_iter().map(|(id, hosts)| {
        let again = "rm -f /etc/machine-id /var/lib/dbus/machine-id && systemd-machine-id-setup && reboot";
        Finding::sick(Place::cluster(), format!("{} have one machine id", listed(&hosts)))
            .shown(hosts.iter().map(|host| format!("{host}: {id}")))
            .by_hand(hosts.iter().skip(1).map(|host| format!("on {host}: {again}")))
    });
    found.collect()
}

/// Kubernetes takes a host's name for its node's.
pub(super) fn hostnames(case: &Case<'_>) -> Vec<Finding> {
    let found = alike(case, "hostname").into_iter().map(|(name, hosts)| {
        Finding::sick(Place::cluster(), format!("{} are all called {name}", listed(&hosts)))
            .shown(hosts.iter().map(|host| format!("{host}: {name}")))
            .applied(hosts.iter().map(|host| host.as_str()))
    });
    found.collect()
}
