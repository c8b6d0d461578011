//! `cargo xtask tidy`: the house rules that no compiler knows.
//!
//! Broken rules fail; budgets that are passed only warn, because a reason may be good.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Which of our crates a crate may see. `server` and `operator` are rooms that later work opens.
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("planner", &["model"]),
    ("report", &["model"]),
    ("pdf", &["report"]),
    ("hosts", &["model"]),
    ("providers", &["model"]),
    ("engine", &["model", "planner", "report", "hosts", "providers"]),
    ("server", &["model", "engine", "report"]),
    ("operator", &["model", "engine", "report"]),
    ("cli", &["model", "engine", "report", "pdf", "server", "operator"]),
];

/// Rooms without I/O, clock or randomness, and the crates that would bring them in.
const PURE: &[&str] = &["model", "planner", "report", "pdf"];
const IMPURE: &[&str] =
    &["tokio", "futures", "async-trait", "rand", "rand_chacha", "getrandom", "tempfile", "reqwest", "russh", "kube"];
/// What must not stand in a pure room's source, although its crate could be had without a dependency.
const IMPURE_WORDS: &[&str] =
    &["HashMap", "HashSet", "std::fs", "std::env", "std::net::Tcp", "SystemTime", "Instant::now", "async fn"];

const BANNED_SUFFIXES: &[&str] = &[
    "Manager",
    "Helper",
    "Util",
    "Utils",
    "Service",
    "Handler",
    "Processor",
    "Info",
    "Data",
    "Impl",
    "Base",
    "Common",
];
/// Proper names that end in such a word.
const PROPER_NAMES: &[&str] = &["CertManager", "Alertmanager"];
const BANNED_FILES: &[&str] = &["util.rs", "utils.rs", "prelude.rs", "helpers.rs", "common.rs"];

/// How a function's first line begins.
const FUNCTION_HEADS: &[&str] = &[
    "fn ",
    "pub fn ",
    "pub(crate) fn ",
    "pub(super) fn ",
    "const fn ",
    "pub const fn ",
    "async fn ",
    "pub async fn ",
    "pub(crate) async fn ",
    "pub(super) async fn ",
];

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 60;
const DEPENDENCIES: usize = 50;

pub(crate) fn run() -> anyhow::Result<()> {
    let root = crate::root()?;
    let metadata = MetadataCommand::new().current_dir(&root).no_deps().exec()?;
    let mut broken = Vec::new();
    let mut warned = Vec::new();
    edges(&metadata, &mut broken);
    dependencies(&root, &mut broken, &mut warned)?;
    for path in sources(&root)? {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        source(&name, &text, &mut broken, &mut warned);
    }
    for warning in &warned {
        println!("warning: {warning}");
    }
    for rule in &broken {
        println!("broken: {rule}");
    }
    println!("{} rules broken, {} budgets passed", broken.len(), warned.len());
    if !broken.is_empty() {
        bail!("the house is not tidy");
    }
    Ok(())
}

fn edges(metadata: &Metadata, broken: &mut Vec<String>) {
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    for package in &metadata.packages {
        let Some(room) = package.name.strip_prefix("kubewright-") else { continue };
        let Some(may_see) = allowed.get(room) else {
            broken.push(format!("crate {room} is no room of the house: write a design note first"));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            if let Some(seen) = name.strip_prefix("kubewright-")
                && !may_see.contains(&seen)
            {
                broken.push(format!("{room} may not see {seen}"));
            }
            if PURE.contains(&room) && dependency.kind == DependencyKind::Normal && IMPURE.contains(&name) {
                broken.push(format!("{room} is pure and depends on {name}"));
            }
        }
    }
}

/// Every direct dependency of the workspace stands once in the root, below a comment with its reason.
fn dependencies(root: &Path, broken: &mut Vec<String>, warned: &mut Vec<String>) -> anyhow::Result<()> {
    let text = fs::read_to_string(root.join("Cargo.toml"))?;
    let section = text.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    let mut count = 0;
    let mut reasoned = false;
    for line in section.take_while(|line| !line.starts_with('[')) {
        match line.trim() {
            "" => reasoned = false,
            comment if comment.starts_with('#') => reasoned = true,
            ours if ours.starts_with("kubewright-") => {}
            dependency => {
                count += 1;
                if !reasoned {
                    broken.push(format!("no reason stands above the dependency `{dependency}`"));
                }
            }
        }
    }
    if count > DEPENDENCIES {
        warned.push(format!("{count} direct dependencies, the budget is {DEPENDENCIES}"));
    }
    Ok(())
}

fn sources(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root.join("crates"), root.join("xtask")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn source(name: &str, text: &str, broken: &mut Vec<String>, warned: &mut Vec<String>) {
    let file = name.rsplit('/').next().unwrap_or(name);
    if BANNED_FILES.contains(&file) && !name.contains("/tests/") {
        broken.push(format!("{name}: a file is named after what it is for, not `{file}`"));
    }
    if !text.starts_with("//!") && !name.contains("/tests/") {
        broken.push(format!("{name}: does not begin with what it is for (`//!`)"));
    }
    if name.ends_with("/src/lib.rs") && !text.contains("# Invariants") {
        broken.push(format!("{name}: does not name its invariants"));
    }
    // Tests in a file of their own are only named, and what follows that is no test.
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    pure_room(name, code, broken);
    suffixes(name, code, broken);
    let lines = code.lines().count();
    if lines > FILE_LINES && !name.contains("/tests/") {
        warned.push(format!("{name}: {lines} lines without its tests, the budget is {FILE_LINES}"));
    }
    for (function, lines) in long_functions(code) {
        warned.push(format!("{name}: `{function}` has {lines} lines, the budget is {FUNCTION_LINES}"));
    }
    if !name.starts_with("xtask") {
        for word in ["todo!(", "unimplemented!(", "#[allow("].iter().filter(|word| code.contains(**word)) {
            broken.push(format!("{name}: holds `{word}`"));
        }
    }
}

fn pure_room(name: &str, code: &str, broken: &mut Vec<String>) {
    let pure = PURE.iter().any(|room| name.starts_with(&format!("crates/{room}/src/")));
    if !pure {
        return;
    }
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let found: BTreeSet<&&str> =
        lines.flat_map(|line| IMPURE_WORDS.iter().filter(move |word| line.contains(**word))).collect();
    broken.extend(found.into_iter().map(|word| format!("{name}: `{word}` in a pure room")));
}

fn suffixes(name: &str, code: &str, broken: &mut Vec<String>) {
    for line in code.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(at) = words.iter().position(|word| matches!(*word, "struct" | "enum" | "trait")) else { continue };
        let Some(word) = words.get(at + 1).filter(|_| !line.trim_start().starts_with("//")) else { continue };
        let kind: String = word.chars().take_while(|c| c.is_alphanumeric()).collect();
        let banned = BANNED_SUFFIXES.iter().find(|suffix| kind.ends_with(**suffix) && kind != **suffix);
        if PROPER_NAMES.contains(&kind.as_str()) {
            continue;
        }
        if let Some(suffix) = banned {
            broken.push(format!("{name}: `{kind}` ends in {suffix}, which says nothing"));
        }
    }
}

/// Functions longer than the budget, by their indentation: the formatter closes them where they opened.
fn long_functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let lines: Vec<&str> = code.lines().collect();
    for (start, line) in lines.iter().enumerate() {
        let bare = line.trim_start();
        let is_function = FUNCTION_HEADS.iter().any(|head| bare.starts_with(head));
        if !is_function {
            continue;
        }
        // A method that a trait only names has no body.
        let signature_ends = lines[start..].iter().find(|line| line.ends_with([';', '{', '}']));
        if signature_ends.is_some_and(|line| line.ends_with(';')) {
            continue;
        }
        let close = format!("{}}}", &line[..line.len() - bare.len()]);
        let Some(length) = lines[start..].iter().position(|line| *line == close) else { continue };
        if length > FUNCTION_LINES {
            let name = bare.split("fn ").nth(1).unwrap_or(bare);
            let name = name.split(['(', '<']).next().unwrap_or(name);
            found.push((name.to_string(), length));
        }
    }
    found
}
