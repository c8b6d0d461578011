//! One bundle: its manifest, whether it is whole, and the file itself.

use std::fs::File;
use std::io::Seek as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use kubewright_engine::Loadout;
use kubewright_engine::backup::{self, Damage, catalog};
use kubewright_engine::sops::{Identities, Sources};
use kubewright_model::bundle::{BundleManifest, Kind, in_bytes};

use super::{among, failed, named, read, with_bundles};
use crate::arguments::backup::{From, Get, One};
use crate::arguments::{Arguments, Output};
use crate::commands::print_json;
use crate::problem::{Done, Problem};
use crate::screen::{GOOD, counted, paint, remark, say};

/// A bundle at hand: a file of this computer, or one that was brought here, still encrypted, into a file without a name.
pub(in crate::commands) fn at_hand(
    arguments: &Arguments,
    word: &str,
    from: &From,
    loadout: &Loadout,
) -> Result<File, Problem> {
    if let Some(file) = of_this_computer(word)? {
        return Ok(file);
    }
    among(arguments, from, loadout, async |bundles, listed, shelf, _| {
        let bundle = named(&listed, word, shelf)?;
        let unmade = |error: std::io::Error| Problem::new(Done::Unfinished, error.to_string());
        let mut file = tempfile::tempfile().map_err(unmade)?;
        catalog::get(bundles, bundle, &file).await.map_err(failed)?;
        file.rewind().map_err(unmade)?;
        Ok(file)
    })
}

pub(super) fn of_this_computer(word: &str) -> Result<Option<File>, Problem> {
    let path = Path::new(word);
    if !path.is_file() && !word.contains('/') {
        return Ok(None);
    }
    let opened = File::open(path);
    opened.map(Some).map_err(|error| Problem::new(Done::Usage, format!("cannot read {}: {error}", path.display())))
}

/// The same, where the spec is read only when the bundle is none of this computer's files.
fn brought(arguments: &Arguments, wish: &One) -> Result<File, Problem> {
    match of_this_computer(&wish.bundle)? {
        Some(file) => Ok(file),
        None => at_hand(arguments, &wish.bundle, &wish.from, &read(arguments, &wish.from, wish.output)?),
    }
}

fn identities() -> Identities {
    Identities::look(&Sources::of_user())
}

/// What is wrong with a bundle, and where keys were looked for where none opens it.
pub(in crate::commands) fn damaged(bundle: &str, damage: &Damage, keys: &Identities) -> Problem {
    let problem = Problem::new(Done::Unhealthy, format!("{bundle}: {damage}"));
    match damage {
        Damage::NotForUs => {
            problem.because(keys.told().join("; ")).hint("put the private key where one of these looks")
        }
        Damage::Later(_) => problem.hint("take that version of kubewright, or a newer one"),
        _ => problem.hint("take another copy of it, or an older bundle: `kubewright backup list`"),
    }
}

pub(super) fn show(arguments: &Arguments, wish: &One) -> Result<Done, Problem> {
    let (file, keys) = (brought(arguments, wish)?, identities());
    let manifest = backup::manifest(file, &keys).map_err(|damage| damaged(&wish.bundle, &damage, &keys))?;
    match wish.output {
        Output::Json => print_json(&manifest)?,
        Output::Text => {
            about(&manifest);
            for file in &manifest.files {
                say!("{:>10}  {}  {}", in_bytes(file.size), file.sha256.short(), file.path);
            }
        }
    }
    Ok(Done::Well)
}

pub(super) fn verify(arguments: &Arguments, wish: &One) -> Result<Done, Problem> {
    let (file, keys) = (brought(arguments, wish)?, identities());
    let manifest = backup::verify(file, &keys).map_err(|damage| damaged(&wish.bundle, &damage, &keys))?;
    match wish.output {
        Output::Json => print_json(&serde_json::json!({ "whole": true, "manifest": manifest }))?,
        Output::Text => {
            about(&manifest);
            say!("{} every file is there and is what was saved", paint(GOOD, "whole:"));
        }
    }
    Ok(Done::Well)
}

fn about(manifest: &BundleManifest) {
    let about = &manifest.about;
    let simulated = if about.simulated { ", simulated" } else { "" };
    let environment = about.environment.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    say!("{}{environment}, {}{simulated}", about.cluster, about.made);
    say!("{} {}, made by kubewright {}", about.distribution.title(), about.version, about.kubewright);
    let canary = &about.canary;
    say!("canary: ConfigMap {}/{} with {}", canary.namespace, canary.name, canary.bundle);
    for kind in Kind::ALL {
        let of: Vec<_> = manifest.files.iter().filter(|file| file.what == kind).collect();
        if !of.is_empty() {
            let size = in_bytes(of.iter().map(|file| file.size).sum());
            say!("{:12}  {}, {size}", kind.word(), counted(of.len(), "file"));
        }
    }
}

pub(super) fn get(arguments: &Arguments, wish: &Get) -> Result<Done, Problem> {
    with_bundles(arguments, &wish.from, Output::Text, async |bundles, listed, shelf, _| {
        let bundle = named(&listed, &wish.bundle, shelf)?;
        let path = wish.into.join(bundle.name.file());
        let refused =
            |error: std::io::Error| Problem::new(Done::Usage, format!("cannot write {}: {error}", path.display()));
        std::fs::create_dir_all(&wish.into).map_err(refused)?;
        let mut options = File::options();
        // What came is read once more, to be held against its label.
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path).map_err(refused)?;
        if let Err(error) = catalog::get(bundles, bundle, &file).await {
            // What did not come whole is no bundle.
            let _ = std::fs::remove_file(&path);
            return Err(failed(error));
        }
        remark!("wrote {}", path.display());
        Ok(Done::Well)
    })
}
