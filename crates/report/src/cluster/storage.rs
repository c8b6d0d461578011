//! Where volumes come from, and what of it lies outside of the cluster.

use kubewright_model::spec::Distribution;

use super::code;
use super::facts::Facts;
use crate::page::{Line, Page};
use crate::words::Words;

/// One row for each source of volumes.
pub(super) fn storage(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let Some(file) = &facts.desired.spec else { return };
    let storage = &file.spec.addons.storage;
    let mut rows: Vec<Vec<Line>> = Vec::new();
    let bundled = facts.desired.kubernetes.distribution == Distribution::K3s && !facts.disabled("local-storage");
    if bundled || storage.local_path.is_some() {
        rows.push(vec!["local-path".into(), words.manual.own_disks.into()]);
    }
    if let Some(nfs) = &storage.nfs {
        rows.push(vec![code(&nfs.class), Line::from("NFS ").join(code(format!("{}:{}", nfs.server, nfs.path)))]);
    }
    for (name, class) in storage.nfs_csi.iter().flat_map(|driver| &driver.classes) {
        rows.push(vec![code(name), Line::from("NFS ").join(code(format!("{}:{}", class.server, class.share)))]);
    }
    for nas in storage.synology.iter().flat_map(|driver| driver.every_nas()) {
        rows.push(vec!["Synology".into(), code(nas.at)]);
    }
    page.table(&[words.heads.name, words.heads.place], rows);
}
