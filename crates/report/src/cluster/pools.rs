//! How the machines of each pool are made, and what is set up on them: one column for each pool, a few in a table.

use kubewright_model::desired::{Body, DesiredHost, DesiredMachine, VmSource};
use kubewright_model::host::HostResource;
use kubewright_model::setting::Setting;

use super::facts::Facts;
use super::{code, codes};
use crate::page::{Line, Page};
use crate::words::{Pools, Words};

/// So many pools have room beside one another on a page.
const BESIDE: usize = 4;

/// What is told of one pool: a name and a value, in order.
type Rows = Vec<(String, Line)>;

/// What the provider makes, pool by pool, and the lines that containers get of their hypervisor.
pub(super) fn machines(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let pools: Vec<(&str, Rows)> =
        facts.pools().into_iter().map(|(pool, machines)| (pool, of_machines(&machines, words))).collect();
    tables(page, words, &pools);
    let raw = facts.desired.machines.iter().filter_map(|machine| match &*machine.body {
        Body::Lxc(lxc) if !lxc.raw.is_empty() => Some(&lxc.raw),
        _ => None,
    });
    let mut seen: Vec<&Vec<String>> = Vec::new();
    for lines in raw {
        if !seen.contains(&lines) {
            page.paragraph(words.pools.raw);
            page.code("text", lines);
            seen.push(lines);
        }
    }
}

/// What is set up on the hosts, pool by pool.
pub(super) fn hosts(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let pools = facts.pools().into_iter().map(|(pool, machines)| {
        let hosts: Vec<&DesiredHost> =
            machines.iter().filter_map(|machine| facts.hosts.get(&machine.name).copied()).collect();
        (pool, of_hosts(&hosts, words.pools))
    });
    tables(page, words, &pools.collect::<Vec<_>>());
}

/// All pools, as many in each table as there is room for.
fn tables(page: &mut Page, words: &Words, pools: &[(&str, Rows)]) {
    // Five are three and two: none stands alone with its names where it can have company.
    let each = pools.len().div_ceil(pools.len().div_ceil(BESIDE).max(1)).max(1);
    pools.chunks(each).for_each(|pools| table(page, words, pools));
}

/// One row for each name that some pool has, in the order of the pools.
fn table(page: &mut Page, words: &Words, pools: &[(&str, Rows)]) {
    let mut names: Vec<&String> = Vec::new();
    for (_, rows) in pools {
        for (at, (name, _)) in rows.iter().enumerate() {
            if !names.contains(&name) {
                // Where the other pools have it, behind what stands before it.
                let before =
                    rows[..at].iter().rev().find_map(|(name, _)| names.iter().position(|other| *other == name));
                names.insert(before.map_or(0, |place| place + 1).max(usize::from(at > 0)).min(names.len()), name);
            }
        }
    }
    let value = |rows: &Rows, name: &str| {
        rows.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let rows = names.iter().map(|name| {
        let values = pools.iter().map(|(_, rows)| value(rows, name));
        std::iter::once(Line::from(name.as_str())).chain(values).collect()
    });
    let heads: Vec<&str> = std::iter::once(words.heads.property).chain(pools.iter().map(|(pool, _)| *pool)).collect();
    page.table(&heads, rows.collect());
}

/// What all machines of a pool have in common: what is one machine's own stands in the table of machines.
fn of_machines(machines: &[&DesiredMachine], words: &Words) -> Rows {
    let Some((first, others)) = machines.split_first() else { return Vec::new() };
    let say = words.pools;
    let mut rows: Rows = of_body(&first.body, say);
    let own = |setting: &&Setting| {
        let text = setting.to_string();
        !matches!(setting, Setting::Cores(_) | Setting::Memory(_) | Setting::Disk(_) | Setting::Description(_))
            && !text.is_empty()
            && others.iter().all(|other| other.settings().iter().any(|like| like == *setting))
    };
    rows.extend(first.settings().iter().filter(own).map(|setting| {
        let value = match setting.to_string().as_str() {
            "true" => words.yes.into(),
            "false" => words.no.into(),
            "none" => say.none.into(),
            text => code(text),
        };
        (words.setting(setting), value)
    }));
    rows
}

/// What a machine is made of, beside its settings.
fn of_body(body: &Body, say: &Pools) -> Rows {
    let row = |name: &str, value: Line| (name.to_string(), value);
    match body {
        Body::Existing | Body::Local => Vec::new(),
        Body::Lxc(lxc) => {
            let rows = [row(say.made_of, code(&lxc.template)), row(say.features, codes(&lxc.features))];
            rows.into_iter().filter(|(_, value)| !value.is_empty()).collect()
        }
        Body::Vm(vm) => {
            let source = match &vm.source {
                VmSource::Clone(template) => match &template.name {
                    Some(name) => code(name).join(format!(" (VMID {})", template.vmid).into()),
                    None => format!("VMID {}", template.vmid).into(),
                },
                VmSource::Image(image) => code(&image.url),
            };
            vec![
                row(say.made_of, source),
                row(say.slot, code(&vm.disk_slot)),
                row(say.format, code(&vm.format)),
                row(say.cloud_init, code("cloud-init")),
            ]
        }
        Body::Server(server) => {
            let named = |name: &Option<String>| name.as_ref().map(code).unwrap_or_default();
            let rows = [
                row(say.made_of, code(&server.image)),
                row(say.network, named(&server.network)),
                row(say.firewall, named(&server.firewall)),
                row(say.placement_group, named(&server.placement_group)),
                row(say.ssh_keys, codes(&server.ssh_keys)),
            ];
            rows.into_iter().filter(|(_, value)| !value.is_empty()).collect()
        }
    }
}

/// What all hosts of a pool have in common.
fn of_hosts(hosts: &[&DesiredHost], say: &Pools) -> Rows {
    let Some((first, others)) = hosts.split_first() else { return Vec::new() };
    let mut found: Vec<(&str, Vec<String>)> = Vec::new();
    for resource in first.resources.iter().filter(|it| others.iter().all(|other| other.resources.contains(it))) {
        let Some((name, word)) = told(resource, say) else { continue };
        match found.iter_mut().find(|(other, _)| *other == name) {
            // A program may come as several files.
            Some((_, words)) if words.contains(&word) => {}
            Some((_, words)) => words.push(word),
            None => found.push((name, vec![word])),
        }
    }
    let row = |(name, words): (&str, Vec<String>)| (name.to_string(), codes(words));
    let mut rows: Rows = found.into_iter().map(row).collect();
    let hardened = |it: &HostResource| matches!(it, HostResource::SshDaemon(daemon) if daemon.harden);
    if hosts.iter().all(|host| host.resources.iter().any(hardened)) {
        rows.insert(0, (say.hardened.into(), say.keys_only.into()));
    }
    if let Some(os) = &first.os {
        rows.insert(0, (say.os.into(), os.as_str().into()));
    }
    rows
}

/// The row that a resource of a host stands in, and its word there; none for what is told elsewhere or to nobody.
fn told(resource: &HostResource, say: &Pools) -> Option<(&'static str, String)> {
    Some(match resource {
        HostResource::SshDaemon(daemon) => (say.ssh, format!("Port {}", daemon.port)),
        HostResource::User(user) if user.has_no_home() => return None,
        HostResource::User(user) if user.sudo => (say.users, format!("{} (sudo)", user.name)),
        HostResource::User(user) => (say.users, user.name.clone()),
        HostResource::Package(name) => (say.packages, name.clone()),
        HostResource::Hold(name) => (say.held, name.clone()),
        HostResource::Module(name) => (say.modules, name.clone()),
        HostResource::Sysctl { key, value } => (say.sysctls, format!("{key}={value}")),
        HostResource::Link { path, target } => (say.links, format!("{path} → {target}")),
        HostResource::Download(download) => (say.downloads, download.artifact.name.clone()),
        HostResource::Unit(unit) => (say.units, unit.name.clone()),
        HostResource::SwapOff => (say.swap, say.off.to_string()),
        HostResource::Timezone(zone) => (say.timezone, zone.clone()),
        HostResource::Locale(locale) => (say.locale, locale.clone()),
        HostResource::Repository(_)
        | HostResource::File(_)
        | HostResource::Directory(_)
        | HostResource::Block { .. }
        | HostResource::Lines { .. }
        | HostResource::Hostname(_)
        | HostResource::HostsEntries(_)
        | HostResource::TimeSync
        | HostResource::TalosImage(_)
        | HostResource::MachineConfig(_) => return None,
    })
}
