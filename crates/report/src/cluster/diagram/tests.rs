//! What stands in the picture, and what leads where.

use serde_json::json;

use crate::cluster::tests::devboard;
use crate::{Language, Looked, document};

#[test]
fn a_haproxy_leads_to_the_control_plane() {
    let listen = json!([{ "port": 6443, "to": 6443 }, { "port": 80, "to": 80 }]);
    let balancer = json!({ "name": "api", "spec": { "by": "haproxy", "listen": listen }, "targets": [] });
    let proxies = json!([{ "host": "k3s-agent-2", "balancers": [balancer] }]);
    let mut desired = devboard();
    desired.proxies = serde_json::from_value(proxies).unwrap();
    desired.members.remove(2);
    let page = document(&desired, &Looked::default(), Language::En, "FILE");
    // The server is the third thing, the balancer the fifth, after the people and the frame.
    assert!(page.markdown().contains("  n5 --> n3\n"), "{}", page.markdown());
    assert!(page.html().contains("load balancer</text>"));
}
