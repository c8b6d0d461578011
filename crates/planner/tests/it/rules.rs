//! Every rule has a file that breaks it, and nothing else: `tests/rules/KWnnnn-slug.yaml`. Its comment lines
//! `# expect: KWnnnn LINE:COLUMN` say what is found, all of it. `KW_EXPECT=write` writes these lines anew.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the planner reads no files and no clock, its tests do"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use kubewright_model::codes::INDEX;
use kubewright_model::diagnostic::{Diagnostic, Severity};
use kubewright_model::spec::load;

const MARK: &str = "# expect: ";

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn judge(text: &str) -> Vec<Diagnostic> {
    match load(text) {
        Ok(loaded) => {
            let mut found = kubewright_planner::rules::rules(&loaded.file);
            loaded.places.locate(&mut found);
            found
        }
        Err(found) => found,
    }
}

fn lines(found: &[Diagnostic]) -> Vec<String> {
    let line = |d: &Diagnostic| d.at.map(|at| format!("{} {}:{}", d.code, at.line, at.column));
    found.iter().map(|d| line(d).unwrap_or_else(|| format!("{} nowhere", d.code))).collect()
}

fn rewritten(text: &str, found: &[Diagnostic]) -> String {
    let rest = text.lines().filter(|line| !line.starts_with(MARK));
    let expected: Vec<String> = lines(found).into_iter().map(|line| format!("{MARK}{line}")).collect();
    rest.map(str::to_string).chain(expected).fold(String::new(), |text, line| text + &line + "\n")
}

#[test]
fn every_file_breaks_its_rule_and_no_other() {
    let mut failures = Vec::new();
    let mut words = String::new();
    for path in files("tests/rules") {
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        let text = fs::read_to_string(&path).unwrap();
        let found = judge(&text);
        if std::env::var_os("KW_EXPECT").is_some() {
            fs::write(&path, rewritten(&text, &found)).unwrap();
        }
        let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(MARK)).collect();
        if expected != lines(&found) || expected.is_empty() {
            failures.push(format!("{name}: expected {expected:?}, found {found:#?}"));
        }
        if let Some(other) = found.iter().find(|d| !name.starts_with(&format!("{}-", d.code))) {
            failures.push(format!("{name} breaks {} too: {}", other.code, other.message));
        }
        for d in &found {
            assert!(d.help.is_some(), "{name} does not say what to do");
            writeln!(words, "{name}\n  {}\n  = {}", d.message, d.help.as_deref().unwrap_or_default()).unwrap();
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    insta::assert_snapshot!(words);
}

/// Objects that users write pass through our hands as they are, before anybody tells what is wrong with them.
#[test]
fn an_object_that_is_none_is_told_and_not_stumbled_over() {
    let text =
        fs::read_to_string(files("tests/rules").iter().find(|it| it.ends_with("KW0806-manifest-labels.yaml")).unwrap());
    let (desired, found) = kubewright_planner::lower::lower(&load(&text.unwrap()).unwrap().file);
    assert_eq!(found.iter().filter(|d| d.code == kubewright_model::codes::MANIFEST_OBJECT).count(), 2);
    let objects: Vec<_> = desired.objects.iter().flat_map(|group| &group.manifests).collect();
    let other = objects.iter().find(|it| it.0["metadata"]["name"] == "other").unwrap();
    assert_eq!(other.0["metadata"]["labels"]["kubewright.dev/cluster"], "lab", "none are none, and take our mark");
}

#[test]
fn every_rule_has_a_file() {
    let shown: BTreeSet<String> = files("tests/rules")
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_str()?.split_once('-')?.0.to_string()))
        .collect();
    let rules =
        INDEX.iter().map(|entry| entry.code.to_string()).filter(|code| ("KW0100".."KW0900").contains(&code.as_str()));
    let without: Vec<String> = rules.filter(|code| !shown.contains(code)).collect();
    assert!(without.is_empty(), "no file breaks {without:?}");
}

#[test]
fn every_example_is_free_of_errors() {
    for folder in files("../../examples") {
        let found = judge(&fs::read_to_string(folder.join("cluster.yaml")).unwrap());
        let errors: Vec<&Diagnostic> = found.iter().filter(|d| d.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", folder.display());
    }
}

/// Ten thousand nodes written one by one, each of them wrong in three ways. Whatever compares all with all takes
/// minutes here.
#[test]
fn ten_thousand_nodes_are_judged_in_time() {
    let head = "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: { name: lab }\nspec:\n  kubernetes: { distribution: k3s, \
                version: v1.31.4+k3s1, podNetwork: 172.16.0.0/12 }\n  network: { cidr: 10.0.0.0/24 }\n  pools:\n    server: { role: both, \
                addresses: [10.0.0.2], existing: {} }\n    agents:\n      role: agent\n      existing: {}\n";
    let names: String = (0..10_000).map(|i| format!("        - agent-{}\n", i % 5000)).collect();
    let addresses: String =
        (0..10_000).map(|i: u32| format!("        - 10.1.{}.{}\n", (i % 5000) / 250, i % 250)).collect();
    let text = format!("{head}      names:\n{names}      addresses:\n{addresses}");
    let file = load(&text).unwrap().file;
    let start = std::time::Instant::now();
    let found = kubewright_planner::rules::rules(&file);
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    let count = |code| found.iter().filter(|d| d.code == code).count();
    assert_eq!(count(kubewright_model::codes::ADDRESS_OUTSIDE_NETWORK), 10_000);
    assert_eq!(count(kubewright_model::codes::DUPLICATE_ADDRESS), 5_000);
    assert_eq!(count(kubewright_model::codes::DUPLICATE_NAME), 5_000);
}
