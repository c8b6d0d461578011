//! Certificates of pretend members: good for a year, and nobody listens to whoever shows one that has expired.

use std::time::Duration;

use kubewright_hosts::HostError;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::HostSeen;
use kubewright_model::recipe::Recipe;

use super::hosts::{Ssh, failed};
use super::kubeadm::{KUBELET, OURS};
use super::rancher::Kind;
use super::recipes::did_not_start;
use super::state::{Machine, State};
use super::talos::TALOS;
use super::timing;

/// The beginning of the data centre's time, in seconds since 1970.
const BEGINNING: u64 = 1_700_000_000;
/// A year, in milliseconds: what K3s, RKE2, kubeadm and Talos make certificates for.
const YEAR: u64 = 365 * 86_400_000;
/// A server or an agent of K3s and RKE2 that starts makes those anew that are good for less: 90 days, or 120 in newer
/// releases. <https://docs.k3s.io/cli/certificate#client-and-server-certificates>
const ANEW: u64 = 90 * 86_400_000;

impl Machine {
    /// Whether what it shows is good no more.
    fn has_expired(&self, now: u64) -> bool {
        self.certificates.is_some_and(|until| until <= now)
    }

    /// Where its distribution keeps certificates; Talos tells of none.
    fn keeps_certificates_at(&self) -> Vec<String> {
        let kind = Kind::on(self);
        match kind {
            _ if self.has_talos() => Vec::new(),
            Kind::Kubeadm if self.is_kubeadm_server() => {
                vec!["/etc/kubernetes/pki/apiserver.crt".into(), "/etc/kubernetes/admin.conf".into()]
            }
            Kind::Kubeadm => vec!["/var/lib/kubelet/pki/kubelet-client-current.pem".into()],
            Kind::K3s | Kind::Rke2 => {
                let server = self.host.units.contains_key(kind.server_unit());
                let place = if server { "server/tls/client-admin.crt" } else { "agent/client-kubelet.crt" };
                vec![format!("{}/{place}", kind.data())]
            }
        }
    }
}

impl State {
    /// A member has certificates that were made now.
    pub(super) fn certified(&mut self, host: &NodeName, now: u64) {
        if let Some(machine) = self.machine_mut(host) {
            machine.certificates = Some(now + YEAR);
        }
    }

    /// Whether nobody listens to this server any more. Talos makes those of its control plane anew by itself.
    pub(super) fn is_shunned(&self, host: &NodeName, now: u64) -> bool {
        self.machine(host).is_some_and(|machine| machine.has_expired(now) && !machine.has_talos())
    }

    /// Whether the kubelet of a node is let in.
    pub(super) fn kubelet_is_known(&self, host: &NodeName, now: u64) -> Result<(), String> {
        match self.machine(host).is_some_and(|machine| machine.has_expired(now)) {
            true => Err("tls: x509: certificate has expired or is not yet valid".into()),
            false => Ok(()),
        }
    }

    /// K3s and RKE2 look at their certificates when they start.
    pub(super) fn looks_at_its_certificates(&mut self, host: &NodeName, unit: &str, now: u64) {
        let theirs = unit != KUBELET && unit != TALOS;
        let ends = self.machine(host).and_then(|machine| machine.certificates).is_some_and(|until| until < now + ANEW);
        if theirs && ends {
            self.certified(host, now);
        }
    }

    /// What starts with a machine looks at its certificates; Talos' kubelet has them made anew.
    pub(super) fn wakes_with_certificates(&mut self, host: &NodeName, up: u64) {
        let unit = self.cluster.nodes.get(host).map(|node| node.unit.clone()).unwrap_or_default();
        match unit == TALOS {
            true => self.certified(host, up),
            false => self.looks_at_its_certificates(host, &unit, up),
        }
    }

    /// What a host tells of its certificates, and when.
    pub(super) fn tells_certificates(&self, host: &NodeName, seen: &mut HostSeen, now: u64) {
        seen.at = Some(BEGINNING + now / 1000);
        let Some(machine) = self.machine(host).filter(|it| it.host.kubernetes.as_ref().is_some_and(|it| it.joined))
        else {
            return;
        };
        if let Some(until) = machine.certificates {
            let places = machine.keeps_certificates_at().into_iter();
            seen.certificates = places.map(|place| (place, BEGINNING + until / 1000)).collect();
        }
    }
}

impl Ssh {
    /// A script that makes certificates anew. What shows them has to be started again with them.
    pub(super) async fn renews(&self, host: &NodeName, recipe: &Recipe, script: &str) -> Result<(), HostError> {
        let refuses = |why: &str| failed(host, &recipe.title, why.into());
        if !self.on(host, |machine| machine.host.kubernetes.as_ref().is_some_and(|it| it.joined)) {
            return Err(refuses("it is no member of any cluster"));
        }
        match self.on(host, |machine| Kind::on(machine)) {
            Kind::Kubeadm if self.on(host, |machine| machine.is_kubeadm_server()) => {
                let whole = ["kubeadm certs renew all", "kubeadm kubeconfig user", "systemctl restart", "crictl stop"];
                if let Some(missing) = whole.iter().find(|words| !script.contains(*words)) {
                    return Err(refuses(&format!("nobody is told `{missing}`, so the old ones stay in force")));
                }
                self.restarts_with_new_ones(host, KUBELET).await
            }
            Kind::Kubeadm => {
                let now = self.centre.now();
                let asks = self.centre.at_present().lets_a_kubelet_ask(host, now);
                asks.map_err(|why| refuses(&format!("nobody gave the kubelet a certificate: {why}")))?;
                self.restarts_with_new_ones(host, KUBELET).await
            }
            Kind::K3s | Kind::Rke2 => {
                let unit = self.on(host, |machine| {
                    let unit = |it: &&String| script.contains(&format!("systemctl stop {it}\n"));
                    machine.host.units.keys().find(unit).cloned()
                });
                let unit = unit.ok_or_else(|| refuses("it is not stopped, so it goes on with what it has"))?;
                let again = format!("systemctl start --no-block {unit}");
                if !script.contains("certificate rotate") || !script.contains(&again) {
                    return Err(refuses("certificates are put aside while the unit is stopped, and it starts again"));
                }
                self.restarts_with_new_ones(host, &unit).await
            }
        }
    }

    /// A unit is down for a moment, and up again with new certificates: whoever is cut in between leaves it down.
    async fn restarts_with_new_ones(&self, host: &NodeName, unit: &str) -> Result<(), HostError> {
        let now = self.centre.now();
        let tried = self.centre.at_present().restarts(host, unit, now);
        tried.map_err(|why| did_not_start(host, unit, &why))?;
        let down = unit != KUBELET;
        self.on(host, |machine| {
            if let Some(unit) = machine.host.units.get_mut(unit).filter(|_| down) {
                unit.active = false;
            }
        });
        self.centre.take(timing::UNIT).await;
        let now = self.centre.now();
        let takes = {
            let mut state = self.centre.at_present();
            state.certified(host, now);
            if let Some(unit) = state.machine_mut(host).and_then(|machine| machine.host.units.get_mut(unit)) {
                unit.active = true;
            }
            state.starts_again(host, unit, true, now);
            state.jitter(timing::UNIT)
        };
        tokio::time::sleep(Duration::from_millis(takes)).await;
        Ok(())
    }

    /// Talos' kubelet starts again, and has new ones.
    pub(super) async fn kubelet_of_talos_restarts(&self, host: &NodeName) {
        self.centre.take(timing::UNIT).await;
        let now = self.centre.now();
        self.centre.at_present().certified(host, now);
    }
}

/// What an agent's kubelet asks with, as its file holds it.
pub(super) fn asks_with() -> String {
    format!("{OURS}renew.yaml")
}
