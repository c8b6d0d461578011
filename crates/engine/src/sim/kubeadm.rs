//! What kubeadm does on a pretend host and in the pretend cluster, and what it refuses: what its checks before it begins
//! (`preflight`) and its phases look at, as far as a right plan may get it wrong.
//!
//! It works in two halves. After the first, hosts and cluster hold traces: who is cut off there is a member of etcd that
//! never votes and a node that is never Ready, as with the real one.
//! <https://github.com/kubernetes/kubernetes/tree/v1.36.0/cmd/kubeadm/app>

mod cluster;

use std::collections::BTreeMap;
use std::time::Duration;

use kubewright_hosts::{Holes, HostError};
use kubewright_model::digest::Digest;
use kubewright_model::ids::{HoleName, NodeName};
use kubewright_model::observed::UnitSeen;
use kubewright_model::programs::{KUBEADM, KUBEADM_UNDER_WAY, KUBELET_CONFIG};
use kubewright_model::recipe::{Effect, Recipe};
use kubewright_model::secret::Secret;
use kubewright_model::text::Text;
use kubewright_model::version::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hosts::{Ssh, failed};
use super::saved::RESET_TO;
use super::state::Machine;
use super::timing;

/// The unit of servers and of agents.
pub(super) const KUBELET: &str = KUBEADM.units[0];
/// The folder of what we write for it. The text of its files is kept, with the digests of secrets in their place.
pub(super) const OURS: &str = "/etc/kubernetes/kubewright/";
/// The program, as scripts begin a line with it.
const PROGRAM: &str = "/usr/local/bin/kubeadm";
/// What makes a host a server: the kubelet runs what stands here. What is kept of it is the port of its API.
const API_SERVER: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
/// The certificate of the cluster's authority.
pub(super) const AUTHORITY: &str = "/etc/kubernetes/pki/ca.crt";
/// What lets nodes in has an end, in milliseconds.
const LIFE: u64 = 2 * 60 * 60 * 1000;
/// When something is that never is.
const NEVER: u64 = u64::MAX - 1;

/// What the cluster itself keeps of kubeadm.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Books {
    /// Where its configuration says that clients reach the API.
    endpoint: String,
    /// The version that its configuration names.
    version: Version,
    /// The token and the key that let nodes in, and until when.
    token: (String, u64),
    certificates: (String, u64),
}

/// The documents of a file, and what of them is wanted.
struct Files(Vec<Value>);

impl Files {
    fn read(machine: &Machine, path: &str) -> Result<Self, String> {
        let text = machine.texts.get(path).ok_or_else(|| format!("open {path}: no such file or directory"))?;
        let read = text.split("---\n").map(serde_saphyr::from_str);
        read.collect::<Result<_, _>>().map(Self).map_err(|error| format!("{path}: {error}"))
    }

    fn of(&self, kind: &str) -> Result<&Value, String> {
        let found = self.0.iter().find(|document| document["kind"] == kind);
        found.ok_or_else(|| format!("no {kind} found in the config file"))
    }

    /// A text in a document.
    fn text(&self, kind: &str, pointer: &str) -> Result<String, String> {
        let value = self.of(kind)?.pointer(pointer).and_then(Value::as_str);
        value.map(String::from).ok_or_else(|| format!("{kind}: {pointer} is not set"))
    }
}

/// A text as it is kept: another value of a secret is another text.
pub(super) fn told(content: &Text, holes: &Holes) -> Option<String> {
    let of = |hole: &HoleName, value: &Secret| match hole.as_str().starts_with("secret/") {
        true => Digest::of(value.expose()).short().to_string(),
        false => value.expose().clone(),
    };
    let values = content.holes().map(|hole| Some((hole.clone(), of(hole, holes.get(hole)?))));
    let values: BTreeMap<_, _> = values.collect::<Option<_>>()?;
    content.fill(|hole| values.get(hole).map(String::as_str)).ok()
}

impl Machine {
    /// Whether kubeadm has made it a server that is done.
    pub(super) fn is_kubeadm_server(&self) -> bool {
        self.texts.contains_key(API_SERVER) && self.host.kubernetes.as_ref().is_some_and(|it| it.joined)
    }

    /// The port at which its API server listens.
    pub(super) fn api_server_port(&self) -> Option<u16> {
        self.texts.get(API_SERVER)?.parse().ok()
    }

    /// Whether kubeadm was cut off on it, or is at work.
    pub(super) fn is_under_way(&self) -> bool {
        self.texts.contains_key(KUBEADM_UNDER_WAY)
    }

    /// Whether that makes it a further server.
    pub(super) fn may_vote(&self) -> bool {
        self.texts.get(KUBEADM_UNDER_WAY).is_some_and(|role| role == "server")
    }

    /// What every command needs of the host (`RunInitNodeChecks`, `RunJoinNodeChecks`), and the kubelet after it.
    fn checked(&self, version: &Version) -> Result<(), String> {
        let package = |name: &str| self.host.packages.contains(name);
        let error = |what: &str, why: &str| Err(format!("[ERROR {what}]: {why}"));
        if !self.runs("containerd.service") {
            return error("CRI", "container runtime is not running");
        }
        if self.host.sysctls.get("net.ipv4.ip_forward").map(String::as_str) != Some("1") {
            return error("FileContent--proc-sys-net-ipv4-ip_forward", "contents are not set to 1");
        }
        if !package("iptables") {
            return error("FileExisting-iptables", "iptables not found in system path");
        }
        if version.minor() < (1, 32) && !package("conntrack") {
            return error("FileExisting-conntrack", "conntrack not found in system path");
        }
        if !self.host.units.contains_key(KUBELET) {
            return error("Service-Kubelet", "kubelet service does not exist");
        }
        if self.texts.contains_key(KUBELET_CONFIG) {
            return error("FileAvailable--etc-kubernetes-kubelet.conf", "/etc/kubernetes/kubelet.conf already exists");
        }
        if self.texts.contains_key(API_SERVER) {
            return error("FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml", "it already exists");
        }
        if self.host.settings.get("swap").map(String::as_str) != Some("off") {
            return Err("the kubelet is not healthy: running with swap on is not supported".into());
        }
        Ok(())
    }

    /// kubeadm's way back, which asks nobody else.
    fn reset(&mut self) {
        self.texts.retain(|path, _| !path.starts_with("/etc/kubernetes/") || path.starts_with(OURS));
        self.texts.remove(RESET_TO);
        self.containers = false;
        if let Some(kubelet) = self.host.units.get_mut(KUBELET) {
            kubelet.active = false;
        }
        if let Some(kubernetes) = &mut self.host.kubernetes {
            kubernetes.joined = false;
        }
    }

    /// The kubelet runs, and what it finds among its manifests.
    fn begins(&mut self, port: Option<u16>) {
        self.texts.insert(KUBELET_CONFIG.into(), String::new());
        if let Some(port) = port {
            self.texts.insert(API_SERVER.into(), port.to_string());
            self.texts.insert(AUTHORITY.into(), String::new());
        }
        self.containers = true;
        if let Some(kubelet) = self.host.units.get_mut(KUBELET) {
            kubelet.active = true;
        }
    }
}

impl Ssh {
    /// kubeadm is told something.
    pub(super) async fn kubeadm(&self, host: &NodeName, recipe: &Recipe, words: &[&str]) -> Result<(), HostError> {
        let refuses = |why: String| failed(host, &format!("kubeadm {}", words.join(" ")), why);
        if self.on(host, |machine| machine.file(PROGRAM).is_none()) {
            return Err(refuses("No such file or directory".into()));
        }
        let now = self.centre.now();
        match words {
            ["init", "phase", "bootstrap-token", "--config", file, ..] => {
                self.centre.take(timing::KUBE_CALL).await;
                self.centre.at_present().lets_in(host, file, now, true).map_err(refuses)
            }
            ["init", "phase", "upload-certs", "--upload-certs", "--config", file, ..] => {
                self.centre.take(timing::KUBE_CALL).await;
                self.centre.at_present().lets_in(host, file, now, false).map_err(refuses)
            }
            ["init", "phase", "etcd", "local", ..] => Ok(()),
            ["init", "--config", file, rest @ ..] => {
                let with = rest.contains(&"--ignore-preflight-errors=DirAvailable--var-lib-etcd");
                if !with && self.on(host, |machine| machine.texts.contains_key(RESET_TO)) {
                    return Err(refuses("[ERROR DirAvailable--var-lib-etcd]: /var/lib/etcd is not empty".into()));
                }
                let takes = self.centre.at_present().kubeadm_begins(host, recipe, file, now).map_err(refuses)?;
                self.halves(takes).await;
                self.halves(takes).await;
                let now = self.centre.now();
                self.centre.at_present().kubeadm_began(host, recipe, file, now).map_err(refuses)
            }
            ["join", "--config", file] => {
                let takes = self.centre.at_present().kubeadm_asks(host, recipe, file, now).map_err(refuses)?;
                self.halves(takes).await;
                let now = self.centre.now();
                self.centre.at_present().kubeadm_enters(host, file, now).map_err(refuses)?;
                self.halves(takes).await;
                let now = self.centre.now();
                self.centre.at_present().kubeadm_joined(host, file, now).map_err(refuses)
            }
            ["upgrade", ..] => {
                let takes = self.centre.at_present().kubeadm_upgrades(host, recipe, now).map_err(refuses)?;
                self.halves(takes).await;
                self.halves(takes).await;
                self.centre.at_present().kubeadm_upgraded(host, recipe);
                Ok(())
            }
            _ => Err(refuses("unknown command".into())),
        }
    }

    async fn halves(&self, takes: u64) {
        tokio::time::sleep(Duration::from_millis(takes / 2)).await;
    }

    /// A script that tells kubeadm something; nothing where it does not.
    pub(super) async fn kubeadm_script(
        &self,
        host: &NodeName,
        recipe: &Recipe,
        script: &str,
    ) -> Option<Result<(), HostError>> {
        if script.contains(KUBEADM_UNDER_WAY) {
            return Some(match recipe.effect {
                Effect::Look => self.has_ended(host),
                Effect::Clear | Effect::Leave => {
                    self.centre.take(timing::UNIT).await;
                    self.on(host, |machine| {
                        machine.reset();
                        machine.texts.remove(KUBEADM_UNDER_WAY);
                    });
                    Ok(())
                }
                _ => self.becomes(host, recipe, script).await,
            });
        }
        if script.contains("kubeadm reset") {
            self.centre.take(timing::UNIT).await;
            self.on(host, Machine::reset);
            return Some(Ok(()));
        }
        if script.contains("kubeadm upgrade apply") {
            return Some(self.kubeadm(host, recipe, &["upgrade", "apply"]).await);
        }
        let told = told_to(script);
        if !told.is_empty() {
            for words in told {
                if let Err(error) = self.kubeadm(host, recipe, &words).await {
                    return Some(Err(error));
                }
            }
            return Some(Ok(()));
        }
        if script.contains("etcdctl member remove") {
            self.centre.take(timing::UNIT).await;
            let now = self.centre.now();
            let taken = self.centre.at_present().takes_out(host, now);
            return Some(taken.map_err(|why| failed(host, "etcdctl member remove", why)));
        }
        if script.contains("etcdctl") {
            let now = self.centre.now();
            let saves = self.centre.at_present().serves(host, now);
            self.centre.take(timing::SNAPSHOT).await;
            return Some(
                saves.then_some(()).ok_or_else(|| failed(host, "crictl exec", "no container etcd runs".into())),
            );
        }
        None
    }

    /// The host becomes a member, unless it is one; what was cut off is cleared away before.
    async fn becomes(&self, host: &NodeName, recipe: &Recipe, script: &str) -> Result<(), HostError> {
        if self.on(host, |machine| machine.is_under_way()) {
            if self.on(host, |machine| machine.may_vote()) {
                return Err(failed(host, "kubeadm join", "kubeadm was cut off here".into()));
            }
            self.centre.take(timing::UNIT).await;
            self.on(host, Machine::reset);
        }
        if self.on(host, |machine| !machine.texts.contains_key(KUBELET_CONFIG)) {
            self.on(host, |machine| {
                let marks = script.lines().find_map(|line| line.strip_suffix(KUBEADM_UNDER_WAY)?.strip_prefix("echo "));
                let role = marks.unwrap_or_default().trim_end_matches(" >").to_string();
                machine.texts.insert(KUBEADM_UNDER_WAY.into(), role);
                if let Some(kubelet) = machine.host.units.get_mut(KUBELET) {
                    kubelet.enabled = true;
                }
            });
            if script.contains(" snapshot restore ") {
                self.makes_etcd(host, script).await?;
            }
            for words in told_to(script) {
                self.kubeadm(host, recipe, &words).await?;
            }
        }
        let removes = script.lines().find(|line| line.starts_with("trap 'rm -f -- ")).unwrap_or_default();
        self.on(host, |machine| {
            let ours = |file: &str| file.starts_with(OURS) && removes.contains(file);
            machine.texts.retain(|file, _| !ours(file));
            machine.host.files.retain(|file, _| !ours(file));
            if let Some(kubernetes) = machine.host.kubernetes.as_mut() {
                kubernetes.joined = true;
            }
        });
        Ok(())
    }

    /// Nobody is at work on the host any more, and it is none that is done.
    fn has_ended(&self, host: &NodeName) -> Result<(), HostError> {
        let cut = self.on(host, |machine| machine.is_under_way());
        cut.then_some(()).ok_or_else(|| failed(host, "look", "kubeadm has ended well here meanwhile".into()))
    }

    /// kubeadm has started the kubelet; from now on it starts with its host.
    pub(super) async fn kubelet_stays(&self, host: &NodeName, reads: &Digest) -> Result<(), HostError> {
        self.centre.take(timing::UNIT).await;
        self.on(host, |machine| {
            machine.reads.insert(KUBELET.into(), reads.clone());
            let kubelet = machine.host.units.get_mut(KUBELET);
            let kubelet = kubelet.ok_or_else(|| failed(host, KUBELET, "Unit kubelet.service not found".into()))?;
            *kubelet = UnitSeen { enabled: true, active: true, reads: Some(reads.clone()), ..kubelet.clone() };
            Ok(())
        })
    }
}

/// What a script tells kubeadm besides clearing up: the rest of each line that begins with it.
fn told_to(script: &str) -> Vec<Vec<&str>> {
    let told = script.lines().filter_map(|line| line.strip_prefix(PROGRAM)).map(str::split_whitespace);
    told.map(Iterator::collect::<Vec<_>>).filter(|words| words.first() != Some(&"reset")).collect()
}
