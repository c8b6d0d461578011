//! Why something failed: a lock that somebody holds or a host that goes down, which passes, or else the line of the log
//! that tells most.

use kubewright_model::ids::NodeName;

use crate::mask::masked;
use crate::{Holes, HostError};

/// What package managers, the tools for users and our own scripts say of a lock that others hold.
const LOCKS: [(&str, &str); 10] = [
    ("Could not get lock ", "the package manager"),
    ("is another process using it", "the package manager"),
    ("locked by another process", "the package manager"),
    ("System management is locked by ", "the package manager"),
    ("Waiting for process with pid ", "the package manager"),
    ("already locked by ", "the package manager"),
    ("another copy is running as pid ", "the package manager"),
    ("transaction lock", "the package manager"),
    ("cannot lock /etc/", "the list of users"),
    (" is held by Proxmox VE", "the container's configuration"),
];

/// What our own script says of a host that is on its way down, after all else: with the next boot everything is tried
/// again.
const LEAVES: [&str; 2] = ["this host is shutting down", "it does not answer any more"];

/// How a line begins that says what went wrong.
const ERRORS: [&str; 5] = ["E: ", "dpkg: error", "Error: ", "error: ", "fatal: "];

/// What says only that something said before went wrong.
const NOISE: [&str; 10] = [
    "E: Sub-process ",
    "See \"systemctl ",
    "Job for ",
    ": Failed with result ",
    ": Main process exited",
    ": Scheduled restart job",
    ": Start request repeated",
    ": Consumed ",
    "Failed to start ",
    "Stopped ",
];

/// The error of something that failed with this log.
pub(crate) fn failed(host: &NodeName, what: String, log: &[String], holes: &Holes) -> HostError {
    let log: Vec<String> = log.iter().map(|line| masked(line, holes)).collect();
    let lock =
        log.iter().find_map(|line| LOCKS.iter().find(|(words, _)| line.contains(words)).map(|lock| (lock, line)));
    if let Some(((_, busy), line)) = lock {
        return HostError::Busy { host: host.clone(), what: (*busy).into(), why: holder(line) };
    }
    if let Some(leaves) = log.last().filter(|line| LEAVES.contains(&line.as_str())) {
        return HostError::Busy { host: host.clone(), what: "systemd".into(), why: leaves.clone() };
    }
    let why = telling(&log).map_or_else(|| "it said nothing".into(), |line| line.trim().to_string());
    HostError::Failed { host: host.clone(), what, why, log }
}

/// Who holds a lock, as far as the line says.
fn holder(line: &str) -> String {
    let after =
        ["held by ", "locked by ", "Waiting for ", "running as "].iter().find_map(|words| line.split_once(words));
    match after {
        Some((_, holder)) => {
            let holder = holder.trim_end_matches('.').trim_end_matches(" to finish");
            let holder =
                if holder.starts_with(|c: char| c.is_ascii_digit()) { &format!("process {holder}") } else { holder };
            format!("held by {holder}")
        }
        None => line.trim().to_string(),
    }
}

/// The first line that calls itself an error, or else the last one that says anything of its own.
fn telling(log: &[String]) -> Option<&String> {
    let says = |line: &&String| !NOISE.iter().any(|noise| line.contains(noise));
    let error = log.iter().find(|line| says(line) && ERRORS.iter().any(|error| line.starts_with(error)));
    error.or_else(|| log.iter().rev().find(says)).or_else(|| log.first())
}
