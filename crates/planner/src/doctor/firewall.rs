//! Firewalls of hosts: whether they let a port in.
//!
//! Only rules that are understood whole are judged: those that name one port, or let everybody in. Where there is any other one,
//! for a link, for several ports, of a service, in a further zone, nobody says that a port is closed.

use kubewright_model::doctor::Papers;

/// Whether a rule lets a port in: it does, it says nothing of it, or it may.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Opens,
    Silent,
    May,
}

/// Whether a firewall on a host lets a port in, and the lines that show it: none where it has none, or where its rules are not to
/// be judged.
pub(super) fn lets_in(papers: &Papers, port: u16, protocol: &str) -> Option<(bool, Vec<String>)> {
    let lines: Vec<&str> = papers.lines("firewall").map(str::trim).filter(|line| !line.is_empty()).collect();
    let ufw = lines.contains(&"Status: active");
    let firewalld = lines.iter().any(|line| line.starts_with("ports:"));
    let drops = lines.iter().any(|line| *line == "-P INPUT DROP" || *line == "-P INPUT REJECT");
    let rules: Vec<Rule> = match (ufw, firewalld, drops) {
        (true, ..) => lines.iter().map(|line| of_ufw(line, port, protocol)).collect(),
        (false, true, _) if zones(papers) > 1 => return None,
        (false, true, _) => of_firewalld(&lines, port, protocol),
        (false, false, true) => lines.iter().map(|line| of_iptables(line, port, protocol)).collect(),
        (false, false, false) => return None,
    };
    if rules.contains(&Rule::May) {
        return None;
    }
    let marks = ["Status:", "Default:", "ports:", "-P INPUT"];
    let shown = lines.iter().filter(|line| marks.iter().any(|mark| line.starts_with(mark)));
    Some((rules.contains(&Rule::Opens), shown.map(ToString::to_string).collect()))
}

/// Zones that packets come in by; each is a name without a blank before it (`firewall-cmd --get-active-zones`).
fn zones(papers: &Papers) -> usize {
    papers.lines("firewall-zones").filter(|line| !line.is_empty() && !line.starts_with([' ', '\t'])).count()
}

/// A port as firewalls write it, `6443/tcp`, `2379:2380/tcp` or `2379-2380/tcp`; without a protocol it is for both.
fn names(text: &str, port: u16, protocol: &str) -> Option<bool> {
    let (ports, its) = text.split_once('/').unwrap_or((text, protocol));
    let (first, last) = ports.split_once([':', '-']).unwrap_or((ports, ports));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    Some(its == protocol && (first..=last).contains(&port))
}

fn rule(named: Option<bool>) -> Rule {
    match named {
        Some(true) => Rule::Opens,
        Some(false) => Rule::Silent,
        None => Rule::May,
    }
}

/// A line of `ufw status verbose`: `6443/tcp                   ALLOW IN    10.0.0.0/24`.
fn of_ufw(line: &str, port: u16, protocol: &str) -> Rule {
    if line.starts_with("Default: allow (incoming)") {
        return Rule::Opens;
    }
    let Some((to, _)) = line.split_once("ALLOW").or_else(|| line.split_once("LIMIT")) else { return Rule::Silent };
    let to = to.trim().trim_end_matches("(v6)").trim();
    match to {
        "Anywhere" => Rule::Opens,
        "OpenSSH" => Rule::Silent,
        to if to.contains(" on ") => Rule::May,
        to => {
            let (ports, its) = to.split_once('/').unwrap_or((to, protocol));
            let all: Option<Vec<bool>> =
                ports.split(',').map(|one| names(&format!("{one}/{its}"), port, protocol)).collect();
            rule(all.map(|all| all.contains(&true)))
        }
    }
}

/// The lines of `firewall-cmd --list-all`. What a service opens is in its own file, which nobody has read here.
fn of_firewalld(lines: &[&str], port: u16, protocol: &str) -> Vec<Rule> {
    const OTHERS: [&str; 5] = ["ssh", "dhcpv6-client", "cockpit", "mdns", "samba-client"];
    let mut rich = false;
    let each = lines.iter().flat_map(|line| {
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let after = rich && !line.is_empty();
        rich |= key == "rich rules";
        let words = value.split_whitespace();
        match key {
            _ if after => vec![Rule::May],
            "target" if value.trim() == "ACCEPT" => vec![Rule::Opens],
            "services" => words.map(|it| if OTHERS.contains(&it) { Rule::Silent } else { Rule::May }).collect(),
            "ports" => words.map(|it| rule(names(it, port, protocol))).collect(),
            "protocols" if !value.trim().is_empty() => vec![Rule::May],
            _ => vec![Rule::Silent],
        }
    });
    each.collect()
}

/// A line of `iptables -S INPUT`.
fn of_iptables(line: &str, port: u16, protocol: &str) -> Rule {
    let Some(rest) = line.strip_prefix("-A INPUT ") else { return Rule::Silent };
    let (matches, to) = rest.rsplit_once("-j ").map_or((rest, ""), |(matches, to)| (matches.trim(), to));
    let to = to.split(' ').next().unwrap_or_default();
    let known = ["KUBE-", "FLANNEL-", "CILIUM_"].iter().any(|chain| to.starts_with(chain));
    if known || to == "DROP" || to == "REJECT" {
        return Rule::Silent;
    }
    if to != "ACCEPT" {
        return Rule::May;
    }
    let words: Vec<&str> = matches.split_whitespace().collect();
    match words.as_slice() {
        [] | ["-s", _] => Rule::Opens,
        ["-i", "lo"] => Rule::Silent,
        ["-p", "icmp" | "ipv6-icmp", ..] => Rule::Silent,
        ["-m", "conntrack" | "state", "--ctstate" | "--state", states] if !states.contains("NEW") => Rule::Silent,
        ["-p", its, rest @ ..] | ["-s", _, "-p", its, rest @ ..] => match rest {
            ["-m", _, "--dport", ports] | ["--dport", ports] => rule(names(&format!("{ports}/{its}"), port, protocol)),
            _ => Rule::May,
        },
        _ => Rule::May,
    }
}

#[cfg(test)]
mod tests {
    use kubewright_model::doctor::Paper;

    use super::*;

    fn judged(text: &str, zones: &str) -> Option<bool> {
        let paper = |text: &str| Paper::Text { text: text.into(), status: 0 };
        let papers = [("firewall".to_string(), paper(text)), ("firewall-zones".to_string(), paper(zones))].into();
        lets_in(&Papers { papers, ..Papers::default() }, 6443, "tcp").map(|(open, _)| open)
    }

    #[test]
    fn only_what_is_understood_whole_is_judged() {
        for (text, wanted) in [
            ("-P INPUT ACCEPT\n", None),
            ("-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT", Some(false)),
            ("-P INPUT DROP\n-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 6443 -j ACCEPT", Some(true)),
            ("-P INPUT DROP\n-A INPUT -p tcp -m multiport --dports 22,80,6443 -j ACCEPT", None),
            ("-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 2379:8500 -j ACCEPT", Some(true)),
            ("-P INPUT DROP\n-A INPUT -i eth1 -j ACCEPT", None),
            ("-P INPUT DROP\n-A INPUT -j somebody", None),
            ("Status: active\nDefault: deny (incoming)\n6443,2379:2380/tcp  ALLOW IN  10.0.0.0/24", Some(true)),
            ("Status: active\nDefault: deny (incoming)\nAnywhere on eth1  ALLOW IN  Anywhere", None),
            ("Status: active\nDefault: deny (incoming)\n22/tcp  ALLOW IN  Anywhere", Some(false)),
            ("target: default\nservices: ssh kube-apiserver\nports:", None),
            ("target: default\nservices: ssh\nports: 6000-7000/tcp", Some(true)),
            (
                "target: default\nservices: ssh\nports:\nrich rules:\n\trule family=ipv4 source address=10.0.0.0/8 accept",
                None,
            ),
            ("target: default\nservices: ssh\nports:\nrich rules:\n", Some(false)),
        ] {
            assert_eq!(judged(text, "public\n  interfaces: eth0\n"), wanted, "{text}");
        }
        let two = "public\n  interfaces: eth0\ntrusted\n  sources: 10.42.0.0/16\n";
        assert_eq!(judged("target: default\nservices: ssh\nports:", two), None);
    }
}
