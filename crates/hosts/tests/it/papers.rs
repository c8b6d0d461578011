//! Papers for doctor, over a real OpenSSH server.

use kubewright_hosts::Hosts as _;
use kubewright_model::observed::Seen;

use super::{Lab, hands, way};

#[tokio::test]
async fn one_round_trip_brings_all_papers() {
    let Some(lab) = Lab::open() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let host = lab.host("one");
    host.sh("mkdir -p /etc/containerd && printf 'disabled_plugins = [\"cri\"]\\npassword = \"planted-password\"\\n' >/etc/containerd/config.toml");
    // Who may only sudo sees as much as root. Hands keep one connection to a host, so each user has hands of its own.
    for user in ["root", "admin"] {
        let Seen::Present(papers) = hands(home.path()).examine(&host.name, &way(&host, user)).await else {
            panic!("{user} gets in")
        };
        assert!(papers.text("df").is_some_and(|text| text.contains("Mounted on")), "{papers:?}");
        assert!(papers.text("listening").is_none_or(|text| text.contains(":2222")), "{papers:?}");
        let clock: u64 = papers.text("clock").and_then(|text| text.trim().parse().ok()).expect("it has a clock");
        assert!(clock.abs_diff(papers.asked) <= 2, "{clock} beside {}", papers.asked);
        let config = papers.text("containerd-config").expect("it is there");
        assert_eq!(config, "disabled_plugins = [\"cri\"]\n");
        assert!(papers.lacks("haproxy-check"), "there is no HAProxy");
    }
    let nobody = hands(home.path()).examine(&host.name, &way(&host, "nobody-knows")).await;
    assert!(nobody.why_unknown().is_some(), "{nobody:?}");
}
