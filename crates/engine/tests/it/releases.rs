//! Releases of the pretend cluster: what becomes of those that fail.

use kubewright_engine::sim;
use kubewright_model::observed::ReleaseSeen;
use kubewright_model::plan::Ask;

use crate::yard::{Yard, desired, words};

/// One server that exists already, and one chart with so many replicas.
fn spec(replicas: u32, on_failure: &str) -> String {
    format!(
        "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{ name: lab }}\nspec:\n  \
         kubernetes: {{ distribution: k3s, version: v1.31.4+k3s1 }}\n  network: {{ cidr: 10.0.0.0/24 }}\n  pools:\n    \
         server: {{ role: both, name: server, addresses: [10.0.0.1], existing: {{}} }}\n  addons:\n    \
         onFailure: {on_failure}\n    charts:\n      web: {{ chart: ./web, namespace: apps, values: {{ replicas: {replicas} }} }}\n"
    )
}

async fn seen(yard: &Yard) -> Option<ReleaseSeen> {
    let (observed, _) = yard.plan(&Ask::Apply, &[]).await;
    let cluster = observed.cluster.as_ref().and_then(|seen| seen.present()).expect("it is there");
    cluster.release(&yard.desired.releases[0]).cloned()
}

fn cordon(yard: &Yard, cordoned: bool) {
    yard.centre.alter(|state| state.cluster.nodes.values_mut().for_each(|node| node.cordoned = cordoned));
}

#[test]
fn one_that_fails_is_left_or_put_back_as_the_spec_says() {
    let told = |on_failure: &str, first: bool| {
        sim::run(async {
            let mut yard = Yard::new(desired(&spec(1, on_failure)), 7);
            let only = ["machines".to_string(), "hosts".into(), "control-plane".into()];
            let built = yard.run_to_the_end(&Ask::Apply, if first { &only } else { &[] }, 1).await;
            assert_eq!(built, ["complete"]);
            let before = seen(&yard).await;
            yard.wish(desired(&spec(2, on_failure)));
            cordon(&yard, true);
            let (ended, _) = yard.run(&Ask::Apply, &[]).await;
            let after = seen(&yard).await;
            cordon(&yard, false);
            assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
            (words(&ended), before, after)
        })
        .unwrap()
    };
    for first in [true, false] {
        let (words, before, after) = told("rollback", first);
        let says = if first { "; nothing of it is installed now" } else { "; it was rolled back" };
        assert!(words.ends_with(says), "{words}");
        // What a plan would make of it is another wish's.
        let bare = |seen: &Option<ReleaseSeen>| seen.clone().map(|seen| ReleaseSeen { rendered: None, ..seen });
        assert_eq!((before.is_none(), bare(&after)), (first, bare(&before)));
        let (words, _, after) = told("leave", first);
        assert!(words.ends_with("; its newest revision is failed, and is left so"), "{words}");
        assert!(after.is_some_and(|after| !after.deployed));
    }
}
