//! What is answered and what is asked, as JSON: `docs/design/0006-the-dashboard.md` has the table of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads, approves, runs and cancels.
    Operator,
}

/// What opens a session.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The token.
    pub token: String,
}

/// A session.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// What may be done in it.
    pub role: Role,
    /// What goes into `X-Kubewright-Csrf` of every request that changes something; none for a program's token.
    pub csrf: Option<String>,
    /// The program's version.
    pub version: &'static str,
}

/// All clusters.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Clusters {
    /// They, by name.
    pub clusters: Vec<Summary>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum State {
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
pub struct Layer {
    /// `machines`, `hosts`, `members`, `balancers`, `network`, `addons` or `checks`.
    pub name: &'static str,
    /// How it is.
    pub state: State,
    /// In words.
    pub words: String,
}

/// A cluster in a few words. Times are seconds since 1970.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// The sentence that the spec says of it.
    pub description: String,
    /// `k3s`, `rke2`, `kubeadm` or `talos`.
    pub distribution: String,
    /// The version of Kubernetes that the spec names.
    pub version: String,
    /// Its world is a pretend one.
    pub simulated: bool,
    /// The environment on top of the spec.
    pub environment: Option<String>,
    /// How many nodes the spec has.
    pub nodes: usize,
    /// How many of them are Ready.
    pub nodes_ready: usize,
    /// Each layer.
    pub layers: Vec<Layer>,
    /// The run that goes on.
    pub running: Option<String>,
    /// The newest run.
    pub last_run: Option<RunSummary>,
    /// How many steps would make it as the spec says; none where nobody could look.
    pub drift: Option<usize>,
    /// When the first of its certificates ends.
    pub certificate_until: Option<u64>,
    /// When the newest bundle was made.
    pub backup_at: Option<u64>,
    /// When it was looked at.
    pub looked_at: Option<u64>,
    /// Somebody looks at it now.
    pub looking: bool,
    /// Why it cannot be looked at.
    pub fault: Option<String>,
}

/// A cluster.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Cluster {
    /// In a few words.
    pub summary: Summary,
    /// What is where.
    pub topology: Topology,
    /// Its releases.
    pub addons: Vec<Addon>,
    /// Certificates, the first to end first.
    pub certificates: Vec<Certificate>,
    /// Bundles, newest first.
    pub backups: Vec<Bundle>,
    /// What differs from the spec; none where nobody could look.
    pub drift: Option<Vec<Change>>,
    /// Its newest runs.
    pub runs: Vec<RunSummary>,
    /// What somebody should know, in sentences.
    pub findings: Vec<String>,
}

/// What is where.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Topology {
    /// Who makes machines.
    pub providers: Vec<Provider>,
    /// What stands before the cluster.
    pub balancers: Vec<Balancer>,
    /// Networks.
    pub networks: Vec<Network>,
    /// Who leads where.
    pub links: Vec<Link>,
}

/// A provider of machines.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// `proxmox`, `hetzner`, `existing` or `local`.
    pub kind: String,
    /// Its places: hypervisors, locations.
    pub places: Vec<Spot>,
}

/// A place of a provider.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Spot {
    /// Its name.
    pub name: String,
    /// What is there.
    pub machines: Vec<Machine>,
}

/// A machine.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// `server`, `agent`, `both` or `host`.
    pub role: String,
    /// `vm`, `container`, `server`, `host` or `local`.
    pub kind: &'static str,
    /// Its address.
    pub address: Option<String>,
    /// The provider's number.
    pub number: Option<u32>,
    /// Processor cores.
    pub cpus: Option<u32>,
    /// Memory.
    pub memory: Option<String>,
    /// The system disk.
    pub disk: Option<String>,
    /// How it is.
    pub state: State,
    /// In words.
    pub words: String,
}

/// A load balancer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Balancer {
    /// Its name.
    pub name: String,
    /// `haproxy`, or the provider that has it.
    pub kind: String,
    /// Its address.
    pub address: Option<String>,
    /// To whom it leads.
    pub targets: Vec<String>,
    /// How it is.
    pub state: State,
}

/// A network.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its range.
    pub cidr: String,
    /// `hosts`, `pods` or `services`.
    pub kind: &'static str,
    /// Addresses in it with a name.
    pub addresses: Vec<Named>,
}

/// An address with a name.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Named {
    /// The address.
    pub address: String,
    /// Whose it is.
    pub name: String,
}

/// Who leads where.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Link {
    /// From.
    pub from: String,
    /// To.
    pub to: String,
    /// `balances`.
    pub kind: &'static str,
}

/// A release.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Addon {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The chart.
    pub chart: String,
    /// The version that the spec names.
    pub version: Option<String>,
    /// The version that is there.
    pub seen: Option<String>,
    /// How it is.
    pub state: State,
    /// In words.
    pub words: String,
}

/// A certificate.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Certificate {
    /// Where it is.
    pub node: String,
    /// Its file or use.
    pub name: String,
    /// When it ends.
    pub until: u64,
    /// How that is.
    pub state: State,
}

/// A bundle.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// Where it is.
    pub place: String,
    /// Its file.
    pub name: String,
    /// When it was made.
    pub at: u64,
    /// Its size.
    pub bytes: u64,
    /// When its restore was last rehearsed.
    pub rehearsed_at: Option<u64>,
    /// What came of that.
    pub words: String,
}

/// One thing that differs from the spec.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Change {
    /// What.
    pub subject: String,
    /// Field by field.
    pub fields: Vec<Field>,
    /// What would be done about it, and why.
    pub words: String,
}

/// One field's difference.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Field {
    /// The field.
    pub path: String,
    /// What is there.
    pub from: Option<String>,
    /// What is wished. Secrets are holes, which show their names.
    pub to: Option<String>,
}

/// What a plan is asked for.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Wanted {
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
pub struct PlanWish {
    /// What is asked.
    pub ask: Wanted,
    /// The nodes to replace.
    #[serde(default)]
    pub nodes: Vec<String>,
    /// Only these parts; empty for all.
    #[serde(default)]
    pub only: Vec<String>,
}

/// A plan, as people read it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PlanShown {
    /// Its name here. It is kept until the next one.
    pub id: String,
    /// The digest of its steps: what is approved.
    pub fingerprint: String,
    /// What was asked.
    pub ask: String,
    /// When it was made.
    pub at: u64,
    /// Steps, in the order in which a person would do them.
    pub steps: Vec<Step>,
    /// What will not be done, or should be known.
    pub notes: Vec<Note>,
    /// A note blocks it.
    pub blocked: bool,
    /// Nothing is to be done.
    pub empty: bool,
    /// What it deletes.
    pub deletes: Vec<String>,
    /// What it takes out of service for a while.
    pub disturbs: Vec<String>,
    /// The name that has to be typed before it runs.
    pub takes: Option<String>,
}

/// A step of a plan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Step {
    /// Its name.
    pub id: String,
    /// Its heading.
    pub stage: String,
    /// What it is about.
    pub subject: String,
    /// The deed in words.
    pub title: String,
    /// The part of the spec that wants it.
    pub part: String,
    /// Why.
    pub reason: String,
    /// Steps that must be done before.
    pub needs: Vec<String>,
    /// `adds`, `changes`, `removes` or `moves`.
    pub weight: &'static str,
    /// Field by field.
    pub changes: Vec<Field>,
    /// More words, where nobody could say what differs.
    pub text: Option<String>,
}

/// A note of a plan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Note {
    /// What it is about.
    pub subject: String,
    /// What.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// It keeps the plan from running.
    pub blocks: bool,
}

/// A plan that is approved.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunWish {
    /// The plan.
    pub plan: String,
    /// Its fingerprint, as it was read.
    pub fingerprint: String,
    /// The cluster's name, where the plan asks for it.
    #[serde(default)]
    pub name: Option<String>,
}

/// A run that has begun.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Begun {
    /// Its name.
    pub run: String,
}

/// How often a run was asked to stop.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Stopped {
    /// Once starts nothing new, twice gives up what runs.
    pub times: u32,
}

/// All runs of a cluster.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Runs {
    /// They, newest first.
    pub runs: Vec<RunSummary>,
}

/// A run in a few words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunSummary {
    /// Its name.
    pub run: String,
    /// What was asked.
    pub ask: String,
    /// Its world was a pretend one, and so were its times.
    pub simulated: bool,
    /// When it began.
    pub wall: u64,
    /// Milliseconds until its last record.
    pub took: u64,
    /// `complete`, `failed`, `notConverged`, `interrupted` or `died`; none while it goes on.
    pub end: Option<String>,
    /// How many steps it has.
    pub steps: usize,
    /// Those that changed something.
    pub done: usize,
    /// Those that found everything true.
    pub already: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that never started.
    pub left: usize,
    /// How often something was tried again.
    pub retries: usize,
}

/// A run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Run {
    /// In a few words.
    pub summary: RunSummary,
    /// Its steps, in the order in which they were heard of.
    pub steps: Vec<RunStep>,
    /// The chain of steps that took longest; none where its plan is not known: journals do not say what a step needs.
    pub critical: Option<Vec<String>>,
    /// What the checks at its end came to.
    pub verify: Option<Verified>,
    /// What else is to be known of it, in sentences: who could not be told of its end, what of its journal cannot be read.
    pub notes: Vec<String>,
}

/// A step of a run. Times are milliseconds since the run began.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunStep {
    /// Its name.
    pub id: String,
    /// Its heading.
    pub stage: String,
    /// The deed in words.
    pub title: String,
    /// The part of the spec that wants it.
    pub part: String,
    /// `waiting`, `running`, `done`, `already`, `failed`, `skipped`, `cancelled` or `left`.
    pub state: &'static str,
    /// When it began.
    pub from: Option<u64>,
    /// When it ended.
    pub to: Option<u64>,
    /// The shared thing that it waits for, or waited for.
    pub waits_for: Option<String>,
    /// What it told.
    pub tells: Vec<Told>,
    /// Why it failed.
    pub failure: Option<Failed>,
}

/// Something that a step told.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Told {
    /// When.
    pub at: u64,
    /// What.
    pub message: String,
}

/// Why a step failed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Failed {
    /// What failed, and each cause below it.
    pub causes: Vec<String>,
    /// The last lines of the log that tells most.
    pub log: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// What checks came to.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Verified {
    /// How many hold.
    pub held: usize,
    /// How many there are.
    pub checks: usize,
    /// Those that do not, each with what was seen.
    pub wrong: Vec<String>,
}

/// All checks of a cluster.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Checks {
    /// They, in the spec's order.
    pub checks: Vec<Check>,
}

/// A check and what came of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Oldest first.
    pub results: Vec<Outcome>,
}

/// What came of a check.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// When.
    pub at: u64,
    /// It held.
    pub held: bool,
    /// What was seen.
    pub saw: String,
}

/// Why something was refused.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refusal {
    /// It.
    pub error: Refused,
}

/// Why something was refused.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refused {
    /// In a word for programs.
    pub code: &'static str,
    /// In words.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Each thing that is wrong, where there are several.
    pub details: Vec<String>,
}
