//! `kubewright import`: a spec for servers that exist already, from files of others.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kubewright_engine::Engine;
use kubewright_engine::import::{Beside, Foreign, Form, Imported, Refused, Wishes};
use kubewright_model::source::MAX_BYTES;
use kubewright_model::spec::formats::Format;
use kubewright_model::spec::{Distribution, Role};

use super::write;
use crate::arguments::{Import, ImportForm, Imports};
use crate::problem::{Done, Problem};
use crate::screen::{CARE, GOOD, hand, paint, quoted, remark};
use crate::source::{self, STANDARD_INPUT};

/// The folders with variables that Ansible finds beside an inventory.
const FOLDERS: [&str; 2] = ["group_vars", "host_vars"];
/// More files of variables than any inventory has, and deeper folders.
const MOST: usize = 10_000;
const DEEPEST: usize = 8;

pub(super) fn run(import: &Import) -> Result<Done, Problem> {
    let print = import.out == Path::new(STANDARD_INPUT);
    if !print && import.out.exists() {
        let problem = Problem::new(Done::Usage, format!("{} exists and is not overwritten", import.out.display()));
        return Err(problem.hint("write to another file with `--out`"));
    }
    let wishes = wishes(import)?;
    let files = import.files.iter().map(|file| read(file, import)).collect::<Result<Vec<Foreign>, Problem>>()?;
    let Imported { text, told } = match Engine::import(&files, &wishes) {
        Ok(imported) => imported,
        Err(refused) => return refuse(&refused),
    };
    told.iter().for_each(|told| remark!("{} {told}", paint(CARE, "!")));
    if print {
        hand!("{}", text.trim_end());
        return Ok(Done::Well);
    }
    write(&import.out, &text)?;
    // What is worth a warning in it is told as of any other spec.
    match Engine::load(&text) {
        Ok(loadout) => source::show(&import.out, &text, &loadout.warnings),
        Err(found) => {
            source::show(&import.out, &text, &found);
            return Ok(Done::Invalid);
        }
    }
    let file = quoted(&import.out);
    remark!("{} next: read it, then `kubewright validate {file}` and `kubewright plan {file}`", paint(GOOD, "✓"));
    Ok(Done::Well)
}

/// Tells what is wrong; nothing was written.
fn refuse(refused: &Refused) -> Result<Done, Problem> {
    for wrong in &refused.wrong {
        source::show(Path::new(&wrong.name), &wrong.text, &wrong.found);
    }
    if !refused.wrong.is_empty() {
        remark!("nothing was written");
        return Ok(Done::Invalid);
    }
    let names: Vec<&str> = refused.unknown.iter().map(|(name, _)| name.as_str()).collect();
    let problem = Problem::new(Done::Usage, format!("no host has the group, role or name {}", names.join(", ")));
    let near = refused.unknown.iter().filter_map(|(_, near)| near.as_ref());
    Err(near.fold(problem, |problem, near| problem.hint(format!("did you mean `{near}`?"))))
}

fn wishes(import: &Import) -> Result<Wishes, Problem> {
    let usage = |what: String, why: String| Problem::new(Done::Usage, what).because(why);
    let name = match &import.name {
        None => None,
        Some(name) => {
            kubewright_model::ids::ClusterName::check(name)
                .map_err(|why| usage(format!("`{name}` is no cluster's name"), why))?;
            Some(name.as_str().into())
        }
    };
    let version =
        import.version.as_ref().map(|text| text.parse().map_err(|why| usage(format!("`{text}` is no version"), why)));
    let distribution = import.distribution.map(|distribution| match distribution {
        Imports::K3s => Distribution::K3s,
        Imports::Rke2 => Distribution::Rke2,
        Imports::Kubeadm => Distribution::Kubeadm,
    });
    let roles = import.groups.iter().map(|wish| role(wish)).collect::<Result<_, _>>()?;
    Ok(Wishes { name, roles, distribution, version: version.transpose()? })
}

/// `NAME=ROLE`.
fn role(wish: &str) -> Result<(String, Option<Role>), Problem> {
    let (name, word) = wish.rsplit_once('=').unwrap_or((wish, ""));
    let role = match word {
        "server" => Some(Role::Server),
        "agent" => Some(Role::Agent),
        "both" => Some(Role::Both),
        "loadBalancer" => Some(Role::LoadBalancer),
        "none" => None,
        _ => {
            let problem = Problem::new(Done::Usage, format!("`{wish}` says no role"));
            return Err(problem.hint("write NAME=ROLE, with one of server, agent, both, loadBalancer and none"));
        }
    };
    Ok((name.to_string(), role))
}

fn read(path: &Path, import: &Import) -> Result<Foreign, Problem> {
    let text = source::bounded(path, MAX_BYTES).map_err(|error| {
        let problem = Problem::new(Done::Usage, format!("cannot read {}", path.display()));
        match error.kind() {
            ErrorKind::IsADirectory => problem.because("it is a folder").hint("name the inventory in it"),
            ErrorKind::FileTooLarge => problem.because(format!("it has more than {} MiB", MAX_BYTES / 1024 / 1024)),
            ErrorKind::InvalidData => problem.because(format!("it is not UTF-8 text: {error}")),
            _ => problem.because(error.to_string()),
        }
    })?;
    let form = import.format.map(|form| match form {
        ImportForm::Tsv => Form::Table,
        ImportForm::Ansible => Form::Ansible,
        ImportForm::Terraform => Form::Terraform,
    });
    let mut beside = Vec::new();
    if path != Path::new(STANDARD_INPUT) && matches!(form, None | Some(Form::Ansible)) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        for name in FOLDERS {
            below(&folder.join(name), name, DEEPEST, &mut beside)?;
        }
    }
    Ok(Foreign { name: path.display().to_string(), text, form, beside })
}

/// The files below a folder, in the order of their names; none where there is no such folder.
fn below(folder: &Path, path: &str, deep: usize, files: &mut Vec<Beside>) -> Result<(), Problem> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    let mut entries: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    for entry in entries {
        let Some(name) = entry.file_name().map(|name| format!("{path}/{}", name.to_string_lossy())) else { continue };
        if entry.is_dir() && deep > 0 {
            below(&entry, &name, deep - 1, files)?;
        } else if entry.is_file() && files.len() < MOST {
            let named = entry.display().to_string();
            match source::bounded(&entry, MAX_BYTES) {
                Ok(text) => files.push(Beside { path: name, name: named, text }),
                // What is no text has no variables.
                Err(error) if error.kind() == ErrorKind::InvalidData => {}
                Err(error) => {
                    return Err(Problem::new(Done::Usage, format!("cannot read {named}")).because(error.to_string()));
                }
            }
        }
    }
    Ok(())
}
