//! What K3s, Proxmox, HAProxy and Helm demand of what the compilers write, one demand for each test.

use kubewright_model::desired::Desired;
use kubewright_model::host::HostResource;
use kubewright_model::spec::load;

/// Three servers behind HAProxy, and an agent, all in containers.
const LAB: &str = include_str!("demands/lab.yaml");

fn lab() -> Desired {
    changed(&[])
}

/// The lab with pieces of its text put in the place of others.
fn changed(pieces: &[(&str, &str)]) -> Desired {
    let mut text = LAB.to_string();
    for (from, to) in pieces {
        assert!(text.contains(from), "the lab does not hold `{from}`");
        text = text.replace(from, to);
    }
    let loaded = load(&text).unwrap_or_else(|found| panic!("{found:#?}"));
    super::lower(&loaded.file).0
}

fn resources<'d>(desired: &'d Desired, host: &str) -> &'d [HostResource] {
    &desired.hosts.iter().find(|it| it.name.as_str() == host).unwrap().resources
}

/// A file or a unit of a host, as text.
fn text(desired: &Desired, host: &str, name: &str) -> String {
    let texts = resources(desired, host).iter().find_map(|resource| match resource {
        HostResource::File(file) if file.path == name => Some(file.content.to_string()),
        HostResource::Unit(unit) if unit.name == name => unit.content.as_ref().map(ToString::to_string),
        _ => None,
    });
    texts.unwrap_or_else(|| panic!("{host} has no {name}"))
}

#[test]
fn haproxy_takes_the_answer_of_an_api_that_wants_credentials() {
    let text_of = |distribution: &str, version: &str| {
        let pieces = [("distribution: k3s", distribution), ("v1.31.4+k3s1", version)];
        text(&changed(&pieces), "front", "/etc/haproxy/haproxy.cfg")
    };
    // K3s, RKE2 and Talos start the API server with anonymous-auth=false: a stranger gets 401, and that it lives.
    let closed = "http-check expect rstatus ^(200|401)$";
    assert!(text_of("distribution: k3s", "v1.31.4+k3s1").contains(closed));
    assert!(text_of("distribution: rke2", "v1.31.4+rke2r1").contains(closed));
    assert!(text_of("distribution: kubeadm", "v1.31.4").contains("http-check expect status 200"));
}
