//! Connections that are kept: one for each host, made when it is needed first and made again when it broke.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kubewright_model::desired::{THIS_COMPUTER, Way};
use kubewright_model::ids::NodeName;
use kubewright_model::secret::Secret;
use tokio::sync::Mutex as Turn;

use crate::local::Local;
use crate::passwords::Passwords;
use crate::ssh::sftp::Sftp;
use crate::ssh::target::{Home, Target};
use crate::ssh::trust::{KnownHosts, Tell};
use crate::ssh::{Session, first};
use crate::transport::{Refusal, Transport};
use crate::{HostError, Layer};

/// A place for one host's connection. Who holds the turn makes it; all others wait for that one.
type Slot = Arc<Turn<Option<Arc<dyn Transport>>>>;

/// By which way somebody comes in anew.
#[derive(Clone, Copy)]
pub(crate) enum Door {
    /// The one that is wished, and no other.
    New,
    /// Any that led in before, too.
    Before,
}

/// Connections to hosts.
pub(crate) struct Connections {
    /// The user's own settings.
    pub(crate) home: Home,
    pub(crate) known_hosts: PathBuf,
    passwords: Arc<Passwords>,
    slots: Mutex<BTreeMap<NodeName, Slot>>,
    /// Whoever writes the file of known hosts anew.
    writing: Mutex<()>,
    /// Hears of keys that were learnt.
    pub(crate) tell: Tell,
}

impl Connections {
    /// Connections with a user's own settings. Keys of hosts that are new are learnt into `known_hosts`.
    pub(crate) fn new(home: Home, known_hosts: PathBuf, passwords: Arc<Passwords>) -> Self {
        Self {
            home,
            known_hosts,
            passwords,
            slots: Mutex::default(),
            writing: Mutex::default(),
            tell: Arc::new(|_| {}),
        }
    }

    /// The host's connection, made if there is none that lives.
    pub(crate) async fn to(&self, host: &NodeName, way: &Way) -> Result<Arc<dyn Transport>, HostError> {
        let slot = self.slot(host);
        let mut kept = slot.lock().await;
        if let Some(open) = kept.as_ref().filter(|open| open.is_open()) {
            return Ok(Arc::clone(open));
        }
        let open = self.open_or_before(way).await.map_err(|refusal| unreachable(host, refusal))?;
        *kept = Some(Arc::clone(&open));
        Ok(open)
    }

    /// A host that let us in by its password gets our key, which must let us in from then on.
    pub(crate) async fn settle(&self, host: &NodeName, way: &Way) -> Result<(), HostError> {
        let open = self.to(host, way).await?;
        if !open.by_password() {
            return Ok(());
        }
        let target = self.home.target(way).map_err(|why| unreachable(host, Refusal::new(Layer::Name, why)))?;
        first::install(&*open, &target).await.map_err(|refusal| unreachable(host, refusal))?;
        let by_key = Way { first: None, ..way.clone() };
        let open = self.open_or_before(&by_key).await.map_err(|refusal| unreachable(host, refusal))?;
        *self.slot(host).lock().await = Some(open);
        Ok(())
    }

    /// Makes a connection anew, beside the one that is kept; that one goes only when the new one is open.
    pub(crate) async fn renew(&self, host: &NodeName, way: &Way, door: Door) -> Result<(), HostError> {
        let slot = self.slot(host);
        let mut kept = slot.lock().await;
        let open = match door {
            Door::New => self.open(way, true).await,
            Door::Before => self.open_or_before(way).await,
        };
        *kept = Some(open.map_err(|refusal| unreachable(host, refusal))?);
        Ok(())
    }

    /// Whether there is a connection from an earlier use, as far as anybody has noticed.
    pub(crate) async fn keeps(&self, host: &NodeName) -> bool {
        self.slot(host).lock().await.as_ref().is_some_and(|open| open.is_open())
    }

    /// A host is made anew: what we have learnt of its key is forgotten, and the key that it is given is known.
    pub(crate) async fn is_new(&self, host: &NodeName, way: &Way, key: Option<&str>) -> Result<(), HostError> {
        let refused = |why| unreachable(host, Refusal::new(Layer::HostKey, why));
        self.drop(host).await;
        let target = self.home.target(way).map_err(|why| unreachable(host, Refusal::new(Layer::Name, why)))?;
        let known = self.home.known_hosts(&self.known_hosts, Arc::clone(&self.tell));
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let wished = [Some(target.port), way.port_before].into_iter().flatten();
        for port in known.ports(&target.host).into_iter().filter(|port| !wished.clone().any(|wished| wished == *port)) {
            known.renew(&target.host, port, None).map_err(refused)?;
        }
        for port in wished {
            known.renew(&target.host, port, key).map_err(refused)?;
        }
        Ok(())
    }

    fn slot(&self, host: &NodeName) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(host.clone()).or_default())
    }

    /// The next use makes a new connection: this one gave no answer.
    pub(crate) async fn drop(&self, host: &NodeName) {
        *self.slot(host).lock().await = None;
    }

    /// Opens the way, or the one that leads into a host which was not set up yet, or was left as it was before us.
    pub(crate) async fn open_or_before(&self, way: &Way) -> Result<Arc<dyn Transport>, Refusal> {
        let first = match self.open(way, true).await {
            Ok(open) => return Ok(open),
            Err(refusal) => refusal,
        };
        let is_elsewhere = |refusal: &Refusal| matches!(refusal.layer, Layer::Tcp | Layer::Banner);
        let Some(before) = way.port_before.filter(|_| is_elsewhere(&first)) else { return Err(first) };
        let other = match self.open(&Way { port: before, ..way.clone() }, true).await {
            Ok(open) => return Ok(open),
            Err(refusal) => refusal,
        };
        let mut why = format!("{}; nor is it at port {before}: {}", first.why, other.why);
        if !is_elsewhere(&other) {
            return Err(Refusal::new(other.layer, why));
        }
        // Nobody says that it is there, so only a key that we know is taken.
        for port in self.ports_of_before(way).into_iter().filter(|port| ![way.port, before].contains(port)) {
            match self.open(&Way { port, ..way.clone() }, false).await {
                Ok(open) => return Ok(open),
                Err(_) => why.push_str(&format!("; nor at port {port}")),
            }
        }
        Err(Refusal::new(other.layer, why))
    }

    /// Where a daemon that was put back may listen: where we have come in before, and where daemons do.
    fn ports_of_before(&self, way: &Way) -> BTreeSet<u16> {
        let Ok(target) = self.home.target(way) else { return BTreeSet::new() };
        let known = self.home.known_hosts(&self.known_hosts, Arc::clone(&self.tell));
        known.ports(&target.host).into_iter().chain([22]).collect()
    }

    /// A folder of an SFTP server, over a connection of its own: that one is no host of the cluster.
    pub(crate) async fn folder(&self, way: &Way, key: Option<&Secret>, folder: &str) -> Result<Sftp, Refusal> {
        let target = self.home.target(way).map_err(|why| Refusal::new(Layer::Name, why))?;
        let target = Target { given: key.cloned(), ..target };
        let known = self.home.known_hosts(&self.known_hosts, Arc::clone(&self.tell));
        Sftp::open(Session::open(&target, &known, &self.passwords).await?, folder).await
    }

    /// One connection by a key alone, at the port of the way.
    pub(crate) async fn with_key(&self, way: &Way, key: &Path, through: &Path) -> Result<Arc<dyn Transport>, Refusal> {
        let mut target = self.home.target(way).map_err(|why| Refusal::new(Layer::Name, why))?;
        let named = way.key_file.as_deref().map(|file| self.home.expand(file));
        let keys = target.jump.iter_mut().flat_map(|jump| &mut jump.keys);
        for stands in keys.filter(|stands| Some(&**stands) == named.as_ref()) {
            *stands = through.to_path_buf();
        }
        let target = Target { keys: vec![key.to_path_buf()], only_keys: true, first: None, ..target };
        let known = self.home.known_hosts(&self.known_hosts, Arc::clone(&self.tell));
        Ok(Arc::new(Session::open(&target, &known, &self.passwords).await?))
    }

    /// `learns`: a host that nobody knows is taken at its word.
    async fn open(&self, way: &Way, learns: bool) -> Result<Arc<dyn Transport>, Refusal> {
        if way.name.as_deref() == Some(THIS_COMPUTER) {
            return Ok(Arc::new(Local::open().await?));
        }
        let target = self.home.target(way).map_err(|why| Refusal::new(Layer::Name, why))?;
        let known = self.home.known_hosts(&self.known_hosts, Arc::clone(&self.tell));
        Ok(Arc::new(Session::open(&target, &KnownHosts { learns, ..known }, &self.passwords).await?))
    }
}

/// A refusal as the engine hears it.
pub(crate) fn unreachable(host: &NodeName, refusal: Refusal) -> HostError {
    HostError::Unreachable { host: host.clone(), layer: refusal.layer, why: refusal.why }
}
