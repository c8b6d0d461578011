//! The versions on the way, from where servers and agents are.

use kubewright_model::observed::{ClusterSeen, NodeSeen};
use kubewright_model::spec::load::load;

use super::*;

fn desired(distribution: &str, version: &str, more: &str) -> Desired {
    let text = format!(
        "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{ name: lab }}\nspec:\n  kubernetes:\n    \
         distribution: {distribution}\n    version: {version}\n{more}  network: {{ cidr: 10.0.0.0/24, gateway: 10.0.0.1 }}\n  \
         pools:\n    server: {{ role: server, names: [server-1, server-2, server-3], addresses: [10.0.0.11-13], existing: {{}} }}\n    \
         agent: {{ role: agent, names: [agent-1], addresses: [10.0.0.21], existing: {{}} }}\n"
    );
    let loaded = load(&text).expect("it is well-formed");
    crate::lower::meaning(&loaded.file)
}

/// The versions that are gone through from where the servers and the agent are.
fn goes(desired: &Desired, servers: [&str; 3], agent: &str) -> Result<Vec<String>, (u64, u64)> {
    let names = ["server-1", "server-2", "server-3", "agent-1"];
    let runs = servers.into_iter().chain([agent]);
    let node = |(name, version): (&str, &str)| {
        let node = NodeSeen {
            ready: true,
            cordoned: false,
            version: Version::known(version),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            given: Default::default(),
            server: name.starts_with("server"),
            address: None,
        };
        (NodeName::new(name), node)
    };
    let nodes = names.into_iter().zip(runs).map(node).collect();
    let hosts = names.map(|name| (NodeName::new(name), Seen::Present(Default::default())));
    let cluster = ClusterSeen { nodes, ..ClusterSeen::default() };
    let observed = Observed { cluster: Some(Seen::Present(cluster)), hosts: hosts.into(), ..Observed::default() };
    way(desired, &observed).map(|way| way.iter().map(ToString::to_string).collect())
}

fn all(desired: &Desired, version: &str) -> Vec<String> {
    goes(desired, [version; 3], version).expect("there is a way")
}

#[test]
fn one_minor_version_is_one_step() {
    let k3s = desired("k3s", "v1.32.5+k3s1", "");
    for there in ["v1.31.4+k3s1", "v1.32.1+k3s1", "v1.32.5+k3s1"] {
        assert_eq!(all(&k3s, there), [""; 0], "{there}");
    }
}

#[test]
fn no_minor_version_is_skipped() {
    let kubeadm = desired("kubeadm", "v1.34.2", "");
    assert_eq!(all(&kubeadm, "v1.31.4"), ["v1.32.13", "v1.33.13"]);
    assert_eq!(all(&kubeadm, "v1.32.9"), ["v1.33.13"]);
    let named = desired("kubeadm", "v1.34.2", "    through: [v1.33.4]\n");
    assert_eq!(all(&named, "v1.31.4"), ["v1.32.13", "v1.33.4"]);
}

#[test]
fn a_version_that_nobody_knows_is_named() {
    assert_eq!(goes(&desired("kubeadm", "v1.31.2", ""), ["v1.28.1"; 3], "v1.28.1"), Err((1, 29)));
}

#[test]
fn etcd_is_what_it_has_to_be_before_3_6() {
    for (distribution, build, stones) in [
        ("k3s", "+k3s1", ["v1.32.13+k3s1", "v1.33.10+k3s1", "v1.33.13+k3s2"]),
        ("rke2", "+rke2r1", ["v1.32.13+rke2r1", "v1.33.10+rke2r3", "v1.33.13+rke2r2"]),
    ] {
        let wish = desired(distribution, &format!("v1.34.11{build}"), "");
        let from = |there: &str| all(&wish, &format!("{there}{build}"));
        assert_eq!(from("v1.33.4"), [stones[1]], "the newest of 1.33 has an etcd of 3.6 itself");
        assert_eq!(from("v1.33.9"), [""; 0], "it has 3.5.26");
        assert_eq!(from("v1.32.5"), [stones[0], stones[2]]);
        assert_eq!(from("v1.32.12"), [stones[2]]);
        assert_eq!(from("v1.31.4"), [stones[0], stones[2]]);
    }
}

#[test]
fn sqlite_needs_no_step_for_etcd() {
    assert_eq!(all(&desired("k3s", "v1.34.11+k3s1", "    datastore: sqlite\n"), "v1.33.4+k3s1"), [""; 0]);
}

#[test]
fn a_way_that_was_cut_is_gone_on_with() {
    let wish = desired("kubeadm", "v1.34.2", "");
    let goes = |servers, agent| goes(&wish, servers, agent).expect("there is a way");
    assert_eq!(goes(["v1.32.13", "v1.31.4", "v1.31.4"], "v1.31.4"), ["v1.32.13", "v1.33.13"]);
    assert_eq!(
        goes(["v1.33.14", "v1.32.13", "v1.32.13"], "v1.32.13"),
        ["v1.33.14"],
        "who is further is not taken back"
    );
    assert_eq!(goes(["v1.34.2", "v1.33.13", "v1.33.13"], "v1.33.13"), [""; 0]);
    assert_eq!(goes(["v1.33.13"; 3], "v1.32.13"), ["v1.33.13"], "agents come along first");
}

#[test]
fn who_collects_an_upgrade_collects_every_version_of_its_way() {
    let from = |distribution, version, from| {
        let way = meanings(&desired(distribution, version, ""), &Version::known(from));
        way.map(|way| way.iter().map(|leg| leg.kubernetes.version.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(from("k3s", "v1.33.13+k3s2", "v1.33.4+k3s1"), Ok(vec!["v1.33.10+k3s1".into()]));
    assert_eq!(
        from("kubeadm", "v1.34.2", "v1.33.4"),
        Ok(vec!["v1.33.4".into()]),
        "who is lost meanwhile joins with it"
    );
    assert_eq!(from("rke2", "v1.33.4+rke2r1", "v1.33.3+rke2r1"), Ok(Vec::new()));
}
