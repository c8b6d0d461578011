//! The ways in from outside: the addresses by which the world reaches what has another one inside.
//!
//! A cloud chooses them when it makes a server or a load balancer, so no spec knows them. Whoever looks at a provider, or
//! has it make something, writes down here what it told; hands on hosts and on the cluster go by it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kubewright_hosts::{
    Archive, DialError, Dialed, Hears, Holes, HostError, Hosts, Logs, Probe, Program, Report, Sftp, WayIn,
};
use kubewright_model::desired::{Desired, Way};
use kubewright_model::doctor::Papers;
use kubewright_model::ids::{ClusterName, NodeName};
use kubewright_model::net::HostPort;
use kubewright_model::observed::{HostSeen, Inventory, LoadBalancerSeen, MachineSeen, Seen};
use kubewright_model::plan::HostChange;
use kubewright_model::recipe::Recipe;
use kubewright_model::rotation::{KeyPart, KeySeen};
use kubewright_model::secret::Secret;

/// What is known of the ways in from outside.
#[derive(Debug, Default)]
pub struct Doors {
    hosts: Mutex<BTreeMap<NodeName, IpAddr>>,
    balancers: Mutex<BTreeMap<ClusterName, IpAddr>>,
}

/// A panic while it was held is a bug that has been told already; what is in it still holds.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Doors {
    /// What a look at a provider told.
    pub(crate) fn seen(&self, inventory: &Inventory) {
        inventory.machines.iter().for_each(|(name, machine)| self.machine(name, machine));
        inventory.load_balancers.iter().for_each(|(name, balancer)| self.balancer(name, balancer));
    }

    /// What a provider told of a machine.
    pub(crate) fn machine(&self, name: &NodeName, seen: &MachineSeen) {
        match seen.public {
            Some(address) => drop(held(&self.hosts).insert(name.clone(), address)),
            None => drop(held(&self.hosts).remove(name)),
        }
    }

    /// What a provider told of a load balancer.
    pub(crate) fn balancer(&self, name: &ClusterName, seen: &LoadBalancerSeen) {
        match seen.address {
            Some(address) => drop(held(&self.balancers).insert(name.clone(), address)),
            None => drop(held(&self.balancers).remove(name)),
        }
    }

    /// The way to a host from here. Whoever goes through another host is inside and goes on as the spec says; where that host
    /// is one of ours, its address may be told here too.
    fn way<'w>(&self, host: &NodeName, way: &'w Way) -> Cow<'w, Way> {
        let hosts = held(&self.hosts);
        let jump = way.jump.as_ref().and_then(|jump| {
            let (user, at) = jump.split_once('@')?;
            let (gate, port) = at.rsplit_once(':')?;
            let address = HostPort::new(hosts.get(gate)?.to_string(), port.parse().ok()?);
            Some(format!("{user}@{address}"))
        });
        match (jump, hosts.get(host).filter(|_| way.jump.is_none())) {
            (Some(jump), _) => Cow::Owned(Way { jump: Some(jump.into()), ..way.clone() }),
            (None, Some(address)) => Cow::Owned(Way { address: Some(*address), ..way.clone() }),
            (None, None) => Cow::Borrowed(way),
        }
    }

    /// Where the world finds the API: at the public address of a load balancer that listens on its port, where there is
    /// one.
    pub fn front(&self, desired: &Desired) -> Option<HostPort> {
        let port = desired.kubernetes.endpoint.port;
        let listens = desired.load_balancers.iter().filter(|it| it.settings.listeners.contains_key(&port));
        let balancers = held(&self.balancers);
        let address = listens.into_iter().find_map(|it| balancers.get(&it.name).copied())?;
        Some(HostPort::new(address.to_string(), port))
    }

    /// Every address at which the API may answer from outside.
    pub(crate) fn api(&self, desired: &Desired) -> Vec<HostPort> {
        let hosts = held(&self.hosts);
        let servers = desired.servers().filter_map(|member| hosts.get(&member.name)).map(|address| {
            let port = desired.kubernetes.api_port(Some(*address));
            HostPort::new(address.to_string(), port)
        });
        self.front(desired).into_iter().chain(servers).collect()
    }
}

/// Hands on hosts that go in from outside where there is a door.
pub(crate) struct FromOutside {
    pub(crate) hands: Arc<dyn Hosts>,
    /// Hands on hosts that run Talos, where those are others.
    pub(crate) talos: Option<Arc<dyn Hosts>>,
    pub(crate) doors: Arc<Doors>,
}

impl FromOutside {
    /// The hands that a way is for.
    fn by(&self, way: &Way) -> &dyn Hosts {
        self.talos.as_deref().filter(|_| way.talos.is_some()).unwrap_or(&*self.hands)
    }
}

#[async_trait]
impl Hosts for FromOutside {
    async fn observe(&self, probe: Probe<'_>) -> Seen<HostSeen> {
        let way = self.doors.way(probe.host, probe.way);
        self.by(&way).observe(Probe { way: &way, ..probe }).await
    }

    async fn examine(&self, host: &NodeName, way: &Way) -> Seen<Papers> {
        let way = self.doors.way(host, way);
        self.by(&way).examine(host, &way).await
    }

    async fn is_new(&self, host: &NodeName, way: &Way, key: Option<&str>) -> Result<(), HostError> {
        let way = self.doors.way(host, way);
        self.by(&way).is_new(host, &way, key).await
    }

    async fn change(&self, change: &HostChange, holes: &Holes) -> Result<Report, HostError> {
        match self.doors.way(&change.host, &change.way) {
            Cow::Borrowed(way) => self.by(way).change(change, holes).await,
            Cow::Owned(way) => self.by(&way.clone()).change(&HostChange { way, ..change.clone() }, holes).await,
        }
    }

    async fn run(
        &self,
        host: &NodeName,
        way: &Way,
        recipe: &Recipe,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Report, HostError> {
        let way = self.doors.way(host, way);
        self.by(&way).run(host, &way, recipe, holes, tell).await
    }

    async fn key(&self, file: &str) -> Seen<KeySeen> {
        self.hands.key(file).await
    }

    async fn rotate_key(&self, file: &str, part: &KeyPart) -> Result<Report, HostError> {
        let (host, way) = match part {
            KeyPart::Bring { host, way } | KeyPart::Withdraw { host, way } => (host, self.doors.way(host, way)),
            KeyPart::Make | KeyPart::TakeOver | KeyPart::Drop => return self.hands.rotate_key(file, part).await,
        };
        let (host, way) = (host.clone(), way.into_owned());
        let part = match part {
            KeyPart::Withdraw { .. } => KeyPart::Withdraw { host, way },
            _ => KeyPart::Bring { host, way },
        };
        self.hands.rotate_key(file, &part).await
    }

    async fn reboot(&self, host: &NodeName, way: &Way) -> Result<(), HostError> {
        let way = self.doors.way(host, way);
        self.by(&way).reboot(host, &way).await
    }

    async fn folder(&self, way: &Way, key: Option<&Secret>, folder: &str) -> Result<Sftp, HostError> {
        self.hands.folder(way, key, folder).await
    }

    async fn refresh(&self, host: &NodeName, way: &Way) -> Result<(), HostError> {
        let way = self.doors.way(host, way);
        self.by(&way).refresh(host, &way).await
    }

    async fn upgrade(&self, host: &NodeName, way: &Way) -> Result<Report, HostError> {
        let way = self.doors.way(host, way);
        self.by(&way).upgrade(host, &way).await
    }

    async fn exec(
        &self,
        host: &NodeName,
        way: &Way,
        program: &Program,
        hears: Hears<'_>,
    ) -> Result<Option<u32>, HostError> {
        let way = self.doors.way(host, way);
        self.by(&way).exec(host, &way, program, hears).await
    }

    async fn logs(&self, host: &NodeName, way: &Way, logs: &Logs, hears: Hears<'_>) -> Result<(), HostError> {
        let way = self.doors.way(host, way);
        self.by(&way).logs(host, &way, logs, hears).await
    }

    async fn take_in(
        &self,
        host: &NodeName,
        way: &Way,
        archive: &Archive,
        import: &[String],
        hears: Hears<'_>,
    ) -> Result<Option<u32>, HostError> {
        let way = self.doors.way(host, way);
        self.by(&way).take_in(host, &way, archive, import, hears).await
    }

    async fn way_in(&self, host: &NodeName, way: &Way) -> Result<WayIn, HostError> {
        let way = self.doors.way(host, way);
        self.by(&way).way_in(host, &way).await
    }

    async fn dial(&self, host: &NodeName, way: &Way, at: &HostPort) -> Result<Dialed, DialError> {
        let way = self.doors.way(host, way);
        self.by(&way).dial(host, &way, at).await
    }
}
