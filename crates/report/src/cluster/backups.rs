//! What is backed up, as the servers' own configuration has it.

use kubewright_model::spec::Distribution;
use kubewright_model::spec::kubernetes::Datastore;

use super::facts::Facts;
use super::{access, code};
use crate::page::Page;
use crate::words::Words;

/// Snapshots of etcd: when, how many and where. Nothing for what has no etcd of ours to speak of.
/// <https://docs.k3s.io/cli/etcd-snapshot>, <https://docs.rke2.io/datastore/backup_restore>
pub(super) fn backups(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let kubernetes = &facts.desired.kubernetes;
    let program = match kubernetes.distribution {
        Distribution::K3s => "k3s",
        Distribution::Rke2 => "rke2",
        Distribution::Kubeadm | Distribution::Talos => return,
    };
    if kubernetes.datastore != Datastore::Etcd {
        return;
    }
    let say = &words.backups;
    let setting = |key: &str| facts.config.get(key).map(code);
    let Some(schedule) = setting("etcd-snapshot-schedule-cron") else {
        page.paragraph(say.none);
        return;
    };
    let usual = || code(format!("/var/lib/rancher/{program}/server/db/snapshots"));
    let folder = setting("etcd-snapshot-dir").unwrap_or_else(usual);
    let mut rows = vec![vec![say.schedule.into(), schedule], vec![say.folder.into(), folder]];
    if let Some(kept) = setting("etcd-snapshot-retention") {
        rows.insert(1, vec![say.kept.into(), kept]);
    }
    page.table(&[words.heads.property, words.heads.value], rows);
    if let Some(command) = access::on_a_server(facts, &format!("{program} etcd-snapshot list")) {
        page.paragraph(say.list);
        page.code("bash", &[command]);
    }
}
