//! What is in the project: a list for each kind, however many there are.

use std::collections::BTreeSet;
use std::net::IpAddr;

use kubewright_model::cloud::{CloudKind, ResourceSeen, Stray, StrayKind};
use kubewright_model::ids::{ClusterName, NodeName, Owner};
use kubewright_model::observed::{Inventory, Taken};

use super::answers::{Certificate, Firewall, Labelled, Labels, Network, PrimaryIp, Server, SshKey, Volume};
use super::balancer::{Balancer, Goal, Names};
use super::call::{self, Kind};
use super::client::error;
use super::known::is_same_key;
use super::resources::Around;
use super::servers::seen;
use super::{Hetzner, Standing, marks};
use crate::{ErrorKind, ProviderError};

/// The label of volumes that the CSI driver has made (csi-driver 2.15, `internal/driver/controller.go`).
const CSI: (&str, &str) = ("managed-by", "csi-driver");
/// The label of load balancers that the cloud controller has made (hcloud-cloud-controller-manager 1.26,
/// `internal/hcops/load_balancer.go`).
const CCM: &str = "hcloud-ccm/service-uid";

/// Everything that was listed.
struct Survey {
    servers: Vec<Server>,
    balancers: Vec<Balancer>,
    networks: Vec<Network>,
    firewalls: Vec<Firewall>,
    groups: Vec<Labelled>,
    addresses: Vec<PrimaryIp>,
    keys: Vec<SshKey>,
    certificates: Vec<Certificate>,
    volumes: Vec<Volume>,
}

impl Survey {
    fn names(&self) -> Names {
        Names {
            servers: self.servers.iter().map(|it| (it.id, it.name.clone())).collect(),
            networks: self.networks.iter().map(|it| (it.id, it.name.clone())).collect(),
            certificates: self.certificates.iter().map(|it| (it.id, it.name.clone())).collect(),
        }
    }

    fn resources(&self, owner: &Owner) -> Vec<ResourceSeen> {
        fn each<T: Around>(all: &[T], owner: &Owner) -> Vec<ResourceSeen> {
            all.iter().map(|it| it.seen(owner)).collect()
        }
        let mut all = each(&self.keys, owner);
        all.extend(each(&self.networks, owner));
        all.extend(each(&self.firewalls, owner));
        all.extend(each(&self.groups, owner));
        all.extend(each(&self.addresses, owner));
        all.extend(each(&self.certificates, owner));
        all
    }

    /// What the cluster itself has made: what hangs on a server of ours, or carries the mark as a label more.
    fn strays(&self, owner: &Owner) -> Vec<Stray> {
        let ours = |server: &&Server| marks::are_ours(&server.labels, owner);
        let servers: BTreeSet<u64> = self.servers.iter().filter(ours).map(|server| server.id).collect();
        let is = |labels: &Labels, hangs: bool| hangs || marks::are_ours(labels, owner);
        let volumes = self.volumes.iter().filter(|it| it.labels.get(CSI.0).is_some_and(|by| by == CSI.1));
        let volumes = volumes.filter(|it| is(&it.labels, it.server.is_some_and(|server| servers.contains(&server))));
        let balancers = self.balancers.iter().filter(|it| it.labels.contains_key(CCM));
        let balancers = balancers.filter(|it| is(&it.labels, leads_to(it, &servers)));
        let volumes = volumes.map(|it| Stray {
            kind: StrayKind::Volume,
            id: it.id,
            name: it.name.clone(),
            made_for: claim(&it.labels),
        });
        let balancers = balancers.map(|it| Stray {
            kind: StrayKind::LoadBalancer,
            id: it.id,
            name: it.name.clone(),
            made_for: it.labels.get(CCM).map(|uid| format!("the Service with the UID {uid}")),
        });
        balancers.chain(volumes).collect()
    }
}

/// Whether a load balancer sends to one of these servers.
fn leads_to(balancer: &Balancer, servers: &BTreeSet<u64>) -> bool {
    let mut targets = balancer.targets.iter().flat_map(|target| std::iter::once(target).chain(&target.targets));
    targets.any(|target| matches!(target.goal(), Some(Goal::Server(id)) if servers.contains(&id)))
}

/// What the CSI driver says of the claim that it made a volume for.
fn claim(labels: &Labels) -> Option<String> {
    Some(format!("claim {}/{}", labels.get("pvc-namespace")?, labels.get("pvc-name")?))
}

impl Hetzner {
    async fn survey(&self, owner: &Owner) -> Result<Survey, ProviderError> {
        let all = |kind| call::list(kind);
        // A server without an address of its own choice has two of these, which nobody looks at.
        let kept = call::list(Kind::PrimaryIp).labelled(&marks::selector(owner));
        let volumes = call::list(Kind::Volume).labelled(&format!("{}={}", CSI.0, CSI.1));
        let client = &self.client;
        let (servers, balancers, networks, firewalls, groups, addresses, keys, certificates, volumes) = futures::try_join!(
            client.all(Kind::Server, all(Kind::Server)),
            client.all(Kind::LoadBalancer, all(Kind::LoadBalancer)),
            client.all(Kind::Network, all(Kind::Network)),
            client.all(Kind::Firewall, all(Kind::Firewall)),
            client.all(Kind::PlacementGroup, all(Kind::PlacementGroup)),
            client.all(Kind::PrimaryIp, kept),
            client.all(Kind::SshKey, all(Kind::SshKey)),
            client.all(Kind::Certificate, all(Kind::Certificate)),
            client.all(Kind::Volume, volumes),
        )?;
        Ok(Survey { servers, balancers, networks, firewalls, groups, addresses, keys, certificates, volumes })
    }

    /// All that carries the mark, and what of others is there.
    pub(super) async fn inventory(&self, owner: &Owner) -> Result<Inventory, ProviderError> {
        let survey = self.survey(owner).await?;
        let mut inventory = Inventory { strays: survey.strays(owner), ..Inventory::default() };
        for server in &survey.servers {
            let goes = server.status == "deleting";
            if goes || !marks::are_ours(&server.labels, owner) {
                inventory.taken.push(Taken { name: server.name.clone(), vmid: None, being_made: goes });
            } else {
                inventory.machines.insert(NodeName::new(server.name.as_str()), seen(server, owner));
            }
        }
        let names = survey.names();
        let ours = survey.balancers.iter().filter(|it| marks::are_ours(&it.labels, owner));
        inventory.load_balancers = ours
            .filter(|it| !it.labels.contains_key(CCM))
            .map(|it| (ClusterName::new(it.name.as_str()), it.seen(&names, owner)))
            .collect();
        inventory.resources = survey.resources(owner);
        self.same_keys(&survey.keys, &mut inventory.resources, owner);
        self.learns(&survey).await;
        let ours = survey.servers.iter().filter(|server| marks::are_ours(&server.labels, owner));
        let stands = |it: &Server| Standing { server_type: it.server_type.name.clone(), disk: it.primary_disk_size };
        self.has(ours.map(|it| (NodeName::new(it.name.as_str()), stands(it))).collect());
        Ok(inventory)
    }

    /// A key of ours that somebody has put there under another name is there. What has our key's name and is another key is
    /// not ours to put on servers: it is told as if it were not there, and so it is replaced.
    fn same_keys(&self, keys: &[SshKey], resources: &mut Vec<ResourceSeen>, owner: &Owner) {
        for (name, own) in &self.ssh_keys {
            let Ok(own) = own else { continue };
            match keys.iter().find(|key| is_same_key(&key.public_key, own)) {
                Some(same) if same.name == *name => {}
                Some(other) => {
                    resources.push(ResourceSeen { name: name.clone(), owner: None, ..other.seen(owner) });
                }
                None => resources.retain(|seen| seen.body.kind() != CloudKind::SshKey || seen.name != *name),
            }
        }
    }

    /// Notes numbers, and who has which address.
    async fn learns(&self, survey: &Survey) {
        for network in &survey.networks {
            self.known.is(Kind::Network, &network.name, network.id).await;
        }
        for group in &survey.groups {
            self.known.is(Kind::PlacementGroup, &group.name, group.id).await;
        }
        for address in &survey.addresses {
            self.known.is(Kind::PrimaryIp, &address.name, address.id).await;
        }
        for certificate in &survey.certificates {
            self.known.is(Kind::Certificate, &certificate.name, certificate.id).await;
        }
        let networks = survey.servers.iter().flat_map(|server| server.private_net.iter().map(move |net| (server, net)));
        let holders = networks.filter_map(|(server, net)| Some((net.ip?, server.name.clone())));
        let balancers = survey.balancers.iter().flat_map(|it| it.private_net.iter().map(move |net| (it, net)));
        let balancers = balancers.filter_map(|(it, net)| Some((net.ip?, format!("load balancer {}", it.name))));
        self.hold(holders.chain(balancers).collect::<Vec<(IpAddr, String)>>());
    }

    /// Deletes what the cluster itself has made.
    pub(super) async fn drop_stray(&self, stray: &Stray) -> Result<(), ProviderError> {
        let kind = match stray.kind {
            StrayKind::LoadBalancer => Kind::LoadBalancer,
            StrayKind::Volume => Kind::Volume,
        };
        let there: Option<Hanging> = self.client.named(kind, &stray.name).await?;
        let Some(there) = there.filter(|there| there.id == stray.id) else { return Ok(()) };
        let made = there.labels.contains_key(CCM) || there.labels.get(CSI.0).is_some_and(|by| by == CSI.1);
        if !made {
            return Err(error(ErrorKind::Conflict, format!("{stray} is not what a cluster made any more")));
        }
        if kind == Kind::Volume && there.server.is_some() {
            self.act(call::act_plainly("/volumes/{id}/actions/detach", stray.id), &stray.name).await?;
        }
        self.drop_one(kind, stray.id, &stray.name).await
    }
}

/// What of it is looked at before it is deleted.
#[derive(serde::Deserialize)]
struct Hanging {
    id: u64,
    #[serde(default)]
    labels: Labels,
    server: Option<u64>,
}
