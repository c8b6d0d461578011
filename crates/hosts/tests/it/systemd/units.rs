//! Units that really run.

use kubewright_model::digest::Digest;
use kubewright_model::host::{UnitRun, UnitWish};

use super::*;

const UNIT: &str = "[Unit]\nDescription=one\n[Service]\nType=notify\nNotifyAccess=all\nExecStart=/usr/local/bin/one\n\
    [Install]\nWantedBy=multi-user.target\n";

/// A daemon, what it reads, and its unit.
fn wishes(config: &str, unit: &str) -> Vec<HostResource> {
    let program = "#!/bin/sh\necho \"one reads $(cat /etc/one.conf)\"\nsystemd-notify --ready\nexec sleep infinity\n";
    vec![
        HostResource::File(FileWish::new("/usr/local/bin/one", program, 0o755)),
        file("/etc/one.conf", config),
        HostResource::Unit(UnitWish {
            name: "one.service".into(),
            content: Some(unit.into()),
            enabled: true,
            run: UnitRun::Running,
            reads: Digest::of(format!("{config}{unit}")),
        }),
    ]
}

fn pid(host: &BootedHost) -> String {
    host.sh("systemctl show -p MainPID --value one.service").trim().to_string()
}

/// What the daemon has read, start after start.
fn read(host: &BootedHost) -> Vec<String> {
    let journal = host.sh("journalctl --sync; journalctl -u one.service -o cat --no-pager | grep '^one reads' || true");
    journal.lines().map(|line| line.trim_start_matches("one reads ").to_string()).collect()
}

async fn lives(host: BootedHost) {
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()), way(&host, "admin"));
    let first = wishes("1\n", UNIT);
    let seen = look(&hands, &host, &way, &first).await;
    assert!(seen.present().expect("it answers").units.is_empty(), "{seen:?}");
    assert!(make(&hands, &host, &way, &first).await.expect("it starts").changed);
    assert_eq!(host.sh("systemctl is-active one; systemctl is-enabled one"), "active\nenabled\n");
    assert_eq!(read(&host), ["1"]);
    let begun = pid(&host);
    let HostResource::Unit(unit) = &first[2] else { panic!("it is the last") };
    let seen = look(&hands, &host, &way, &first).await;
    let seen = &seen.present().expect("it answers").units["one.service"];
    assert!(seen.active && seen.enabled && seen.reads.as_ref() == Some(&unit.reads), "{seen:?}");
    assert_eq!(seen.content, Some(Digest::of(UNIT)));
    assert!(!make(&hands, &host, &way, &first).await.expect("it runs").changed);
    assert_eq!(pid(&host), begun, "nobody touched it");

    // It reads something else now.
    assert!(make(&hands, &host, &way, &wishes("2\n", UNIT)).await.expect("it starts again").changed);
    assert_eq!(read(&host), ["1", "2"]);
    // A run that dies after it has written leaves this.
    let third = wishes("3\n", UNIT);
    assert!(make(&hands, &host, &way, &third[..2]).await.expect("it is written").changed);
    assert_eq!(read(&host), ["1", "2"]);
    assert!(make(&hands, &host, &way, &third).await.expect("it starts again").changed);
    assert_eq!(read(&host), ["1", "2", "3"]);
    // And this, when it had written the unit as well.
    let other = UNIT.replace("Description=one", "Description=another");
    host.sh(&format!("printf '{}' >/etc/systemd/system/one.service", other.replace('\n', "\\n")));
    assert_eq!(host.sh("systemctl show -p NeedDaemonReload --value one"), "yes\n");
    assert!(make(&hands, &host, &way, &wishes("3\n", &other)).await.expect("it starts again").changed);
    assert_eq!(host.sh("systemctl show -p NeedDaemonReload -p Description --value one"), "another\nno\n");
    assert_eq!(read(&host), ["1", "2", "3", "3"]);

    // Somebody stops it, or keeps it from the next boot.
    // By now it was started oftener than systemd likes.
    for by_hand in ["systemctl stop one", "systemctl disable one", "systemctl kill -s KILL one; sleep 0.3"] {
        host.sh(by_hand);
        assert!(make(&hands, &host, &way, &wishes("3\n", &other)).await.expect("it is mended").changed, "{by_hand}");
        assert_eq!(host.sh("systemctl is-active one; systemctl is-enabled one"), "active\nenabled\n", "{by_hand}");
    }
    assert!(!make(&hands, &host, &way, &wishes("3\n", &other)).await.expect("it runs").changed);
}

#[test]
fn a_unit_is_written_started_and_restarted_for_what_it_reads() {
    world(|| block_on(lives(BootedHost::prepared("one", ""))));
}

#[test]
fn a_unit_that_does_not_start_tells_its_journal() {
    world(|| {
        block_on(async {
            let host = BootedHost::prepared("one", "");
            let home = tempfile::tempdir().expect("a folder");
            let (hands, way) = (hands(home.path()), way(&host, "admin"));
            let mut unit =
                wishes("1\n", "[Service]\nType=oneshot\nExecStart=sh -c 'echo the cupboard is bare; exit 3'\n");
            let unit = unit.pop().expect("the unit");
            let error = make(&hands, &host, &way, std::slice::from_ref(&unit)).await.expect_err("it fails");
            assert!(error.to_string().starts_with("setting up one.service failed on one: "), "{error}");
            let HostError::Failed { log, .. } = &error else { panic!("{error:?}") };
            assert!(log.iter().any(|line| line == "the cupboard is bare"), "{log:?}");
            // It was not started with what it reads, so the next run tries again.
            make(&hands, &host, &way, std::slice::from_ref(&unit)).await.expect_err("it fails again");
            // What is no unit is told in systemd's words.
            let broken = wishes("1\n", "[Service]\nType=oneshot\n").pop().expect("the unit");
            let error = make(&hands, &host, &way, &[broken]).await.expect_err("it is none");
            assert!(
                error.to_string().ends_with("Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing."),
                "{error}"
            );
        });
    });
}
