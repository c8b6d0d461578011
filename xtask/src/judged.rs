//! The Markdown of the repository, judged by the programs that show it: GitHub's anchors, Mermaid's own parser.
//!
//! Our own reading of links could share a mistake with our writing; these packages were written by others. They come from
//! npm, below the target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The packages, as npm names them.
const PACKAGES: [&str; 6] = [
    "github-slugger@2.0.0",
    "jsdom@29.1.1",
    "mermaid@11.17.2",
    "remark-gfm@4.0.1",
    "remark-parse@11.0.0",
    "unified@11.0.5",
];

/// The judge, put beside its packages once, since modules are looked for from where a script lies.
fn judge() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    // target/debug/deps/xtask-…
    let home = program.ancestors().nth(3).unwrap().join("tmp/judge");
    fs::create_dir_all(&home).unwrap();
    let turn = File::create(home.join("lock")).unwrap();
    turn.lock().unwrap();
    let done = home.join("installed");
    if fs::read_to_string(&done).ok() != Some(PACKAGES.join(" ")) {
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]).arg(&home).args(PACKAGES);
        let output = npm.output().expect("npm starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::write(&done, PACKAGES.join(" ")).unwrap();
    }
    let script = home.join("judge.mjs");
    fs::write(&script, include_str!("judged/judge.mjs")).unwrap();
    script
}

/// What the judge says of files below a folder.
fn judged(root: &Path, files: &[String]) -> Value {
    let output = Command::new("node").arg(judge()).arg(root).args(files).output().expect("node starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every Markdown file below a folder, as paths from the root.
fn pages(root: &Path, folder: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let name = format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy());
        if root.join(&name).is_dir() {
            pages(root, &name, found);
        } else if name.ends_with(".md") {
            found.push(name);
        }
    }
}

/// What is right, and that what is wrong is found: in one test, since both need the same packages.
#[test]
fn links_anchors_and_diagrams_hold_for_those_who_show_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files: Vec<String> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(String::from).into();
    pages(root, "docs", &mut files);
    pages(root, "examples", &mut files);
    files.sort();
    let verdict = judged(root, &files);
    assert_eq!(verdict["faults"], serde_json::json!([]));
    // Ten documents of examples have a diagram each: a judge that sees none of them judges nothing.
    assert!(verdict["looked"]["diagrams"].as_u64() >= Some(10), "{verdict}");
    assert!(verdict["looked"]["anchors"].as_u64() >= Some(100), "{verdict}");

    let faulty = judge().with_file_name("faulty");
    fs::create_dir_all(&faulty).unwrap();
    let page = "# A b\n\n[x](#a-c) [y](gone.md) [z](#a-b)\n\n```mermaid\nflowchart LR\n a --> [[\n```\n";
    fs::write(faulty.join("page.md"), page).unwrap();
    let faults = judged(&faulty, &["page.md".into()])["faults"].to_string();
    for wanted in ["page.md:3: no anchor #a-c", "page.md:3: no file gone.md", "page.md:5: no diagram"] {
        assert!(faults.contains(wanted), "{wanted}: {faults}");
    }
    assert!(!faults.contains("#a-b"), "{faults}");
}
