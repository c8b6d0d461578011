//! Hetzner Cloud: the servers of a project, what is kept around them, and load balancers, over its API.
//!
//! A thing is ours when the label of the cluster is on it, and it is the one that is meant when its name is right too: no
//! two of a kind have one name in a project. So whether a request acted whose answer was lost is found out by the name.

mod allowance;
mod answers;
mod balancer;
mod balancers;
mod call;
mod certificates;
mod classify;
mod client;
mod known;
mod machines;
mod marks;
mod preflight;
mod resources;
mod servers;
mod settings;
mod survey;
mod watch;
mod wish;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kubewright_model::cloud::{CloudId, DesiredResource, ResourceSeen, Stray};
use kubewright_model::desired::{DesiredLoadBalancer, DesiredMachine, ServerBody};
use kubewright_model::ids::{ClusterName, NodeName, Owner};
use kubewright_model::observed::{Inventory, LoadBalancerSeen, MachineSeen};

use self::client::{Client, error};
use self::known::Known;
use self::watch::Watches;
use self::wish::Choice;
use crate::login::User;
use crate::{Capabilities, Doomed, ErrorKind, Login, Provider, ProviderError, Refusal, Wanted};

pub use settings::{ANSWER, Settings, Uploaded};

/// One Hetzner Cloud project.
pub struct Hetzner {
    client: Arc<Client>,
    watches: Watches,
    known: Known,
    logins: BTreeMap<NodeName, Login>,
    ssh_keys: BTreeMap<String, Result<String, String>>,
    certificates: BTreeMap<String, Result<Uploaded, String>>,
    /// Who had which private address when the project was looked at last.
    holders: Mutex<BTreeMap<IpAddr, String>>,
    /// The servers of ours that were there then.
    standing: Mutex<BTreeMap<NodeName, Standing>>,
    /// Types, each with a location that had none of it when the offer was looked at last.
    sold_out: Mutex<BTreeSet<(String, String)>>,
    /// How often a change has failed by what may pass, by the server that is off for it.
    tries: Mutex<BTreeMap<String, u32>>,
    /// What is to be told of a server while it is made.
    told: Mutex<BTreeMap<NodeName, String>>,
}

/// What is remembered of a server of ours.
#[derive(Clone, Debug)]
struct Standing {
    server_type: String,
    /// In GB: that of its type, or of a smaller one that it had before.
    disk: u64,
}

impl fmt::Debug for Hetzner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hetzner").finish_non_exhaustive()
    }
}

impl Hetzner {
    /// The project with these settings. Nothing is asked of it yet.
    pub fn new(settings: Settings) -> Result<Self, ProviderError> {
        let client = Arc::new(Client::new(&settings)?);
        let Settings { logins, ssh_keys, certificates, .. } = settings;
        Ok(Self {
            watches: Watches::new(&client),
            client,
            known: Known::default(),
            logins,
            ssh_keys,
            certificates,
            holders: Mutex::default(),
            standing: Mutex::default(),
            sold_out: Mutex::default(),
            tries: Mutex::default(),
            told: Mutex::default(),
        })
    }

    /// Who logs into a server that is to be made.
    fn user(&self, machine: &DesiredMachine) -> Result<Option<User<'_>>, ProviderError> {
        let Some(login) = self.logins.get(&machine.name) else { return Ok(None) };
        let refuse = |why: &String| error(ErrorKind::Invalid, format!("nobody could log in: {why}"));
        let keys = login.keys.as_ref().map_err(refuse)?;
        Ok(Some(User { name: &login.user, keys, password_hash: None, host_key: login.host_key.as_ref() }))
    }

    /// Refuses a server that nobody could log into: Hetzner would make a password for it, which only a mail knows.
    fn lets_in(&self, machine: &DesiredMachine, server: &ServerBody) -> Result<(), ProviderError> {
        let own = self.user(machine)?;
        if !server.ssh_keys.is_empty() || own.is_none_or(|user| !user.keys.is_empty()) {
            return Ok(());
        }
        let message = format!("nobody could log into {}: no key is given to it", machine.name);
        Err(error(ErrorKind::Invalid, message)
            .with_help("write `ssh.keyFile`; new servers get the public half beside it"))
    }

    fn holder(&self, address: IpAddr) -> Option<String> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner).get(&address).cloned()
    }

    fn hold(&self, holders: Vec<(IpAddr, String)>) {
        *self.holders.lock().unwrap_or_else(PoisonError::into_inner) = holders.into_iter().collect();
    }

    /// A server of ours that was there when the project was looked at last.
    fn stood(&self, name: &NodeName) -> Option<Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn has(&self, servers: BTreeMap<NodeName, Standing>) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = servers;
    }

    fn is_sold_out(&self, choice: &Choice<'_>) -> bool {
        let choice = (choice.server_type.to_string(), choice.location.to_string());
        self.sold_out.lock().unwrap_or_else(PoisonError::into_inner).contains(&choice)
    }

    fn are_sold_out(&self, choices: BTreeSet<(String, String)>) {
        *self.sold_out.lock().unwrap_or_else(PoisonError::into_inner) = choices;
    }

    /// Counts a change of a server that has failed.
    fn once_more(&self, server: &str) -> u32 {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let own = tries.entry(server.to_string()).or_default();
        *own += 1;
        *own
    }

    /// A change of a server is made, or given up.
    fn is_over(&self, server: &str) {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner).remove(server);
    }

    /// What was told of its making is of no matter to what is done with it later.
    fn is_made(&self, name: &NodeName) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn tells(&self, name: &NodeName, words: String) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), words);
    }
}

#[async_trait]
impl Provider for Hetzner {
    fn can(&self) -> Capabilities {
        Capabilities { machines: true, load_balancers: true, resize: false, snapshots: false }
    }

    async fn observe(&self, owner: &Owner) -> Result<Inventory, ProviderError> {
        self.inventory(owner).await
    }

    async fn preflight(&self, wanted: Wanted<'_>) -> Result<Vec<Refusal>, ProviderError> {
        self.refusals(wanted).await
    }

    async fn create(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        self.make(machine, owner).await
    }

    fn host_key(&self, name: &NodeName) -> Option<String> {
        Some(self.logins.get(name)?.host_key.as_ref()?.public.clone())
    }

    async fn is_free(&self, name: &NodeName, owner: &Owner) -> Result<(), ProviderError> {
        self.nobody_holds(name, owner).await
    }

    async fn doing(&self, name: &NodeName) -> Vec<String> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        told.into_iter().chain(self.watches.doing(name.as_str())).collect()
    }

    async fn update(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        self.is_made(&machine.name);
        self.change(machine, owner).await
    }

    async fn start(&self, name: &NodeName, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        self.is_made(name);
        self.turn_on(name, owner).await
    }

    async fn shut_down(&self, name: &NodeName, owner: &Owner) -> Result<(), ProviderError> {
        self.turn_off(name, owner).await
    }

    async fn delete(&self, doomed: Doomed<'_>) -> Result<(), ProviderError> {
        self.is_made(doomed.name);
        self.remove(doomed).await
    }

    async fn set_resource(&self, wish: &DesiredResource, owner: &Owner) -> Result<ResourceSeen, ProviderError> {
        self.set(wish, owner).await
    }

    async fn delete_resource(&self, resource: &CloudId, owner: &Owner) -> Result<(), ProviderError> {
        self.drop_resource(resource, owner).await
    }

    async fn delete_stray(&self, stray: &Stray, _owner: &Owner) -> Result<(), ProviderError> {
        self.drop_stray(stray).await
    }

    async fn set_load_balancer(
        &self,
        wish: &DesiredLoadBalancer,
        owner: &Owner,
    ) -> Result<LoadBalancerSeen, ProviderError> {
        self.balance(wish, owner).await
    }

    async fn delete_load_balancer(&self, name: &ClusterName, owner: &Owner) -> Result<(), ProviderError> {
        self.unbalance(name, owner).await
    }
}
