//! Environments with one name: each has to have its own, for marks, journals and secrets go by it.

use std::path::{Path, PathBuf};

use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, Place, SpecPath};
use kubewright_model::source::{self, MAX_BYTES};

use super::{ENVIRONMENTS, STANDARD_INPUT, Texts, bounded};

/// Other environments beside a spec whose cluster has the name of the one that was chosen.
pub(super) fn found(texts: &Texts<'_>) -> Vec<Diagnostic> {
    if texts.path == Path::new(STANDARD_INPUT) {
        return Vec::new();
    }
    let spec = || named(&texts.spec);
    let layer = texts.on_top.as_ref().and_then(|on_top| on_top.file.as_ref());
    let chosen = match layer {
        Some((_, text)) => named(text).map(|(name, at)| (name, Place { file: 1, ..at })),
        None => spec(),
    };
    let Some((name, at)) = chosen else { return Vec::new() };
    let mut others: Vec<(PathBuf, String, Place)> = Vec::new();
    if layer.is_some() {
        others.extend(spec().map(|(name, at)| (texts.path.to_path_buf(), name, at)));
    }
    let is_other = |path: &PathBuf| layer.is_none_or(|(chosen, _)| chosen != path);
    for path in files(texts.path).into_iter().filter(is_other) {
        let there = bounded(&path, MAX_BYTES).ok().and_then(|text| named(&text));
        others.extend(there.map(|(name, at)| (path, name, at)));
    }
    let same = others.into_iter().filter(|(_, other, _)| *other == name);
    same.map(|(path, _, place)| {
        let there = format!("{}:{}:{}", path.display(), place.line, place.column);
        let message =
            format!("`{name}` is the name in {there} too, and two environments with one name are one cluster");
        let path = SpecPath::root().then("metadata").then("name");
        Diagnostic::new(codes::ENVIRONMENT, path, message).help("give each its own").at(at)
    })
    .collect()
}

/// The files of environments beside a spec, sorted.
fn files(spec: &Path) -> Vec<PathBuf> {
    let folder = spec.parent().unwrap_or(Path::new("")).join(ENVIRONMENTS);
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    files
}

/// The name of the cluster that a file says, and where.
fn named(text: &str) -> Option<(String, Place)> {
    let (value, places) = source::read(text).ok()?;
    let name = value.pointer("/metadata/name")?.as_str()?.to_string();
    Some((name, places.place(&SpecPath::root().then("metadata").then("name"))?))
}
