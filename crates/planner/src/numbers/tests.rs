//! Who gets which number, as the provider's answer is.

use kubewright_model::ids::Owner;
use kubewright_model::observed::{MachineSeen, Power, Taken};
use kubewright_model::setting::Settings;
use kubewright_model::spec::load;
use kubewright_model::unread::Unread;

use super::*;

const PROVIDER: &str = "proxmox";

/// Three machines, `node-1` to `node-3`, with 400 to 402 of a reserve.
fn lab(reserve: &str) -> Desired {
    let spec = format!(
        "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: lab }}
spec:
  kubernetes: {{ distribution: k3s, version: v1.31.4+k3s1 }}
  network: {{ cidr: 10.0.0.0/24, gateway: 10.0.0.1 }}
  providers:
    proxmox: {{ endpoint: \"https://pve:8006\", tokenId: root@pam!kw, tokenSecret: {{ env: T }}, node: pve, vmids: {reserve} }}
  pools:
    nodes:
      role: both
      name: node-{{n}}
      addresses: [10.0.0.11-13]
      proxmox: {{ lxc: {{ template: \"local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst\" }} }}
"
    );
    crate::lower::lower(&load::load(&spec).unwrap_or_else(|found| panic!("{found:#?}")).file).0
}

fn machine(desired: &Desired, vmid: u32) -> MachineSeen {
    MachineSeen {
        owner: desired.owner.clone(),
        place: "pve".into(),
        vmid: Some(Vmid(vmid)),
        power: Power::Running,
        address: None,
        public: None,
        settings: Settings::default(),
        protected: false,
        pending: false,
        template: None,
        ha_of_ours: false,
    }
}

fn taken(vmid: u32, being_made: bool) -> Taken {
    Taken { name: "somebody".into(), vmid: Some(Vmid(vmid)), being_made }
}

/// The numbers of the three.
fn numbers(desired: &Desired, inventory: Inventory) -> Vec<u32> {
    let providers = BTreeMap::from([(ProviderName::from(PROVIDER), Seen::Present(inventory))]);
    numbered(desired, &providers).machines.iter().filter_map(|machine| Some(machine.vmid?.0)).collect()
}

#[test]
fn who_is_there_keeps_a_number_and_who_is_new_gets_a_free_one() {
    let lab = lab("400-410");
    assert_eq!(numbers(&lab, Inventory::default()), [400, 401, 402]);
    let there = |of: &[(&str, u32)]| Inventory {
        machines: of.iter().map(|(name, vmid)| (NodeName::from(*name), machine(&lab, *vmid))).collect(),
        ..Inventory::default()
    };
    assert_eq!(numbers(&lab, there(&[("node-3", 400)])), [402, 401, 400], "the place of 401 is free, and 400 is not");
    assert_eq!(numbers(&lab, there(&[("node-2", 700)])), [400, 700, 402], "also where the reserve was another one");
    assert_eq!(numbers(&lab, there(&[("old-1", 400)])), [403, 401, 402], "who leaves has one until then");
    let mut theirs = there(&[("node-1", 409)]);
    theirs.machines.values_mut().for_each(|seen| seen.owner = Owner("another".into()));
    assert_eq!(numbers(&lab, theirs), [400, 401, 402], "what another cluster calls so is not ours");
}

#[test]
fn strangers_are_passed_by_and_what_is_being_made_is_waited_for() {
    let lab = lab("400-403");
    let with = |taken: Vec<Taken>| Inventory { taken, ..Inventory::default() };
    assert_eq!(numbers(&lab, with(vec![taken(401, false)])), [400, 403, 402]);
    assert_eq!(numbers(&lab, with(vec![taken(401, true), taken(400, false)])), [403, 401, 402]);
    let full = with(vec![taken(400, false), taken(401, false), taken(403, false)]);
    assert_eq!(numbers(&lab, full), [400, 401, 402], "where none is left, the plan says who has it");
}

#[test]
fn a_machine_that_cannot_be_read_keeps_its_number_where_its_name_is_known() {
    let lab = lab("400-410");
    let unread = |name: Option<&str>| Inventory {
        unread: vec![Unread { name: name.map(NodeName::from), vmid: Some(Vmid(402)), place: "pve".into() }],
        ..Inventory::default()
    };
    assert_eq!(numbers(&lab, unread(Some("node-1"))), [402, 401, 400]);
    let mut nameless = unread(None);
    nameless.name_unread(&PROVIDER.into(), &lab);
    assert_eq!(nameless.unread[0].name, None, "a number of a reserve is nobody's name");
}
