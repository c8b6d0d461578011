//! What people read when a host does not do as it should, and that running again finishes the job.

use super::*;

async fn unseen(hands: &RealHosts, host: &LabHost, way: &Way) -> String {
    let seen = look(hands, host, way, &[]).await;
    seen.why_unknown().unwrap_or_else(|| panic!("{seen:?}")).to_string()
}

#[tokio::test]
async fn another_host_key_stops_everything_with_both_fingerprints() {
    let mut host = LabHost::start("one");
    let home = tempfile::tempdir().expect("a folder");
    let way = way(&host, "root");
    assert!(look(&hands(home.path()), &host, &way, &[]).await.present().is_some());
    host.power_off();
    let print = |name: &str| {
        let output = std::process::Command::new("ssh-keygen").arg("-lf").arg(host.at(name)).output();
        let output = String::from_utf8(output.expect("it is installed").stdout).expect("it is text");
        output.split_whitespace().nth(1).expect("a fingerprint").to_string()
    };
    let (known, shown) = (print("host"), print("stranger"));
    std::fs::copy(host.at("stranger"), host.at("host")).expect("a copy");
    host.power_on();
    let why = unseen(&hands(home.path()), &host, &way).await;
    assert!(why.contains(&known) && why.contains(&shown), "{why}");
    let error = make(&hands(home.path()), &host, &way, &[file("/etc/one", "1")]).await.expect_err("it is another");
    assert!(!error.may_pass());
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_is_finished_by_the_next_run() {
    let mut host = LabHost::start("one");
    let home = tempfile::tempdir().expect("a folder");
    let hands = hands(home.path());
    let way = way(&host, "root");
    // The first write of a file whose name is known kills the connection under itself.
    let trap = "printf '#!/bin/sh\\n[ -e /once ] || { : >/once; kill -9 \"$(cat /run/session)\"; sleep 5; }\\n\
        exec /usr/bin/mv \"$@\"\\n' >/usr/local/sbin/mv; chmod 755 /usr/local/sbin/mv";
    host.sh(trap);
    assert!(look(&hands, &host, &way, &[]).await.present().is_some());
    host.sh("pgrep -f 'sshd: root' | head -n 1 >/run/session");
    let resources: Vec<HostResource> = (0..20).map(|number| file(&format!("/etc/many/{number}"), "text\n")).collect();
    let error = make(&hands, &host, &way, &resources).await.expect_err("it was cut");
    assert!(error.may_pass() && error.to_string().contains("cut"), "{error}");
    assert!(make(&hands, &host, &way, &resources).await.expect("it is finished").changed);
    assert!(!make(&hands, &host, &way, &resources).await.expect("it is finished").changed);
    assert_eq!(host.sh("ls -A /etc/many | wc -l").trim(), "20", "nothing else lies there");
    // A host that went away entirely says so, at the layer of the network, and comes back.
    host.power_off();
    let error = make(&hands, &host, &way, &resources).await.expect_err("it is off");
    assert!(error.may_pass(), "{error}");
    host.power_on();
    assert!(make(&hands, &host, &way, &resources).await.expect("it is back, as it came").changed);
}

#[tokio::test]
async fn sudo_that_wants_a_password_is_told_as_that() {
    let host = LabHost::start("one");
    let home = tempfile::tempdir().expect("a folder");
    let why = unseen(&hands(home.path()), &host, &way(&host, "guest")).await;
    assert!(why.contains("(sudo)") && why.contains("a password is required"), "{why}");
    let host = LabHost::prepared("two", "rm /usr/bin/sudo");
    let why = unseen(&hands(home.path()), &host, &way(&host, "admin")).await;
    assert!(why.contains("(sudo)") && why.contains("not found"), "{why}");
}

#[tokio::test]
async fn a_key_that_is_not_let_in_is_named() {
    let host = LabHost::start("one");
    let home = tempfile::tempdir().expect("a folder");
    let stranger = host.at("stranger").display().to_string();
    let way = Way { key_file: Some(stranger.clone().into()), ..way(&host, "root") };
    let why = unseen(&hands(home.path()), &host, &way).await;
    assert!(why.contains("root is not let in") && why.contains(&stranger), "{why}");
}

#[tokio::test]
async fn a_disk_that_is_full_or_cannot_be_written_is_told_by_its_file() {
    let host = LabHost::prepared(
        "one",
        "mkdir /full /fixed
        echo old >/fixed/one",
    );
    host.sh("mount -t tmpfs -o size=64k tmpfs /full && mount --bind /fixed /fixed && mount -o remount,bind,ro /fixed");
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()), way(&host, "root"));
    let big = file("/full/big", &"x".repeat(200_000));
    let error = make(&hands, &host, &way, std::slice::from_ref(&big)).await.expect_err("there is no room");
    assert!(error.to_string().contains("writing /full/big") && error.to_string().contains("No space left"), "{error}");
    assert_eq!(host.sh("ls -A /full"), "", "no half of it is left");
    host.sh("mount -o remount,size=1m /full");
    assert!(make(&hands, &host, &way, &[big]).await.expect("there is room now").changed);
    let error = make(&hands, &host, &way, &[file("/fixed/one", "new")]).await.expect_err("it is read-only");
    assert!(error.to_string().contains("Read-only file system"), "{error}");
}
