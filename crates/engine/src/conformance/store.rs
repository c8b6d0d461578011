//! Rules of stores.

use kubewright_model::event::{EVENT_FORMAT, Event, Record};
use kubewright_model::ids::{ClusterName, RunId};
use kubewright_model::secret::Secret;

use super::{Broken, Rule, Verdict, broken, rule, that};
use crate::store::{Foundation, Holder, Store, StoreError};

/// The rules, in the order of their numbers.
pub const RULES: [Rule; 10] = [
    rule("S1", "a secret that was never kept MUST be none, not an error"),
    rule("S2", "a secret MUST be read back as it was kept last, and only for its own cluster"),
    rule("S3", "forgetting a cluster's secrets MUST forget all of them and none of another cluster's"),
    rule("S4", "a second lock on a cluster MUST be Busy and tell who holds the first"),
    rule("S5", "a lock MUST NOT hold up another cluster"),
    rule("S6", "a lock that was dropped MUST be free"),
    rule("S7", "a journal MUST be read back whole and in its order, also while it is written"),
    rule("S8", "runs MUST be listed oldest first, and only those of their cluster"),
    rule("S9", "what a cluster was begun with MUST be read back as it was kept last, and go with its secrets"),
    rule("S10", "forgetting one secret MUST forget no other, and again MUST be no error"),
];

/// Checks every rule on a store that knows nothing of these two clusters yet; returns those that are broken.
pub fn check(store: &dyn Store, cluster: &ClusterName, other: &ClusterName) -> Vec<Broken> {
    let verdicts = vec![
        nothing(store, cluster),
        kept(store, cluster, other),
        forgotten(store, cluster, other),
        busy(store, cluster),
        apart(store, cluster, other),
        free(store, cluster),
        journal(store, cluster),
        runs(store, cluster, other),
        foundation(store, cluster, other),
        one(store, cluster),
    ];
    broken(&RULES, verdicts)
}

fn one(store: &dyn Store, cluster: &ClusterName) -> Verdict {
    for name in ["join-token", "join-token.next"] {
        store.keep_secret(cluster, name, &Secret::new("kept".into())).map_err(told)?;
    }
    for _ in 0..2 {
        store.forget_secret(cluster, "join-token.next").map_err(told)?;
        that(store.secrets(cluster).map_err(told)? == ["join-token"], || "not only that one is gone".into())?;
    }
    store.forget_secrets(cluster).map_err(told)
}

fn foundation(store: &dyn Store, cluster: &ClusterName, other: &ClusterName) -> Verdict {
    that(store.foundation(cluster).map_err(told)?.is_none(), || "it is there".into())?;
    for network in ["10.42.0.0/16", "10.60.0.0/16"] {
        let begun = Foundation::from([("pod network".into(), network.into())]);
        store.keep_foundation(cluster, &begun).map_err(told)?;
        that(store.foundation(cluster).map_err(told)? == Some(begun), || "it is another".into())?;
    }
    that(store.foundation(other).map_err(told)?.is_none(), || "another cluster has it".into())?;
    store.forget_secrets(cluster).map_err(told)?;
    that(store.foundation(cluster).map_err(told)?.is_none(), || "it is there still".into())
}

fn told(error: StoreError) -> String {
    error.to_string()
}

fn holder(who: &str) -> Holder {
    Holder { who: who.into(), pid: 7, since: 1_700_000_000, what: "apply".into() }
}

fn nothing(store: &dyn Store, cluster: &ClusterName) -> Verdict {
    let secret = store.secret(cluster, "join-token").map_err(told)?;
    that(secret.is_none(), || "it is there".into())
}

fn kept(store: &dyn Store, cluster: &ClusterName, other: &ClusterName) -> Verdict {
    for value in ["first", "second"] {
        // Names may hold slashes.
        for name in ["join-token", "path/to/token"] {
            store.keep_secret(cluster, name, &Secret::new(value.into())).map_err(told)?;
            let read = store.secret(cluster, name).map_err(told)?;
            that(read.as_ref().map(|it| it.expose().as_str()) == Some(value), || format!("{name} is another"))?;
        }
    }
    that(store.secret(other, "join-token").map_err(told)?.is_none(), || "another cluster has it".into())
}

fn forgotten(store: &dyn Store, cluster: &ClusterName, other: &ClusterName) -> Verdict {
    store.keep_secret(other, "join-token", &Secret::new("kept".into())).map_err(told)?;
    store.forget_secrets(cluster).map_err(told)?;
    for name in ["join-token", "path/to/token"] {
        that(store.secret(cluster, name).map_err(told)?.is_none(), || format!("{name} is still there"))?;
    }
    that(store.secret(other, "join-token").map_err(told)?.is_some(), || "another cluster's is gone".into())?;
    store.forget_secrets(cluster).map_err(told)
}

fn busy(store: &dyn Store, cluster: &ClusterName) -> Verdict {
    let _first = store.lock(cluster, &holder("anna@desk")).map_err(told)?;
    match store.lock(cluster, &holder("ben@desk")) {
        Err(StoreError::Busy { holder: who, .. }) => that(who == holder("anna@desk"), || format!("{who:?}")),
        Err(error) => Err(told(error)),
        Ok(_) => Err("both have it".into()),
    }
}

fn apart(store: &dyn Store, cluster: &ClusterName, other: &ClusterName) -> Verdict {
    let _first = store.lock(cluster, &holder("anna@desk")).map_err(told)?;
    store.lock(other, &holder("ben@desk")).map(drop).map_err(told)
}

fn free(store: &dyn Store, cluster: &ClusterName) -> Verdict {
    drop(store.lock(cluster, &holder("anna@desk")).map_err(told)?);
    store.lock(cluster, &holder("ben@desk")).map(drop).map_err(told)
}

fn journal(store: &dyn Store, cluster: &ClusterName) -> Verdict {
    let run = RunId::new("run-1");
    let mut journal = store.start_journal(cluster, &run).map_err(told)?;
    for seq in 0..3 {
        let event = Event::StopAsked { times: 1 };
        journal.write(&Record { format: EVENT_FORMAT, seq, at: seq * 10, event }).map_err(told)?;
        let read = store.journal(cluster, &run).map_err(told)?;
        let order: Vec<u64> = read.iter().map(|record| record.seq).collect();
        that(order == (0..=seq).collect::<Vec<_>>(), || format!("{order:?} after {} records", seq + 1))?;
    }
    Ok(())
}

fn runs(store: &dyn Store, cluster: &ClusterName, other: &ClusterName) -> Verdict {
    store.start_journal(cluster, &RunId::new("run-2")).map(drop).map_err(told)?;
    store.start_journal(other, &RunId::new("run-3")).map(drop).map_err(told)?;
    let runs = store.runs(cluster).map_err(told)?;
    that(runs == [RunId::new("run-1"), RunId::new("run-2")], || format!("{runs:?}"))
}
