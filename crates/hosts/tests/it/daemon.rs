//! The SSH daemon moves while we are in, and nobody is locked out.

use kubewright_model::host::SshDaemonWish;

use super::*;

const ELSEWHERE: u16 = 2223;

fn wish() -> HostResource {
    HostResource::SshDaemon(SshDaemonWish { port: ELSEWHERE, harden: true })
}

fn moved(way: Way) -> Way {
    Way { port: ELSEWHERE, port_before: Some(PORT), ..way }
}

#[tokio::test]
async fn the_daemon_moves_and_we_go_along() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()), moved(way(&host, "admin")));
    let before = look(&hands, &host, &way, &[wish()]).await;
    assert_ne!(
        before.present().expect("it is where it was before").settings.get("ssh daemon"),
        wish().setting().as_ref()
    );
    assert!(make(&hands, &host, &way, &[wish()]).await.expect("it moves").changed);
    let after = look(&hands, &host, &way, &[wish()]).await;
    assert_eq!(after.present().expect("it answers").settings.get("ssh daemon"), wish().setting().as_ref());
    assert!(!make(&hands, &host, &way, &[wish()]).await.expect("it is done").changed);
    assert_eq!(host.sh("ls /var/lib/kubewright/sshd | grep -c -e unproven -e pending || true").trim(), "0");
    // Who comes later finds it at the new port, and nobody is at the old one.
    let closed = std::net::TcpStream::connect((host.address, PORT));
    assert!(closed.is_err(), "{closed:?}");
    assert!(look(&self::hands(home.path()), &host, &way, &[]).await.present().is_some());
}

#[tokio::test]
async fn a_new_way_that_leads_nowhere_is_taken_back() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let hands = hands(home.path());
    // Something between us and the host lets nobody through to the new port.
    let way = Way { port: ELSEWHERE + 1, ..moved(way(&host, "admin")) };
    let before = host.sh("cat /etc/ssh/sshd_config");
    let error = make(&hands, &host, &way, &[wish()]).await.expect_err("nobody gets in");
    let told = error.to_string();
    assert!(told.contains("nobody gets in any more") && told.contains("what was there before is back"), "{told}");
    assert_eq!(host.sh("cat /etc/ssh/sshd_config"), before);
    assert_eq!(host.sh("ls /etc/ssh/sshd_config.d"), "");
    let again = look(&self::hands(home.path()), &host, &way, &[]).await;
    assert!(again.present().is_some(), "{again:?}");
}

#[tokio::test]
async fn a_run_that_dies_before_it_proves_the_new_way_is_made_good_by_the_next() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let way = moved(way(&host, "root"));
    assert!(make(&hands(home.path()), &host, &way, &[wish()]).await.expect("it moves").changed);
    host.sh(": >/var/lib/kubewright/sshd/unproven");
    assert!(make(&hands(home.path()), &host, &way, &[wish()]).await.expect("it is proven").changed);
    assert!(!make(&hands(home.path()), &host, &way, &[wish()]).await.expect("it is done").changed);
}
