//! Journals that were cut off and locks that are held: what outlives a process.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use kubewright_engine::journal::Progress;
use kubewright_engine::sim;
use kubewright_engine::store::folder::FolderStore;
use kubewright_engine::store::{Store, StoreError};
use kubewright_engine::{Engine, EngineError, Request, Stop};
use kubewright_model::event::Record;
use kubewright_model::ids::{ClusterName, RunId};
use kubewright_model::plan::Ask;

use crate::yard::{Yard, desired, holder};

const DEVBOARD: &str = include_str!("../../../../examples/devboard/cluster.yaml");

/// A whole run whose journal is in a folder.
fn run_in(folder: &std::path::Path) -> (FolderStore, ClusterName, RunId, Vec<Record>) {
    let store = FolderStore::new(folder);
    let yard = Yard::new(desired(DEVBOARD), 5);
    let run = RunId::new("run-1");
    let mut heard = Vec::new();
    let request = Request { run: run.clone(), ..yard.request(&Ask::Apply, &[]) };
    let engine = Engine::new(yard.centre.world(&yard.desired), Arc::new(store.clone()));
    let mut sink = |record: &Record| heard.push(record.clone());
    let ended = sim::run(engine.apply(&request, &Stop::default(), &mut sink)).unwrap().unwrap();
    assert_eq!(ended.failed, []);
    (store, yard.desired.cluster.clone(), run, heard)
}

#[test]
fn a_journal_reads_back_as_it_was_heard() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cluster, run, heard) = run_in(folder.path());
    let read = store.journal(&cluster, &run).unwrap();
    assert_eq!(read, heard);
    assert_eq!(store.runs(&cluster).unwrap(), [run]);
    assert!(Progress::replay(&read).unwrap().end.is_some());
}

#[test]
fn a_journal_cut_off_anywhere_in_its_last_entry_reads_back_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cluster, run, heard) = run_in(folder.path());
    let path = store.journal_path(&cluster, &run);
    let whole = fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for length in last..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let read = store.journal(&cluster, &run).unwrap();
        // Only the end of its line tells that an entry is whole.
        let entries = if length == whole.len() { heard.len() } else { heard.len() - 1 };
        assert_eq!(read, heard[..entries], "cut off at byte {length} of {}", whole.len());
        assert!(Progress::replay(&read).is_ok());
    }
}

#[test]
fn a_journal_cut_off_after_any_entry_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let (.., heard) = run_in(folder.path());
    for length in 0..=heard.len() {
        let progress = Progress::replay(&heard[..length]).unwrap();
        assert_eq!(progress.end.is_some(), length == heard.len());
    }
    let mut swapped = heard.clone();
    swapped.swap(1, 2);
    assert_eq!(Progress::replay(&swapped).unwrap_err().seq, heard[2].seq);
}

#[test]
fn garbage_in_the_middle_of_a_journal_is_an_error_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cluster, run, heard) = run_in(folder.path());
    let path = store.journal_path(&cluster, &run);
    let whole = fs::read_to_string(&path).unwrap();
    for (at, garbage) in [(0, "garbage"), (3, "{}"), (heard.len() / 2, "{\"format\":1}")] {
        let mut lines: Vec<&str> = whole.lines().collect();
        lines[at] = garbage;
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        match store.journal(&cluster, &run) {
            Err(StoreError::Malformed { line, .. }) => assert_eq!(line, at + 1),
            other => panic!("{garbage:?} in line {}: {:?}", at + 1, other.map(|records| records.len())),
        }
    }
    let newer = whole.replacen("{\"format\":1,", "{\"format\":2,", 1);
    fs::write(&path, newer).unwrap();
    let error = store.journal(&cluster, &run).unwrap_err().to_string();
    assert!(error.ends_with("line 1: format 2 is not known to this version"), "{error}");
}

#[test]
fn who_follows_a_journal_hears_all_but_the_lines_that_are_no_records_and_of_each_of_those_once() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cluster, run, heard) = run_in(folder.path());
    let path = store.journal_path(&cluster, &run);
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let broken = |i: usize| if i == 3 || i == 8 { "{\"format\":1,\"seq\"" } else { lines[i] };
    let text = |from: usize, to: usize| (from..to).map(|i| format!("{}\n", broken(i))).collect::<String>();
    fs::write(&path, text(0, 6)).unwrap();
    let mut tail = store.tail(&cluster, &run).unwrap();
    let first = tail.more().unwrap();
    assert_eq!(first.records, [&heard[..3], &heard[4..6]].concat());
    let told: Vec<String> = first.bad.iter().map(StoreError::told).collect();
    assert!(told.len() == 1 && told[0].contains("line 4:"), "{told:?}");
    let more = format!("{}{}", text(0, lines.len()), &lines[0][..5]);
    fs::write(&path, more).unwrap();
    let rest = tail.more().unwrap();
    assert_eq!(rest.records, [&heard[6..8], &heard[9..]].concat());
    let told: Vec<String> = rest.bad.iter().map(StoreError::told).collect();
    assert!(told.len() == 1 && told[0].contains("line 9:"), "lines are counted from the beginning: {told:?}");
    let none = tail.more().unwrap();
    assert!(none.records.is_empty() && none.bad.is_empty(), "half a line is waited for");
}

#[test]
fn the_second_apply_is_told_who_holds_the_lock_and_since_when() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::new(folder.path());
    let yard = Yard::new(desired(DEVBOARD), 5);
    let first = store.lock(&yard.desired.cluster, &holder("anna@desk")).unwrap();
    let told = std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let engine = Engine::new(yard.centre.world(&yard.desired), Arc::new(store.clone()));
            let yard = Yard::new(desired(DEVBOARD), 5);
            let request = yard.request(&Ask::Apply, &[]);
            sim::run(engine.apply(&request, &Stop::default(), &mut |_| {})).unwrap().map(drop)
        });
        second.join().unwrap()
    });
    match told {
        Err(EngineError::Store(StoreError::Busy { cluster, holder: who })) => {
            assert_eq!((cluster, who), (yard.desired.cluster.clone(), holder("anna@desk")));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.runs(&yard.desired.cluster).unwrap(), []);
    drop(first);
    assert!(store.lock(&yard.desired.cluster, &holder("ben@desk")).is_ok());
}

/// The other process of the tests below: it takes a lock, says so, and holds it until it is ended.
#[test]
#[ignore = "a part of other tests, which start it in a process of its own"]
fn hold_a_lock() {
    let folder = std::env::var("LOCK_FOLDER").unwrap();
    let _lock = FolderStore::new(folder).lock(&"devboard".into(), &holder("anna@desk")).unwrap();
    println!("held");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn other_process(folder: &std::path::Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "journals::hold_a_lock", "--ignored", "--nocapture"])
        .env("LOCK_FOLDER", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("held")));
    child
}

#[test]
fn a_lock_of_another_process_is_told_of_and_ends_with_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::new(folder.path());
    let mut other = other_process(folder.path());
    match store.lock(&"devboard".into(), &holder("ben@desk")).map(drop) {
        Err(StoreError::Busy { holder: who, .. }) => {
            assert_eq!((who.who.as_str(), who.pid, who.since), ("anna@desk", other.id(), 1_700_000_000));
        }
        other => panic!("{other:?}"),
    }
    assert!(store.lock(&"another".into(), &holder("ben@desk")).is_ok());
    // Killed: nothing of it has the chance to tidy up.
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(store.lock(&"devboard".into(), &holder("ben@desk")).is_ok());
}

#[test]
fn who_holds_the_lock_is_told_while_it_is_held_and_not_of_one_that_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cluster) = (FolderStore::new(folder.path()), ClusterName::from("lab"));
    assert_eq!(store.holder(&cluster).unwrap(), None);
    let lock = store.lock(&cluster, &holder("tom@workbench")).unwrap();
    assert_eq!(store.holder(&cluster).unwrap(), Some(holder("tom@workbench")));
    drop(lock);
    assert_eq!(store.holder(&cluster).unwrap(), None);
    // Who is killed cannot take the name away.
    fs::write(folder.path().join("lab/holder.json"), serde_json::to_string(&holder("tom@workbench")).unwrap()).unwrap();
    assert_eq!(store.holder(&cluster).unwrap(), None);
}
