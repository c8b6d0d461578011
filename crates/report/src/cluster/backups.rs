//! What is backed up, as the servers' own configuration has it.

use kubewright_model::spec::Distribution;
use kubewright_model::spec::kubernetes::Datastore;

use super::facts::Facts;
use super::{access, code};
use crate::page::Page;
use crate::words::Words;

/// Snapshots of etcd: when, how many and where. Nothing for what has no etcd of ours to speak of.
/// <https://docs.k3s.io/cli/etcd-snapshot>
pub(super) fn backups(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let kubernetes = &facts.desired.kubernetes;
    if kubernetes.datastore != Datastore::Etcd || kubernetes.distribution != Distribution::K3s {
        return;
    }
    let say = &words.backups;
    let setting = |key: &str| facts.config.get(key).map(code);
    let Some(schedule) = setting("etcd-snapshot-schedule-cron") else {
        page.paragraph(say.none);
        return;
    };
    let folder = setting("etcd-snapshot-dir").unwrap_or_else(|| code("/var/lib/rancher/k3s/server/db/snapshots"));
    let mut rows = vec![vec![say.schedule.into(), schedule], vec![say.folder.into(), folder]];
    if let Some(kept) = setting("etcd-snapshot-retention") {
        rows.insert(1, vec![say.kept.into(), kept]);
    }
    page.table(&[words.heads.property, words.heads.value], rows);
    if let Some(command) = access::on_a_server(facts, "k3s etcd-snapshot list") {
        page.paragraph(say.list);
        page.code("bash", &[command]);
    }
}
