//! 03xx, the part about Hetzner.

mod project;

use std::net::IpAddr;

use kubewright_model::codes;
use kubewright_model::diagnostic::Diagnostic;
use kubewright_model::spec::load_balancers::Balancer;
use kubewright_model::spec::providers::{FirewallProtocol, FirewallRule, Hetzner, HetznerFirewall};

use super::{Facts, at};

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    ignored_sizes(facts, found);
    let Some(hetzner) = &facts.spec.providers.hetzner else {
        for (name, _) in facts.spec.load_balancers.iter().filter(|(_, balancer)| balancer.by == Balancer::Hetzner) {
            let message =
                format!("the load balancer `{name}` is made at Hetzner, and `providers.hetzner` is not there");
            let help = "write `providers.hetzner` with its token";
            let path = at("loadBalancers").then(name).then("by");
            found.push(Diagnostic::new(codes::PROVIDER_MISSING, path, message).help(help));
        }
        return;
    };
    if let (Some(private), Some(cidr)) = (&hetzner.network, facts.spec.network.cidr)
        && !private.ip_range.net().contains(&cidr.net())
    {
        let message = format!("the hosts' network {cidr} does not lie in the private network {}", private.ip_range);
        let help = "let `network.cidr` be a part of `ipRange`, or be equal to it";
        found.push(Diagnostic::new(codes::SUBNET_OUTSIDE, at("network/cidr"), message).help(help));
    }
    endpoint(hetzner, found);
    certificates(hetzner, found);
    project::rules(facts, hetzner, found);
    if let Some(firewall) = &hetzner.firewall {
        ports(firewall, found);
        ssh(facts, firewall, found);
    }
}

/// Whoever is in between reads what goes in clear text.
fn endpoint(hetzner: &Hetzner, found: &mut Vec<Diagnostic>) {
    let Some(rest) = hetzner.endpoint.as_deref().and_then(|it| it.strip_prefix("http://")) else { return };
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
        return;
    }
    let message = "the token would go there in clear text";
    let path = at("providers/hetzner/endpoint");
    found.push(Diagnostic::new(codes::HETZNER_ENDPOINT, path, message).help("write `https://`"));
}

fn certificates(hetzner: &Hetzner, found: &mut Vec<Diagnostic>) {
    for (name, certificate) in &hetzner.certificates {
        let brought = (certificate.certificate.is_some(), certificate.private_key.is_some());
        let (message, help) = match (certificate.domains.is_empty(), brought) {
            (false, (false, false)) | (true, (true, true)) => continue,
            (false, _) => ("`domains`, and a certificate of your own", "keep one of the two"),
            (true, (false, false)) => ("it is for no domain", "write its `domains`, or `certificate` and `privateKey`"),
            (true, (true, false)) => ("a certificate without its private key", "write `privateKey`"),
            (true, (false, true)) => ("a private key without its certificate", "write `certificate`"),
        };
        let path = at("providers/hetzner/certificates").then(name);
        found.push(Diagnostic::new(codes::HETZNER_CERTIFICATE, path, message).help(help));
    }
}

fn ignored_sizes(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (name, pool) in facts.spec.pools.iter().filter(|(_, pool)| pool.hetzner.is_some()) {
        let sizes = [("cores", pool.cores.is_some()), ("memory", pool.memory.is_some()), ("disk", pool.disk.is_some())];
        if let Some((field, _)) = sizes.into_iter().find(|(_, given)| *given) {
            let message = format!("`{field}` has no effect: the server type decides");
            let help = "remove it, and choose the `type` that has this size";
            let path = at("pools").then(name).then(field);
            found.push(Diagnostic::new(codes::SIZE_IGNORED, path, message).help(help));
        }
    }
}

fn ports(firewall: &HetznerFirewall, found: &mut Vec<Diagnostic>) {
    for (index, rule) in firewall.allow.iter().enumerate() {
        let (message, help) = match (rule.protocol, rule.ports) {
            (FirewallProtocol::Icmp, Some(ports)) => (format!("ICMP has no ports, here are {ports}"), "remove `ports`"),
            (FirewallProtocol::Icmp, None) => continue,
            (_, None) => ("a rule for TCP or UDP needs its ports".to_string(), "write `ports`, for example \"443\""),
            (_, Some(ports)) if ports.first == 0 || ports.last > 65_535 => {
                (format!("{ports} are no ports"), "choose from 1 to 65535")
            }
            _ => continue,
        };
        let path = at("providers/hetzner/firewall/allow").then(index).then("ports");
        found.push(Diagnostic::new(codes::FIREWALL_PORTS, path, message).help(help));
    }
}

fn ssh(facts: &Facts<'_>, firewall: &HetznerFirewall, found: &mut Vec<Diagnostic>) {
    let ssh = facts.spec.hosts.ssh.as_ref();
    let port = ssh.map_or(22, |ssh| u32::from(ssh.port));
    let open = |rule: &FirewallRule| {
        rule.protocol == FirewallProtocol::Tcp
            && rule.ports.is_some_and(|ports| ports.first <= port && port <= ports.last)
    };
    let made = facts.spec.pools.values().any(|pool| pool.hetzner.is_some());
    let jumps = ssh.is_some_and(|ssh| ssh.jump.is_some());
    if made && !jumps && !firewall.allow.iter().any(open) {
        let message = format!("no rule lets SSH in at port {port}");
        let help = format!("add {{ protocol: tcp, ports: \"{port}\", from: [YOUR_NETWORK] }}");
        let path = at("providers/hetzner/firewall/allow");
        found.push(Diagnostic::new(codes::FIREWALL_WITHOUT_SSH, path, message).help(help));
    }
}
