//! Clusters and damage by chance, as values that shrink.

use std::collections::BTreeSet;

use kubewright_engine::sim::{DataCentre, Fault, FaultKind, Machine};
use kubewright_model::desired::Desired;
use kubewright_model::digest::Digest;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::Power;
use kubewright_model::setting::Setting;
use proptest::prelude::*;
use proptest::sample::Index;

/// What machines are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    Lxc,
    Vm,
    Existing,
}

/// What makes Kubernetes of the machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    K3s,
    Rke2,
    Kubeadm,
    Talos,
}

/// One version after the other, none skipped.
const VERSIONS: [&str; 4] = ["v1.31.4", "v1.32.1", "v1.33.1", "v1.34.1"];

/// A cluster by chance.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) servers: usize,
    pub(crate) agents: usize,
    pub(crate) make: Make,
    pub(crate) kind: Kind,
    sqlite: bool,
    cilium: bool,
    addons: bool,
    /// Which of [`VERSIONS`].
    pub(crate) version: usize,
    setting: u8,
}

/// A cluster of K3s or RKE2.
pub(crate) fn shape() -> impl Strategy<Value = Shape> {
    let servers = prop_oneof![6 => Just(1_usize), 5 => Just(3), 2 => Just(5), 1 => Just(7)];
    let agents = prop_oneof![6 => 0..3_usize, 1 => 3..9_usize];
    let make = prop_oneof![4 => Just(Make::Lxc), 2 => Just(Make::Vm), 2 => Just(Make::Existing)];
    let flags = (any::<bool>(), proptest::bool::weighted(0.2), proptest::bool::weighted(0.3));
    let rke2 = proptest::bool::weighted(0.3);
    (servers, agents, make, flags, rke2).prop_map(|(servers, agents, make, (sqlite, cilium, addons), rke2)| Shape {
        servers,
        agents,
        make,
        kind: if rke2 { Kind::Rke2 } else { Kind::K3s },
        sqlite: sqlite && servers == 1 && !rke2,
        cilium,
        addons,
        version: 0,
        setting: 0,
    })
}

/// A small cluster of any distribution.
pub(crate) fn any_shape() -> impl Strategy<Value = Shape> {
    let kind = prop_oneof![
        3 => Just(Kind::K3s),
        2 => Just(Kind::Rke2),
        3 => Just(Kind::Kubeadm),
        2 => Just(Kind::Talos)
    ];
    let servers = prop_oneof![2 => Just(1_usize), 6 => Just(3), 1 => Just(5)];
    (shape(), kind, servers, 0..3_usize).prop_map(|(shape, kind, servers, agents)| Shape {
        kind,
        servers,
        agents,
        sqlite: shape.sqlite && kind == Kind::K3s && servers == 1,
        make: match (kind, shape.make) {
            (Kind::Talos, _) => Make::Existing,
            // kubeadm wants a kernel of its own.
            (Kind::Kubeadm, Make::Lxc) => Make::Vm,
            (_, make) => make,
        },
        ..shape
    })
}

/// What of a spec is changed after the cluster was built.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    Upgrade,
    Setting,
    Addons(bool),
    Agents(usize),
    Servers(usize),
}

pub(crate) fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let one = prop_oneof![
        Just(Wish::Upgrade),
        Just(Wish::Setting),
        any::<bool>().prop_map(Wish::Addons),
        (0..4_usize).prop_map(Wish::Agents),
        prop_oneof![Just(1_usize), Just(3), Just(5)].prop_map(Wish::Servers),
    ];
    proptest::collection::vec(one, 0..3)
}

impl Shape {
    /// The shape after its owner changed their mind.
    pub(crate) fn after(&self, wishes: &[Wish]) -> Self {
        let mut shape = self.clone();
        for wish in wishes {
            match wish {
                Wish::Upgrade => shape.version = (shape.version + 1).min(VERSIONS.len() - 1),
                Wish::Setting => shape.setting += 1,
                Wish::Addons(on) => shape.addons = *on,
                // Hosts that exist already are nobody's to add or to take away here.
                Wish::Agents(many) if shape.make != Make::Existing => shape.agents = *many,
                Wish::Servers(many) if shape.make != Make::Existing && !shape.sqlite => shape.servers = *many,
                Wish::Agents(_) | Wish::Servers(_) => {}
            }
        }
        shape
    }

    /// Whether it has a datastore of which a snapshot can be taken.
    pub(crate) fn can_be_saved(&self) -> bool {
        !self.sqlite
    }

    fn pool(&self, name: &str, role: &str, many: usize, from: usize) -> String {
        let range = |base: usize| if many == 1 { format!("{base}") } else { format!("{base}-{}", base + many - 1) };
        let size = "cores: 2, memory: 4Gi, disk: 20Gi";
        let body = match self.make {
            Make::Lxc => "lxc: { template: \"local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst\" }",
            Make::Vm => "vm: { template: 9000 }",
            Make::Existing => "",
        };
        let made = match self.make {
            Make::Existing => "existing: {}".to_string(),
            Make::Lxc | Make::Vm => format!("{size}, proxmox: {{ vmids: [\"{}\"], {body} }}", range(100 + from * 10)),
        };
        let addresses = format!("10.0.0.{}", range(from));
        format!("    {name}: {{ role: {role}, name: \"{name}-{{n}}\", addresses: [{addresses}], {made} }}\n")
    }

    /// What the spec says of Kubernetes.
    fn kubernetes(&self) -> String {
        let version = VERSIONS[self.version];
        let cilium = if self.cilium { ", cni: { cilium: { version: 1.18.3 } }" } else { "" };
        let of_rancher = |distribution: &str, build: &str| {
            let store = if self.sqlite { "sqlite" } else { "etcd" };
            let config = format!("{{ kube-apiserver-arg: [max-requests-inflight=40{}] }}", self.setting);
            format!(
                "distribution: {distribution}, version: {version}+{build}, datastore: {store}, \
                 endpoint: {{ host: 10.0.0.10 }}{cilium}, serverConfig: {config}"
            )
        };
        match self.kind {
            Kind::K3s => of_rancher("k3s", "k3s1"),
            Kind::Rke2 => of_rancher("rke2", "rke2r1"),
            Kind::Kubeadm => {
                let cni = if self.cilium { cilium } else { ", cni: { flannel: {} }" };
                format!("distribution: kubeadm, version: {version}, endpoint: {{ loadBalancer: api }}{cni}")
            }
            Kind::Talos => format!(
                "distribution: talos, version: {version}, talos: {{ version: v1.11.5 }}, \
                 endpoint: {{ virtualIp: {{ address: 10.0.0.5 }} }}, cni: {{ cilium: {{ version: 1.18.3 }} }}"
            ),
        }
    }

    /// The cluster as a spec.
    pub(crate) fn spec(&self) -> String {
        let mut text = format!(
            "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{ name: lab }}\nspec:\n  kubernetes: {{ {} }}\n",
            self.kubernetes()
        );
        if self.make != Make::Existing {
            text += "  providers: { proxmox: { endpoint: \"https://pve:8006\", tokenId: root@pam!kubewright, \
                     tokenSecret: { env: TOKEN }, node: pve, ssh: { keyFile: ~/.ssh/id_ed25519 } } }\n";
        }
        text += "  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }\n";
        if self.kind != Kind::Talos {
            let motd = format!("files: {{ /etc/motd: {{ content: \"hi {}\" }} }}", self.setting);
            text += &format!("  hosts: {{ ssh: {{ keyFile: ~/.ssh/id_ed25519 }}, packages: [curl], {motd} }}\n");
        }
        text += "  pools:\n";
        text += &self.pool("server", "both", self.servers, 10);
        if self.agents > 0 {
            text += &self.pool("agent", "agent", self.agents, 20);
        }
        if self.kind == Kind::Kubeadm {
            text += &self.pool("balancer", "loadBalancer", 1, 5);
            text += "  loadBalancers:\n    api: { by: haproxy, pool: balancer, targets: [server], listen: [{ port: 6443, to: 6443 }] }\n";
        }
        if self.addons && matches!(self.kind, Kind::K3s | Kind::Rke2) {
            text += "  namespaces: [shop]\n  ingress: { routes: { shop.lab: { to: \"shop/web:80\" } } }\n";
            text += "  addons: { certManager: {}, metallb: { pools: { lab: [10.0.0.200-210] } } }\n";
        }
        text
    }
}

/// Something that happens to a cluster.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Lost(Index),
    Stopped(Index),
    Cordoned(Index),
    UnitStopped(Index),
    UnitStale(Index),
    FileChanged(Index, Index),
    FileGone(Index, Index),
    PackageGone(Index),
    SettingGone(Index, Index),
    SettingChanged(Index),
    FewerCores(Index),
    Strikes(FaultKind),
}

pub(crate) fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let at = || any::<Index>();
    let one = prop_oneof![
        3 => at().prop_map(Damage::Lost),
        2 => at().prop_map(Damage::Stopped),
        1 => at().prop_map(Damage::Cordoned),
        2 => at().prop_map(Damage::UnitStopped),
        1 => at().prop_map(Damage::UnitStale),
        1 => (at(), at()).prop_map(|(node, file)| Damage::FileChanged(node, file)),
        1 => (at(), at()).prop_map(|(node, file)| Damage::FileGone(node, file)),
        1 => at().prop_map(Damage::PackageGone),
        1 => (at(), at()).prop_map(|(node, key)| Damage::SettingGone(node, key)),
        1 => at().prop_map(Damage::SettingChanged),
        1 => at().prop_map(Damage::FewerCores),
        2 => proptest::sample::select(FaultKind::ALL.to_vec()).prop_map(Damage::Strikes),
    ];
    proptest::collection::vec(one, 0..4)
}

/// A machine of the cluster, and whether it is a server.
fn chosen(desired: &Desired, at: &Index) -> (NodeName, bool) {
    let machine = &desired.machines[at.index(desired.machines.len())];
    (machine.name.clone(), desired.servers().any(|member| member.name == machine.name))
}

/// How much damage may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bounds {
    /// Any.
    None,
    /// Fewer than half of the servers are lost, and a node is left that takes pods.
    Lost,
    /// The same, and no more are even off: nobody could start those that are not in the spec any more.
    Off,
}

/// Damages a cluster within bounds; `sick` are the servers that were hit.
pub(crate) fn happen(
    centre: &DataCentre,
    desired: &Desired,
    damage: &Damage,
    sick: &mut BTreeSet<NodeName>,
    bounds: Bounds,
) {
    if !bears(centre, desired, damage, sick, bounds) {
        return;
    }
    match damage {
        Damage::Lost(at) => drop(centre.lose(&chosen(desired, at).0)),
        Damage::Cordoned(at) => {
            let (name, _) = chosen(desired, at);
            centre.alter(|state| state.cluster.nodes.get_mut(&name).into_iter().for_each(|node| node.cordoned = true));
        }
        Damage::Strikes(kind) => centre.strike(Fault { kind: *kind, target: None }),
        Damage::Stopped(at)
        | Damage::UnitStopped(at)
        | Damage::UnitStale(at)
        | Damage::FileChanged(at, _)
        | Damage::FileGone(at, _)
        | Damage::PackageGone(at)
        | Damage::SettingGone(at, _)
        | Damage::SettingChanged(at)
        | Damage::FewerCores(at) => {
            let (name, _) = chosen(desired, at);
            centre.alter(|state| state.machine_mut(&name).into_iter().for_each(|machine| spoil(machine, damage)));
        }
    }
}

/// Whether a damage is within bounds; a server that it hits counts as sick from then on. So does one that is just made anew.
fn bears(
    centre: &DataCentre,
    desired: &Desired,
    damage: &Damage,
    sick: &mut BTreeSet<NodeName>,
    bounds: Bounds,
) -> bool {
    let may_lose = desired.servers().count().saturating_sub(1) / 2;
    let hit = match damage {
        Damage::Cordoned(at) if bounds != Bounds::None => return !chosen(desired, at).1,
        Damage::Lost(at) => Some(chosen(desired, at)).filter(|_| bounds != Bounds::None),
        Damage::Stopped(at) | Damage::UnitStopped(at) => Some(chosen(desired, at)).filter(|_| bounds == Bounds::Off),
        _ => None,
    };
    let Some((name, true)) = hit else { return true };
    let world = centre.snapshot();
    let belongs = |name: &NodeName| {
        world.machine(name).and_then(|machine| machine.host.kubernetes.as_ref()).is_some_and(|it| it.joined)
    };
    let away = desired.servers().map(|member| &member.name).filter(|name| !belongs(name));
    // A wish for fewer servers also counts those that were hit before: what is gone twice may be all that was left.
    let out: BTreeSet<&NodeName> = sick.iter().chain(away).chain([&name]).collect();
    let borne = out.len() <= may_lose;
    if borne {
        sick.insert(name);
    }
    borne
}

/// Damages one machine, or what is on it.
fn spoil(machine: &mut Machine, damage: &Damage) {
    let one_of = |keys: Vec<String>, at: &Index| (!keys.is_empty()).then(|| keys[at.index(keys.len())].clone());
    match damage {
        Damage::Stopped(_) => {
            machine.seen.power = Power::Stopped;
            machine.host.units.values_mut().for_each(|unit| unit.active = false);
        }
        Damage::UnitStopped(_) => machine.host.units.values_mut().for_each(|unit| unit.active = false),
        Damage::UnitStale(_) => {
            let units = machine.host.units.values_mut().filter(|unit| unit.reads.is_some());
            units.for_each(|unit| unit.reads = Some(Digest::of("older")));
        }
        Damage::FileChanged(_, file) => {
            // A server that was started with another token wants a hand: its own file is newer than the datastore then.
            let files = machine.host.files.keys().filter(|path| !path.ends_with("/token"));
            let key = one_of(files.cloned().collect(), file);
            let file = key.and_then(|key| machine.host.files.get_mut(&key));
            file.into_iter().for_each(|file| file.digest = Digest::of("by hand"));
        }
        Damage::FileGone(_, file) => {
            let key = one_of(machine.host.files.keys().cloned().collect(), file);
            key.into_iter().for_each(|key| drop(machine.host.files.remove(&key)));
        }
        Damage::PackageGone(_) => drop(machine.host.packages.pop_last()),
        Damage::SettingGone(_, key) => {
            let key = one_of(machine.host.settings.keys().cloned().collect(), key);
            key.into_iter().for_each(|key| drop(machine.host.settings.remove(&key)));
        }
        Damage::SettingChanged(_) => {
            machine.host.sysctls.values_mut().for_each(|value| *value = "by hand".into());
            machine.host.blocks.values_mut().for_each(Vec::clear);
        }
        Damage::FewerCores(_) => machine.seen.settings.set(Setting::Cores(1)),
        Damage::Lost(_) | Damage::Cordoned(_) | Damage::Strikes(_) => {}
    }
}
