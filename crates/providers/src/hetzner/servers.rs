//! Making one server, and what it becomes complete by.
//!
//! Nothing is done to a server before the API has told that it carries our mark. A server gets its address in the private
//! network after it was made, since no address can be chosen in the request that makes it; its labels tell which, so that
//! one that was cut off in between is completed by whoever meets it.

use kubewright_model::desired::{Body, DesiredMachine, ServerBody, primary_ip};
use kubewright_model::ids::{NodeName, Owner};
use kubewright_model::observed::{MachineSeen, Power};
use kubewright_model::setting::Setting;
use kubewright_model::units::Size;
use serde_json::{Value, json};

use super::answers::{Action, Server};
use super::call::{self, Call, Kind};
use super::client::{error, part};
use super::wish::{self, Around, Choice};
use super::{Hetzner, classify, marks};
use crate::{ErrorKind, ProviderError};

/// What is wished, if it is a server.
pub(super) fn body(machine: &DesiredMachine) -> Result<&ServerBody, ProviderError> {
    match &*machine.body {
        Body::Server(server) => Ok(server),
        _ => Err(error(ErrorKind::Invalid, format!("{} is no server of Hetzner's", machine.name))),
    }
}

/// Whether it runs. One that is being made is off: it is made so.
pub(super) fn power(server: &Server) -> Power {
    match server.status.as_str() {
        "off" | "initializing" => Power::Stopped,
        _ => Power::Running,
    }
}

/// A server, as the engine sees one.
pub(super) fn seen(server: &Server, owner: &Owner) -> MachineSeen {
    let settings = [
        Setting::Disk(Size::from_gib(server.primary_disk_size)),
        Setting::tags(&marks::others(&server.labels)),
        Setting::ServerType(server.server_type.name.clone()),
        Setting::Protected(server.protection.delete),
    ];
    let place = marks::place(&server.labels);
    MachineSeen {
        owner: owner.clone(),
        place: server.location.name.as_str().into(),
        vmid: None,
        power: power(server),
        address: server.private(place.map(|(network, _)| network)),
        public: server.public(),
        settings: settings.into_iter().collect(),
        protected: server.protection.delete && !server.labels.contains_key(marks::PROTECTED),
        pending: false,
        template: None,
        ha_of_ours: false,
    }
}

impl Hetzner {
    /// Has something done, and waits until it is done.
    pub(super) async fn act(&self, call: Call, about: &str) -> Result<(), ProviderError> {
        let mut answer = self.client.send(call).await?;
        self.done(&mut answer, about).await
    }

    /// Waits until everything is done that an answer tells of.
    pub(super) async fn done(&self, answer: &mut Value, about: &str) -> Result<(), ProviderError> {
        for name in ["action", "actions", "next_actions"] {
            let actions: Vec<Action> = match &answer[name] {
                Value::Null => continue,
                Value::Array(_) => part(answer, name)?,
                _ => vec![part(answer, name)?],
            };
            for action in &actions {
                self.watches.done(action, about).await?;
            }
        }
        Ok(())
    }

    /// The server of that name if it is ours, or an error if it is somebody else's.
    pub(super) async fn standing(&self, name: &NodeName, owner: &Owner) -> Result<Option<Server>, ProviderError> {
        let there: Option<Server> = self.client.named(Kind::Server, name.as_str()).await?;
        match there.filter(|server| server.status != "deleting") {
            Some(foreign) if !marks::are_ours(&foreign.labels, owner) => {
                let message = format!("there is a server {name} in the project, and it does not carry our mark");
                Err(error(ErrorKind::Conflict, message))
            }
            there => Ok(there),
        }
    }

    /// The server of that name with our mark.
    pub(super) async fn ours(&self, name: &NodeName, owner: &Owner) -> Result<Server, ProviderError> {
        let missing = || error(ErrorKind::NotFound, format!("no server {name} carries the mark {}", owner.0));
        self.standing(name, owner).await?.ok_or_else(missing)
    }

    /// A server as it is now.
    pub(super) async fn now(&self, id: u64, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let server: Server = part(&mut self.client.send(call::server(id)).await?, "server")?;
        Ok(seen(&server, owner))
    }

    pub(super) async fn make(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let wish = body(machine)?;
        let server = match self.standing(&machine.name, owner).await? {
            Some(server) => server,
            None => {
                self.is_address_free(machine)?;
                self.begin(machine, wish, owner).await?
            }
        };
        self.complete(&server).await?;
        self.protect(&server, wish.protected).await?;
        self.now(server.id, owner).await
    }

    /// Sends the request that makes a server, and waits until it is made.
    async fn begin(&self, machine: &DesiredMachine, wish: &ServerBody, owner: &Owner) -> Result<Server, ProviderError> {
        self.lets_in(machine, wish)?;
        let user_data = wish::user_data(machine, wish, self.user(machine)?)?;
        let around = self.around(machine, wish).await?;
        let labels = marks::of_server(machine, wish, owner, around.network);
        let mut refused = Vec::new();
        for choice in self.left(wish::choices(machine, wish)) {
            let image = self.image(&wish.image, choice.server_type).await?;
            let mut body = wish::body(machine, wish, &choice, image, &around, &labels);
            body["user_data"] = json!(user_data);
            match self.client.send(call::create(Kind::Server, body)).await {
                Ok(mut answer) => {
                    self.takes(machine, wish, &choice);
                    let server = part(&mut answer, "server")?;
                    self.done(&mut answer, machine.name.as_str()).await?;
                    return Ok(server);
                }
                Err(none) if classify::is_not_there(&none) => {
                    refused.push((choice.to_string(), none));
                }
                Err(lost) => return self.after(lost, &machine.name, owner).await,
            }
        }
        Err(none_left(refused))
    }

    /// A request whose answer was lost on the way may have made the server all the same, and so may the one before it.
    async fn after(&self, lost: ProviderError, name: &NodeName, owner: &Owner) -> Result<Server, ProviderError> {
        if classify::is(&lost, "not_found") || classify::is(&lost, "invalid_input") {
            self.known.is_old().await;
        }
        if lost.kind != ErrorKind::Transient && !classify::is(&lost, "uniqueness_error") {
            return Err(lost);
        }
        match self.standing(name, owner).await {
            Ok(Some(server)) => Ok(server),
            Err(foreign) if foreign.kind == ErrorKind::Conflict => Err(foreign),
            _ => Err(lost),
        }
    }

    /// What may be taken, without what the last look at the offer knew to be sold out; all of it where nothing is left
    /// then, for there may be some again.
    fn left<'a>(&self, choices: Vec<Choice<'a>>) -> Vec<Choice<'a>> {
        let left: Vec<Choice<'a>> = choices.iter().filter(|choice| !self.is_sold_out(choice)).cloned().collect();
        if left.is_empty() { choices } else { left }
    }

    /// Notes what is made, where it is not what was wished first.
    fn takes(&self, machine: &DesiredMachine, wish: &ServerBody, choice: &Choice<'_>) {
        if let Some(first) = wish::choices(machine, wish).into_iter().next().filter(|first| first != choice) {
            self.tells(&machine.name, format!("there is no {first} left: it is made as {choice}"));
        }
    }

    /// Numbers of what a server is put into and made with.
    async fn around(&self, machine: &DesiredMachine, wish: &ServerBody) -> Result<Around, ProviderError> {
        let number = async |kind: Kind, name: Option<&str>| match name {
            Some(name) => self.number(kind, name).await.map(Some),
            None => Ok(None),
        };
        let kept = [false, true].map(|ipv6| wish.keeps_addresses.then(|| primary_ip(&machine.name, ipv6)));
        let [four, six] = kept;
        let mut ssh_keys = Vec::new();
        for name in &wish.ssh_keys {
            ssh_keys.push(self.ssh_key(name).await?);
        }
        Ok(Around {
            network: number(Kind::Network, wish.network.as_deref()).await?,
            placement_group: number(Kind::PlacementGroup, wish.placement_group.as_deref()).await?,
            ipv4: number(Kind::PrimaryIp, four.as_deref().filter(|_| wish.public_ipv4)).await?,
            ipv6: number(Kind::PrimaryIp, six.as_deref().filter(|_| wish.public_ipv6)).await?,
            ssh_keys,
        })
    }

    /// Puts a server into the network that it was made for, if that was not done yet.
    pub(super) async fn complete(&self, server: &Server) -> Result<(), ProviderError> {
        let Some((network, wished)) = marks::place(&server.labels) else { return Ok(()) };
        match (server.private_net.iter().find(|own| own.network == network), wished) {
            (None, _) => {
                let mut body = json!({ "network": network });
                if let Some(address) = wished {
                    body["ip"] = json!(address);
                }
                let attach = call::act("/servers/{id}/actions/attach_to_network", server.id, body);
                let attached = self.act(attach, &server.name).await;
                // Whoever was quicker did the same.
                attached.or_else(|no| if classify::is(&no, "server_already_attached") { Ok(()) } else { Err(no) })
            }
            (Some(own), Some(wished)) if own.ip.is_some_and(|own| own != wished) => {
                let message = format!("{} was to have the address {wished} and has another", server.name);
                Err(error(ErrorKind::Conflict, message))
            }
            (Some(_), _) => Ok(()),
        }
    }

    /// Has the API refuse to delete a server, or lets it.
    pub(super) async fn protect(&self, server: &Server, protected: bool) -> Result<(), ProviderError> {
        if server.protection.delete == protected {
            return Ok(());
        }
        // Both need the same value, says the API.
        let body = json!({ "delete": protected, "rebuild": protected });
        self.act(call::act("/servers/{id}/actions/change_protection", server.id, body), &server.name).await
    }
}

/// What was tried, and why there is nothing of it.
fn none_left(refused: Vec<(String, ProviderError)>) -> ProviderError {
    let tried: Vec<String> = refused.iter().map(|(choice, _)| choice.clone()).collect();
    match refused.into_iter().next() {
        Some((_, first)) => {
            ProviderError { message: format!("{} (tried {})", first.message, tried.join(", ")), ..first }
        }
        None => error(ErrorKind::Bug, "there was nothing to try"),
    }
}
