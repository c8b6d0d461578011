//! What a check is given: the evidence and the wish, and how both are asked.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::desired::{Desired, DesiredHost, DesiredMember, DesiredRelease};
use kubewright_model::doctor::{Evidence, Lists, Papers};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::Seen;
use kubewright_model::spec::kubernetes::Distribution;
use serde_json::Value;

use super::objects::Object as _;

/// What `--only` takes for a release: its part, or its own step where it is of none.
pub(super) fn chosen(release: &DesiredRelease) -> String {
    if release.part.is_empty() { format!("release/{}", release.name) } else { release.part.clone() }
}

/// What a check is given.
pub(super) struct Case<'a> {
    /// What was seen.
    pub(super) evidence: &'a Evidence,
    /// What is wished.
    pub(super) desired: &'a Desired,
    /// Where things are in the lists: clusters are large, and checks ask for each object.
    places: Places<'a>,
}

/// Objects by what checks look for them.
#[derive(Default)]
struct Places<'a> {
    /// Events by the name of what they are about.
    events: BTreeMap<&'a str, Vec<&'a Value>>,
    /// Pods by their namespace.
    pods: BTreeMap<&'a str, Vec<&'a Value>>,
    /// Services with somebody who answers, by namespace and name.
    served: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Places<'a> {
    fn of(lists: &'a Lists) -> Self {
        let mut places = Self::default();
        for event in lists.of("events") {
            places.events.entry(event.text("/involvedObject/name")).or_default().push(event);
        }
        for pod in lists.of("pods") {
            places.pods.entry(pod.namespace()).or_default().push(pod);
        }
        // `ready` that is not told counts as ready (discovery/v1, EndpointConditions).
        let ready = |it: &Value| it.pointer("/conditions/ready") != Some(&Value::Bool(false));
        let slices = lists.of("endpointslices").iter().filter(|slice| slice.each("/endpoints").iter().any(ready));
        let of = slices.filter_map(|slice| Some((slice.namespace(), slice.label("kubernetes.io/service-name")?)));
        places.served.extend(of);
        places
    }
}

/// A unit of systemd, as `systemctl show` tells of it.
pub(super) type Unit<'a> = BTreeMap<&'a str, &'a str>;

impl<'a> Case<'a> {
    pub(super) fn new(evidence: &'a Evidence, desired: &'a Desired) -> Self {
        let lists = evidence.cluster.as_ref().and_then(Seen::present);
        Self { evidence, desired, places: lists.map(Places::of).unwrap_or_default() }
    }

    /// The events about whatever has this name.
    pub(super) fn events_of(&self, name: &str) -> &[&'a Value] {
        self.places.events.get(name).map_or(&[], Vec::as_slice)
    }

    /// The pods of a namespace.
    pub(super) fn pods_in(&self, namespace: &str) -> &[&'a Value] {
        self.places.pods.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// Whether a Service has somebody who answers.
    pub(super) fn is_served(&self, namespace: &str, name: &str) -> bool {
        self.places.served.contains(&(namespace, name))
    }

    /// Hosts that were looked at, with their papers.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (&'a NodeName, &'a Papers)> + use<'a> {
        self.evidence.hosts.iter().filter_map(|(name, seen)| Some((name, seen.present()?)))
    }

    /// The lists of the cluster, where it was looked at.
    pub(super) fn lists(&self) -> Option<&'a Lists> {
        self.evidence.cluster.as_ref().and_then(Seen::present)
    }

    /// The objects of a kind.
    pub(super) fn list(&self, kind: &str) -> &'a [Value] {
        self.lists().map_or(&[], |lists| lists.of(kind))
    }

    /// Whether the cluster was looked at and has this kind.
    pub(super) fn has(&self, kind: &str) -> bool {
        self.lists().is_some_and(|lists| lists.has(kind))
    }

    /// What the spec wants of a host.
    pub(super) fn host(&self, name: &NodeName) -> Option<&'a DesiredHost> {
        self.desired.hosts.iter().find(|host| host.name == *name)
    }

    /// What the spec wants of a node.
    pub(super) fn member(&self, name: &NodeName) -> Option<&'a DesiredMember> {
        self.desired.members.iter().find(|member| member.name == *name)
    }

    /// Whether Kubernetes runs, or is to run, on a host.
    pub(super) fn is_member(&self, name: &NodeName) -> bool {
        self.member(name).is_some()
    }

    /// The distribution.
    pub(super) fn distribution(&self) -> Distribution {
        self.desired.kubernetes.distribution
    }

    /// The unit that makes a host a node.
    pub(super) fn kubernetes_unit(&self, name: &NodeName) -> &'static str {
        let server = self.member(name).is_some_and(|member| member.role.is_server());
        match (self.distribution(), server) {
            (Distribution::K3s, true) => "k3s.service",
            (Distribution::K3s, false) => "k3s-agent.service",
            (Distribution::Rke2, true) => "rke2-server.service",
            (Distribution::Rke2, false) => "rke2-agent.service",
            (Distribution::Kubeadm | Distribution::Talos, _) => "kubelet.service",
        }
    }
}

/// The units of a host, as `systemctl show` prints them: one block each.
pub(super) fn units(papers: &Papers) -> Vec<Unit<'_>> {
    let blocks = papers.text("units").unwrap_or_default().split("\n\n").filter(|block| !block.trim().is_empty());
    blocks.map(|block| block.lines().filter_map(|line| line.split_once('=')).collect()).collect()
}

/// A unit of a host by its name, if the host has it.
pub(super) fn unit<'a>(papers: &'a Papers, name: &str) -> Option<Unit<'a>> {
    let mut all = units(papers).into_iter();
    all.find(|unit| unit.get("Id") == Some(&name) && unit.get("LoadState") == Some(&"loaded"))
}

/// A kernel setting, as `sysctl` prints it.
pub(super) fn sysctl<'a>(papers: &'a Papers, key: &str) -> Option<&'a str> {
    papers.lines("sysctl").find_map(|line| line.split_once(" = ").filter(|(name, _)| *name == key)).map(|(_, it)| it)
}

/// The same, as a number.
pub(super) fn number(papers: &Papers, key: &str) -> Option<u64> {
    sysctl(papers, key)?.trim().parse().ok()
}

/// A program that has run so long has got over what it said before it was started.
const OVER: u64 = 60;

/// The units that run, and since when, in seconds since 1970.
fn running<'a>(papers: &'a Papers) -> Vec<(&'a str, u64)> {
    let number = |text: &str| text.trim().split('.').next().and_then(|it| it.parse::<u64>().ok());
    let (Some(clock), Some(uptime)) =
        (papers.text("clock").and_then(number), papers.text("uptime").and_then(|it| number(it.split(' ').next()?)))
    else {
        return Vec::new();
    };
    let since = |unit: Unit<'a>| -> Option<(&'a str, u64)> {
        let entered = unit.get("ActiveEnterTimestampMonotonic").and_then(|it| it.parse::<u64>().ok())? / 1_000_000;
        let since = clock.checked_sub(uptime)? + entered;
        let runs = unit.get("ActiveState") == Some(&"active") && clock.saturating_sub(since) >= OVER;
        runs.then_some((*unit.get("Id")?, since))
    };
    units(papers).into_iter().filter_map(since).collect()
}

/// The seconds since 1970 at which a line was written down, in journalctl's `short-iso`: `2026-11-22T17:59:58+0100`.
fn written(line: &str) -> Option<u64> {
    let at = super::objects::moment(line)?;
    let (sign, offset) = (line.get(19..20)?, line.get(20..24)?);
    let seconds = offset.get(..2)?.parse::<u64>().ok()? * 3600 + offset.get(2..)?.parse::<u64>().ok()? * 60;
    if sign == "-" { Some(at + seconds) } else { at.checked_sub(seconds) }
}

/// Whether a line of a log was said by a program that was started again since, and runs.
fn is_over(line: &str, running: &[(&str, u64)]) -> bool {
    let program = line.split(' ').nth(2).and_then(|it| it.split_once('[')).map(|(program, _)| program);
    let unit = running.iter().find(|(unit, _)| program.is_some_and(|it| !it.is_empty() && unit.starts_with(it)));
    unit.is_some_and(|(_, since)| written(line).is_some_and(|at| at < *since))
}

/// The last lines of a paper that hold one of these words; of a log, none that its program has got over.
pub(super) fn told<'a>(papers: &'a Papers, paper: &str, words: &[&str]) -> Vec<&'a str> {
    const FEW: usize = 3;
    let mut last = told_all(papers, paper, words);
    last.drain(..last.len().saturating_sub(FEW));
    last
}

/// All of them.
pub(super) fn told_all<'a>(papers: &'a Papers, paper: &str, words: &[&str]) -> Vec<&'a str> {
    let running = if paper == "log" { running(papers) } else { Vec::new() };
    let held = papers.lines(paper).filter(|line| words.iter().any(|word| line.contains(word)));
    held.filter(|line| !is_over(line, &running)).collect()
}
