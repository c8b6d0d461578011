//! Our reading of inventories, held against Ansible's own: `ansible-inventory --list` has the same hosts, groups and
//! variables of every inventory of `tests/import`, and refuses those that we refuse.

#![expect(clippy::disallowed_methods, reason = "the planner starts no programs, its tests do")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use kubewright_planner::import::ansible::inventory;
use serde_json::{Map, Value};

use crate::import::{cases, inputs};

/// Of the 2.19 series, whose plug-ins our reading was written by.
const PACKAGE: &str = "ansible-core==2.19.14";

/// The program; it is put below the target folder once.
fn judge() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PACKAGE);
    let turn = File::create(home.with_extension("lock")).unwrap();
    turn.lock().unwrap();
    let program = home.join("bin/ansible-inventory");
    if !program.is_file() {
        ran(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home));
        ran(Command::new(home.join("bin/pip")).args(["install", "--quiet", PACKAGE]));
    }
    program
}

fn ran(command: &mut Command) {
    let ran = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; it takes Python 3.11 with venv"));
    assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// What Ansible makes of files; nothing where it refuses them.
fn theirs(program: &Path, folder: &Path, files: &[String]) -> Option<Value> {
    let mut command = Command::new(program);
    command.arg("--list").current_dir(folder).env("ANSIBLE_LOCALHOST_WARNING", "false");
    // What no plug-in can read is an error, and not a warning and an empty inventory.
    command.envs([("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "true"), ("LC_ALL", "C.UTF-8")]);
    command.args(files.iter().flat_map(|file| ["-i", file]));
    let ran = command.output().unwrap();
    ran.status.success().then(|| serde_json::from_slice(&ran.stdout).unwrap())
}

/// The same in one order, with what is encrypted as that and nothing more.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) if map.contains_key("!vault") || map.contains_key("__ansible_vault") => "encrypted".into(),
        Value::Object(map) => {
            let mut sorted: Vec<(&String, &Value)> = map.iter().filter(|(name, _)| *name != "profile").collect();
            sorted.sort_by_key(|(name, _)| *name);
            sorted.into_iter().map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// The names of a group's hosts or children, sorted; and a group that is empty is none.
fn sorted(mut listing: Value) -> Value {
    let groups = listing.as_object_mut().unwrap();
    for (_, group) in groups.iter_mut().filter(|(name, _)| *name != "_meta") {
        for (_, names) in group.as_object_mut().unwrap() {
            names.as_array_mut().unwrap().sort_by_key(ToString::to_string);
        }
    }
    groups.retain(|name, group| name == "_meta" || group.as_object().is_some_and(|group| !group.is_empty()));
    plain(&listing)
}

/// Whether both read an inventory; they do it alike, or refuse it both.
fn alike(program: &Path, case: &Path) -> Option<bool> {
    let files: Vec<_> = inputs(case).into_iter().filter(|file| is_inventory(&file.name)).collect();
    let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    if files.is_empty() {
        return None;
    }
    let (ours, theirs) =
        (inventory(&files).ok().map(|it| sorted(it.list())), theirs(program, case, &names).map(sorted));
    assert_eq!(ours, theirs, "{}", case.display());
    Some(ours.is_some())
}

#[test]
fn ansible_reads_every_inventory_as_we_do() {
    let program = judge();
    // Each start of it takes seconds.
    let read: Vec<bool> = std::thread::scope(|scope| {
        let runs: Vec<_> = cases()
            .into_iter()
            .map(|case| {
                scope.spawn({
                    let program = &program;
                    move || alike(program, &case)
                })
            })
            .collect();
        runs.into_iter().filter_map(|run| run.join().unwrap()).collect()
    });
    let refused = read.iter().filter(|read| !**read).count();
    assert!(read.len() - refused >= 10 && refused >= 3, "{} inventories, of which {refused} are refused", read.len());
}

fn is_inventory(name: &str) -> bool {
    [".ini", ".yml", ".yaml"].iter().any(|ending| name.ends_with(ending))
}
