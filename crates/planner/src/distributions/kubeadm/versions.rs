//! What goes with a minor version of Kubernetes: the programs that its own tests ran with.
//! <https://github.com/kubernetes/kubernetes/blob/v1.36.0/build/dependencies.yaml>,
//! <https://github.com/kubernetes/kubernetes/blob/v1.36.0/cmd/kubeadm/app/constants/constants.go>,
//! <https://github.com/containerd/containerd/blob/main/RELEASES.md#kubernetes-support>

use kubewright_model::spec::kubernetes::Kubernetes;
use kubewright_model::version::Version;

/// The first version that writes what we write, and what is known of each from there on: the plug-ins for networks,
/// crictl, and the image that holds a pod together.
const KNOWN: [((u64, u64), [&str; 3]); 6] = [
    ((1, 31), ["v1.5.1", "v1.31.1", "3.10"]),
    ((1, 32), ["v1.6.0", "v1.32.0", "3.10"]),
    ((1, 33), ["v1.6.2", "v1.33.0", "3.10"]),
    ((1, 34), ["v1.7.1", "v1.34.0", "3.10.1"]),
    ((1, 35), ["v1.8.0", "v1.35.0", "3.10.1"]),
    ((1, 36), ["v1.9.1", "v1.35.0", "3.10.2"]),
];

/// containerd where the file names none: every version from 1.31 to 1.36 is tested with it or with an older one of 2.x.
const CONTAINERD: &str = "v2.2.1";

/// What goes with a version of Kubernetes. One that is newer than all that are known goes with what the last one does.
pub(super) struct Fitting {
    /// The plug-ins for networks.
    pub(super) plug_ins: &'static str,
    /// crictl.
    pub(super) crictl: &'static str,
    /// The image that holds a pod together; kubeadm warns of another.
    pub(super) pause: &'static str,
}

impl Fitting {
    pub(super) fn of(kubernetes: &Kubernetes) -> Self {
        let minor = kubernetes.version.minor();
        let known = KNOWN.iter().rev().find(|(from, _)| *from <= minor).unwrap_or(&KNOWN[0]);
        let [plug_ins, crictl, pause] = known.1;
        Self { plug_ins, crictl, pause }
    }
}

/// The version of containerd.
pub(super) fn containerd(kubernetes: &Kubernetes) -> Version {
    kubernetes.containerd.as_ref().map_or_else(|| Version::known(CONTAINERD), |containerd| containerd.version.clone())
}

/// runc that containerd of this version is tested with (`script/setup/runc-version` of its later patches).
pub(super) fn runc(containerd: &Version) -> &'static str {
    if containerd.minor() >= (2, 3) { "v1.4.3" } else { "v1.3.6" }
}
