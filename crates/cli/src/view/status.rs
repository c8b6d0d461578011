//! Machines, hosts and nodes as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kubewright_model::desired::{Body, Desired, DesiredMachine, DesiredMember, EXISTING};
use kubewright_model::ids::{NodeName, ProviderName};
use kubewright_model::observed::{ClusterSeen, HostSeen, MachineSeen, Observed, Power, Seen, Why};
use kubewright_model::templates::{Standing, versions};

use super::table::{lines, table, table_keeping};
use super::{addresses, certificates};
use crate::screen::{BAD, CARE, DIM, GOOD, HEAD, counted, paint, say};
use crate::world::now;

/// Shows what was seen of each node, and of the cluster as a whole.
pub(crate) fn show(desired: &Desired, observed: &Observed) {
    let (title, endpoint) = (desired.title(), &desired.kubernetes.endpoint);
    say!("{} · {title} · endpoint {endpoint}", paint(HEAD, &desired.cluster));
    let cluster = observed.cluster.as_ref().and_then(Seen::present);
    let members: BTreeMap<&NodeName, &DesiredMember> =
        desired.members.iter().map(|member| (&member.name, member)).collect();
    let headings = ["NODE", "ROLE", "ADDRESS", "MACHINE", "HOST", "NODE STATE", "VERSION"];
    let mut nodes = table_keeping(&headings, &["NODE", "ADDRESS", "VERSION"]);
    for machine in &desired.machines {
        let member = members.get(&machine.name);
        let (state, version) = node(cluster, &machine.name);
        let state =
            waiting(desired, observed, &machine.name).or_else(|| unknown(observed, &machine.name)).unwrap_or(state);
        nodes.add_row([
            machine.name.to_string(),
            member.map_or("host".into(), |member| member.role.to_string()),
            machine.address.map(|address| address.to_string()).unwrap_or_default(),
            power(observed, machine),
            host(desired, observed, &machine.name),
            if member.is_some() { state } else { String::new() },
            version,
        ]);
    }
    for (name, seen) in strangers(desired, observed) {
        let (state, version) = node(cluster, name);
        let role = paint(CARE, "not in the spec");
        let address = seen.address.map(|address| address.to_string()).unwrap_or_default();
        nodes.add_row([name.to_string(), role, address, runs(Some(seen.power)), paint(DIM, "-"), state, version]);
    }
    say!("{}", lines(&nodes));
    templates(desired, observed);
    for unseen in unseen(desired, observed) {
        say!("{unseen}");
    }
    whole(desired, observed);
    certificates::told(observed, now()).iter().for_each(|line| say!("{line}"));
    reboots(observed);
}

/// What is known of the newest bundle, and whether that is well.
pub(crate) fn bundles((told, well): (String, bool)) {
    say!("bundles: {}", if well { told } else { paint(CARE, told) });
}

/// Hosts that say that they have to be started again.
fn reboots(observed: &Observed) {
    for (name, seen) in &observed.hosts {
        let wanted = seen.present().and_then(|host| host.boot.as_ref()?.wanted.as_ref());
        if let Some(why) = wanted {
            say!("{} {name} wants to be started again: {why}", paint(CARE, "reboot"));
        }
    }
}

/// Versions of templates of ours, where there are any, and what was made from which.
fn templates(desired: &Desired, observed: &Observed) {
    let versions = versions(desired, Some(observed));
    let mut templates = table(&["TEMPLATE", "VERSION", "VMID", "PLACE", "STATE", "MACHINES"]);
    for template in &versions {
        let names: Vec<&str> = template.machines.iter().map(|name| name.as_str()).collect();
        templates.add_row([
            template.name.to_string(),
            template.version().to_string(),
            template.vmid.map(|vmid| vmid.to_string()).unwrap_or_default(),
            template.place.map(ToString::to_string).unwrap_or_default(),
            match template.standing {
                Standing::Current => paint(GOOD, "current"),
                Standing::ToBuild => paint(BAD, "not there"),
                Standing::Unknown => paint(CARE, "?"),
                Standing::Half => paint(CARE, "not finished"),
                Standing::Older => paint(CARE, "older version"),
                Standing::Gone => paint(CARE, "gone"),
            },
            names.join(", "),
        ]);
    }
    if !versions.is_empty() {
        say!("{}", lines(&templates));
    }
}

/// Why providers, machines and hosts could not be looked at. They are sentences, so they stand below the table.
fn unseen(desired: &Desired, observed: &Observed) -> Vec<String> {
    let providers: BTreeMap<&str, &Why> =
        observed.providers.iter().filter_map(|(name, seen)| Some((name.as_str(), seen.why_unknown()?))).collect();
    let nodes = desired.machines.iter().map(|machine| &machine.name);
    let hosts = nodes.filter_map(|name| Some((name.as_str(), observed.hosts.get(name)?.why_unknown()?)));
    let unread = observed.providers.values().filter_map(Seen::present).flat_map(|inventory| &inventory.unread);
    let unread: Vec<(String, Why)> = unread.map(|it| (it.title(), it.why())).collect();
    let unread = unread.iter().map(|(title, why)| (title.as_str(), why));
    let told = providers.into_iter().chain(unread).chain(hosts).map(|(name, why)| {
        let help = why.help.as_ref().map(|help| format!("\n  {} {help}", paint(DIM, "→"))).unwrap_or_default();
        format!("{} {}{help}", paint(CARE, "?"), why.of(name))
    });
    told.collect()
}

/// Machines that carry our mark and that the spec does not know any more. A host that was there before us stays where it is:
/// when it has left the cluster, nothing of it is ours.
fn strangers<'a>(
    desired: &'a Desired,
    observed: &'a Observed,
) -> impl Iterator<Item = (&'a NodeName, &'a MachineSeen)> {
    let known: BTreeSet<&NodeName> = desired.machines.iter().map(|machine| &machine.name).collect();
    let there = observed.providers.iter().filter_map(|(provider, seen)| Some((provider, seen.present()?)));
    let there = there.flat_map(|(provider, inventory)| inventory.machines.iter().map(move |it| (provider, it)));
    let cluster = observed.cluster.as_ref().and_then(Seen::present);
    let is_node = move |name: &NodeName| cluster.is_some_and(|cluster| cluster.nodes.contains_key(name));
    let ours =
        |name: &NodeName| observed.hosts.get(name).and_then(Seen::present).is_some_and(|host| host.owner.is_some());
    let stays =
        move |provider: &ProviderName, name: &NodeName| provider.as_str() != EXISTING || is_node(name) || ours(name);
    there
        .filter(move |(provider, (name, seen))| {
            seen.owner == desired.owner && !known.contains(name) && stays(provider, name)
        })
        .map(|(_, it)| it)
}

fn power(observed: &Observed, machine: &DesiredMachine) -> String {
    match observed.providers.get(&machine.provider) {
        None => paint(CARE, "not asked"),
        Some(Seen::Unknown(_)) => paint(CARE, "?"),
        Some(Seen::Absent) => paint(BAD, "not there"),
        // Nobody tells of a machine that was there before us; its host does, where it answers.
        Some(Seen::Present(_)) if *machine.body == Body::Existing && is_silent(observed, &machine.name) => {
            paint(CARE, "?")
        }
        Some(Seen::Present(inventory)) => match inventory.machine(&machine.name, machine.vmid) {
            Seen::Unknown(_) => paint(CARE, "?"),
            seen => runs(seen.present().map(|machine| machine.power)),
        },
    }
}

fn is_silent(observed: &Observed, name: &NodeName) -> bool {
    observed.hosts.get(name).is_some_and(|seen| seen.why_unknown().is_some())
}

fn runs(power: Option<Power>) -> String {
    match power {
        None => paint(BAD, "not there"),
        Some(Power::Running) => paint(GOOD, "runs"),
        Some(Power::Stopped) => paint(BAD, "off"),
    }
}

fn host(desired: &Desired, observed: &Observed, name: &NodeName) -> String {
    match observed.hosts.get(name) {
        None | Some(Seen::Absent) => paint(DIM, "-"),
        Some(Seen::Unknown(_)) => paint(CARE, "?"),
        Some(Seen::Present(HostSeen { owner: Some(owner), .. })) if *owner != desired.owner => {
            paint(CARE, format!("belongs to {}", owner.0))
        }
        Some(Seen::Present(host)) if waits(host) => {
            let at = answers_at(desired, name).map_or_else(String::new, |at| format!(", at {at}"));
            paint(CARE, format!("{}{at}", host.os))
        }
        Some(Seen::Present(host)) => {
            let kernel = host.facts.as_ref().and_then(|facts| facts.kernel.as_deref());
            kernel.map_or_else(|| host.os.clone(), |kernel| format!("{}, Linux {kernel}", host.os))
        }
    }
}

/// Whether it is a machine of Talos that waits for its configuration: it is no node, and answers elsewhere.
fn waits(host: &HostSeen) -> bool {
    host.talos.as_ref().is_some_and(|talos| talos.maintenance)
}

/// Where a machine answers that waits for its configuration.
fn answers_at(desired: &Desired, name: &NodeName) -> Option<IpAddr> {
    let way = &desired.hosts.iter().find(|host| host.name == *name)?.way;
    way.talos.as_ref().and_then(|talos| talos.maintenance).or(way.address)
}

fn waiting(desired: &Desired, observed: &Observed, name: &NodeName) -> Option<String> {
    observed.hosts.get(name)?.present().filter(|host| waits(host))?;
    let at = answers_at(desired, name).map_or_else(String::new, |at| format!(" at {at}"));
    Some(paint(CARE, format!("waits in maintenance mode{at}")))
}

/// Whether it is a node nobody knows, where neither the cluster nor its host tells.
fn unknown(observed: &Observed, name: &NodeName) -> Option<String> {
    let seen = observed.cluster.as_ref().is_some_and(|cluster| cluster.present().is_some());
    (!seen && is_silent(observed, name)).then(|| paint(CARE, "?"))
}

fn node(cluster: Option<&ClusterSeen>, name: &NodeName) -> (String, String) {
    match cluster.and_then(|cluster| cluster.nodes.get(name)) {
        None => (paint(DIM, "no member"), String::new()),
        Some(node) => {
            let state = if node.ready { paint(GOOD, "Ready") } else { paint(BAD, "NotReady") };
            let cordoned = if node.cordoned { paint(CARE, ", cordoned") } else { String::new() };
            (format!("{state}{cordoned}"), node.version.to_string())
        }
    }
}

fn whole(desired: &Desired, observed: &Observed) {
    match &observed.cluster {
        None | Some(Seen::Absent) => {
            say!("{} no member of the control plane runs anywhere", paint(BAD, "cluster:"));
        }
        Some(Seen::Unknown(why)) => {
            say!("{} cannot be looked at: {why}", paint(CARE, "cluster:"));
        }
        Some(Seen::Present(seen)) => {
            let healthy = seen.members.values().filter(|member| member.healthy).count();
            let etcd = match seen.members.len() {
                0 => String::new(),
                all => format!(" · etcd {healthy} of {all} healthy"),
            };
            let ready = seen.nodes.values().filter(|node| node.ready).count();
            say!(
                "{} {ready} of {} nodes Ready{etcd} · {} · {}",
                paint(HEAD, "cluster:"),
                seen.nodes.len(),
                counted(seen.releases.len(), "release"),
                counted(seen.objects.len(), "object")
            );
            let mut releases = table(&["RELEASE", "NAMESPACE", "CHART VERSION", "STATE"]);
            for ((namespace, name), release) in &seen.releases {
                let ours = release.owner.as_ref() == Some(&desired.owner);
                let state = if release.deployed { paint(GOOD, "deployed") } else { paint(BAD, "failed") };
                let state = if ours { state } else { format!("{state}, not ours") };
                let version = release.version.as_ref().map(ToString::to_string).unwrap_or_default();
                releases.add_row([name.to_string(), namespace.to_string(), version, state]);
            }
            if !seen.releases.is_empty() {
                say!("{}", lines(&releases));
            }
            if let Some(told) = addresses::told(&seen.services) {
                say!("{told}");
            }
        }
    }
}
