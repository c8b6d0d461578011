//! What each view shows, as rows.

use kubewright_model::units::Moment;
use kubewright_server::shapes::{Cluster, Machine, RunSummary, State};

use super::Tab;
use crate::screen::duration;

/// Seconds of a day.
const DAY: u64 = 86_400;
/// The kind of what makes no machines.
const EXISTING: &str = "existing";

/// Rows below their headings.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheet {
    pub(super) heads: Vec<&'static str>,
    pub(super) rows: Vec<Row>,
    /// What is said where there is no row.
    pub(super) empty: &'static str,
}

/// A row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) state: State,
    /// How far it stands in, below what it belongs to.
    pub(super) depth: usize,
    pub(super) cells: Vec<String>,
    /// What there is to say of it beside its cells, a line each.
    pub(super) more: Vec<String>,
}

impl Row {
    fn new(state: State, cells: impl IntoIterator<Item = String>) -> Self {
        Self { state, depth: 0, cells: cells.into_iter().collect(), more: Vec::new() }
    }

    fn at(self, depth: usize) -> Self {
        Self { depth, ..self }
    }
}

/// How something is, in a word: a colour is not seen by everybody.
pub(super) fn word(state: State) -> &'static str {
    match state {
        State::Good => "good",
        State::Care => "care",
        State::Bad => "bad",
        State::Unknown => "unknown",
    }
}

/// How long something is from now: `in 3 days`, `2 h ago`.
pub(super) fn away(at: u64, now: u64) -> String {
    let told = |seconds: u64| match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..DAY => format!("{} h", seconds / 3_600),
        _ if seconds / DAY == 1 => "1 day".to_string(),
        _ => format!("{} days", seconds / DAY),
    };
    if at > now { format!("in {}", told(at - now)) } else { format!("{} ago", told(now - at)) }
}

impl Sheet {
    pub(super) fn of(tab: Tab, cluster: &Cluster, now: u64) -> Self {
        match tab {
            Tab::Overview => overview(cluster),
            Tab::Machines => machines(cluster),
            Tab::Topology => topology(cluster),
            Tab::Addons => addons(cluster),
            Tab::Certificates => certificates(cluster, now),
            Tab::Backups => backups(cluster, now),
            Tab::Drift => drift(cluster),
            Tab::Runs => runs(cluster),
        }
    }
}

fn overview(cluster: &Cluster) -> Sheet {
    let layers = cluster.summary.layers.iter();
    let layers = layers.map(|it| Row::new(it.state, [part(it.name).into(), word(it.state).into(), it.words.clone()]));
    let findings = cluster.findings.iter();
    let findings = findings.map(|it| Row::new(State::Care, ["finding".into(), "care".into(), it.clone()]));
    Sheet {
        heads: vec!["PART", "STATE", "DETAIL"],
        rows: layers.chain(findings).collect(),
        empty: "nobody has looked yet",
    }
}

/// What a layer is called by people.
fn part(layer: &str) -> &str {
    match layer {
        "members" => "nodes",
        "balancers" => "load balancers",
        "addons" => "add-ons",
        other => other,
    }
}

/// What a machine is for.
fn role(machine: &Machine) -> String {
    if machine.role == "both" { "server, agent".into() } else { machine.role.clone() }
}

fn machine(machine: &Machine) -> Row {
    let size = [machine.cpus.map(|cpus| format!("{cpus} cores")), machine.memory.clone(), machine.disk.clone()];
    let size: Vec<String> = size.into_iter().flatten().collect();
    Row::new(
        machine.state,
        [
            machine.name.clone(),
            role(machine),
            machine.address.clone().unwrap_or_default(),
            machine.words.clone(),
            format!("{} {}", machine.kind, size.join(", ")).trim().to_string(),
        ],
    )
}

fn machines(cluster: &Cluster) -> Sheet {
    let places = cluster.topology.providers.iter().flat_map(|provider| {
        provider.places.iter().flat_map(move |place| {
            place.machines.iter().map(move |it| {
                let number = it.number.map(|number| format!(", number {number}")).unwrap_or_default();
                // Of machines that somebody else has made no place is known.
                let known = provider.kind != EXISTING;
                let at = known.then(|| format!("in {} at {}{number}", place.name, provider.name));
                Row { more: at.into_iter().collect(), ..machine(it) }
            })
        })
    });
    let heads = vec!["MACHINE", "ROLE", "ADDRESS", "STATE", "KIND"];
    Sheet { heads, rows: places.collect(), empty: "no machine is known" }
}

fn topology(cluster: &Cluster) -> Sheet {
    let row = |depth, state, cells: [String; 3]| Row::new(state, cells).at(depth);
    let mut rows = Vec::new();
    for provider in &cluster.topology.providers {
        let worst = |it: &[Machine]| it.iter().map(|machine| machine.state).max().unwrap_or(State::Good);
        let all = provider.places.iter().map(|place| worst(&place.machines)).max().unwrap_or(State::Good);
        rows.push(row(0, all, [provider.name.clone(), provider.kind.clone(), String::new()]));
        for place in &provider.places {
            let many = crate::screen::counted(place.machines.len(), "machine");
            rows.push(row(1, worst(&place.machines), [place.name.clone(), "place".into(), many]));
            let machines = place.machines.iter();
            rows.extend(machines.map(|it| {
                let address = it.address.clone().unwrap_or_default();
                row(2, it.state, [it.name.clone(), role(it), format!("{address} {}", it.words).trim().into()])
            }));
        }
    }
    for balancer in &cluster.topology.balancers {
        let address = balancer.address.clone().unwrap_or_default();
        let words = format!("{address} to {}", balancer.targets.join(", "));
        let kind = format!("balancer, {}", balancer.kind);
        rows.push(row(0, balancer.state, [balancer.name.clone(), kind, words.trim().into()]));
    }
    for network in &cluster.topology.networks {
        rows.push(row(0, State::Good, [network.name.clone(), "network".into(), network.cidr.clone()]));
        let named = network.addresses.iter();
        rows.extend(named.map(|it| row(1, State::Good, [it.address.clone(), "address".into(), it.name.clone()])));
    }
    Sheet { heads: vec!["NAME", "KIND", "DETAIL"], rows, empty: "nothing is known of what is where" }
}

fn addons(cluster: &Cluster) -> Sheet {
    let rows = cluster.addons.iter().map(|it| {
        let seen = it.seen.clone().unwrap_or_else(|| "none".into());
        let wished = it.version.clone().unwrap_or_default();
        let more = vec![format!("chart {} {wished}", it.chart).trim().to_string()];
        Row { more, ..Row::new(it.state, [it.name.clone(), it.namespace.clone(), seen, it.words.clone()]) }
    });
    let heads = vec!["RELEASE", "NAMESPACE", "VERSION", "STATE"];
    Sheet { heads, rows: rows.collect(), empty: "the spec has no add-ons" }
}

fn certificates(cluster: &Cluster, now: u64) -> Sheet {
    let rows = cluster.certificates.iter().map(|it| {
        let more = vec![format!("until {}", Moment(it.until))];
        Row { more, ..Row::new(it.state, [it.node.clone(), away(it.until, now), it.name.clone()]) }
    });
    Sheet { heads: vec!["NODE", "ENDS", "CERTIFICATE"], rows: rows.collect(), empty: "no certificate was seen" }
}

fn backups(cluster: &Cluster, now: u64) -> Sheet {
    let rows = cluster.backups.iter().map(|it| {
        let rehearsed = it.rehearsed_at.map_or_else(|| "never".into(), |at| away(at, now));
        let size = format!("{:.1} MiB", it.bytes as f64 / 1_048_576.0);
        let more = vec![format!("in {}", it.place), it.words.clone()];
        Row { more, ..Row::new(State::Good, [it.name.clone(), away(it.at, now), size, rehearsed]) }
    });
    Sheet { heads: vec!["BUNDLE", "MADE", "SIZE", "REHEARSED"], rows: rows.collect(), empty: "there is no bundle" }
}

fn drift(cluster: &Cluster) -> Sheet {
    let changes = cluster.drift.iter().flatten();
    let rows = changes.map(|it| {
        let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
        let fields = it.fields.iter();
        let more = fields.map(|it| format!("{}: {} → {}", it.path, side(&it.from), side(&it.to))).collect();
        Row { more, ..Row::new(State::Care, [it.subject.clone(), it.words.clone()]) }
    });
    let empty = if cluster.drift.is_some() { "everything is as the spec says" } else { "nobody could look for drift" };
    Sheet { heads: vec!["WHAT", "WHAT WOULD BE DONE"], rows: rows.collect(), empty }
}

fn runs(cluster: &Cluster) -> Sheet {
    let state = |run: &RunSummary| match run.end.as_deref() {
        Some("complete") => State::Good,
        None | Some("interrupted") => State::Care,
        Some(_) => State::Bad,
    };
    let rows = cluster.runs.iter().map(|it| {
        let end = it.end.clone().unwrap_or_else(|| "goes on".into());
        let steps = format!("{} of {}", it.done + it.already, it.steps);
        Row::new(state(it), [it.run.clone(), it.ask.clone(), end, steps, duration(it.took)])
    });
    Sheet { heads: vec!["RUN", "ASKED", "ENDED", "DONE", "TOOK"], rows: rows.collect(), empty: "there was no run yet" }
}
