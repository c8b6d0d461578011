//! Hands on hosts that never go to the network: every download comes from a bundle, over the connection to the host.
//!
//! They stand before the real hands, so no step, whoever planned it, gets past them.

use std::sync::Arc;

use async_trait::async_trait;
use kubewright_hosts::{
    Archive, DialError, Dialed, Hears, Holes, HostError, Hosts, Logs, Probe, Program, Report, WayIn,
};
use kubewright_model::airgap::{AirGap, BUNDLE, file_place, unescaped};
use kubewright_model::desired::{Desired, Way};
use kubewright_model::doctor::Papers;
use kubewright_model::host::{Artifact, DownloadWish, HostResource, Proof};
use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;
use kubewright_model::observed::{HostSeen, Seen};
use kubewright_model::plan::HostChange;
use kubewright_model::recipe::Recipe;
use kubewright_model::rotation::{KeyPart, KeySeen};

/// The hands for a run: where it goes by a bundle, such that take everything from there.
pub fn hands(hands: Arc<dyn Hosts>, desired: &Desired) -> Arc<dyn Hosts> {
    match &desired.airgap {
        Some(gap) => Arc::new(Closed { hands, gap: gap.clone() }),
        None => hands,
    }
}

struct Closed {
    hands: Arc<dyn Hosts>,
    gap: AirGap,
}

impl Closed {
    /// Where a place of the bundle is on this computer, as an address.
    fn at(&self, place: &str) -> String {
        let folder = self.gap.folder.replace('%', "%25").replace('{', "%7B");
        format!("file:{folder}/{place}")
    }

    /// A download as the bundle has it. What it is known by stays the same, so another run without a bundle finds it done.
    fn taken(&self, wish: &DownloadWish) -> DownloadWish {
        let artifact = &wish.artifact;
        let address = |url: &str| match url.strip_prefix(BUNDLE) {
            Some(place) => self.at(&place.replace('%', "%25").replace('{', "%7B")),
            None => self.at(&file_place(url)),
        };
        let proof = match &artifact.proof {
            Proof::Sha256(digest) => Proof::Sha256(digest.clone()),
            Proof::Checksums { url, file } => Proof::Checksums { url: address(url), file: file.clone() },
        };
        let artifact = Artifact { name: artifact.name.clone(), url: address(&artifact.url), proof };
        DownloadWish { artifact, ..wish.clone() }
    }

    fn made(&self, resources: &[HostResource]) -> Vec<HostResource> {
        let taken = resources.iter().map(|resource| match resource {
            HostResource::Download(wish) => HostResource::Download(self.taken(wish)),
            other => other.clone(),
        });
        taken.collect()
    }

    /// What a change would fetch from elsewhere.
    fn refused(&self, change: &HostChange) -> Option<String> {
        let fetched = change.make.iter().filter_map(|resource| match resource {
            HostResource::Package(name) => Some(format!("package {name}")),
            HostResource::Repository(wish) => Some(format!("repository {}", wish.name)),
            HostResource::Download(wish) => {
                let there = match wish.artifact.url.strip_prefix(BUNDLE) {
                    Some(place) => self.gap.at(place).is_some(),
                    None => self.holds(&wish.artifact.url),
                };
                (!there).then(|| wish.artifact.name.clone())
            }
            _ => None,
        });
        let fetched: Vec<String> = fetched.collect();
        (!fetched.is_empty()).then(|| fetched.join(", "))
    }

    /// Whether the bundle has a published file for any machine.
    fn holds(&self, url: &str) -> bool {
        let for_each = |arch: &String| kubewright_model::airgap::for_machine(&file_place(url), arch);
        self.gap.manifest.architectures.iter().map(for_each).any(|place| self.gap.at(&unescaped(&place)).is_some())
    }
}

#[async_trait]
impl Hosts for Closed {
    async fn observe(&self, probe: Probe<'_>) -> Seen<HostSeen> {
        let resources = self.made(probe.resources);
        self.hands.observe(Probe { resources: &resources, ..probe }).await
    }

    async fn examine(&self, host: &NodeName, way: &Way) -> Seen<Papers> {
        self.hands.examine(host, way).await
    }

    async fn is_new(&self, host: &NodeName, way: &Way, key: Option<&str>) -> Result<(), HostError> {
        self.hands.is_new(host, way, key).await
    }

    async fn change(&self, change: &HostChange, holes: &Holes) -> Result<Report, HostError> {
        if let Some(fetched) = self.refused(change) {
            let what = "going without the network".to_string();
            let why = format!("the host lacks what is not in the bundle: {fetched}");
            return Err(HostError::Failed { host: change.host.clone(), what, why, log: Vec::new() });
        }
        self.hands.change(&HostChange { make: self.made(&change.make), ..change.clone() }, holes).await
    }

    async fn run(
        &self,
        host: &NodeName,
        way: &Way,
        recipe: &Recipe,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Report, HostError> {
        self.hands.run(host, way, recipe, holes, tell).await
    }

    async fn key(&self, file: &str) -> Seen<KeySeen> {
        self.hands.key(file).await
    }

    async fn rotate_key(&self, file: &str, part: &KeyPart) -> Result<Report, HostError> {
        self.hands.rotate_key(file, part).await
    }

    async fn reboot(&self, host: &NodeName, way: &Way) -> Result<(), HostError> {
        self.hands.reboot(host, way).await
    }

    async fn exec(
        &self,
        host: &NodeName,
        way: &Way,
        program: &Program,
        hears: Hears<'_>,
    ) -> Result<Option<u32>, HostError> {
        self.hands.exec(host, way, program, hears).await
    }

    async fn logs(&self, host: &NodeName, way: &Way, logs: &Logs, hears: Hears<'_>) -> Result<(), HostError> {
        self.hands.logs(host, way, logs, hears).await
    }

    async fn take_in(
        &self,
        host: &NodeName,
        way: &Way,
        archive: &Archive,
        import: &[String],
        hears: Hears<'_>,
    ) -> Result<Option<u32>, HostError> {
        self.hands.take_in(host, way, archive, import, hears).await
    }

    async fn way_in(&self, host: &NodeName, way: &Way) -> Result<WayIn, HostError> {
        self.hands.way_in(host, way).await
    }

    async fn dial(&self, host: &NodeName, way: &Way, at: &HostPort) -> Result<Dialed, DialError> {
        self.hands.dial(host, way, at).await
    }
}
