//! Which server is asked, and by which kubeconfig.

use kubewright_engine::cluster::ClusterApi as _;
use kubewright_engine::store::Store as _;
use kubewright_model::desired::Desired;
use kubewright_model::observed::Seen;

use super::{Quiet, hands, here};
use crate::plane::Plane;

/// The kubeconfig names a server that is dead; another one answers.
pub(super) async fn any_address_will_do(plane: &Plane, desired: &Desired) {
    let dead = plane.kubeconfig.replace(&format!("127.0.0.1:{}", plane.port), "127.0.0.1:1");
    let (hands, _) = hands(desired, Some(&dead), Quiet::default(), &plane.at(""));
    let seen = hands.observe(desired).await;
    assert!(seen.present().is_some_and(|seen| seen.nodes.len() == desired.members.len()), "{seen:?}");
}

/// The store is lost, or a colleague built the cluster.
pub(super) async fn a_lost_kubeconfig_is_read_from_a_server(plane: &Plane, desired: &Desired) {
    let server = desired.servers().next().unwrap().name.clone();
    let mut hosts = Quiet::all(desired, true);
    let (mute, _) = hands(desired, None, hosts.clone(), &plane.at(""));
    let seen = mute.observe(desired).await;
    let why = seen.why_unknown().expect("it serves, and nobody gets in").to_string();
    assert!(why.starts_with("no kubeconfig of it is kept here; ") && why.contains(server.as_str()), "{why}");
    hosts.kubeconfig = Some(plane.kubeconfig.clone());
    let (finds, store) = hands(desired, None, hosts.clone(), &plane.at(""));
    assert!(matches!(finds.observe(desired).await, Seen::Present(_)));
    let kept = store.secret(&desired.cluster, "kubeconfig").unwrap().unwrap();
    assert_eq!(*kept.expose(), plane.kubeconfig);
    // One that is kept from an older cluster opens nothing any more.
    let older = plane.kubeconfig.replace("the-token", "an-older-token");
    let (finds, store) = hands(desired, Some(&older), hosts.clone(), &plane.at(""));
    assert!(matches!(finds.observe(desired).await, Seen::Present(_)));
    assert_eq!(*store.secret(&desired.cluster, "kubeconfig").unwrap().unwrap().expose(), plane.kubeconfig);
    // A host that lies runs nothing here.
    let exec = "user: { exec: { apiVersion: client.authentication.k8s.io/v1, command: touch, args: [/tmp/pwned] } }";
    hosts.kubeconfig = Some(plane.kubeconfig.replace("user: { token: the-token }", exec));
    let (wary, _) = hands(desired, None, hosts, &plane.at(""));
    let seen = wary.observe(desired).await;
    let why = seen.why_unknown().expect("it is refused").to_string();
    assert!(why.contains("it names a file or a program on this computer"), "{why}");
}

/// The cluster lives where the spec's hosts do not say that it does, and the way in is lost.
pub(super) async fn a_cluster_that_lets_nobody_in_is_there(plane: &Plane, desired: &Desired) {
    let older = plane.kubeconfig.replace("the-token", "an-older-token");
    let clean = Quiet::all(desired, false);
    let (refused, _) = hands(desired, Some(&older), clean.clone(), &plane.at(""));
    let seen = refused.observe(desired).await;
    let why = seen.why_unknown().expect("it answers, so it is there").to_string();
    assert!(why.contains("401"), "{why}");
    let asleep = Quiet { asleep: true, ..clean };
    let (refused, _) = hands(desired, Some(&older), asleep, &plane.at(""));
    assert!(refused.observe(desired).await.why_unknown().is_some(), "whoever sleeps does not answer");
}

/// Somebody listens, and is no API server: a load balancer with nobody behind it.
#[tokio::test]
async fn only_a_refusal_says_that_clean_hosts_are_all_there_is() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hangs_up = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let desired = here(port);
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{ name: c, cluster: {{ server: \"https://127.0.0.1:{port}\" \
         }} }}]\ncontexts: [{{ name: c, context: {{ cluster: c, user: u }} }}]\nusers: [{{ name: u, user: {{ token: t }} }}]\n"
    );
    let seen = async |hosts| hands(&desired, Some(&kubeconfig), hosts, folder.path()).0.observe(&desired).await;
    let clean = Quiet::all(&desired, false);
    let asleep = Quiet { asleep: true, ..clean.clone() };
    let unsure = seen(clean.clone()).await;
    assert!(unsure.why_unknown().is_some(), "a second cluster would be begun: {unsure:?}");
    assert!(matches!(seen(asleep).await, Seen::Absent), "it is to be woken");
    hangs_up.abort();
    let _ = hangs_up.await;
    assert!(matches!(seen(clean).await, Seen::Absent), "nobody listens anywhere");
}
