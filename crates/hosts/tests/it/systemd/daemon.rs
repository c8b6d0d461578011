//! The SSH daemon moves, whether it listens itself or systemd does that for it, and nobody is locked out.

use std::time::Duration;

use kubewright_model::host::SshDaemonWish;

use super::*;

const ELSEWHERE: u16 = 2223;
/// Both ways in which Debian runs it: the second is the user's own, with the file that `systemctl edit` writes.
const KINDS: [(&str, &str); 2] = [
    ("service", ""),
    (
        "socket",
        "cd etc/systemd/system
        rm multi-user.target.wants/ssh.service
        mkdir -p sockets.target.wants ssh.socket.d
        ln -s /usr/lib/systemd/system/ssh.socket sockets.target.wants/
        printf '[Socket]\\nListenStream=\\nListenStream=2222\\n' >ssh.socket.d/override.conf",
    ),
];

fn wish() -> HostResource {
    HostResource::SshDaemon(SshDaemonWish { port: ELSEWHERE, harden: true })
}

fn moved(host: &BootedHost) -> Way {
    Way { port: ELSEWHERE, port_before: Some(PORT), ..way(host, "admin") }
}

fn listens(host: &BootedHost) -> String {
    host.sh("ss -Hlnt | awk '{ print $4 }' | grep -o '222[0-9]$' | sort -u | tr '\\n' ' '").trim().to_string()
}

/// Each kind of daemon on a host of its own.
fn each<F: Future<Output = ()>>(test: impl Fn(BootedHost) -> F) {
    for (kind, prepare) in KINDS {
        let host = BootedHost::prepared(kind, prepare);
        assert_eq!(host.sh(&format!("systemctl is-enabled ssh.{kind}")), "enabled\n");
        block_on(test(host));
    }
}

async fn moves(host: BootedHost) {
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()), moved(&host));
    let report = make(&hands, &host, &way, &[wish()]).await.unwrap_or_else(|error| panic!("{}: {error:?}", host.name));
    assert!(report.changed);
    assert_eq!(listens(&host), "2223", "{}", host.name);
    assert!(!make(&hands, &host, &way, &[wish()]).await.expect("it is done").changed);
    assert_eq!(host.sh("ls /var/lib/kubewright/sshd | grep -c -e unproven -e pending || true").trim(), "0");
    assert_eq!(host.sh("ls /etc/systemd/system | grep kubewright || true"), "");
    // It stays so, and who comes later finds it there.
    host.sh("systemctl reboot");
    host.is_up(2);
    let seen = look(&hands, &host, &way, &[wish()]).await;
    let seen = seen.present().unwrap_or_else(|| panic!("{seen:?}"));
    assert_eq!(seen.settings.get("ssh daemon"), wish().setting().as_ref());
    assert_eq!(listens(&host), "2223", "{}", host.name);
    assert!(!make(&self::hands(home.path()), &host, &way, &[wish()]).await.expect("it is done").changed);
    assert_eq!(
        host.sh("sshd -T | grep -e ^passwordauth -e ^permitroot -e ^kbdinter | sort"),
        "kbdinteractiveauthentication no\npasswordauthentication no\npermitrootlogin no\n"
    );
}

#[test]
fn the_daemon_moves_and_stays_there() {
    world(|| each(moves));
}

/// The new port is shut by somebody between us and the daemon.
async fn is_taken_back(host: BootedHost) {
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()), moved(&host));
    let shut = format!("iptables -A INPUT -p tcp --dport {ELSEWHERE} -j REJECT --reject-with tcp-reset");
    host.sh(&shut);
    let before = host.sh("cat /etc/ssh/sshd_config");
    let error = make(&hands, &host, &way, &[wish()]).await.expect_err("nobody gets in").to_string();
    assert!(error.contains("nobody gets in any more") && error.contains("what was there before is back"), "{error}");
    assert_eq!(host.sh("cat /etc/ssh/sshd_config"), before);
    assert_eq!(
        host.sh("ls /etc/ssh/sshd_config.d /etc/systemd/system/ssh.socket.d 2>/dev/null | grep kubew || true"),
        ""
    );
    assert_eq!(listens(&host), "2222", "{}", host.name);
    assert!(look(&self::hands(home.path()), &host, &self::way(&host, "admin"), &[]).await.present().is_some());
    // Whoever opens it finds the job finished by the next run.
    host.sh(&shut.replace("-A", "-D"));
    assert!(make(&hands, &host, &way, &[wish()]).await.expect("it moves").changed);
    assert_eq!(listens(&host), "2223");
}

#[test]
fn a_new_port_that_is_shut_is_taken_back() {
    world(|| each(is_taken_back));
}

/// We are gone before we came in by the new way: nothing of ours is there to take it back.
async fn leave_unproven(host: &BootedHost, home: &Path) {
    host.sh(&format!("iptables -A INPUT -p tcp --dport {ELSEWHERE} -j DROP"));
    let (hands, way, change) = (hands(home), moved(host), [wish()]);
    let gone = async {
        while listens(host) != "2223" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    tokio::select! {
        made = make(&hands, host, &way, &change) => panic!("{made:?}"),
        () = gone => {}
    }
}

async fn goes_back_by_itself(host: BootedHost) {
    let home = tempfile::tempdir().expect("a folder");
    leave_unproven(&host, home.path()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(host.sh("ss -Hnt state established sport = :2222 | wc -l").trim(), "0", "our connection is closed");
    assert_eq!(listens(&host), "2223");
    // Its time comes sooner than it would.
    host.sh("kill $(pgrep -x sleep)");
    is_back(&host, home.path()).await;
}

/// The shell that waits ends with the boot.
async fn goes_back_at_a_boot(mut host: BootedHost) {
    let home = tempfile::tempdir().expect("a folder");
    leave_unproven(&host, home.path()).await;
    assert_eq!(listens(&host), "2223");
    host.power_off();
    host.power_on();
    is_back(&host, home.path()).await;
}

async fn is_back(host: &BootedHost, home: &Path) {
    // Nothing of what brings it back is left either.
    while listens(host) != "2222" || !host.sh("ls /etc/systemd/system | grep kubewright || true").is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let way = way(host, "admin");
    assert!(look(&hands(home), host, &way, &[]).await.present().is_some());
}

#[test]
fn a_new_way_that_nobody_came_by_is_closed_by_the_next_boot() {
    world(|| each(goes_back_at_a_boot));
}

#[test]
fn a_new_way_that_nobody_came_by_is_closed_by_the_host() {
    world(|| each(goes_back_by_itself));
}
