//! The system of a host: its units and its packages.

use kubewright_model::desired::Body;
use kubewright_model::doctor::{Finding, Mend, Papers, Place};
use kubewright_model::ids::NodeName;
use kubewright_model::spec::kubernetes::Distribution;

use super::case::{Case, Unit, told, unit, units};

/// systemd starts a unit again after it has ended; so often in one boot is no accident.
const OFTEN: u32 = 5;

/// Why nobody gets in, and at which layer, the look tells itself.
pub(super) fn unreachable(case: &Case<'_>) -> Vec<Finding> {
    let found = case.evidence.hosts.iter().filter_map(|(name, seen)| {
        let why = seen.why_unknown()?;
        let talos = case.host(name).is_some_and(|host| host.way.talos.is_some());
        (!talos).then(|| {
            let found = Finding::sick(Place::host(name), "nobody gets in").shown([why.words.clone()]);
            let way = case.host(name).map(|host| &host.way);
            let at = way.and_then(|way| way.address).map_or(name.to_string(), |at| at.to_string());
            let (port, user) = way.map_or((22, "root"), |way| (way.port, way.user.as_ref()));
            let help = why.help.clone().into_iter();
            found.by_hand(help.chain([format!("ping {at}"), format!("ssh -v -p {port} {user}@{at}")]))
        })
    });
    found.collect()
}

/// The same for a node of Talos, which has an API in SSH's place.
pub(super) fn talos(case: &Case<'_>) -> Vec<Finding> {
    let found = case.evidence.hosts.iter().filter_map(|(name, seen)| {
        let why = seen.why_unknown()?;
        let host = case.host(name).filter(|host| host.way.talos.is_some())?;
        let at = host.way.address.map_or(name.to_string(), |at| at.to_string());
        let help = why.help.clone().into_iter();
        let found = Finding::sick(Place::host(name), "its API does not answer").shown([why.words.clone()]);
        Some(found.by_hand(
            help.chain([format!("talosctl --nodes {at} --endpoints {at} version"), "look at its console".into()]),
        ))
    });
    found.collect()
}

fn shown(unit: &Unit<'_>) -> Vec<String> {
    ["ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts"]
        .into_iter()
        .filter_map(|key| Some(format!("{key}={}", unit.get(key)?)))
        .collect()
}

fn start(host: &NodeName, unit: &str) -> Mend {
    Mend::Start { host: host.clone(), unit: unit.into() }
}

/// The lines of a log that a unit has said.
fn said<'a>(papers: &'a Papers, unit: &str) -> Vec<&'a str> {
    let program = unit.trim_end_matches(".service");
    let of_it = |line: &&str| line.contains(&format!(" {program}["));
    let mut lines: Vec<&str> = papers.lines("log").filter(of_it).collect();
    lines.drain(..lines.len().saturating_sub(3));
    lines
}

/// One that starts is given its time, so only one that ended is told of.
fn is_down(unit: &Unit<'_>) -> bool {
    matches!(unit.get("ActiveState"), Some(&"failed" | &"inactive"))
}

/// The unit that makes the host a node.
pub(super) fn kubernetes(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter(|(name, _)| case.is_member(name)).filter_map(|(name, papers)| {
        let id = case.kubernetes_unit(name);
        let unit = unit(papers, id).filter(is_down)?;
        Some(
            Finding::sick(Place::host(name), format!("{id} does not run"))
                .shown([shown(&unit).join(" ")])
                .shown(said(papers, id))
                .mended([start(name, id)]),
        )
    });
    found.collect()
}

pub(super) fn restarts(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().flat_map(|(name, papers)| {
        let often = |unit: &Unit<'_>| {
            unit.get("NRestarts").and_then(|it| it.parse().ok()).is_some_and(|times: u32| times >= OFTEN)
                && unit.get("SubState") != Some(&"running")
        };
        let often = units(papers).into_iter().filter(often).collect::<Vec<_>>();
        often.into_iter().filter_map(move |unit| {
            let id = *unit.get("Id")?;
            let times = *unit.get("NRestarts")?;
            Some(
                Finding::sick(Place::host(name), format!("systemd has started {id} {times} times"))
                    .shown([shown(&unit).join(" ")])
                    .shown(said(papers, id))
                    .by_hand([format!("on {name}: journalctl -u {id} -n 100 --no-pager")]),
            )
        })
    });
    found.collect()
}

/// What Go's and HAProxy's words for EADDRINUSE are.
pub(super) fn port_taken(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let lines = told(papers, "log", &["address already in use", "cannot bind socket"]);
        (!lines.is_empty()).then(|| {
            Finding::sick(Place::host(name), "another program listens where a unit of ours is to").shown(lines).by_hand(
                [format!("on {name}: ss -lntp"), "stop the other program, or give one of both another port".into()],
            )
        })
    });
    found.collect()
}

pub(super) fn runtime(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter(|(name, _)| case.is_member(name)).filter_map(|(name, papers)| {
        let unit = unit(papers, "containerd.service").filter(is_down)?;
        // K3s and RKE2 bring a containerd of their own; theirs is no unit.
        (case.kubernetes_unit(name) == "kubelet.service").then(|| {
            Finding::sick(Place::host(name), "containerd does not run, so kubelet starts nothing")
                .shown([shown(&unit).join(" ")])
                .shown(said(papers, "containerd.service"))
                .mended([start(name, "containerd.service")])
        })
    });
    found.collect()
}

pub(super) fn haproxy(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let unit = unit(papers, "haproxy.service").filter(is_down)?;
        let meant = case.desired.proxies.iter().any(|proxy| proxy.host == *name);
        meant.then(|| {
            Finding::sick(Place::host(name), "HAProxy does not run, so nobody comes in by this balancer")
                .shown([shown(&unit).join(" ")])
                .shown(said(papers, "haproxy.service"))
                .mended([start(name, "haproxy.service")])
        })
    });
    found.collect()
}

/// <https://pve.proxmox.com/wiki/Qemu-guest-agent>
pub(super) fn guest_agent(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let machine = case.desired.machine(name).filter(|machine| matches!(*machine.body, Body::Vm(_)));
        let unit = unit(papers, "qemu-guest-agent.service").filter(|unit| machine.is_some() && is_down(unit))?;
        Some(
            Finding::risk(Place::host(name), "the guest agent does not run")
                .shown([shown(&unit).join(" ")])
                .mended([start(name, "qemu-guest-agent.service")]),
        )
    });
    found.collect()
}

/// Debian's, Ubuntu's and openSUSE's packages leave a file; Rocky's and Fedora's `needs-restarting` tells by its end.
pub(super) fn reboot(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let why = papers.text("reboot-required")?;
        Some(Finding::risk(Place::host(name), "packages wait for a restart").shown(why.lines().take(5)).by_hand([
            format!("kubewright reboot {name}"),
            "or all that ask for it: kubewright reboot --all --if-needed".into(),
        ]))
    });
    found.collect()
}

/// `dpkg --audit` prints nothing where all is well (`man 1 dpkg`).
pub(super) fn packages(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let text = papers.text("dpkg-audit").filter(|text| !text.trim().is_empty())?;
        let lines = text.lines().filter(|line| !line.trim().is_empty()).take(6);
        let commands = vec![vec!["dpkg".into(), "--configure".into(), "-a".into()]];
        let (host, title) = (name.clone(), "end what the package manager has begun".into());
        Some(
            Finding::sick(Place::host(name), "packages are half installed, and nothing more can be")
                .shown(lines)
                .mended([Mend::Run { host, title, commands }]),
        )
    });
    found.collect()
}

/// kubelet, kubeadm and the plug-ins take the host's; K3s and RKE2 bring one of their own, and where theirs does not do they
/// say so.
pub(super) fn iptables(case: &Case<'_>) -> Vec<Finding> {
    let own = !matches!(case.distribution(), Distribution::Kubeadm | Distribution::Talos);
    let says = |line: &&str| line.contains("iptables") && line.contains("executable file not found");
    let needs = |papers: &Papers| !own || papers.lines("log").any(|line| says(&line));
    let hosts = case.hosts().filter(|(name, papers)| case.is_member(name) && papers.lacks("iptables") && needs(papers));
    hosts
        .map(|(name, papers)| {
            let package = kubewright_model::host::HostResource::Package("iptables".into());
            Finding::sick(Place::host(name), "the program iptables is not there")
                .shown(["iptables --version: not found"])
                .shown(told(papers, "log", &["iptables"]))
                .mended([Mend::Make { host: name.clone(), resources: vec![package] }])
        })
        .collect()
}
