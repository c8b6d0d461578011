//! A host that was there before us is left as it was.

use kubewright_model::digest::Digest;
use kubewright_model::host::{Artifact, Proof};
use kubewright_model::host::{DownloadWish, HostsEntry, Mode, SshDaemonWish, UnitRun, UnitWish, UserWish};

use super::*;

const ELSEWHERE: u16 = 2223;

/// What somebody else had there before.
const THEIRS: &str = "
    printf 'theirs, without an end' >/etc/theirs.conf; chmod 604 /etc/theirs.conf
    ln -s theirs.conf /etc/theirs.link
    printf '127.0.0.1 localhost\\n10.9.9.9 theirs' >/etc/hosts
    printf '[Service]\\nExecStart=/bin/theirs\\n' >/etc/systemd/system/theirs.service
    mkdir -p /run/units /opt/theirs
    echo active >/run/units/theirs.service.active; echo enabled >/run/units/theirs.service.enabled
    mkdir -p /home/guest/.ssh; echo 'ssh-ed25519 AAAA theirs' >/home/guest/.ssh/authorized_keys
    chmod 750 /home/guest/.ssh; chmod 644 /home/guest/.ssh/authorized_keys; chown -R guest:guest /home/guest/.ssh
    printf '# theirs\\nvm.swappiness = 60\\n' >/etc/sysctl.d/50-theirs.conf
    printf 'LANG=C\\nLC_TIME=C\\n' >/etc/default/locale";

/// Everything that we could touch, by name, kind, mode, owner and content; what is installed, and what runs. sudo leaves a
/// mark of its own where it was used first.
fn listing(host: &LabHost) -> Vec<String> {
    let listed = host.sh(
        "cd / && set -- etc usr/local/bin usr/local/sbin home opt srv
        find \"$@\" var/lib/kubewright -xdev -maxdepth 4 ! -path 'etc/*-' ! -name .pwd.lock ! -name .sudo_as_admin_successful \\
            -printf '%p %y %m %U:%G %l\\n' 2>/dev/null | sort
        find \"$@\" -xdev -maxdepth 4 -type f -size -1024k ! -path 'etc/*-' ! -name .pwd.lock ! -name .sudo_as_admin_successful -exec sha256sum {} + | sort -k 2
        dpkg-query -W -f 'package ${Package} ${db:Status-Status}\\n'
        grep . /run/units/*.active /run/units/*.enabled | grep -v -e ':inactive' -e ':disabled'
        hostname",
    );
    listed.lines().map(str::to_string).collect()
}

fn user(name: &str, groups: &[&str]) -> HostResource {
    HostResource::User(UserWish {
        name: name.into(),
        authorized_keys: vec!["ssh-ed25519 AAAAC3Nz deploy@here".into()],
        sudo: true,
        groups: groups.iter().map(|group| (*group).to_string()).collect(),
        shell: "/bin/bash".into(),
        password_hash: None,
    })
}

fn unit(name: &str, word: &str) -> HostResource {
    HostResource::Unit(UnitWish {
        name: name.into(),
        content: Some(format!("[Service]\nExecStart=/bin/{word}\n").into()),
        enabled: true,
        run: UnitRun::Running,
        reads: Digest::of(word),
    })
}

/// A bit of everything, in two versions.
fn wishes(host: &LabHost, word: &str) -> Vec<HostResource> {
    let entry = HostsEntry { address: "10.0.0.9".parse().expect("an address"), names: vec![word.into()] };
    let pids = host.sh("cat /proc/sys/kernel/pid_max");
    let artifact = Artifact {
        name: format!("k3s {word}"),
        url: "https://example.org/k3s".into(),
        proof: Proof::Checksums { url: "https://example.org/sha256sum.txt".into(), file: "k3s".into() },
    };
    let port = if word == "one" { ELSEWHERE } else { ELSEWHERE + 1 };
    vec![
        HostResource::Hostname(format!("lab-{word}")),
        HostResource::Package("coreutils".into()),
        HostResource::Package(format!("lab-{word}")),
        HostResource::Sysctl { key: "kernel.pid_max".into(), value: pids.trim().into() },
        user("deploy", &["adm", "build"]),
        user("guest", &["adm", "build"]),
        file("/etc/theirs.conf", word),
        file("/etc/new/ünï 100%/cödé's.conf", word),
        HostResource::Block { path: "/etc/profile".into(), lines: vec![format!("# {word}")] },
        HostResource::Link { path: "/etc/theirs.link".into(), target: format!("/etc/{word}") },
        HostResource::Link { path: "/opt/ours/now".into(), target: format!("/etc/{word}") },
        HostResource::HostsEntries(vec![entry].into()),
        HostResource::Timezone(if word == "one" { "Europe/Paris" } else { "Asia/Tokyo" }.into()),
        HostResource::Locale("C.UTF-8".into()),
        HostResource::Download(DownloadWish {
            path: "/usr/local/bin/k3s".into(),
            artifact,
            member: None,
            mode: Mode(0o755),
        }),
        unit("ours.service", word),
        unit("theirs.service", word),
        HostResource::SshDaemon(SshDaemonWish { port, harden: true }),
    ]
}

fn at(host: &LabHost, user: &str, word: &str) -> Way {
    let port = if word == "one" { ELSEWHERE } else { ELSEWHERE + 1 };
    let before = if word == "one" { PORT } else { ELSEWHERE };
    Way { port, port_before: Some(before), ..way(host, user) }
}

async fn ours(hands: &RealHosts, host: &LabHost, way: &Way) -> Vec<String> {
    let seen = look(hands, host, way, &[]).await;
    seen.present().unwrap_or_else(|| panic!("{seen:?}")).ours.keys().cloned().collect()
}

async fn unmake(hands: &RealHosts, host: &LabHost, way: &Way, keys: &[String]) -> Result<Report, HostError> {
    let change =
        HostChange { host: host.name.clone(), way: way.clone(), owner: None, make: Vec::new(), unmake: keys.to_vec() };
    hands.change(&change, &Holes::new()).await
}

/// Makes everything, and everything another way.
async fn made_twice(hands: &RealHosts, host: &LabHost, user: &str) -> Vec<String> {
    make(hands, host, &at(host, user, "one"), &wishes(host, "one")).await.unwrap_or_else(|it| panic!("{it:?}"));
    let noted = ours(hands, host, &at(host, user, "one")).await;
    make(hands, host, &at(host, user, "two"), &wishes(host, "two")).await.unwrap_or_else(|it| panic!("{it:?}"));
    let keys = ours(hands, host, &at(host, user, "two")).await;
    assert!(noted.iter().all(|key| keys.contains(key)), "{noted:?} {keys:?}");
    for key in ["file /etc/new/ünï 100%/cödé's.conf", "package lab-one", "package lab-two", "ssh daemon", "user guest"]
    {
        assert!(keys.contains(&key.to_string()), "{keys:?}");
    }
    assert!(!keys.contains(&"package coreutils".to_string()), "{keys:?}");
    keys
}

fn assert_same(before: &[String], after: &[String]) {
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(gone.is_empty() && new.is_empty(), "gone: {gone:#?}\nnew: {new:#?}");
}

#[tokio::test]
async fn a_host_is_left_as_it_was() {
    let Some(lab) = Lab::open() else { return };
    for user in ["root", "admin"] {
        let host = lab.prepared("one", THEIRS);
        let home = tempfile::tempdir().expect("a folder");
        let hands = hands(home.path());
        let before = listing(&host);
        let keys = made_twice(&hands, &host, user).await;
        let way = at(&host, user, "two");
        let report = unmake(&hands, &host, &way, &keys).await.unwrap_or_else(|error| panic!("{error:?}"));
        assert!(report.changed, "{report:?}");
        assert_eq!(report.told, [format!("the SSH daemon listens on port {PORT} again")]);
        assert_same(&before, &listing(&host));
        assert_eq!(ours(&hands, &host, &way).await, Vec::<String>::new());
        assert!(!unmake(&hands, &host, &way, &keys).await.expect("it is as it was").changed);
        assert_same(&before, &listing(&host));
        // Who comes later finds the daemon where it was, also by a way that knows nothing of that port.
        let later = self::hands(home.path());
        assert!(look(&later, &host, &way, &[]).await.present().is_some());
        assert!(look(&later, &host, &self::way(&host, user), &[]).await.present().is_some());
    }
}

#[tokio::test]
async fn leaving_that_is_cut_off_is_finished_by_the_next_run() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.prepared("one", THEIRS);
    let home = tempfile::tempdir().expect("a folder");
    let hands = hands(home.path());
    let before = listing(&host);
    let keys = made_twice(&hands, &host, "root").await;
    let way = at(&host, "root", "two");
    // The whole script is killed in its middle, and in the next run a program of the host fails.
    for (fault, told) in [("kill -KILL 0", ""), ("echo no >&2; exit 1", "no")] {
        host.sh(&format!(
            "printf '#!/bin/sh\\n{fault}\\n' >/usr/local/sbin/userdel; chmod 755 /usr/local/sbin/userdel"
        ));
        let error = unmake(&hands, &host, &way, &keys).await.expect_err("it is cut off");
        assert!(error.to_string().contains(told), "{error}");
        assert!(!ours(&hands, &host, &way).await.is_empty());
    }
    host.sh("rm /usr/local/sbin/userdel");
    let rest = ours(&hands, &host, &way).await;
    assert!(rest.len() < keys.len() && rest.contains(&"user deploy".to_string()), "{rest:?}");
    assert!(unmake(&hands, &host, &way, &rest).await.expect("it is finished").changed);
    assert_same(&before, &listing(&host));
}
