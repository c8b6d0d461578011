//! Machines: what differs, and what of it can be changed in place.

use std::collections::BTreeMap;

use kubewright_model::change::FieldChange;
use kubewright_model::desired::{Body, Desired, DesiredMachine, EXISTING};
use kubewright_model::ids::{NodeName, ProviderName};
use kubewright_model::observed::{Inventory, MachineSeen, Observed, Power, Seen, Why};
use kubewright_model::setting::Setting;
use kubewright_model::unread::Unread;

use super::field;
use super::settings::{Course, differences};

/// What was seen of a machine, wherever its provider has it.
pub(crate) fn seen<'a>(machine: &DesiredMachine, observed: &'a Observed) -> Seen<&'a MachineSeen> {
    match observed.providers.get(&machine.provider) {
        None => Seen::unknown(format!("provider {} was not asked", machine.provider)),
        Some(Seen::Unknown(why)) => Seen::Unknown(why.clone()),
        Some(Seen::Absent) => Seen::Absent,
        Some(Seen::Present(inventory)) => match inventory.machine(&machine.name, machine.vmid) {
            Seen::Absent => unread_elsewhere(machine, observed).map_or(Seen::Absent, Seen::Unknown),
            seen => seen,
        },
    }
}

/// Why nobody knows a machine that another provider has and cannot read: it is not made a second time.
fn unread_elsewhere(machine: &DesiredMachine, observed: &Observed) -> Option<Why> {
    let mut unread = inventories(observed).flat_map(|(_, inventory)| &inventory.unread);
    unread.find(|it| it.name.as_ref() == Some(&machine.name)).map(Unread::why)
}

/// Machines that carry our mark and are not in the spec any more, with their providers. A host that was there before us
/// is nobody's to delete, and is ours only while the spec names it.
pub(crate) fn doomed<'a>(
    desired: &'a Desired,
    observed: &'a Observed,
) -> Vec<(&'a NodeName, &'a ProviderName, &'a MachineSeen)> {
    not_wished(desired, observed, false).collect()
}

/// Machines that carry our mark and are in the spec, at another provider. The plan refuses to make them there.
pub(crate) fn moved<'a>(
    desired: &'a Desired,
    observed: &'a Observed,
) -> Vec<(&'a NodeName, &'a ProviderName, &'a MachineSeen)> {
    not_wished(desired, observed, true).collect()
}

/// Machines of ours that the spec does not have where they are; `named`: it has one of their name elsewhere.
fn not_wished<'a>(
    desired: &'a Desired,
    observed: &'a Observed,
    named: bool,
) -> impl Iterator<Item = (&'a NodeName, &'a ProviderName, &'a MachineSeen)> {
    let wanted: BTreeMap<_, _> = desired.machines.iter().map(|machine| (&machine.name, &machine.provider)).collect();
    inventories(observed)
        .flat_map(|(provider, inventory)| inventory.machines.iter().map(move |(name, seen)| (name, provider, seen)))
        .filter(|(_, provider, _)| provider.as_str() != EXISTING)
        .filter(move |(name, provider, seen)| {
            let wish = wanted.get(name);
            seen.owner == desired.owner && wish != Some(provider) && wish.is_some() == named
        })
}

/// Machines of ours that are not in the spec any more and hold what others are to have: by the new machine, the old ones
/// and what they hold.
pub(crate) type InTheWay<'a> = BTreeMap<&'a NodeName, Vec<(&'a NodeName, String)>>;

/// What of ours stands in the way of machines of the spec.
pub(crate) fn in_the_way<'a>(desired: &'a Desired, observed: &'a Observed) -> InTheWay<'a> {
    let mut ways = InTheWay::new();
    for (old, provider, seen) in doomed(desired, observed) {
        for machine in &desired.machines {
            let number = machine.vmid.filter(|number| seen.vmid == Some(*number) && *provider == machine.provider);
            let address = machine.address.filter(|address| seen.address == Some(*address));
            let held = number.map(|number| format!("VMID {number}")).or(address.map(|it| format!("the address {it}")));
            if let Some(held) = held {
                ways.entry(&machine.name).or_default().push((old, held));
            }
        }
    }
    ways
}

/// What each provider has, where it could be asked.
pub(crate) fn inventories(observed: &Observed) -> impl Iterator<Item = (&ProviderName, &Inventory)> {
    observed.providers.iter().filter_map(|(name, seen)| Some((name, seen.present()?)))
}

/// A new machine's settings, for people.
pub(crate) fn whole(machine: &DesiredMachine) -> Vec<FieldChange> {
    [
        field("vmid", None, machine.vmid.as_ref()),
        field("address", None, machine.address.as_ref()),
        field("cores", None, machine.cores.as_ref()),
        field("memory", None, machine.memory.as_ref()),
        field("disk", None, machine.disk.as_ref()),
    ]
    .into_iter()
    .flatten()
    .chain(server(machine))
    .collect()
}

/// What a cloud's server is, which costs money.
fn server(machine: &DesiredMachine) -> Vec<FieldChange> {
    let Body::Server(server) = &*machine.body else { return Vec::new() };
    let public = match (server.public_ipv4, server.public_ipv6) {
        (true, true) => "IPv4 and IPv6",
        (true, false) => "IPv4",
        (false, true) => "IPv6",
        (false, false) => "none",
    };
    let said = [
        ("type", Some(server.server_type.as_str())),
        ("image", Some(server.image.as_str())),
        ("public addresses", Some(public)),
    ];
    let told = said.into_iter().filter_map(|(name, value)| field(name, None, value.map(str::to_string).as_ref()));
    told.collect()
}

/// What can be changed while the machine stays what it is.
pub(crate) fn in_place(machine: &DesiredMachine, seen: &MachineSeen) -> Vec<FieldChange> {
    let off = seen.power == Power::Stopped;
    let here = |course| matches!(course, Course::AtOnce | Course::NextStart) || (off && course == Course::WhileOff);
    differences(machine, seen).into_iter().filter(|it| here(it.course)).map(|it| it.field()).collect()
}

/// What can be changed of a machine that runs only while it is off.
pub(crate) fn while_off(machine: &DesiredMachine, seen: &MachineSeen) -> Vec<FieldChange> {
    let runs = seen.power == Power::Running;
    let waits = differences(machine, seen).into_iter().filter(|it| runs && it.course == Course::WhileOff);
    waits.map(|it| it.field()).collect()
}

/// Whether a machine was made and has certainly never run: it is made without starting with its hypervisor, and is told to
/// right before it is started for the first time. Of one that is never to start so, nobody can tell.
pub(crate) fn never_ran(machine: &DesiredMachine, seen: &MachineSeen) -> bool {
    seen.power == Power::Stopped && machine.on_boot && !seen.settings.on_boot()
}

/// Whether a machine has to be started again for its settings to be in force.
pub(crate) fn needs_start(machine: &DesiredMachine, seen: &MachineSeen) -> bool {
    if matches!(*machine.body, Body::Existing | Body::Local) {
        return false;
    }
    let waits =
        || differences(machine, seen).iter().any(|it| matches!(it.course, Course::NextStart | Course::WhileOff));
    seen.power == Power::Running && (seen.pending || waits())
}

/// What the spec wants of a machine that is there and can be had only by making it anew, or not at all.
pub(crate) fn refused(machine: &DesiredMachine, seen: &MachineSeen) -> Vec<String> {
    let differing = differences(machine, seen).into_iter().filter(|it| it.course == Course::Refused);
    let mut refused: Vec<String> = differing.filter_map(|it| refusal(&it.wish, it.there.as_ref()?)).collect();
    // Only containers have a word on that.
    match (&*machine.body, seen.settings.privileged().is_some()) {
        (Body::Vm(_), true) => refused.push("it is a container and cannot become a virtual machine in place".into()),
        (Body::Lxc(_), false) => refused.push("it is a virtual machine and cannot become a container in place".into()),
        _ => {}
    }
    if let (Some(wanted), Some(there)) = (machine.vmid, seen.vmid)
        && wanted != there
    {
        refused.push(format!("its VMID is {there} and cannot become {wanted}"));
    }
    if let (Some(wanted), Some(there)) = (machine.address, seen.address)
        && wanted != there
    {
        refused.push(format!("its address is {there} and cannot become {wanted} in place"));
    }
    refused
}

/// Why a setting cannot become another, in words.
fn refusal(wish: &Setting, there: &Setting) -> Option<String> {
    let word = |yes: bool| if yes { "privileged" } else { "unprivileged" };
    match (wish, there) {
        (Setting::Privileged(wish), Setting::Privileged(there)) => {
            Some(format!("it is {} and cannot become {} in place", word(*there), word(*wish)))
        }
        (Setting::Disk(_), _) => Some(format!("the disk has {there} and cannot shrink to {wish}")),
        (Setting::ExtraDisk(..) | Setting::Mount(..), _) => {
            Some(format!("{} has {there} and cannot shrink to {wish}", wish.name()))
        }
        _ => None,
    }
}

/// What stays as it is, although the spec says otherwise: the machine works all the same.
pub(crate) fn stays(machine: &DesiredMachine, seen: &MachineSeen) -> Vec<String> {
    let differing = differences(machine, seen).into_iter().filter(|it| it.course == Course::Stays);
    // A clone that is not finished shows hardly anything, and gets everything.
    let finished = seen.settings.memory().is_some();
    let told =
        differing.filter(|it| it.there.is_some() || (finished && !matches!(it.wish, Setting::Disk(_)))).map(|it| {
            let there = it.there.map_or_else(|| "not set".into(), |there| there.to_string());
            let are = if matches!(it.wish, Setting::Nameservers(_) | Setting::SearchDomains(_)) { "are" } else { "is" };
            format!("its {} {are} {there}, which stays; the spec says {}", it.wish.name(), it.wish)
        });
    told.chain(further_disks(machine, seen)).collect()
}

/// Disks that are there and in no spec: nobody but a person knows what is on them.
fn further_disks<'a>(machine: &DesiredMachine, seen: &'a MachineSeen) -> impl Iterator<Item = String> + use<'a> {
    let wished = machine.settings();
    let further = seen
        .settings
        .iter()
        .filter(move |it| matches!(it, Setting::ExtraDisk(..) | Setting::Mount(..)) && wished.like(it).is_none());
    further.map(|it| format!("its {} of {it} is not in the spec, and stays", it.name()))
}
