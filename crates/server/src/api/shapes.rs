//! What is answered and what is asked, as JSON: `docs/design/0006-the-dashboard.md` has the table of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Role {
    /// Reads.
    Viewer,
    /// Reads, approves, runs and cancels.
    Operator,
}

/// What opens a session.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// The token.
    pub(crate) token: String,
}

/// A session.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    /// What may be done in it.
    pub(crate) role: Role,
    /// What goes into `X-Kubewright-Csrf` of every request that changes something; none for a program's token.
    pub(crate) csrf: Option<String>,
    /// The program's version.
    pub(crate) version: &'static str,
}

/// All clusters.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Clusters {
    /// They, by name.
    pub(crate) clusters: Vec<Summary>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    /// As it should be.
    Good,
    /// It works, and somebody should look.
    Care,
    /// It is not as it should be.
    Bad,
    /// Nobody could look.
    Unknown,
}

/// How a layer of a cluster is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Layer {
    /// `machines`, `hosts`, `members`, `balancers`, `network`, `addons` or `checks`.
    pub(crate) name: &'static str,
    /// How it is.
    pub(crate) state: State,
    /// In words.
    pub(crate) words: String,
}

/// A cluster in a few words. Times are seconds since 1970.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    /// Its name.
    pub(crate) name: String,
    /// The sentence that the spec says of it.
    pub(crate) description: String,
    /// `k3s`, `rke2`, `kubeadm` or `talos`.
    pub(crate) distribution: String,
    /// The version of Kubernetes that the spec names.
    pub(crate) version: String,
    /// Its world is a pretend one.
    pub(crate) simulated: bool,
    /// The environment on top of the spec.
    pub(crate) environment: Option<String>,
    /// How many nodes the spec has.
    pub(crate) nodes: usize,
    /// How many of them are Ready.
    pub(crate) nodes_ready: usize,
    /// Each layer.
    pub(crate) layers: Vec<Layer>,
    /// The run that goes on.
    pub(crate) running: Option<String>,
    /// The newest run.
    pub(crate) last_run: Option<RunSummary>,
    /// How many steps would make it as the spec says; none where nobody could look.
    pub(crate) drift: Option<usize>,
    /// When the first of its certificates ends.
    pub(crate) certificate_until: Option<u64>,
    /// When the newest bundle was made.
    pub(crate) backup_at: Option<u64>,
    /// When it was looked at.
    pub(crate) looked_at: Option<u64>,
    /// Somebody looks at it now.
    pub(crate) looking: bool,
    /// Why it cannot be looked at.
    pub(crate) fault: Option<String>,
}

/// A cluster.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Cluster {
    /// In a few words.
    pub(crate) summary: Summary,
    /// What is where.
    pub(crate) topology: Topology,
    /// Its releases.
    pub(crate) addons: Vec<Addon>,
    /// Certificates, the first to end first.
    pub(crate) certificates: Vec<Certificate>,
    /// Bundles, newest first.
    pub(crate) backups: Vec<Bundle>,
    /// What differs from the spec; none where nobody could look.
    pub(crate) drift: Option<Vec<Change>>,
    /// Its newest runs.
    pub(crate) runs: Vec<RunSummary>,
    /// What somebody should know, in sentences.
    pub(crate) findings: Vec<String>,
}

/// What is where.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Topology {
    /// Who makes machines.
    pub(crate) providers: Vec<Provider>,
    /// What stands before the cluster.
    pub(crate) balancers: Vec<Balancer>,
    /// Networks.
    pub(crate) networks: Vec<Network>,
    /// Who leads where.
    pub(crate) links: Vec<Link>,
}

/// A provider of machines.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Provider {
    /// Its name.
    pub(crate) name: String,
    /// `proxmox`, `hetzner`, `existing` or `local`.
    pub(crate) kind: String,
    /// Its places: hypervisors, locations.
    pub(crate) places: Vec<Spot>,
}

/// A place of a provider.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Spot {
    /// Its name.
    pub(crate) name: String,
    /// What is there.
    pub(crate) machines: Vec<Machine>,
}

/// A machine.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Machine {
    /// Its name.
    pub(crate) name: String,
    /// `server`, `agent`, `both` or `host`.
    pub(crate) role: String,
    /// `vm`, `container`, `server`, `host` or `local`.
    pub(crate) kind: &'static str,
    /// Its address.
    pub(crate) address: Option<String>,
    /// The provider's number.
    pub(crate) number: Option<u32>,
    /// Processor cores.
    pub(crate) cpus: Option<u32>,
    /// Memory.
    pub(crate) memory: Option<String>,
    /// The system disk.
    pub(crate) disk: Option<String>,
    /// How it is.
    pub(crate) state: State,
    /// In words.
    pub(crate) words: String,
}

/// A load balancer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Balancer {
    /// Its name.
    pub(crate) name: String,
    /// `haproxy`, or the provider that has it.
    pub(crate) kind: String,
    /// Its address.
    pub(crate) address: Option<String>,
    /// To whom it leads.
    pub(crate) targets: Vec<String>,
    /// How it is.
    pub(crate) state: State,
}

/// A network.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Network {
    /// Its name.
    pub(crate) name: String,
    /// Its range.
    pub(crate) cidr: String,
    /// `hosts`, `pods` or `services`.
    pub(crate) kind: &'static str,
    /// Addresses in it with a name.
    pub(crate) addresses: Vec<Named>,
}

/// An address with a name.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Named {
    /// The address.
    pub(crate) address: String,
    /// Whose it is.
    pub(crate) name: String,
}

/// Who leads where.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Link {
    /// From.
    pub(crate) from: String,
    /// To.
    pub(crate) to: String,
    /// `balances`.
    pub(crate) kind: &'static str,
}

/// A release.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Addon {
    /// Its name.
    pub(crate) name: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// The chart.
    pub(crate) chart: String,
    /// The version that the spec names.
    pub(crate) version: Option<String>,
    /// The version that is there.
    pub(crate) seen: Option<String>,
    /// How it is.
    pub(crate) state: State,
    /// In words.
    pub(crate) words: String,
}

/// A certificate.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Certificate {
    /// Where it is.
    pub(crate) node: String,
    /// Its file or use.
    pub(crate) name: String,
    /// When it ends.
    pub(crate) until: u64,
    /// How that is.
    pub(crate) state: State,
}

/// A bundle.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bundle {
    /// Where it is.
    pub(crate) place: String,
    /// Its file.
    pub(crate) name: String,
    /// When it was made.
    pub(crate) at: u64,
    /// Its size.
    pub(crate) bytes: u64,
    /// When its restore was last rehearsed.
    pub(crate) rehearsed_at: Option<u64>,
    /// What came of that.
    pub(crate) words: String,
}

/// One thing that differs from the spec.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Change {
    /// What.
    pub(crate) subject: String,
    /// Field by field.
    pub(crate) fields: Vec<Field>,
    /// What would be done about it, and why.
    pub(crate) words: String,
}

/// One field's difference.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Field {
    /// The field.
    pub(crate) path: String,
    /// What is there.
    pub(crate) from: Option<String>,
    /// What is wished. Secrets are holes, which show their names.
    pub(crate) to: Option<String>,
}

/// What a plan is asked for.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Wanted {
    /// Make the world as the spec says.
    Apply,
    /// Take everything away that is ours.
    Destroy,
    /// Make the named nodes anew.
    Replace,
    /// Make everything anew.
    Rebuild,
}

/// A question for a plan.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanWish {
    /// What is asked.
    pub(crate) ask: Wanted,
    /// The nodes to replace.
    #[serde(default)]
    pub(crate) nodes: Vec<String>,
    /// Only these parts; empty for all.
    #[serde(default)]
    pub(crate) only: Vec<String>,
}

/// A plan, as people read it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct PlanShown {
    /// Its name here. It is kept until the next one.
    pub(crate) id: String,
    /// The digest of its steps: what is approved.
    pub(crate) fingerprint: String,
    /// What was asked.
    pub(crate) ask: String,
    /// When it was made.
    pub(crate) at: u64,
    /// Steps, in the order in which a person would do them.
    pub(crate) steps: Vec<Step>,
    /// What will not be done, or should be known.
    pub(crate) notes: Vec<Note>,
    /// A note blocks it.
    pub(crate) blocked: bool,
    /// Nothing is to be done.
    pub(crate) empty: bool,
    /// What it deletes.
    pub(crate) deletes: Vec<String>,
    /// What it takes out of service for a while.
    pub(crate) disturbs: Vec<String>,
    /// The name that has to be typed before it runs.
    pub(crate) takes: Option<String>,
}

/// A step of a plan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Step {
    /// Its name.
    pub(crate) id: String,
    /// Its heading.
    pub(crate) stage: String,
    /// What it is about.
    pub(crate) subject: String,
    /// The deed in words.
    pub(crate) title: String,
    /// The part of the spec that wants it.
    pub(crate) part: String,
    /// Why.
    pub(crate) reason: String,
    /// Steps that must be done before.
    pub(crate) needs: Vec<String>,
    /// `adds`, `changes`, `removes` or `moves`.
    pub(crate) weight: &'static str,
    /// Field by field.
    pub(crate) changes: Vec<Field>,
    /// More words, where nobody could say what differs.
    pub(crate) text: Option<String>,
}

/// A note of a plan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Note {
    /// What it is about.
    pub(crate) subject: String,
    /// What.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// It keeps the plan from running.
    pub(crate) blocks: bool,
}

/// A plan that is approved.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunWish {
    /// The plan.
    pub(crate) plan: String,
    /// Its fingerprint, as it was read.
    pub(crate) fingerprint: String,
    /// The cluster's name, where the plan asks for it.
    #[serde(default)]
    pub(crate) name: Option<String>,
}

/// A run that has begun.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Begun {
    /// Its name.
    pub(crate) run: String,
}

/// How often a run was asked to stop.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Stopped {
    /// Once starts nothing new, twice gives up what runs.
    pub(crate) times: u32,
}

/// All runs of a cluster.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Runs {
    /// They, newest first.
    pub(crate) runs: Vec<RunSummary>,
}

/// A run in a few words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct RunSummary {
    /// Its name.
    pub(crate) run: String,
    /// What was asked.
    pub(crate) ask: String,
    /// Its world was a pretend one, and so were its times.
    pub(crate) simulated: bool,
    /// When it began.
    pub(crate) wall: u64,
    /// Milliseconds until its last record.
    pub(crate) took: u64,
    /// `complete`, `failed`, `notConverged`, `interrupted` or `died`; none while it goes on.
    pub(crate) end: Option<String>,
    /// How many steps it has.
    pub(crate) steps: usize,
    /// Those that changed something.
    pub(crate) done: usize,
    /// Those that found everything true.
    pub(crate) already: usize,
    /// Those that failed.
    pub(crate) failed: usize,
    /// Those that never started.
    pub(crate) left: usize,
    /// How often something was tried again.
    pub(crate) retries: usize,
}

/// A run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Run {
    /// In a few words.
    pub(crate) summary: RunSummary,
    /// Its steps, in the order in which they were heard of.
    pub(crate) steps: Vec<RunStep>,
    /// The chain of steps that took longest; none where its plan is not known any more.
    pub(crate) critical: Vec<String>,
    /// What the checks at its end came to.
    pub(crate) verify: Option<Verified>,
}

/// A step of a run. Times are milliseconds since the run began.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunStep {
    /// Its name.
    pub(crate) id: String,
    /// Its heading.
    pub(crate) stage: String,
    /// The deed in words.
    pub(crate) title: String,
    /// The part of the spec that wants it.
    pub(crate) part: String,
    /// `waiting`, `running`, `done`, `already`, `failed`, `skipped`, `cancelled` or `left`.
    pub(crate) state: &'static str,
    /// When it began.
    pub(crate) from: Option<u64>,
    /// When it ended.
    pub(crate) to: Option<u64>,
    /// The shared thing that it waits for, or waited for.
    pub(crate) waits_for: Option<String>,
    /// What it told.
    pub(crate) tells: Vec<Told>,
    /// Why it failed.
    pub(crate) failure: Option<Failed>,
}

/// Something that a step told.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Told {
    /// When.
    pub(crate) at: u64,
    /// What.
    pub(crate) message: String,
}

/// Why a step failed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Failed {
    /// What failed, and each cause below it.
    pub(crate) causes: Vec<String>,
    /// The last lines of the log that tells most.
    pub(crate) log: Vec<String>,
    /// What to do.
    pub(crate) hint: Option<String>,
}

/// What checks came to.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Verified {
    /// How many hold.
    pub(crate) held: usize,
    /// How many there are.
    pub(crate) checks: usize,
    /// Those that do not, each with what was seen.
    pub(crate) wrong: Vec<String>,
}

/// All checks of a cluster.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Checks {
    /// They, in the spec's order.
    pub(crate) checks: Vec<Check>,
}

/// A check and what came of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Check {
    /// Its name.
    pub(crate) name: String,
    /// Oldest first.
    pub(crate) results: Vec<Outcome>,
}

/// What came of a check.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Outcome {
    /// When.
    pub(crate) at: u64,
    /// It held.
    pub(crate) held: bool,
    /// What was seen.
    pub(crate) saw: String,
}

/// Why something was refused.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Refusal {
    /// It.
    pub(crate) error: Refused,
}

/// Why something was refused.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Refused {
    /// In a word for programs.
    pub(crate) code: &'static str,
    /// In words.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// Each thing that is wrong, where there are several.
    pub(crate) details: Vec<String>,
}
