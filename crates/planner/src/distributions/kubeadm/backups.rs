//! Snapshots of etcd: the same script whether somebody asks for one or its hour comes.
//!
//! etcd's own client is in its image and nowhere else, and that container sees of the host only etcd's data and its
//! certificates. So a snapshot is written among the data and moved out of them. The certificates and keys of the cluster go
//! beside it, and the one that locks Secrets, because what it holds is worth nothing without.
//! <https://etcd.io/docs/v3.6/op-guide/recovery/>

use kubewright_model::host::{FileWish, HostResource, UnitWish};
use kubewright_model::recipe::{Effect, Recipe, RecipeStep};
use kubewright_model::spec::backup::Backup;

use super::super::bundles::Packs;
use super::etcd::ETCDCTL;
use super::{at, shell};
use crate::context::Context;
use crate::foundation::ENCRYPTION_FILE;
use crate::lower::calendar;

/// Where what goes with them is.
pub(super) const KEYS: &str = "/etc/kubernetes";
/// Where snapshots are.
pub(super) const FOLDER: &str = "/var/backups/kubewright";
/// How what goes with one ends.
pub(super) const KEYS_ENDING: &str = "pki.tar";
const SCRIPT: &str = "/usr/local/sbin/kubewright-etcd-snapshot";
const SERVICE: &str = "/etc/systemd/system/kubewright-etcd-snapshot.service";
const TIMER: &str = "kubewright-etcd-snapshot.timer";

/// What takes snapshots of a server when their hour comes; nothing where the file wants none.
pub(super) fn resources(context: &Context<'_>) -> Vec<HostResource> {
    let wish = context.file.spec.backup.as_ref().filter(|backup| backup.datastore);
    let Some((backup, hour)) = wish.and_then(|backup| Some((backup, calendar(&backup.schedule)?))) else {
        return Vec::new();
    };
    let timer = format!(
        "[Unit]\nDescription=Snapshots of etcd\n\n[Timer]\nOnCalendar={hour}\nRandomizedDelaySec=20min\nPersistent=true\n\n\
         [Install]\nWantedBy=timers.target\n"
    );
    vec![
        HostResource::File(FileWish::new(SCRIPT, format!("#!/bin/sh\n{}\n", script(Some(backup))), 0o700)),
        HostResource::File(FileWish::new(SERVICE, UNIT, 0o644)),
        HostResource::Unit(UnitWish::timer(TIMER, timer)),
    ]
}

/// A host that is no server yet has nothing to save.
const UNIT: &str = "[Unit]\n\
    Description=Snapshot of etcd\n\
    ConditionPathExists=/etc/kubernetes/manifests/etcd.yaml\n\
    \n\
    [Service]\n\
    Type=oneshot\n\
    ExecStart=/usr/local/sbin/kubewright-etcd-snapshot\n";

/// Saves etcd now.
pub(super) fn snapshot(context: &Context<'_>) -> Recipe {
    Recipe {
        title: "save a snapshot of etcd".into(),
        effect: Effect::Snapshot,
        version: None,
        steps: vec![
            shell(script(context.file.spec.backup.as_ref())),
            RecipeStep::Bring { newest: format!("{FOLDER}/etcd-*.db"), with: Some(KEYS_ENDING.into()) },
        ],
        gives: Vec::new(),
    }
}

/// What of a server goes into a bundle that it makes by itself.
pub(super) fn packs(context: &Context<'_>) -> Packs {
    Packs {
        snapshot: format!(
            "(\n{}\n)\nsnapshot=$(ls -1 -- {FOLDER}/etcd-*.db | tail -n 1)",
            script(context.file.spec.backup.as_ref())
        ),
        keys: format!("ln -- \"${{snapshot%.db}}.{KEYS_ENDING}\" distribution/{KEYS_ENDING}"),
        kubectl: format!("{} --kubeconfig /etc/kubernetes/admin.conf", at("kubectl")),
        folder: FOLDER.into(),
        settings: format!("{KEYS}/kubewright"),
        serves: "/etc/kubernetes/manifests/etcd.yaml".into(),
    }
}

/// Snapshots are named by their time, so that they sort by age; so many stay, or all where none is said. One has its name
/// when it is whole, with what goes with it. Servers do not save at the same moment: it takes room beside etcd's data.
fn script(backup: Option<&Backup>) -> String {
    let kept = backup.map_or(0, |backup| backup.keep.last);
    let pruned = match kept {
        0 => String::new(),
        kept => format!(
            "\nls -1 {FOLDER}/etcd-*.db | head -n -{kept} | \
             while read -r old; do rm -f -- \"$old\" \"${{old%.db}}.pki.tar\"; done"
        ),
    };
    let key = ENCRYPTION_FILE.trim_start_matches(KEYS).trim_start_matches('/');
    format!(
        "set -eu\n\
         umask 077\n\
         mkdir -p {FOLDER}\n\
         # Its timer, a bundle and somebody may all ask at once.\n\
         exec 8>{FOLDER}/.lock\n\
         flock 8\n\
         {ETCDCTL}\
         to={FOLDER}/etcd-$(date -u +%Y%m%dT%H%M%SZ)\n\
         rm -f -- /var/lib/etcd/kubewright.db {FOLDER}/etcd-*.part\n\
         etcdctl snapshot save /var/lib/etcd/kubewright.db\n\
         mv /var/lib/etcd/kubewright.db \"$to.db.part\"\n\
         set -- pki\n\
         [ ! -e {ENCRYPTION_FILE} ] || set -- pki \"{key}\"\n\
         tar -C {KEYS} -cf \"$to.pki.part\" \"$@\"\n\
         mv \"$to.pki.part\" \"$to.pki.tar\"\n\
         mv \"$to.db.part\" \"$to.db\"{pruned}"
    )
}
