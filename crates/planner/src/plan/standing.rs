//! Where each node stands before anything is done: the one place that turns sight into "may be acted on".

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kubewright_model::change::Subject;
use kubewright_model::desired::{Body, Desired, DesiredHost, DesiredMachine, DesiredMember, PROXMOX};
use kubewright_model::ids::{NodeName, Owner, PlaceName, ProviderName, Vmid};
use kubewright_model::observed::{ClusterSeen, HostSeen, MachineSeen, NodeSeen, Observed, Power, Seen, Why};
use kubewright_model::plan::{Note, Weight};
use kubewright_model::version::{Follows, Version};

use super::draft::UNPROTECT;
use super::fencing::fenced;
use super::{moved, unread};
use crate::diff::cluster::{other_role, unwanted_nodes};
use crate::diff::host::of_another;
use crate::diff::machine::{self, InTheWay};
use crate::holders::Holders;

/// Where a node's machine stands.
pub(super) enum Standing<'a> {
    /// It is to be made.
    ToMake,
    /// It is there and off.
    Off(&'a MachineSeen),
    /// It runs, and its host answered.
    Answers(&'a MachineSeen, &'a HostSeen),
    /// The same, and it is a member in another role than is wished: it leaves, is set up anew and joins again.
    Rejoins(&'a MachineSeen),
    /// Nothing is done to it, and the note says why.
    Blocked,
}

/// A node with all that is wished and known of it.
pub(super) struct Node<'a> {
    pub(super) machine: &'a DesiredMachine,
    pub(super) host: &'a DesiredHost,
    pub(super) member: Option<&'a DesiredMember>,
    pub(super) standing: Standing<'a>,
    /// The node as Kubernetes has it, unless it is to be made anew.
    pub(super) seen: Option<&'a NodeSeen>,
}

impl Node<'_> {
    /// The node's name.
    pub(super) fn name(&self) -> &NodeName {
        &self.machine.name
    }

    /// Where its machine is, or will be made.
    pub(super) fn place(&self) -> &PlaceName {
        match self.standing {
            Standing::Off(seen) | Standing::Answers(seen, _) | Standing::Rejoins(seen) => &seen.place,
            Standing::ToMake | Standing::Blocked => &self.machine.place,
        }
    }

    /// The host's state, when it answered.
    pub(super) fn answers(&self) -> Option<&HostSeen> {
        match self.standing {
            Standing::Answers(_, host) => Some(host),
            Standing::ToMake | Standing::Off(_) | Standing::Rejoins(_) | Standing::Blocked => None,
        }
    }

    /// Whether its host answers and holds nothing of any cluster: where the books have it, they mean an older one.
    pub(super) fn is_blank(&self) -> bool {
        self.answers().is_some_and(|host| !host.is_member())
    }

    /// Whether nothing may be done to it.
    pub(super) fn blocked(&self) -> bool {
        matches!(self.standing, Standing::Blocked)
    }
}

/// What is known of the cluster.
pub(super) enum ClusterView<'a> {
    /// Nobody could look.
    Unknown(String),
    /// No member of a control plane runs anywhere.
    Absent,
    /// It answers.
    Present(&'a ClusterSeen),
}

/// All nodes, in the order of the file.
pub(super) struct Standings<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) cluster: ClusterView<'a>,
    /// What of ours stands in the way of new machines.
    pub(super) in_the_way: InTheWay<'a>,
    /// Machines of ours that cannot be read, whether the spec knows them or not.
    pub(super) unread: BTreeSet<&'a NodeName>,
    notes: Vec<Note>,
}

impl<'a> Standings<'a> {
    /// Judges every node. `anew` names those that are to be made again although they are there.
    pub(super) fn new(
        desired: &'a Desired,
        observed: &'a Observed,
        holders: &Holders<'_>,
        anew: &BTreeSet<NodeName>,
    ) -> Self {
        let cluster = match &observed.cluster {
            None => ClusterView::Unknown("nobody looked at the cluster".into()),
            Some(Seen::Unknown(why)) => ClusterView::Unknown(why.to_string()),
            Some(Seen::Absent) => ClusterView::Absent,
            Some(Seen::Present(seen)) => ClusterView::Present(seen),
        };
        let books = observed.cluster.as_ref().and_then(Seen::present);
        let judge = Judge {
            desired,
            observed,
            books,
            strangers: books.map(|books| strangers(desired, books)).unwrap_or_default(),
            hosts: desired.hosts.iter().map(|host| (&host.name, host)).collect(),
            obstacles: Obstacles::new(observed, &desired.owner),
            in_the_way: machine::in_the_way(desired, observed),
            elsewhere: machine::moved(desired, observed).into_iter().map(|(name, at, _)| (name, at)).collect(),
            holders,
            replaces: !anew.is_empty(),
        };
        let members: BTreeMap<&NodeName, &DesiredMember> =
            desired.members.iter().map(|member| (&member.name, member)).collect();
        let mut notes = blind_providers(desired, observed);
        notes.extend(unread::notes(desired, observed, anew));
        notes.extend(later(desired, observed, anew));
        let nodes = desired.machines.iter().filter_map(|machine| {
            let again = anew.contains(&machine.name);
            let lost = matches!(machine::seen(machine, observed), Seen::Absent);
            let member = members.get(&machine.name).copied();
            // Whose machine is gone is a member in the books only.
            let seen = judge.books.and_then(|books| books.nodes.get(&machine.name)).filter(|_| !again && !lost);
            let standing = judge.standing(machine, member, seen, again).unwrap_or_else(|(message, help)| {
                let subject = Subject::Machine(machine.name.clone());
                let host = observed.hosts.get(&machine.name);
                notes.push(if left_out(member, seen, host) && judge.placed(machine).is_ok() {
                    let help =
                        help.map_or_else(String::new, |help| format!("{help}; ")) + "it is left out until it answers";
                    Note { weight: Weight::Warns, subject, message, help: Some(help), stages: Vec::new() }
                } else {
                    Note { weight: Weight::Blocks, subject, message, help, stages: Vec::new() }
                });
                Standing::Blocked
            });
            let mut node = Node { machine, host: judge.hosts.get(&machine.name)?, member, standing, seen };
            node.seen = node.seen.filter(|_| !node.is_blank() && !matches!(node.standing, Standing::Rejoins(_)));
            Some(node)
        });
        let nodes = nodes.collect();
        let unread = machine::inventories(observed).flat_map(|(_, inventory)| &inventory.unread);
        let unread = unread.filter_map(|it| it.name.as_ref()).collect();
        Self { nodes, cluster, in_the_way: judge.in_the_way, unread, notes }
    }

    /// Why nodes are blocked.
    pub(super) fn notes(&self) -> impl Iterator<Item = Note> + '_ {
        self.notes.iter().cloned()
    }

    /// Where machines are now, and stay.
    pub(super) fn places(&self) -> BTreeMap<&'a NodeName, &'a PlaceName> {
        let places = self.nodes.iter().filter_map(|node| match node.standing {
            Standing::Off(seen) | Standing::Answers(seen, _) | Standing::Rejoins(seen) => {
                Some((&node.machine.name, &seen.place))
            }
            Standing::ToMake | Standing::Blocked => None,
        });
        places.collect()
    }

    /// The cluster's sight, when it answers.
    pub(super) fn cluster_seen(&self) -> Option<&'a ClusterSeen> {
        match self.cluster {
            ClusterView::Present(seen) => Some(seen),
            ClusterView::Unknown(_) | ClusterView::Absent => None,
        }
    }
}

/// A member leaves as what it was before it joins as what it is to be, or is a node no more; for that its host has to
/// answer.
fn in_its_role<'a>(
    standing: Standing<'a>,
    member: Option<&DesiredMember>,
    seen: Option<&NodeSeen>,
) -> Result<Standing<'a>, Refusal> {
    let differs = seen.is_some_and(|seen| other_role(member, seen));
    match standing {
        Standing::Off(_) if differs => {
            let help = "turn it on by hand, then plan again; or take the change of its role back".to_string();
            Err(("it is off, and its role in the cluster can only be changed while it runs".into(), Some(help)))
        }
        Standing::Answers(machine, host) if differs && host.is_member() => Ok(Standing::Rejoins(machine)),
        // A run that was cut off took it out of the books, and it serves on.
        Standing::Answers(machine, host)
            if seen.is_none() && host.serves() && member.is_some_and(|it| !it.role.is_server()) =>
        {
            Ok(Standing::Rejoins(machine))
        }
        other => Ok(other),
    }
}

/// Why nothing is done to a machine, and what to do.
pub(super) type Refusal = (String, Option<String>);

/// Its host does not let us look.
fn unseen(why: &Why) -> Refusal {
    (format!("the host cannot be looked at: {why}"), why.help.clone())
}

/// What every node is judged by.
struct Judge<'a, 'h> {
    desired: &'a Desired,
    observed: &'a Observed,
    /// The cluster's books, when it answers.
    books: Option<&'a ClusterSeen>,
    /// Nodes of ours that the spec does not know, by their addresses.
    strangers: BTreeMap<IpAddr, &'a NodeName>,
    hosts: BTreeMap<&'a NodeName, &'a DesiredHost>,
    obstacles: Obstacles<'a>,
    in_the_way: InTheWay<'a>,
    /// Machines that another provider has.
    elsewhere: BTreeMap<&'a NodeName, &'a ProviderName>,
    holders: &'h Holders<'h>,
    /// Some nodes are to be made anew, and nothing else was asked for.
    replaces: bool,
}

impl<'a> Judge<'a, '_> {
    /// Whether a machine is where the spec has it.
    fn placed(&self, machine: &DesiredMachine) -> Result<(), Refusal> {
        moved::in_its_place(machine, self.desired, self.observed, self.books, &self.elsewhere)
    }

    /// Where a node stands, or why nothing is done to it. `again`: it is to be made anew although it is there.
    fn standing(
        &self,
        machine: &'a DesiredMachine,
        member: Option<&DesiredMember>,
        seen: Option<&NodeSeen>,
        again: bool,
    ) -> Result<Standing<'a>, Refusal> {
        self.placed(machine)?;
        if let Some((message, help)) = of_another(&machine.name, self.desired, self.observed) {
            return Err((message, Some(help)));
        }
        let standing = match machine::seen(machine, self.observed) {
            // Whoever has turned it off knows why it is off: it is for people to turn on.
            Seen::Present(there) if !again && self.desired.fences && fenced(seen) && there.power == Power::Stopped => {
                let help = format!("turn its machine on, or `kubewright replace {}`", machine.name);
                return Err(("it was fenced, and its machine is off".into(), Some(help)));
            }
            // Its provider has a note of its own, and so has its place: one for all machines.
            Seen::Unknown(_) => Standing::Blocked,
            // A host that was there before us is left clean and set up anew; nobody makes its machine.
            Seen::Present(there) if again && *machine.body == Body::Existing => {
                match self.observed.hosts.get(&machine.name).and_then(Seen::why_unknown) {
                    Some(why) => return Err(unseen(why)),
                    None => Standing::Off(there),
                }
            }
            _ if again => Standing::ToMake,
            // Its turn comes later, which [`later`] tells.
            Seen::Present(there) if self.replaces && !machine::refused(machine, there).is_empty() => Standing::Blocked,
            there => judge(machine, self.desired, there, self.observed, &self.obstacles)?,
        };
        match standing {
            Standing::ToMake => servers_in_the_way(machine, &self.in_the_way, self.holders)?,
            _ => self.under_another_name(machine)?,
        }
        if matches!(standing, Standing::ToMake | Standing::Off(_)) {
            hypervisor(machine, &self.hosts, self.observed)?;
        }
        // Of whoever has stood down the books tell of a life before: it joins with the version that is wished.
        let holds = |host: &HostSeen| host.is_member() || host.is_half_a_member() || host.may_vote();
        let stood_down = matches!(standing, Standing::Answers(_, host) if !holds(host));
        skew(self.desired, seen.filter(|_| !stood_down))?;
        match self.books {
            Some(_) => self.unprotected(in_its_role(standing, member, seen)?),
            None => Ok(standing),
        }
    }

    /// A host that was there before us and is a node under a name that the spec does not know any more: what is on it,
    /// and its member of etcd, go by the old name.
    fn under_another_name(&self, machine: &DesiredMachine) -> Result<(), Refusal> {
        let known = self.books.is_some_and(|books| books.nodes.contains_key(&machine.name));
        let asked = *machine.body == Body::Existing && !known;
        match machine.address.filter(|_| asked).and_then(|address| self.strangers.get(&address)) {
            None => Ok(()),
            Some(old) => {
                let help = format!(
                    "keep the name {old}; or take the host out of the spec, apply, and put it back as {}",
                    machine.name
                );
                Err((format!("its host is the node {old}, and a node keeps its name"), Some(help)))
            }
        }
    }

    /// A change of role leaves nothing of the old member behind, which a protected cluster does not allow.
    fn unprotected(&self, standing: Standing<'a>) -> Result<Standing<'a>, Refusal> {
        match standing {
            Standing::Rejoins(_) if self.desired.protected => {
                let message = "its role changes, which takes it out of the cluster: the cluster is protected";
                Err((message.into(), Some(UNPROTECT.into())))
            }
            other => Ok(other),
        }
    }
}

/// What to do about what is being made: what an earlier run has begun is ours as soon as it is there.
pub(super) const BEING_MADE: &str =
    "plan again in some minutes, and delete nothing: a run that was cut off may have begun it";

/// What is not ours and stands where we would build.
struct Obstacles<'a> {
    names: BTreeSet<(&'a ProviderName, &'a str)>,
    /// The name, and whether it is being made.
    vmids: BTreeMap<(&'a ProviderName, Vmid), (&'a str, bool)>,
}

impl<'a> Obstacles<'a> {
    fn new(observed: &'a Observed, owner: &Owner) -> Self {
        let mut obstacles = Self { names: BTreeSet::new(), vmids: BTreeMap::new() };
        for (provider, inventory) in machine::inventories(observed) {
            let foreign = inventory.machines.iter().filter(|(_, seen)| seen.owner != *owner);
            let foreign = foreign.map(|(name, seen)| (name.as_str(), seen.vmid, false));
            let taken = inventory.taken.iter().map(|taken| (taken.name.as_str(), taken.vmid, taken.being_made));
            for (name, vmid, being_made) in foreign.chain(taken) {
                obstacles.names.insert((provider, name));
                if let Some(vmid) = vmid {
                    obstacles.vmids.insert((provider, vmid), (name, being_made));
                }
            }
        }
        obstacles
    }

    fn before(&self, machine: &DesiredMachine) -> Option<Refusal> {
        let help = || Some("choose another, or remove what is there by hand".into());
        if let Some(vmid) = machine.vmid
            && let Some((name, being_made)) = self.vmids.get(&(&machine.provider, vmid))
        {
            return Some(match being_made {
                true => (
                    format!("VMID {vmid} is being made at this moment: whose it is shows when it is done"),
                    Some(BEING_MADE.into()),
                ),
                false => (format!("VMID {vmid} belongs to `{name}`, which is not ours"), help()),
            });
        }
        let taken = self.names.contains(&(&machine.provider, machine.name.as_str()));
        taken.then(|| (format!("the name `{}` belongs to a machine that is not ours", machine.name), help()))
    }
}

/// Of what stands in the way of a new machine, agents leave before it is made. Servers leave when others have joined, so
/// nothing may wait for them to go.
fn servers_in_the_way(
    machine: &DesiredMachine,
    in_the_way: &InTheWay<'_>,
    holders: &Holders<'_>,
) -> Result<(), Refusal> {
    let ways = in_the_way.get(&machine.name).into_iter().flatten();
    match ways.into_iter().find(|(name, _)| holders.all.contains(name)) {
        None => Ok(()),
        Some((name, held)) => {
            let help = format!(
                "give it another number and address, which lets both be there for a while; or keep the name {name}"
            );
            Err((format!("{name}, which may be a server of the cluster, holds {held}"), Some(help)))
        }
    }
}

/// A container starts with what its hypervisor holds for it, so a hypervisor that cannot be reached keeps it from being
/// made and from being started.
fn hypervisor(
    machine: &DesiredMachine,
    hosts: &BTreeMap<&NodeName, &DesiredHost>,
    observed: &Observed,
) -> Result<(), Refusal> {
    let Body::Lxc(_) = &*machine.body else { return Ok(()) };
    let place = &machine.place;
    let wished = hosts.get(&NodeName::new(place.as_str())).filter(|host| host.machine.is_none());
    let Some(seen) = wished.and_then(|host| observed.hosts.get(&host.name)) else { return Ok(()) };
    let ssh = match machine.provider.as_str() {
        PROXMOX => "providers.proxmox.ssh".to_string(),
        further => format!("providers.proxmoxClusters.{further}.ssh"),
    };
    let address = format!("where {place} is reached is `{ssh}.addresses: {{ {place}: ADDRESS }}`");
    if let Some(why) = seen.why_unknown() {
        let help = format!("root's key for the Proxmox hosts is `{ssh}.keyFile`, and {address}");
        return Err((format!("its hypervisor {place} could not be looked at: {why}"), Some(help)));
    }
    let named = seen.present().and_then(|seen| seen.settings.get("hostname"));
    match named.and_then(|name| name.split('.').next()).filter(|name| *name != place.as_str()) {
        None => Ok(()),
        Some(name) => Err((format!("the host in the place of its hypervisor {place} is named {name}"), Some(address))),
    }
}

/// Nodes of ours that the spec does not know any more, by their addresses.
fn strangers<'a>(desired: &Desired, books: &'a ClusterSeen) -> BTreeMap<IpAddr, &'a NodeName> {
    let nodes = unwanted_nodes(desired, books).into_iter();
    nodes.filter_map(|name| Some((books.nodes[name].address?, name))).collect()
}

/// A note for each provider that could not be looked at.
pub(super) fn blind_providers(desired: &Desired, observed: &Observed) -> Vec<Note> {
    let mut blind: BTreeMap<&ProviderName, (Why, usize)> = BTreeMap::new();
    for machine in &desired.machines {
        let known = observed.providers.get(&machine.provider).is_some_and(|seen| seen.why_unknown().is_none());
        if let Seen::Unknown(why) = machine::seen(machine, observed)
            && !known
        {
            blind.entry(&machine.provider).or_insert((why, 0)).1 += 1;
        }
    }
    let notes = blind.into_iter().map(|(provider, (why, machines))| {
        let alone = if machines == 1 { "1 machine is".into() } else { format!("{machines} machines are") };
        let message = format!("provider {provider} could not be looked at, so {alone} left alone: {why}");
        let (weight, subject) = (Weight::Blocks, Subject::Cluster);
        Note { weight, subject, message, help: why.help, stages: Vec::new() }
    });
    notes.collect()
}

/// A note for each node that should be made anew and is not among those that are: it waits for its turn.
fn later(desired: &Desired, observed: &Observed, anew: &BTreeSet<NodeName>) -> Vec<Note> {
    let others = desired.machines.iter().filter(|machine| !anew.is_empty() && !anew.contains(&machine.name));
    let notes = others.filter_map(|other| {
        let first = machine::refused(other, machine::seen(other, observed).present()?).into_iter().next()?;
        Some(Note {
            weight: Weight::Warns,
            subject: Subject::Machine(other.name.clone()),
            message: format!("it stays as it is: {first}"),
            help: Some(format!("`kubewright replace {}` afterwards; or take back the change", other.name)),
            stages: Vec::new(),
        })
    });
    notes.collect()
}

/// An agent of a living cluster whose host does not answer keeps nobody waiting, as `maintenance.unreachable` has it.
fn left_out(member: Option<&DesiredMember>, seen: Option<&NodeSeen>, host: Option<&Seen<HostSeen>>) -> bool {
    let agent = member.is_some_and(|member| !member.role.is_server()) && seen.is_some_and(|seen| !seen.server);
    agent && (matches!(host, Some(Seen::Unknown(_))) || fenced(seen))
}

/// How a machine is made anew. The only server holds all that the cluster knows.
pub(super) fn anew(machine: &DesiredMachine, desired: &Desired, or: &str) -> String {
    let name = &machine.name;
    let others = desired.servers().filter(|member| member.name != *name).count();
    match desired.servers().any(|member| member.name == *name) && others == 0 {
        true => format!(
            "{or}; the only server cannot be made anew while the cluster lives: add servers first, or `kubewright rebuild`"
        ),
        false => format!("`kubewright replace {name}` makes it anew; or {or}"),
    }
}

fn judge<'a>(
    machine: &DesiredMachine,
    desired: &Desired,
    there: Seen<&'a MachineSeen>,
    observed: &'a Observed,
    obstacles: &Obstacles<'_>,
) -> Result<Standing<'a>, Refusal> {
    match there {
        Seen::Unknown(why) => Err((why.to_string(), None)),
        Seen::Absent if *machine.body == Body::Existing => {
            Err(("the host should exist already and is not there".into(), Some("look at its address".into())))
        }
        Seen::Absent => match obstacles.before(machine) {
            Some(refusal) => Err(refusal),
            None => Ok(Standing::ToMake),
        },
        Seen::Present(seen) => {
            if let Some(first) = machine::refused(machine, seen).into_iter().next() {
                return Err((first, Some(anew(machine, desired, "take back the change"))));
            }
            if seen.power == Power::Stopped {
                return Ok(Standing::Off(seen));
            }
            match observed.hosts.get(&machine.name) {
                Some(Seen::Present(host)) => Ok(Standing::Answers(seen, host)),
                Some(Seen::Unknown(why)) => Err(unseen(why)),
                // A host that exists already and that a plan from nothing has not asked is looked at when its turn comes.
                None if *machine.body == Body::Existing => Ok(Standing::Off(seen)),
                Some(Seen::Absent) | None => Err(("the host was not looked at".into(), None)),
            }
        }
    }
}

/// Kubernetes allows the next minor version, and no way back.
/// <https://kubernetes.io/releases/version-skew-policy/>
fn skew(desired: &Desired, seen: Option<&NodeSeen>) -> Result<(), Refusal> {
    seen.map_or(Ok(()), |seen| follows(&desired.kubernetes.version, &seen.version))
}

/// Whether a version may follow one that is there.
pub(super) fn follows(wanted: &Version, there: &Version) -> Result<(), Refusal> {
    match wanted.follows(there) {
        Follows::Well => Ok(()),
        Follows::Back => {
            let help = format!(
                "Kubernetes does not go back: write {there}, or make everything anew with `kubewright rebuild`"
            );
            Err((format!("it runs {there}, newer than {wanted} in the spec"), Some(help)))
        }
        Follows::Skips { next } => {
            let help = format!(
                "write in `kubernetes.through` which {next} an upgrade goes through: Kubernetes skips no minor version"
            );
            Err((format!("it runs {there}, more than one minor version before {wanted}"), Some(help)))
        }
    }
}
