//! What we must be allowed to do, what of it we are not, and the commands that would change that.
//!
//! The paths and privileges are those that Proxmox' own methods check (`check_ct_modify_config_perm` in pve-container,
//! `$check_vm_modify_config_perm` in qemu-server, `check_vnet_access` in pve-guest-common, `check_volume_access` in
//! pve-storage). All of them have the same names in Proxmox VE 8 and 9.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::desired::{Body, DesiredMachine, VmSource};
use kubewright_model::ids::{NodeName, PlaceName, Vmid};
use serde_json::Value;

use super::call::Config;
use super::client::error;
use super::guest::property;
use super::settings::Identity;
use super::survey::Survey;
use super::{Proxmox, call};
use crate::{ErrorKind, ProviderError, Refusal};

/// For every guest: to see it, make it, set it up, start it and delete it.
const GUEST: [&str; 8] = [
    "VM.Allocate",
    "VM.Audit",
    "VM.Config.CPU",
    "VM.Config.Disk",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.PowerMgmt",
];
/// For virtual machines beside it: cloud-init, its drive, and the serial port.
const VIRTUAL_MACHINE: [&str; 3] = ["VM.Config.CDROM", "VM.Config.Cloudinit", "VM.Config.HWType"];

/// For disks on a storage. Who may not look at it does not learn either that every node sees the same of it, so that
/// clones go to their node at once.
const DISKS: [&str; 2] = ["Datastore.AllocateSpace", "Datastore.Audit"];

/// Privileges that are missing on one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The path of Proxmox' access control: `/vms`, `/storage/local-lvm`.
    pub path: String,
    /// What is missing there.
    pub privileges: Vec<&'static str>,
    /// The commands for the shell of a Proxmox host that grant what is needed there and nothing else.
    pub commands: Vec<String>,
}

/// Privileges by path.
type Wanted = BTreeMap<String, BTreeSet<&'static str>>;

impl Proxmox {
    /// What is missing for what is asked. Nothing is missing where the list is empty. A question that a node does not answer
    /// now keeps nothing of the rest back.
    pub async fn lacking(&self, asked: crate::Wanted<'_>) -> Result<Vec<Lacking>, ProviderError> {
        let machines = asked.machines;
        let held = Held(self.client.send(call::permissions()).await?);
        let mut wanted = wanted(machines, &self.guests_path());
        self.want_of_templates(machines, &held, &mut wanted).await;
        // Whoever may read and change the whole system may make a node get a file, too.
        if held.has("/", "Sys.Audit") && held.has("/", "Sys.Modify") {
            wanted.retain(|path, _| !path.starts_with("/nodes/"));
        }
        let templates = machines.iter().filter_map(|machine| match &*machine.body {
            Body::Lxc(lxc) => Some((machine.place.as_str(), lxc.template.as_str(), lxc.download.is_some())),
            _ => None,
        });
        if let Some(job) = asked.backup_job {
            wanted.entry("/".into()).or_default().extend(["Sys.Audit", "Sys.Modify"]);
            wanted.entry(self.guests_path()).or_default().extend(["VM.Backup"]);
            wanted
                .entry(format!("/storage/{}", job.storage))
                .or_default()
                .extend(["Datastore.Allocate", "Datastore.AllocateSpace"]);
        }
        if !asked.snapshots.is_empty() {
            wanted.entry(self.guests_path()).or_default().extend(["VM.Audit", "VM.Snapshot"]);
        }
        for (node, template, downloads) in templates.collect::<BTreeSet<_>>() {
            let path = format!("/storage/{}", template.split(':').next().unwrap_or_default());
            // Who may not look is told that first.
            if held.has(&path, "Datastore.Audit") && self.lacks_template(node, template).await.unwrap_or(false) {
                wanted.entry(path).or_default().insert("Datastore.AllocateTemplate");
                if downloads {
                    wanted.entry(format!("/nodes/{node}")).or_default().insert("Sys.AccessNetwork");
                }
            }
        }
        Ok(self.lacking_of(&held, wanted))
    }

    /// What cloning takes that only templates tell: the networks that they are in, and the way to another node. Who may not
    /// look at one is told that first.
    async fn want_of_templates(&self, machines: &[&DesiredMachine], held: &Held, wanted: &mut Wanted) {
        let clones = machines.iter().filter_map(|machine| match &*machine.body {
            Body::Vm(vm) => Some((machine.place.as_str(), vm.template().filter(|template| !template.built)?.vmid)),
            _ => None,
        });
        let clones: BTreeSet<(&str, Vmid)> = clones.collect();
        if clones.is_empty() {
            return;
        }
        let mut read: BTreeMap<Vmid, Config> = BTreeMap::new();
        let Ok(Survey { guests, .. }) = self.survey().await else { return };
        for (place, vmid) in clones {
            let found = guests.iter().find(|entry| entry.guest.vmid == vmid);
            let Some(found) = found.filter(|_| held.has(&format!("/vms/{vmid}"), "VM.Audit")) else { continue };
            if found.guest.node != place {
                wanted.entry(self.guests_path()).or_default().insert("VM.Migrate");
            }
            if let Entry::Vacant(unread) = read.entry(vmid)
                && let Ok(config) = self.config(&found.guest).await
            {
                unread.insert(config);
            }
        }
        let cards = read.values().flatten().filter(|(name, _)| is_card(name));
        for (_, card) in cards {
            if let Some(bridge) = property(card, "bridge") {
                wanted.entry(bridge_path(bridge, property(card, "tag"))).or_default().insert("SDN.Use");
            }
        }
    }

    /// The same for people.
    pub(super) async fn refusals(&self, asked: crate::Wanted<'_>) -> Result<Vec<Refusal>, ProviderError> {
        let who = self.client.identity().id();
        let refusal = |Lacking { path, privileges, commands }| Refusal {
            message: format!("{who} lacks {} on {path}", privileges.join(", ")),
            help: format!("on a Proxmox host: {}", commands.join("; ")),
        };
        let absent = self.absent(asked.machines).await.unwrap_or_default();
        let mut refusals: Vec<Refusal> = match self.lacking(asked).await {
            // What may be done there cannot be asked of what is not there.
            Err(_) if !absent.is_empty() => return Ok(absent),
            lacking => lacking?.into_iter().map(refusal).chain(absent).collect(),
        };
        // Who may not look is told that first.
        if refusals.is_empty() {
            refusals.extend(self.without_snapshots(asked.snapshots).await.unwrap_or_default());
            refusals.extend(self.other_templates(asked.machines).await.unwrap_or_default());
        }
        refusals.extend(self.tied(asked.machines).await.unwrap_or_default());
        Ok(refusals)
    }

    /// Machines that HA keeps and that have an image on a storage which only their node sees.
    async fn tied(&self, machines: &[&DesiredMachine]) -> Result<Vec<Refusal>, ProviderError> {
        let tied = machines.iter().filter(|machine| machine.ha.is_some()).filter_map(|machine| match &*machine.body {
            Body::Vm(vm) => Some((&machine.name, vm.iso.as_deref()?)),
            _ => None,
        });
        let tied: Vec<(&NodeName, &str)> = tied.collect();
        if tied.is_empty() {
            return Ok(Vec::new());
        }
        let held = Held(self.client.send(call::permissions()).await?);
        let shared = self.survey().await?.shared;
        let seen = |storage: &str| held.has(&format!("/storage/{storage}"), "Datastore.Audit");
        let tied = tied.into_iter().filter(|(_, storage)| seen(storage) && !shared.contains(*storage));
        let refusal = |(name, storage)| Refusal {
            message: format!("{name} could not start elsewhere: its image is on {storage}, which only its node sees"),
            help: "name a shared storage as `isoStorage`, or take `cloudInit: iso` or `ha` out".into(),
        };
        Ok(tied.map(refusal).collect())
    }

    /// Whether guests can be seen at all: without that a cluster looks as if it were empty.
    pub(super) async fn may_look(&self) -> Result<Held, ProviderError> {
        let held = Held(self.client.send(call::permissions()).await?);
        let wanted = Wanted::from([(self.guests_path(), BTreeSet::from(["VM.Audit"]))]);
        match self.lacking_of(&held, wanted).pop() {
            None => Ok(held),
            Some(lacking) => {
                let who = self.client.identity().id();
                Err(error(ErrorKind::Denied, format!("{who} sees no guests: it lacks VM.Audit on {}", lacking.path)))
            }
        }
    }

    /// The path that stands for all guests of ours.
    fn guests_path(&self) -> String {
        self.pool.as_ref().map_or_else(|| "/vms".into(), |pool| format!("/pool/{pool}"))
    }

    fn lacking_of(&self, held: &Held, wanted: Wanted) -> Vec<Lacking> {
        let lacking = wanted.into_iter().filter_map(|(path, wanted)| {
            let privileges: Vec<_> = wanted.iter().copied().filter(|privilege| !held.has(&path, privilege)).collect();
            let commands = commands(self.client.identity(), &path, &wanted);
            (!privileges.is_empty()).then_some(Lacking { path, privileges, commands })
        });
        lacking.collect()
    }
}

/// Everything that machines need.
fn wanted(machines: &[&DesiredMachine], guests: &str) -> Wanted {
    let mut wanted = Wanted::new();
    let mut places: BTreeMap<Vmid, BTreeSet<&PlaceName>> = BTreeMap::new();
    let mut want = |path: String, privileges: &[&'static str]| wanted.entry(path).or_default().extend(privileges);
    for machine in machines {
        let (storage, bridge, vlan) = match &*machine.body {
            Body::Lxc(lxc) => {
                let store = lxc.template.split(':').next().unwrap_or_default();
                want(format!("/storage/{store}"), &["Datastore.Audit"]);
                for storage in lxc.mounts.iter().filter_map(|mount| mount.storage.as_ref()) {
                    want(format!("/storage/{storage}"), &DISKS);
                }
                if lxc.privileged {
                    want("/".into(), &["Sys.Modify"]);
                }
                (&lxc.storage, &lxc.card.bridge, lxc.card.vlan)
            }
            Body::Vm(vm) => {
                want(guests.into(), &VIRTUAL_MACHINE);
                if let VmSource::Image(image) = &vm.source {
                    let images = ["Datastore.Allocate", "Datastore.AllocateTemplate", "Datastore.Audit"];
                    want(format!("/storage/{}", image.storage), &images);
                    want(format!("/nodes/{}", machine.place), &["Sys.AccessNetwork"]);
                }
                if let Some(template) = vm.template() {
                    // What we build is among the guests that are ours, whatever its number.
                    match template.built {
                        true => want(guests.into(), &["VM.Clone"]),
                        false => want(format!("/vms/{}", template.vmid), &["VM.Audit", "VM.Clone"]),
                    }
                    let places = places.entry(template.vmid).or_default();
                    places.insert(&machine.place);
                    // A template is on one node, and clones of disks that only that node sees move to the others.
                    if places.len() > 1 {
                        want(guests.into(), &["VM.Migrate"]);
                    }
                }
                if let Some(storage) = &vm.iso {
                    let images = ["Datastore.Allocate", "Datastore.AllocateTemplate", "Datastore.Audit"];
                    want(format!("/storage/{storage}"), &images);
                }
                (&vm.storage, &vm.card.bridge, vm.card.vlan)
            }
            Body::Server(_) | Body::Existing | Body::Local => continue,
        };
        want(guests.into(), &GUEST);
        if machine.ha.is_some() {
            want("/".into(), &["Sys.Audit", "Sys.Console"]);
        }
        want(format!("/storage/{storage}"), &DISKS);
        want(bridge_path(bridge, vlan.map(|vlan| vlan.to_string()).as_deref()), &["SDN.Use"]);
    }
    wanted
}

/// The path of a bridge, or of a VLAN at it.
fn bridge_path(bridge: &str, vlan: Option<&str>) -> String {
    let vlan = vlan.map(|vlan| format!("/{vlan}")).unwrap_or_default();
    format!("/sdn/zones/localnetwork/{bridge}{vlan}")
}

/// Whether a setting is a network card.
fn is_card(name: &str) -> bool {
    name.strip_prefix("net").is_some_and(|number| number.parse::<u8>().is_ok())
}

/// What we have, as the API tells it: paths, and on each the privileges and whether they hold below it too.
pub(super) struct Held(Value);

impl Held {
    pub(super) fn has(&self, path: &str, privilege: &str) -> bool {
        self.at(path, privilege) || self.in_another_zone(path, privilege)
    }

    /// The nearest path that is told decides: what is told of it is the sum of all above.
    fn at(&self, path: &str, privilege: &str) -> bool {
        let mut nearest = path;
        loop {
            if let Some(told) = self.0.get(nearest) {
                return match told.get(privilege) {
                    None => false,
                    Some(below) => nearest == path || below.as_i64() == Some(1) || below.as_bool() == Some(true),
                };
            }
            nearest = match nearest.rsplit_once('/') {
                None | Some(("", "")) => return false,
                Some(("", _)) => "/",
                Some((above, _)) => above,
            };
        }
    }

    /// A bridge may be a virtual network of another zone than that of plain bridges.
    fn in_another_zone(&self, path: &str, privilege: &str) -> bool {
        let Some(network) = path.strip_prefix("/sdn/zones/localnetwork") else { return false };
        let paths = self.0.as_object().into_iter().flat_map(|told| told.keys());
        paths.filter(|told| told.starts_with("/sdn/zones/")).any(|told| {
            let (zone, _) = told["/sdn/zones/".len()..].split_once('/').unwrap_or((&told["/sdn/zones/".len()..], ""));
            self.at(&format!("/sdn/zones/{zone}{network}"), privilege) && told.contains(network)
        })
    }
}

/// What a storage is for, by the privileges that are needed there: each has a role of its own, so that none is granted
/// more than it needs for the sake of another.
fn storage_role(privileges: &BTreeSet<&'static str>) -> String {
    let has = |privilege| privileges.contains(privilege);
    let uses = [
        ("Disks", has("Datastore.AllocateSpace")),
        ("Images", has("Datastore.Allocate") && has("Datastore.AllocateTemplate")),
        ("Backups", has("Datastore.Allocate") && !has("Datastore.AllocateTemplate")),
        ("Templates", !has("Datastore.Allocate") && has("Datastore.AllocateTemplate")),
    ];
    let uses: String = uses.into_iter().filter(|(_, used)| *used).map(|(name, _)| name).collect();
    if uses.is_empty() { "Storage".into() } else { uses }
}

/// The commands that grant these privileges on this path. A role has what one kind of path needs, so that it can be
/// granted on several of them; a token that is kept apart from its user needs its user to have the privileges too. What is
/// needed on `/` is asked of that path itself, and not of everything below it.
fn commands(identity: &Identity, path: &str, privileges: &BTreeSet<&'static str>) -> Vec<String> {
    let kind = match path.split('/').nth(1) {
        Some("vms") if path != "/vms" => "Template".to_string(),
        Some("vms" | "pool") => "Guests".to_string(),
        Some("storage") => storage_role(privileges),
        Some("sdn") => "Network".to_string(),
        Some("nodes") => "Nodes".to_string(),
        _ => "System".to_string(),
    };
    let below = if path == "/" { " --propagate 0" } else { "" };
    let role = format!("Kubewright{kind}");
    let list = privileges.iter().copied().collect::<Vec<_>>().join(" ");
    let mut who = Vec::new();
    let (user, token) = match identity {
        Identity::Token { id, .. } => (id.split('!').next().unwrap_or(id), Some(id)),
        Identity::Password { user, .. } => (user.as_str(), None),
    };
    if user != "root@pam" {
        who.push(format!("--users {user}"));
    }
    who.extend(token.map(|token| format!("--tokens '{token}'")));
    vec![
        format!("pveum role add {role} --privs \"{list}\" || pveum role modify {role} --append 1 --privs \"{list}\""),
        format!("pveum acl modify {path} --roles {role} {}{below}", who.join(" ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubewright_model::secret::Secret;
    use serde_json::json;

    #[test]
    fn privileges_hold_below_where_they_are_told_to() {
        let held = Held(json!({
            "/": { "Sys.Audit": 1 },
            "/vms": { "VM.Audit": 1, "VM.Allocate": 0 },
            "/vms/500": {},
            "/sdn/zones/lab/vnet1": { "SDN.Use": 1 },
        }));
        assert!(held.has("/vms", "VM.Allocate") && held.has("/vms/400", "VM.Audit"));
        assert!(!held.has("/vms/400", "VM.Allocate"), "it does not hold below");
        assert!(!held.has("/vms/500", "VM.Audit"), "it was taken away there");
        assert!(held.has("/nodes/pve1", "Sys.Audit") && !held.has("/storage/local", "Datastore.Audit"));
        assert!(held.has("/sdn/zones/localnetwork/vnet1", "SDN.Use"));
        assert!(!held.has("/sdn/zones/localnetwork/vmbr0", "SDN.Use"));
    }

    #[test]
    fn commands_name_token_and_user() {
        let identity = Identity::Token { id: "kw@pve!main".into(), secret: Secret::new(String::new()) };
        let commands = commands(&identity, "/storage/local-lvm", &BTreeSet::from(["Datastore.AllocateSpace"]));
        assert_eq!(
            commands,
            [
                "pveum role add KubewrightDisks --privs \"Datastore.AllocateSpace\" || \
                 pveum role modify KubewrightDisks --append 1 --privs \"Datastore.AllocateSpace\"",
                "pveum acl modify /storage/local-lvm --roles KubewrightDisks --users kw@pve --tokens 'kw@pve!main'",
            ]
        );
    }
}
