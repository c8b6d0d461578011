//! The system's `ssh`, told all that our own connections go by. What the user's configuration says is in the target
//! already, so it is read no more. <https://man.openbsd.org/ssh_config.5>

use std::path::Path;

use super::target::Target;
use super::trust::KnownHosts;
use crate::shell::quote;

/// The command that comes into a target. `told` hears what ssh cannot be told.
pub(crate) fn words(target: &Target, known: &KnownHosts, told: &mut Vec<String>) -> Vec<String> {
    let mut words: Vec<String> = ["ssh", "-F", "none", "-p"].map(String::from).to_vec();
    words.extend([target.port.to_string(), "-l".into(), target.user.clone()]);
    for key in &target.keys {
        words.extend(["-i".into(), percent(&key.display().to_string())]);
    }
    let mut option = |name: &str, value: &str| words.extend(["-o".into(), format!("{name}={value}")]);
    let files = std::iter::once(known.ours.as_path()).chain(known.users.iter().map(|file| file.as_path()));
    option("UserKnownHostsFile", &files.map(in_quotes).collect::<Vec<_>>().join(" "));
    option("GlobalKnownHostsFile", "/dev/null");
    option("UpdateHostKeys", "no");
    if target.only_keys {
        option("IdentitiesOnly", "yes");
    }
    match &target.agent {
        Some(socket) => option("IdentityAgent", &percent(&socket.display().to_string())),
        None => option("IdentityAgent", "none"),
    }
    match target.pin.as_ref().map(|pin| (pin.line(&target.host, target.port), pin)) {
        None => option("StrictHostKeyChecking", "yes"),
        // What this prints is a further file of known hosts, since OpenSSH 8.5.
        Some((Some(line), _)) => {
            option("KnownHostsCommand", &format!("/bin/echo {}", percent(&line)));
            option("StrictHostKeyChecking", "yes");
        }
        Some((None, pin)) => {
            told.push(format!("its key must be {pin}: ssh shows it and asks, for it takes no fingerprint"));
            option("StrictHostKeyChecking", "ask");
        }
    }
    if let Some(jump) = &target.jump {
        let mut through = words_of_jump(jump, known, told);
        let last = through.pop().unwrap_or_default();
        // Its own signs for host and port; IPv6 addresses are in brackets.
        through.extend(["-W".into(), "[%h]:%p".into(), last]);
        let through: Vec<_> = through.iter().map(|word| quote(word)).collect();
        option("ProxyCommand", &through.join(" "));
    }
    words.push(target.host.clone());
    words
}

/// The same of a jump host: what is in a command that ssh reads as a text of its own is doubled where it has a meaning.
fn words_of_jump(jump: &Target, known: &KnownHosts, told: &mut Vec<String>) -> Vec<String> {
    words(jump, known, told).into_iter().map(|word| percent(&word)).collect()
}

/// A text in which ssh sees nothing to fill in.
fn percent(text: &str) -> String {
    text.replace('%', "%%")
}

/// A file in a list of files, in which blanks part and quotes hold together.
fn in_quotes(file: &Path) -> String {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    format!("\"{}\"", percent(&file.display().to_string()))
}
