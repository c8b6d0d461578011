//! Names that a script takes as words: quoting keeps them words, and these rules keep them from being options, other
//! places, or another rule of sudo.

use kubewright_model::ids::NodeName;

use crate::HostError;

/// A name without anything that a tool could take for more than a name.
pub(crate) fn plain(host: &NodeName, what: &str, name: &str) -> Result<(), HostError> {
    let inside = |c: char| c.is_ascii_alphanumeric() || "._+:@~-\\".contains(c);
    let well = name.chars().all(inside) && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if well { Ok(()) } else { refuse(host, what, format!("`{}` is no such name", name.escape_debug())) }
}

/// apt takes a `-` at the end for "remove".
pub(crate) fn package(host: &NodeName, name: &str) -> Result<(), HostError> {
    if name.ends_with('-') {
        return refuse(host, "a package", format!("`{name}` is no such name"));
    }
    plain(host, "a package", name)
}

/// A login name: sudo has words of its own in capitals.
pub(crate) fn login(host: &NodeName, name: &str) -> Result<(), HostError> {
    let inside = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let well = name.chars().all(inside) && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if well { Ok(()) } else { refuse(host, "a user", format!("`{}` is no login name", name.escape_debug())) }
}

/// An absolute path that stays where it says.
pub(crate) fn path(host: &NodeName, path: &str) -> Result<(), HostError> {
    let inside = |part: &str| part != ".." && !part.contains('\0');
    let well = path.starts_with('/') && !path.ends_with('/') && path.split('/').all(inside);
    if well { Ok(()) } else { refuse(host, "a path", format!("`{}` is no absolute path", path.escape_debug())) }
}

/// A refusal of our own, before anything was asked of the host.
pub(crate) fn refuse<T>(host: &NodeName, what: &str, why: String) -> Result<T, HostError> {
    Err(HostError::Failed { host: host.clone(), what: what.into(), why, log: Vec::new() })
}
