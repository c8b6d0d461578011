//! The way into a host: as a spec says it, and what is told when it is barred.

use std::path::Path;

use crate::lab::{LabHost, PORT};
use crate::real::{run, spec};

/// Changes the spec in a folder.
fn edit(folder: &Path, from: &str, to: &str) {
    let file = folder.join("cluster.yaml");
    let text = std::fs::read_to_string(&file).expect("a spec");
    assert!(text.contains(from), "{text}");
    std::fs::write(&file, text.replacen(from, to, 1)).expect("a file");
}

#[test]
fn a_daemon_moves_from_a_port_that_is_not_22() {
    let host = LabHost::start("web-1");
    let folder = spec(&[&host], "");
    let moves = format!("port: 2300, portBefore: {PORT}, harden: true,");
    edit(folder.path(), &format!("port: {PORT},"), &moves);
    let plan = run(folder.path(), &["plan", "--only", "hosts"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
    plan.has(&["ssh daemon: ", "→ port 2300, only keys, not root"]);
    let applied = run(folder.path(), &["apply", "--only", "hosts", "--yes"]);
    assert_eq!(applied.code, Some(0), "{}{}", applied.out, applied.err);
    assert!(std::net::TcpStream::connect((host.address, PORT)).is_err(), "nobody is at the old one");
    // And on to the next: who has not moved yet is where the last spec put it.
    edit(folder.path(), &moves, "port: 2301, portBefore: 2300, harden: true,");
    assert_eq!(run(folder.path(), &["apply", "--only", "hosts", "--yes"]).code, Some(0));
    assert_eq!(run(folder.path(), &["plan", "--only", "hosts", "--exit-code"]).code, Some(0));
    assert!(std::net::TcpStream::connect((host.address, 2301)).is_ok());
}
