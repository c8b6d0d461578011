//! 03xx, the part about the way into a Proxmox cluster.

use kubewright_model::codes::{self, Code};
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::providers::Proxmox;

use super::{Facts, at};

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let Some(proxmox) = &facts.spec.providers.proxmox else { return };
    let mut say = |code: Code, path: SpecPath, message: &str, help: &str| {
        found.push(Diagnostic::new(code, path, message).help(help));
    };
    identity(proxmox, &mut say);
    trust(proxmox, &mut say);
}

/// A token or a user, whole.
fn identity(proxmox: &Proxmox, say: &mut impl FnMut(Code, SpecPath, &str, &str)) {
    let path = at("providers/proxmox");
    let token = (proxmox.token_id.is_some(), proxmox.token_secret.is_some());
    let user = (proxmox.user.is_some(), proxmox.password.is_some());
    let mut wrong = |path, message, help| say(codes::PROXMOX_IDENTITY, path, message, help);
    match (token, user) {
        ((true, true), (false, false)) | ((false, false), (true, true)) => {}
        ((false, false), (false, false)) => {
            let help = "write `tokenId` and `tokenSecret`, or `user` and `password`";
            wrong(path, "nothing says as whom to come to the Proxmox API", help);
        }
        ((true, false), (false, false)) => {
            wrong(path.then("tokenId"), "the token has no secret", "write `tokenSecret` beside it");
        }
        ((false, true), (false, false)) => {
            wrong(path.then("tokenSecret"), "the secret has no token", "write `tokenId` beside it");
        }
        ((false, false), (true, false)) => {
            wrong(path.then("user"), "the user has no password", "write `password` beside it");
        }
        ((false, false), (false, true)) => {
            wrong(path.then("password"), "the password has no user", "write `user` beside it");
        }
        (_, (named, _)) => {
            let path = path.then(if named { "user" } else { "password" });
            wrong(path, "a token and a user at once", "keep one of the two; a token can do with fewer privileges");
        }
    }
}

/// One way of trusting, and every node in it.
fn trust(proxmox: &Proxmox, say: &mut impl FnMut(Code, SpecPath, &str, &str)) {
    let path = at("providers/proxmox");
    let pinned = proxmox.others.iter().map(|other| other.fingerprint.is_some());
    let pinned: Vec<bool> = [proxmox.fingerprint.is_some()].into_iter().chain(pinned).collect();
    let any_pinned = pinned.contains(&true);
    let mut wrong = |path, message, help| say(codes::PROXMOX_TRUST, path, message, help);
    let ways = [(proxmox.insecure, "insecure"), (proxmox.ca_file.is_some(), "caFile"), (any_pinned, "fingerprint")];
    let ways: Vec<&str> = ways.into_iter().filter(|(given, _)| *given).map(|(_, field)| field).collect();
    if let [first, _, ..] = ways.as_slice() {
        wrong(path.then(first), "the certificate is to be trusted in several ways at once", "keep one of them");
    } else if any_pinned && let Some(bare) = pinned.iter().position(|pinned| !pinned) {
        let path = match bare.checked_sub(1) {
            None => path.then("endpoint"),
            Some(other) => path.then("others").then(other).then("endpoint"),
        };
        let help = "write its `fingerprint` too, or `caFile` in the place of all of them";
        wrong(path, "this node's own certificate would not be trusted", help);
    }
}
