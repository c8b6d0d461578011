//! What leaves nothing behind. kubeadm's own reset takes pods and what kubeadm wrote; what containerd, the plug-ins for
//! networks and kube-proxy have done to the host it leaves.
//! <https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-reset/>

use kubewright_model::recipe::{Effect, Recipe, RecipeStep};

use super::super::leftovers::{END_NAMESPACES, UNFILTER, UNLINK};
use super::recipes::ALONE;
use super::{PLUG_INS, at, containerd, shell, units};

/// kubeadm's own way back. It asks nobody: the cluster forgets a member by a deed of its own, and may be out of reach.
fn reset() -> String {
    let socket = containerd::SOCKET;
    format!("{} reset --force --cri-socket {socket} --kubeconfig /nonexistent --cleanup-tmp-dir", at("kubeadm"))
}

/// The same for what it was cut off in, after which the host joins anew: its pods get another network then. The folder for
/// that stays, because containerd ends when the one that it watches goes ("cni conf dir is removed, stop watching").
/// <https://github.com/containerd/containerd/blob/v2.1.0/internal/cri/server/cni_conf_syncer.go>
pub(super) fn clear() -> String {
    format!(
        "{} --skip-phases remove-etcd-member\n\
         rm -rf -- /var/lib/etcd/member /var/lib/etcd/kubewright-restore /etc/cni/net.d/* /var/lib/cni /run/flannel\n\
         (set +e; {END_NAMESPACES}; {UNLINK})",
        reset()
    )
}

pub(super) fn leave() -> Recipe {
    let stop = |unit: &str| RecipeStep::Stop { unit: unit.into() };
    let mut steps = vec![stop(units::KUBELET)];
    steps.push(shell(format!("{ALONE}! test -x {} || {}", at("kubeadm"), reset())));
    steps.push(stop(containerd::UNIT));
    steps.extend([STOP_CONTAINERS, END_SLICES, UNMOUNT, END_NAMESPACES, UNLINK, UNFILTER, UNTABLE].map(shell));
    let programs = ["kubeadm", "kubelet", "kubectl"].map(at);
    let folders = FOLDERS.map(String::from).into_iter().chain([PLUG_INS.to_string()]);
    let files = [units::KUBELET, containerd::UNIT].map(|unit| format!("/etc/systemd/system/{unit}"));
    steps.extend(programs.into_iter().chain(folders).chain(files).map(RecipeStep::Remove));
    steps.push(RecipeStep::Run(["systemctl", "daemon-reload"].map(String::from).to_vec()));
    Recipe {
        title: "leave nothing of kubeadm behind".into(),
        effect: Effect::Leave,
        version: None,
        steps,
        gives: Vec::new(),
    }
}

/// What kubeadm, the kubelet, etcd, containerd and Flannel keep. Snapshots of etcd stay.
const FOLDERS: [&str; 12] = [
    "/etc/kubernetes",
    "/var/lib/kubelet",
    "/var/lib/etcd",
    "/var/lib/containerd",
    "/run/containerd",
    "/etc/cni/net.d",
    "/var/lib/cni",
    "/run/flannel",
    "/var/log/pods",
    "/var/log/containers",
    "/usr/libexec/kubernetes",
    "/etc/containerd",
];

/// Pods that the reset could not end. Containers outlive containerd on purpose, so their shims are ended with everything
/// under them: a shim that is ended alone leaves its processes to init.
const STOP_CONTAINERS: &str = "tree() { for pid in $*; do echo \"$pid\"; tree $(pgrep -P \"$pid\"); done; }; \
    doomed=$(tree $(pgrep -f '^/usr/local/bin/containerd-shim')); \
    test -z \"$doomed\" || kill -KILL $doomed 2>/dev/null; true";

/// The kubelet has systemd make a slice for all pods, one for each kind of them and one for each pod, and takes none of them
/// away with it; those below end with the one that they are in.
const END_SLICES: &str = "systemctl stop kubepods.slice";

/// The deepest mounts first. A disk of the host's own that holds the data is none of them, and stays where it is.
const UNMOUNT: &str = "awk '$2 ~ \"^(/run/containerd/|/var/lib/kubelet/(pods|plugins)|/run/netns/cni-)\" { print $2 }' \
    /proc/self/mounts | sort -r | while read -r mount; do umount -f \"$mount\" || umount -l \"$mount\"; done";

/// The tables of kube-proxy and Flannel, where they filter with nftables.
const UNTABLE: &str = "command -v nft >/dev/null || exit 0; for table in 'ip kube-proxy' 'ip6 kube-proxy' \
    'ip flannel-ipv4' 'ip6 flannel-ipv6'; do nft delete table $table 2>/dev/null; done; true";
