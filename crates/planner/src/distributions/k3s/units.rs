//! The units that K3s' install script writes, line for line what they must say.
//! <https://github.com/k3s-io/k3s/blob/v1.31.4%2Bk3s1/install.sh>

use kubewright_model::digest::Digest;
use kubewright_model::host::{UnitRun, UnitWish};
use kubewright_model::text::Text;

use super::unit_name;

/// The unit of a server or an agent; a recipe starts it the first time.
pub(super) fn unit(server: bool, lxc: bool, reads: Digest) -> UnitWish {
    UnitWish {
        name: unit_name(server).into(),
        content: Some(Text::known(text(server, lxc))),
        enabled: true,
        run: UnitRun::ByRecipe,
        reads,
    }
}

/// The unit's file. Servers and agents tell systemd when they are ready. Containers outlive a restart of K3s, so only the
/// main process is killed. Inside of a container, containerd must know that it is in one: it would load an
/// AppArmor profile into the hypervisor otherwise, and no pod would start where that is refused.
pub(super) fn text(server: bool, lxc: bool) -> String {
    let container = if lxc { "Environment=container=lxc\n" } else { "" };
    let command = if server { "server" } else { "agent" };
    format!(
        "[Unit]\n\
         Description=Lightweight Kubernetes\n\
         Documentation=https://k3s.io\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n\
         \n\
         [Service]\n\
         Type=notify\n\
         EnvironmentFile=-/etc/default/%N\n\
         EnvironmentFile=-/etc/sysconfig/%N\n\
         {container}\
         KillMode=process\n\
         Delegate=yes\n\
         User=root\n\
         LimitNOFILE=1048576\n\
         LimitNPROC=infinity\n\
         LimitCORE=infinity\n\
         TasksMax=infinity\n\
         TimeoutStartSec=0\n\
         Restart=always\n\
         RestartSec=5s\n\
         ExecStartPre=-/sbin/modprobe br_netfilter\n\
         ExecStartPre=-/sbin/modprobe overlay\n\
         ExecStart=/usr/local/bin/k3s {command}\n"
    )
}
