//! The documents of the examples: each cluster's own, in every language, as a rehearsal of its life has left it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

/// The languages, as `kubewright rehearse --language` takes them.
const LANGUAGES: [&str; 2] = ["en", "fr"];

/// The path of each document below the root, and its text. `program` is kubewright.
pub(crate) fn of_examples(root: &Path, program: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut examples: Vec<String> = Vec::new();
    for entry in fs::read_dir(root.join("examples"))? {
        let entry = entry?;
        if entry.path().join("cluster.yaml").exists() {
            examples.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    examples.sort();
    let written = program.with_file_name("documents");
    fs::create_dir_all(&written)?;
    let mut pages = Vec::new();
    for example in examples {
        for language in LANGUAGES {
            let page = written.join(format!("{example}.{language}.md"));
            // From its own folder, so that commands on the page are those of somebody who is there.
            let output = Command::new(program)
                .args(["rehearse", "cluster.yaml", "--output", "json", "--language", language, "--docs"])
                .arg(&page)
                .current_dir(root.join("examples").join(&example))
                .output()
                .with_context(|| format!("cannot run {}", program.display()))?;
            if !output.status.success() {
                bail!("rehearsing {example} failed:\n{}", String::from_utf8_lossy(&output.stderr));
            }
            let text = fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
            pages.push((format!("examples/{example}/infrastructure.{language}.md"), text));
        }
    }
    Ok(pages)
}
