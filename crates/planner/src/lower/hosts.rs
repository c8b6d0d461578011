//! Everything that should be true of each host, in the order in which it is made true.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use kubewright_model::desired::{
    Body, DesiredHost, DesiredMachine, DesiredProxy, LxcBody, ProxmoxCluster, THIS_COMPUTER, TalosWay, Way,
};
use kubewright_model::digest::Digest;
use kubewright_model::host::{
    DirectoryWish, FileWish, HostResource, HostsEntry, Mode, RepositoryWish, SshDaemonWish, UnitRun, UnitWish, UserWish,
};
use kubewright_model::ids::{HoleName, NodeName, PlaceName, PoolName, ProviderName};
use kubewright_model::spec::hosts::{HostFile, PackageRepository, Ssh};
use kubewright_model::spec::providers::ProxmoxSsh;
use kubewright_model::spec::secrets::SecretRef;
use kubewright_model::spec::{Distribution, HostSettings};
use kubewright_model::talos::TALOS_API;
use kubewright_model::text::Text;

use super::{Context, SecretNames, cloud, load_balancers};
use crate::context::nodes::NodePlan;
use crate::diff::hypervisors::container_file;
use crate::{addons, distributions, haproxy, keepalived};

/// Hosts of nodes, then the hypervisors that need a word from us.
pub(super) fn hosts(
    context: &Context<'_>,
    machines: &[DesiredMachine],
    proxmox: &BTreeMap<ProviderName, ProxmoxCluster>,
    proxies: &[DesiredProxy],
    secrets: &mut SecretNames,
) -> Vec<DesiredHost> {
    let pools = pools(context);
    let mut hosts: Vec<DesiredHost> = context
        .nodes
        .iter()
        .filter_map(|node| {
            let (settings, names) = pools.get(node.pool_name)?;
            Some(DesiredHost {
                name: node.name.clone(),
                machine: Some(node.name.clone()),
                way: match runs_talos(context, node) {
                    true => way_to_talos(node),
                    false => cloud::through_gate(context, node, way(node, settings.ssh.as_ref(), secrets)),
                },
                os: settings.os.clone(),
                resources: resources(context, node, settings, names, proxies, secrets),
                listens: listens(context, node),
            })
        })
        .collect();
    hosts.extend(hypervisors(context, machines, proxmox));
    hosts
}

/// What is the same for all hosts of a pool: their settings, and what `/etc/hosts` says there.
fn pools<'a>(context: &Context<'a>) -> BTreeMap<&'a PoolName, (HostSettings, Arc<Vec<HostsEntry>>)> {
    let spec = &context.file.spec;
    let nodes = context.nodes.iter();
    let nodes =
        nodes.filter_map(|node| Some(HostsEntry { address: node.address?, names: vec![node.name.to_string()] }));
    let nodes: Vec<HostsEntry> = nodes.collect();
    let common = Arc::new(names(&spec.hosts, &nodes));
    let pools = spec.pools.iter().map(|(name, pool)| {
        let settings = merged(&spec.hosts, pool.hosts.as_ref());
        let own = pool.hosts.as_ref().is_some_and(|own| own.etc_hosts.is_some() || !own.host_aliases.is_empty());
        let names = if own { Arc::new(names(&settings, &nodes)) } else { common.clone() };
        (name, (settings, names))
    });
    pools.collect()
}

/// Every node's address and name, where that is wished, and aliases.
fn names(settings: &HostSettings, nodes: &[HostsEntry]) -> Vec<HostsEntry> {
    let nodes = nodes.iter().filter(|_| settings.etc_hosts == Some(true)).cloned();
    let aliases = settings
        .host_aliases
        .iter()
        .filter_map(|(address, names)| Some(HostsEntry { address: address.parse().ok()?, names: names.clone() }));
    nodes.chain(aliases).collect()
}

/// Whether a node's host runs Talos. A load balancer's does not: it runs HAProxy.
fn runs_talos(context: &Context<'_>, node: &NodePlan<'_>) -> bool {
    context.file.spec.kubernetes.distribution == Distribution::Talos && node.is_node()
}

/// The way to Talos, which has no users and no keys.
fn way_to_talos(node: &NodePlan<'_>) -> Way {
    let maintenance = distributions::maintenance(node).or(node.address);
    Way {
        address: node.address,
        name: node.address.is_none().then(|| node.name.to_string()),
        port: TALOS_API,
        talos: Some(TalosWay { maintenance }),
        ..plain_way(None, None)
    }
}

fn way(node: &NodePlan<'_>, ssh: Option<&Ssh>, secrets: &mut SecretNames) -> Way {
    // A pool that says its own way has a password of its own.
    let own = node.pool.hosts.as_ref().is_some_and(|settings| settings.ssh.is_some());
    let name = |what: &str| if own { format!("{what}-{}", node.pool_name) } else { what.to_string() };
    let mut hole = |what, password: Option<&SecretRef>| password.map(|it| secrets.hole(&name(what), Some(it)));
    let (first, sudo) = (
        hole("first-password", ssh.and_then(|ssh| ssh.first_password.as_ref())),
        hole("sudo-password", ssh.and_then(|ssh| ssh.sudo_password.as_ref())),
    );
    Way {
        address: node.address,
        name: match &node.pool.existing {
            Some(existing) if existing.this_computer => Some(THIS_COMPUTER.into()),
            _ => node.address.is_none().then(|| node.name.to_string()),
        },
        // Only who moves the daemon looks for it where it is before that.
        port_before: ssh
            .filter(|ssh| ssh.harden)
            .map(|ssh| ssh.port_before.unwrap_or(22))
            .filter(|before| ssh.is_some_and(|ssh| ssh.port != *before)),
        host_key: node
            .pool
            .existing
            .as_ref()
            .and_then(|it| it.host_keys.get(&node.name))
            .map(|key| key.as_str().into()),
        first,
        sudo,
        ..plain_way(ssh, None)
    }
}

/// The way to a host of which nothing but the cluster's settings is known.
pub(super) fn plain_way(ssh: Option<&Ssh>, sudo: Option<HoleName>) -> Way {
    Way {
        address: None,
        name: None,
        port: ssh.map_or(22, |ssh| ssh.port),
        port_before: None,
        user: ssh.map_or("root", |ssh| ssh.user.as_str()).into(),
        key_file: ssh.and_then(|ssh| ssh.key_file.as_deref()).map(Arc::from),
        jump: ssh.and_then(|ssh| ssh.jump.as_deref()).map(Arc::from),
        host_key: None,
        first: None,
        sudo,
        talos: None,
    }
}

/// What every host with these settings has of packages, kernel, users and files; `modules`: it loads its own.
pub(super) fn settled(settings: &HostSettings, modules: bool, secrets: &mut SecretNames) -> Vec<HostResource> {
    let repositories = settings.repositories.iter();
    let mut resources: Vec<HostResource> =
        repositories.map(|(name, it)| HostResource::Repository(repository(name, it))).collect();
    resources.extend(settings.packages.iter().chain(&settings.holds).cloned().map(HostResource::Package));
    resources.extend(settings.holds.iter().cloned().map(HostResource::Hold));
    if modules {
        resources.extend(settings.modules.iter().cloned().map(HostResource::Module));
    }
    resources.extend(
        settings.sysctls.iter().map(|(key, value)| HostResource::Sysctl { key: key.clone(), value: value.clone() }),
    );
    resources.extend(settings.users.iter().map(|(name, user)| HostResource::User(user_wish(name, user, secrets))));
    resources.extend(settings.files.iter().map(|(path, file)| file_wish(path, file, secrets)));
    resources
}

pub(super) fn language_and_time(settings: &HostSettings) -> impl Iterator<Item = HostResource> + use<> {
    let timezone = settings.timezone.clone().map(HostResource::Timezone);
    timezone.into_iter().chain(settings.locale.clone().map(HostResource::Locale))
}

fn resources(
    context: &Context<'_>,
    node: &NodePlan<'_>,
    settings: &HostSettings,
    names: &Arc<Vec<HostsEntry>>,
    proxies: &[DesiredProxy],
    secrets: &mut SecretNames,
) -> Vec<HostResource> {
    let kubernetes = &context.file.spec.kubernetes;
    // Talos has no shell and no files of ours: its machine configuration says all of this.
    if runs_talos(context, node) {
        return distributions::host_resources(context, node);
    }
    let mut resources = vec![HostResource::Hostname(node.name.to_string())];
    resources.extend(settled(settings, !modules_are_the_hypervisors(context, node), secrets));
    if !names.is_empty() {
        resources.push(HostResource::HostsEntries(names.clone()));
    }
    resources.extend(language_and_time(settings));
    // The kubelet of kubeadm refuses to start beside swap; the others are told nothing unless the file says so.
    if settings.swap_off.unwrap_or(kubernetes.distribution == Distribution::Kubeadm && node.is_node()) {
        resources.push(HostResource::SwapOff);
    }
    if settings.time_sync == Some(true) {
        resources.push(HostResource::TimeSync);
    }
    if node.lxc().is_some_and(|lxc| lxc.kmsg) {
        resources.push(HostResource::Unit(kmsg_unit()));
    }
    if node.is_node() {
        resources.extend(addons::host_resources(&context.file.spec.addons, settings));
        resources.extend(distributions::host_resources(context, node));
    }
    resources.extend(cloud::nat_resources(context, node));
    let proxy = proxies.iter().find(|proxy| proxy.host == node.name);
    resources.extend(proxy.into_iter().flat_map(|proxy| haproxy::resources(proxy, kubernetes.distribution)));
    resources.extend(proxy.into_iter().flat_map(keepalived::resources));
    if let Some(ssh) = settings.ssh.as_ref().filter(|ssh| ssh.harden) {
        resources.push(HostResource::SshDaemon(SshDaemonWish { port: ssh.port, harden: true }));
    }
    deduplicated(resources)
}

/// The ports that what we set up on a host listens on.
fn listens(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<u16> {
    let spec = &context.file.spec;
    let mut ports = load_balancers::haproxy_ports(context, node);
    if node.is_node() {
        ports.extend(distributions::ports(context, node));
    }
    if node.is_node() && spec.ingress.nginx.as_ref().is_some_and(|nginx| nginx.host_network) {
        ports.extend([80, 443]);
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// What two parts want is wanted once: a package, and a user as the file has it. Of a kernel setting the distribution,
/// which comes later, has the last word: it does not start with another value.
pub(super) fn deduplicated(resources: Vec<HostResource>) -> Vec<HostResource> {
    let mut first = BTreeSet::new();
    let mut last = BTreeMap::new();
    for (index, resource) in resources.iter().enumerate() {
        if let HostResource::Sysctl { key, .. } = resource {
            last.insert(key.clone(), index);
        }
    }
    let keep = |(index, resource): &(usize, HostResource)| match resource {
        HostResource::Package(_) | HostResource::User(_) => first.insert(resource.key()),
        HostResource::Sysctl { key, .. } => last.get(key) == Some(index),
        _ => true,
    };
    resources.into_iter().enumerate().filter(keep).map(|(_, resource)| resource).collect()
}

/// A container has no `/dev/kmsg` unless its hypervisor gives it one, and the kubelet does not start without. A link
/// made by hand is gone after a restart, because `/dev` is made anew: so a unit makes it before Kubernetes starts. It asks
/// for the link itself and has no condition: a unit whose condition does not hold counts as one that does not run.
fn kmsg_unit() -> UnitWish {
    let content = "[Unit]\n\
        Description=Give the kubelet its /dev/kmsg\n\
        DefaultDependencies=no\n\
        After=local-fs.target\n\
        Before=k3s.service k3s-agent.service rke2-server.service rke2-agent.service kubelet.service\n\
        \n\
        [Service]\n\
        Type=oneshot\n\
        RemainAfterExit=yes\n\
        ExecStart=/bin/sh -c '[ -e /dev/kmsg ] || ln -s /dev/console /dev/kmsg'\n\
        \n\
        [Install]\n\
        WantedBy=multi-user.target\n";
    UnitWish {
        name: "kubewright-kmsg.service".into(),
        content: Some(Text::known(content)),
        enabled: true,
        run: UnitRun::Oneshot,
        reads: Digest::of(content),
    }
}

fn user_wish(name: &str, user: &kubewright_model::spec::hosts::User, secrets: &mut SecretNames) -> UserWish {
    let hash = user.password_hash.as_ref();
    UserWish {
        name: name.to_string(),
        authorized_keys: user.authorized_keys.clone(),
        sudo: user.sudo,
        groups: user.groups.clone(),
        shell: user.shell.clone(),
        password_hash: hash.map(|hash| Text::hole(secrets.hole(&format!("password-hash-{name}"), Some(hash)))),
    }
}

fn repository(name: &str, repository: &PackageRepository) -> RepositoryWish {
    RepositoryWish {
        name: name.to_string(),
        url: repository.url.clone(),
        suites: repository.suites.clone(),
        components: repository.components.clone(),
        key: repository.key.trim().to_string(),
    }
}

fn file_wish(path: &str, file: &HostFile, secrets: &mut SecretNames) -> HostResource {
    let path = path.to_string();
    // The schema allows only octal digits.
    let mode = |usual| file.mode.as_ref().map_or(usual, |mode| u32::from_str_radix(mode, 8).unwrap_or(0o600));
    let owner = file.owner.as_deref().unwrap_or("root");
    let owner = if owner.contains(':') { owner.to_string() } else { format!("{owner}:{owner}") };
    let content = match file {
        HostFile { directory: true, .. } => {
            return HostResource::Directory(DirectoryWish { path, mode: Mode(mode(0o755)), owner });
        }
        HostFile { link: Some(target), .. } => return HostResource::Link { path, target: target.clone() },
        HostFile { block: Some(text), .. } => {
            return HostResource::Block { path, lines: text.lines().map(str::to_string).collect() };
        }
        HostFile { from: Some(secret), .. } => Text::hole(secrets.hole(&format!("file{path}"), Some(secret))),
        HostFile { content, .. } => Text::known(content.as_deref().unwrap_or_default()),
    };
    // What is secret is not for everybody on the host.
    let usual = if file.from.is_some() { 0o600 } else { 0o644 };
    HostResource::File(FileWish { owner, ..FileWish::new(path, content, mode(usual)) })
}

/// A pool's settings on top of the cluster's: lists are joined, single values replace.
fn merged(cluster: &HostSettings, pool: Option<&HostSettings>) -> HostSettings {
    let Some(pool) = pool else { return cluster.clone() };
    HostSettings {
        ssh: pool.ssh.clone().or_else(|| cluster.ssh.clone()),
        os: pool.os.clone().or_else(|| cluster.os.clone()),
        repositories: joined(&cluster.repositories, &pool.repositories),
        packages: with(&cluster.packages, &pool.packages),
        holds: with(&cluster.holds, &pool.holds),
        files: joined(&cluster.files, &pool.files),
        sysctls: joined(&cluster.sysctls, &pool.sysctls),
        modules: with(&cluster.modules, &pool.modules),
        users: joined(&cluster.users, &pool.users),
        locale: pool.locale.clone().or_else(|| cluster.locale.clone()),
        timezone: pool.timezone.clone().or_else(|| cluster.timezone.clone()),
        etc_hosts: pool.etc_hosts.or(cluster.etc_hosts),
        host_aliases: joined(&cluster.host_aliases, &pool.host_aliases),
        swap_off: pool.swap_off.or(cluster.swap_off),
        time_sync: pool.time_sync.or(cluster.time_sync),
    }
}

fn with(under: &[String], over: &[String]) -> Vec<String> {
    under.iter().chain(over.iter().filter(|name| !under.contains(name))).cloned().collect()
}

fn joined<T: Clone>(under: &IndexMap<String, T>, over: &IndexMap<String, T>) -> IndexMap<String, T> {
    under.iter().chain(over).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What only root on the hypervisor may do for its containers: load kernel modules, and write the lines of their files
/// that the API does not accept.
fn hypervisors(
    context: &Context<'_>,
    machines: &[DesiredMachine],
    proxmox: &BTreeMap<ProviderName, ProxmoxCluster>,
) -> Vec<DesiredHost> {
    let mut wishes: BTreeMap<PlaceName, (Way, BTreeSet<String>, Vec<HostResource>)> = BTreeMap::new();
    for (machine, node) in machines.iter().zip(&context.nodes) {
        let (Body::Lxc(lxc), Some(vmid)) = (&*machine.body, machine.vmid) else { continue };
        let Some(ssh) = way_into_its_hypervisor(context, node) else { continue };
        let Some(cluster) = proxmox.get(&machine.provider) else { continue };
        let new = || (cluster.way_to(&machine.place, as_root(ssh)), BTreeSet::new(), Vec::new());
        let (_, modules, files) = wishes.entry(machine.place.clone()).or_insert_with(new);
        modules.extend(context.file.spec.hosts.modules.iter().cloned());
        modules.extend(node.pool.hosts.iter().flat_map(|settings| settings.modules.iter().cloned()));
        if node.is_node() {
            modules.extend(CONTAINER_MODULES.map(String::from));
        }
        let lines = container_lines(lxc);
        if !lines.is_empty() {
            files.push(HostResource::Lines { path: container_file(vmid), lines });
        }
    }
    let hosts = wishes.into_iter().map(|(place, (way, modules, files))| DesiredHost {
        name: NodeName::new(place.as_str()),
        machine: None,
        way,
        os: None,
        resources: modules.into_iter().map(HostResource::Module).chain(files).collect(),
        listens: Vec::new(),
    });
    hosts.filter(|host| !host.resources.is_empty()).collect()
}

/// Root's way into Proxmox hosts, which does not lead anywhere yet.
fn as_root(ssh: &ProxmoxSsh) -> Way {
    Way {
        port: ssh.port,
        user: ssh.user.as_str().into(),
        key_file: ssh.key_file.as_deref().map(Arc::from),
        ..plain_way(None, None)
    }
}

/// The modules that Kubernetes needs and loads by itself where it may: a container has the kernel of its hypervisor and
/// may not. What `iptables` needs beyond them, the kernel loads when it is asked for.
/// <https://github.com/k3s-io/k3s/blob/v1.31.4%2Bk3s1/pkg/agent/syssetup/setup.go>
const CONTAINER_MODULES: [&str; 3] = ["br_netfilter", "nf_conntrack", "overlay"];

/// Whether a node's kernel modules are loaded on its hypervisor, into which there is a way.
fn modules_are_the_hypervisors(context: &Context<'_>, node: &NodePlan<'_>) -> bool {
    node.lxc().is_some() && way_into_its_hypervisor(context, node).is_some()
}

/// Root's way into the hosts of the Proxmox cluster that a node's machine is at.
fn way_into_its_hypervisor<'a>(context: &Context<'a>, node: &NodePlan<'_>) -> Option<&'a ProxmoxSsh> {
    context.file.spec.providers.proxmox_of(node.pool.proxmox.as_ref()?)?.ssh.as_ref()
}

/// The lines of a container's file that no API token may set, in the words in which Proxmox writes them itself.
fn container_lines(lxc: &LxcBody) -> Vec<String> {
    let mut features: Vec<String> = lxc.features.iter().map(|feature| format!("{feature}=1")).collect();
    features.sort();
    let wanted = lxc.features_need_root() && !features.is_empty();
    let features = wanted.then(|| format!("features: {}", features.join(",")));
    features.into_iter().chain(lxc.raw.iter().cloned()).collect()
}
