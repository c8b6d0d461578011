//! Machines and templates of ours that their provider knows of and cannot read: the node that they are on is offline.
//!
//! The others of the provider are known all the same, so this is no reason to know nothing. What is known of one of these
//! is what the provider's other nodes remember: where it is, its number, and for a while its name.

use serde::{Deserialize, Serialize};

use crate::desired::{Desired, DesiredMachine};
use crate::ids::{NodeName, PlaceName, ProviderName, Vmid};
use crate::observed::{Inventory, MachineSeen, Seen, Why};

/// A machine or a template with our mark that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unread {
    /// Its name, where anybody remembers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<NodeName>,
    /// The provider's number.
    pub vmid: Option<Vmid>,
    /// Where it is.
    pub place: PlaceName,
}

impl Unread {
    /// Why it cannot be read. Nobody knows when a node comes back, so nobody waits for it.
    pub fn why(&self) -> Why {
        Why::lasting(format!("its node {} is offline", self.place))
    }

    /// It, for people.
    pub fn title(&self) -> String {
        match (&self.name, self.vmid) {
            (Some(name), _) => name.to_string(),
            (None, Some(vmid)) => format!("VMID {vmid}"),
            (None, None) => "a machine without a name".into(),
        }
    }
}

impl Inventory {
    /// What was seen of the machine with this name, which has this number where it has one.
    pub fn machine(&self, name: &NodeName, vmid: Option<Vmid>) -> Seen<&MachineSeen> {
        match self.machines.get(name) {
            Some(seen) => Seen::Present(seen),
            None => self.unread(name, vmid).map_or(Seen::Absent, |it| Seen::Unknown(it.why())),
        }
    }

    /// What cannot be read and is, or may be, the machine or template of this name and number.
    pub fn unread(&self, name: &NodeName, vmid: Option<Vmid>) -> Option<&Unread> {
        let is = |it: &&Unread| it.name.as_ref() == Some(name) || (vmid.is_some() && it.vmid == vmid);
        // What nobody can name may be anything that is not there.
        self.unread.iter().find(is).or_else(|| self.unread.iter().find(|it| it.name.is_none()))
    }

    /// Names what cannot be read and has lost its name by the numbers of the spec, also in the backup job. A number out of a reserve
    /// names nobody: which one a machine has got depends on what there was when it was made.
    pub fn name_unread(&mut self, provider: &ProviderName, desired: &Desired) {
        let reserve = desired.proxmox.get(provider).and_then(|cluster| cluster.reserve.as_ref());
        let fixed = |machine: &&DesiredMachine| !reserve.is_some_and(|reserve| reserve.takers.contains(&machine.name));
        let machines = desired.machines.iter().filter(fixed).map(|machine| (machine, machine.vmid));
        let templates = desired.templates.iter();
        let templates = templates.flat_map(|it| it.vmids.map(|vmid| (&it.machine, Some(vmid))));
        for (machine, vmid) in machines.chain(templates).filter(|(machine, _)| machine.provider == *provider) {
            let mut nameless = self.unread.iter_mut().filter(|it| it.name.is_none() && it.vmid.is_some());
            if let Some(it) = nameless.find(|it| it.vmid == vmid) {
                it.name = Some(machine.name.clone());
            }
        }
        let Some(Seen::Present(job)) = &mut self.backups else { return };
        for (name, vmid) in self.unread.iter().filter_map(|it| it.name.as_ref().zip(it.vmid)) {
            if job.machines.remove(&NodeName::new(vmid.to_string())) {
                job.machines.insert(name.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(name: Option<&str>, vmid: u32) -> Unread {
        Unread { name: name.map(NodeName::from), vmid: Some(Vmid(vmid)), place: "pve2".into() }
    }

    #[test]
    fn what_cannot_be_read_is_known_by_its_name_or_its_number() {
        let mut inventory =
            Inventory { unread: vec![unread(Some("b"), 402), unread(None, 403)], ..Inventory::default() };
        let is = |inventory: &Inventory, name: &str, vmid: u32| {
            inventory.unread(&name.into(), Some(Vmid(vmid))).map(Unread::title)
        };
        assert_eq!(is(&inventory, "b", 499).as_deref(), Some("b"));
        assert_eq!(is(&inventory, "new", 402).as_deref(), Some("b"), "its number is taken");
        assert_eq!(is(&inventory, "c", 403).as_deref(), Some("VMID 403"));
        assert_eq!(is(&inventory, "d", 404).as_deref(), Some("VMID 403"), "what has no name may be this one");
        inventory.unread[1].name = Some("c".into());
        assert_eq!(is(&inventory, "d", 404), None);
        assert_eq!(inventory.machine(&"d".into(), Some(Vmid(404))), Seen::Absent);
        let why = inventory.machine(&"c".into(), None);
        assert_eq!(why.why_unknown().map(ToString::to_string).as_deref(), Some("its node pve2 is offline"));
    }
}
