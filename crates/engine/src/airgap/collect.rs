//! Collecting: what a spec needs from outside, into a folder that a second run goes on with, and from there into one file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures::stream::{self, StreamExt as _};
use kubewright_model::airgap::{
    Kind, MANIFEST_FORMAT, Manifest, Need, Packed, file_place, image_place, of_release, unescaped,
};
use kubewright_model::desired::Desired;
use kubewright_model::digest::Digest;
use kubewright_model::plan::Weight;
use kubewright_model::spec::{ClusterFile, Distribution};
use kubewright_planner::airgap::{Needs, asks_kubeadm, needs, refusals};
use regex::Regex;
use tokio::process::Command;

use super::files::{self, Files};
use super::registry::{Known, Mirror, Registries};
use super::{for_this_computer, here, pack};
use crate::engine::Engine;
use crate::holes;

/// Things that are fetched together: more share the same line.
const TOGETHER: usize = 4;

/// What is to be collected.
pub struct Wish<'a> {
    /// The spec.
    pub file: &'a ClusterFile,
    /// What it means at a site that has no way out.
    pub desired: &'a Desired,
    /// The same with each version on the way of an upgrade to its own.
    pub way: Vec<Desired>,
    /// The digest of its text.
    pub spec: Digest,
    /// Architectures of hosts, as publishers name them.
    pub machines: Vec<String>,
    /// Further images, by their references.
    pub images: Vec<String>,
    /// The `helm` program is packed where there are releases.
    pub helm: bool,
    /// The folder in which is kept what was fetched.
    pub cache: PathBuf,
}

/// What there is to collect.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Everything, with its size where it was fetched before.
    pub needs: Vec<(Need, Option<u64>)>,
    /// Releases whose images are known only when their charts are there.
    pub unrendered: Vec<String>,
    /// What no bundle can stand in for, and why.
    pub refused: Vec<(String, String)>,
}

/// A bundle that was written.
#[derive(Clone, Debug)]
pub struct Collected {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Its size.
    pub size: u64,
}

/// Something of a bundle, and where it is on this computer.
type Place = (Packed, PathBuf);

/// Lists what is to be collected. Nothing is fetched.
pub fn listed(wish: &Wish<'_>) -> Listed {
    let size = |need: &Need| {
        let place = match need.kind {
            Kind::File => wish.cache.join(unescaped(&file_place(&need.source))),
            Kind::Image => wish.cache.join(image_place(&need.source)),
            Kind::Chart => return None,
        };
        std::fs::metadata(place).ok().map(|file| file.len())
    };
    let needs = told(wish, wish.desired).into_all().into_iter().map(|need| {
        let size = size(&need);
        (need, size)
    });
    let mut unrendered: Vec<String> = wish.desired.releases.iter().map(of_release).collect();
    if wish.desired.kubernetes.distribution == Distribution::Kubeadm {
        unrendered.insert(0, "kubeadm".into());
    }
    Listed { needs: needs.collect(), unrendered, refused: refusals(wish.desired) }
}

/// What is known without fetching anything.
fn told(wish: &Wish<'_>, desired: &Desired) -> Needs {
    let mut all = Needs::default();
    let known = needs(desired, &wish.machines).into_iter();
    known.chain(for_this_computer(wish)).for_each(|need| all.put(need));
    // Releases wait for the last version.
    let on_the_way = wish.way.iter().flat_map(|leg| needs(leg, &wish.machines));
    on_the_way.filter(|need| need.kind != Kind::Chart).for_each(|need| all.put(need));
    wish.images.iter().for_each(|image| all.put(Need::image(image, "--image")));
    all
}

impl Engine {
    /// Collects everything and writes it into one file; `tell` hears of what is fetched.
    ///
    /// # Errors
    ///
    /// All that could not be had, by name. No file is written then; what was fetched is kept for the next run.
    pub async fn collect(
        &self,
        wish: &Wish<'_>,
        to: &Path,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Collected, Vec<String>> {
        let mut failed: Vec<String> = refusals(wish.desired)
            .into_iter()
            .map(|(what, why)| format!("{what} cannot go without the network: {why}"))
            .collect();
        if !failed.is_empty() {
            return Err(failed);
        }
        let mut desired = wish.desired.clone();
        if let Some(hands) = &self.world().cluster {
            let notes = hands.settle(&mut desired.releases).await;
            failed.extend(notes.iter().filter(|note| note.weight == Weight::Blocks).map(|it| it.message.clone()));
        }
        let mut all = told(wish, &desired);
        let (mut places, images) = self.charts(&desired, tell, &mut failed).await;
        images.into_iter().for_each(|need| all.put(need));
        let published = Files::new(&wish.cache, self.world().places.folder()).map_err(|why| vec![why])?;
        let listed = all.into_all();
        let mut all = Needs::default();
        let of = |kind: Kind| listed.iter().filter(move |need| need.kind == kind);
        of(Kind::Image).cloned().for_each(|need| all.put(need));
        // Lists of digests first: others are known by them.
        for proven in [false, true] {
            let wanted = of(Kind::File).filter(|need| need.proof.is_some() == proven);
            let fetched: Vec<_> =
                stream::iter(wanted.map(|need| fetched(&published, need, tell))).buffered(TOGETHER).collect().await;
            sort(fetched, &mut places, &mut failed);
        }
        for leg in wish.way.iter().chain([&desired]) {
            match of_kubeadm(leg, wish, &published, of(Kind::File)).await {
                Ok(images) => images.iter().for_each(|image| all.put(Need::image(image, "kubeadm"))),
                Err(why) => failed.push(why),
            }
        }
        let images = all.into_all();
        let registries = self.registries(wish, &images, &mut failed);
        let pulled: Vec<_> = stream::iter(images.iter().map(|need| pulled(&registries, wish, need, tell)))
            .buffered(TOGETHER)
            .collect()
            .await;
        sort(pulled, &mut places, &mut failed);
        if !failed.is_empty() {
            return Err(failed);
        }
        written(wish, places, to)
    }

    /// The charts of releases, and the images that they come to.
    async fn charts(
        &self,
        desired: &Desired,
        tell: &(dyn Fn(String) + Send + Sync),
        failed: &mut Vec<String>,
    ) -> (Vec<Place>, Vec<Need>) {
        let (mut places, mut images) = (BTreeMap::<String, Place>::new(), Vec::new());
        let Some(hands) = &self.world().cluster else { return Default::default() };
        for release in &desired.releases {
            tell(format!("chart {} of release {}", release.chart, release.name));
            let packable = match hands.packable(release).await {
                None => continue,
                Some(Err(why)) => {
                    failed.push(format!("chart {} of release {}: {why}", release.chart, release.name));
                    continue;
                }
                Some(Ok(packable)) => packable,
            };
            images.extend(packable.images.iter().map(|image| Need::image(image, &of_release(release))));
            let Some(archive) = packable.archive else { continue };
            let path = format!("charts/{}.tgz", packable.digest);
            let Need { kind, name, source, repository, version, .. } = Need::chart(release);
            let version = version.map(|version| version.to_string());
            let size = std::fs::metadata(&archive).map(|file| file.len()).unwrap_or(0);
            let packed = Packed {
                kind,
                name,
                source,
                repository,
                version,
                path,
                sha256: packable.digest,
                size,
                wanted_by: Vec::new(),
            };
            // One chart may be that of several releases, and one archive that of several charts.
            let key = format!("{} {:?} {:?}", packed.source, packed.repository, packed.version);
            let there = places.entry(key).or_insert((packed, archive));
            there.0.wanted_by.push(of_release(release));
        }
        (places.into_values().collect(), images)
    }

    /// Registries as the spec has them.
    fn registries(&self, wish: &Wish<'_>, images: &[Need], failed: &mut Vec<String>) -> Registries {
        let mut open = BTreeSet::new();
        let mut known = BTreeMap::new();
        for (name, registry) in &wish.file.spec.kubernetes.registries {
            let mirrors: Vec<Mirror> = registry.mirrors.iter().map(|address| Mirror::of(address)).collect();
            open.extend(mirrors.iter().filter(|mirror| mirror.is_open).map(|mirror| mirror.host.clone()));
            let rewrite = registry.rewrite.iter().filter_map(|(pattern, to)| match Regex::new(pattern) {
                Ok(pattern) => Some((pattern, to.clone())),
                Err(error) => {
                    failed.push(format!("`rewrite` of {name}: {error}"));
                    None
                }
            });
            let rewrite = rewrite.collect();
            let login = registry.login.as_ref().map(|login| {
                let password = holes::read(&login.password, &self.world().places);
                password.map(|password| (login.user.clone(), password.expose().clone()))
            });
            let login = login.transpose().map_err(|why| failed.push(format!("the password of {name}: {why}")));
            known.insert(name.clone(), Known { mirrors, rewrite, login: login.ok().flatten() });
        }
        // As every client of registries has it: what is on this computer needs no TLS.
        let registry = |need: &Need| need.source.split('/').next().map(String::from);
        let here = |host: &String| host.starts_with("127.") || host == "localhost" || host.starts_with("localhost:");
        open.extend(images.iter().filter_map(registry).filter(here));
        Registries::new(known, open.into_iter().collect(), &wish.cache, &wish.machines)
    }
}

fn sort(fetched: Vec<Result<Place, String>>, places: &mut Vec<Place>, failed: &mut Vec<String>) {
    for one in fetched {
        match one {
            Ok(place) => places.push(place),
            Err(why) => failed.push(why),
        }
    }
}

fn packed(need: &Need, path: String, sha256: Digest, size: u64, version: Option<String>) -> Packed {
    let Need { kind, name, source, repository, wanted_by, .. } = need.clone();
    Packed { kind, name, source, repository, version, path, sha256, size, wanted_by }
}

async fn fetched(files: &Files, need: &Need, tell: &(dyn Fn(String) + Send + Sync)) -> Result<Place, String> {
    tell(need.source.clone());
    let failed = |why: String| format!("{} ({}): {why}", need.name, need.source);
    let sha256 = files.fetch(need).await.map_err(failed)?;
    let place = files.place(need);
    let size = std::fs::metadata(&place).map_err(|error| failed(error.to_string()))?.len();
    let path = unescaped(&file_place(&need.source));
    Ok((packed(need, path, sha256, size, None), place))
}

async fn pulled(
    registries: &Registries,
    wish: &Wish<'_>,
    need: &Need,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<Place, String> {
    tell(format!("image {}", need.source));
    let failed = |why: String| format!("image {} ({}): {why}", need.source, need.wanted_by.join(", "));
    let path = image_place(&need.source);
    let pulled = registries.pull(&need.source, &wish.cache.join(&path)).await.map_err(failed)?;
    let sha256 = files::digest(&pulled.place).map_err(failed)?;
    let size = std::fs::metadata(&pulled.place).map_err(|error| failed(error.to_string()))?.len();
    Ok((packed(need, path, sha256, size, Some(pulled.digest)), pulled.place))
}

/// The images of Kubernetes itself, as the kubeadm of this version names them. It was fetched and verified before, and runs
/// here where this computer is of one of the architectures.
/// <https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-config/#cmd-config-images-list>
async fn of_kubeadm(
    desired: &Desired,
    wish: &Wish<'_>,
    files: &Files,
    fetched: impl Iterator<Item = &Need>,
) -> Result<Vec<String>, String> {
    if desired.kubernetes.distribution != Distribution::Kubeadm {
        return Ok(Vec::new());
    }
    let here = here();
    let (version, name) = (format!("/{}/", desired.kubernetes.version), format!("/{here}/kubeadm"));
    let is_it = |need: &&Need| need.proof.is_some() && need.source.contains(&version) && need.source.ends_with(&name);
    let mut programs = fetched.filter(is_it);
    let failed = |why: &str| format!("the images that kubeadm {} wants: {why}", desired.kubernetes.version);
    let program = programs.next().ok_or_else(|| failed(&format!("only `--arch {here}` runs on this computer")))?;
    let place = files.place(program);
    let run = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&place, run).map_err(|error| failed(&error.to_string()))?;
    let mut asks = tempfile::NamedTempFile::new().map_err(|error| failed(&error.to_string()))?;
    let text = asks_kubeadm(wish.file, &desired.kubernetes.version);
    asks.write_all(text.as_bytes()).map_err(|error| failed(&error.to_string()))?;
    let mut command = Command::new(&place);
    command.args(["config", "images", "list", "--config"]).arg(asks.path());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim().to_string()).collect())
}

fn written(wish: &Wish<'_>, mut places: Vec<Place>, to: &Path) -> Result<Collected, Vec<String>> {
    places.sort();
    places.dedup_by(|one, other| one.0.path == other.0.path && one.0.source == other.0.source);
    let (contents, places) = places.into_iter().unzip();
    let kubernetes = &wish.desired.kubernetes;
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        cluster: wish.desired.cluster.clone(),
        spec: wish.spec.clone(),
        distribution: kubernetes.distribution,
        version: kubernetes.version.clone(),
        architectures: wish.machines.clone(),
        contents,
    };
    let places: Vec<PathBuf> = places;
    let size = pack::pack(&manifest, &places, to).map_err(|why| vec![why])?;
    Ok(Collected { manifest, size })
}
