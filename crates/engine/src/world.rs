//! The world that the engine works on: every seam, real or simulated.

pub(crate) mod beside;
pub mod doors;
mod hetzner;
mod logins;
mod proxmox;
pub(crate) mod talos;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kubewright_hosts::{Ask, Hosts, Password, RealHosts, Tell, User, proven};
use kubewright_model::bundle::Shelf;
use kubewright_model::change::Subject;
use kubewright_model::cloud::DesiredResource;
use kubewright_model::desired::{Desired, DesiredBackupJob, DesiredLoadBalancer, DesiredMachine, EXISTING, HETZNER};
use kubewright_model::ids::{NodeName, ProviderName};
use kubewright_model::observed::{Observed, Why};
use kubewright_model::plan::{Action, Note, Plan, Step, Weight};
use kubewright_model::secret::Secret;
use kubewright_model::units::{Moment, Size};
use kubewright_providers::existing::Existing;
use kubewright_providers::{Provider, ProviderError, Refusal, Wanted};

pub use self::beside::Beside;
use self::doors::{Doors, FromOutside};
use crate::backup::shelf::{self, Bundles};
use crate::cluster::{ClusterApi, RealCluster};
use crate::holes::{self, Secrets};
use crate::places::Places;
use crate::sops::Sources;
use crate::store::Store;
use crate::store::folder::FolderStore;

/// The file in which hosts' keys are kept.
const KNOWN_HOSTS: &str = "known_hosts";

/// The folder for what is saved of datastores, in that of the cluster.
pub(crate) const SNAPSHOTS: &str = "snapshots";

/// Asks a person for what is to be kept secret, by the words that it is given; or says why nobody can be asked.
pub type Prompt = Arc<dyn Fn(&str) -> Result<Secret, String> + Send + Sync>;

/// Proves that a file holds what was saved of a datastore, whole; in words how large and how old it is, or what is wrong with it.
pub type Proves = Arc<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// Reads what goes with what was saved, under the same name with this ending; in words why it cannot be had whole.
pub type Opens = Arc<dyn Fn(&str, &str) -> Result<Beside, String> + Send + Sync>;

/// What a pretend world has saved under a name, as the bytes of a file that another one takes.
pub type Copies = Arc<dyn Fn(&str) -> Result<Vec<u8>, String> + Send + Sync>;

/// A snapshot of etcd on this computer.
pub fn proves() -> Proves {
    Arc::new(|path| {
        let size = Size::from_bytes(proven(Path::new(path))?.size);
        let written = std::fs::metadata(path).and_then(|file| file.modified()).ok();
        let since = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        Ok(since.map_or(size.to_string(), |since| format!("{size}, of {}", Moment(since.as_secs()))))
    })
}

/// What goes with a snapshot of etcd on this computer.
pub fn opens() -> Opens {
    Arc::new(|path, ending| beside::read(&Path::new(path).with_extension(ending)))
}

/// Every seam to the outside but the store.
#[derive(Clone)]
pub struct World {
    /// Hands on machines, by the provider's name. A provider that the spec names and that is not in here has no hands
    /// in this version of the program.
    pub providers: BTreeMap<ProviderName, Arc<dyn Provider>>,
    /// Providers that there would be hands for, and why there are none: a token that nobody has given.
    pub silent: BTreeMap<ProviderName, Why>,
    /// Hands on hosts; none when this version of the program has none.
    pub hosts: Option<Arc<dyn Hosts>>,
    /// Hands on the cluster; none when this version of the program has none.
    pub cluster: Option<Arc<dyn ClusterApi>>,
    /// The ways in from outside, as providers tell them.
    pub doors: Arc<Doors>,
    /// It is a pretend world, and every screen says so: what the secrets that are made in it follow from.
    pub pretend: Option<u64>,
    /// Proves what was saved of a datastore.
    pub saved: Proves,
    /// Reads what goes with it.
    pub beside: Opens,
    /// Gives what was saved of one, where that is in no file of this computer.
    pub copies: Option<Copies>,
    /// Where secrets are: the spec's folder, in which files are that the spec names relatively, and its SOPS file.
    pub places: Places,
}

impl World {
    /// The real world, as far as this version of the program reaches it: hosts over SSH, those that are there
    /// already, Proxmox VE, Hetzner Cloud, and the cluster's API. The spec lies in `folder`, and its `lock` file beside it, where it is a file; `kept` is the folder of the store, in which
    /// hosts' keys are kept too; `prompt` asks a person, and `tell` hears of keys that are learnt.
    ///
    /// # Errors
    ///
    /// The user's SSH configuration cannot be read.
    pub fn real(
        folder: &Path,
        lock: Option<PathBuf>,
        kept: &Path,
        desired: &Desired,
        prompt: Prompt,
        tell: Tell,
    ) -> Result<Self, String> {
        let places = Places::new(folder.to_path_buf(), desired, Sources::of_user());
        let user = User {
            home: std::env::home_dir().unwrap_or_else(|| "/".into()),
            agent: std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from),
            known_hosts: kept.join(KNOWN_HOSTS),
            ask: asking(&places, desired, prompt),
        };
        let doors = Arc::new(Doors::default());
        let saved = kept.join(desired.cluster.as_str()).join(SNAPSHOTS);
        let hands = RealHosts::new(user)?.telling(tell).with_files_of(folder).saving_to(&saved);
        let hands = crate::airgap::hands(Arc::new(hands), desired);
        let store = Arc::new(FolderStore::new(kept));
        let talos = talos::hands(desired, Arc::clone(&store), &places, &saved);
        let hosts: Arc<dyn Hosts> = Arc::new(FromOutside { hands, talos, doors: Arc::clone(&doors) });
        let mut providers: BTreeMap<ProviderName, Arc<dyn Provider>> = BTreeMap::new();
        if desired.machines.iter().any(|machine| machine.provider.as_str() == EXISTING) {
            providers.insert(EXISTING.into(), Arc::new(Existing::new(desired)));
        }
        let (folder, mut silent) = (folder.to_path_buf(), BTreeMap::new());
        for (name, cluster) in &desired.proxmox {
            match proxmox::hands(desired, name, cluster, Secrets { store: &*store, pretend: None, places: &places }) {
                Ok(hands) => drop(providers.insert(name.clone(), Arc::new(hands))),
                Err(why) => drop(silent.insert(name.clone(), why)),
            }
        }
        if let Some(project) = &desired.hetzner {
            let secrets = Secrets { store: &*store, pretend: None, places: &places };
            match hetzner::hands(desired, project, secrets) {
                Ok(hands) => drop(providers.insert(HETZNER.into(), Arc::new(hands))),
                Err(why) => drop(silent.insert(HETZNER.into(), why)),
            }
        }
        let cluster = RealCluster::new(desired, store, hosts.clone(), folder).through(Arc::clone(&doors));
        let cluster = match lock {
            Some(lock) => Arc::new(cluster.locking(lock)),
            None => Arc::new(cluster),
        };
        Ok(Self {
            providers,
            silent,
            hosts: Some(hosts),
            cluster: Some(cluster),
            doors,
            pretend: None,
            saved: proves(),
            beside: opens(),
            copies: None,
            places,
        })
    }

    /// Why the releases of a plan cannot be worked on from this computer.
    pub(crate) async fn no_releases(&self, plan: &Plan, tell: &(dyn Fn(String) + Send + Sync)) -> Option<Note> {
        let of_release = |action: &Action| matches!(action, Action::InstallRelease(_) | Action::RemoveRelease { .. });
        let needs = plan.steps.iter().filter(|step| of_release(&step.action)).count();
        let why = self.cluster.as_ref().filter(|_| needs > 0)?.no_releases(tell).await?;
        Some(Note {
            weight: Weight::Blocks,
            subject: Subject::Cluster,
            message: format!("{why}, and {needs} steps need it"),
            help: Some(
                "install Helm (https://helm.sh/docs/intro/install), 3.13 or newer, or write in `addons.helm.mirror` where it \
                 can be fetched"
                    .into(),
            ),
            stages: Vec::new(),
        })
    }

    /// What providers do not allow us of what a plan needs, or would need if they let us look.
    pub(crate) async fn refused(&self, plan: &Plan, desired: &Desired, observed: &Observed) -> Vec<Note> {
        let mut wanted: BTreeMap<&ProviderName, Vec<&DesiredMachine>> = BTreeMap::new();
        let blind = |name| observed.providers.get(name).is_some_and(|seen| seen.why_unknown().is_some());
        for machine in desired.all_machines().filter(|machine| blind(&machine.provider)) {
            wanted.entry(&machine.provider).or_default().push(machine);
        }
        for step in &plan.steps {
            if let Action::CreateMachine(machine) | Action::UpdateMachine(machine) = &step.action {
                wanted.entry(&machine.provider).or_default().push(machine);
            }
        }
        let mut snapshots: BTreeMap<&ProviderName, Vec<&NodeName>> = BTreeMap::new();
        for step in &plan.steps {
            if let Action::TakeSnapshot { provider, name, .. } = &step.action {
                snapshots.entry(provider).or_default().push(name);
                wanted.entry(provider).or_default();
            }
        }
        let set = |job: &DesiredBackupJob| {
            let of = |step: &Step| matches!(&step.action, Action::SetBackupJob(set) if set.provider == job.provider);
            plan.steps.iter().any(of)
        };
        let hidden = |name| {
            let jobs = observed.providers.get(name).and_then(|seen| seen.present()?.backups.as_ref());
            blind(name) || jobs.is_some_and(|jobs| jobs.why_unknown().is_some())
        };
        let jobs = || desired.backup_jobs.iter().filter(|job| set(job) || hidden(&job.provider));
        for job in jobs() {
            wanted.entry(&job.provider).or_default();
        }
        let mut resources: BTreeMap<&ProviderName, Vec<&DesiredResource>> = BTreeMap::new();
        let mut balancers: BTreeMap<&ProviderName, Vec<&DesiredLoadBalancer>> = BTreeMap::new();
        for step in &plan.steps {
            match &step.action {
                Action::SetResource(wish) => resources.entry(&wish.provider).or_default().push(wish),
                Action::SetLoadBalancer(wish) => balancers.entry(&wish.provider).or_default().push(wish),
                _ => continue,
            }
        }
        for provider in resources.keys().chain(balancers.keys()) {
            wanted.entry(provider).or_default();
        }
        let asked = wanted.into_iter().filter_map(|(provider, machines)| {
            let snapshots = snapshots.get(provider).cloned().unwrap_or_default();
            let job = jobs().find(|job| job.provider == *provider);
            let around =
                (resources.remove(provider).unwrap_or_default(), balancers.remove(provider).unwrap_or_default());
            Some((provider, self.providers.get(provider)?, machines, snapshots, job, around))
        });
        let told = asked.map(async |(name, provider, machines, snapshots, backup_job, (resources, load_balancers))| {
            let wanted = Wanted {
                machines: &machines,
                snapshots: &snapshots,
                backup_job,
                resources: &resources,
                load_balancers: &load_balancers,
            };
            match provider.preflight(wanted).await {
                Ok(refusals) => refusals.into_iter().map(refused).collect(),
                // That has been told already.
                Err(_) if blind(name) => Vec::new(),
                Err(error) => vec![unasked(name, &error)],
            }
        });
        let notes: Vec<Vec<Note>> = futures::future::join_all(told).await;
        notes.into_iter().flatten().collect()
    }

    /// The SOPS file, where a plan needs values of it and it is not open.
    pub(crate) fn unopened(&self, plan: &Plan, desired: &Desired) -> Option<Note> {
        if self.pretend.is_some() {
            return None;
        }
        let why = holes::unopened(desired, &self.places, plan)?;
        let help = match self.places.lacks_its_file() {
            true => "one that is kept elsewhere belongs there; a new one has an empty value for each key of the spec",
            false => {
                "put a private key of age where it is looked for, or let somebody who has one \
                 `kubewright secrets add-recipient KEY` with yours"
            }
        };
        Some(Note {
            weight: Weight::Blocks,
            subject: Subject::Cluster,
            message: format!("secrets are in a file that is not open: {why}"),
            help: Some(help.into()),
            stages: Vec::new(),
        })
    }

    /// Hands on a place where bundles are kept.
    ///
    /// # Errors
    ///
    /// A secret cannot be had, or what is said of the place makes no sense.
    pub fn bundles(&self, shelf: &Shelf) -> Result<Box<dyn Bundles>, String> {
        shelf::open(shelf, &self.places, self.hosts.as_ref())
    }

    /// Where a bundle of a plan cannot be put: everything else would be in vain.
    pub(crate) async fn no_room_for_bundles(&self, plan: &Plan) -> Option<Note> {
        let packed = plan.steps.iter().find_map(|step| match &step.action {
            Action::PackBundle(bundle) => Some(bundle),
            _ => None,
        })?;
        let why = match self.bundles(&packed.to) {
            Ok(bundles) => bundles.list().await.err()?.to_string(),
            Err(why) => why,
        };
        Some(Note {
            weight: Weight::Blocks,
            subject: Subject::Cluster,
            message: format!("bundles cannot be kept in {}: {why}", packed.to),
            help: Some("`kubewright backup --to FOLDER` puts this one elsewhere".into()),
            stages: Vec::new(),
        })
    }

    /// Where values of holes are.
    pub(crate) fn secrets<'a>(&'a self, store: &'a dyn Store) -> Secrets<'a> {
        Secrets { store, pretend: self.pretend, places: &self.places }
    }
}

/// What a provider does not allow us.
fn refused(Refusal { message, help }: Refusal) -> Note {
    Note { weight: Weight::Blocks, subject: Subject::Cluster, message, help: Some(help), stages: Vec::new() }
}

/// That only tells early: what cannot be asked now is told by the step itself.
fn unasked(provider: &ProviderName, error: &ProviderError) -> Note {
    let message = format!("what {provider} allows us could not be asked beforehand: {error}");
    Note { weight: Weight::Warns, subject: Subject::Cluster, message, help: None, stages: Vec::new() }
}

/// Passwords of hosts are where the spec says; those of keys only a person knows.
fn asking(places: &Places, desired: &Desired, prompt: Prompt) -> Ask {
    let (secrets, places) = (desired.secrets.clone(), places.clone());
    Arc::new(move |wanted: &Password| match wanted {
        Password::Key(_) => prompt(&wanted.to_string()),
        Password::First(hole) | Password::Sudo(hole) => {
            let name = hole.secret().unwrap_or_default();
            let place = secrets.get(name).ok_or_else(|| format!("the spec does not say where {hole} is"))?;
            holes::read(place, &places).map_err(|why| format!("{wanted} at {}: {why}", place.place()))
        }
    })
}
