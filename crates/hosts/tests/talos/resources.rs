//! What a node knows of itself, as resources: their YAML is as Talos writes it.

use std::time::SystemTime;

use kubewright_hosts::talos::wire;
use prost::Message as _;
use tonic::Status;

use super::machine::{Node, Stage};
use super::serve::Role;

type Found = (String, wire::ResourceSpec, Times);
/// When it came, and when it last changed.
type Times = (SystemTime, SystemTime);

pub(super) fn get(node: &Node, role: Role, asked: &wire::ResourceRequest) -> Result<wire::ResourceAnswer, Status> {
    let wire::ResourceRequest { namespace, r#type, id } = asked;
    let found = all(node, role, asked)?.into_iter().find(|(name, ..)| name == id);
    let why = || Status::not_found(format!("resource {type}({namespace}/{id}@undefined) doesn't exist"));
    found.map(|found| answer(asked, found)).ok_or_else(why)
}

pub(super) fn list(
    node: &Node,
    role: Role,
    asked: &wire::ResourceRequest,
) -> Result<Vec<wire::ResourceAnswer>, Status> {
    Ok(all(node, role, asked)?.into_iter().map(|found| answer(asked, found)).collect())
}

fn answer(asked: &wire::ResourceRequest, (id, spec, times): Found) -> wire::ResourceAnswer {
    let (namespace, r#type) = (asked.namespace.clone(), asked.r#type.clone());
    let (created, updated) = (at(times.0), at(times.1));
    let metadata = wire::ResourceMetadata { namespace, r#type, id, version: "1".into(), created, updated };
    wire::ResourceAnswer { resource: Some(wire::WireResource { metadata: Some(metadata), spec: Some(spec) }) }
}

fn at(time: SystemTime) -> Option<wire::Timestamp> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Some(wire::Timestamp { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() as i32 })
}

fn yaml(id: &str, text: String) -> Found {
    (
        id.to_string(),
        wire::ResourceSpec { proto_spec: vec![], yaml_spec: text },
        (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH),
    )
}

/// One that came when something else did, or changed since.
fn timed((id, spec, _): Found, times: Times) -> Found {
    (id, spec, times)
}

/// `AccessPolicy`, `internal/app/resources/access.go`.
fn all(node: &Node, role: Role, asked: &wire::ResourceRequest) -> Result<Vec<Found>, Status> {
    match (asked.namespace.as_str(), asked.r#type.as_str()) {
        ("config", "MachineConfigs.config.talos.dev") if role == Role::Admin => Ok(configurations(node)),
        ("config", "MachineConfigs.config.talos.dev") => Err(Status::permission_denied("not authorized")),
        ("runtime", "MachineStatuses.runtime.talos.dev") => Ok(vec![yaml("machine", machine_status(node))]),
        ("runtime", "ExtensionStatuses.runtime.talos.dev") => Ok(extensions(node)),
        ("runtime", "Versions.runtime.talos.dev") if node.with(|state| state.minor() >= 10) => {
            Ok(vec![yaml("version", format!("version: {}\n", node.with(|state| state.version.clone())))])
        }
        ("runtime", "Disks.block.talos.dev") => Ok(disks(node)),
        ("runtime", "SystemDisks.block.talos.dev") => {
            let disk = node.with(|state| state.installed.clone());
            Ok(disk.iter().map(|path| yaml("system-disk", format!("diskID: sda\ndevPath: {path}\n"))).collect())
        }
        ("runtime", "MountStatuses.runtime.talos.dev") => Ok(mounts(node)),
        ("runtime", "Services.v1alpha1.talos.dev") => Ok(kubelet(node)),
        ("k8s", "KubeletSpecs.kubernetes.talos.dev") => {
            let (image, wished) = node.with(|state| (state.kubelet_image(), state.wished));
            let spec = yaml("kubelet", format!("image: {image}\nconfig: {{}}\n"));
            let there = node.with(|state| state.config.is_some());
            Ok(there.then(|| timed(spec, (wished, wished))).into_iter().collect())
        }
        ("k8s", "StaticPods.kubernetes.talos.dev") => Ok(pods(node)),
        ("k8s", "StaticPodStatuses.kubernetes.talos.dev") => Ok(pod_statuses(node)),
        ("cluster", "Members.cluster.talos.dev") => Ok(members(node)),
        ("network", "HostnameStatuses.net.talos.dev") => {
            Ok(vec![yaml("hostname", format!("hostname: {}\ndomainname: \"\"\n", node.hostname()))])
        }
        ("network", "NodeAddresses.net.talos.dev") => {
            let text = format!("addresses:\n    - {}/24\nsortAlgorithm: v1\n", node.address);
            Ok(vec![yaml("current", text.clone()), yaml("default", text)])
        }
        ("network", "LinkStatuses.net.talos.dev") => Ok(links()),
        (_, other) => Err(Status::permission_denied(format!("resource type {other:?} is not supported"))),
    }
}

fn configurations(node: &Node) -> Vec<Found> {
    let named = |id: &str, text: &str| {
        let message = wire::MachineConfigSpec { yaml_marshalled: text.as_bytes().to_vec() };
        let spec = wire::ResourceSpec { proto_spec: message.encode_to_vec(), yaml_spec: String::new() };
        (id.to_string(), spec, (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH))
    };
    node.with(|state| {
        let active = state.config.iter().map(|config| named("v1alpha1", &config.text));
        let stored = state.staged.as_ref().or(state.config.as_ref()).map(|config| named("persistent", &config.text));
        active.chain(stored).collect()
    })
}

fn machine_status(node: &Node) -> String {
    let (stage, mounted) = node.with(|state| (state.stage, state.mounted));
    let waits = node.with(|state| state.controls() && state.member.is_none());
    let unmet = |name: &str, why: &str| {
        format!("    ready: false\n    unmetConditions:\n        - name: {name}\n          reason: {why}\n")
    };
    match (stage, waits || !mounted) {
        (Stage::Maintenance, _) => {
            "stage: maintenance\nstatus:\n    ready: true\n    unmetConditions: []\n".to_string()
        }
        (_, true) => format!("stage: booting\nstatus:\n{}", unmet("services", "etcd not healthy")),
        (_, false) => "stage: running\nstatus:\n    ready: true\n    unmetConditions: []\n".to_string(),
    }
}

/// What is mounted of the system's disk.
fn mounts(node: &Node) -> Vec<Found> {
    let volume = |name: &str, at: &str| {
        let text = format!("source: /dev/sda5\ntarget: {at}\nfilesystemType: xfs\noptions: []\nencrypted: false\n");
        yaml(name, text)
    };
    let (has_config, mounted) = node.with(|state| (state.config.is_some(), state.mounted));
    let state = has_config.then(|| volume("STATE", "/system/state"));
    state.into_iter().chain((has_config && mounted).then(|| volume("EPHEMERAL", "/var"))).collect()
}

fn kubelet(node: &Node) -> Vec<Found> {
    let since = node.with(|state| state.kubelet.as_ref().map(|(_, since)| *since));
    let service = yaml("kubelet", "running: true\nhealthy: true\nunknown: false\n".to_string());
    since.map(|since| timed(service, (since, since))).into_iter().collect()
}

fn pods(node: &Node) -> Vec<Found> {
    let pod = |(name, image): (String, String)| {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n    name: {name}\n    namespace: kube-system\nspec:\n    containers:\n        \
             - image: {image}\n          name: {name}\nstatus: {{}}\n"
        );
        yaml(&name, text)
    };
    node.with(|state| state.wished_pods()).into_iter().map(pod).collect()
}

fn pod_statuses(node: &Node) -> Vec<Found> {
    let host = node.hostname();
    let status = |(name, image): (String, String)| {
        let text = format!(
            "conditions:\n    - lastProbeTime: null\n      status: \"True\"\n      type: Ready\ncontainerStatuses:\n    \
             - image: {image}\n      name: {name}\n      ready: true\n      restartCount: 0\nphase: Running\n"
        );
        yaml(&format!("kube-system/{name}-{host}"), text)
    };
    let there = node.with(|state| state.kubelet.is_some().then(|| state.pods.clone()));
    there.into_iter().flatten().map(status).collect()
}

fn extensions(node: &Node) -> Vec<Found> {
    let Some(id) = node.with(|state| state.schematic.clone()) else { return vec![] };
    let one = |at: usize, name: &str, version: &str| {
        let compatibility = "    compatibility:\n        talos:\n            version: '>= v1.0.0'\n";
        let who = "    author: Sidero Labs\n    description: |\n        What it is.\n";
        let text =
            format!("image: {at}.sqsh\nmetadata:\n    name: {name}\n    version: {version}\n{who}{compatibility}");
        yaml(&at.to_string(), text)
    };
    vec![one(0, "qemu-guest-agent", "10.0.2"), one(1, "schematic", &id)]
}

fn disks(node: &Node) -> Vec<Found> {
    let disk = |(path, size, model): &(String, u64, String)| {
        let text = format!(
            "dev_path: {path}\nsize: {size}\npretty_size: {} GB\nio_size: 512\nsector_size: 512\nreadonly: false\n\
             cdrom: false\nmodel: {model}\nmodalias: scsi:t-0x00\nbus_path: /pci0000:00/0000:00:05.0\ntransport: virtio\n\
             rotational: true\n",
            size / 1_000_000_000
        );
        yaml(path.rsplit('/').next().unwrap_or_default(), text)
    };
    let drive = "dev_path: /dev/sr0\nsize: 0\nreadonly: false\ncdrom: true\nmodel: QEMU DVD-ROM\n".to_string();
    let disks: Vec<Found> = node.with(|state| state.disks.iter().map(disk).collect());
    disks.into_iter().chain([yaml("sr0", drive)]).collect()
}

fn members(node: &Node) -> Vec<Found> {
    if node.with(|state| state.config.is_none()) {
        return vec![];
    }
    let ours = |node: &Node| node.with(|state| state.config.as_ref().map(|config| config.authority()));
    let nodes = node.shared.nodes.lock().unwrap().clone();
    let member = |other: &Node| {
        let kind = if other.with(|state| state.controls()) { "controlplane" } else { "worker" };
        let (name, version) = (other.hostname(), other.with(|state| state.version.clone()));
        let text = format!(
            "nodeId: {name}-id\naddresses:\n    - {}\nhostname: {name}\nmachineType: {kind}\noperatingSystem: Talos ({version})\n",
            other.address
        );
        yaml(&name, text)
    };
    nodes.iter().filter(|other| ours(other) == ours(node)).map(|other| member(other)).collect()
}

fn links() -> Vec<Found> {
    let link = |name: &str, kind: &str, address: &str| {
        let text = format!(
            "index: 2\ntype: {kind}\nlinkIndex: 0\nflags: UP,BROADCAST,RUNNING\nhardwareAddr: {address}\nmtu: 1500\n\
             operationalState: up\nkind: \"\"\nslaveKind: \"\"\nlinkState: true\nport: Other\nduplex: Unknown\n"
        );
        yaml(name, text)
    };
    vec![link("lo", "loopback", "00:00:00:00:00:00"), link("ens18", "ether", "bc:24:11:00:00:01")]
}
