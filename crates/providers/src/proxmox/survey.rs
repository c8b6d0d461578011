//! What is in the cluster: the nodes, and every guest with its marks.
//!
//! `/cluster/resources` tells numbers, places, tags and locks as they are, and names and power as they were when a node's
//! figures were last gathered, up to ten seconds ago and not at all for a guest that is new. So whoever needs those asks
//! the node: one list for each kind of guest, however many there are.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kubewright_model::desired::TEMPLATE_TAG;
use kubewright_model::ids::{NodeName, Owner, Vmid};
use kubewright_model::observed::{Inventory, MachineSeen, Power, Taken};
use kubewright_model::unread::Unread;
use serde_json::Value;

use super::call::{self, Config, Guest, Kind};
use super::client::error;
use super::notes::Notes;
use super::{Proxmox, guest, ha};
use crate::{ErrorKind, ProviderError};

/// Configurations that are read at once: a node answers with three workers, and others want answers too.
pub(super) const AT_ONCE: usize = 6;

/// A guest as a list has it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) guest: Guest,
    pub(super) name: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) lock: Option<String>,
    pub(super) template: bool,
    pub(super) power: Power,
}

impl Entry {
    /// Whether it carries the mark: as a tag, or in the name of a clone that is not finished. A template is no machine.
    pub(super) fn is_marked(&self, owner: &Owner) -> bool {
        let named = self.name.as_deref().is_some_and(|name| guest::finished_name(name, owner).is_some());
        !self.template && (named || self.tags.contains(&owner.tag()))
    }

    /// Whether it is a template of ours or a machine that is to become one. A clone has its template's tags until it is
    /// finished.
    pub(super) fn is_of_template(&self, owner: &Owner) -> bool {
        let has = |tag: &str| self.tags.iter().any(|own| own == tag);
        let unfinished = self.name.as_deref().is_some_and(|name| guest::finished_name(name, owner).is_some());
        has(&owner.tag()) && has(TEMPLATE_TAG) && !unfinished
    }

    /// Whether it is being made at this moment, so that nothing tells whose it is.
    pub(super) fn is_being_made(&self) -> bool {
        self.tags.is_empty() && self.lock.as_deref().is_some_and(|lock| matches!(lock, "create" | "clone"))
    }

    /// What is known of it while its node is offline.
    fn unread(&self, owner: &Owner) -> Unread {
        let name = self.name.as_deref().map(|name| guest::finished_name(name, owner).unwrap_or(name));
        Unread { name: name.map(NodeName::new), vmid: Some(self.guest.vmid), place: self.guest.node.as_str().into() }
    }

    /// It, for people.
    pub(super) fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.guest.to_string())
    }

    /// It, as what is not ours, or not known to be.
    fn taken(&self) -> Taken {
        Taken { name: self.title(), vmid: Some(self.guest.vmid), being_made: self.is_being_made() }
    }

    fn read(kind: Kind, node: &str, item: &Value) -> Option<Self> {
        let text = |name: &str| item[name].as_str().filter(|text| !text.is_empty()).map(String::from);
        let vmid = guest::word(&item["vmid"])?.parse().ok()?;
        Some(Self {
            guest: Guest { kind, node: node.into(), vmid: Vmid(vmid) },
            name: text("name"),
            tags: guest::tags(item["tags"].as_str().unwrap_or_default()).map(String::from).collect(),
            lock: text("lock"),
            template: guest::word(&item["template"]).is_some_and(|yes| yes == "1"),
            power: if item["status"] == "running" { Power::Running } else { Power::Stopped },
        })
    }
}

/// Everything in the cluster, from one list.
pub(super) struct Survey {
    /// Nodes, and whether each can be reached.
    pub(super) nodes: BTreeMap<String, bool>,
    /// Guests. Names and power are as they were.
    pub(super) guests: Vec<Entry>,
    /// Storages that every node sees the same of.
    pub(super) shared: BTreeSet<String>,
}

impl Survey {
    fn read(list: &Value) -> Self {
        let mut survey = Self { nodes: BTreeMap::new(), guests: Vec::new(), shared: BTreeSet::new() };
        for item in list.as_array().into_iter().flatten() {
            let Some(node) = item["node"].as_str() else { continue };
            match item["type"].as_str() {
                Some("node") => drop(survey.nodes.insert(node.into(), item["status"] != "offline")),
                Some("lxc") => survey.guests.extend(Entry::read(Kind::Lxc, node, item)),
                Some("qemu") => survey.guests.extend(Entry::read(Kind::Qemu, node, item)),
                Some("storage") if guest::word(&item["shared"]).is_some_and(|yes| yes == "1") => {
                    survey.shared.extend(item["storage"].as_str().map(String::from));
                }
                _ => {}
            }
        }
        survey
    }

    fn is_reachable(&self, entry: &Entry) -> bool {
        self.nodes.get(&entry.guest.node).copied().unwrap_or(true)
    }
}

impl Proxmox {
    pub(super) async fn survey(&self) -> Result<Survey, ProviderError> {
        Ok(Survey::read(&self.client.send(call::resources()).await?))
    }

    /// The guests as they are now, as far as their nodes can be reached; the others as they were.
    pub(super) async fn guests_now(&self, survey: Survey) -> Result<Vec<Entry>, ProviderError> {
        let (near, far): (Vec<Entry>, Vec<Entry>) =
            survey.guests.iter().cloned().partition(|entry| survey.is_reachable(entry));
        let lists: BTreeSet<(String, Kind)> =
            near.iter().map(|entry| (entry.guest.node.clone(), entry.guest.kind)).collect();
        let lists = lists.into_iter().map(async |(node, kind)| {
            let list = self.client.send(call::guests(&node, kind)).await?;
            let items = list.as_array().into_iter().flatten();
            Ok::<_, ProviderError>(items.filter_map(|item| Entry::read(kind, &node, item)).collect::<Vec<_>>())
        });
        let fresh: Vec<Vec<Entry>> = stream::iter(lists).buffered(AT_ONCE).try_collect().await?;
        let mut now: BTreeMap<Vmid, Entry> =
            fresh.into_iter().flatten().map(|entry| (entry.guest.vmid, entry)).collect();
        for entry in near.into_iter().chain(far) {
            // What came or went between the two lists is moving; it is told as it was.
            let fresh = now.entry(entry.guest.vmid).or_insert_with(|| entry.clone());
            // A list of a node may tell no tags and no lock; the cluster's list always does.
            fresh.tags.extend(entry.tags.into_iter().filter(|_| fresh.tags.is_empty()).collect::<Vec<_>>());
            fresh.lock = fresh.lock.take().or(entry.lock);
        }
        Ok(now.into_values().collect())
    }

    /// All that carries the mark, and what of others is there.
    pub(super) async fn inventory(&self, owner: &Owner) -> Result<Inventory, ProviderError> {
        let held = self.may_look().await?;
        let survey = self.survey().await?;
        let unreachable: BTreeSet<String> =
            survey.nodes.iter().filter(|(_, online)| !**online).map(|(node, _)| node.clone()).collect();
        let (far, near): (Vec<Entry>, Vec<Entry>) =
            self.guests_now(survey).await?.into_iter().partition(|entry| unreachable.contains(&entry.guest.node));
        let (unread, far): (Vec<Entry>, Vec<Entry>) =
            far.into_iter().partition(|entry| entry.is_of_template(owner) || entry.is_marked(owner));
        let (templates, guests): (Vec<Entry>, Vec<Entry>) =
            near.into_iter().partition(|entry| entry.is_of_template(owner));
        let (ours, others): (Vec<Entry>, Vec<Entry>) =
            guests.into_iter().chain(far).partition(|entry| entry.is_marked(owner));
        let read = self.read(ours).await?;
        // Whoever has machines in HA may look at it.
        let kept = if held.has("/", "Sys.Audit") { self.kept_by_ha().await? } else { ha::Kept::new() };
        let unread = unread.iter().map(|entry| entry.unread(owner)).collect();
        let taken = others.iter().map(Entry::taken).collect();
        let mut inventory = Inventory { unread, taken, ..Inventory::default() };
        for Read { entry, config, waits, snapshots } in read {
            if Notes::read(&config).are_copied(&entry.guest) {
                inventory.taken.push(entry.taken());
                continue;
            }
            let named = guest::name(entry.guest.kind, &config);
            let named = named.map(|name| guest::finished_name(name, owner).unwrap_or(name));
            let name = NodeName::new(named.map_or_else(|| entry.guest.vmid.to_string(), String::from));
            self.knows(&name, &entry.guest);
            let pending = waits && entry.power == Power::Running;
            let mut seen = MachineSeen { pending, ..guest::machine(&entry.guest, &config, entry.power, owner) };
            ha::show(&kept, &entry.guest, owner, &mut seen);
            if !snapshots.is_empty() {
                inventory.snapshots.insert(name.clone(), snapshots);
            }
            if let Some(twin) = inventory.machines.insert(name.clone(), seen) {
                let twin = twin.vmid.map(|vmid| vmid.to_string()).unwrap_or_default();
                let message = format!("{twin} and {} are both named {name} and carry our mark", entry.guest.vmid);
                return Err(error(ErrorKind::Conflict, message));
            }
        }
        for entry in &templates {
            let Some((name, seen)) = self.template_seen(entry, owner).await? else {
                inventory.taken.push(entry.taken());
                continue;
            };
            if inventory.templates.insert(name.clone(), seen).is_some() {
                return Err(error(ErrorKind::Conflict, format!("two templates are named {name} and carry our mark")));
            }
        }
        inventory.backups = Some(self.backup_job(owner, &inventory).await?);
        Ok(inventory)
    }

    /// What guests tell of themselves.
    async fn read(&self, entries: Vec<Entry>) -> Result<Vec<Read>, ProviderError> {
        let reads = entries.into_iter().map(async |entry| match self.client.send(entry.guest.pending()).await {
            Ok(told) => {
                let (config, waits) = guest::pending(&told);
                let snapshots = self.snapshots(&entry.guest, &config).await?;
                Ok(Read { entry, config, waits, snapshots })
            }
            Err(gone) if gone.kind == ErrorKind::NotFound => {
                Err(error(ErrorKind::Transient, format!("{} went away while it was looked at", entry.guest)))
            }
            Err(error) => Err(error),
        });
        stream::iter(reads).buffered(AT_ONCE).try_collect().await
    }
}

/// A guest, and what it tells of itself.
struct Read {
    entry: Entry,
    config: Config,
    /// Something of its configuration waits for its next start.
    waits: bool,
    snapshots: Vec<String>,
}
