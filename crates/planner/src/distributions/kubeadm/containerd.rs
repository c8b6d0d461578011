//! containerd and what it runs pods with: verified archives of exact versions, so that a host of any system has the same.
//! <https://github.com/containerd/containerd/blob/main/docs/getting-started.md>

use kubewright_model::digest::Digest;
use kubewright_model::host::{Artifact, DownloadWish, FileWish, HostResource, Mode, Proof, UnitRun, UnitWish};
use kubewright_model::spec::kubernetes::Kubernetes;
use kubewright_model::text::Text;
use serde_json::Value;

use super::registries::FOLDER;
use super::versions::{self, Fitting};

/// Its unit.
pub(super) const UNIT: &str = "containerd.service";
/// Where the kubelet reaches it.
pub(super) const SOCKET: &str = "unix:///run/containerd/containerd.sock";
const CONFIG: &str = "/etc/containerd/config.toml";

/// containerd, runc, the plug-ins for networks and crictl, in order, and the unit that runs.
pub(super) fn resources(kubernetes: &Kubernetes) -> Vec<HostResource> {
    let mut resources: Vec<HostResource> = downloads(kubernetes).into_iter().map(HostResource::Download).collect();
    resources.push(HostResource::File(FileWish::new(CONFIG, config(kubernetes), 0o644)));
    resources.push(HostResource::File(FileWish::new("/etc/crictl.yaml", crictl(), 0o644)));
    resources.push(HostResource::Unit(UnitWish {
        name: UNIT.into(),
        content: Some(Text::known(SERVICE)),
        enabled: true,
        run: UnitRun::Running,
        reads: reads(kubernetes),
    }));
    resources
}

/// What a restart of containerd brings into force. Containers go on meanwhile.
fn reads(kubernetes: &Kubernetes) -> Digest {
    Digest::of_value(&(containerd(kubernetes).mark(), Digest::of(config(kubernetes)), Digest::of(SERVICE)))
}

/// A file of a release at GitHub, and the file with its digest.
fn released(name: String, folder: &str, file: &str, sums: &str) -> Artifact {
    let at = |file: &str| format!("https://github.com/{folder}/{file}");
    Artifact { name, url: at(file), proof: Proof::Checksums { url: at(sums), file: file.into() } }
}

fn containerd(kubernetes: &Kubernetes) -> Artifact {
    let version = versions::containerd(kubernetes).bare();
    let file = format!("containerd-{version}-linux-{{arch}}.tar.gz");
    let folder = format!("containerd/containerd/releases/download/v{version}");
    released(format!("containerd v{version}"), &folder, &file, &format!("{file}.sha256sum"))
}

fn downloads(kubernetes: &Kubernetes) -> Vec<DownloadWish> {
    let Fitting { plug_ins, crictl, .. } = Fitting::of(kubernetes);
    let runc = versions::runc(&versions::containerd(kubernetes));
    let runs = released(
        format!("runc {runc}"),
        &format!("opencontainers/runc/releases/download/{runc}"),
        "runc.{arch}",
        "runc.sha256sum",
    );
    let archive = format!("cni-plugins-linux-{{arch}}-{plug_ins}.tgz");
    let nets = released(
        format!("CNI plugins {plug_ins}"),
        &format!("containernetworking/plugins/releases/download/{plug_ins}"),
        &archive,
        &format!("{archive}.sha256"),
    );
    let archive = format!("crictl-{crictl}-linux-{{arch}}.tar.gz");
    let tool = released(
        format!("crictl {crictl}"),
        &format!("kubernetes-sigs/cri-tools/releases/download/{crictl}"),
        &archive,
        &format!("{archive}.sha256"),
    );
    let of = |artifact: &Artifact, folder: &str, name: &str, member: Option<String>| DownloadWish {
        path: format!("{folder}/{name}"),
        artifact: artifact.clone(),
        member,
        mode: Mode(0o755),
    };
    let daemon = containerd(kubernetes);
    let programs = ["containerd", "containerd-shim-runc-v2", "ctr"];
    let mut wishes: Vec<DownloadWish> =
        programs.iter().map(|name| of(&daemon, "/usr/local/bin", name, Some(format!("bin/{name}")))).collect();
    wishes.push(of(&runs, "/usr/local/sbin", "runc", None));
    wishes.extend(PLUG_INS.iter().map(|name| of(&nets, super::PLUG_INS, name, Some(format!("./{name}")))));
    wishes.push(of(&tool, "/usr/local/bin", "crictl", Some("crictl".into())));
    wishes
}

/// The plug-ins that Flannel hands pods on to, and the one that every pod has.
const PLUG_INS: [&str; 4] = ["bridge", "host-local", "loopback", "portmap"];

/// containerd's file, in the form of its own time. It and the kubelet must agree that systemd makes the control groups.
/// <https://github.com/containerd/containerd/blob/main/docs/cri/config.md>
fn config(kubernetes: &Kubernetes) -> String {
    // kubeadm brings it in from there, and containerd would ask elsewhere.
    let place = kubernetes.server_config.get("imageRepository").and_then(Value::as_str).unwrap_or("registry.k8s.io");
    let pause = format!("{place}/pause:{}", Fitting::of(kubernetes).pause);
    if versions::containerd(kubernetes).minor() < (2, 0) {
        let cri = "plugins.\"io.containerd.grpc.v1.cri\"";
        return format!(
            "version = 2\n\
             \n\
             [{cri}]\n  sandbox_image = \"{pause}\"\n\
             \n\
             [{cri}.registry]\n  config_path = \"{FOLDER}\"\n\
             \n\
             [{cri}.containerd.runtimes.runc]\n  runtime_type = \"io.containerd.runc.v2\"\n\
             \n\
             [{cri}.containerd.runtimes.runc.options]\n  SystemdCgroup = true\n"
        );
    }
    let (images, runtime) = ("plugins.\"io.containerd.cri.v1.images\"", "plugins.\"io.containerd.cri.v1.runtime\"");
    format!(
        "version = 3\n\
         \n\
         [{images}.pinned_images]\n  sandbox = \"{pause}\"\n\
         \n\
         [{images}.registry]\n  config_path = \"{FOLDER}\"\n\
         \n\
         [{runtime}.containerd.runtimes.runc]\n  runtime_type = \"io.containerd.runc.v2\"\n\
         \n\
         [{runtime}.containerd.runtimes.runc.options]\n  SystemdCgroup = true\n"
    )
}

/// Where crictl finds containerd. <https://kubernetes.io/docs/tasks/debug/debug-cluster/crictl/>
fn crictl() -> String {
    format!("runtime-endpoint: {SOCKET}\nimage-endpoint: {SOCKET}\ntimeout: 10\n")
}

/// As containerd publishes it. Only the main process is killed, so that containers outlive a restart.
/// <https://github.com/containerd/containerd/blob/v1.7.27/containerd.service>
const SERVICE: &str = "[Unit]\n\
    Description=containerd container runtime\n\
    Documentation=https://containerd.io\n\
    After=network.target local-fs.target dbus.service\n\
    \n\
    [Service]\n\
    ExecStartPre=-/sbin/modprobe overlay\n\
    ExecStart=/usr/local/bin/containerd\n\
    Type=notify\n\
    Delegate=yes\n\
    KillMode=process\n\
    Restart=always\n\
    RestartSec=5\n\
    LimitNPROC=infinity\n\
    LimitCORE=infinity\n\
    LimitNOFILE=infinity\n\
    TasksMax=infinity\n\
    OOMScoreAdjust=-999\n\
    \n\
    [Install]\n\
    WantedBy=multi-user.target\n";
