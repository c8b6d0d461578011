//! Every secret gets a name; files and values hold the name as a hole.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use kubewright_model::desired::{proxmox_password, proxmox_token};
use kubewright_model::ids::{HoleName, PoolName};
use kubewright_model::spec::{Pool, Providers, SecretRef};
use kubewright_model::text;

/// The secret that opens the consoles of a pool's machines.
pub(crate) fn console_password(pool: &PoolName) -> String {
    format!("console-password-{pool}")
}

/// The hole of a secret. One that is made may be another one's too.
pub(crate) fn named(name: &str, reference: Option<&SecretRef>) -> HoleName {
    let shared = reference.and_then(|reference| reference.generate.as_deref());
    HoleName::of_secret(shared.unwrap_or(name))
}

/// The names of the secrets, and where each is to be found.
#[derive(Default)]
pub(crate) struct SecretNames {
    places: BTreeMap<String, SecretRef>,
    hashes: BTreeMap<String, String>,
}

impl SecretNames {
    /// The hole for a secret. Without a reference, or with `generate`, the executor makes the value on first use.
    pub(crate) fn hole(&mut self, name: &str, reference: Option<&SecretRef>) -> HoleName {
        let Some(place) = reference.filter(|reference| reference.generate.is_none()) else {
            return named(name, reference);
        };
        let name = self.own_name(name, place);
        let hole = HoleName::of_secret(&name);
        self.places.entry(name).or_insert_with(|| place.clone());
        hole
    }

    /// The name, or the next one that no other secret has: two pools may have a file of one path or a user of one name, each
    /// with a secret of its own.
    fn own_name(&self, name: &str, place: &SecretRef) -> String {
        let later = (2_u32..).map(|number| format!("{name}-{number}"));
        let free = |name: &String| self.places.get(name).is_none_or(|known| known == place);
        std::iter::once(name.to_string()).chain(later).find(free).unwrap_or_else(|| name.to_string())
    }

    /// The hole as it stands in values and manifests.
    pub(crate) fn value(&mut self, name: &str, reference: Option<&SecretRef>) -> String {
        text::in_json(&self.hole(name, reference))
    }

    /// The same for the hash of a password, for who keeps no passwords. It is made once for each password, since one made anew
    /// would be another one.
    pub(crate) fn hashed(&mut self, name: &str, reference: Option<&SecretRef>) -> String {
        let password = self.hole(name, reference);
        let hash = HoleName::of_secret(&format!("{name}-hash"));
        if let (Some(hash), Some(password)) = (hash.secret(), password.secret()) {
            self.hashes.insert(hash.into(), password.into());
        }
        text::in_json(&hash)
    }

    /// The hashes, and the passwords that they are of.
    pub(crate) fn hashes(&self) -> BTreeMap<String, String> {
        self.hashes.clone()
    }

    /// The credentials of the providers, which no file holds and every call needs.
    pub(crate) fn provider_tokens(&mut self, providers: &Providers) {
        for (cluster, proxmox) in providers.proxmox_clusters() {
            let token = (proxmox_token(&cluster), &proxmox.token_secret);
            for (name, place) in [token, (proxmox_password(&cluster), &proxmox.password)] {
                if place.is_some() {
                    self.hole(&name, place.as_ref());
                }
            }
        }
        if let Some(hetzner) = &providers.hetzner {
            self.hole("hetzner-token", Some(&hetzner.token));
        }
    }

    /// The hashes of passwords that machines are made with.
    pub(crate) fn console_passwords(&mut self, pools: &IndexMap<PoolName, Pool>) {
        for (name, pool) in pools {
            let vm = pool.proxmox.as_ref().and_then(|machines| machines.vm.as_ref());
            if let Some(hash) = vm.and_then(|vm| vm.password_hash.as_ref()) {
                self.hole(&console_password(name), Some(hash));
            }
        }
    }

    /// Where each secret is to be found.
    pub(crate) fn places(self) -> BTreeMap<String, SecretRef> {
        self.places
    }
}
