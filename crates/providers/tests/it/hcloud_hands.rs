//! What the tests of the hands on Hetzner wish for.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubewright_model::cloud::{CloudBody, CloudNetwork, DesiredResource};
use kubewright_model::desired::{Body, DesiredMachine, ServerBody};
use kubewright_model::ids::{NodeName, Owner};
use kubewright_model::net::{Cidr, NumberRange};
use kubewright_model::secret::Secret;
use kubewright_model::spec::providers::{FirewallProtocol, FirewallRule};
use kubewright_providers::hetzner::{ANSWER, Hetzner, Settings};
use kubewright_providers::{HostKey, Login, Provider as _, ProviderError};

use crate::hetzner::{Fake, Pace, TOKEN};

pub(crate) const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzgC8PZj4Xa7bYkd9rA9Bp2yMfX4gRgkq1kCw4yQv7T lab@here";

/// A pretend project whose actions have ended when they are answered: nothing is waited for.
pub(crate) fn quick() -> Fake {
    let fake = Fake::start();
    fake.pace(Pace::Polls(0));
    fake
}

pub(crate) fn owner() -> Owner {
    Owner("lab".into())
}

pub(crate) fn settings(fake: &Fake) -> Settings {
    Settings {
        address: Some(fake.url.clone()),
        token: Secret::new(TOKEN.into()),
        token_at: "env HCLOUD_TOKEN".into(),
        deadline: ANSWER,
        logins: BTreeMap::new(),
        ssh_keys: [("lab-key".to_string(), Ok(KEY.to_string()))].into(),
        certificates: BTreeMap::new(),
    }
}

pub(crate) fn hands(fake: &Fake) -> Hetzner {
    Hetzner::new(settings(fake)).unwrap()
}

pub(crate) fn login() -> Login {
    Login {
        user: "root".into(),
        keys: Ok(vec![KEY.into()]),
        password_hash: Ok(None),
        host_key: Some(HostKey { private: Secret::new("the private half".into()), public: "ssh-ed25519 BBBB".into() }),
    }
}

pub(crate) fn body() -> ServerBody {
    ServerBody {
        server_type: "cx23".into(),
        fallback_types: Vec::new(),
        fallback_locations: Vec::new(),
        image: "ubuntu-24.04".into(),
        network: Some("lab".into()),
        public_ipv4: true,
        public_ipv6: false,
        placement_group: None,
        firewall: Some("lab".into()),
        ssh_keys: vec!["lab-key".into()],
        keeps_addresses: false,
        protected: false,
        gateway: None,
        nameservers: Vec::new(),
    }
}

pub(crate) fn server(name: &str, address: &str, body: ServerBody) -> DesiredMachine {
    DesiredMachine {
        name: NodeName::from(name),
        pool: "servers".into(),
        provider: "hetzner".into(),
        place: "fsn1".into(),
        address: Some(address.parse().unwrap()),
        cores: None,
        memory: None,
        disk: None,
        body: Arc::new(Body::Server(body)),
        vmid: None,
        tags: vec!["team=web".into()],
        on_boot: false,
        startup: None,
        description: None,
        ha: None,
    }
}

pub(crate) fn resource(name: &str, body: CloudBody) -> DesiredResource {
    DesiredResource { provider: "hetzner".into(), name: name.into(), body }
}

pub(crate) fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

pub(crate) fn network(subnets: &[&str], routes: &[(&str, &str)]) -> CloudBody {
    CloudBody::Network(CloudNetwork {
        ip_range: cidr("10.0.0.0/16"),
        subnets: subnets.iter().map(|range| (cidr(range), "eu-central".into())).collect(),
        routes: routes.iter().map(|(to, gateway)| (cidr(to), gateway.parse().unwrap())).collect(),
    })
}

pub(crate) fn allow(port: u32, from: &[&str]) -> FirewallRule {
    FirewallRule {
        protocol: FirewallProtocol::Tcp,
        ports: Some(NumberRange { first: port, last: port }),
        from: from.iter().map(|range| cidr(range)).collect(),
        description: None,
    }
}

/// What every server of the tests is put into and made with.
pub(crate) fn around() -> Vec<DesiredResource> {
    vec![
        resource("lab-key", CloudBody::SshKey),
        resource("lab", network(&["10.0.0.0/24"], &[])),
        resource("lab", CloudBody::Firewall(vec![allow(22, &["0.0.0.0/0"])])),
        resource("lab-servers", CloudBody::PlacementGroup),
    ]
}

/// Makes all of that.
pub(crate) async fn surround(hands: &Hetzner) -> Result<(), ProviderError> {
    for wish in around() {
        hands.set_resource(&wish, &owner()).await?;
    }
    Ok(())
}
