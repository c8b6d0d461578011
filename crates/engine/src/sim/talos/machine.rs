//! What a pretend machine of Talos is, as its configuration says, and what it refuses to be.

use std::collections::BTreeMap;

use kubewright_model::talos::{MachineConfig, TalosSeen, kubelet_version};
use kubewright_model::units::Size;
use kubewright_model::version::Version;
use serde_json::Value;

use super::TALOS;
use crate::sim::state::Machine;

/// A machine on which Talos waits for its configuration. Nobody knows how firmware calls its interface (`enp3s0`), so it goes by the
/// name that the spec gives it too.
pub(in crate::sim) fn waiting(version: &Version, interface: Option<&str>) -> TalosSeen {
    let disks = ["/dev/sda", "/dev/vda", "/dev/nvme0n1"].map(|disk| (disk.to_string(), Size::from_gib(256)));
    let named = interface.filter(|name| name.starts_with("en")).map(str::to_string);
    TalosSeen {
        version: version.clone(),
        maintenance: true,
        config: Vec::new(),
        schematic: None,
        disks: disks.into(),
        system_disk: None,
        links: [("eth0".to_string(), named.into_iter().collect())].into(),
        etcd: None,
    }
}

impl Machine {
    pub(super) fn talos(&self) -> Option<&TalosSeen> {
        self.host.talos.as_ref()
    }

    /// Whether Talos runs on it.
    pub(in crate::sim) fn has_talos(&self) -> bool {
        self.host.talos.is_some()
    }

    /// A value of the first document of its configuration, or of the document of a kind.
    fn said(&self, kind: Option<&str>, pointer: &str) -> Option<&Value> {
        let is_it = |document: &&Value| document.get("kind").and_then(Value::as_str) == kind;
        self.talos()?.config.iter().find(is_it)?.pointer(pointer)
    }

    pub(super) fn is_control_plane(&self) -> bool {
        self.said(None, "/machine/type").and_then(Value::as_str) == Some("controlplane")
    }

    /// Whether it is a server of Talos that runs and has data.
    pub(in crate::sim) fn is_talos_server(&self) -> bool {
        let joined = self.host.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.joined);
        joined && self.is_control_plane() && self.runs(TALOS)
    }

    /// The port at which its API server listens.
    pub(in crate::sim) fn talos_api_port(&self) -> Option<u16> {
        let old = self.said(None, "/cluster/controlPlane/localAPIServerPort");
        let port = old.or_else(|| self.said(Some("KubeAPIServerConfig"), "/apiPort")).and_then(Value::as_u64);
        self.is_control_plane().then(|| port.and_then(|port| port.try_into().ok()).unwrap_or(6443))
    }

    /// The labels and taints that its configuration gives its node.
    pub(in crate::sim) fn talos_marks(&self) -> (BTreeMap<String, String>, Vec<String>) {
        let map = |old: &str, new: &str| {
            let said =
                self.said(None, old).or_else(|| self.said(Some("KubeNodeConfig"), new)).and_then(Value::as_object);
            let pairs = said.into_iter().flatten();
            pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_string())).collect::<Vec<_>>()
        };
        let registered = self.said(None, "/machine/kubelet/extraConfig/registerWithTaints").and_then(Value::as_array);
        let registered = registered.into_iter().flatten().map(|taint| {
            let said = |key: &str| taint[key].as_str().unwrap_or_default().to_string();
            (said("key"), format!("{}:{}", said("value"), said("effect")))
        });
        let taints = map("/machine/nodeTaints", "/taints").into_iter().chain(registered);
        let taints = taints.map(|(key, rest)| match rest.split_once(':') {
            Some(("", effect)) => format!("{key}:{effect}"),
            Some(_) => format!("{key}={rest}"),
            None => format!("{key}:{rest}"),
        });
        let alone = self.said(None, "/cluster/controlPlane").is_some()
            && self.is_control_plane()
            && self.said(None, "/cluster/allowSchedulingOnControlPlanes").is_none();
        let own = alone.then(|| "node-role.kubernetes.io/control-plane:NoSchedule".to_string());
        (map("/machine/nodeLabels", "/labels").into_iter().collect(), taints.chain(own).collect())
    }

    /// The version of the kubelet that its configuration names.
    pub(super) fn kubelet(&self) -> Option<Version> {
        kubelet_version(&self.talos()?.config)
    }

    /// It is on its disk from now on. One that was reset is there already, and comes back from what it was installed from.
    pub(super) fn is_installed(&mut self, config: &MachineConfig) {
        if self.talos().is_some_and(|talos| talos.system_disk.is_none()) {
            self.comes_from_its_image();
            if let Some(talos) = self.host.talos.as_mut() {
                talos.system_disk = config.install_disk();
            }
        }
    }

    /// It runs from what it was installed from, whatever it was started from.
    fn comes_from_its_image(&mut self) {
        let image = self.said(None, "/machine/install/image");
        let image = image.or_else(|| self.said(Some("UnattendedInstallConfig"), "/installer/image"));
        let Some((name, tag)) = image.and_then(Value::as_str).and_then(|image| image.rsplit_once(':')) else { return };
        let version = tag.parse().ok();
        // Names of the factory end in the schematic's id; the plain installer's has none.
        let last = name.rsplit('/').next().unwrap_or_default();
        let schematic = (last.len() == 64).then(|| last.to_string());
        if let Some(talos) = self.host.talos.as_mut() {
            talos.version = version.unwrap_or(talos.version.clone());
            talos.schematic = schematic;
        }
    }

    /// Whether somebody else brings the pods' network.
    pub(super) fn wants_network(&self) -> bool {
        match self.said(None, "/cluster/network/cni/name").and_then(Value::as_str) {
            Some(name) => name == "none",
            None => self.said(Some("KubeFlannelCNIConfig"), "").is_none(),
        }
    }
}

/// What a configuration refuses to be taken as: what Talos looks at before it does anything.
pub(super) fn refused(machine: &Machine, config: &MachineConfig) -> Result<(), String> {
    let documents = config.documents();
    let first = documents.iter().find(|document| document.get("kind").is_none()).ok_or("no v1alpha1 document")?;
    let kind = first.pointer("/machine/type").and_then(Value::as_str).unwrap_or_default();
    if !["controlplane", "worker"].contains(&kind) {
        return Err(format!("unknown machine type {kind:?}"));
    }
    for secret in ["/machine/token", "/cluster/token", "/machine/ca/crt"] {
        if first.pointer(secret).and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(format!("{secret} is required"));
        }
    }
    let keys = [("/machine/ca/key", "controlplane"), ("/cluster/etcd/ca/key", "controlplane")];
    if let Some((key, _)) = keys.iter().find(|(key, of)| (*of == kind) != first.pointer(key).is_some()) {
        return Err(format!("{key} does not belong to a {kind}"));
    }
    // Kinds that older versions do not know; they know no document of the same form either.
    let kinds = [("HostnameConfig", (1, 12)), ("UnattendedInstallConfig", (1, 14))];
    let version = machine.talos().map(|talos| talos.version.minor());
    let has = |kind: &str| documents.iter().any(|document| document["kind"] == kind);
    if let Some((kind, _)) = kinds.iter().find(|(kind, since)| has(kind) && version.is_some_and(|it| it < *since)) {
        return Err(format!("rpc error: code = InvalidArgument desc = {kind:?} \"v1alpha1\": not registered"));
    }
    let disk = config.install_disk();
    let there = machine.talos().filter(|talos| talos.system_disk.is_none());
    let disks = there.map(|talos| &talos.disks);
    match disk {
        None => Err("an install disk is required".into()),
        Some(disk) if disks.is_some_and(|disks| !disks.contains_key(&disk)) => {
            Err(format!("rpc error: code = InvalidArgument desc = no disk found: {disk}"))
        }
        Some(_) => Ok(()),
    }
}
