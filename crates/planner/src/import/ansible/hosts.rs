//! Hosts of an inventory, and what its variables tell of the cluster.

use std::net::IpAddr;

use kubewright_model::codes;
use kubewright_model::spec::Distribution;
use serde_json::Value;

use super::{ALL, Inventory, UNGROUPED, Var, Vars};
use crate::import::hints::{Told, spoken_of};
use crate::import::{Host, Mark, Reading, Way, address, sounds_secret};

/// Variables that name the version, and whose. Of k3s-ansible, of PyratLabs', lablabs' and Rancher's own roles, of
/// Kubespray, and names that many give.
const VERSIONS: &[(&str, Distribution)] = &[
    ("k3s_version", Distribution::K3s),
    ("k3s_release_version", Distribution::K3s),
    ("rke2_version", Distribution::Rke2),
    ("install_rke2_version", Distribution::Rke2),
    ("kube_version", Distribution::Kubeadm),
    ("kubernetes_version", Distribution::Kubeadm),
    ("k8s_version", Distribution::Kubeadm),
];
/// Variables that name where clients or nodes reach the API: of the same.
const ENDPOINTS: &[&str] = &[
    "api_endpoint",
    "apiserver_endpoint",
    "k3s_registration_address",
    "rke2_api_ip",
    "control_plane_endpoint",
    "kube_vip_address",
];
/// Those of them that are a virtual IP: of techno-tim's k3s-ansible, and of lablabs' role.
const FLOATING: &[&str] = &["apiserver_endpoint", "kube_vip_address"];
const PODS: &[&str] =
    &["kube_pods_subnet", "pod_network_cidr", "pod_cidr", "cluster_cidr", "k3s_cluster_cidr", "rke2_cluster_cidr"];
const SERVICES: &[&str] =
    &["kube_service_addresses", "service_network_cidr", "service_cidr", "k3s_service_cidr", "rke2_service_cidr"];
/// Variables that hold the token with which nodes join.
const TOKENS: &[&str] = &["k3s_token", "rke2_token", "k3s_control_token", "token", "kubeadm_token"];
/// Taints that keep work off servers, as people give them to K3s and RKE2.
const TAINTS: &[&str] =
    &["CriticalAddonsOnly", "node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

pub(super) fn hosts(inventory: &Inventory, reading: &mut Reading) {
    for (name, entry) in &inventory.hosts {
        let vars = inventory.vars_of(name);
        if name == "localhost" && vars.get("ansible_host").is_none() {
            reading.hints.remark("Left out: localhost, the computer that Ansible runs on.");
            continue;
        }
        let mut groups = inventory.groups_of(name);
        groups.reverse();
        let groups: Vec<&str> = groups.into_iter().filter(|group| !matches!(*group, ALL | UNGROUPED)).collect();
        cluster(&vars, &groups, reading);
        let host = Host {
            spot: entry.spot,
            name: name.clone(),
            address: reached(name, &vars, reading),
            marks: groups.iter().map(|group| Mark::Group((*group).to_string())).collect(),
            way: way(&vars, reading),
            os: None,
            tainted: vars.iter().any(|(name, var)| !sounds_secret(name) && taints(&var.value)),
            about: None,
        };
        reading.hosts.push(host);
    }
}

/// The text of a variable; none of a template, which only Ansible computes, and none of what is encrypted.
fn text(var: &Var) -> Option<String> {
    match &var.value {
        Value::String(text) if !text.contains("{{") && !text.contains("{%") => {
            Some(text.trim().to_string()).filter(|text| !text.is_empty())
        }
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn first(vars: &Vars, names: &[&'static str]) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| Some((*name, text(vars.get(*name)?)?)))
}

fn taints(value: &Value) -> bool {
    let said = value.to_string();
    TAINTS.iter().any(|taint| said.contains(taint))
        && ["NoSchedule", "NoExecute"].iter().any(|effect| said.contains(effect))
}

/// The address at which Ansible reaches a host.
fn reached(name: &str, vars: &Vars, reading: &mut Reading) -> Option<IpAddr> {
    let told = first(vars, &["ansible_host", "ansible_ssh_host"]);
    let found = address(told.as_ref().map_or(name, |(_, told)| told));
    // Kubespray's `ip` is what the node binds to: of a host that is reached by a name it is the only address.
    let own = first(vars, &["ip", "access_ip", "node_ip", "private_ip"])
        .and_then(|(name, text)| Some((name, address(&text)?)));
    match (found, own) {
        (Some(found), Some((field, own))) if found != own => {
            let remark = format!(
                "{name} is reached at {found}, and `{field}` of the inventory says {own}: write that one if this computer reaches it."
            );
            reading.hints.remark(remark);
            Some(found)
        }
        (found, own) => found.or(own.map(|(_, own)| own)),
    }
}

fn way(vars: &Vars, reading: &mut Reading) -> Way {
    let (mut port, mut odd) = (None, None);
    for name in ["ansible_port", "ansible_ssh_port"] {
        if let Some((var, text)) = vars.get(name).and_then(|var| Some((var, text(var)?))) {
            match text.parse().ok().filter(|port: &u16| *port > 0) {
                Some(number) => port = Some(number),
                None => odd = Some((var.spot, text)),
            }
        }
    }
    if let Some((spot, text)) = odd {
        reading.wrong(spot, codes::FOREIGN_VALUE, format!("`{text}` is no port"), "write a number from 1 to 65535");
    }
    let there = |names: &[&str]| names.iter().any(|name| vars.get(*name).is_some_and(|var| !var.value.is_null()));
    let args = ["ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args"];
    Way {
        user: first(vars, &["ansible_user", "ansible_ssh_user", "remote_user"]).map(|(_, user)| user),
        port,
        key: first(vars, &["ansible_ssh_private_key_file", "ansible_private_key_file"]).map(|(_, key)| key),
        jump: args.iter().find_map(|name| jump(&text(vars.get(*name)?)?)),
        here: first(vars, &["ansible_connection"]).is_some_and(|(_, how)| how == "local"),
        password: there(&["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"]),
        sudo: there(&["ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"]),
    }
}

/// The host to go through, of what is given to `ssh`: `-J`, `-o ProxyJump=…`, and a `ProxyCommand` with `-W`.
fn jump(args: &str) -> Option<String> {
    let words: Vec<&str> =
        args.split(|c: char| c.is_whitespace() || "\"'".contains(c)).filter(|word| !word.is_empty()).collect();
    let after = |wanted: &str| Some((*words.get(words.iter().position(|word| *word == wanted)? + 1)?).to_string());
    let option = words.iter().find_map(|word| {
        let word = word.strip_prefix("-o").unwrap_or(word);
        word.strip_prefix("ProxyJump=").or(word.strip_prefix("-J")).filter(|jump| !jump.is_empty()).map(str::to_string)
    });
    let found = option.or_else(|| after("-J")).or_else(|| after("ProxyJump"));
    // `ssh -W %h:%p -q -p 2222 user@bastion`: the last word is the host.
    let through = || {
        let start = words.iter().position(|word| word.contains("ProxyCommand"))?;
        let rest = words.get(start + 1..)?;
        rest.contains(&"-W").then_some(())?;
        let port = rest.iter().position(|word| *word == "-p").and_then(|at| rest.get(at + 1));
        let host =
            rest.iter().rev().find(|word| !word.starts_with('-') && !word.contains('%') && Some(*word) != port)?;
        Some(port.map_or_else(|| (*host).to_string(), |port| format!("{host}:{port}")))
    };
    // Of several, one after the other, the language knows one.
    found.or_else(through).filter(|jump| !jump.contains(',') && !jump.contains('%'))
}

/// What the variables of one host tell of the cluster.
fn cluster(vars: &Vars, groups: &[&str], reading: &mut Reading) {
    let hints = &mut reading.hints;
    if hints.version.is_none()
        && let Some((name, distribution, told)) =
            VERSIONS.iter().find_map(|(name, distribution)| Some((name, distribution, text(vars.get(*name)?)?)))
    {
        hints.version = Told::by(format!("`{name}`"), told);
        hints.distribution = Told::by(format!("`{name}`"), *distribution);
    }
    if hints.distribution.is_none() {
        let spoken = groups.iter().find_map(|group| Some((group, spoken_of(group)?)));
        hints.distribution =
            spoken.and_then(|(group, distribution)| Told::by(format!("the group `{group}`"), distribution));
    }
    let balanced = vars.get("loadbalancer_apiserver").and_then(|var| var.value.get("address")?.as_str());
    let endpoint =
        first(vars, ENDPOINTS).map(|(name, host)| (name, host.split(':').next().unwrap_or_default().to_string()));
    let endpoint = balanced.map(|host| ("loadbalancer_apiserver", host.to_string())).or(endpoint);
    if let Some((name, host)) = endpoint.filter(|_| hints.endpoint.is_none()) {
        hints.floats = FLOATING.contains(&name) || vars.keys().any(|name| name.starts_with("kube_vip"));
        hints.endpoint = Told::by(format!("`{name}`"), host);
    }
    let plugin = first(vars, &["kube_network_plugin", "cni_plugin", "rke2_cni"]);
    hints.plugin = hints.plugin.take().or_else(|| plugin.and_then(|(name, text)| Told::by(format!("`{name}`"), text)));
    let net = |names: &[&'static str]| {
        first(vars, names).and_then(|(name, text)| Told::by(format!("`{name}`"), text.parse().ok()?))
    };
    hints.pods = hints.pods.take().or_else(|| net(PODS));
    hints.services = hints.services.take().or_else(|| net(SERVICES));
    if hints.join_token.is_none() {
        let token = TOKENS.iter().find(|name| vars.get(**name).is_some_and(|var| !var.value.is_null()));
        hints.join_token = token.and_then(|name| Told::by(format!("`{name}`"), ()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_to_go_through_are_found_in_arguments_of_ssh() {
        for (args, found) in [
            ("-o ProxyJump=admin@bastion.example.org:2222", Some("admin@bastion.example.org:2222")),
            ("-J admin@bastion", Some("admin@bastion")),
            ("'-o ProxyCommand=\"ssh -W %h:%p -q -p 2222 admin@bastion\"'", Some("admin@bastion:2222")),
            ("-o ProxyCommand='ssh -W %h:%p admin@bastion'", Some("admin@bastion")),
            ("-o StrictHostKeyChecking=no", None),
            ("-J a,b", None),
        ] {
            assert_eq!(jump(args).as_deref(), found, "{args}");
        }
    }
}
