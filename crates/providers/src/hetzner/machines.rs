//! Changing, starting, shutting down and deleting one server.

use std::time::Duration;

use kubewright_model::desired::DesiredMachine;
use kubewright_model::ids::{NodeName, Owner};
use kubewright_model::observed::{MachineSeen, Power};
use serde_json::json;

use super::answers::Server;
use super::call::{self, Kind};
use super::client::error;
use super::servers::{body, power, seen};
use super::{Hetzner, marks};
use crate::{Doomed, ErrorKind, ProviderError};

/// For the system inside to end: Kubernetes' own units have 90 s each, and most of them need two.
const SHUT_DOWN: Duration = Duration::from_secs(180);

/// How often a change may fail by what may pass while its server is off for it: one to two minutes of the engine's tries.
const MOST_TRIES: u32 = 7;

impl Hetzner {
    pub(super) async fn change(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let wish = body(machine)?;
        let server = self.ours(&machine.name, owner).await?;
        let there = seen(&server, owner);
        if let (Some(wished), Some(disk)) = (machine.disk, there.settings.disk())
            && wished < disk
        {
            let message = format!("the disk of {} has {disk} and cannot shrink to {wished}", machine.name);
            return Err(error(ErrorKind::Invalid, message));
        }
        self.relabel(machine, &server, owner).await?;
        self.complete(&server).await?;
        self.protect(&server, wish.protected).await?;
        if power(&server) == Power::Stopped {
            match self.change_while_off(machine, &server).await {
                Ok(()) => self.is_over(&server.name),
                Err(refused) => return Err(self.as_it_was(&server, refused).await),
            }
        }
        self.now(server.id, owner).await
    }

    /// What a server is shut down for.
    async fn change_while_off(&self, machine: &DesiredMachine, server: &Server) -> Result<(), ProviderError> {
        self.regroup(server, body(machine)?.placement_group.as_deref()).await?;
        self.retype(machine, server).await
    }

    /// A server that was shut down for a change runs again as it was before anybody is told that the change was refused.
    /// What may pass is tried again, and it has to be off for that; but not for ever.
    async fn as_it_was(&self, server: &Server, refused: ProviderError) -> ProviderError {
        let passes = refused.may_pass();
        if passes && self.once_more(&server.name) < MOST_TRIES {
            return refused;
        }
        let on = self.act(call::act_plainly("/servers/{id}/actions/poweron", server.id), &server.name).await;
        let (kind, after) = match on {
            // Whoever tried again would find it running, and its change not made.
            Ok(()) if passes => (ErrorKind::Conflict, format!("was started again as {}", server.server_type.name)),
            Ok(()) => (refused.kind, format!("was started again as {}", server.server_type.name)),
            Err(why) => (refused.kind, format!("is off and does not start: {}", why.message)),
        };
        self.is_over(&server.name);
        ProviderError { kind, message: format!("{}; {} {after}", refused.message, server.name), ..refused }
    }

    /// Sets the labels that differ. Those that are set are all that there are then.
    async fn relabel(&self, machine: &DesiredMachine, server: &Server, owner: &Owner) -> Result<(), ProviderError> {
        let network = marks::place(&server.labels).map(|(network, _)| network);
        let mut labels = marks::of_server(machine, body(machine)?, owner, network);
        // Where it was to be is settled by the request that made it.
        labels.extend(server.labels.get_key_value(marks::ADDRESS).map(|(key, value)| (key.clone(), value.clone())));
        if labels == server.labels {
            return Ok(());
        }
        match call::label(Kind::Server, server.id, &json!(labels)) {
            Some(call) => self.client.send(call).await.map(drop),
            None => Ok(()),
        }
    }

    /// Gives a server that is off another type. Its disk grows only where the spec says how large it is to be: a server
    /// whose disk has grown goes back to no smaller type. Hetzner starts it afterwards.
    /// <https://docs.hetzner.cloud/reference/cloud#server-actions-change-the-type-of-a-server>
    async fn retype(&self, machine: &DesiredMachine, server: &Server) -> Result<(), ProviderError> {
        let wish = body(machine)?;
        if wish.may_be(&server.server_type.name) {
            return Ok(());
        }
        let grows = machine.disk.is_some_and(|disk| disk.mib() > server.primary_disk_size * 1024);
        let body = json!({ "server_type": wish.server_type, "upgrade_disk": grows });
        self.act(call::act("/servers/{id}/actions/change_type", server.id, body), &server.name).await
    }

    /// Puts a server that is off into its placement group, or takes it out of one.
    async fn regroup(&self, server: &Server, group: Option<&str>) -> Result<(), ProviderError> {
        let wished = match group {
            Some(name) => Some(self.number(Kind::PlacementGroup, name).await?),
            None => None,
        };
        let there = server.placement_group.as_ref().map(|group| group.id);
        if there == wished {
            return Ok(());
        }
        if there.is_some() {
            let remove = call::act_plainly("/servers/{id}/actions/remove_from_placement_group", server.id);
            self.act(remove, &server.name).await?;
        }
        match wished {
            Some(id) => {
                let body = json!({ "placement_group": id });
                self.act(call::act("/servers/{id}/actions/add_to_placement_group", server.id, body), &server.name).await
            }
            None => Ok(()),
        }
    }

    pub(super) async fn turn_on(&self, name: &NodeName, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let server = self.ours(name, owner).await?;
        if matches!(server.status.as_str(), "stopping" | "migrating" | "rebuilding") {
            return Err(error(ErrorKind::Busy, format!("{name} is {} at this moment", server.status)));
        }
        if power(&server) == Power::Running {
            return Ok(seen(&server, owner));
        }
        // Without its address nobody could reach it, and it would tell the others a wrong one.
        self.complete(&server).await?;
        self.act(call::act_plainly("/servers/{id}/actions/poweron", server.id), name.as_str()).await?;
        let now = self.now(server.id, owner).await?;
        match now.power {
            Power::Running => Ok(now),
            Power::Stopped => Err(error(ErrorKind::Transient, format!("{name} was turned on and is off"))),
        }
    }

    /// Has the system inside end, and turns the server off when it does not in time.
    pub(super) async fn turn_off(&self, name: &NodeName, owner: &Owner) -> Result<(), ProviderError> {
        let server = self.ours(name, owner).await?;
        if power(&server) == Power::Stopped {
            return Ok(());
        }
        self.act(call::act_plainly("/servers/{id}/actions/shutdown", server.id), name.as_str()).await?;
        // The action has ended when the word was given, and not when the server is off.
        match tokio::time::timeout(SHUT_DOWN, self.watches.off(server.id, name.as_str())).await {
            Ok(off) => off,
            Err(_) => self.act(call::act_plainly("/servers/{id}/actions/poweroff", server.id), name.as_str()).await,
        }
    }

    pub(super) async fn remove(&self, doomed: Doomed<'_>) -> Result<(), ProviderError> {
        let Some(server) = self.standing(doomed.name, doomed.owner).await? else { return Ok(()) };
        if doomed.place.as_str() != server.location.name || doomed.vmid.is_some() {
            let message = format!(
                "{} is not the machine that was seen: it is server {} at {} now",
                doomed.name, server.id, server.location.name
            );
            return Err(error(ErrorKind::Conflict, message));
        }
        if server.protection.delete && !server.labels.contains_key(marks::PROTECTED) {
            let message = format!("{} is protected from being deleted, and not by us", doomed.name);
            return Err(error(ErrorKind::Denied, message).with_help("take the protection off in the Hetzner Console"));
        }
        self.protect(&server, false).await?;
        let Some(call) = call::delete(Kind::Server, server.id) else { return Ok(()) };
        match self.act(call, doomed.name.as_str()).await {
            Err(gone) if gone.kind == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Whether no action holds it at this moment.
    pub(super) async fn nobody_holds(&self, name: &NodeName, owner: &Owner) -> Result<(), ProviderError> {
        match self.standing(name, owner).await? {
            Some(server) if server.locked => Err(error(ErrorKind::Busy, format!("{name} is locked by an action"))),
            _ => Ok(()),
        }
    }

    /// Refuses an address that another server had when the project was looked at last.
    pub(super) fn is_address_free(&self, machine: &DesiredMachine) -> Result<(), ProviderError> {
        let Some(address) = machine.address else { return Ok(()) };
        match self.holder(address) {
            Some(other) if other != machine.name.as_str() => {
                let message = format!("{} cannot be made: {other} has its address {address}", machine.name);
                Err(error(ErrorKind::Conflict, message))
            }
            _ => Ok(()),
        }
    }
}
