//! What a plan leaves open and only a run knows: secrets, and what recipes give.

mod successor;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use kubewright_hosts::{Holes, spec_file};
use kubewright_model::desired::{Desired, Saved};
use kubewright_model::digest::Digest;
use kubewright_model::host::HostResource;
use kubewright_model::ids::{HoleName, NodeName};
use kubewright_model::observed::{ClusterSeen, Observed};
use kubewright_model::plan::{Action, Plan};
use kubewright_model::recipe::{Recipe, RecipeStep, SNAPSHOT};
use kubewright_model::rotation::NEXT;
use kubewright_model::secret::Secret;
use kubewright_model::spec::{Distribution, SecretRef};
use kubewright_model::talos::{TALOS_SECRETS, TalosCall};
use kubewright_model::text::{Text, holes_of};
use kubewright_planner::foundation;

use crate::places::Places;
use crate::store::Store;
use crate::world::talos;

/// The hole for the server that a joining node joins through.
const SERVER: &str = "cluster/server";
/// What was saved last is kept under this name, as what recipes give is.
pub(crate) const KEPT_SNAPSHOT: &str = "snapshot";
/// The secret that nodes join with.
pub(crate) const JOIN_TOKEN: &str = "join-token";
/// The default of Go's bcrypt, which Argo CD takes.
const HASH_COST: u32 = 10;
/// The secret that Secrets are locked with.
pub(crate) const ENCRYPTION_KEY: &str = "encryption-key";

/// Where values are: the places that the spec names, and the store.
#[derive(Clone, Copy)]
pub(crate) struct Secrets<'a> {
    pub(crate) store: &'a dyn Store,
    /// In a pretend world nobody's secrets are asked for, and those that are made follow from this.
    pub(crate) pretend: Option<u64>,
    /// The spec's folder, and its SOPS file.
    pub(crate) places: &'a Places,
}

/// Fills holes during a run.
pub(crate) struct Filler<'a> {
    desired: &'a Desired,
    secrets: Secrets<'a>,
    known: RefCell<Holes>,
    /// Where each machine is.
    addresses: BTreeMap<NodeName, String>,
    /// Servers that serve, for those that join.
    servers: RefCell<Vec<NodeName>>,
}

impl<'a> Filler<'a> {
    pub(crate) fn new(desired: &'a Desired, secrets: Secrets<'a>, observed: &Observed) -> Self {
        let inventories = observed.providers.values().filter_map(|seen| seen.present());
        let seen = inventories.flat_map(|inventory| &inventory.machines);
        let seen = seen.filter_map(|(name, machine)| Some((name.clone(), machine.address?.to_string())));
        let wished = desired.machines.iter();
        let wished = wished.filter_map(|machine| Some((machine.name.clone(), machine.address?.to_string())));
        let addresses = seen.chain(wished).collect();
        Self { desired, secrets, known: RefCell::default(), addresses, servers: RefCell::default() }
    }

    /// Servers that were seen to serve: those that join may go through any of them. Those that are not in the spec any
    /// more come last, for they are about to go.
    pub(crate) fn found(&self, cluster: &ClusterSeen) {
        let healthy = |name: &NodeName| match cluster.members.get(name) {
            Some(member) => member.healthy,
            None => cluster.nodes.get(name).is_some_and(|node| node.ready && node.server),
        };
        let wished = self.desired.servers().map(|member| &member.name);
        let servers = wished.chain(cluster.nodes.keys()).filter(|name| healthy(name));
        servers.for_each(|name| self.serves(name));
    }

    /// A server that serves from now on.
    pub(crate) fn serves(&self, name: &NodeName) {
        let mut servers = self.servers.borrow_mut();
        if !servers.contains(name) && self.addresses.contains_key(name) {
            servers.push(name.clone());
        }
    }

    /// Whether an action needs a server to join through, and none is known.
    pub(crate) fn lacks_server(&self, action: &Action) -> bool {
        self.servers.borrow().is_empty() && wanted(action).iter().any(|name| name.as_str() == SERVER)
    }

    /// Servers that serve.
    pub(crate) fn serving(&self) -> Vec<NodeName> {
        self.servers.borrow().clone()
    }

    /// A server that serves no more.
    pub(crate) fn leaves(&self, name: &NodeName) {
        self.servers.borrow_mut().retain(|server| server != name);
    }

    /// A cluster is about to be begun: what it keeps for its life is written down, for later wishes to be held against. One
    /// that is restored keeps what it was begun with.
    ///
    /// Whoever served before served another cluster, and nobody joins this one through them.
    pub(crate) fn begins(&self, again: bool) -> Result<(), String> {
        self.servers.borrow_mut().clear();
        self.forgets_successors().map_err(|error| error.told())?;
        let known = || self.secrets.store.foundation(&self.desired.cluster).map_err(|error| error.told());
        let filled = filled(self.desired, self.secrets);
        let begun = match if again { known()? } else { None } {
            // What was saved has opened with the secrets that are kept now, which may be those of before a rotation.
            Some(known) => foundation::moved_on(&known, self.desired, &filled),
            None => foundation::begun_with(self.desired, &filled),
        };
        let keep = self.secrets.store.keep_foundation(&self.desired.cluster, &begun);
        keep.map_err(|error| error.to_string())
    }

    /// Values that a recipe gave. The kubeconfig is kept: the world cannot tell it again without a way into a server.
    pub(crate) fn give(&self, gave: Holes) -> Result<(), String> {
        for (name, value) in gave {
            if let Some(kept) = name.as_str().strip_prefix("cluster/") {
                let keep = self.secrets.store.keep_secret(&self.desired.cluster, kept, &value);
                keep.map_err(|error| error.to_string())?;
            }
            self.known.borrow_mut().insert(name, value);
        }
        Ok(())
    }

    /// A text that others wrote, without the secrets that this run has handed out.
    pub(crate) fn masked(&self, text: &str) -> String {
        let known = self.known.borrow();
        let secrets = known.iter().filter(|(name, _)| name.secret().is_some());
        let secrets: Holes = secrets.map(|(name, value)| (name.clone(), value.clone())).collect();
        kubewright_hosts::masked(text, &secrets)
    }

    /// A value that a recipe of this run gave.
    pub(crate) fn given(&self, name: &HoleName) -> Option<Secret> {
        self.known.borrow().get(name).cloned()
    }

    /// Where values are.
    pub(crate) fn secrets(&self) -> Secrets<'a> {
        self.secrets
    }

    /// Values for all holes of an action.
    pub(crate) fn values(&self, action: &Action) -> Result<Holes, String> {
        wanted(action).into_iter().map(|name| self.value(&name).map(|value| (name, value))).collect()
    }

    fn value(&self, name: &HoleName) -> Result<Secret, String> {
        if name.as_str() == SERVER {
            let servers = self.servers.borrow();
            let mut addresses = servers.iter().filter_map(|name| self.addresses.get(name));
            let address = addresses.next().ok_or("no server is known that could be joined")?;
            let kubernetes = &self.desired.kubernetes;
            let port = kubernetes.distribution.registration_port(kubernetes.api_port(address.parse().ok()));
            return Ok(Secret::new(format!("https://{}", kubewright_model::net::HostPort::new(address, port))));
        }
        if name.as_str() == SNAPSHOT {
            return self.secrets.saved(self.desired)?.ok_or_else(|| "nothing was saved of this cluster".into());
        }
        if let Some(value) = self.known.borrow().get(name) {
            return Ok(value.clone());
        }
        if let Some(given) = self.given_before(name) {
            return Ok(given);
        }
        let secret = name.secret().ok_or_else(|| format!("nothing gives a value to {name}"))?;
        let value = self.secrets.resolve(self.desired, secret)?;
        self.known.borrow_mut().insert(name.clone(), value.clone());
        Ok(value)
    }
}

impl Secrets<'_> {
    /// The value of a secret: where the spec says it is, or made on first use and kept.
    pub(crate) fn resolve(self, desired: &Desired, name: &str) -> Result<Secret, String> {
        if let Some(part) = talos::part(name).filter(|_| self.pretend.is_none()) {
            return talos::part_of(&self.resolve(desired, TALOS_SECRETS)?, part);
        }
        if let Some(password) = desired.password_hashes.get(name) {
            return self.hash(desired, name, password);
        }
        let kept = || self.store.secret(&desired.cluster, name).map_err(|error| error.to_string());
        let made = match desired.secrets.get(name) {
            Some(place) if self.pretend.is_none() => {
                return read(place, self.places).map_err(|why| format!("secret `{name}` ({}): {why}", place.place()));
            }
            place => match (kept()?, place) {
                (Some(kept), _) => return Ok(kept),
                (None, Some(_)) => pretended(name),
                (None, None) => match self.pretend {
                    Some(chance) => self.pretends(desired, chance, name),
                    None if name == TALOS_SECRETS => talos::generated()?,
                    None => random()?,
                },
            },
        };
        let made = in_form(desired, name, made);
        self.store.keep_secret(&desired.cluster, name, &made).map_err(|error| error.to_string())?;
        Ok(made)
    }

    /// The file on this computer that a cluster is restored from: the one that is asked for, or what was saved last.
    pub(crate) fn saved(self, desired: &Desired) -> Result<Option<Secret>, String> {
        match desired.restores.as_ref().and_then(Saved::file) {
            Some(path) => Ok(Some(Secret::new(path.clone()))),
            None => self.store.secret(&desired.cluster, KEPT_SNAPSHOT).map_err(|error| error.told()),
        }
    }

    /// The hash of a password: the one that is kept, or, where that is of another password, a new one, which is kept.
    fn hash(self, desired: &Desired, name: &str, password: &str) -> Result<Secret, String> {
        let of = self.resolve(desired, password)?;
        if let Some(kept) = self.kept_hash(desired, name, &of) {
            return Ok(kept);
        }
        let made = match self.pretend {
            Some(_) => pretended(of.expose()),
            None => hashed(&of).map_err(|why| format!("secret `{password}`: {why}"))?,
        };
        self.store.keep_secret(&desired.cluster, name, &made).map_err(|error| error.to_string())?;
        Ok(made)
    }

    fn kept_hash(self, desired: &Desired, name: &str, password: &Secret) -> Option<Secret> {
        let kept = self.store.secret(&desired.cluster, name).ok().flatten()?;
        let is_of_it = match self.pretend {
            Some(_) => kept.expose() == pretended(password.expose()).expose(),
            None => bcrypt::verify(password.expose(), kept.expose()).unwrap_or_default(),
        };
        is_of_it.then_some(kept)
    }

    /// The value of a secret at its place, if there is one by now; why it cannot be read, where that is so.
    pub(crate) fn kept(self, desired: &Desired, name: &str) -> Result<Option<Secret>, String> {
        match desired.secrets.get(name) {
            Some(place) => {
                let read = read(place, self.places).map(Some);
                read.map_err(|why| {
                    format!("secret `{name}` ({}): {why}{}", place.place(), talos::to_make(name, place, self.places))
                })
            }
            None => self.store.secret(&desired.cluster, name).map_err(|error| error.told()),
        }
    }

    /// The value of a secret, if it exists by now.
    pub(crate) fn existing(self, desired: &Desired, name: &str) -> Option<Secret> {
        if let Some(part) = talos::part(name).filter(|_| self.pretend.is_none()) {
            return talos::part_of(&self.existing(desired, TALOS_SECRETS)?, part).ok();
        }
        if let Some(password) = desired.password_hashes.get(name) {
            return self.kept_hash(desired, name, &self.existing(desired, password)?);
        }
        let kept = || self.store.secret(&desired.cluster, name).ok().flatten();
        match desired.secrets.get(name) {
            Some(place) if self.pretend.is_none() => read(place, self.places).ok(),
            Some(_) => kept().or_else(|| Some(pretended(name))),
            None => kept(),
        }
    }
}

/// A secret that was made, in the form that it must have. On kubeadm, tokens are six signs, a point and sixteen more, and the
/// key that locks Secrets is 32 bytes in base64.
/// <https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#token-format>,
/// <https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#providers>
fn in_form(desired: &Desired, name: &str, made: Secret) -> Secret {
    if desired.kubernetes.distribution != Distribution::Kubeadm {
        return made;
    }
    let text = made.expose();
    let other = match name.strip_suffix(NEXT).unwrap_or(name) {
        JOIN_TOKEN => text.get(..6).zip(text.get(6..22)).map(|(id, rest)| format!("{id}.{rest}")),
        ENCRYPTION_KEY => hex::decode(text).ok().map(|bytes| BASE64_STANDARD.encode(bytes)),
        _ => None,
    };
    other.map_or(made, Secret::new)
}

/// What Argo CD makes of a password (`util/password/password.go`), at the same cost, in the form that its chart's values
/// name. What is longer than 72 bytes would be cut, and another one would be let in with it.
fn hashed(password: &Secret) -> Result<Secret, String> {
    let parts = bcrypt::non_truncating_hash_with_result(password.expose(), HASH_COST);
    let parts = parts.map_err(|_| "it is longer than 72 bytes, which no hash of a password takes".to_string())?;
    Ok(Secret::new(parts.format_for_version(bcrypt::Version::TwoA)))
}

/// A secret of a pretend world. At the place that a spec names there is always something, and always the same; what is
/// made is another one each time, so that a store that is lost is a secret that is lost.
fn pretended(name: &str) -> Secret {
    Secret::new(Digest::of(name).to_string())
}

/// How long a command that gives a secret may take: it may ask a person, who is there or is not.
pub(crate) const LONGEST: Duration = Duration::from_secs(120);
/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// What a command prints, if it ends well within this time. Why it did not may hold the secret, so it is not shown.
pub(crate) fn printed(command: &[String], within: Duration) -> Result<Vec<u8>, String> {
    let (program, arguments) = command.split_first().ok_or("no place is given")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no program `{program}` here"),
        _ => error.to_string(),
    })?;
    let mut output = child.stdout.take().ok_or("it has no output")?;
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).map(|_| bytes)
    });
    let deadline = Instant::now() + within;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("the command `{program}` did not end within {} s", within.as_secs()));
            }
            None => std::thread::sleep(LOOK),
        }
    };
    if !status.success() {
        return Err(format!("the command ended with {status}"));
    }
    let read = reader.join().map_err(|_| "its output could not be read".to_string())?;
    read.map_err(|error| error.to_string())
}

/// The value of a secret at the place that the spec names; what is relative there is in the spec's folder.
pub(crate) fn read(place: &SecretRef, places: &Places) -> Result<Secret, String> {
    let text = match place {
        SecretRef { env: Some(name), .. } => std::env::var(name).map_err(|_| "the variable is not set".to_string())?,
        SecretRef { file: Some(file), .. } => {
            std::fs::read_to_string(path(file, places.folder())).map_err(|error| error.to_string())?
        }
        SecretRef { sops: Some(key), .. } => places.sops(key)?.expose().clone(),
        SecretRef { command, .. } => {
            String::from_utf8(printed(command, LONGEST)?).map_err(|_| "the command's output is not text".to_string())?
        }
    };
    let text = text.strip_suffix('\n').unwrap_or(&text).to_string();
    if text.is_empty() { Err("it is empty".into()) } else { Ok(Secret::new(text)) }
}

/// What puts a secret where the spec says that it is, in a few words; none where whoever keeps it has to say.
pub(crate) fn remedy(place: &SecretRef) -> Option<String> {
    match place {
        SecretRef { env: Some(name), .. } => Some(format!("`export {name}=…` in this shell, with the secret")),
        SecretRef { file: Some(file), .. } => Some(format!("write the secret into {file}, for nobody else to read")),
        SecretRef { sops: Some(key), .. } => {
            Some(format!("`kubewright secrets set '{key}'` asks for it and encrypts it"))
        }
        _ => None,
    }
}

/// Where a file is that the spec in this folder names.
pub(crate) fn path(path: &str, folder: &Path) -> PathBuf {
    std::env::home_dir().map_or_else(|| folder.join(path), |home| spec_file(&home, folder, path))
}

/// 32 random bytes as text: more than any password that people choose, and no character that a file must quote.
fn random() -> Result<Secret, String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(Secret::new(hex::encode(bytes)))
}

/// Every secret of a plan that cannot be had, before anything is touched.
pub(crate) fn unavailable<'p>(
    desired: &Desired,
    secrets: Secrets<'_>,
    actions: impl Iterator<Item = &'p Action>,
) -> Vec<String> {
    let names: BTreeSet<HoleName> = actions.flat_map(wanted).collect();
    let names = names.iter().filter_map(HoleName::secret);
    names.filter_map(|name| secrets.resolve(desired, name).err()).collect()
}

/// Why the SOPS file is not open that a plan needs values of.
pub(crate) fn unopened(desired: &Desired, places: &Places, plan: &Plan) -> Option<String> {
    let mut names: BTreeSet<HoleName> = plan.steps.iter().flat_map(|step| wanted(&step.action)).collect();
    if plan.is_empty() && plan.is_blocked() {
        // Nobody knows yet what it will need, and whoever mends the rest should not find this afterwards.
        names.extend(desired.secrets.keys().map(|secret| HoleName::of_secret(secret)));
    }
    let of_sops = |name: &str| desired.secrets.get(name).is_some_and(|place| place.sops.is_some());
    if names.iter().filter_map(HoleName::secret).any(of_sops) { places.opened().err() } else { None }
}

/// The secrets of values as far as they exist already, or which one does not: none is made for a look.
pub(crate) fn at_hand(desired: &Desired, secrets: Secrets<'_>, values: &serde_json::Value) -> Result<Holes, String> {
    let value = |name: HoleName| {
        let there = name.secret().and_then(|secret| secrets.existing(desired, secret));
        there.map(|value| (name.clone(), value)).ok_or_else(|| format!("{name} is not there yet"))
    };
    holes_of(values).into_iter().map(value).collect()
}

/// The digests of texts with holes, once filled, for those whose secrets exist already.
pub(crate) fn filled(desired: &Desired, secrets: Secrets<'_>) -> BTreeMap<Digest, Digest> {
    let mut filled = BTreeMap::new();
    let mut seen = BTreeSet::new();
    // Each secret is read once: it may be a command that asks somebody.
    let mut known: BTreeMap<String, Option<Secret>> = BTreeMap::new();
    let mut existing = |name: &HoleName| {
        let name = name.secret()?;
        let value = known.entry(name.to_string()).or_insert_with(|| secrets.existing(desired, name));
        value.clone()
    };
    for text in desired.hosts.iter().flat_map(|host| &host.resources).filter_map(file_text) {
        let fingerprint = text.fingerprint();
        if text.is_complete() || !seen.insert(fingerprint.clone()) {
            continue;
        }
        let values: BTreeMap<HoleName, Secret> =
            text.holes().filter_map(|name| Some((name.clone(), existing(name)?))).collect();
        if let Ok(whole) = text.fill(|name| values.get(name).map(|value| value.expose().as_str())) {
            filled.insert(fingerprint, Digest::of(whole));
        }
    }
    filled
}

fn file_text(resource: &HostResource) -> Option<&Text> {
    match resource {
        HostResource::File(file) => Some(&file.content),
        _ => None,
    }
}

/// The holes of an action.
fn wanted(action: &Action) -> BTreeSet<HoleName> {
    let mut names = BTreeSet::new();
    match action {
        Action::ChangeHost(change) => {
            let texts = change.make.iter().filter_map(HostResource::text);
            names.extend(texts.flat_map(Text::holes).cloned());
        }
        Action::RunRecipe { recipe, .. } => names.extend(of_recipe(recipe)),
        Action::ApplyObjects(objects) | Action::TakeObjects(objects) => {
            names.extend(objects.iter().flat_map(|object| holes_of(&object.0)))
        }
        Action::InstallRelease(release) => names.extend(holes_of(&release.values)),
        _ => {}
    }
    names
}

fn of_recipe(recipe: &Recipe) -> Vec<HoleName> {
    let files = recipe.steps.iter().filter_map(|step| match step {
        RecipeStep::Write(file) => Some(&file.content),
        _ => None,
    });
    let replaced = recipe.gives.iter().flat_map(|output| output.replace.iter().map(|(_, text)| text));
    let restores = |step: &RecipeStep| matches!(step, RecipeStep::Send { .. } | RecipeStep::Talos(TalosCall::Recover));
    let saved = recipe.steps.iter().any(restores).then(|| HoleName::new(SNAPSHOT));
    files.chain(replaced).flat_map(Text::holes).cloned().chain(saved).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_made_once_for_each_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let place = SecretRef { file: Some(file.display().to_string()), ..SecretRef::default() };
        let mut desired = kubewright_planner::lower::lower(
            &kubewright_model::spec::load(include_str!("../../../examples/devboard/cluster.yaml")).unwrap().file,
        )
        .0;
        desired.secrets = [("admin".to_string(), place)].into();
        desired.password_hashes = [("admin-hash".to_string(), "admin".to_string())].into();
        let store = crate::sim::MemoryStore::default();
        let places = Places::default();
        let secrets = Secrets { store: &store, pretend: None, places: &places };
        let hash = |password: &str| {
            std::fs::write(&file, password).unwrap();
            secrets.resolve(&desired, "admin-hash").map(|hash| hash.expose().clone())
        };
        let first = hash("correct horse").unwrap();
        assert!(first.starts_with("$2a$10$") && first.len() == 60, "{first}");
        assert!(bcrypt::verify("correct horse", &first).unwrap());
        assert_eq!(hash("correct horse").unwrap(), first);
        assert!(secrets.existing(&desired, "admin-hash").is_some());
        std::fs::write(&file, "battery staple").unwrap();
        assert!(secrets.existing(&desired, "admin-hash").is_none(), "it is another one's hash");
        let second = hash("battery staple").unwrap();
        assert!(
            bcrypt::verify("battery staple", &second).unwrap() && !bcrypt::verify("correct horse", &second).unwrap()
        );
        let error = hash(&"x".repeat(73)).unwrap_err();
        assert!(error.contains("72 bytes"), "{error}");
    }

    #[test]
    fn a_command_that_gives_a_secret_is_waited_for_no_longer_than_a_person_would() {
        let run = |words: &[&str], within| {
            let command: Vec<String> = words.iter().map(ToString::to_string).collect();
            printed(&command, Duration::from_millis(within))
        };
        assert_eq!(run(&["printf", "s3cret"], 60_000), Ok(b"s3cret".to_vec()));
        assert_eq!(
            run(&["sh", "-c", "echo s3cret; exit 3"], 60_000).unwrap_err(),
            "the command ended with exit status: 3"
        );
        assert_eq!(run(&["sleep", "1000"], 50).unwrap_err(), "the command `sleep` did not end within 0 s");
        assert!(run(&["/no/such/program"], 50).unwrap_err().contains("there is no program"));
    }
}
