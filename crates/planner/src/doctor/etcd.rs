//! The datastore: etcd's own metrics and health, and what it says in logs.
//!
//! K3s, RKE2 and kubeadm have etcd tell its metrics and its health at 127.0.0.1:2381 of each server (kubeadm's
//! `--listen-metrics-urls`, K3s' `pkg/etcd/etcd.go`).

use kubewright_model::doctor::{Finding, Mend, Papers, Place};
use kubewright_model::ids::NodeName;
use kubewright_model::spec::kubernetes::Distribution;

use super::case::{Case, told};

/// <https://etcd.io/docs/v3.5/faq/#what-does-the-etcd-warning-apply-entries-took-too-long-mean>: the 99th percentile of
/// `wal_fsync` below 10 ms, of `backend_commit` below 25 ms.
const SLOW: [(&str, f64, &str); 2] = [
    ("etcd_disk_wal_fsync_duration_seconds", 0.010, "writing its log"),
    ("etcd_disk_backend_commit_duration_seconds", 0.025, "writing its database"),
];
/// Fewer measurements than these tell nothing of a percentile.
const ENOUGH: f64 = 100.0;
/// Of its quota, so much is nearly all.
const NEARLY: f64 = 0.8;
/// A member hears this many changes of leader after its start only where something is wrong.
const MANY_CHANGES: f64 = 10.0;

/// The value of a metric without labels in Prometheus' text.
fn metric(papers: &Papers, name: &str) -> Option<f64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    papers.lines("etcd-metrics").find_map(value)
}

/// The 99th percentile of a histogram, taken between the bounds of its bucket as Prometheus' `histogram_quantile` does: etcd's
/// buckets double, and none of them ends where a disk becomes too slow.
fn percentile(papers: &Papers, name: &str) -> Option<f64> {
    let count = metric(papers, &format!("{name}_count")).filter(|count| *count >= ENOUGH)?;
    let bucket = |line: &str| -> Option<(f64, f64)> {
        let rest = line.strip_prefix(name)?.strip_prefix("_bucket{le=\"")?;
        let (bound, rest) = rest.split_once("\"}")?;
        Some((bound.parse().unwrap_or(f64::INFINITY), rest.trim().parse().ok()?))
    };
    let (rank, mut before) = (count * 0.99, (0.0, 0.0));
    for (bound, below) in papers.lines("etcd-metrics").filter_map(bucket) {
        if below >= rank {
            let share = (rank - before.1) / (below - before.1).max(1.0);
            return Some(if bound.is_finite() { before.0 + (bound - before.0) * share } else { before.0 });
        }
        before = (bound, below);
    }
    None
}

pub(super) fn slow_disk(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let slow: Vec<String> = SLOW
            .iter()
            .filter_map(|(metric, bound, what)| {
                let seen = percentile(papers, metric).filter(|seen| seen > bound)?;
                Some(format!("{metric}: 1 in 100 takes {seen:.3} s or longer, {what}; {bound} s is right"))
            })
            .collect();
        let said = told(papers, "log", &["slow fdatasync", "leader failed to send out heartbeat on time"]);
        (!slow.is_empty() || !said.is_empty()).then(|| {
            Finding::risk(Place::host(name), "etcd's disk is too slow for it").shown(slow).shown(said).by_hand([
                format!("give {name} a disk on an SSD that nobody else writes to; `fio` with fdatasync shows what one can do"),
                "https://etcd.io/docs/v3.5/op-guide/hardware/#disks".into(),
            ])
        })
    });
    found.collect()
}

/// etcdctl in kubeadm's own pod of etcd (kubernetes/cluster/images/etcd), with the certificates that kubeadm has made for checks
/// of its health. The newest revision is compacted away to, which may have been done already; every member gives back what that
/// has freed, one after the other, for each blocks meanwhile; and the alarm, which is the cluster's, is disarmed at last.
/// <https://etcd.io/docs/v3.5/op-guide/maintenance/#space-quota>
const EMPTIES: &str = r#"set -e
pod=$(crictl ps --name '^etcd$' --quiet | head -n 1)
[ -n "$pod" ] || { echo 'no container etcd runs here' >&2; exit 1; }
pki=/etc/kubernetes/pki/etcd
ctl="crictl exec $pod etcdctl --endpoints=https://127.0.0.1:2379 --cacert=$pki/ca.crt --cert=$pki/healthcheck-client.crt --key=$pki/healthcheck-client.key"
revision=$($ctl endpoint status --write-out=json | grep -o '"revision":[0-9]*' | head -n 1 | grep -o '[0-9]*')
said=$($ctl compact "$revision" 2>&1) || case $said in *'has been compacted'*) ;; *) printf '%s\n' "$said" >&2; exit 1 ;; esac
failed=0
$ctl --command-timeout=120s defrag --cluster || failed=$?
$ctl alarm disarm
exit $failed"#;

/// K3s and RKE2 defragment their etcd and clear its alarms whenever they start (`Test` in K3s' `pkg/etcd/etcd.go`), and their
/// API server has compacted old revisions every five minutes by then.
fn emptied(case: &Case<'_>, found: Finding, host: &NodeName) -> Finding {
    let (host, unit) = (host.clone(), case.kubernetes_unit(host).to_string());
    // One server does it for all members; the same deed of several findings is done once.
    let first = case.hosts().find(|(_, papers)| papers.text("etcd-health").is_some()).map(|(name, _)| name.clone());
    found.mended([match case.distribution() {
        Distribution::Kubeadm => Mend::Run {
            host: first.unwrap_or(host),
            title: "compact and defragment etcd, member by member, and disarm its alarm".into(),
            commands: vec![vec!["sh".into(), "-c".into(), EMPTIES.into()]],
        },
        Distribution::K3s | Distribution::Rke2 | Distribution::Talos => Mend::Restart { host, unit },
    }])
}

/// etcd's `/health` names the alarm that makes it unhealthy (`server/etcdserver/api/etcdhttp/health.go`).
fn alarm<'a>(papers: &'a Papers, kind: &str) -> Option<&'a str> {
    papers.lines("etcd-health").find(|line| line.contains(&format!("ALARM {kind}")))
}

pub(super) fn no_space(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let said = told(papers, "log", &["mvcc: database space exceeded", "alarm:NOSPACE"]);
        let alarm = alarm(papers, "NOSPACE");
        // A log tells of it for a while after it is over; where a member says how it is, that counts.
        let only_said = papers.text("etcd-health").is_none() && !said.is_empty();
        (alarm.is_some() || only_said).then(|| {
            let found =
                Finding::sick(Place::host(name), "etcd's database has reached its quota, and takes no more writes");
            emptied(case, found.shown(alarm).shown(said).shown(sizes(papers)), name)
        })
    });
    found.collect()
}

pub(super) fn corrupt(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let alarm = alarm(papers, "CORRUPT")?;
        Some(Finding::sick(Place::host(name), "members of etcd have different data").shown([alarm]).by_hand([
            "save the datastore of a member that is right: `kubewright plan` shows who is healthy".to_string(),
            format!("then make the one that differs anew: `kubewright replace {name}`"),
        ]))
    });
    found.collect()
}

const SIZE: &str = "etcd_mvcc_db_total_size_in_bytes";
const USED: &str = "etcd_mvcc_db_total_size_in_use_in_bytes";
const QUOTA: &str = "etcd_server_quota_backend_bytes";

fn sizes(papers: &Papers) -> Vec<String> {
    [SIZE, USED, QUOTA].into_iter().filter_map(|name| Some(format!("{name} {}", metric(papers, name)?))).collect()
}

pub(super) fn nearly_full(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let (size, quota) = (metric(papers, SIZE)?, metric(papers, QUOTA).filter(|quota| *quota > 0.0)?);
        (size >= quota * NEARLY && alarm(papers, "NOSPACE").is_none()).then(|| {
            let percent = size / quota * 100.0;
            let found = Finding::risk(Place::host(name), format!("etcd's database has {percent:.0} % of its quota"));
            emptied(case, found.shown(sizes(papers)), name)
        })
    });
    found.collect()
}

pub(super) fn no_leader(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let none = metric(papers, "etcd_server_has_leader") == Some(0.0);
        none.then(|| {
            Finding::sick(Place::host(name), "the member of etcd on this host knows no leader")
                .shown(["etcd_server_has_leader 0"])
                .shown(told(papers, "log", &["no leader", "lost leader", "failed to reach the peer URL"]))
                .by_hand([
                    "bring the other servers back, and let TCP 2379 and 2380 through between them".to_string(),
                    format!("on {name}: ss -tn state established '( sport = :2380 or dport = :2380 )'"),
                ])
        })
    });
    found.collect()
}

pub(super) fn leader_changes(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let changes = metric(papers, "etcd_server_leader_changes_seen_total").filter(|it| *it >= MANY_CHANGES)?;
        Some(
            Finding::risk(
                Place::host(name),
                format!("etcd has changed its leader {changes} times since it was started here"),
            )
            .shown([format!("etcd_server_leader_changes_seen_total {changes}")])
            .by_hand(["look at the disks and at the network between the servers: `kubewright doctor` tells of both"]),
        )
    });
    found.collect()
}
