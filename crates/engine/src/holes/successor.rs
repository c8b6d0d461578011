//! A secret that is kept here and that another one takes the place of.
//!
//! Both are kept from before the cluster hears of the new one until everybody goes by it, and the old one after that: what was
//! saved with it opens with nothing else. Where the spec says where a secret is, somebody has put the new one there.

use kubewright_model::desired::Desired;
use kubewright_model::ids::HoleName;
use kubewright_model::rotation::{NEXT, SecretPart, before_of, next_of};
use kubewright_model::secret::Secret;
use kubewright_model::spec::Distribution;
use kubewright_planner::foundation::moved_on;

use super::{ENCRYPTION_KEY, Filler, JOIN_TOKEN, Secrets, filled, pretended};
use crate::store::StoreError;

/// The secrets that others may take the place of.
const TURN: [&str; 5] = [JOIN_TOKEN, "certificate-key", ENCRYPTION_KEY, "service-account-key", "service-account-pub"];

impl Filler<'_> {
    /// One part of putting another secret in the place of one that is kept.
    pub(crate) fn rotates(&self, secret: &str, part: SecretPart) -> Result<(), String> {
        if part == SecretPart::Settle {
            let forgotten = self.secrets.store.forget_secret(&self.desired.cluster, &next_of(secret));
            return forgotten.map_err(|error| error.told());
        }
        self.secrets.moves_on(self.desired, secret)?;
        let mut known = self.known.borrow_mut();
        // The old one stays something that nobody is to read.
        if let Some(old) = known.remove(&HoleName::of_secret(secret)) {
            known.insert(HoleName::of_secret(&before_of(secret)), old);
        }
        Ok(())
    }

    /// What a server gave in an earlier run for the others, and not all of them have.
    pub(super) fn given_before(&self, name: &HoleName) -> Option<Secret> {
        let kept = name.as_str().strip_prefix("cluster/").filter(|kept| kept.ends_with(NEXT))?;
        self.secrets.store.secret(&self.desired.cluster, kept).ok().flatten()
    }

    /// A cluster is begun: nothing is on its way to anybody of before.
    pub(super) fn forgets_successors(&self) -> Result<(), StoreError> {
        let (store, cluster) = (self.secrets.store, &self.desired.cluster);
        TURN.iter().try_for_each(|secret| store.forget_secret(cluster, &next_of(secret)))
    }
}

impl Secrets<'_> {
    /// Secrets that others are to take the place of, or have while not everybody goes by them.
    pub(crate) fn pending(self, desired: &Desired) -> Vec<String> {
        let is_there = |secret: &&&str| {
            // One that cannot be read is there.
            self.store.secret(&desired.cluster, &next_of(secret)).map_or(true, |found| found.is_some())
        };
        TURN.iter().filter(is_there).map(|secret| (*secret).to_string()).collect()
    }

    /// The new one takes the place of the old one, which is kept beside it; what the cluster was begun with moves on as well.
    fn moves_on(self, desired: &Desired, secret: &str) -> Result<(), String> {
        let (store, cluster) = (self.store, &desired.cluster);
        let told = |error: StoreError| error.told();
        if !desired.secrets.contains_key(secret) {
            let next = match desired.kubernetes.distribution {
                // What lets nodes in is made when somebody joins, so the cluster has not heard of it yet.
                Distribution::Kubeadm => self.resolve(desired, &next_of(secret))?,
                _ => {
                    let next = store.secret(cluster, &next_of(secret)).map_err(told)?;
                    next.ok_or_else(|| format!("there is no new {secret}"))?
                }
            };
            let now = store.secret(cluster, secret).map_err(told)?;
            if now.as_ref().map(Secret::expose) != Some(next.expose()) {
                if let Some(now) = now {
                    store.keep_secret(cluster, &before_of(secret), &now).map_err(told)?;
                }
                store.keep_secret(cluster, secret, &next).map_err(told)?;
            }
        }
        let Some(was) = store.foundation(cluster).map_err(told)? else { return Ok(()) };
        store.keep_foundation(cluster, &moved_on(&was, desired, &filled(desired, self))).map_err(told)
    }

    /// The successor of a secret in a pretend world: another one each time.
    pub(super) fn pretends(self, desired: &Desired, chance: u64, name: &str) -> Secret {
        let now = name.strip_suffix(NEXT).and_then(|of| self.store.secret(&desired.cluster, of).ok().flatten());
        match now {
            Some(now) => pretended(&format!("{chance} {name} {}", now.expose())),
            None => pretended(&format!("{chance} {name}")),
        }
    }
}
