//! High availability: which guests it keeps, and in which group.
//!
//! Proxmox VE 8 has groups, and a resource names its own. In Proxmox VE 9 rules of node affinity have taken their place,
//! and a rule names its resources; one that was made from a group is named `ha-group-NAME` (pve-ha-manager,
//! `HA/Groups.pm`). What HA keeps is turned on and off by asking for a state, as Proxmox does by itself, and HA does
//! so when its turn comes.

use std::collections::BTreeMap;

use kubewright_model::desired::DesiredMachine;
use kubewright_model::ids::Owner;
use kubewright_model::observed::{MachineSeen, Power};
use kubewright_model::setting::{Setting, Settings};
use serde_json::Value;

use super::call::{self, Call, Guest, Kind};
use super::client::error;
use super::{Proxmox, guest};
use crate::{ErrorKind, ProviderError};

/// What stands before the name of a rule that was a group.
const WAS_GROUP: &str = "ha-group-";

/// What HA keeps, by its own ids.
pub(super) type Kept = BTreeMap<String, Resource>;

/// A guest that HA keeps.
pub(super) struct Resource {
    group: Option<String>,
    /// Who asked for it: our mark, where we did.
    comment: Option<String>,
}

/// A guest as HA calls it.
pub(super) fn id(guest: &Guest) -> String {
    let kind = match guest.kind {
        Kind::Lxc => "ct",
        Kind::Qemu => "vm",
    };
    format!("{kind}:{}", guest.vmid)
}

fn settings(resource: &Resource) -> impl Iterator<Item = Setting> {
    [Setting::Ha(true)].into_iter().chain(resource.group.clone().map(Setting::HaGroup))
}

/// Adds to a machine what HA has to do with it.
pub(super) fn show(kept: &Kept, guest: &Guest, owner: &Owner, seen: &mut MachineSeen) {
    let Some(resource) = kept.get(&id(guest)) else { return };
    settings(resource).for_each(|it| seen.settings.set(it));
    seen.ha_of_ours = resource.comment.as_deref() == Some(&owner.tag());
}

/// A rule, which is the user's.
struct Rule {
    name: String,
    of_nodes: bool,
    resources: Vec<String>,
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// What the API of this version does not have, it has nothing of.
fn none_here(refused: ProviderError) -> Result<Value, ProviderError> {
    let gone = matches!(refused.kind, ErrorKind::Bug | ErrorKind::NotFound | ErrorKind::Invalid);
    if gone { Ok(Value::Null) } else { Err(refused) }
}

impl Proxmox {
    /// Everything that HA keeps. It takes a privilege that nobody needs who has no HA.
    pub(super) async fn kept_by_ha(&self) -> Result<Kept, ProviderError> {
        let list = self.client.send(call::ha_resources()).await?;
        let text = |item: &Value, name: &str| item[name].as_str().map(String::from);
        let resource = |item: &Value| Resource { group: text(item, "group"), comment: text(item, "comment") };
        let mut kept: Kept = items(&list).filter_map(|item| Some((text(item, "sid")?, resource(item)))).collect();
        if kept.values().any(|resource| resource.group.is_none()) {
            for Rule { name, resources, .. } in self.rules().await?.into_iter().filter(|rule| rule.of_nodes) {
                let group = name.strip_prefix(WAS_GROUP).unwrap_or(&name);
                for id in resources {
                    kept.entry(id).and_modify(|own| own.group = Some(group.into()));
                }
            }
        }
        Ok(kept)
    }

    async fn rules(&self) -> Result<Vec<Rule>, ProviderError> {
        let list = self.client.send(call::ha_rules()).await.or_else(none_here)?;
        let rules = items(&list).filter_map(|item| {
            let resources = item["resources"].as_str().unwrap_or_default().split(',').map(|id| id.trim().to_string());
            let of_nodes = item["type"] == "node-affinity";
            Some(Rule { name: item["rule"].as_str()?.into(), of_nodes, resources: resources.collect() })
        });
        Ok(rules.collect())
    }

    /// Has HA keep a machine, if that is wished, in the state that it is in.
    pub(super) async fn keep(
        &self,
        machine: &DesiredMachine,
        guest: &Guest,
        power: Power,
        owner: &Owner,
    ) -> Result<(), ProviderError> {
        let wishes = machine.settings();
        if wishes.like(&Setting::Ha(true)).is_none() {
            return Ok(());
        }
        let there: Settings = self.kept_by_ha().await?.get(&id(guest)).into_iter().flat_map(settings).collect();
        let of_ha = |it: &Setting| matches!(it, Setting::Ha(_) | Setting::HaGroup(_));
        if !wishes.differing(&there).any(|(wish, _)| of_ha(wish)) {
            return Ok(());
        }
        let (id, is_kept) = (id(guest), there.like(&Setting::Ha(true)).is_some());
        let state = if power == Power::Running { "started" } else { "stopped" };
        let keep = |group: Option<&str>| call::keep_by_ha(&id, state, group, &owner.tag());
        let Some(group) = wishes.ha_group() else {
            return self.client.send(keep(None)).await.map(drop);
        };
        let groups = self.client.send(call::ha_groups()).await.or_else(none_here)?;
        if items(&groups).any(|item| item["group"] == group) {
            let call = if is_kept { call::change_ha(&id, group) } else { keep(Some(group)) };
            return self.client.send(call).await.map(drop);
        }
        self.join_rule(&id, group, (!is_kept).then(|| keep(None))).await
    }

    /// Puts a guest under a rule, after the call with which HA begins to keep it, where it does not yet.
    async fn join_rule(&self, id: &str, group: &str, first: Option<Call>) -> Result<(), ProviderError> {
        let rules = self.rules().await?.into_iter().filter(|rule| rule.of_nodes);
        let called = |rule: &Rule| rule.name == group || rule.name.strip_prefix(WAS_GROUP) == Some(group);
        let rule = rules.into_iter().find(called);
        let missing = || error(ErrorKind::NotFound, format!("HA has no group and no rule of node affinity {group}"));
        let Rule { name, resources, .. } = rule.ok_or_else(missing)?;
        if let Some(first) = first {
            self.client.send(first).await?;
        }
        // A rule may name what has gone, and is refused with it.
        let kept = self.kept_by_ha().await?;
        let others = resources.iter().map(String::as_str).filter(|other| *other != id && kept.contains_key(*other));
        let resources: Vec<&str> = others.chain([id]).collect();
        self.client.send(call::change_ha_rule(&name, &resources.join(","))).await.map(drop)
    }

    /// HA lets go of a guest, which stays as it is. One that it does not keep is no error. With its last guest a rule would
    /// go as well, and it is the user's: then it goes on naming what is gone.
    pub(super) async fn let_go(&self, guest: &Guest) -> Result<(), ProviderError> {
        let id = id(guest);
        let is_last = self.rules().await?.iter().any(|rule| rule.resources == [id.as_str()]);
        let gone = self.client.send(call::drop_from_ha(&id, is_last)).await.map(drop);
        gone.or_else(|error| if error.kind == ErrorKind::NotFound { Ok(()) } else { Err(error) })
    }

    /// Whether a guest runs, and whether HA keeps it.
    pub(super) async fn status(&self, guest: &Guest) -> Result<(Power, bool), ProviderError> {
        let status = self.client.send(guest.status()).await?;
        let power = if status["status"] == "running" { Power::Running } else { Power::Stopped };
        Ok((power, guest::word(&status["ha"]["managed"]).is_some_and(|yes| yes == "1")))
    }
}
