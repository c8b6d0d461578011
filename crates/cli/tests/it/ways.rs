//! The way into a host: as a spec says it, and what is told when it is barred.

use std::path::Path;

use crate::lab::{Lab, PORT};
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
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("web-1");
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
    // It goes back to a port that the spec knows nothing of any more, and is found there.
    let destroyed = run(folder.path(), &["destroy", "--yes"]);
    assert_eq!(destroyed.code, Some(0), "{}{}", destroyed.out, destroyed.err);
    destroyed
        .has(&[&format!("web-1: the SSH daemon listens on port {PORT} again"), "everything that was ours is gone"]);
    let again = run(folder.path(), &["destroy", "--yes"]);
    assert_eq!(again.code, Some(0), "{}{}", again.out, again.err);
    again.has(&["nothing of this cluster is there"]);
    let learnt = format!("the same as at port {PORT}");
    assert!(!again.err.contains("learnt") && applied.err.contains(&learnt), "{}{}", applied.err, again.err);
    let plan = run(folder.path(), &["plan", "--only", "hosts"]);
    plan.has(&["ssh daemon: ", "→ port 2301, only keys, not root"]);
}

#[test]
fn a_changed_key_is_told_with_the_command_that_forgets_the_old_one() {
    let Some(lab) = Lab::open() else { return };
    let mut host = lab.host("web-1");
    let folder = spec(&[&host], "");
    assert_eq!(run(folder.path(), &["plan", "--only", "hosts"]).code, Some(0));
    host.power_off();
    std::fs::copy(host.at("stranger"), host.at("host")).expect("a copy");
    host.power_on();
    let plan = run(folder.path(), &["plan", "--only", "hosts"]);
    assert_eq!(plan.code, Some(5));
    plan.has(&["was it made anew?", "known_hosts, line ", "forget the old one with `ssh-keygen -f "]);
    let all = format!("{}{}", plan.out, plan.err);
    let command = all.split("forget the old one with `").nth(1).and_then(|rest| rest.split('`').next());
    // People copy it over the ends of lines as well.
    let command = command.expect("it is told").split_whitespace().collect::<Vec<_>>().join(" ");
    let forgot = std::process::Command::new("sh").args(["-c", &command]).current_dir(folder.path()).status();
    assert!(forgot.expect("there is a shell").success(), "{command}");
    let plan = run(folder.path(), &["plan", "--only", "hosts"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
}

#[test]
fn a_key_that_is_not_there_is_one_mistake_at_its_place() {
    let Some(lab) = Lab::open() else { return };
    let (one, two) = (lab.host("web-1"), lab.host("web-2"));
    let folder = spec(&[&one, &two], "");
    let key = one.at("user").display().to_string();
    edit(folder.path(), &format!("keyFile: {key}"), "keyFile: ~/.ssh/typo");
    let plan = run(folder.path(), &["plan", "--output", "json"]);
    assert_eq!(plan.code, Some(3), "{}{}", plan.out, plan.err);
    assert_eq!(plan.err.matches("there is no file").count(), 1, "{}", plan.err);
    plan.has(&["KW0018", "cluster.yaml:7:", ".ssh/typo", "1 error"]);
    let told: serde_json::Value = serde_json::from_str(&plan.out).expect("it is for a program");
    assert_eq!(told["diagnostics"][0]["code"], "KW0018", "{told}");
    // Who judges the spec elsewhere, or tries it out, needs no key; and the agent may have it.
    assert_eq!(run(folder.path(), &["validate"]).code, Some(0));
    assert_eq!(run(folder.path(), &["--simulated", "dc", "plan"]).code, Some(0));
    std::fs::create_dir(folder.path().join(".ssh")).expect("a folder");
    std::fs::copy(one.at("user.pub"), folder.path().join(".ssh/typo.pub")).expect("a copy");
    // A key that hosts do not know is told where another one lets in.
    std::fs::copy(one.at("stranger"), folder.path().join(".ssh/typo")).expect("a copy");
    std::fs::copy(one.at("user"), folder.path().join(".ssh/id_ed25519")).expect("a copy");
    let told = run(folder.path(), &["plan", "--only", "hosts"]).err;
    assert!(told.contains("`keyFile` does not let us in, another key does: ") && told.contains(".ssh/typo"), "{told}");
    std::fs::remove_file(folder.path().join(".ssh/typo")).expect("it was there");
    std::fs::remove_file(folder.path().join(".ssh/id_ed25519")).expect("it was there");
    let plan = run(folder.path(), &["plan"]);
    assert_eq!(plan.code, Some(5), "{}{}", plan.out, plan.err);
}

#[test]
fn a_sudo_that_asks_names_the_field() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("web-1");
    host.sh("rm -f /etc/sudoers.d/*; echo 'admin ALL=(ALL:ALL) ALL' >/etc/sudoers.d/admin");
    let folder = spec(&[&host], "");
    let plan = run(folder.path(), &["plan", "--only", "hosts"]);
    assert_eq!(plan.code, Some(5), "{}{}", plan.out, plan.err);
    plan.has(&["(sudo)", "`ssh.sudoPassword`"]);
}

#[test]
fn who_is_not_let_in_is_told_what_to_do() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("web-1");
    let folder = spec(&[&host], "");
    edit(folder.path(), "user: admin", "user: ghost");
    let key = host.at("user").display().to_string();
    std::fs::create_dir(folder.path().join(".ssh")).expect("a folder");
    let config = format!("Host *\n  IdentityFile {key}\n");
    std::fs::write(folder.path().join(".ssh/config"), config).expect("a file");
    let plan = run(folder.path(), &["plan", "--only", "hosts"]);
    assert_eq!(plan.code, Some(5), "{}{}", plan.out, plan.err);
    plan.has(&["(authentication)", "→ `ssh.keyFile` names the key", "`ssh.firstPassword`"]);
    assert_eq!(plan.out.matches(&key).count(), 1, "each key is tried once: {}", plan.out);
    edit(folder.path(), &format!("port: {PORT},"), "port: 1,");
    let plan = run(folder.path(), &["plan", "--only", "hosts"]);
    plan.has(&[
        "Connection refused",
        "→ `ssh.port` is where its SSH daemon listens, and `ssh.portBefore` where it does until",
    ]);
}
