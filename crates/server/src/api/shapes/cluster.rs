//! Clusters: in a few words, and a page of each.

use schemars::JsonSchema;
use serde::Serialize;

use super::plan::Change;
use super::run::RunSummary;

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
