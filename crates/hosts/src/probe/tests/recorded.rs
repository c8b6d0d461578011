//! Answers in the shape in which each distribution gives them, and what is read from them.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use kubewright_model::digest::Digest;
use kubewright_model::host::{
    Artifact, DownloadWish, FileWish, HostResource, HostsEntry, Mode, Proof, SshDaemonWish, UnitRun, UnitWish, UserWish,
};

use super::super::parse;

/// One of each kind, in the order in which the recorded answers number them.
pub(super) fn resources() -> Vec<HostResource> {
    let entry = HostsEntry { address: Ipv4Addr::new(10, 0, 0, 11).into(), names: vec!["n1".into()] };
    vec![
        HostResource::Package("curl".into()),
        HostResource::Package("iptables".into()),
        HostResource::Module("br_netfilter".into()),
        HostResource::Sysctl { key: "net.ipv4.ip_forward".into(), value: "1".into() },
        HostResource::File(FileWish::new("/etc/motd", "text", 0o644)),
        HostResource::HostsEntries(Arc::new(vec![entry])),
        HostResource::Link { path: "/usr/local/bin/kubectl".into(), target: "/usr/local/bin/k3s".into() },
        HostResource::Unit(UnitWish {
            name: "k3s.service".into(),
            content: Some("[Unit]\n".into()),
            enabled: true,
            run: UnitRun::ByRecipe,
            reads: Digest::of("reads"),
        }),
        HostResource::User(UserWish {
            name: "deploy".into(),
            authorized_keys: vec!["ssh-ed25519 AAAA".into()],
            sudo: false,
            groups: Vec::new(),
            shell: "/bin/bash".into(),
            password_hash: None,
        }),
        HostResource::Hostname("n1".into()),
        HostResource::Timezone("Europe/Paris".into()),
        HostResource::Locale("en_US.UTF-8".into()),
        HostResource::SwapOff,
        HostResource::TimeSync,
        HostResource::SshDaemon(SshDaemonWish { port: 22, harden: true }),
        HostResource::Download(DownloadWish {
            path: "/usr/local/bin/k3s".into(),
            artifact: Artifact {
                name: "k3s v1.31.5+k3s1".into(),
                url: "https://example.com/k3s".into(),
                proof: Proof::Sha256(Digest::of("k3s")),
            },
            member: None,
            mode: Mode(0o755),
        }),
    ]
}

/// The recorded answers by name.
pub(super) fn recorded() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/facts");
    let files = std::fs::read_dir(folder).expect("it is there").map(|file| file.expect("it can be read").path());
    let mut all: Vec<(String, String)> = files
        .map(|path| {
            let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).expect("it can be read"))
        })
        .collect();
    all.sort();
    all
}

#[test]
fn answers_of_each_distribution() {
    let all = recorded();
    assert_eq!(all.len(), 7);
    for (name, printed) in all {
        insta::assert_debug_snapshot!(
            name,
            parse(&resources(), &printed, 1_735_689_600..=1_735_689_600).expect("it was read")
        );
    }
}

/// What only says more, and whose lack is no lie.
const OPTIONAL: [&str; 18] = [
    "login",
    "owner",
    "route",
    "release",
    "kernel",
    "cpus",
    "memory",
    "disk",
    "virtual",
    "container",
    "machine-id",
    "cgroup",
    "kmsg",
    "proc-sys",
    "program",
    "record",
    "text",
    "hostname",
];

#[test]
fn an_answer_that_lacks_something_is_an_error_or_says_less() {
    for (name, printed) in recorded() {
        let whole = parse(&resources(), &printed, 0..=0).expect("it was read");
        for (number, line) in printed.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let without: Vec<&str> =
                printed.lines().enumerate().filter(|(at, _)| *at != number).map(|(_, line)| line).collect();
            let word = line.split([' ', '=', ':']).next().unwrap_or_default();
            // Without it the version of K3s is not known, which is no more than that.
            if line.starts_with("stat k3s") {
                continue;
            }
            if matches!(
                word,
                "done" | "absent" | "clock" | "arch" | "joined" | "always" | "search" | "packages" | "stat"
            ) {
                let error = parse(&resources(), &without.join("\n"), 0..=0);
                assert!(error.is_err(), "{name} without {line}");
            } else if OPTIONAL.contains(&word) {
                let seen = parse(&resources(), &without.join("\n"), 0..=0).expect("it was read");
                assert!(seen.files.keys().eq(whole.files.keys()), "{name} without {line}");
            }
        }
    }
}
