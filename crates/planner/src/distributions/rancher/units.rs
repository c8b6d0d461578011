//! The units that the install scripts bring, as far as what they say is wanted here: no `Conflicts` with the unit of the
//! other role (nor the condition that is in its place since v1.36), which leaves its host before this one comes, and no check
//! for a cloud's NetworkManager.
//! <https://github.com/k3s-io/k3s/blob/v1.31.4%2Bk3s1/install.sh>,
//! <https://github.com/rancher/rke2/tree/v1.33.5%2Brke2r1/bundle/lib/systemd/system>

use kubewright_model::digest::Digest;
use kubewright_model::host::{UnitRun, UnitWish};
use kubewright_model::text::Text;

/// A unit, by what is its own.
pub(in crate::distributions) struct Unit {
    /// Its name.
    pub(in crate::distributions) name: &'static str,
    /// Its description, and where its documentation is.
    pub(in crate::distributions) description: [&'static str; 2],
    /// The command that runs for ever.
    pub(in crate::distributions) command: &'static str,
    /// Further lines of its section about the service.
    pub(in crate::distributions) further: &'static str,
}

impl Unit {
    /// The unit's wish; a recipe starts it the first time.
    pub(super) fn wish(&self, lxc: bool, reads: Digest) -> UnitWish {
        UnitWish {
            name: self.name.into(),
            content: Some(Text::known(self.text(lxc))),
            enabled: true,
            run: UnitRun::ByRecipe,
            reads,
        }
    }

    /// The unit's file. Servers and agents tell systemd when they are ready. Containers outlive a restart, so only the
    /// main process is killed. Inside of a container, containerd must know that it is in one: it would load an
    /// AppArmor profile into the hypervisor otherwise, and no pod would start where that is refused.
    pub(super) fn text(&self, lxc: bool) -> String {
        let container = if lxc { "Environment=container=lxc\n" } else { "" };
        let Self { description: [description, documentation], command, further, .. } = self;
        format!(
            "[Unit]\n\
             Description={description}\n\
             Documentation={documentation}\n\
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
             ExecStart={command}\n\
             {further}"
        )
    }
}
