//! Reading a spec: everything that is wrong with it, as far as it can be told at once.

use std::path::Path;

use kubewright_model::diagnostic::{Diagnostic, Severity};
use kubewright_model::source::Environment;
use kubewright_model::spec::{self, ClusterFile, Salvaged};
use kubewright_model::version::Version;
use kubewright_planner::import::{Foreign, Imported, Refused, Wishes};
use kubewright_planner::rules;

use super::{Engine, Loadout};
use crate::{manifests, values};

impl Engine {
    /// Reads a spec.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, located and sorted; warnings are among them.
    pub fn load(text: &str) -> Result<Loadout, Vec<Diagnostic>> {
        lowered(formed(text, None, |_| Vec::new())?)
    }

    /// Reads a spec that lies in a folder, with the files that it names beside it.
    ///
    /// # Errors
    ///
    /// As of [`Self::load`], and files that cannot be read.
    pub fn load_in(folder: &Path, text: &str) -> Result<Loadout, Vec<Diagnostic>> {
        Self::load_for(folder, text, None)
    }

    /// The same with an environment on top. The files that it names are found from the spec's folder, too.
    ///
    /// # Errors
    ///
    /// As of [`Self::load_in`], each with the file that says it.
    pub fn load_for(folder: &Path, text: &str, on_top: Option<Environment<'_>>) -> Result<Loadout, Vec<Diagnostic>> {
        lowered(formed(text, on_top, |file| [manifests::read(file, folder), values::read(file, folder)].concat())?)
    }

    /// Makes a spec of what others wrote down of servers that exist already.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with their files, or with the cluster that they would make.
    pub fn import(files: &[Foreign], wishes: &Wishes) -> Result<Imported, Refused> {
        kubewright_planner::import::import(files, wishes)
    }

    /// What a spec that was read would mean if it wished another version, and another of Talos.
    ///
    /// # Errors
    ///
    /// As of [`Self::load`].
    pub fn load_as(loadout: &Loadout, version: &Version, talos: Option<&Version>) -> Result<Loadout, Vec<Diagnostic>> {
        let mut file = loadout.file.clone();
        file.spec.kubernetes.version = version.clone();
        if let (Some(there), Some(wished)) = (file.spec.kubernetes.talos.as_mut(), talos) {
            there.version = wished.clone();
        }
        Self::lowered_as(loadout, file)
    }

    /// What a spec that was read means with other words in it.
    pub(crate) fn lowered_as(loadout: &Loadout, file: ClusterFile) -> Result<Loadout, Vec<Diagnostic>> {
        lowered(spec::Loaded { file, places: loadout.places.clone() })
    }
}

/// A spec whose form is right, with its files. Where it is not, what is wrong for certain with the rest is told with it.
fn formed(
    text: &str,
    on_top: Option<Environment<'_>>,
    files: impl Fn(&mut ClusterFile) -> Vec<Diagnostic>,
) -> Result<spec::Loaded, Vec<Diagnostic>> {
    let wrong = match spec::load_layered(text, on_top) {
        Ok(mut loaded) => {
            let mut found = files(&mut loaded.file);
            if found.is_empty() {
                return Ok(loaded);
            }
            loaded.places.locate(&mut found);
            let gone = found.iter().map(|diagnostic| diagnostic.path.clone()).collect();
            (found, Some(Salvaged { rest: loaded, gone }))
        }
        Err(found) => (found, Salvaged::of(text, on_top)),
    };
    let (mut found, Some(mut salvaged)) = wrong else { return Err(wrong.0) };
    let mut more = rules::alone(&salvaged.rest.file);
    more.extend(files(&mut salvaged.rest.file));
    found.extend(more.into_iter().filter(|diagnostic| !salvaged.doubts(&diagnostic.path)));
    salvaged.rest.places.locate(&mut found);
    Err(found)
}

fn lowered(loaded: spec::Loaded) -> Result<Loadout, Vec<Diagnostic>> {
    let spec::Loaded { file, places } = loaded;
    let (desired, mut found) = kubewright_planner::lower::lower(&file);
    places.locate(&mut found);
    if found.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(found);
    }
    Ok(Loadout { file, desired, warnings: found, places })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_of_form_and_of_meaning_are_told_at_once() {
        let text = "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: { name: lab }\nspec:\n  \
            kubernetes: { distribution: k3s, version: v1.31.4+k3s1 }\n  network: { cidr: 10.0.0.0/24 }\n  pools:\n    \
            server: { role: both, name: server, addresses: [10.0.0.300], existing: {} }\n  hosts:\n    files:\n      \
            /etc/one: { content: a, mode: \"9999\" }\n      etc/two: { content: a }\n    sysctls: { wrong: \"1\" }\n    \
            ssh: { user: \"Not a user\", harden: true }\n  addons: { manifests: { mine: { file: none.yaml } } }\n";
        let found = Engine::load_in(Path::new("/nowhere"), text).unwrap_err();
        let told: Vec<String> =
            found.iter().map(|it| format!("{} {}", it.code, it.at.map_or(0, |at| at.line))).collect();
        // Nothing is said of a pool without nodes, nor of root, who is shut out: both only for what was left out.
        assert_eq!(told, ["KW0014 8", "KW0015 11", "KW0602 12", "KW0605 13", "KW0014 14", "KW0017 15"], "{found:#?}");
    }
}
