//! Files of known hosts, as OpenSSH writes them: names with patterns, hashed names, and keys that were revoked.
//!
//! Each line stands for itself: one that nobody understands must not hide the others, for a host whose key is not found
//! is taken at its word. <https://man.openbsd.org/sshd.8#SSH_KNOWN_HOSTS_FILE_FORMAT>

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use russh::keys::{PublicKey, parse_public_key_base64};

/// What a file says of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number.
    pub(super) number: usize,
    /// The key must never be trusted again.
    pub(super) revoked: bool,
    /// The key.
    pub(super) key: PublicKey,
}

/// Everything that a file says of a host. A file that is not there says nothing.
pub(super) fn lines(file: &Path, host: &str, port: u16) -> Result<Vec<Line>, String> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(of(&String::from_utf8_lossy(&bytes), host, port)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("{} cannot be read: {error}", file.display())),
    }
}

/// The ports at which a host has keys in a file of ours, whose names are neither patterns nor hashed.
pub(super) fn ports(file: &Path, host: &str) -> Vec<(u16, PublicKey)> {
    // What cannot be read is told when a key is judged.
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let host = host.to_lowercase();
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let name = words.next()?.to_lowercase();
        let port = match name.strip_prefix('[').and_then(|name| name.strip_prefix(&*host)?.strip_prefix("]:")) {
            Some(port) => port.parse().ok()?,
            None => (name == host).then_some(22)?,
        };
        Some((port, parse_public_key_base64(words.nth(1)?).ok()?))
    });
    lines.collect()
}

/// A host as such files have it.
pub(super) fn name(host: &str, port: u16) -> String {
    if port == 22 { host.to_string() } else { format!("[{host}]:{port}") }
}

fn of(text: &str, host: &str, port: u16) -> Vec<Line> {
    let name = name(&host.to_lowercase(), port);
    let lines = text.lines().enumerate().filter_map(|(index, line)| {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().filter(|word| !word.starts_with('#'))?;
        let (revoked, names) = match first {
            "@revoked" => (true, words.next()?),
            // An authority signs certificates of hosts, which are not asked for: its key is no host's.
            marker if marker.starts_with('@') => return None,
            names => (false, names),
        };
        let key = parse_public_key_base64(words.nth(1)?).ok()?;
        matches(names, &name).then_some(Line { number: index + 1, revoked, key })
    });
    lines.collect()
}

/// Whether a list of names has this one. A pattern behind a `!` takes out what others let in.
fn matches(names: &str, name: &str) -> bool {
    if let Some(hashed) = names.strip_prefix("|1|") {
        return is_hash_of(hashed, name).unwrap_or(false);
    }
    let is = |pattern: &str| fits(pattern.to_lowercase().as_bytes(), name.as_bytes());
    let (not, yes): (Vec<&str>, Vec<&str>) = names.split(',').partition(|pattern| pattern.starts_with('!'));
    yes.into_iter().any(is) && !not.into_iter().any(|pattern| is(&pattern[1..]))
}

/// `SALT|HASH`, both in base64.
fn is_hash_of(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    Some(hmac::verify(&key, name.as_bytes(), &hash).is_ok())
}

/// `*` stands for any signs and `?` for one. It goes back to the last `*` alone, so a long pattern costs no more than
/// its length times the name's.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut from, mut again) = (0, 0, None);
    while let Some(sign) = name.get(from) {
        match pattern.get(at) {
            Some(b'*') => {
                again = Some((at, from));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == sign => (at, from) = (at + 1, from + 1),
            _ => match again {
                Some((star, then)) => {
                    again = Some((star, then + 1));
                    (at, from) = (star + 1, then + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|sign| *sign == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn numbers(text: &str, host: &str, port: u16) -> Vec<usize> {
        of(text, host, port).into_iter().map(|line| line.number).collect()
    }

    #[test]
    fn names_are_lists_of_patterns_with_a_port_where_it_is_another() {
        let text = format!(
            "# a comment\n\nbastion,192.0.2.1\tssh-ed25519 {ONE} me@here\n[bastion]:2222 ssh-ed25519 {TWO}\n\
             *.lan,!db.lan ssh-ed25519 {ONE}\n[10.0.0.?]:2222 ssh-ed25519 {ONE}\n[*]:2200 ssh-ed25519 {ONE}\n"
        );
        assert_eq!(numbers(&text, "bastion", 22), [3]);
        assert_eq!(numbers(&text, "Bastion", 22), [3], "names have no case");
        assert_eq!(numbers(&text, "192.0.2.1", 22), [3]);
        assert_eq!(numbers(&text, "bastion", 2222), [4]);
        assert_eq!(numbers(&text, "web.lan", 22), [5]);
        assert_eq!(numbers(&text, "db.lan", 22), [0; 0]);
        assert_eq!(numbers(&text, "10.0.0.7", 2222), [6]);
        assert_eq!(numbers(&text, "10.0.0.77", 2222), [0; 0]);
        assert_eq!(numbers(&text, "anybody", 2200), [7]);
    }

    #[test]
    fn a_line_that_nobody_understands_hides_no_other() {
        let text = format!(
            "host ssh-ed25519 AAAAnonsense\nhost\nhost sk-ssh-ed25519@openssh.com AAAA\n@cert-authority * ssh-ed25519 {TWO}\n\
             |1|nonsense ssh-ed25519 {TWO}\n\u{fffd} ssh-ed25519 {TWO}\nhost ssh-ed25519 {ONE}\n"
        );
        assert_eq!(numbers(&text, "host", 22), [7]);
    }

    #[test]
    fn a_revoked_key_is_known_as_that() {
        let lines = of(&format!("@revoked * ssh-ed25519 {ONE}\n"), "host", 22);
        assert!(matches!(lines.as_slice(), [Line { number: 1, revoked: true, .. }]), "{lines:?}");
    }

    #[test]
    fn a_pattern_of_many_stars_ends_soon() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!fits(pattern.as_bytes(), "a".repeat(2000).as_bytes()));
        assert!(fits(b"*", b"") && fits(b"a*c", b"abbbc") && !fits(b"a*c", b"abbb") && !fits(b"", b"a"));
    }
}
