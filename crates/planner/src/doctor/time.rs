//! Clocks.

use kubewright_model::doctor::{Finding, Mend, Place};
use kubewright_model::host::HostResource;

use super::case::Case;

/// etcd warns from one second on (`server/etcdserver/api/rafthttp/probing_status.go`, v3.5); the answer of a host takes its
/// time on the way, so it is two here.
const SKEW: u64 = 2;

pub(super) fn skew(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let clock: u64 = papers.text("clock")?.trim().parse().ok()?;
        let off = clock.abs_diff(papers.asked);
        let way = if clock > papers.asked { "ahead" } else { "behind" };
        (off > SKEW).then(|| {
            let step = Mend::Run {
                host: name.clone(),
                title: "put the clock right".into(),
                commands: vec![match papers.text("chrony") {
                    Some(_) => vec!["chronyc".into(), "makestep".into()],
                    None => vec!["systemctl".into(), "restart".into(), "systemd-timesyncd.service".into()],
                }],
            };
            let sync = Mend::Make { host: name.clone(), resources: vec![HostResource::TimeSync] };
            Finding::sick(Place::host(name), format!("its clock is {off} seconds {way} of this computer's"))
                .shown([format!("date +%s: {clock}; here: {}", papers.asked)])
                .shown(papers.lines("timesync").filter(|line| line.contains("NTP")))
                .mended([sync, step])
        })
    });
    found.collect()
}

/// `timedatectl show` prints `NTP=yes` where a service is on, and `NTPSynchronized=yes` where it has reached somebody.
pub(super) fn unsynchronized(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let is = |line: &str| papers.lines("timesync").any(|it| it == line);
        // A container has the clock of its hypervisor.
        let container = papers.text("virtualization").is_some_and(|text| text.trim() == "lxc");
        (is("NTPSynchronized=no") && !container).then(|| {
            let found = Finding::risk(
                Place::host(name),
                if is("NTP=no") { "no time service runs" } else { "the time service has not reached any server" },
            );
            let found = found.shown(papers.lines("timesync").filter(|line| line.contains("NTP")));
            match is("NTP=no") {
                true => found.mended([Mend::Make { host: name.clone(), resources: vec![HostResource::TimeSync] }]),
                false => found.by_hand([
                    format!("on {name}: timedatectl timesync-status, or chronyc sources"),
                    "let UDP 123 out".into(),
                ]),
            }
        })
    });
    found.collect()
}
