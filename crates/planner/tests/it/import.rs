//! Files of others in, a cluster file or messages out: each folder of `tests/import` is a case. Its `wishes` are arguments as
//! on the command line; `cluster.yaml` is what comes out, and `messages` is what the user is told. `KW_EXPECT=write`
//! writes these two anew.

#![expect(clippy::disallowed_methods, reason = "the planner reads no files, its tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use kubewright_model::codes::INDEX;
use kubewright_model::diagnostic::{Diagnostic, Severity};
use kubewright_model::spec::{ClusterFile, Distribution, Role, load};
use kubewright_model::version::Version;
use kubewright_planner::import::{Beside, Foreign, Imported, Refused, Wishes, import};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Files of a case that are no input.
const OURS: &[&str] = &["wishes", "cluster.yaml", "messages"];

pub(crate) fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// All files below a folder, by their paths from there.
fn below(folder: &Path, path: &str, files: &mut Vec<Beside>) {
    let Ok(entries) = fs::read_dir(folder.join(path)) else { return };
    for entry in entries.map(|entry| entry.unwrap()) {
        let path = format!("{path}/{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => below(folder, &path, files),
            false => {
                files.push(Beside { name: path.clone(), text: fs::read_to_string(entry.path()).unwrap(), path });
            }
        }
    }
}

pub(crate) fn inputs(case: &Path) -> Vec<Foreign> {
    let mut beside = Vec::new();
    ["group_vars", "host_vars"].iter().for_each(|folder| below(case, folder, &mut beside));
    let files = fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.is_file() && !OURS.contains(&name(path).as_str())).collect();
    files.sort();
    let foreign = |path: PathBuf| Foreign {
        name: name(&path),
        text: fs::read_to_string(&path).unwrap(),
        form: None,
        beside: beside.clone(),
    };
    files.into_iter().map(foreign).collect()
}

fn wishes(case: &Path) -> Wishes {
    let mut wishes = Wishes::default();
    let text = fs::read_to_string(case.join("wishes")).unwrap_or_default();
    for (option, value) in text.lines().map(|line| line.split_once(' ').unwrap()) {
        match option {
            "--name" => wishes.name = Some(value.into()),
            "--version" => wishes.version = Some(value.parse::<Version>().unwrap()),
            "--distribution" => {
                wishes.distribution = Some(serde_json::from_value::<Distribution>(value.into()).unwrap())
            }
            "--group" => {
                let (group, role) = value.split_once('=').unwrap();
                let role = (role != "none").then(|| serde_json::from_value::<Role>(role.into()).unwrap());
                wishes.roles.push((group.into(), role));
            }
            other => panic!("{other}"),
        }
    }
    wishes
}

fn messages(result: &Result<Imported, Refused>) -> String {
    let mut text = String::new();
    match result {
        Ok(imported) => imported.told.iter().for_each(|told| writeln!(text, "{told}").unwrap()),
        Err(refused) => {
            for (group, near) in &refused.unknown {
                writeln!(text, "no group {group}, near {near:?}").unwrap();
            }
            for wrong in &refused.wrong {
                for Diagnostic { code, message, at, help, .. } in &wrong.found {
                    let place = at.map(|at| format!("{}:{}+{}", at.line, at.column, at.length)).unwrap_or_default();
                    writeln!(text, "{} {place} {code} {message}", wrong.name).unwrap();
                    writeln!(text, "  = {}", help.as_deref().unwrap_or("nothing says what to do")).unwrap();
                    let line = at.and_then(|at| wrong.text.lines().nth(at.line - 1)).unwrap_or_default();
                    writeln!(text, "  | {}", line.chars().take(160).collect::<String>()).unwrap();
                }
            }
        }
    }
    text
}

#[test]
fn every_case_comes_out_as_it_is_written_down() {
    let mut failures = Vec::new();
    for case in cases() {
        let result = import(&inputs(&case), &wishes(&case));
        let told = messages(&result);
        let text = result.map(|imported| imported.text).unwrap_or_default();
        if std::env::var_os("KW_EXPECT").is_some() {
            for (file, text) in [("messages", &told), ("cluster.yaml", &text)] {
                let path = case.join(file);
                if text.is_empty() { drop(fs::remove_file(path)) } else { fs::write(path, text).unwrap() }
            }
        }
        let expected = |file: &str| fs::read_to_string(case.join(file)).unwrap_or_default();
        if told != expected("messages") || text != expected("cluster.yaml") {
            failures.push(format!("{}:\n{told}\n{text}", name(&case)));
        }
        // Whatever sounds like a secret in these files is this word.
        assert!(!told.contains("hunter") && !text.contains("hunter"), "{}: a secret is shown", name(&case));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Hosts of one group: their names' head, how they count, how many there are, and the last parts of their addresses.
fn hosts(most: usize) -> impl Strategy<Value = Vec<(String, u8)>> {
    let heads = prop::sample::select(vec!["k3s-", "a", "node_", "x9-y"]);
    let counts = prop::sample::select(vec![(1, 1, 1), (1, 1, 2), (0, 1, 1), (7, 3, 3)]);
    let parts = prop::collection::btree_set(2..250_u8, 0..=most)
        .prop_map(|set| set.into_iter().collect::<Vec<u8>>())
        .prop_shuffle();
    (heads, counts, parts).prop_map(|(head, (first, step, width), parts)| {
        let name = |(index, part): (usize, u8)| (format!("{head}{:0width$}", first + index * step), part);
        parts.into_iter().enumerate().map(name).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    /// What is written validates, and has every host once, with its own address.
    #[test]
    fn every_host_is_in_the_file_once(servers in hosts(5), agents in hosts(9), table in any::<bool>()) {
        let odd = servers.iter().take(servers.len().saturating_sub(usize::from(servers.len() % 2 == 0)));
        let hosts: Vec<(String, String, String)> = odd
            .map(|(name, part)| (format!("s-{name}"), format!("10.0.1.{part}"), "k3s_server".to_string()))
            .chain(agents.iter().map(|(name, part)| (format!("w-{name}"), format!("10.0.2.{part}"), "k3s_agent".to_string())))
            .collect();
        let line = |(name, address, group): &(String, String, String)| match table {
            true => format!("{name}\t{address}\t{group}\n"),
            false => format!("[{group}]\n{name} ansible_host={address}\n"),
        };
        let head = if table { "hostname\tip\trole\n" } else { "" };
        let text = format!("{head}{}", hosts.iter().map(line).collect::<String>());
        let name = if table { "servers.tsv" } else { "hosts.ini" };
        let file = Foreign { name: name.into(), text, form: None, beside: Vec::new() };
        let result = import(&[file], &Wishes::default());
        if !hosts.iter().any(|(.., group)| group == "k3s_server") {
            prop_assert!(result.is_err());
            return Ok(());
        }
        let imported = result.map_err(|refused| TestCaseError::fail(format!("{refused:?}")))?;
        let (desired, found) = kubewright_planner::lower::lower(&load(&imported.text).unwrap().file);
        prop_assert!(found.iter().all(|it| it.severity != Severity::Error), "{:?}", found);
        let ours: BTreeMap<String, String> = desired.machines.iter().map(|it| (it.name.to_string(), it.address.unwrap().to_string())).collect();
        let theirs = hosts.iter().map(|(name, address, _)| (name.replace('_', "-"), address.clone())).collect();
        prop_assert_eq!(ours, theirs);
        prop_assert_eq!(desired.machines.len(), hosts.len());
    }
}

/// What is written validates, and names every host once.
#[test]
fn every_file_that_is_written_validates() {
    for case in cases() {
        let Ok(text) = fs::read_to_string(case.join("cluster.yaml")) else { continue };
        let file = load(&text).unwrap().file;
        let found = kubewright_planner::rules::rules(&file);
        let errors = found.iter().filter(|it| it.severity == Severity::Error);
        assert_eq!(errors.count(), 0, "{}: {found:#?}", name(&case));
        let (desired, _) = kubewright_planner::lower::lower(&file);
        let names: BTreeSet<String> = desired.machines.iter().map(|machine| machine.name.to_string()).collect();
        assert_eq!(names.len(), desired.machines.len());
    }
}

#[test]
fn every_code_of_the_area_has_a_case() {
    let all: String =
        cases().iter().map(|case| fs::read_to_string(case.join("messages")).unwrap_or_default()).collect();
    let codes = INDEX.iter().map(|entry| entry.code.to_string()).filter(|code| code.as_str() > "KW0900");
    let without: Vec<String> = codes.filter(|code| !all.contains(code)).collect();
    assert!(without.is_empty(), "no case shows {without:?}");
}

/// The example and the inventory of its servers say the same of its nodes.
#[test]
fn the_servers_of_keybuzz_are_those_of_its_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| -> ClusterFile { load(&fs::read_to_string(root.join(path)).unwrap()).unwrap().file };
    let (example, ours) = (read("../../examples/keybuzz/cluster.yaml"), read("tests/import/keybuzz/cluster.yaml"));
    let pools = |file: &ClusterFile| {
        let pools = file
            .spec
            .pools
            .iter()
            .map(|(name, pool)| (name.clone(), pool.role, pool.name.clone(), pool.addresses.clone()));
        pools.collect::<Vec<_>>()
    };
    assert_eq!(pools(&ours), pools(&example));
    assert_eq!(ours.spec.kubernetes.version, example.spec.kubernetes.version);
    assert_eq!(ours.spec.network.cidr, example.spec.network.cidr);
    assert!(ours.spec.pools.values().all(|pool| pool.existing.is_some() && pool.hetzner.is_none()));
}
