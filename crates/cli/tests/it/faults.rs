//! Hosts that go wrong, and what a person reads.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::real::{run, spec};
use crate::lab::{Lab, LabHost};

/// Puts a program before the host's own.
fn instead(host: &LabHost, name: &str, text: &str) {
    host.sh(&format!("printf '%s\n' '#!/bin/sh' '{text}' >/usr/local/sbin/{name} && chmod 755 /usr/local/sbin/{name}"));
}

#[test]
fn a_wrong_clock_is_told_before_anything_is_touched() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("web-1");
    let folder = spec(&[&host], "");
    // The kernel's clock is this computer's, so it is the host's `date` that goes wrong.
    instead(&host, "date", "exec /usr/bin/date -d \"1 hour ago\" \"$@\"");
    let applied = run(folder.path(), &["apply", "--only", "hosts", "--yes"]);
    assert_eq!(applied.code, Some(5), "{}{}", applied.out, applied.err);
    assert!(
        ["3599", "3600", "3601"].iter().any(|skew| applied.err.contains(&format!("its clock is {skew} s behind"))
            || applied.out.contains(&format!("its clock is {skew} s behind"))),
        "{}{}",
        applied.out,
        applied.err
    );
    applied.has(&["set it right, or write `hosts.timeSync: true`"]);
    assert_eq!(host.sh("ls -A /var/lib/kubewright /etc/rancher 2>/dev/null || true"), "", "nothing was touched");
    host.sh("rm /usr/local/sbin/date");
    let applied = run(folder.path(), &["apply", "--only", "hosts", "--yes"]);
    assert_eq!(applied.code, Some(0), "{}{}", applied.out, applied.err);
}

#[test]
fn a_host_that_lies_or_floods_neither_crashes_nor_fills_the_memory() {
    let Some(lab) = Lab::open() else { return };
    const MIB: u64 = 1024;
    let host = lab.host("web-1");
    let folder = spec(&[&host], "");
    for (lie, told) in [
        ("echo \"clock soon\"", "web-1 cannot be understood: the host did not tell clock"),
        ("echo \"clock 1\"; echo \"clock 2\"", "is none that was asked for: \"clock 2\""),
        ("yes lies", "the host sends more than any answer of ours has"),
        ("yes lies >&2", "the host sends more than any answer of ours has"),
        ("exec head -c 3000000 /dev/urandom", "web-1 cannot be understood: "),
    ] {
        instead(&host, "date", lie);
        let mut child = Command::new(env!("CARGO_BIN_EXE_kubewright"))
            .args(["plan", "--only", "hosts"])
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .env("NO_COLOR", "1")
            .env("COLUMNS", "400")
            .env_remove("SSH_AUTH_SOCK")
            .stdout(std::fs::File::create(folder.path().join("out")).expect("a file"))
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let (began, mut most) = (Instant::now(), 0);
        while child.try_wait().expect("it is ours").is_none() {
            most = most.max(held(child.id()));
            assert!(began.elapsed() < Duration::from_secs(60), "{lie}: it hangs");
            std::thread::sleep(Duration::from_millis(5));
        }
        let said = std::fs::read_to_string(folder.path().join("out")).expect("it is text");
        assert_eq!(child.wait().expect("it ended").code(), Some(5), "{lie}: {said}");
        assert!(said.contains(told), "{lie}: {said}");
        assert!(most < 150 * MIB, "{lie}: {most} KiB");
    }
    host.sh("rm /usr/local/sbin/date");
    assert_eq!(run(folder.path(), &["plan", "--only", "hosts"]).code, Some(0));
}

/// The most memory that a process has held until now, in KiB.
fn held(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Runs the program on a terminal of its own and answers one question; returns everything that the terminal showed.
fn on_a_terminal(folder: &Path, words: &str, question: &str, answer: &str) -> (String, Option<i32>) {
    let program = format!("{} {words}", env!("CARGO_BIN_EXE_kubewright"));
    let mut child = Command::new("script")
        .args(["-qefc", &program, "/dev/null"])
        .current_dir(folder)
        .env("HOME", folder)
        .env("SHELL", "/bin/sh")
        .env("NO_COLOR", "1")
        .env_remove("SSH_AUTH_SOCK")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script is installed; .ci/run installs it");
    let (mut shown, mut answered) = (Vec::new(), false);
    let mut terminal = child.stdout.take().expect("it is piped");
    let mut keys = child.stdin.take().expect("it is piped");
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = terminal.read(&mut piece) {
        shown.extend_from_slice(&piece[..read]);
        if !answered && String::from_utf8_lossy(&shown).contains(question) {
            answered = true;
            keys.write_all(format!("{answer}\n").as_bytes()).expect("it listens");
        }
    }
    let ended = child.wait().expect("it ends").code();
    (String::from_utf8_lossy(&shown).into_owned(), ended)
}

#[test]
fn the_password_of_a_key_is_asked_on_the_terminal_once_and_never_shown() {
    let Some(lab) = Lab::open() else { return };
    const PASSWORD: &str = "open sesame";
    let host = lab.host("web-1");
    let folder = spec(&[&host], "");
    let key = host.at("user");
    let status = Command::new("ssh-keygen").args(["-q", "-p", "-P", "", "-N", PASSWORD, "-f"]).arg(&key).status();
    assert!(status.expect("it is installed").success());
    // Without a terminal nobody is asked, so that a pipeline does not hang.
    let piped = run(folder.path(), &["plan", "--only", "hosts"]);
    assert_eq!(piped.code, Some(5), "{}{}", piped.out, piped.err);
    piped.has(&["nobody can be asked for its password without a terminal"]);
    let question = format!("the password of {}: ", key.display());
    let (shown, code) = on_a_terminal(folder.path(), "plan --only hosts", &question, "wrong guess");
    assert_eq!(code, Some(5), "{shown}");
    assert!(shown.contains("the password does not open it"), "{shown}");
    let (shown, code) = on_a_terminal(folder.path(), "apply --only hosts --yes", &question, PASSWORD);
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains(PASSWORD) && !shown.contains("wrong guess"), "{shown}");
    assert_eq!(shown.matches(&question).count(), 1, "{shown}");
    assert_eq!(host.sh("/usr/local/bin/kubectl"), "k3s\n");
}
