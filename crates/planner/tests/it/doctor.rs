//! Doctor's checks, each held against what real programs print: one file is one sick or healthy cluster.
//!
//! A file begins with comment lines that say where its forms come from, then `spec: EXAMPLE` and `now: TIME`. Then come
//! sections: `== host NAME: PAPER` (with `(status N)` or `(not there)`), `== host NAME unknown: WHY`, `== machine NAME: POWER`,
//! `== list KIND` with objects in YAML as `kubectl get -o yaml` prints them, `== name HOST` with addresses or `! WHY`; and
//! at last `== finds` with a line `CHECK: PLACE` for each cause, and what follows from it indented below.
//! `KW_EXPECT=write` writes what is found.

#![expect(clippy::disallowed_methods, reason = "the planner reads no files and no settings, its tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

use kubewright_model::desired::Desired;
use kubewright_model::doctor::{Diagnosis, Evidence, Gravity, INDEX, Lists, Mend, Paper, Papers, Repair};
use kubewright_model::observed::{Power, Seen, Why};
use kubewright_model::spec::load;
use kubewright_planner::doctor::{diagnose, names};
use serde_json::Value;

const FINDS: &str = "== finds\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doctor")
}

fn desired(example: &str) -> &'static Desired {
    static KNOWN: OnceLock<BTreeMap<String, Desired>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let lowered = |name: &str| {
            let text = fs::read_to_string(examples.join(name).join("cluster.yaml")).expect("the example is there");
            let loaded = load(&text).unwrap_or_else(|found| panic!("{found:#?}"));
            (name.to_string(), kubewright_planner::lower::lower(&loaded.file).0)
        };
        ["devboard", "mlops", "vixens", "keybuzz", "valaskjalf"].map(lowered).into()
    });
    known.get(example).unwrap_or_else(|| panic!("there is no example {example}"))
}

/// `2026-11-22T18:00:00Z`, by the calendar of the test's own.
fn seconds(time: &str) -> u64 {
    let number = |from: usize, to: usize| time[from..to].parse::<i64>().expect("it is a time");
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    u64::try_from(days * 86_400 + number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19))
        .expect("it is after 1970")
}

struct Section<'a> {
    head: &'a str,
    body: &'a str,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let parts = text.split("\n== ").skip(1);
    parts.map(|part| part.split_once('\n').unwrap_or((part, ""))).map(|(head, body)| Section { head, body }).collect()
}

fn papers<'a>(evidence: &'a mut Evidence, host: &str) -> &'a mut Papers {
    let asked = evidence.now;
    let seen =
        evidence.hosts.entry(host.into()).or_insert_with(|| Seen::Present(Papers { asked, ..Papers::default() }));
    let Seen::Present(papers) = seen else { panic!("{host} is unknown and has papers") };
    papers
}

fn lists(evidence: &mut Evidence) -> &mut Lists {
    let seen = evidence.cluster.get_or_insert_with(|| Seen::Present(Lists::default()));
    let Seen::Present(lists) = seen else { panic!("the cluster has no lists") };
    lists
}

fn paper(evidence: &mut Evidence, head: &str, body: &str) {
    let (host, name) = head.split_once(": ").expect("a paper has a host and a name");
    let (name, status) = match name.split_once(" (status ") {
        Some((name, status)) => (name, status.trim_end_matches(')').parse().expect("it is a number")),
        None => (name, 0),
    };
    let (name, paper) = match name.strip_suffix(" (not there)") {
        Some(name) => (name, Paper::NotThere),
        None => (name, Paper::Text { text: body.trim_end_matches('\n').to_string() + "\n", status }),
    };
    papers(evidence, host).papers.insert(name.into(), paper);
}

fn read(path: &Path, text: &str) -> (Evidence, &'static Desired) {
    let key = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let spec = key("spec: ").unwrap_or("devboard");
    let now = seconds(key("now: ").unwrap_or("2026-11-22T18:00:00Z"));
    let mut evidence = Evidence { now, ..Evidence::default() };
    for Section { head, body } in sections(text.split(FINDS).next().unwrap_or_default()) {
        let (kind, rest) = head.split_once(' ').expect("a section has a kind");
        match kind {
            "host" => match rest.split_once(" unknown: ") {
                Some((host, why)) => {
                    let why = Why { words: why.into(), ..Why::default() };
                    evidence.hosts.insert(host.into(), Seen::Unknown(why));
                }
                None => paper(&mut evidence, rest, body),
            },
            "machine" => {
                let (name, power) = rest.split_once(": ").expect("a machine has a power");
                let power = match power {
                    "Running" => Power::Running,
                    "Stopped" => Power::Stopped,
                    other => panic!("no power is {other}"),
                };
                evidence.machines.insert(name.into(), Seen::Present(power));
            }
            "list" => {
                let items: Vec<Value> = if body.trim().is_empty() {
                    Vec::new()
                } else {
                    serde_saphyr::from_str(body).unwrap_or_else(|error| panic!("{}: {rest}: {error}", path.display()))
                };
                lists(&mut evidence).items.insert(rest.into(), items);
            }
            "name" => {
                let body = body.trim();
                let leads = match body.strip_prefix("! ") {
                    Some(why) => Err(why.to_string()),
                    None => Ok(body.split_whitespace().map(str::to_string).collect()),
                };
                evidence.names.insert(rest.into(), leads);
            }
            other => panic!("{}: no section is a {other}", path.display()),
        }
    }
    (evidence, desired(spec))
}

fn told(diagnosis: &Diagnosis) -> String {
    let mut lines = String::new();
    for cause in &diagnosis.causes {
        lines += &format!("{}: {}: {}\n", cause.finding.check, cause.finding.place, cause.finding.cause);
        for finding in &cause.consequences {
            lines += &format!("  {}: {}\n", finding.check, finding.place);
        }
    }
    if lines.is_empty() { "nothing\n".into() } else { lines }
}

fn files() -> Vec<PathBuf> {
    let all = fs::read_dir(folder()).expect("the folder is there").map(|entry| entry.expect("it is read").path());
    let mut all: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|it| it == "txt")).collect();
    all.sort();
    all
}

#[test]
fn each_file_finds_what_it_says() {
    let write = env::var("KW_EXPECT").is_ok_and(|it| it == "write");
    let mut wrong = Vec::new();
    for path in files() {
        let text = fs::read_to_string(&path).expect("it is read");
        let (given, expected) = text.split_once(FINDS).unwrap_or((text.as_str(), ""));
        let (evidence, desired) = read(&path, &text);
        let diagnosis = diagnose(&evidence, desired);
        let found = told(&diagnosis);
        if write && found != expected {
            fs::write(&path, format!("{given}{FINDS}{found}")).expect("it is written");
        } else if found != expected {
            wrong.push(format!("{}:\nexpected:\n{expected}found:\n{found}", path.display()));
        }
        for finding in diagnosis.findings() {
            assert!(!finding.evidence.is_empty(), "{}: {} shows nothing", path.display(), finding.check);
            // An apply of nothing by name would be one of all that the spec says.
            let (Repair::ByHand(words) | Repair::Apply(words)) = &finding.repair else { continue };
            let named = !words.is_empty() && words.iter().all(|word| !word.is_empty());
            assert!(named, "{}: {} has no repair: {words:?}", path.display(), finding.check);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_check_has_a_file_in_which_it_finds_and_each_layer_a_healthy_one() {
    let mut found = BTreeSet::new();
    let mut healthy = 0;
    for path in files() {
        let text = fs::read_to_string(&path).expect("it is read");
        let (evidence, desired) = read(&path, &text);
        let diagnosis = diagnose(&evidence, desired);
        let name = path.file_stem().and_then(|it| it.to_str()).unwrap_or_default().to_string();
        found.extend(diagnosis.findings().map(|finding| finding.check.clone()));
        if name.starts_with("healthy") {
            healthy += 1;
            assert!(diagnosis.causes.is_empty(), "{name} finds {}", told(&diagnosis));
        } else {
            // A file is called after what it finds first.
            let named = INDEX.iter().filter(|entry| name.starts_with(entry.id)).max_by_key(|entry| entry.id.len());
            let named = named.unwrap_or_else(|| panic!("{name} names no check"));
            assert!(diagnosis.findings().any(|finding| finding.check == named.id), "{name} does not find {}", named.id);
        }
        assert!(text.starts_with("# "), "{name} does not say where its forms come from");
    }
    let missing: Vec<&str> = names().filter(|name| !found.contains(*name)).collect();
    assert!(missing.is_empty(), "no file in which these find something: {}", missing.join(", "));
    assert!(healthy >= 4, "there are {healthy} healthy clusters");
}

/// What `doctor --fix` would do about a file.
fn repaired(name: &str) -> Vec<String> {
    let text = fs::read_to_string(folder().join(name)).expect("it is read");
    let (evidence, desired) = read(Path::new(name), &text);
    let repairs = diagnose(&evidence, desired).repairs();
    let apply = repairs.apply.into_iter().map(|words| format!("apply {}", words.join(" ")));
    repairs.mends.iter().map(ToString::to_string).chain(apply).collect()
}

#[test]
fn a_repair_is_no_more_than_what_was_found() {
    let stopped = [
        "take away old logs on k8s-worker-1",
        "start kubelet.service on k8s-worker-1",
        "start containerd.service on k8s-worker-1",
    ];
    assert_eq!(repaired("disk-full-and-stopped.txt"), stopped);
    assert!(repaired("disk-full.txt").is_empty(), "no images are taken away");
    let once = ["compact and defragment etcd, member by member, and disarm its alarm on k8s-master-1"];
    assert_eq!(repaired("etcd-no-space-of-three.txt"), once);
    assert_eq!(repaired("argocd-repo-server-eof.txt"), ["apply argocd"]);
    assert_eq!(repaired("swap-on.txt"), ["apply k8s-worker-1"]);
}

#[test]
fn a_program_that_was_given_up_has_seen_nothing() {
    let mut evidence = Evidence { now: 1, ..Evidence::default() };
    papers(&mut evidence, "k3s-agent-1").papers.insert("dpkg-audit".into(), Paper::Late);
    let diagnosis = diagnose(&evidence, desired("devboard"));
    assert!(diagnosis.causes.is_empty(), "{diagnosis:?}");
    assert!(diagnosis.unseen.iter().any(|it| it.what == "dpkg-audit of host k3s-agent-1"), "{:?}", diagnosis.unseen);
}

#[test]
fn who_sees_nothing_finds_nothing_and_says_so() {
    let evidence = Evidence { now: 1, ..Evidence::default() };
    let diagnosis = diagnose(&evidence, desired("devboard"));
    assert!(diagnosis.causes.is_empty() && !diagnosis.answered && diagnosis.is_sick());
    assert_eq!(diagnosis.unseen.len(), 1, "{:?}", diagnosis.unseen);
    assert!(diagnosis.checks >= 60);
}

#[test]
fn a_risk_alone_is_not_sick() {
    let path = folder().join("certificate-expires-soon.txt");
    let text = fs::read_to_string(&path).expect("it is read");
    let (evidence, desired) = read(&path, &text);
    let diagnosis = diagnose(&evidence, desired);
    let answered = Diagnosis { answered: true, ..diagnosis.clone() };
    assert!(!answered.is_sick() && diagnosis.is_sick(), "who does not answer is sick");
    assert!(diagnosis.findings().all(|finding| finding.gravity == Gravity::Risk));
}

/// The script that empties etcd, beside a member that does not answer.
#[test]
fn an_alarm_is_disarmed_though_a_member_is_down() {
    let text = fs::read_to_string(folder().join("etcd-no-space-of-three.txt")).expect("it is read");
    let (evidence, desired) = read(Path::new("etcd-no-space-of-three.txt"), &text);
    let repairs = diagnose(&evidence, desired).repairs();
    let commands = repairs.mends.iter().find_map(|mend| match mend {
        Mend::Run { commands, .. } => Some(commands),
        _ => None,
    });
    let script = commands.and_then(|commands| commands.first()?.last()).expect("it is a script");
    let root = tempfile::tempdir().expect("there is room");
    let run = |crictl: &str| {
        let (program, asked) = (root.path().join("crictl"), root.path().join("asked"));
        fs::write(&program, format!("#!/bin/sh\necho \"$*\" >>{}\n{crictl}\n", asked.display()))
            .expect("it is written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it may run");
        fs::write(&asked, "").expect("it is written");
        let path = format!("{}:/usr/bin:/bin", root.path().display());
        let ran = Command::new("sh").args(["-c", script]).env("PATH", path).output().expect("it runs");
        (
            ran.status.code(),
            fs::read_to_string(&asked).expect("it is read"),
            String::from_utf8_lossy(&ran.stderr).to_string(),
        )
    };
    let (code, asked, _) =
        run("case $* in ps\\ *) echo 1a2b ;; *status*) echo '[{\"revision\":7}]' ;; *defrag*) exit 5 ;; esac");
    assert!(asked.lines().last().is_some_and(|last| last.ends_with("alarm disarm")), "{asked}");
    assert_eq!(code, Some(5), "what failed is told");
    let (code, asked, said) = run("");
    assert_eq!((code, asked.lines().count(), said.as_str()), (Some(1), 1, "no container etcd runs here\n"));
}
