//! Another SSH key in the place of one: what is done on this computer, and on each host.
//!
//! Nothing is believed: a host has the new key when that has let us in over a connection of its own, and has lost the old one
//! when that lets nobody in any more.

use std::path::Path;
use std::time::Duration;

use kubewright_model::desired::{THIS_COMPUTER, Way};
use kubewright_model::ids::NodeName;
use kubewright_model::rotation::{BEFORE, KeyPart, NEXT};

use crate::connections::unreachable;
use crate::keypairs::KeyPair;
use crate::real::RealHosts;
use crate::shell::quote;
use crate::ssh::first;
use crate::transport::{Refusal, Transport};
use crate::{HostError, Layer, Report};

/// A line in a file.
const WITHDRAW: Duration = Duration::from_secs(30);

impl RealHosts {
    /// The key in a file that the spec names.
    pub(crate) fn pair(&self, file: &str) -> KeyPair {
        KeyPair::at(self.connections.home.expand(file))
    }

    /// Does one part of putting another key in the place of the one in a file.
    pub(crate) async fn rekey(&self, file: &str, part: &KeyPart) -> Result<Report, HostError> {
        let pair = self.pair(file);
        let here = |what: &str, done: Result<bool, String>| {
            done.map_err(|why| failed(&NodeName::new(THIS_COMPUTER), what, why)).map(changed)
        };
        match part {
            KeyPart::Make => here("making a key", pair.make()),
            KeyPart::TakeOver => {
                let taken = here("putting the new key in its place", pair.take_over());
                // Whoever knew its password knew the old one's.
                self.passwords.forget(&pair.private("")).await;
                taken
            }
            KeyPart::Drop => here("removing the old key", pair.drop_old()),
            KeyPart::Bring { host, way } => self.bring_key(host, way, &pair).await,
            KeyPart::Withdraw { host, way } => self.withdraw_key(host, way, &pair).await,
        }
    }

    /// The new key goes beside the old one, and has to let us in alone.
    async fn bring_key(&self, host: &NodeName, way: &Way, pair: &KeyPair) -> Result<Report, HostError> {
        let next = pair.private(NEXT);
        self.connections.settle(host, way).await?;
        let open = self.connections.to(host, way).await?;
        first::put(&*open, &next).await.map_err(|refusal| unreachable(host, refusal))?;
        match self.connections.by_key_alone(way, &next, &next).await {
            Ok(_) => Ok(changed(true)),
            Err(refusal) if refusal.layer == Layer::Authentication => {
                let why = format!(
                    "{}; it stands in ~/.ssh/authorized_keys of {}, and the old one lets in as before",
                    refusal.why, way.user
                );
                Err(failed(host, "coming in by the new key", why))
            }
            Err(refusal) => Err(unreachable(host, refusal)),
        }
    }

    /// Over a connection that the present key alone has opened, the old one is taken away, and has to let nobody in.
    async fn withdraw_key(&self, host: &NodeName, way: &Way, pair: &KeyPair) -> Result<Report, HostError> {
        const WHAT: &str = "letting the old key in no more";
        let seen = pair.seen().map_err(|why| failed(host, WHAT, why))?;
        let Some(old) = seen.as_ref().and_then(|seen| seen.outlived()) else {
            return Err(failed(host, WHAT, "no other key has taken its place".into()));
        };
        let current = pair.private("");
        let open = self.connections.by_key_alone(way, &current, &current).await;
        let open = open.map_err(|refusal| unreachable(host, refusal))?;
        let gone = withdraw(&*open, old).await.map_err(|refusal| match refusal.layer {
            Layer::Command => failed(host, WHAT, refusal.why),
            _ => unreachable(host, refusal),
        })?;
        self.connections.drop(host).await;
        let before = pair.private(BEFORE);
        if !is_open(pair) {
            // Whoever has its password, or its stick, is not asked for it to show that it is worth nothing.
            return Ok(changed(gone));
        }
        match self.connections.by_key_alone(way, &before, &current).await {
            Err(refusal) if refusal.layer == Layer::Authentication => Ok(changed(gone)),
            Err(refusal) => Err(unreachable(host, refusal)),
            Ok(_) => {
                let why = "it lets in as before, by another file than ~/.ssh/authorized_keys: `sshd -T` on the host tells \
                           which `AuthorizedKeysFile` and `AuthorizedKeysCommand` it goes by";
                Err(failed(host, WHAT, why.into()))
            }
        }
    }
}

/// Whether the old key can be tried without asking anybody.
fn is_open(pair: &KeyPair) -> bool {
    let before = KeyPair::at(pair.private(BEFORE));
    before.seen().ok().flatten().is_some_and(|seen| seen.open)
}

async fn withdraw(transport: &dyn Transport, old: &str) -> Result<bool, Refusal> {
    let text = old.split_whitespace().nth(1).unwrap_or(old);
    let script = format!("kw_key={}\n{}", quote(text), include_str!("ssh/withdraw.sh"));
    let output = transport.exec("exec sh -s", &mut script.as_bytes(), WITHDRAW).await?;
    if output.status == Some(0) {
        return Ok(String::from_utf8_lossy(&output.stdout).lines().any(|line| line == "gone"));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
    Err(Refusal::new(Layer::Command, last))
}

fn changed(changed: bool) -> Report {
    Report { changed, ..Report::default() }
}

fn failed(host: &NodeName, what: &str, why: String) -> HostError {
    HostError::Failed { host: host.clone(), what: what.into(), why, log: Vec::new() }
}

impl crate::connections::Connections {
    /// Comes in by this key and no other, over a connection of its own; where the way leads through a host that the spec's
    /// key opens, `through` opens that in its place.
    pub(crate) async fn by_key_alone(
        &self,
        way: &Way,
        key: &Path,
        through: &Path,
    ) -> Result<std::sync::Arc<dyn Transport>, Refusal> {
        let first = match self.with_key(way, key, through).await {
            Ok(open) => return Ok(open),
            Err(refusal) => refusal,
        };
        match way.port_before.filter(|_| first.layer == Layer::Tcp) {
            Some(port) => self.with_key(&Way { port, ..way.clone() }, key, through).await,
            None => Err(first),
        }
    }
}
