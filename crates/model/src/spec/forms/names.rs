//! What something is called: users, network interfaces, and the words of Proxmox, Hetzner, Talos and S3.

use super::{Format, at_most, dns_subdomain, form, host, one_word, only, schema_for_format};

form!(
    /// A user or a group of a host.
    LoginName, "login-name", "ops", login
);
form!(
    /// A name in `/etc/hosts`.
    HostAlias, "host-alias", "nas.lan", |text: &str| only(text, "-_.", "letters, digits, `-`, `_` and `.`")
);
form!(
    /// A network interface. Linux has room for 15 characters.
    Interface, "interface", "eth0", interface
);
form!(
    /// A bridge, as Proxmox accepts it.
    Bridge, "bridge", "vmbr0",
    |text: &str| only(text, "-_.", "letters, digits, `-`, `_` and `.`").and_then(|()| at_most(text, 15))
);
form!(
    /// A node of Proxmox: its host name.
    ProxmoxNode, "proxmox-node", "pve1", proxmox_node
);
form!(
    /// A storage of Proxmox.
    Storage, "storage", "local-lvm", storage
);
form!(
    /// A pool of Proxmox, up to three levels deep.
    ProxmoxPool, "proxmox-pool", "kubernetes", proxmox_pool
);
form!(
    /// A tag of Proxmox.
    ProxmoxTag, "proxmox-tag", "kubernetes", tag
);
form!(
    /// An API token of Proxmox.
    TokenId, "token-id", "root@pam!kubewright", token
);
form!(
    /// A user of Proxmox, with its realm.
    ProxmoxUser, "proxmox-user", "root@pam", proxmox_user
);
form!(
    /// A container template of Proxmox.
    ContainerTemplate, "container-template", "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst", template
);
form!(
    /// A line of a container's configuration that Proxmox hands on to LXC.
    LxcLine, "lxc-line", "lxc.apparmor.profile: unconfined", lxc_line
);
form!(
    /// A CPU type of QEMU, with its flags or without.
    CpuType, "cpu-type", "x86-64-v2-AES", cpu
);
form!(
    /// A SHA-256 fingerprint, with colons or without.
    Fingerprint, "fingerprint",
    "7B:DB:54:6C:91:0F:E3:9A:11:60:2D:84:C0:7E:35:F1:28:4A:D6:0B:93:5F:A7:1C:E2:48:06:BD:79:83:5E:D4", fingerprint
);
form!(
    /// A server type, location, image or network zone of Hetzner.
    HetznerName, "hetzner-name", "fsn1", |text: &str| only(text, "-_.", "letters, digits, `-`, `_` and `.`")
);
form!(
    /// An e-mail address.
    Email, "email-address", "ops@kubewright.dev", email
);
form!(
    /// A branch, a tag, a commit, or a range of versions.
    Revision, "revision", "main", revision
);
form!(
    /// An ingress class.
    IngressClass, "ingress-class", "traefik", dns_subdomain
);
form!(
    /// A bucket of S3.
    Bucket, "bucket", "cluster-backups", bucket
);
form!(
    /// A region of S3.
    Region, "region", "eu-central-1", |text: &str| only(text, "-", "letters, digits and `-`")
);
form!(
    /// A system extension in the words of Talos' image factory.
    TalosExtension, "extension", "siderolabs/iscsi-tools", extension
);
form!(
    /// A SHA-256 in hexadecimal.
    Sha256, "sha256-checksum", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", sha256
);
form!(
    /// A secret that kubewright makes: a file's name in its store.
    SecretName, "secret-name", "grafana-admin", secret_name
);

/// What `useradd` accepts on Debian, and the names of directories: dots and capitals too.
fn login(text: &str) -> Result<(), String> {
    only(text, "_-.", "letters, digits, `_`, `-` and `.`")?;
    at_most(text, 32)?;
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts { Ok(()) } else { Err("it must begin with a letter or `_`".into()) }
}

fn sha256(text: &str) -> Result<(), String> {
    if text.to_ascii_lowercase().starts_with("sha256") {
        return Err("write its 64 digits alone".into());
    }
    if let Some(bad) = text.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(format!("`{}` is no digit of a hexadecimal number", bad.escape_debug()));
    }
    match text.len() {
        64 if text.contains(|c: char| c.is_ascii_uppercase()) => Err("write it in small letters".into()),
        64 => Ok(()),
        digits => Err(format!("it has {digits} digits, and a SHA-256 has 64")),
    }
}

fn interface(text: &str) -> Result<(), String> {
    one_word(text)?;
    at_most(text, 15)?;
    let bad = text.contains(['/', ':']) || matches!(text, "." | "..");
    if bad { Err("`/` and `:` cannot be in it".into()) } else { Ok(()) }
}

fn proxmox_node(text: &str) -> Result<(), String> {
    if text.contains('.') {
        return Err("it is the host's name alone, without its domain".into());
    }
    host(text)
}

/// <https://pve.proxmox.com/pve-docs/api-viewer/>: `pve-storage-id`.
fn storage(text: &str) -> Result<(), String> {
    only(text, "-_.", "letters, digits, `-`, `_` and `.`")?;
    let whole = text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric());
    if whole {
        Ok(())
    } else {
        Err("it begins with a letter, ends with a letter or a digit, and has two at least".into())
    }
}

fn proxmox_pool(text: &str) -> Result<(), String> {
    if text.split('/').count() > 3 {
        return Err("pools are at most three levels deep".into());
    }
    text.split('/').try_for_each(|level| only(level, "-_.", "letters, digits, `-`, `_` and `.`"))
}

fn tag(text: &str) -> Result<(), String> {
    only(text, "_-+.", "letters, digits, `_`, `-`, `+` and `.`")?;
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if starts { Ok(()) } else { Err("it must begin with a letter, a digit or `_`".into()) }
}

/// As Proxmox reads it: a type, then perhaps its settings (qemu-server, `CPUConfig.pm`).
fn cpu(text: &str) -> Result<(), String> {
    only(text, "-_.=;,+:", "letters, digits, and `-_.=;,+:`")?;
    let (kind, settings) = text.split_once(',').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
    only(kind, "-_.", "letters, digits, `-`, `_` and `.`").map_err(|why| format!("the type: {why}"))?;
    const KNOWN: [&str; 6] = ["flags", "guest-phys-bits", "hidden", "hv-vendor-id", "phys-bits", "reported-model"];
    let odd = |setting: &&str| {
        !setting.split_once('=').is_some_and(|(name, value)| KNOWN.contains(&name) && !value.is_empty())
    };
    match settings.into_iter().flat_map(|settings| settings.split(',')).find(odd) {
        Some(odd) => Err(format!("`{odd}` is none of {}", KNOWN.map(|name| format!("`{name}=…`")).join(", "))),
        None => Ok(()),
    }
}

fn token(text: &str) -> Result<(), String> {
    one_word(text)?;
    let parts = text.split_once('!').filter(|(user, _)| user.contains('@'));
    let (user, name) = parts.ok_or("it is `user@realm!token`")?;
    proxmox_user(user)?;
    only(name, "-_.", "letters, digits, `-`, `_` and `.`").map_err(|why| format!("the token's name: {why}"))
}

fn proxmox_user(text: &str) -> Result<(), String> {
    one_word(text)?;
    let (user, realm) = text.rsplit_once('@').ok_or("it is `user@realm`")?;
    if user.is_empty() || user.contains([':', '/', '!']) {
        return Err("the user before the `@` is missing or has `:`, `/` or `!` in it".into());
    }
    only(realm, "-_.", "letters, digits, `-`, `_` and `.`").map_err(|why| format!("the realm: {why}"))
}

fn template(text: &str) -> Result<(), String> {
    one_word(text)?;
    let (on, name) = text.split_once(":vztmpl/").ok_or("it is `STORAGE:vztmpl/FILE`")?;
    storage(on).map_err(|why| format!("the storage `{on}`: {why}"))?;
    let plain = !name.is_empty() && !name.contains('/');
    if plain { Ok(()) } else { Err("the file's name is missing, or is a path".into()) }
}

/// As Proxmox reads it: a key below `lxc.`, then `:` or `=`, then the value, which may be empty.
fn lxc_line(text: &str) -> Result<(), String> {
    if text.contains(char::is_control) {
        return Err("it has a line break or another control character in it".into());
    }
    let (key, _) = text.split_once([':', '=']).ok_or("it is `lxc.KEY: VALUE`")?;
    let key = key.trim_end();
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
    match key.strip_prefix("lxc.") {
        Some(rest) if !rest.is_empty() && rest.chars().all(known) => Ok(()),
        _ => Err(format!("`{key}` is no key that begins with `lxc.`")),
    }
}

fn fingerprint(text: &str) -> Result<(), String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    if let Some(bad) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(format!("`{}` is no hexadecimal digit", bad.escape_debug()));
    }
    match digits.len() {
        64 => Ok(()),
        other => Err(format!("SHA-256 has 32 bytes, that is 64 hexadecimal digits, and here are {other}")),
    }
}

fn email(text: &str) -> Result<(), String> {
    one_word(text)?;
    let (user, domain) = text.split_once('@').ok_or("the `@` is missing")?;
    if user.is_empty() || domain.contains('@') {
        return Err("it is `user@domain`".into());
    }
    dns_subdomain(&domain.to_ascii_lowercase()).map_err(|why| format!("`{domain}` is no domain: {why}"))
}

/// Argo CD takes ranges such as `>=1.0 <2.0` too, so blanks are right inside of it.
fn revision(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("it is empty".into());
    }
    if text.trim() != text || text.contains(char::is_control) {
        return Err("it has blanks around it, or a line break in it".into());
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn bucket(text: &str) -> Result<(), String> {
    only(text, "-.", "a-z, 0-9, `-` and `.`")?;
    if let Some(bad) = text.chars().find(char::is_ascii_uppercase) {
        return Err(format!("`{bad}` is a capital letter"));
    }
    if !(3..=63).contains(&text.len()) {
        return Err(format!("it has {} characters, 3 to 63 are allowed", text.len()));
    }
    let ends = |c: char| c.is_ascii_alphanumeric();
    if text.starts_with(ends) && text.ends_with(ends) {
        return Ok(());
    }
    Err("it must start and end with a letter or a digit".into())
}

fn extension(text: &str) -> Result<(), String> {
    let (owner, name) = text.split_once('/').ok_or("it is `OWNER/NAME`")?;
    [owner, name].into_iter().try_for_each(|part| only(part, "-_.", "letters, digits, `-`, `_` and `.`"))
}

fn secret_name(text: &str) -> Result<(), String> {
    only(text, "-_.", "letters, digits, `-`, `_` and `.`")?;
    if text.starts_with('.') { Err("it must not begin with `.`".into()) } else { Ok(()) }
}
