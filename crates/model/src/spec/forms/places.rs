//! Where something is: hosts, URLs, repositories, paths.

use super::{Format, dns_subdomain, form, host, one_word, schema_for_format};

form!(
    /// An IP address or a DNS name.
    Host, "host", "k8s.example.org", host
);
form!(
    /// An IP address, under the name that it has in the schema of the standard library's type.
    Address, "ip", "192.168.1.1",
    |text: &str| text.parse::<std::net::IpAddr>().map(drop).map_err(|_| "names are not looked up here".into())
);
form!(
    /// A DNS name.
    Domain, "domain-name", "example.org", |text: &str| dns_subdomain(&text.to_ascii_lowercase())
);
form!(
    /// An address by `https://`.
    HttpsAddress, "https-address", "https://pve.example.org:8006", |text: &str| address(text, &["https://"])
);
form!(
    /// An address by `https://` or `http://`.
    WebAddress, "web-address", "https://vault.example.org:8200", web
);
form!(
    /// A web address in which `{node}` may stand for the host.
    CheckedAddress, "address-to-check", "http://192.168.1.40/healthz", |text: &str| web(&text.replace("{node}", "node"))
);
form!(
    /// What a host is known by: its public key, or the fingerprint of that.
    HostKey, "host-key", "SHA256:LTnCb0C3yQTF7wOhGSmqa7SGzNmQjR0kZ7nS0T0iQ2A", host_key
);
form!(
    /// A mirror of files: a web address, or `file:` and a folder of this computer.
    Mirror, "mirror", "https://mirror.example.org/k3s", mirror
);
form!(
    /// A Git repository, as `git clone` takes it.
    Repository, "repository", "https://git.example.org/team/apps.git", repository
);
form!(
    /// A folder inside of a repository.
    RepositoryFolder, "folder-of-a-repository", "clusters/prod", folder
);
form!(
    /// A file or folder of this computer.
    FilePath, "file-path", "~/.ssh/id_ed25519", path
);
form!(
    /// A program on a host, as a user's shell.
    Shell, "shell", "/bin/bash", shell
);
form!(
    /// A disk of a host.
    Device, "device", "/dev/sda", device
);
form!(
    /// A path of HTTP.
    UrlPath, "path", "/healthz", url_path
);

/// What a web address is, with either scheme.
///
/// # Errors
///
/// What is wrong, in words.
pub fn web(text: &str) -> Result<(), String> {
    address(text, &["https://", "http://"])
}

fn address(text: &str, schemes: &[&str]) -> Result<(), String> {
    one_word(text)?;
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let rest = rest.ok_or_else(|| format!("it does not begin with {}", schemes.join(" or ")))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("it has a user or password in it".into());
    }
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (authority, None),
    };
    if let Some(port) = port.filter(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Err(format!("`{port}` is not a port (1-65535)"));
    }
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    host(bare).map_err(|why| format!("`{bare}` is no host: {why}"))
}

/// As `ssh-keyscan` and `ssh-keygen -lf` print them, without the host's name and without the size.
fn host_key(text: &str) -> Result<(), String> {
    let base64 = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    if let Some(hash) = text.strip_prefix("SHA256:") {
        let whole = hash.trim_end_matches('=').len() == 43 && base64(hash);
        return if whole { Ok(()) } else { Err("a fingerprint has 43 signs of base64 after `SHA256:`".into()) };
    }
    let mut words = text.split_whitespace();
    let kind = words.next().is_some_and(|kind| kind.starts_with("ssh-") || kind.starts_with("ecdsa-sha2-"));
    let key = words.next().is_some_and(|key| key.starts_with("AAAA") && base64(key));
    if kind && key && !text.contains(char::is_control) {
        return Ok(());
    }
    Err("it is neither a public key nor a fingerprint of one".into())
}

fn mirror(text: &str) -> Result<(), String> {
    match text.strip_prefix("file:") {
        Some("" | "//") => Err("it names no folder".into()),
        Some(folder) => one_word(folder),
        None => web(text).map_err(|why| if text.contains("://") { why } else { format!("{why} or file:") }),
    }
}

/// `https://host/path`, `ssh://git@host/path`, or `git@host:path`.
fn repository(text: &str) -> Result<(), String> {
    one_word(text)?;
    let schemes = ["https://", "http://", "ssh://", "git://"];
    let (authority, path) = match schemes.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => text
            .split_once(':')
            .filter(|(left, right)| left.contains('@') && !right.starts_with("//"))
            .ok_or("it begins neither with https:// nor ssh://, and is no `git@host:path`")?,
    };
    let server = authority.rsplit('@').next().unwrap_or(authority);
    let server = server.split_once(':').map_or(server, |(name, _)| name);
    if !server.starts_with('[') {
        host(server).map_err(|why| format!("`{server}` is no host: {why}"))?;
    }
    if path.is_empty() { Err("it has no path".into()) } else { Ok(()) }
}

fn folder(text: &str) -> Result<(), String> {
    path(text)?;
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return Err("it begins inside of the repository and stays there: no `/` before it, no `..`".into());
    }
    Ok(())
}

fn path(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("it is empty".into());
    }
    if text.contains(char::is_control) {
        return Err("it has a line break or another control character in it".into());
    }
    Ok(())
}

/// What stands in the last field of `/etc/passwd`, whose fields are parted by `:`.
fn shell(text: &str) -> Result<(), String> {
    one_word(text)?;
    let plain = text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")));
    if !plain || text.contains(':') {
        return Err("it is no absolute and plain path".into());
    }
    Ok(())
}

fn device(text: &str) -> Result<(), String> {
    one_word(text)?;
    let named = text.strip_prefix("/dev/").is_some_and(|name| !name.is_empty());
    if named { Ok(()) } else { Err("it does not begin with /dev/".into()) }
}

fn url_path(text: &str) -> Result<(), String> {
    one_word(text)?;
    if text.starts_with('/') { Ok(()) } else { Err("it does not begin with `/`".into()) }
}
