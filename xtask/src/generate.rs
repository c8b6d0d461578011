//! `cargo xtask gen`: everything that is written by the program about itself, committed, and stale when it differs.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use kubewright_model::spec::schema::json_schema;

use crate::{documents, reference};

pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let root = crate::root()?;
    let mut schema = serde_json::to_string_pretty(json_schema())?;
    schema.push('\n');
    let program = reference::program(&root)?;
    let mut files: Vec<(String, String)> = [
        ("docs/reference/cluster.schema.json", schema),
        ("docs/reference/spec.md", reference::spec(json_schema())?),
        ("docs/reference/errors.md", reference::errors()?),
        ("docs/reference/doctor.md", reference::doctor()?),
        ("docs/reference/cli.md", reference::cli(&program)?),
        ("docs/reference/openapi.json", reference::openapi(&program)?),
    ]
    .map(|(name, text)| (name.to_string(), text))
    .to_vec();
    files.extend(documents::of_examples(&root, &program)?);
    let mut stale = Vec::new();
    for (name, text) in files {
        if write(&root.join(&name), &text, check)? {
            println!("{} {name}", if check { "stale" } else { "wrote" });
            stale.push(name);
        }
    }
    if check && !stale.is_empty() {
        bail!("{} files are stale: run `cargo xtask gen` and commit them", stale.len());
    }
    Ok(())
}

/// Whether the file differs; it is written unless only checked.
fn write(path: &Path, text: &str, check: bool) -> anyhow::Result<bool> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(false);
    }
    if !check {
        let folder = path.parent().context("a file lies in a folder")?;
        fs::create_dir_all(folder)?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(true)
}
