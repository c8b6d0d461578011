//! keepalived's file, and what else lets several hosts of a load balancer hand one address on: VRRP.
//! <https://www.keepalived.org/manpage.html>

use std::collections::BTreeSet;
use std::fmt::Write as _;

use kubewright_model::desired::{DesiredProxy, ProxyBalancer};
use kubewright_model::host::{FileWish, HostResource, Judge, UnitRun, UnitWish};
use kubewright_model::spec::load_balancers::Floating;
use kubewright_model::text::Text;

/// Where keepalived reads it.
const CONFIG: &str = "/etc/keepalived/keepalived.conf";

/// Who holds an address loses it when its HAProxy ends, not only when the host does. keepalived can hear of a process' end
/// from the kernel as well, but not in a container.
const HEAD: &str = "global_defs {\n    script_user nobody\n    enable_script_security\n}\n\n\
    vrrp_script haproxy {\n    script \"/usr/bin/systemctl is-active --quiet haproxy.service\"\n    \
    interval 2\n    timeout 2\n    fall 2\n    rise 2\n}\n";

/// The first host of a pool holds an address while all of them are well; each further one is that much behind.
const FIRST: u8 = 200;

/// All that is true of a host that shares addresses with others; nothing of one that shares none.
pub(crate) fn resources(proxy: &DesiredProxy) -> Vec<HostResource> {
    let mut addresses = BTreeSet::new();
    let floating = proxy.balancers.iter().filter_map(|balancer| Some((balancer, balancer.spec.floating.as_ref()?)));
    // Several load balancers may share one.
    let floating = floating.filter(|(_, floating)| addresses.insert(floating.address));
    let instances: Vec<String> = floating.map(|(balancer, floating)| instance(proxy, balancer, floating)).collect();
    if instances.is_empty() {
        return Vec::new();
    }
    let text = Text::known(format!("{HEAD}{}", instances.concat()));
    let reads = text.fingerprint();
    vec![
        HostResource::Package("keepalived".into()),
        HostResource::File(FileWish { judge: Some(Judge::Keepalived), ..FileWish::new(CONFIG, text, 0o644) }),
        HostResource::Unit(UnitWish {
            name: "keepalived.service".into(),
            content: None,
            enabled: true,
            run: UnitRun::Reloading,
            reads,
        }),
    ]
}

/// Whoever holds the address keeps it until it fails: one that comes back takes it from nobody, for that would cut every
/// connection once more. Between hosts whose addresses are known it needs no multicast, which networks like to drop.
fn instance(proxy: &DesiredProxy, balancer: &ProxyBalancer, floating: &Floating) -> String {
    let (name, interface, address) = (&balancer.name, &floating.interface, floating.address);
    let behind = u8::try_from(proxy.turn).unwrap_or(u8::MAX).min(FIRST - 1);
    let mut text = format!(
        "\nvrrp_instance {name} {{\n    state BACKUP\n    nopreempt\n    interface {interface}\n    \
         virtual_router_id {}\n    priority {}\n    advert_int 1\n",
        floating.router(),
        FIRST - behind
    );
    if let Some(own) = proxy.address.filter(|own| !proxy.peers.is_empty() && own.is_ipv6() == address.is_ipv6()) {
        let peers: String = proxy.peers.iter().map(|peer| format!("        {peer}\n")).collect();
        let _ = write!(text, "    unicast_src_ip {own}\n    unicast_peer {{\n{peers}    }}\n");
    }
    let prefix = if address.is_ipv6() { 128 } else { 32 };
    let _ = write!(
        text,
        "    virtual_ipaddress {{\n        {address}/{prefix}\n    }}\n    track_script {{\n        haproxy\n    }}\n}}\n"
    );
    text
}
