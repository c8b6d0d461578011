//! Another token, or other keys, for a pretend cluster. On K3s and RKE2 one server writes the new one into the datastore, and
//! the others go by it from their next start on; on kubeadm each server is given it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kubewright_hosts::HostError;
use kubewright_model::ids::NodeName;
use kubewright_model::recipe::{Recipe, RecipeStep};
use kubewright_model::rotation::Rotation;
use serde::{Deserialize, Serialize};

use super::hosts::{Ssh, failed};
use super::kubeadm::KUBELET;
use super::rancher::{Config, Kind};
use super::recipes::did_not_start;
use super::state::{Machine, State};
use super::timing;

/// Keys for Secrets, each as its name and the digest of its value.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Locks {
    /// What servers were started with, since keys become others; the first one locks.
    known: BTreeMap<NodeName, Vec<String>>,
    /// What something in the datastore is locked with.
    used: BTreeSet<String>,
}

impl Locks {
    /// A server starts with the keys of its file. Fails with who could not read what.
    fn starts(&mut self, host: &NodeName, keys: Vec<String>, servers: &BTreeSet<NodeName>) -> Result<(), String> {
        for server in servers {
            // Before the first change, all of them have the one key that comes back in every later file.
            let had = keys.iter().filter(|key| key.starts_with("kubewright ")).cloned().collect();
            self.known.entry(server.clone()).or_insert(had);
        }
        self.known.retain(|server, _| servers.contains(server));
        self.known.insert(host.clone(), keys);
        self.used.extend(self.known.values().filter_map(|keys| keys.first().cloned()));
        for (server, keys) in &self.known {
            if let Some(key) = self.used.iter().find(|key| !keys.contains(key)) {
                let name = key.split(' ').next().unwrap_or_default();
                return Err(format!("{server} cannot read Secrets that are locked with the key {name}"));
            }
        }
        Ok(())
    }

    /// Every Secret is written once more, by the servers as they are now.
    fn all_written(&mut self) {
        self.used = self.known.values().filter_map(|keys| keys.first().cloned()).collect();
    }
}

/// The keys in a file for the API server, in order.
fn keys_of(text: &str) -> Vec<String> {
    let of = |line: &str, key: &str| line.trim().strip_prefix(key).map(|it| it.trim_matches('"').to_string());
    let names = text.lines().filter_map(|line| of(line, "- name: "));
    names
        .zip(text.lines().filter_map(|line| of(line, "secret: ")))
        .map(|(name, value)| format!("{name} {value}"))
        .collect()
}

/// What a server writes its tokens down in, while it holds another one than the datastore.
fn passwords(kind: Kind) -> String {
    format!("{}/server/cred/passwd", kind.data())
}

impl Machine {
    /// Whether a start with the old token has left something that is newer than the datastore.
    pub(super) fn is_misled(&self) -> bool {
        self.texts.contains_key(&passwords(Kind::on(self)))
    }

    fn is_server(&self) -> bool {
        if self.is_kubeadm_server() {
            return true;
        }
        let kind = Kind::on(self);
        let joined = self.host.kubernetes.as_ref().is_some_and(|it| it.joined);
        joined && self.host.units.contains_key(kind.server_unit())
    }
}

impl State {
    /// A server that was started with another token than the datastore's has written it down.
    pub(super) fn is_misled(&mut self, host: &NodeName) {
        if let Some(machine) = self.machine_mut(host) {
            let path = passwords(Kind::on(machine));
            machine.texts.insert(path, String::new());
        }
    }

    /// Whether all servers go by what the datastore has of this.
    pub(super) fn agree(&self, what: Rotation) -> bool {
        !self.cluster.behind.iter().any(|(_, of)| *of == what)
    }

    /// How often the cluster has gone over to another one.
    pub fn turned(&self, what: Rotation) -> u32 {
        self.cluster.turned.get(&what).copied().unwrap_or_default()
    }

    /// A server that starts takes over what the datastore has.
    pub(super) fn catches_up(&mut self, host: &NodeName) {
        self.cluster.behind.retain(|(server, _)| server != host);
    }

    fn goes_over(&mut self, what: Rotation, except: Option<&NodeName>) {
        let servers = self.cluster.servers.iter().filter(|server| Some(*server) != except);
        self.cluster.behind.extend(servers.map(|server| (server.clone(), what)));
        *self.cluster.turned.entry(what).or_default() += 1;
    }

    /// The datastore is locked with another token.
    fn takes_token(&mut self, host: &NodeName) -> Result<(), String> {
        let machine = self.machine(host).ok_or("the machine is gone")?;
        let path = Kind::on(machine).token();
        let next = machine.file(&format!("{path}.next")).cloned().ok_or("token.next: No such file or directory")?;
        if self.cluster.token.as_ref() == Some(&next) {
            return Ok(());
        }
        // What the server was started with is what it lets its own commands in with.
        if machine.file(&path) != self.cluster.token.as_ref() {
            return Err("Unauthorized".into());
        }
        if self.cluster.agent_token == self.cluster.token {
            self.cluster.agent_token = Some(next.clone());
        }
        self.cluster.token = Some(next);
        self.goes_over(Rotation::JoinToken, None);
        Ok(())
    }

    /// All Secrets are locked with another key, where all servers have the one of before.
    fn locks_anew(&mut self, host: &NodeName) -> Result<(), String> {
        let machine = self.machine(host).ok_or("the machine is gone")?;
        let config = Config::read(machine)?;
        if config.kind == Kind::K3s && !config.is_on("secrets-encryption") {
            return Err("Secrets are not encrypted here".into());
        }
        if self.agree(Rotation::EncryptionKeys) {
            self.goes_over(Rotation::EncryptionKeys, Some(host));
        }
        Ok(())
    }

    /// A second key signs; who comes twice before the server has started again finds the mark.
    fn signs_anew(&mut self, host: &NodeName) {
        if !self.cluster.behind.contains(&(host.clone(), Rotation::ServiceAccountKeys)) {
            self.goes_over(Rotation::ServiceAccountKeys, None);
        }
    }
}

/// The file with the keys for Secrets, of kubeadm.
const ENCRYPTION: &str = "/etc/kubernetes/kubewright/encryption.yaml";

fn writes_keys(step: &RecipeStep) -> bool {
    matches!(step, RecipeStep::Write(file) if file.path == ENCRYPTION)
}

impl Ssh {
    /// A script that takes the cluster over to another token or key.
    pub(super) async fn turns(&self, host: &NodeName, recipe: &Recipe, script: &str) -> Result<(), HostError> {
        let refuses = |why: String| failed(host, &recipe.title, why);
        if !self.on(host, |machine| machine.is_server()) {
            return Err(refuses("it is no server of any cluster".into()));
        }
        let now = self.centre.now();
        self.centre.at_present().api(now).map_err(refuses)?;
        let takes = {
            let mut state = self.centre.at_present();
            match script {
                _ if script.contains("replace --raw") => state.takes_token(host).map_err(refuses)?,
                _ if script.contains("secrets-encrypt rotate-keys") => state.locks_anew(host).map_err(refuses)?,
                _ if script.contains("certificate rotate-ca") => state.signs_anew(host),
                _ if script.contains("init phase certs sa ") => state.signs_anew(host),
                _ if script.contains("get secrets --all-namespaces") => {
                    // One of two times is that of another key; the second one is of another name.
                    if script.contains("secretbox:v1:kubewright:") {
                        *state.cluster.turned.entry(Rotation::EncryptionKeys).or_default() += 1;
                    }
                    state.cluster.locks.all_written();
                }
                _ if script.contains("type=bootstrap.kubernetes.io/token") => state.lets_nobody_in(now),
                _ => return Err(refuses("nobody knows what is taken over to what".into())),
            }
            state.jitter(timing::UNIT)
        };
        tokio::time::sleep(Duration::from_millis(takes)).await;
        Ok(())
    }

    /// A script that starts a member again, which goes by what its cluster was taken over to.
    pub(super) async fn follows(&self, host: &NodeName, recipe: &Recipe, script: &str) -> Result<(), HostError> {
        if self.on(host, |machine| Kind::on(machine)) == Kind::Kubeadm {
            return self.containers_follow(host, recipe, script).await;
        }
        let unit = self.on(host, |machine| {
            let stops = |it: &&String| script.contains(&format!("systemctl stop {it}"));
            machine.host.units.keys().find(stops).cloned()
        });
        let unit = unit.ok_or_else(|| failed(host, &recipe.title, "nothing of it is stopped".into()))?;
        if !script.contains(&format!("systemctl start --no-block {unit}")) {
            return Err(failed(host, &recipe.title, "it is stopped, and does not start again".into()));
        }
        if script.contains("/server/cred/passwd") {
            self.on(host, |machine| {
                let path = passwords(Kind::on(machine));
                machine.texts.remove(&path)
            });
        }
        let now = self.centre.now();
        self.centre.at_present().restarts(host, &unit, now).map_err(|why| did_not_start(host, &unit, &why))?;
        self.on(host, |machine| {
            if let Some(unit) = machine.host.units.get_mut(&unit) {
                unit.active = false;
            }
        });
        self.centre.take(timing::UNIT).await;
        let now = self.centre.now();
        let takes = {
            let mut state = self.centre.at_present();
            if let Some(unit) = state.machine_mut(host).and_then(|machine| machine.host.units.get_mut(&unit)) {
                unit.active = true;
            }
            state.starts_again(host, &unit, true, now);
            state.jitter(timing::UNIT)
        };
        tokio::time::sleep(Duration::from_millis(takes)).await;
        Ok(())
    }

    /// Containers of kubeadm's control plane start again: who signs with a key that another server does not believe yet makes
    /// tokens that nobody is let in with there.
    async fn containers_follow(&self, host: &NodeName, recipe: &Recipe, script: &str) -> Result<(), HostError> {
        let refuses = |why: &str| failed(host, &recipe.title, why.into());
        if !script.contains("for name in kube-apiserver") || !script.contains("crictl stop") {
            return Err(refuses("the API server goes on with what it has"));
        }
        let now = self.centre.now();
        let takes = {
            let mut state = self.centre.at_present();
            let lock = state.machine(host).and_then(|machine| machine.texts.get(ENCRYPTION)).map(|text| keys_of(text));
            if let Some(keys) = lock.filter(|_| recipe.steps.iter().any(writes_keys)) {
                let servers = state.cluster.servers.clone();
                if let Err(why) = state.cluster.locks.starts(host, keys, &servers) {
                    state.breach(now, format!("{host} was started with other keys for Secrets, and {why}"));
                }
            }
            let signs = script.contains("/pki/sa.key");
            if signs && !state.agree(Rotation::ServiceAccountKeys) {
                state.breach(now, format!("{host} was to sign tokens with a key that not all servers believe"));
                return Err(refuses("the others do not believe it yet"));
            }
            state.restarts(host, KUBELET, now).map_err(|why| did_not_start(host, KUBELET, &why))?;
            state.starts_again(host, KUBELET, true, now);
            state.jitter(timing::UNIT)
        };
        tokio::time::sleep(Duration::from_millis(takes)).await;
        Ok(())
    }
}
