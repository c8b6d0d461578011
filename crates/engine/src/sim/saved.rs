//! What is saved of a pretend cluster, and one that is begun with that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::Compression;
use flate2::write::GzEncoder;
use kubewright_hosts::{Holes, HostError};
use kubewright_model::ids::{HoleName, NodeName};
use kubewright_model::programs::{KUBEADM, KUBEADM_AUTHORITIES, KUBEADM_ENCRYPTION};
use kubewright_model::recipe::{Recipe, RecipeStep, SNAPSHOT};
use kubewright_model::secret::Secret;
use kubewright_model::talos::TalosCall;
use kubewright_model::version::Version;

use super::hosts::{Ssh, failed};
use super::kubernetes::{Cluster, Node};
use super::rancher::Config;
use super::state::State;
use super::{DataCentre, timing};
use crate::world::{Beside, Copies, Opens, Proves};

/// Where a pretend host remembers what its etcd was reset to.
pub(super) const RESET_TO: &str = "etcd was reset to";

impl DataCentre {
    /// Whether something was saved here.
    pub(super) fn proves(&self) -> Proves {
        let centre = self.clone();
        Arc::new(move |path| match centre.lock().saved_at(path) {
            Some(_) => Ok("simulated".into()),
            None => Err(format!("{path} was saved by nobody in this simulated data centre")),
        })
    }

    /// Reads what goes with what was saved here.
    pub(super) fn opens(&self) -> Opens {
        let centre = self.clone();
        Arc::new(move |path, ending| {
            let beside = centre.lock().goes_with(path);
            beside.ok_or_else(|| format!("there is no {ending} beside {path} in this simulated data centre"))
        })
    }

    /// What was saved here, as another data centre takes it.
    pub(super) fn copies(&self) -> Copies {
        let centre = self.clone();
        Arc::new(move |path| {
            let saved = centre.lock().saved_at(path).ok_or_else(|| format!("{path} was saved by nobody here"))?;
            serde_json::to_vec(&saved).map_err(|error| error.to_string())
        })
    }
}

impl Ssh {
    /// What a recipe has saved, once it is here.
    pub(super) fn saves(&self, host: &NodeName, recipe: &Recipe) -> Holes {
        if !recipe.leaves_the_host() {
            return Holes::new();
        }
        let now = self.centre.now();
        let mut state = self.centre.lock();
        let path = format!("etcd-{host}-{}.db", now / 1000);
        let cluster = state.cluster.clone();
        if recipe.steps.iter().any(|step| matches!(step, RecipeStep::Bring { with: Some(_), .. })) {
            let locked = state.machine(host).and_then(|machine| machine.texts.get(&locks()).cloned());
            state.beside.insert(path.clone(), Beside { locked, ..authorities() });
        }
        state.saved.insert(path.clone(), cluster);
        [(HoleName::new(SNAPSHOT), Secret::new(path))].into()
    }

    /// What a server keeps beside its datastore, as its script gives it.
    pub(super) fn keys(&self, host: &NodeName) -> Result<Secret, HostError> {
        let unread = |error: std::io::Error| failed(host, "reading keys", error.to_string());
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, text) in [("token", "simulated token\n"), ("tls/server-ca.key", "simulated key\n")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            archive.append_data(&mut header, path, text.as_bytes()).map_err(unread)?;
        }
        let packed = archive.into_inner().and_then(GzEncoder::finish).map_err(unread)?;
        Ok(Secret::new(BASE64_STANDARD.encode(packed)))
    }

    /// A file that was saved goes to the host.
    pub(super) async fn takes_back(
        &self,
        host: &NodeName,
        to: &str,
        beside: bool,
        holes: &Holes,
    ) -> Result<(), HostError> {
        let path = snapshot(host, holes)?;
        let unread = |path: &str| failed(host, "sending what was saved", format!("{path} cannot be read here"));
        if self.centre.lock().saved_at(&path).is_none() {
            return Err(unread(&path));
        }
        if beside {
            let beside = self.centre.lock().goes_with(&path).ok_or_else(|| unread("what goes with it"))?;
            let here = self.on(host, |machine| machine.texts.get(&locks()).cloned());
            if beside.locked.is_some() && beside.locked != here {
                let why = "Secrets were locked with another key when this was saved".to_string();
                return Err(failed(host, "kubeadm init", why));
            }
        }
        self.centre.take(timing::SNAPSHOT).await;
        self.on(host, |machine| machine.texts.insert(to.to_string(), path));
        Ok(())
    }

    /// The datastore is made of a file on the host, by a program that is told to reset it, and that ends then.
    pub(super) async fn resets_etcd(&self, host: &NodeName, script: &str) -> Result<(), HostError> {
        let refuses = |why: String| failed(host, "server --cluster-reset", why);
        let from = script.split_whitespace().find_map(|word| word.strip_prefix("--cluster-reset-restore-path="));
        let path = from.and_then(|from| self.on(host, |machine| machine.texts.get(from).cloned()));
        let path = path.ok_or_else(|| refuses("etcd: snapshot path does not exist".into()))?;
        let says = |config: Config| config.text("server").is_some();
        if self.on(host, |machine| Config::read(machine).is_ok_and(says)) {
            return Err(refuses("cannot perform cluster-reset while server URL is set".into()));
        }
        self.centre.take(timing::SNAPSHOT).await;
        self.on(host, |machine| machine.texts.insert(RESET_TO.into(), path));
        Ok(())
    }

    /// etcd's data are made of a file on the host, by its own tool, before anything runs.
    pub(super) async fn makes_etcd(&self, host: &NodeName, script: &str) -> Result<(), HostError> {
        let refuses = |why: &str| failed(host, "etcdutl snapshot restore", why.into());
        let from = script.split_once(" snapshot restore /").and_then(|(_, rest)| rest.split_whitespace().next());
        let path = from.and_then(|from| self.on(host, |machine| machine.texts.get(&format!("/{from}")).cloned()));
        let path = path.ok_or_else(|| refuses("snapshot missing: no such file or directory"))?;
        if self.on(host, |machine| machine.texts.contains_key(RESET_TO)) {
            return Err(refuses("etcd has data on this host"));
        }
        self.centre.take(timing::SNAPSHOT).await;
        self.on(host, |machine| machine.texts.insert(RESET_TO.into(), path));
        Ok(())
    }

    /// A control plane of Talos begins with what was saved.
    pub(super) async fn recovers(&self, host: &NodeName, holes: &Holes, call: &TalosCall) -> Result<(), HostError> {
        let path = snapshot(host, holes)?;
        let now = self.centre.now();
        let takes = {
            let mut state = self.centre.at_present();
            let saved = state.saved_at(&path).ok_or_else(|| format!("{path} cannot be read"));
            saved.and_then(|saved| {
                let takes = state.bootstraps(host, now)?;
                state.is_again(host, saved, now);
                Ok(takes)
            })
        };
        let takes = takes.map_err(|why| failed(host, &call.to_string(), why))?;
        tokio::time::sleep(Duration::from_millis(takes)).await;
        Ok(())
    }
}

/// Where the key that Secrets are locked with is; what is kept of it is its mark.
fn locks() -> String {
    format!("{}/{KUBEADM_ENCRYPTION}", KUBEADM.data)
}

fn authorities() -> Beside {
    Beside { holds: KUBEADM_AUTHORITIES.map(String::from).into(), locked: None }
}

fn snapshot(host: &NodeName, holes: &Holes) -> Result<String, HostError> {
    let hole = HoleName::new(SNAPSHOT);
    let path = holes.get(&hole).map(|path| path.expose().clone());
    path.ok_or_else(|| HostError::Hole { host: host.clone(), hole })
}

impl State {
    /// What a server's etcd was reset to before it starts for the first time.
    pub(super) fn reset_to(&self, host: &NodeName) -> Result<Cluster, String> {
        let path = self.machine(host).and_then(|machine| machine.texts.get(RESET_TO));
        let path = path.ok_or("its etcd was not reset to anything")?;
        self.saved_at(path).ok_or_else(|| format!("{path} cannot be read"))
    }

    /// What was saved here, or elsewhere, and came in a bundle.
    fn saved_at(&self, path: &str) -> Option<Cluster> {
        let came = || serde_json::from_reader(std::fs::File::open(path).ok()?).ok();
        self.saved.get(path).cloned().or_else(came)
    }

    /// What goes with what was saved here. What came in a bundle has all of it.
    fn goes_with(&self, path: &str) -> Option<Beside> {
        self.beside.get(path).cloned().or_else(|| (!self.saved.contains_key(path)).then(authorities))
    }

    /// The cluster holds again what it held when it was saved. Of its nodes the books tell, and none is there but the one
    /// that began, and those whose kubelets never stopped to look for it.
    pub(super) fn is_again(&mut self, host: &NodeName, saved: Cluster, now: u64) {
        let own = self.cluster.nodes.get(host).cloned();
        // Whoever restores it is its only member, whoever was one before.
        let mut members = std::mem::take(&mut self.cluster.members);
        members.retain(|name, _| name == host);
        let token = self.cluster.token.clone();
        self.cluster = Cluster {
            members,
            token,
            renews: Default::default(),
            returning: Default::default(),
            drained: Default::default(),
            ..saved
        };
        let runs = |name: &NodeName, node: &Node| {
            let kubernetes = self.machine(name).filter(|it| it.runs(&node.unit))?.host.kubernetes.as_ref()?;
            kubernetes.joined.then(|| kubernetes.version.clone())
        };
        let nodes = self.cluster.nodes.iter();
        let there: BTreeMap<NodeName, Option<Version>> =
            nodes.filter_map(|(name, node)| Some((name.clone(), runs(name, node)?))).collect();
        for (name, node) in &mut self.cluster.nodes {
            let kubelet = there.get(name);
            let ready_at = if kubelet.is_some() { now + timing::NODE_READY } else { u64::MAX };
            // A kubelet tells which one it is, whatever the books knew of it.
            let version = kubelet.and_then(Clone::clone).unwrap_or_else(|| node.version.clone());
            *node = Node { ready_at, serves_at: u64::MAX, version, ..node.clone() };
        }
        if let Some(own) = own {
            self.cluster.enter(host.clone(), own);
        }
        self.seal_vault();
    }

    /// All other nodes are taken out of the books.
    pub(super) fn alone(&mut self, host: &NodeName) {
        let others: Vec<NodeName> = self.cluster.nodes.keys().filter(|name| *name != host).cloned().collect();
        others.iter().for_each(|name| drop(self.cluster.leave(name)));
    }
}

/// Whether a script takes all other nodes out of the books.
pub(super) fn leaves_alone(script: &str) -> bool {
    script.contains("get nodes -o name") && script.contains(" delete ")
}
