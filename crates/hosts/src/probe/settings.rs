//! Single settings, and what is set at every start.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::facts::HostFacts;
use kubewright_model::host::{HostResource, SshDaemonWish};

/// The value of a single setting, in the words of [`HostResource::setting`]; none when the host has none.
pub(super) fn setting<'a>(
    resource: &HostResource,
    all: &dyn Fn(&'static str) -> &'a [&'a str],
    facts: &HostFacts,
) -> Option<String> {
    match resource {
        HostResource::Hostname(wish) => hostname(wish, all("hostname")),
        HostResource::Timezone(wish) => timezone(wish, all("link"), all("zone")),
        HostResource::Locale(_) => {
            let last = all("locale").iter().rev().find_map(|line| line.strip_prefix("LANG="));
            last.map(|locale| unquoted(locale).to_string())
        }
        HostResource::SwapOff => {
            let swap = all("swap");
            let value = match (swap.contains(&"now"), swap.contains(&"boot")) {
                (true, _) => "on",
                (false, true) => "on at the next start",
                (false, false) => "off",
            };
            Some(value.into())
        }
        HostResource::SshDaemon(wish) => Some(ssh(wish, all("sshd"), facts)),
        _ => None,
    }
}

/// The link is what counts, and the text beside it must not say otherwise.
fn timezone(wish: &str, links: &[&str], zones: &[&str]) -> Option<String> {
    // `/usr/share/zoneinfo/Europe/Paris`, seen from wherever.
    let link = links.first().map(|target| target.split_once("zoneinfo/").map_or(*target, |(_, zone)| zone));
    let other = zones.iter().find(|zone| **zone != wish).or(zones.first()).copied();
    match (link, other) {
        (Some(link), Some(other)) if link == wish && other != wish => Some(format!("{link}, and {other} in a file")),
        (link, other) => link.or(other).map(str::to_string),
    }
}

/// A host has its name now and another one at its next start, if somebody forgot one of both.
fn hostname(wish: &str, lines: &[&str]) -> Option<String> {
    let of = |when: &str| lines.iter().find_map(|line| line.strip_prefix(when)?.strip_prefix(' ').map(str::trim));
    match (of("now"), of("boot")) {
        (Some(now), Some(boot)) if now == boot => Some(now.to_string()),
        (Some(now), _) if now == wish => Some(format!("{now} until the next start")),
        (now, boot) => now.or(boot).map(str::to_string),
    }
}

/// What the daemon lets in. What was not asked for is not told: a stricter daemon than wished is right.
fn ssh(wish: &SshDaemonWish, lines: &[&str], facts: &HostFacts) -> String {
    let of = |key: &str| lines.iter().filter_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).collect::<Vec<_>>();
    let ports: BTreeSet<&str> = of("port").into_iter().collect();
    let listens = facts.listening.contains(&wish.port);
    let mut value = match ports.iter().collect::<Vec<_>>().as_slice() {
        [port] if **port == wish.port.to_string() && !listens => format!("port {port}, not in force yet"),
        [port] => format!("port {port}"),
        _ => format!("ports {}", ports.into_iter().collect::<Vec<_>>().join(", ")),
    };
    if wish.harden {
        let no = |key: &str| of(key).iter().all(|value| *value == "no");
        if !of("passwordauthentication").is_empty()
            && no("passwordauthentication")
            && no("kbdinteractiveauthentication")
        {
            value.push_str(", only keys");
        }
        // Root with a key is how we come in ourselves, on some hosts.
        let by_key = of("wayin") == ["root"];
        let shut =
            |value: &&str| *value == "no" || (by_key && ["without-password", "prohibit-password"].contains(value));
        if of("permitrootlogin").first().is_some_and(shut) {
            value.push_str(", not root");
        }
    }
    value
}

/// A value of a file that shells read, without its quotes.
pub(super) fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let within = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

/// A line as Proxmox writes it anew: it knows `lxc.key = value` and `lxc.key: value`, and writes the latter.
pub(super) fn canonical(line: &str) -> String {
    let line = line.trim_end();
    let written = line.strip_prefix("lxc.").and_then(|rest| {
        let (key, value) = rest.split_at(rest.find([':', '=', ' '])?);
        let value = value.trim_start().strip_prefix([':', '='])?;
        Some(format!("lxc.{key}: {}", value.trim()))
    });
    written.unwrap_or_else(|| line.to_string())
}

/// What files set at every start.
pub(super) struct Boot {
    sysctls: BTreeMap<String, String>,
    modules: BTreeSet<String>,
    built_in: BTreeSet<String>,
}

impl Boot {
    pub(super) fn of(answers: &super::answers::Answers<'_>) -> Self {
        let mut boot = Self { sysctls: BTreeMap::new(), modules: BTreeSet::new(), built_in: BTreeSet::new() };
        // The file with the last name has the last word, whatever its folder, as systemd has it.
        let mut found = answers.found.clone();
        found.sort_by_key(|(file, _)| file.rsplit('/').next());
        for (file, line) in found {
            let line = line.trim();
            if line.starts_with(['#', ';']) {
            } else if file.contains("/sysctl.d/") {
                if let Some((key, value)) = line.split_once('=') {
                    boot.sysctls.insert(sysctl_key(key.trim()), words(value));
                }
            } else if file.contains("/modules-load.d/") {
                boot.modules.insert(line.replace('-', "_"));
            } else if file.ends_with("/modules.builtin") {
                let name = line.rsplit('/').next().unwrap_or(line);
                boot.built_in.insert(name.trim_end_matches(".ko").replace('-', "_"));
            }
        }
        boot
    }

    /// Whether a module is loaded now and at every start.
    pub(super) fn module(&self, name: &str, loaded: bool) -> bool {
        let name = name.replace('-', "_");
        self.built_in.contains(&name) || (loaded && self.modules.contains(&name))
    }

    /// A kernel setting: the wish's own words when it is so now and at every start.
    pub(super) fn sysctl(&self, key: &str, now: &str, wish: &str) -> String {
        let now = words(now);
        if now != words(wish) {
            return now;
        }
        match self.sysctls.get(&sysctl_key(key)) {
            Some(boot) if *boot == now => wish.to_string(),
            Some(_) | None => format!("{now} until the next start"),
        }
    }
}

/// Values of many words stand with tabs between them.
fn words(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The one form of a kernel setting's name: with slashes. A minus before it means that it may fail.
fn sysctl_key(key: &str) -> String {
    let key = key.trim_start_matches('-').trim();
    super::script::sysctl_path(key).replacen("/proc/sys/", "", 1)
}
