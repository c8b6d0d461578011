//! The kubelet's unit. kubeadm starts it, and leaves what it starts it with where the unit looks for it.
//! <https://github.com/kubernetes/release/tree/master/cmd/krel/templates/latest>

use kubewright_model::digest::Digest;
use kubewright_model::host::{UnitRun, UnitWish};
use kubewright_model::spec::kubernetes::Kubernetes;
use kubewright_model::text::Text;

use super::{containerd, program};

/// Its name.
pub(super) const KUBELET: &str = "kubelet.service";

/// The unit's wish; a recipe starts it the first time.
pub(super) fn kubelet(kubernetes: &Kubernetes) -> UnitWish {
    UnitWish {
        name: KUBELET.into(),
        content: Some(Text::known(text())),
        enabled: true,
        run: UnitRun::ByRecipe,
        reads: reads(kubernetes),
    }
}

/// What it reads that is ours: the rest is kubeadm's to write.
pub(super) fn reads(kubernetes: &Kubernetes) -> Digest {
    Digest::of_value(&(program(kubernetes, "kubelet").artifact.mark(), Digest::of(text())))
}

/// What the project's packages bring in two files stands in one.
fn text() -> String {
    format!(
        "[Unit]\n\
         Description=kubelet: The Kubernetes Node Agent\n\
         Documentation=https://kubernetes.io/docs/\n\
         Wants=network-online.target\n\
         After=network-online.target {}\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         Environment=\"KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
         --kubeconfig=/etc/kubernetes/kubelet.conf\"\n\
         Environment=\"KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml\"\n\
         EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\n\
         EnvironmentFile=-/etc/default/kubelet\n\
         {FORGET}\
         ExecStart=/usr/local/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS \
         $KUBELET_EXTRA_ARGS\n\
         Restart=always\n\
         RestartSec=10\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        containerd::UNIT
    )
}

/// kubeadm up to v1.34 wrote a flag down that the kubelet ends at since v1.35. Its upgrade takes it away, which is too late
/// for a host that is started anew in between. No kubelet misses it, and a unit that is the same in all versions is not
/// restarted for its text before its control plane is upgraded.
const FORGET: &str = "ExecStartPre=-/bin/sed -i -e 's/ *--pod-infra-container-image=[^ \"]*//' \
                      /var/lib/kubelet/kubeadm-flags.env\n";
