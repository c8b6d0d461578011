//! What leaves nothing behind: everything that was started, mounted, linked and written is taken away; what was there
//! before stays. What the scripts `k3s-killall.sh`, `rke2-killall.sh` and their uninstall scripts do, in their order.
//! <https://github.com/k3s-io/k3s/blob/v1.31.4%2Bk3s1/install.sh>,
//! <https://github.com/rancher/rke2/tree/v1.33.5%2Brke2r1/bundle/bin>

use kubewright_model::recipe::{Effect, Recipe, RecipeStep};

use super::super::leftovers::{END_NAMESPACES, UNFILTER, UNLINK};
use super::{Program, kube_vip, shell};

pub(super) fn leave(program: &Program, server: bool) -> Recipe {
    let unit = program.unit(server).name;
    let mut steps = vec![RecipeStep::Stop { unit: unit.into() }];
    steps.extend(server.then(|| shell(kube_vip::LET_GO)));
    steps.push(shell(&stop_containers(program)));
    steps.extend([UNMOUNT, END_NAMESPACES, UNLINK, UNFILTER].map(shell));
    steps.push(RecipeStep::Remove(program.binary()));
    steps.extend(program.leftovers.iter().map(|path| RecipeStep::Remove((*path).into())));
    let folders = [format!("/etc/rancher/{}", program.is.name), program.is.data.to_string()];
    steps.extend(folders.map(RecipeStep::Remove));
    steps.extend(SHARED.map(|path| RecipeStep::Remove(path.into())));
    steps.push(RecipeStep::Remove(format!("/etc/systemd/system/{unit}")));
    steps.push(RecipeStep::Run(["systemctl", "daemon-reload"].map(String::from).to_vec()));
    Recipe {
        title: format!("leave nothing of {} behind", program.title()),
        effect: Effect::Leave,
        version: None,
        steps,
        gives: Vec::new(),
    }
}

/// Ends a member, its containers too, before another state of etcd is put back: of RKE2, etcd is one of these. The documents
/// delete the database of every server but the one that is reset; here it is put aside, on the disk that it is on and beside
/// what was put aside before: nobody knows which of them somebody wants back. The snapshots beside it stay. Without its kubelet's credentials, which it is given anew when it joins, the host is no member.
/// <https://docs.k3s.io/cli/etcd-snapshot#restoring-snapshots>,
/// <https://docs.rke2.io/datastore/backup_restore#restoring-a-snapshot-to-existing-nodes>
pub(super) fn stand_down(program: &Program, server: bool) -> Recipe {
    let data = program.is.data;
    let mut steps = vec![RecipeStep::Stop { unit: program.unit(server).name.into() }];
    steps.extend(server.then(|| shell(kube_vip::LET_GO)));
    steps.push(shell(&stop_containers(program)));
    steps.extend([UNMOUNT, END_NAMESPACES].map(shell));
    // Pods of a control plane that is over would start with the kubelet.
    steps.push(RecipeStep::Remove(format!("{data}/agent/pod-manifests")));
    steps.push(shell(&format!(
        "set -eu\n\
         cd {data} 2>/dev/null || exit 0\n\
         [ ! -e server/db/etcd ] || mv server/db/etcd server/db/kubewright-before-$(date -u +%Y%m%dT%H%M%SZ)\n\
         rm -f -- server/db/kubewright-restore.db server/db/reset-flag agent/kubelet.kubeconfig"
    )));
    let what = if server { "etcd's data are put aside" } else { "it joins again" };
    let title = format!("stop {}: {what}", program.title());
    Recipe { title, effect: Effect::Leave, version: None, steps, gives: Vec::new() }
}

/// Folders of the kubelet, containerd and Flannel, in which both keep what runs. RKE2 has K3s' names there.
const SHARED: [&str; 4] = ["/var/lib/kubelet", "/run/k3s", "/run/flannel", "/var/lib/cni"];

/// Containers outlive their unit on purpose, so their shims are ended with everything under them: a shim that is ended
/// alone leaves its processes to init. Shims run from the program's own data folder. Of RKE2, etcd and the API server
/// are among the containers.
fn stop_containers(program: &Program) -> String {
    format!(
        "tree() {{ for pid in $*; do echo \"$pid\"; tree $(pgrep -P \"$pid\"); done; }}; \
         doomed=$(tree $(pgrep -f '^/var/lib/rancher/{}/data/[^/]*/bin/containerd-shim')); \
         test -z \"$doomed\" || kill -KILL $doomed 2>/dev/null; true",
        program.is.name
    )
}

/// The deepest mounts first. A disk of the host's own that holds the data is none of them, and stays where it is.
const UNMOUNT: &str = "awk '$2 ~ \"^(/run/k3s|/var/lib/kubelet/(pods|plugins)|/run/netns/cni-)\" { print $2 }' \
    /proc/self/mounts | sort -r | while read -r mount; do umount -f \"$mount\" || umount -l \"$mount\"; done";
