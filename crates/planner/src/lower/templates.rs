//! Templates of virtual machines that we build: what each is made from, and what is set up in it.
//!
//! A template holds what is the same on every host of the cluster and belongs to none of them: no name, no address book,
//! nothing of Kubernetes, and nothing secret. Hosts get the rest, and whatever a pool says for itself, when they are set
//! up; what they find is true already.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kubewright_model::desired::{
    Body, DesiredHost, DesiredMachine, DesiredTemplate, PROXMOX, TEMPLATE_TAG, VmBody, VmImage, VmSource, Way,
};
use kubewright_model::digest::Digest;
use kubewright_model::host::{HostResource, SshDaemonWish};
use kubewright_model::ids::{NodeName, PoolName, ProviderName, Vmid};
use kubewright_model::recipe::{Effect, Recipe, RecipeStep};
use kubewright_model::spec::pools::{ProxmoxMachines, TemplateBuild, Vm};
use kubewright_model::spec::providers::Proxmox;

use super::{Context, SecretNames, hosts, machines};

/// The port of a cloud image's SSH daemon.
const SSH: u16 = 22;
/// The digits of a template's version that its name shows.
const VERSION: usize = 8;

/// Every template that is built, by the order in which pools name them. Pools that name the same one share it.
pub(super) fn templates(context: &Context<'_>, secrets: &mut SecretNames) -> Vec<DesiredTemplate> {
    let mut numbers = BTreeSet::new();
    let mut templates = Vec::new();
    let spec = &context.file.spec;
    for (pool, machines) in spec.pools.iter().filter_map(|(name, pool)| Some((name, pool.proxmox.as_ref()?))) {
        let Some(proxmox) = spec.providers.proxmox_of(machines) else { continue };
        let Some(vm) = &machines.vm else { continue };
        if let (Some(build), Some(vmids)) = (&vm.build, vm.built_as())
            && numbers.insert((&machines.cluster, vm.template))
        {
            let host = host(context, build, secrets);
            templates.push(template(context, Wish { proxmox, pool, machines, vm, build }, vmids.map(Vmid), host));
        }
    }
    templates
}

/// The names of templates that are built, by their cluster and the number that pools know them by.
pub(super) type Built<'a> = BTreeMap<(ProviderName, Vmid), &'a NodeName>;

pub(super) fn names(templates: &[DesiredTemplate]) -> Built<'_> {
    templates.iter().map(|it| ((it.machine.provider.clone(), it.vmids[0]), it.name())).collect()
}

struct Wish<'a> {
    proxmox: &'a Proxmox,
    pool: &'a PoolName,
    machines: &'a ProxmoxMachines,
    vm: &'a Vm,
    build: &'a TemplateBuild,
}

fn template(context: &Context<'_>, wish: Wish<'_>, vmids: [Vmid; 2], host: DesiredHost) -> DesiredTemplate {
    let Wish { proxmox, pool, machines, vm, build } = wish;
    let image = VmImage {
        url: build.image.clone(),
        // The schema allows nothing but a digest.
        sha256: Digest::parse(&build.sha256).unwrap_or_else(|| Digest::of(&build.sha256)),
        storage: build.image_storage.clone().unwrap_or_else(|| proxmox.iso_storage.clone()),
    };
    let sha256 = image.sha256.clone();
    let body = VmBody {
        source: VmSource::Image(image),
        storage: build.storage.clone().unwrap_or_else(|| proxmox.storage.clone()),
        // It is not in the image, so Proxmox would wait for it in vain.
        agent: false,
        network_queues: None,
        extra_disks: Vec::new(),
        ..machines::vm_body(context.file, machines, vm, &BTreeMap::new())
    };
    let clean = Arc::new(clean());
    let inputs =
        (&sha256, &host.resources, &*clean, &host.way.user, &body.storage, &body.disk_slot, &body.format, build.disk);
    let version = Digest::of_value(&inputs);
    let known = vm.template_name.clone().unwrap_or_else(|| format!("template-{}", vm.template));
    // What two clusters have of one name and version are two templates.
    let cluster = machines.cluster.as_ref().map(|name| format!("{name}-")).unwrap_or_default();
    let name = NodeName::new(format!("{known}-{cluster}{}", version.as_str().get(..VERSION).unwrap_or_default()));
    let machine = DesiredMachine {
        name: name.clone(),
        pool: pool.clone(),
        provider: machines.cluster.clone().unwrap_or_else(|| PROXMOX.into()),
        place: build.node.as_ref().unwrap_or(&proxmox.node).as_str().into(),
        address: Some(build.address),
        cores: Some(build.cores),
        memory: Some(build.memory),
        disk: Some(build.disk),
        body: Arc::new(Body::Vm(body)),
        vmid: Some(vmids[0]),
        tags: vec![TEMPLATE_TAG.into()],
        on_boot: false,
        startup: None,
        description: None,
        ha: None,
    };
    let host = DesiredHost { name: name.clone(), machine: Some(name), ..host };
    DesiredTemplate { machine, host, clean, vmids }
}

/// The host that a template is built on, but for its name.
fn host(context: &Context<'_>, build: &TemplateBuild, secrets: &mut SecretNames) -> DesiredHost {
    let settings = &context.file.spec.hosts;
    let ssh = settings.ssh.as_ref();
    let port = ssh.map_or(SSH, |ssh| ssh.port);
    let mut resources = hosts::settled(settings, true, secrets);
    resources.push(HostResource::Package("qemu-guest-agent".into()));
    resources.extend(hosts::language_and_time(settings));
    if settings.swap_off == Some(true) {
        resources.push(HostResource::SwapOff);
    }
    if settings.time_sync == Some(true) {
        resources.push(HostResource::TimeSync);
    }
    let harden = ssh.is_some_and(|ssh| ssh.harden);
    if harden || port != SSH {
        resources.push(HostResource::SshDaemon(SshDaemonWish { port, harden }));
    }
    resources.retain(|resource| !is_secret(resource));
    let sudo = ssh.and_then(|ssh| ssh.sudo_password.as_ref());
    let sudo = sudo.map(|password| secrets.hole("sudo-password", Some(password)));
    let way =
        Way { address: Some(build.address), port_before: (port != SSH).then_some(SSH), ..hosts::plain_way(ssh, sudo) };
    let resources = hosts::deduplicated(resources);
    DesiredHost { name: "template".into(), machine: None, way, os: settings.os.clone(), resources, listens: Vec::new() }
}

/// Whether a resource holds what only a run knows: whoever may clone a template may read it.
fn is_secret(resource: &HostResource) -> bool {
    match resource {
        HostResource::File(file) => !file.content.is_complete(),
        HostResource::User(user) => user.password_hash.is_some(),
        _ => false,
    }
}

/// Takes away what package managers have got and would get again, by the one that is there.
/// <https://dnf.readthedocs.io/en/latest/command_ref.html>, <https://en.opensuse.org/SDB:Zypper_manual>
const CLEAN_PACKAGES: &str = "\
if command -v apt-get; then apt-get clean && find /var/lib/apt/lists -type f -delete
elif command -v dnf; then dnf clean all
elif command -v zypper; then zypper --non-interactive clean --all
fi";

/// Takes away what a clone must make for itself and what tells of the building: who the machine is, to the system and over
/// SSH, what cloud-init has done, who was let in, logs, lists of packages. Nothing comes in after it; it ends what a login
/// needs last. <https://docs.cloud-init.io/en/latest/reference/cli.html#clean>
fn clean() -> Recipe {
    let steps = [
        // The journal's daemon tells of files that are taken away, in a new one. It begins anew with the next boot, and its
        // sockets wake it before, so they end as well.
        "systemctl stop systemd-journald*",
        "find /var/log -path /var/log/journal/* -delete",
        "find /var/log -type f -exec truncate --size=0 {} +",
        "cloud-init clean --logs --machine-id",
        "rm -f /var/lib/systemd/random-seed",
        "find /root /home -xdev -maxdepth 3 -type f ( -name authorized_keys -o -name .*_history ) -delete",
        "find /etc/ssh -maxdepth 1 -name ssh_host_* -delete",
        "rm -rf /var/lib/kubewright",
        "sync",
    ];
    let run = |words: Vec<&str>| RecipeStep::Run(words.into_iter().map(String::from).collect());
    let packages = run(vec!["sh", "-c", CLEAN_PACKAGES]);
    Recipe {
        title: "clean".into(),
        effect: Effect::Clean,
        version: None,
        steps: std::iter::once(packages).chain(steps.map(|line| run(line.split(' ').collect()))).collect(),
        gives: Vec::new(),
    }
}
