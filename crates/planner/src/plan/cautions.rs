//! What a change may cost, told before it is made: another Talos than the one that runs, a network that nodes lose their way
//! in, volumes that a reset leaves, an etcd that stands no loss any more.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::change::Subject;
use kubewright_model::host::HostResource;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::Weight;
use kubewright_model::spec::Distribution;
use kubewright_model::spec::kubernetes::Datastore;
use kubewright_model::talos::{MachineConfig, TalosSeen, links};
use kubewright_model::version::{Follows, Version};
use serde_json::Value;

use super::draft::{Draft, id};
use super::standing::{Node, Standings};

/// What is said of an address that servers hand on among themselves.
const VIRTUAL_IP: &str = "virtual IP";
/// What to do about another network.
const CONSOLE: &str = "a node that this cuts off answers nobody any more: have the first one's console at hand, for the run stops \
                       where it does not come back, before the next";
/// What to do about another address of the API.
const KUBECONFIG: &str = "kubeconfigs that were handed out name the old one: `kubewright kubeconfig` writes a new one";

/// Judges every node of Talos that stays installed as it is: one that is reset in this plan, or waits, may become any.
pub(super) fn plan(draft: &mut Draft<'_>, observed: &Observed, standings: &Standings<'_>) {
    let mut moves: BTreeMap<(String, &str), Vec<&NodeName>> = BTreeMap::new();
    for node in &standings.nodes {
        let Some(there) = installed(node).filter(|_| !draft.has(&id("leave", node.name()))) else { continue };
        for resource in &node.host.resources {
            match resource {
                // What a rebuild that was cut has begun to set up anew has what it was reset with.
                HostResource::TalosImage(image) if !node.is_blank() && observed.unfinished.is_none() => {
                    let Some((message, help)) = refused(&image.version, &there.version) else { continue };
                    draft.note(Weight::Blocks, Subject::Host(node.name().clone()), message, &help);
                }
                HostResource::MachineConfig(wish) => {
                    let differs = network(&there.config, &wish.documents());
                    let (of_api, own): (Vec<&String>, Vec<&String>) =
                        differs.iter().partition(|what| what.starts_with(VIRTUAL_IP));
                    for (what, help) in [(own, CONSOLE), (of_api, KUBECONFIG)] {
                        let what: Vec<&str> = what.into_iter().map(String::as_str).collect();
                        if !what.is_empty() {
                            moves.entry((what.join(", "), help)).or_default().push(node.name());
                        }
                    }
                }
                _ => {}
            }
        }
    }
    for ((what, help), nodes) in moves {
        let names: Vec<&str> = nodes.into_iter().map(NodeName::as_str).collect();
        draft.note(Weight::Warns, Subject::Cluster, format!("{what} on {}", names.join(", ")), help);
    }
}

/// What a node of Talos tells that has its configuration.
fn installed<'n>(node: &'n Node<'_>) -> Option<&'n TalosSeen> {
    node.answers()?.talos.as_ref().filter(|talos| !talos.maintenance)
}

/// Talos tests its way from one minor version to the next, and no way back.
/// <https://docs.siderolabs.com/talos/v1.11/configure-your-talos-cluster/lifecycle-management/upgrading-talos>
fn refused(wish: &Version, there: &Version) -> Option<(String, String)> {
    let (wanted, is) = (Version::known(&wish.bare()), Version::known(&there.bare()));
    match wanted.follows(&is) {
        Follows::Well => None,
        Follows::Back => {
            let message = format!("it runs Talos v{is}, newer than v{wanted} in the spec");
            let help =
                format!("write v{is}: Talos is not taken back; or make everything anew with `kubewright rebuild`");
            Some((message, help))
        }
        Follows::Skips { next } => {
            let message = format!("it runs Talos v{is}, more than one minor version before v{wanted}");
            let help =
                format!("write the newest {next} first, apply, and go on from there: Talos skips no minor version");
            Some((message, help))
        }
    }
}

/// What a node is reached by that is another in its new configuration.
fn network(there: &[Value], wished: &[Value]) -> Vec<String> {
    let (there, wished) = (ways(there), ways(wished));
    let listed = |values: Option<&BTreeSet<String>>| match values {
        Some(values) => values.iter().map(String::as_str).collect::<Vec<_>>().join(" and "),
        None => "none".into(),
    };
    let kinds: BTreeSet<&str> = there.keys().chain(wished.keys()).copied().collect();
    // What is new beside what stays cuts nobody off.
    let goes =
        |kind: &&str| there.get(*kind).is_some_and(|old| wished.get(*kind).is_none_or(|new| !old.is_subset(new)));
    let told = |kind: &str| format!("{kind} {} → {}", listed(there.get(kind)), listed(wished.get(kind)));
    kinds.into_iter().filter(goes).map(told).collect()
}

/// Interfaces, tags, gateways and virtual addresses of a configuration.
fn ways(documents: &[Value]) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut found: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for link in links(documents) {
        let said = [
            ("interface", Vec::from_iter(link.interface)),
            ("VLAN", Vec::from_iter(link.vlan)),
            ("gateway", link.gateways),
            (VIRTUAL_IP, link.virtual_ips),
        ];
        for (kind, values) in said.into_iter().filter(|(_, values)| !values.is_empty()) {
            found.entry(kind).or_default().extend(values);
        }
    }
    found
}

fn list<'v>(value: &'v Value, path: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

/// Tells of volumes of nodes that are reset: that wipes what Talos and Kubernetes keep, and no volume beside.
/// <https://github.com/siderolabs/talos/blob/v1.11.6/internal/app/machined/pkg/runtime/v1alpha1/v1alpha1_sequencer_tasks.go>
/// (`ResetSystemDiskSpec`, `ResetUserDisks`)
pub(super) fn volumes(draft: &mut Draft<'_>, observed: &Observed) {
    let mut nodes: BTreeMap<String, Vec<&NodeName>> = BTreeMap::new();
    for host in draft.desired.hosts.iter().filter(|host| host.machine.is_some() && draft.has(&id("leave", &host.name)))
    {
        let there = observed.hosts.get(&host.name).and_then(Seen::present).and_then(|seen| seen.talos.as_ref());
        let wish = host.resources.iter().find_map(|resource| match resource {
            HostResource::MachineConfig(config) => Some(config),
            _ => None,
        });
        let wished = wish.map(MachineConfig::documents).unwrap_or_default();
        let mut kept = kept_by(&wished);
        kept.extend(there.map(|there| kept_by(&there.config)).unwrap_or_default());
        if !kept.is_empty() {
            let kept: Vec<String> = kept.into_iter().collect();
            nodes.entry(kept.join(", ")).or_default().push(&host.name);
        }
    }
    for (kept, nodes) in nodes {
        let names: Vec<&str> = nodes.into_iter().map(NodeName::as_str).collect();
        let message = format!("a reset leaves the volumes beside Talos' own on {}: {kept}", names.join(", "));
        let help = "what is in them is there again in the next cluster: empty them first where that is not wanted";
        draft.note(Weight::Warns, Subject::Cluster, message, help);
    }
}

/// Volumes of a configuration that are not Talos' own.
fn kept_by(documents: &[Value]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for document in documents {
        let text = |path: &str| document.pointer(path).and_then(Value::as_str).unwrap_or_default();
        if ["UserVolumeConfig", "RawVolumeConfig", "ExistingVolumeConfig"].contains(&text("/kind")) {
            found.insert(format!("{} {}", text("/kind"), text("/name")));
        }
        let disks = list(document, "/machine/disks").filter_map(|disk| disk.get("device")?.as_str());
        found.extend(disks.map(|device| format!("disk {device}")));
    }
    found
}

/// Tells when so many servers leave that etcd stands the loss of none.
pub(super) fn redundancy(draft: &mut Draft<'_>, standings: &Standings<'_>) {
    let Some(seen) = standings.cluster_seen().filter(|_| draft.desired.kubernetes.datastore == Datastore::Etcd) else {
        return;
    };
    let before = seen.members.values().filter(|member| member.voter).count();
    let after = draft.desired.servers().count();
    let stands = |members: usize| members.saturating_sub(1) / 2;
    let leaves = |name: &NodeName| ["forget", "leave", "delete"].iter().any(|what| draft.has(&id(what, name)));
    let stays = |name: &NodeName| draft.desired.servers().any(|server| server.name == *name);
    let fewer = seen.members.keys().any(|name| !stays(name) && leaves(name));
    if !fewer || stands(before) == 0 || stands(after) > 0 {
        return;
    }
    let losses = stands(before);
    let message = format!(
        "etcd goes from {before} members to {after}: until now it stood the loss of {losses}, and then it stands none"
    );
    let saves = match draft.desired.kubernetes.distribution {
        Distribution::K3s => "`k3s etcd-snapshot save` on a server",
        Distribution::Rke2 => "`rke2 etcd-snapshot save` on a server",
        Distribution::Kubeadm => "`etcdctl snapshot save` on a server",
        Distribution::Talos => "`talosctl etcd snapshot FILE`, with what `kubewright talosconfig` writes",
    };
    let help = format!("keep 3 servers; or save etcd first ({saves}), for with the one that stays the cluster is lost");
    draft.note(Weight::Warns, Subject::Cluster, message, &help);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn talos_goes_one_minor_version_on_and_never_back() {
        let judged = |wish: &str, there: &str| refused(&Version::known(wish), &Version::known(there)).map(|it| it.0);
        for (wish, there) in
            [("v1.12.0", "v1.12.0"), ("v1.12.4", "v1.12.0"), ("v1.13.0", "1.12.9"), ("1.14.0", "v1.14.0-rc.1")]
        {
            assert_eq!(judged(wish, there), None, "{there} to {wish}");
        }
        assert_eq!(
            judged("v1.14.0", "v1.12.9").unwrap(),
            "it runs Talos v1.12.9, more than one minor version before v1.14.0"
        );
        assert_eq!(judged("v1.11.2", "v1.11.5").unwrap(), "it runs Talos v1.11.5, newer than v1.11.2 in the spec");
    }

    #[test]
    fn another_way_to_a_node_is_told_whatever_form_its_configuration_has() {
        let old = |interface: &str, tag: u16, gateway: &str| {
            let route = json!({ "network": "0.0.0.0/0", "gateway": gateway });
            let vlan = json!({ "vlanId": tag, "vip": { "ip": "10.0.0.9" }, "routes": [route] });
            vec![json!({ "machine": { "network": { "interfaces": [{ "interface": interface, "vlans": [vlan] }] } } })]
        };
        let new = vec![
            json!({ "kind": "LinkConfig", "name": "eth0" }),
            json!({ "kind": "VLANConfig", "name": "eth0.111", "parent": "eth0", "vlanID": 111, "routes": [{ "gateway": "10.0.0.1" }] }),
            json!({ "kind": "Layer2VIPConfig", "name": "10.0.0.9", "link": "eth0.111" }),
        ];
        assert!(network(&old("eth0", 111, "10.0.0.1"), &new).is_empty());
        let told = network(&old("eth7", 112, "10.0.0.2"), &new);
        assert_eq!(told, ["VLAN 112 → 111", "gateway 10.0.0.2 → 10.0.0.1", "interface eth7 → eth0"]);
        assert_eq!(network(&new, &new[..2]), ["virtual IP 10.0.0.9 → none"]);
    }

    #[test]
    fn volumes_that_are_not_talos_own_are_known() {
        let documents = [
            json!({ "machine": { "disks": [{ "device": "/dev/sdb" }] } }),
            json!({ "kind": "VolumeConfig", "name": "EPHEMERAL" }),
            json!({ "kind": "UserVolumeConfig", "name": "data" }),
        ];
        assert_eq!(Vec::from_iter(kept_by(&documents)), ["UserVolumeConfig data", "disk /dev/sdb"]);
    }
}
