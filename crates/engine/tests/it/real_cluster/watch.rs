//! Waiting for what the API tells.

use std::time::{Duration, Instant};

use kubewright_engine::cluster::{ClusterApi, RealCluster};
use kubewright_model::condition::Condition;
use kubewright_model::spec::verify::{WorkloadCheck, WorkloadKind};
use serde_json::json;

use super::conditions::check;
use crate::plane::Plane;

/// What somebody sleeps who hears nothing.
const PAUSE: Duration = Duration::from_millis(200);
/// Much less than the time after which one looks without being told.
const AT_ONCE: Duration = Duration::from_secs(8);

fn bound(name: &str) -> Condition {
    let kind = WorkloadKind::PersistentVolumeClaim;
    Condition::Workload(WorkloadCheck { kind, namespace: "default".into(), name: Some(name.into()) })
}

fn claim(plane: &Plane, name: &str) {
    let spec = json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } });
    plane.create(&[json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": { "name": name, "namespace": "default" }, "spec": spec })]);
}

fn bind(plane: &Plane, name: &str) {
    plane.status(&["pvc", name], &json!({ "phase": "Bound" }));
}

/// How long it takes until it is worth looking again.
async fn woken(hands: &RealCluster, condition: &Condition) -> Duration {
    let begun = Instant::now();
    hands.changed(condition, PAUSE).await;
    begun.elapsed()
}

/// While one waits, and between two looks.
pub(super) async fn a_change_wakes_who_waits(plane: &Plane, hands: &RealCluster) {
    claim(plane, "data");
    assert!(!check(hands, bound("data")).await.holds);
    let condition = bound("data");
    assert!(woken(hands, &condition).await < AT_ONCE, "the first time one only begins to listen");
    let (took, ()) = tokio::join!(woken(hands, &condition), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        claim(plane, "another");
        tokio::time::sleep(Duration::from_secs(1)).await;
        bind(plane, "data");
    });
    assert!(took < AT_ONCE, "{took:?}");
    assert!(took > Duration::from_secs(2), "what it is not about wakes nobody: {took:?}");
    assert!(check(hands, bound("data")).await.holds);
    plane.kubectl(&["label", "pvc", "data", "between=looks"]);
    assert!(woken(hands, &condition).await < AT_ONCE, "what came between two looks is heard");
    let begun = Instant::now();
    assert!(woken(hands, &condition).await < 3 * AT_ONCE, "one looks all the same, now and then");
    assert!(begun.elapsed() > AT_ONCE, "and not often");
}

/// The server dies under a watch, and has forgotten how far it was heard when it is back.
pub(super) async fn a_server_that_went_away_is_watched_again(plane: &mut Plane, hands: &RealCluster) {
    claim(plane, "late");
    let condition = bound("late");
    hands.changed(&condition, PAUSE).await;
    let lost = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        plane.lose_api();
    };
    let (took, ()) = tokio::join!(woken(hands, &condition), lost);
    assert!(took < AT_ONCE, "a lost watch does not wait: {took:?}");
    let said = check(hands, condition.clone()).await;
    assert!(!said.holds && said.saw.contains("does not answer"), "{said:?}");
    assert!(woken(hands, &condition).await < AT_ONCE, "nobody to listen to: a pause");
    plane.start_api();
    let mut looks = 0;
    let begun = Instant::now();
    while !check(hands, condition.clone()).await.holds {
        looks += 1;
        if looks == 3 {
            bind(plane, "late");
        }
        hands.changed(&condition, PAUSE).await;
        assert!(begun.elapsed() < Duration::from_secs(90), "{looks} looks");
    }
    assert!(looks < 12, "{looks} looks are polling");
}
