//! SSH keys of a pretend computer, and who lets which of them in.

use kubewright_hosts::{HostError, Layer, Report};
use kubewright_model::desired::{THIS_COMPUTER, Way};
use kubewright_model::ids::NodeName;
use kubewright_model::rotation::{KeyPart, KeySeen};
use serde::{Deserialize, Serialize};

use super::hosts::{Reached, Ssh, failed};
use super::state::State;
use super::timing;

/// The keys of one file: each new one has the next number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The one in the file.
    pub current: u32,
    /// The one that is to take its place.
    pub next: Option<u32>,
    /// The one that had it.
    pub before: Option<u32>,
    /// It has a password, or is not here.
    #[serde(default)]
    pub closed: bool,
}

/// A key as its public half stands in files.
pub(super) fn public(file: &str, number: u32) -> String {
    format!("ssh-ed25519 {file}#{number}")
}

impl State {
    fn keys_of(&self, file: &str) -> Keys {
        self.keys.get(file).cloned().unwrap_or_default()
    }

    /// What there is on the computer of a key.
    pub(super) fn key_seen(&self, file: &str) -> KeySeen {
        let keys = self.keys_of(file);
        let of = |number| public(file, number);
        KeySeen { current: of(keys.current), open: !keys.closed, next: keys.next.map(of), before: keys.before.map(of) }
    }

    /// Whether a host lets the key of a way in. Who is met for the first time was given it when it was made, or by somebody.
    pub(super) fn knows_key_of(&mut self, host: &NodeName, way: &Way) -> Result<(), String> {
        let Some(file) = way.key_file.as_deref().filter(|_| way.talos.is_none()) else { return Ok(()) };
        let key = self.key_seen(file).current;
        let Some(machine) = self.machine_mut(host) else { return Ok(()) };
        let known = machine.keys.get_or_insert_with(|| [key.clone()].into());
        let of_it = known.iter().any(|known| known.starts_with(&format!("ssh-ed25519 {file}#")));
        match known.contains(&key) || !of_it {
            true => Ok(()),
            false => Err(format!("{} is not let in: tried {file}", way.user)),
        }
    }

    /// Another key takes the file: who lets in the old one and not the new one lets us in no more.
    fn takes_over(&mut self, file: &str, now: u64) -> Result<bool, String> {
        let keys = self.keys_of(file);
        let Some(next) = keys.next else {
            return keys.before.map(|_| false).ok_or_else(|| "there is no key to take its place".into());
        };
        let (old, new) = (public(file, keys.current), public(file, next));
        for name in self.letting_in(&old, &new) {
            self.breach(now, format!("{name} lets {file} in no more, and was not given the new key"));
        }
        let taken = Keys { current: next, next: None, before: Some(keys.current), ..keys };
        self.keys.insert(file.into(), taken);
        Ok(true)
    }

    /// The old key is gone from the computer: nobody knows any more who lets it in.
    fn forgets_key(&mut self, file: &str, now: u64) -> bool {
        let keys = self.keys_of(file);
        let Some(before) = keys.before else { return false };
        for name in self.letting_in(&public(file, before), "") {
            self.breach(now, format!("{name} lets the old key of {file} in, which is forgotten"));
        }
        self.keys.insert(file.into(), Keys { before: None, ..keys });
        true
    }

    /// Machines that let one key in and not the other.
    fn letting_in(&self, one: &str, other: &str) -> Vec<NodeName> {
        let machines = self.machines.values().flatten();
        let those = machines.filter(|(_, machine)| {
            machine.keys.as_ref().is_some_and(|known| known.contains(one) && !known.contains(other))
        });
        those.map(|(name, _)| name.clone()).collect()
    }
}

impl Ssh {
    pub(super) async fn rekey(&self, file: &str, part: &KeyPart) -> Result<Report, HostError> {
        self.centre.lock().count("key");
        let here = NodeName::new(THIS_COMPUTER);
        let changed = match part {
            KeyPart::Make => {
                let mut state = self.centre.lock();
                let mut keys = state.keys_of(file);
                if keys.next.is_none() && keys.closed {
                    return Err(failed(&here, "making a key", format!("{file} does not lie open")));
                }
                let made = keys.next.is_none();
                keys.next = keys.next.or(Some(keys.current.max(keys.before.unwrap_or_default()) + 1));
                state.keys.insert(file.into(), keys);
                made
            }
            KeyPart::TakeOver => {
                let now = self.centre.now();
                let taken = self.centre.lock().takes_over(file, now);
                taken.map_err(|why| failed(&here, "putting the new key in its place", why))?
            }
            KeyPart::Drop => {
                let now = self.centre.now();
                self.centre.lock().forgets_key(file, now)
            }
            KeyPart::Bring { host, way } => self.bring(file, host, way).await?,
            KeyPart::Withdraw { host, way } => self.withdraw(file, host, way).await?,
        };
        Ok(Report { changed, ..Report::default() })
    }

    async fn bring(&self, file: &str, host: &NodeName, way: &Way) -> Result<bool, HostError> {
        const WHAT: &str = "coming in by the new key";
        let reached = self.reaches_by_key(host, way, WHAT).await?;
        let next = self.centre.lock().keys_of(file).next;
        let next = next.ok_or_else(|| failed(host, WHAT, "there is none".into()))?;
        if matches!(reached, Reached::Hypervisor) {
            return Ok(true);
        }
        self.centre.take(timing::LOOK).await;
        Ok(self.on(host, |machine| machine.keys.get_or_insert_default().insert(public(file, next))))
    }

    async fn withdraw(&self, file: &str, host: &NodeName, way: &Way) -> Result<bool, HostError> {
        const WHAT: &str = "letting the old key in no more";
        let reached = self.reaches_by_key(host, way, WHAT).await?;
        let keys = self.centre.lock().keys_of(file);
        let before = keys.before.ok_or_else(|| failed(host, WHAT, "no other key has taken its place".into()))?;
        if matches!(reached, Reached::Hypervisor) {
            return Ok(true);
        }
        self.centre.take(timing::LOOK).await;
        Ok(self.on(host, |machine| machine.keys.get_or_insert_default().remove(&public(file, before))))
    }

    async fn reaches_by_key(&self, host: &NodeName, way: &Way, what: &str) -> Result<Reached, HostError> {
        if way.talos.is_some() {
            return Err(failed(host, what, "it runs Talos, which has no SSH".into()));
        }
        self.reach(host, way).await
    }
}

/// A host that does not take our key.
pub(super) fn refused(host: &NodeName, why: String) -> HostError {
    HostError::Unreachable { host: host.clone(), layer: Layer::Authentication, why }
}
