//! Settings of machines: what differs, and how each becomes what is wished.
//!
//! When a setting is in force is Proxmox' way: `vmconfig_hotplug_pending` in qemu-server (`QemuServer.pm`) and in
//! pve-container (`LXC/Config.pm`).

use kubewright_model::change::FieldChange;
use kubewright_model::desired::{Body, DesiredMachine};
use kubewright_model::observed::MachineSeen;
use kubewright_model::setting::{Setting, Settings};

/// How a setting of a machine that is there becomes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// At once.
    AtOnce,
    /// When the machine is started the next time.
    NextStart,
    /// While the machine is off, and no sooner.
    WhileOff,
    /// Not in place; the machine works all the same with what it has.
    Stays,
    /// Not in place, and what is wished cannot do without.
    Refused,
}

/// One setting that differs.
#[derive(Clone, Debug)]
pub struct Difference {
    /// What is wished.
    pub wish: Setting,
    /// What is there.
    pub there: Option<Setting>,
    /// How the one becomes the other.
    pub course: Course,
}

impl Difference {
    /// It, for people.
    pub(crate) fn field(&self) -> FieldChange {
        FieldChange {
            field: self.wish.name().into_owned(),
            from: self.there.as_ref().map(Setting::to_string),
            to: Some(self.wish.to_string()),
        }
    }
}

/// Every setting of a machine that differs from what is wished.
pub fn differences(machine: &DesiredMachine, seen: &MachineSeen) -> Vec<Difference> {
    let wishes = machine.settings_at(&seen.place);
    let other = |wish: &Setting, there: Option<&Setting>| match (wish, there, &*machine.body) {
        // What was taken in the place of what had run out is as good.
        (Setting::ServerType(_), Some(Setting::ServerType(there)), Body::Server(server)) => !server.may_be(there),
        _ => true,
    };
    let differing = wishes.differing(&seen.settings).filter(|(wish, there)| other(wish, *there));
    let differing = differing.map(|(wish, there)| Difference {
        course: course(wish, there, &machine.body),
        wish: wish.clone(),
        there: there.cloned(),
    });
    differing.chain(no_longer_kept(&wishes, seen)).collect()
}

/// HA lets go of a machine that we had it keep and that the spec does not have there any more.
fn no_longer_kept(wishes: &Settings, seen: &MachineSeen) -> Option<Difference> {
    let there = seen.settings.like(&Setting::Ha(true)).filter(|_| seen.ha_of_ours)?;
    let gone = Difference { wish: Setting::Ha(false), there: Some(there.clone()), course: Course::AtOnce };
    wishes.like(there).is_none().then_some(gone)
}

/// How a setting becomes what is wished, on a machine of this kind.
pub fn course(wish: &Setting, there: Option<&Setting>, body: &Body) -> Course {
    use Setting::*;
    match (wish, there, body) {
        (Disk(wish), Some(Disk(there)), _) if wish < there => Course::Refused,
        (ExtraDisk(_, wish), Some(ExtraDisk(_, there)), _) if wish < there => Course::Refused,
        (Mount(_, wish), Some(Mount(_, there)), _) if wish < there => Course::Refused,
        // Nobody knows what there is to grow.
        (Disk(_), None, _) => Course::Stays,
        (Privileged(_), ..) => Course::Refused,
        // <https://docs.hetzner.cloud/reference/cloud#server-actions-change-the-type-of-a-server>
        (ServerType(_), ..) => Course::WhileOff,
        (Storage(_), ..) => Course::Stays,
        // A virtual machine has these from cloud-init, which takes whatever is told anew for another machine: it would set
        // up everything once more, host keys too, in the middle of a cluster.
        (Prefix(_) | Gateway(_) | Nameservers(_) | SearchDomains(_), _, Body::Vm(_)) => Course::Stays,
        // The card would be in force at once, and gone for a moment: that is for the machine's turn.
        (Bridge(_) | Vlan(_) | Queues(_) | Prefix(_) | Gateway(_), ..) => Course::NextStart,
        // A container would have it at once: less memory ends processes of a node that still works, and the kubelet counts
        // what there is when it starts.
        (Cores(_) | Memory(_), _, Body::Vm(_) | Body::Lxc(_)) => Course::NextStart,
        (Cpu(_) | ScsiController(_) | IoThread(_) | Agent(_), _, Body::Vm(_)) => Course::NextStart,
        // Whether there is a balloon at all is settled when QEMU starts; how far it goes is not.
        (Balloon(wish), there, _) if wish.least().is_some() != keeps_all(there) => Course::AtOnce,
        (Balloon(_), ..) => Course::NextStart,
        (Features(_) | Nameservers(_) | SearchDomains(_), _, Body::Lxc(_)) => Course::NextStart,
        _ => Course::AtOnce,
    }
}

/// Whether a virtual machine has no balloon; where nobody says anything it has one.
fn keeps_all(there: Option<&Setting>) -> bool {
    matches!(there, Some(Setting::Balloon(balloon)) if balloon.least().is_none())
}
