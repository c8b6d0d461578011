//! How a spec's secrets are: where each is, whether it can be had, and who can open the SOPS file. No value is in it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use kubewright_model::codes;
use kubewright_model::desired::Desired;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::{ClusterFile, SecretRef};
pub use kubewright_planner::rules::references;
use serde::Serialize;

use crate::Loadout;
use crate::holes;
use crate::places::Places;
use crate::sops::{Form, KeyPath, Openers, openers};
use crate::world::talos::fault;

/// How a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretState {
    /// Where the spec names it: `spec.secrets.objects.web/db.password`.
    pub named_at: String,
    /// Where it is: `sops gandi.apiToken`.
    pub place: String,
    /// It can be had, or it is made on first use.
    pub there: bool,
    /// Why it cannot be had, or that it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How the SOPS file is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileState {
    /// Its name.
    pub name: String,
    /// Why it does not open here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
    /// Public keys of age that open it.
    pub recipients: Vec<String>,
    /// Keys of other kinds that open it.
    pub others: Vec<String>,
    /// Recipients of the spec that it is not encrypted for.
    pub only_in_spec: Vec<String>,
    /// Recipients that it is encrypted for and that the spec does not name.
    pub only_in_file: Vec<String>,
    /// Recipients that `.sops.yaml` names and neither the file nor the spec: the program `sops` would let them in.
    pub only_in_config: Vec<String>,
    /// Keys in it that the spec does not name.
    pub unused: Vec<String>,
}

/// All secrets of a spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkup {
    /// In the order of the spec's parts.
    pub secrets: Vec<SecretState>,
    /// The SOPS file, where the spec names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileState>,
}

impl Checkup {
    /// Whether everything can be had, and the file is for whom the spec says.
    pub fn healthy(&self) -> bool {
        let alike =
            |it: &FileState| [&it.only_in_spec, &it.only_in_file, &it.only_in_config].iter().all(|all| all.is_empty());
        let file = self.file.as_ref().is_none_or(|file| file.closed.is_none() && alike(file));
        file && self.secrets.iter().all(|secret| secret.there)
    }
}

/// Looks at every secret; commands that give some are run.
pub fn checkup(file: &ClusterFile, desired: &Desired, places: &Places) -> Checkup {
    let references = references(file);
    let closed = desired.sops_file.is_some() && places.opened().is_err();
    let talos = SpecPath::root().then("spec").then("kubernetes").then("talos").then("secrets");
    let state = |path: &SpecPath, place: &SecretRef| match place {
        // Why not is told of the file, once.
        SecretRef { sops: Some(_), .. } if closed => (false, Some("its file does not open here".into())),
        SecretRef { generate: Some(_), .. } => (true, Some("made on first use".to_string())),
        place => match holes::read(place, places) {
            Ok(text) if *path == talos => {
                let why = fault(&text);
                (why.is_none(), why)
            }
            Ok(_) => (true, None),
            Err(why) => (false, Some(why)),
        },
    };
    let secrets = references.iter().map(|(path, place)| {
        let (there, why) = state(path, place);
        SecretState { named_at: path.to_string(), place: place.place(), there, why }
    });
    let secrets = secrets.collect();
    let named: BTreeSet<String> = references.iter().filter_map(|(_, place)| place.sops.as_deref()).map(spelt).collect();
    let file = desired.sops_file.as_ref().map(|name| file_state(name, file, places, &named));
    Checkup { secrets, file }
}

/// What is wrong with the SOPS file of a spec that anybody can see, with keys or without: it is not there, or not encrypted.
pub fn amiss(loadout: &Loadout, folder: &Path) -> Option<Diagnostic> {
    let name = loadout.file.spec.secrets.sops_file.as_deref()?;
    references(&loadout.file).iter().find(|(_, place)| place.sops.is_some())?;
    let path = holes::path(name, folder);
    let why = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            format!("there is no {name}; `kubewright secrets init` makes it")
        }
        Err(error) => format!("{name}: {error}"),
        Ok(text) => {
            let seen = Form::of(&path).and_then(|form| openers(form, &text));
            format!("{name}: {}", seen.err()?.told())
        }
    };
    let place = SpecPath::root().then("spec").then("secrets").then("sopsFile");
    let mut found = [Diagnostic::new(codes::SOPS_FILE, place, why)];
    loadout.places.locate(&mut found);
    let [found] = found;
    Some(found)
}

/// A key in one spelling, however the spec writes it.
fn spelt(key: &str) -> String {
    key.parse::<KeyPath>().map_or_else(|_| key.to_string(), |place| place.to_string())
}

fn file_state(name: &str, file: &ClusterFile, places: &Places, named: &BTreeSet<String>) -> FileState {
    let opened = places.opened();
    let openers = places.openers().unwrap_or(Openers { recipients: Vec::new(), others: Vec::new() });
    let wished = &file.spec.secrets.recipients;
    let without = |these: &[String], those: &[String]| these.iter().filter(|it| !those.contains(it)).cloned().collect();
    let compared = !wished.is_empty() && !openers.recipients.is_empty();
    let unused = opened.as_ref().map(|file| {
        file.places().into_iter().map(|(place, _)| place.to_string()).filter(|place| !named.contains(place)).collect()
    });
    let in_config = places.config_recipients().unwrap_or_default();
    let known = [openers.recipients.as_slice(), wished.as_slice()].concat();
    FileState {
        only_in_config: if openers.recipients.is_empty() { Vec::new() } else { without(&in_config, &known) },
        name: name.to_string(),
        closed: opened.as_ref().err().cloned(),
        only_in_spec: if compared { without(wished, &openers.recipients) } else { Vec::new() },
        only_in_file: if compared { without(&openers.recipients, wished) } else { Vec::new() },
        recipients: openers.recipients,
        others: openers.others,
        unused: unused.unwrap_or_default(),
    }
}
