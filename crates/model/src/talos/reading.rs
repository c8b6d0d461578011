//! What a machine configuration says, in whatever form it is written: the one document of old, or one for each part.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{MachineConfig, TalosImage};
use crate::desired::Desired;
use crate::host::HostResource;

/// A link of a node with what is on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its interface; none for the only physical one.
    pub interface: Option<String>,
    /// Its tag.
    pub vlan: Option<String>,
    /// Its addresses with the lengths of their networks.
    pub addresses: Vec<String>,
    /// The ways out.
    pub gateways: Vec<String>,
    /// The addresses that servers hand on among themselves.
    pub virtual_ips: Vec<String>,
}

/// The links of a configuration, in its order.
pub fn links(documents: &[Value]) -> Vec<Link> {
    let mut links = Vec::new();
    for interface in documents.iter().flat_map(|document| list(document, "/machine/network/interfaces")) {
        let name = text(interface, "/interface");
        for link in std::iter::once(interface).chain(list(interface, "/vlans")) {
            links.push(Link {
                interface: name.clone(),
                vlan: text(link, "/vlanId"),
                addresses: list(link, "/addresses").filter_map(|it| text(it, "")).collect(),
                virtual_ips: text(link, "/vip/ip").into_iter().collect(),
                gateways: gateways(link),
            });
        }
    }
    let of = |kind: &'static str| documents.iter().filter(move |document| document["kind"] == kind);
    let mut virtual_ips: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (link, address) in of("Layer2VIPConfig").filter_map(|it| Some((text(it, "/link")?, text(it, "/name")?))) {
        virtual_ips.entry(link).or_default().push(address);
    }
    for document in of("LinkConfig").chain(of("VLANConfig")) {
        let name = text(document, "/name");
        links.push(Link {
            interface: text(document, "/parent").or_else(|| name.clone()),
            vlan: text(document, "/vlanID"),
            addresses: list(document, "/addresses").filter_map(|it| text(it, "/address")).collect(),
            virtual_ips: name.and_then(|name| virtual_ips.remove(&name)).unwrap_or_default(),
            gateways: gateways(document),
        });
    }
    links
}

fn gateways(link: &Value) -> Vec<String> {
    list(link, "/routes").filter_map(|route| text(route, "/gateway")).collect()
}

fn list<'v>(value: &'v Value, path: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value, path: &str) -> Option<String> {
    let value = value.pointer(path)?;
    value.as_str().map(str::to_string).or_else(|| value.as_u64().map(|number| number.to_string()))
}

impl MachineConfig {
    /// The disk that Talos is installed on.
    pub fn install_disk(&self) -> Option<String> {
        let documents = self.documents();
        let old = documents.first().and_then(|first| text(first, "/machine/install/disk"));
        let new = || {
            let install = documents.iter().find(|document| document["kind"] == "UnattendedInstallConfig")?;
            // It selects by an expression: `disk.dev_path == "/dev/sda"`.
            install.pointer("/provisioning/diskSelector/match")?.as_str()?.split('"').nth(1).map(str::to_string)
        };
        old.or_else(new)
    }

    /// Its links.
    pub fn links(&self) -> Vec<Link> {
        links(&self.documents())
    }

    /// What it makes of a machine that waits, in a few words.
    pub fn summary(&self) -> String {
        let documents = self.documents();
        let server = documents.first().is_some_and(|first| first["machine"]["type"] == "controlplane");
        let mut words = vec![format!("of a {}", if server { "control plane" } else { "worker" })];
        words.extend(self.install_disk().map(|disk| format!("installed on {disk}")));
        let links = links(&documents);
        if let Some(first) = links.first() {
            words.push(format!("network on {}", first.interface.as_deref().unwrap_or("its only interface")));
        }
        words.extend(links.iter().filter_map(|link| Some(format!("VLAN {}", link.vlan.as_ref()?))));
        words.join(", ")
    }
}

impl TalosImage {
    /// Its version, and what is in it.
    pub fn words(&self) -> String {
        let with = if self.extensions.is_empty() { "" } else { " with " };
        format!("v{}{with}{}", self.version.bare(), self.extensions.join(", "))
    }
}

impl Desired {
    /// What Talos is installed from, where it is Talos: the same for all but for what is in the image.
    pub fn talos(&self) -> Option<&TalosImage> {
        self.hosts.iter().flat_map(|host| &host.resources).find_map(|resource| match resource {
            HostResource::TalosImage(image) => Some(image),
            _ => None,
        })
    }

    /// What runs, with its versions: `K3s v1.34.1+k3s1`, `Talos v1.11.5 · Kubernetes v1.34.0`.
    pub fn title(&self) -> String {
        let kubernetes = &self.kubernetes;
        match self.talos() {
            Some(image) => format!("Talos v{} · Kubernetes {}", image.version.bare(), kubernetes.version),
            None => format!("{} {}", kubernetes.distribution.title(), kubernetes.version),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let route = json!({ "network": "0.0.0.0/0", "gateway": "10.1.0.1" });
        let old = json!({ "machine": {
            "type": "controlplane", "install": { "disk": "/dev/sda" },
            "network": { "interfaces": [{
                "interface": "eth0", "addresses": ["10.1.0.2/24"], "routes": [route],
                "vlans": [{ "vlanId": 7, "addresses": ["10.0.0.2/24"], "vip": { "ip": "10.0.0.9" } }],
            }] },
        } });
        let new = [
            json!({ "machine": { "type": "controlplane" } }),
            json!({ "kind": "UnattendedInstallConfig", "provisioning": {
                "diskSelector": { "match": "disk.dev_path == \"/dev/sda\"" },
            } }),
            json!({
                "kind": "LinkConfig", "name": "eth0", "addresses": [{ "address": "10.1.0.2/24" }],
                "routes": [{ "gateway": "10.1.0.1" }],
            }),
            json!({
                "kind": "VLANConfig", "name": "eth0.7", "parent": "eth0", "vlanID": 7,
                "addresses": [{ "address": "10.0.0.2/24" }],
            }),
            json!({ "kind": "Layer2VIPConfig", "name": "10.0.0.9", "link": "eth0.7" }),
        ];
        let (old, new) = (MachineConfig::of(&[old]), MachineConfig::of(&new));
        assert_eq!(old.links(), new.links());
        assert_eq!(old.links()[1].virtual_ips, ["10.0.0.9"]);
        assert_eq!(old.summary(), "of a control plane, installed on /dev/sda, network on eth0, VLAN 7");
        assert_eq!(new.summary(), old.summary());
    }
}
