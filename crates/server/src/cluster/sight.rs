//! What was seen of a cluster, as people look at it.

use std::collections::BTreeMap;

use kubewright_engine::backup::catalog::Listed;
use kubewright_model::desired::Desired;
use kubewright_model::observed::{ENDS_SOON, Observed, Power, Seen};
use kubewright_model::plan::{Plan, Weight};

use super::plans::drift;
use super::topology::{self, machine_state};
use crate::api::shapes::{Addon, Bundle, Certificate, Change, Layer, State, Topology};

/// What one look came to.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    pub(crate) at: u64,
    pub(crate) nodes_ready: usize,
    pub(crate) layers: Vec<Layer>,
    pub(crate) topology: Topology,
    pub(crate) addons: Vec<Addon>,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) backups: Vec<Bundle>,
    pub(crate) drift: Option<Vec<Change>>,
    pub(crate) findings: Vec<String>,
}

/// What a look has seen.
pub(super) struct Looked<'a> {
    pub(super) desired: &'a Desired,
    pub(super) observed: &'a Observed,
    pub(super) plan: &'a Plan,
    pub(super) bundles: Result<(String, Vec<Listed>), String>,
    /// Seconds since 1970, by our clock.
    pub(super) now: u64,
}

impl Looked<'_> {
    pub(super) fn sight(&self) -> Sight {
        let (ready, members) = self.members();
        let mut layers = vec![self.machines(), self.hosts(), members];
        layers.extend(self.balancers());
        let addons = self.addons();
        if !addons.is_empty() {
            layers.push(of_all("addons", addons.iter().map(|addon| addon.state), "deployed"));
        }
        let (backups, fault) = match &self.bundles {
            Ok((place, listed)) => (listed.iter().map(|bundle| backup(place, bundle)).collect(), None),
            Err(why) => (Vec::new(), (!why.is_empty()).then(|| format!("bundles cannot be listed: {why}"))),
        };
        let notes = self.plan.notes.iter().filter(|note| note.weight > Weight::Tells);
        let notes = notes.map(|note| match &note.help {
            Some(help) => format!("{}: {} ({help})", note.subject, note.message),
            None => format!("{}: {}", note.subject, note.message),
        });
        Sight {
            at: self.now,
            nodes_ready: ready,
            layers,
            topology: topology::topology(self.desired, self.observed),
            addons,
            certificates: self.certificates(),
            backups,
            drift: (!self.plan.is_blocked()).then(|| drift(self.plan)),
            findings: notes.chain(fault).collect(),
        }
    }

    fn machines(&self) -> Layer {
        let states = self.desired.machines.iter().map(|machine| machine_state(machine, self.observed).0);
        of_all("machines", states, "run")
    }

    fn hosts(&self) -> Layer {
        let states = self.desired.machines.iter().map(|machine| match self.observed.hosts.get(&machine.name) {
            Some(Seen::Present(_)) => State::Good,
            Some(Seen::Unknown(_)) => State::Unknown,
            Some(Seen::Absent) | None => State::Bad,
        });
        of_all("hosts", states, "answer")
    }

    fn members(&self) -> (usize, Layer) {
        let all = self.desired.members.len();
        match &self.observed.cluster {
            Some(Seen::Present(cluster)) => {
                let ready = self.desired.members.iter();
                let ready =
                    ready.filter(|member| cluster.nodes.get(&member.name).is_some_and(|node| node.ready)).count();
                let healthy = cluster.members.values().filter(|member| member.healthy).count();
                let etcd = match cluster.members.len() {
                    0 => String::new(),
                    many => format!(", {healthy} of {many} members of etcd answer"),
                };
                let state = if ready == all && healthy == cluster.members.len() { State::Good } else { State::Bad };
                (ready, Layer { name: "members", state, words: format!("{ready} of {all} nodes Ready{etcd}") })
            }
            Some(Seen::Unknown(why)) => {
                (0, Layer { name: "members", state: State::Unknown, words: format!("nobody could look: {why}") })
            }
            Some(Seen::Absent) | None => {
                (0, Layer { name: "members", state: State::Bad, words: "no member of the control plane runs".into() })
            }
        }
    }

    fn balancers(&self) -> Option<Layer> {
        let all = topology::balancers(self.desired, self.observed);
        (!all.is_empty()).then(|| of_all("balancers", all.iter().map(|balancer| balancer.state), "lead on"))
    }

    fn addons(&self) -> Vec<Addon> {
        let cluster = self.observed.cluster.as_ref().and_then(Seen::present);
        let addons = self.desired.releases.iter().map(|release| {
            let seen = cluster.and_then(|cluster| cluster.release(release));
            let is_other = |there: &kubewright_model::version::Version| {
                release.version.as_ref().is_some_and(|wished| wished != there)
            };
            let (state, words) = match (cluster, seen) {
                (None, _) => (State::Unknown, "nobody could look"),
                (_, None) => (State::Bad, "not there"),
                (_, Some(seen)) if !seen.deployed => (State::Bad, "its last installation failed"),
                (_, Some(seen)) if seen.version.as_ref().is_some_and(is_other) => {
                    (State::Care, "another version is there")
                }
                _ => (State::Good, "deployed"),
            };
            Addon {
                name: release.name.to_string(),
                namespace: release.namespace.to_string(),
                chart: release.chart.clone(),
                version: release.version.as_ref().map(ToString::to_string),
                seen: seen.and_then(|seen| seen.version.as_ref()).map(ToString::to_string),
                state,
                words: words.into(),
            }
        });
        addons.collect()
    }

    fn certificates(&self) -> Vec<Certificate> {
        let hosts = self.observed.hosts.iter();
        let hosts = hosts.filter_map(|(name, seen)| Some((name.to_string(), &seen.present()?.certificates)));
        let served = self.observed.cluster.as_ref().and_then(Seen::present);
        let served = served.map(|seen| ("the API server".to_string(), &seen.certificates));
        // A pretend data centre has a time of its own.
        let now = self.observed.hosts.values().find_map(|seen| seen.present()?.at).unwrap_or(self.now);
        let state = |until: u64| match until {
            _ if until <= now => State::Bad,
            _ if until <= now + ENDS_SOON => State::Care,
            _ => State::Good,
        };
        let all = hosts.chain(served).flat_map(|(node, all)| {
            let all = all.iter().map(|(name, until)| (name.clone(), *until)).collect::<Vec<_>>();
            all.into_iter().map(move |(name, until)| (node.clone(), name, until))
        });
        // People compare with the calendar on their wall.
        let ours = |until: u64| until.saturating_add(self.now).saturating_sub(now);
        let all = all.map(|(node, name, until)| Certificate { node, name, until: ours(until), state: state(until) });
        let mut all: Vec<Certificate> = all.collect();
        all.sort_by(|a, b| (a.until, &a.node, &a.name).cmp(&(b.until, &b.node, &b.name)));
        all
    }
}

/// A layer of several alike: the worst tells how it is.
fn of_all(name: &'static str, states: impl Iterator<Item = State>, words: &str) -> Layer {
    let mut many: BTreeMap<State, usize> = BTreeMap::new();
    states.for_each(|state| *many.entry(state).or_default() += 1);
    let all: usize = many.values().sum();
    let good = many.get(&State::Good).copied().unwrap_or_default();
    let worst = [State::Bad, State::Unknown, State::Care].into_iter().find(|state| many.contains_key(state));
    Layer { name, state: worst.unwrap_or(State::Good), words: format!("{good} of {all} {words}") }
}

fn backup(place: &str, bundle: &Listed) -> Bundle {
    let words = match &bundle.rehearsed {
        None => "its restore was never rehearsed".to_string(),
        Some(rehearsed) if rehearsed.held => format!("rehearsed: {}", rehearsed.saw),
        Some(rehearsed) => format!("its rehearsal failed: {}", rehearsed.saw),
    };
    Bundle {
        place: place.to_string(),
        name: bundle.name.file().to_string(),
        at: bundle.made.0,
        bytes: bundle.size,
        rehearsed_at: bundle.rehearsed.as_ref().map(|rehearsed| rehearsed.at.0),
        words,
    }
}

/// Whether a machine runs, in the provider's words.
pub(super) fn power(power: Power) -> (State, &'static str) {
    match power {
        Power::Running => (State::Good, "runs"),
        Power::Stopped => (State::Bad, "is off"),
    }
}
