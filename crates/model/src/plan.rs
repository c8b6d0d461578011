//! The ordered deeds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::applications::DesiredApplications;
use crate::bundle::{BundleName, DesiredBundle, Shelf};
use crate::change::{FieldChange, Reason, Subject};
use crate::cloud::{CloudId, DesiredResource, Stray};
use crate::condition::Condition;
use crate::desired::{DesiredBackupJob, DesiredHost, DesiredLoadBalancer, DesiredMachine, DesiredRelease, Way};
use crate::digest::Digest;
use crate::doctor::Repairs;
use crate::host::HostResource;
use crate::ids::{
    ClusterName, LeaseName, Namespace, NodeName, ObjectName, Owner, PlaceName, ProviderName, ReleaseName, StepId, Vmid,
};
use crate::object::{Manifest, ObjectId};
use crate::recipe::Recipe;
use crate::rotation::{KeyPart, Rotation, SecretPart};
use crate::spec::backup::Keep;
use crate::units::Span;
use crate::vault::DesiredVault;

/// The version of a plan's JSON. A reader refuses versions that it does not know.
pub const PLAN_FORMAT: u32 = 1;

/// What is asked of the planner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ask {
    /// Make the world as the spec says.
    Apply,
    /// Make these nodes anew.
    Replace(Vec<NodeName>),
    /// Make those nodes anew that were made from another template than the spec has now: all agents, and one server.
    ReplaceOutdated,
    /// Make everything anew.
    Rebuild,
    /// Take everything away that is ours.
    Destroy,
    /// Save the datastore, and everything else that is worth it where that is wished.
    Backup,
    /// Start these hosts again, one after the other.
    Reboot(Vec<NodeName>),
    /// The same of those that say they have to be started again.
    RebootNeeded(Vec<NodeName>),
    /// Upgrade the operating system's packages of these hosts, one after the other, and start those again that want it.
    UpdateOs(Vec<NodeName>),
    /// Repair what doctor has found.
    Repair(Box<Repairs>),
    /// Put what was saved of the datastore back, on the machines that are there.
    Restore,
    /// Make keys or certificates anew, one member after the other.
    Rotate(Rotation),
}

/// As the command that asks for it: `replace k3s-agent-1 k3s-agent-2`.
impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, nodes): (&str, &[NodeName]) = match self {
            Self::Apply => ("apply", &[]),
            Self::Replace(nodes) => ("replace", nodes),
            Self::Reboot(nodes) => ("reboot", nodes),
            Self::RebootNeeded(nodes) => ("reboot --if-needed", nodes),
            Self::UpdateOs(nodes) => ("update-os", nodes),
            Self::ReplaceOutdated => ("replace --outdated", &[]),
            Self::Rebuild => ("rebuild", &[]),
            Self::Destroy => ("destroy", &[]),
            Self::Backup => ("backup", &[]),
            Self::Repair(_) => ("doctor --fix", &[]),
            Self::Restore => ("restore", &[]),
            Self::Rotate(what) => return write!(f, "rotate {what}"),
        };
        f.write_str(word)?;
        nodes.iter().try_for_each(|node| write!(f, " {node}"))
    }
}

/// Steps in order, plus notes. Safe to save and to show: it holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_FORMAT`] of the program that made it.
    pub format: u32,
    /// The cluster.
    pub cluster: ClusterName,
    /// What was asked; of outdated nodes, which these are: [`Ask::Replace`]; likewise of reboots.
    pub ask: Ask,
    /// What to do, in an order that a person would do it in. A step needs only earlier steps.
    pub steps: Vec<Step>,
    /// What will not be done, or should be known.
    pub notes: Vec<Note>,
    /// Tells two plans apart.
    pub fingerprint: Fingerprint,
    /// What steps that install releases make of their objects. It is told, and no plan is held against it: what charts make
    /// of chance is another thing each time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rendered: BTreeMap<StepId, Rendering>,
}

/// What becomes of the objects of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rendering {
    /// What differs, object by object and field by field.
    Fields(Vec<FieldChange>),
    /// Nobody could render them, because.
    Unknown(String),
}

/// The digest of a plan's steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub Digest);

impl Plan {
    /// Puts steps and notes together.
    pub fn new(cluster: ClusterName, ask: Ask, steps: Vec<Step>, notes: Vec<Note>) -> Self {
        let fingerprint = Fingerprint(Digest::of_value(&steps));
        Self { format: PLAN_FORMAT, cluster, ask, steps, notes, fingerprint, rendered: BTreeMap::new() }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether there is something to do, and all of it is waiting.
    pub fn only_waits(&self) -> bool {
        !self.is_empty()
            && self.steps.iter().all(|step| matches!(step.action, Action::Wait { .. } | Action::SettleApplications(_)))
    }

    /// Whether something that was asked cannot be done.
    pub fn is_blocked(&self) -> bool {
        self.notes.iter().any(|note| note.weight == Weight::Blocks)
    }

    /// The step with this id.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == *id)
    }
}

/// A heading for people, and the word for `--only`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Machines are made.
    Machines,
    /// Hosts are set up.
    Hosts,
    /// Load balancers stand before the cluster.
    LoadBalancers,
    /// The control plane runs.
    ControlPlane,
    /// Agents join.
    Workers,
    /// The cluster gets its objects and releases.
    Addons,
    /// What has to go goes.
    Removal,
    /// Backups.
    Backup,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 8] = [
        Self::Machines,
        Self::Hosts,
        Self::LoadBalancers,
        Self::ControlPlane,
        Self::Workers,
        Self::Addons,
        Self::Removal,
        Self::Backup,
    ];

    /// The stage's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Machines => "machines",
            Self::Hosts => "hosts",
            Self::LoadBalancers => "load-balancers",
            Self::ControlPlane => "control-plane",
            Self::Workers => "workers",
            Self::Addons => "addons",
            Self::Removal => "removal",
            Self::Backup => "backup",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One fully specified deed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The step's name, made of its deed and its subject.
    pub id: StepId,
    /// The heading.
    pub stage: Stage,
    /// What it is about.
    pub subject: Subject,
    /// The deed.
    pub action: Action,
    /// Field by field, for people.
    pub fields: Vec<FieldChange>,
    /// Why.
    pub reason: Reason,
    /// Steps that must be done before; all stand earlier in the plan.
    pub needs: Vec<StepId>,
    /// Shared things that are held while it runs.
    pub takes: Vec<Lease>,
    /// The add-on or section of the spec that wants it, for `--only`; empty when the stage says enough.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part: String,
}

impl Step {
    /// The nodes that are all Ready when it is done.
    pub fn readies(&self) -> &[NodeName] {
        match &self.action {
            Action::Wait { condition: Condition::NodesReady { nodes, at_least }, .. } if *at_least == nodes.len() => {
                nodes
            }
            _ => &[],
        }
    }

    /// The step in a few words, for people.
    pub fn title(&self) -> String {
        match &self.action {
            Action::CreateMachine(machine) => format!("create machine {}", machine.name),
            Action::UpdateMachine(machine) => format!("change machine {}", machine.name),
            Action::StartMachine { name, .. } => format!("start machine {name}"),
            Action::RestartMachine { name, becomes: Some(_), .. } => format!("change machine {name} while it is off"),
            Action::RestartMachine { name, .. } => format!("restart machine {name}"),
            Action::RebootHost { host, .. } => format!("reboot {host}"),
            Action::UpdateHost { host, .. } => format!("upgrade the packages of {host}"),
            Action::RotateKey { file, part } => part.title(file),
            Action::RotateSecret { secret, part } => part.title(secret),
            Action::FenceMachine { name, .. } => format!("shut machine {name} off"),
            Action::TurnIntoTemplate { name, .. } => format!("turn {name} into a template"),
            Action::DeleteMachine { name, .. } => format!("delete machine {name}"),
            Action::TakeSnapshot { name, .. } => format!("snapshot machine {name}"),
            Action::DeleteSnapshots { name, snapshots, .. } => match snapshots.as_slice() {
                [only] => format!("delete snapshot {only} of {name}"),
                many => format!("delete {} snapshots of {name}", many.len()),
            },
            Action::SetBackupJob(job) => format!("set the backup job at {}", job.provider),
            Action::DeleteBackupJob { provider } => format!("delete the backup job at {provider}"),
            Action::SetResource(wish) => format!("set {}", wish.id()),
            Action::DeleteResource { resource, .. } => format!("delete {resource}"),
            Action::DeleteStray { stray, .. } => format!("delete {stray}, which the cluster made"),
            Action::SetLoadBalancer(balancer) => format!("set load balancer {}", balancer.name),
            Action::DeleteLoadBalancer { name, .. } => format!("delete load balancer {name}"),
            Action::ChangeHost(change) => match change.make.as_slice() {
                [] => format!("leave {} as it was before ({} things)", change.host, change.unmake.len()),
                [only] => format!("{} on {}", only.key(), change.host),
                many => format!("set up host {} ({} things)", change.host, many.len()),
            },
            Action::RunRecipe { host, recipe, .. } => format!("{} on {host}", recipe.title),
            Action::Cordon(node) => format!("cordon {node}"),
            Action::Drain { node, .. } => format!("drain {node}"),
            Action::Uncordon(node) => format!("uncordon {node}"),
            Action::MarkNode(marks) => format!("set labels and taints of {}", marks.node),
            Action::ForgetMember(node) => format!("take {node} out of the cluster"),
            Action::ApplyObjects(objects) => match &self.subject {
                Subject::Objects(name) if objects.len() == 1 => format!("apply {name} (1 object)"),
                Subject::Objects(name) => format!("apply {name} ({} objects)", objects.len()),
                subject => format!("apply {subject}"),
            },
            Action::SetImage(wish) => format!("set the image of {wish}"),
            Action::TakeObjects(objects) => {
                let names = objects.iter().filter_map(|object| object.id().ok()).map(|id| id.to_string());
                format!("take {} from whoever else has set it", names.collect::<Vec<_>>().join(", "))
            }
            Action::DeleteObjects(objects) => match objects.as_slice() {
                [only] => format!("delete {only}"),
                many => format!("delete {} objects", many.len()),
            },
            Action::InstallRelease(release) => format!("install {} into {}", release.name, release.namespace),
            Action::RemoveRelease { name, .. } => format!("remove release {name}"),
            Action::Wait { condition, .. } => format!("wait until {condition}"),
            Action::ConfigureVault(_) => "unseal Vault and set it up".into(),
            Action::PackBundle(bundle) => format!("pack {} into {}", bundle.name, bundle.to),
            Action::PruneBundles { from, .. } => format!("delete bundles that are not kept any more from {from}"),
            Action::SettleApplications(wish) => {
                format!("wait until {}, and help those that are stuck", Condition::Applications(wish.check.clone()))
            }
        }
    }
}

/// A shared thing with a width.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lease {
    /// The thing: `clone/proxade/local-lvm`, `etcd`.
    pub thing: LeaseName,
    /// How many may hold it at once.
    pub width: u16,
}

impl Lease {
    /// A shared thing and how many may hold it at once.
    pub fn new(thing: impl Into<LeaseName>, width: u16) -> Self {
        Self { thing: thing.into(), width }
    }
}

/// Labels and taints of a node that are ours to set and to take away. All others stay: the API holds taints as one list,
/// which whoever applies a part of it replaces as a whole, so they are no manifest.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeMarks {
    /// Which node.
    pub node: NodeName,
    /// Labels that it has afterwards.
    pub labels: BTreeMap<String, String>,
    /// Keys of labels that it does not have afterwards.
    pub without_labels: Vec<String>,
    /// Taints that it has afterwards.
    pub taints: Vec<String>,
    /// Taints that it does not have afterwards.
    pub without_taints: Vec<String>,
}

impl NodeMarks {
    /// Whether a taint that the node gets drives away the pods that do not tolerate it.
    /// <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>
    pub fn evicts(&self) -> bool {
        self.taints.iter().any(|taint| taint.ends_with(":NoExecute"))
    }
}

/// The image of a DaemonSet that a distribution has made and upgrades no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadImage {
    /// Its namespace.
    pub namespace: Namespace,
    /// The DaemonSet.
    pub name: ObjectName,
    /// The container.
    pub container: String,
    /// What it runs from afterwards.
    pub image: String,
}

impl fmt::Display for WorkloadImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DaemonSet {}/{}", self.namespace, self.name)
    }
}

/// A deed. The enum is closed: a new kind makes the compiler list every place to teach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Make a machine; it is off afterwards.
    CreateMachine(Box<DesiredMachine>),
    /// Change a machine where it is.
    UpdateMachine(Box<DesiredMachine>),
    /// Turn a machine on and wait for its host.
    StartMachine {
        /// Whose.
        provider: ProviderName,
        /// Which.
        name: NodeName,
        /// How its host is reached.
        way: Way,
        /// First let its hypervisor start it too, which a machine that was not complete yet was made without.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        boots: bool,
    },
    /// Shut a machine down and turn it on again, and wait until its host works as before.
    RestartMachine {
        /// Whose.
        provider: ProviderName,
        /// Which.
        name: NodeName,
        /// How its host is reached.
        way: Way,
        /// What is written on its hypervisor while it is off. A run that is cut off in between leaves a machine that is off,
        /// and so the next one knows that something is left to do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        meanwhile: Option<HostChange>,
        /// What it becomes at its provider while it is off, where it can become that at no other time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        becomes: Option<Box<DesiredMachine>>,
    },
    /// Start a host again from within, and wait until it works as before.
    RebootHost {
        /// Which host.
        host: NodeName,
        /// How it is reached.
        way: Way,
        /// Its [`Boot::id`](crate::facts::Boot) before: once that is another one, it has been started again.
        boot: String,
    },
    /// Upgrade the packages of a host's operating system; where they want it, start it again and wait until it works as
    /// before.
    UpdateHost {
        /// Which host.
        host: NodeName,
        /// How it is reached.
        way: Way,
    },
    /// Put another SSH key in the place of one that lies on this computer: one part of it.
    RotateKey {
        /// The key's file, as the spec names it.
        file: Arc<str>,
        /// Which part.
        part: KeyPart,
    },
    /// Put another secret in the place of one that is kept on this computer: one part of it.
    RotateSecret {
        /// The secret's name.
        secret: String,
        /// Which part.
        part: SecretPart,
    },
    /// Shut a machine off at once, without its host: nobody reaches that, and nothing of it may run any more.
    FenceMachine {
        /// Whose.
        provider: ProviderName,
        /// Which.
        name: NodeName,
    },
    /// Have a provider keep the state of a machine's disks, without its memory.
    TakeSnapshot {
        /// Whose.
        provider: ProviderName,
        /// Which machine.
        name: NodeName,
        /// The snapshot's name, which carries our mark.
        snapshot: String,
    },
    /// Delete snapshots of a machine that are ours.
    DeleteSnapshots {
        /// Whose.
        provider: ProviderName,
        /// Which machine.
        name: NodeName,
        /// The snapshots' names.
        snapshots: Vec<String>,
    },
    /// Shut a machine down and make a template of it, which never starts again.
    TurnIntoTemplate {
        /// Whose.
        provider: ProviderName,
        /// Which.
        name: NodeName,
    },
    /// Have a provider back machines up on a schedule.
    SetBackupJob(Box<DesiredBackupJob>),
    /// Have it back them up no more. The backups that there are stay.
    DeleteBackupJob {
        /// Whose.
        provider: ProviderName,
    },
    /// Delete a machine with its disks.
    DeleteMachine {
        /// Whose.
        provider: ProviderName,
        /// Where it was seen.
        place: PlaceName,
        /// Which.
        name: NodeName,
        /// Its number, where the provider has numbers.
        vmid: Option<Vmid>,
        /// The mark that it must carry.
        owner: Owner,
    },
    /// Make what a cloud keeps around servers, or change it.
    SetResource(Box<DesiredResource>),
    /// Delete what a cloud keeps around servers.
    DeleteResource {
        /// Whose.
        provider: ProviderName,
        /// Which.
        resource: CloudId,
    },
    /// Delete what the cluster itself has made at its cloud.
    DeleteStray {
        /// Whose.
        provider: ProviderName,
        /// Which.
        stray: Stray,
    },
    /// Make a load balancer, or change it.
    SetLoadBalancer(Box<DesiredLoadBalancer>),
    /// Delete a load balancer.
    DeleteLoadBalancer {
        /// Whose.
        provider: ProviderName,
        /// Which.
        name: ClusterName,
    },
    /// Make these things true of a host.
    ChangeHost(HostChange),
    /// Run a distribution's recipe on a host.
    RunRecipe {
        /// On which host.
        host: NodeName,
        /// How it is reached.
        way: Way,
        /// What to do.
        recipe: Arc<Recipe>,
    },
    /// Have a workload that is not ours run from another image: nothing else of it.
    SetImage(Box<WorkloadImage>),
    /// Put no new pods on a node.
    Cordon(NodeName),
    /// Move a node's pods away, as their disruption budgets allow.
    Drain {
        /// Which node.
        node: NodeName,
        /// How long it may take.
        timeout: Span,
    },
    /// Put pods on a node again.
    Uncordon(NodeName),
    /// Set and take away labels and taints of a node.
    MarkNode(Box<NodeMarks>),
    /// Take a node, and its etcd member if it has one, out of the cluster's books.
    ForgetMember(NodeName),
    /// Apply objects.
    ApplyObjects(Vec<Manifest>),
    /// Apply objects, and take the fields that others have set: only those that were asked for by name.
    TakeObjects(Vec<Manifest>),
    /// Delete objects that are ours.
    DeleteObjects(Vec<ObjectId>),
    /// Install or upgrade a release.
    InstallRelease(Box<DesiredRelease>),
    /// Remove a release.
    RemoveRelease {
        /// Which.
        name: ReleaseName,
        /// Where.
        namespace: Namespace,
    },
    /// Wait until something holds.
    Wait {
        /// What.
        condition: Condition,
        /// How long at most.
        timeout: Span,
    },
    /// Wait until Argo CD's applications are as they should be, and do for those that are stuck what is known to help:
    /// a [`Remedy`](crate::applications::Remedy), and nothing else.
    SettleApplications(Box<DesiredApplications>),
    /// Initialise Vault where it is not, unseal those of its servers that are sealed, and set what differs in it.
    ConfigureVault(Box<DesiredVault>),
    /// Pack everything that a cluster is made anew from into one encrypted file, and put that where it is kept.
    PackBundle(Box<DesiredBundle>),
    /// Delete bundles of this cluster that are more than are kept.
    PruneBundles {
        /// Where they are.
        from: Shelf,
        /// How many stay.
        keep: Keep,
        /// The one that was just made, which stays in any case.
        newest: BundleName,
    },
}

/// What is to become true of one host in one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostChange {
    /// Which host.
    pub host: NodeName,
    /// How it is reached.
    pub way: Way,
    /// Whose the host is from then on, which is written down there; none for a host that is nobody's own, as a hypervisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The resources that differ, in order.
    pub make: Vec<HostResource>,
    /// Keys of [`crate::observed::HostSeen::ours`]: what we put there goes, and what was there before comes back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmake: Vec<String>,
}

impl HostChange {
    /// What makes these things true of a host, and takes nothing away.
    pub fn making(host: &DesiredHost, owner: Option<&Owner>, make: Vec<HostResource>) -> Self {
        let (name, way) = (host.name.clone(), host.way.clone());
        Self { host: name, way, owner: owner.cloned(), make, unmake: Vec::new() }
    }
}

/// How much a note weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Good to know.
    Tells,
    /// Something is left as it is, and should not stay so.
    Warns,
    /// Something that was asked cannot be done now.
    Blocks,
}

/// What will not be done, or should be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// How much it weighs.
    pub weight: Weight,
    /// What it is about.
    pub subject: Subject,
    /// What, in one sentence without a full stop.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The stages that it is about; all of them where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
}

/// A plan that breaks a promise. It is a bug of ours, found before anything was touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The promise, by name.
    pub rule: String,
    /// The step that breaks it.
    pub step: Option<StepId>,
    /// How.
    pub message: String,
}
