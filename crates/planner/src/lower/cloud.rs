//! What Hetzner keeps around servers: keys, the network, the firewall, placement groups, addresses, certificates.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubewright_model::cloud::{Certificate, CloudBody, CloudNetwork, DesiredResource, WORLD};
use kubewright_model::desired::{
    Body, DesiredHost, DesiredMachine, HETZNER, HetznerProject, Way, certificate_secrets, primary_ip,
};
use kubewright_model::digest::Digest;
use kubewright_model::host::{FileWish, HostResource, UnitRun, UnitWish};
use kubewright_model::ids::{ClusterName, PlaceName};
use kubewright_model::net::Cidr;
use kubewright_model::spec::ClusterFile;
use kubewright_model::spec::providers::{Hetzner, HetznerNetwork};
use kubewright_model::text::Text;

use crate::context::nodes::NodePlan;
use crate::context::{Context, SecretNames};

/// The project, and the keys that servers are made with.
pub(super) fn project(
    file: &ClusterFile,
    machines: &[DesiredMachine],
    hosts: &[DesiredHost],
) -> Option<HetznerProject> {
    let hetzner = file.spec.providers.hetzner.as_ref()?;
    let servers = machines.iter().filter(|machine| machine.provider.as_str() == HETZNER);
    let files = servers.filter_map(|machine| {
        let host = hosts.iter().find(|host| host.machine.as_ref() == Some(&machine.name))?;
        host.way.key_file.clone()
    });
    let ssh_keys = files.map(|key| (ssh_key(&file.metadata.name, &key), key)).collect();
    Some(HetznerProject {
        endpoint: hetzner.endpoint.clone(),
        network_zone: hetzner.network_zone.clone(),
        location: hetzner.location.as_str().into(),
        nat: hetzner.network.as_ref().and_then(|network| network.nat.clone()),
        ssh_keys,
    })
}

/// The name at Hetzner of the key in a file.
pub(super) fn ssh_key(cluster: &ClusterName, file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    format!("{cluster}-{name}")
}

/// Everything that is ours around servers, in the order in which it is made.
pub(super) fn resources(
    context: &Context<'_>,
    machines: &[DesiredMachine],
    project: Option<&HetznerProject>,
) -> Vec<DesiredResource> {
    let file = context.file;
    let (Some(project), Some(hetzner)) = (project, &file.spec.providers.hetzner) else { return Vec::new() };
    let cluster = &file.metadata.name;
    let mut bodies: Vec<(String, CloudBody)> =
        project.ssh_keys.keys().map(|name| (name.clone(), CloudBody::SshKey)).collect();
    if let Some(network) = hetzner.network.as_ref().filter(|network| !network.existing) {
        bodies.push((network.name.clone(), CloudBody::Network(cloud_network(context, hetzner, network))));
    }
    if let Some(firewall) = &hetzner.firewall {
        bodies.push((cluster.to_string(), CloudBody::Firewall(firewall.allow.clone())));
    }
    let mut groups: Vec<&String> = Vec::new();
    let mut addresses = Vec::new();
    for machine in machines {
        let Body::Server(server) = &*machine.body else { continue };
        groups.extend(server.placement_group.as_ref());
        let kept = [(false, server.public_ipv4), (true, server.public_ipv6)];
        let kept = kept.into_iter().filter(|(_, wished)| server.keeps_addresses && *wished);
        addresses.extend(kept.map(|(ipv6, _)| {
            let location = machine.place.clone();
            (primary_ip(&machine.name, ipv6), CloudBody::PrimaryIp { ipv6, location })
        }));
    }
    groups.sort();
    groups.dedup();
    bodies.extend(groups.into_iter().map(|group| (group.clone(), CloudBody::PlacementGroup)));
    bodies.extend(addresses);
    bodies.extend(hetzner.certificates.iter().map(|(name, certificate)| {
        let uploaded = certificate.certificate.is_some();
        let from = if uploaded { Certificate::Uploaded } else { Certificate::Managed(certificate.domains.clone()) };
        (name.clone(), CloudBody::Certificate(from))
    }));
    let resource = |(name, body)| DesiredResource { provider: HETZNER.into(), name, body };
    bodies.into_iter().map(resource).collect()
}

/// The hosts' network is its subnet; what goes to the world from servers without public addresses goes through one that
/// has one.
fn cloud_network(context: &Context<'_>, hetzner: &Hetzner, network: &HetznerNetwork) -> CloudNetwork {
    let cidr = context.file.spec.network.cidr.unwrap_or(network.ip_range);
    let mut routes: BTreeMap<Cidr, _> = network.routes.iter().map(|(to, gateway)| (*to, *gateway)).collect();
    if let Some(address) = nat(context).and_then(|node| node.address) {
        routes.insert(Cidr::known(WORLD), address);
    }
    CloudNetwork { ip_range: network.ip_range, subnets: [(cidr, hetzner.network_zone.clone())].into(), routes }
}

/// The node through which servers without public addresses reach the world.
pub(super) fn nat<'c>(context: &'c Context<'_>) -> Option<&'c NodePlan<'c>> {
    let name = context.file.spec.providers.hetzner.as_ref()?.network.as_ref()?.nat.as_ref()?;
    context.nodes.iter().find(|node| node.name == *name)
}

/// The way to a host that has no public address goes through the node that has one, by its name: where that is, only the
/// cloud knows. The spec may name another way in.
pub(super) fn through_gate(context: &Context<'_>, node: &NodePlan<'_>, way: Way) -> Way {
    let hetzner = context.file.spec.providers.hetzner.as_ref();
    let own = node.pool.hetzner.as_ref().and_then(|machines| machines.public_ipv4);
    let public = own.or(hetzner.map(|hetzner| hetzner.public_ipv4)).unwrap_or(true);
    let gate = nat(context).filter(|gate| gate.name != node.name && node.pool.hetzner.is_some());
    match gate.filter(|_| way.jump.is_none() && !public) {
        Some(gate) => Way { jump: Some(format!("{}@{}:{}", way.user, gate.name, way.port).into()), ..way },
        None => way,
    }
}

/// What makes a host hand on what others send to the world, in its own name. It is said anew at every start, and saying it
/// twice leaves it once. <https://docs.hetzner.com/cloud/networks/faq#are-there-any-example-setups>
pub(super) fn nat_resources(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<HostResource> {
    let range = || Some(context.file.spec.providers.hetzner.as_ref()?.network.as_ref()?.ip_range);
    let Some(range) = nat(context).filter(|nat| nat.name == node.name).and_then(|_| range()) else {
        return Vec::new();
    };
    let rules = format!(
        "add table ip kubewright-nat\n\
         delete table ip kubewright-nat\n\
         table ip kubewright-nat {{\n\
         \x20 chain postrouting {{\n\
         \x20   type nat hook postrouting priority srcnat; policy accept;\n\
         \x20   ip saddr {range} ip daddr != {range} masquerade\n\
         \x20 }}\n\
         }}\n"
    );
    let unit = format!(
        "[Unit]\n\
         Description=Hand on what servers without public addresses send to the world\n\
         Wants=network-pre.target\n\
         After=nftables.service\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         ExecStart=/usr/sbin/nft -f {NAT_RULES}\n\
         ExecReload=/usr/sbin/nft -f {NAT_RULES}\n\
         ExecStop=/usr/sbin/nft delete table ip kubewright-nat\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    );
    let reads = Digest::of([unit.as_str(), rules.as_str()].join("\n"));
    vec![
        HostResource::Package("nftables".into()),
        HostResource::Sysctl { key: "net.ipv4.ip_forward".into(), value: "1".into() },
        HostResource::File(FileWish::new(NAT_RULES, Text::known(rules.as_str()), 0o644)),
        HostResource::Unit(UnitWish {
            name: "kubewright-nat.service".into(),
            content: Some(Text::known(unit.as_str())),
            enabled: true,
            run: UnitRun::Oneshot,
            reads,
        }),
    ]
}

/// What nftables reads.
const NAT_RULES: &str = "/etc/kubewright-nat.nft";

/// The holes of certificates that we bring.
pub(super) fn certificates(file: &ClusterFile, secrets: &mut SecretNames) {
    let Some(hetzner) = &file.spec.providers.hetzner else { return };
    for (name, certificate) in &hetzner.certificates {
        let [public, private] = certificate_secrets(name);
        for (secret, place) in [(public, &certificate.certificate), (private, &certificate.private_key)] {
            if place.is_some() {
                secrets.hole(&secret, place.as_ref());
            }
        }
    }
}

/// Where load balancers are.
pub(super) fn location(file: &ClusterFile) -> PlaceName {
    file.spec.providers.hetzner.as_ref().map_or_else(|| "unknown".into(), |hetzner| hetzner.location.as_str().into())
}

/// The key's file of a pool's hosts, as the name that it has at Hetzner.
pub(super) fn key_of(file: &ClusterFile, node: &NodePlan<'_>) -> Vec<String> {
    let own = node.pool.hosts.as_ref().and_then(|settings| settings.ssh.as_ref());
    let ssh = own.or(file.spec.hosts.ssh.as_ref());
    let key: Option<Arc<str>> = ssh.and_then(|ssh| ssh.key_file.as_deref()).map(Arc::from);
    key.map(|key| ssh_key(&file.metadata.name, &key)).into_iter().collect()
}
