//! Hosts that exist already, over real SSH.

use std::path::Path;
use std::process::Command;

use crate::lab::{HERE, Lab, LabHost, PORT};

/// What the program said and how it ended.
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

impl Said {
    pub(crate) fn has(&self, words: &[&str]) {
        for word in words {
            assert!(self.out.contains(word) || self.err.contains(word), "no `{word}` in:\n{}{}", self.out, self.err);
        }
    }
}

/// Runs the program as a user whose home is the folder that the spec lies in.
pub(crate) fn run(folder: &Path, words: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_kubewright"))
        .args(words)
        .current_dir(folder)
        .env("HOME", folder)
        .env("NO_COLOR", "1")
        .env_remove("COLUMNS")
        .env_remove("SSH_AUTH_SOCK")
        .output()
        .expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { out: text(&output.stdout), err: text(&output.stderr), code: output.status.code() }
}

/// A spec of these hosts, in a folder of its own.
pub(crate) fn spec(hosts: &[&LabHost], extra: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let key = hosts[0].at("user");
    let mut pools = String::new();
    for (index, host) in hosts.iter().enumerate() {
        let role = if index == 0 { "both" } else { "agent" };
        let (name, address) = (&host.name, host.address);
        pools.push_str(&format!(
            "    pool-{index}: {{ role: {role}, name: {name}, addresses: [{address}], existing: {{}} }}\n"
        ));
    }
    let text = format!(
        "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{ name: lab }}\nspec:\n  \
         kubernetes: {{ distribution: k3s, version: v1.31.4+k3s1, datastore: sqlite }}\n  \
         hosts:\n    ssh: {{ user: admin, port: {PORT}, keyFile: {} }}\n    packages: [figlet]\n{extra}  \
         pools:\n{pools}",
        key.display(),
    );
    std::fs::write(folder.path().join("cluster.yaml"), text).expect("a file");
    folder
}

#[test]
fn a_plan_tells_what_is_true_of_a_host() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("web-1");
    let folder = spec(&[&host], "    sysctls: { vm.swappiness: \"61\" }\n");
    let plan = run(folder.path(), &["plan"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
    plan.has(&[
        "set up host web-1",
        "package figlet: missing → installed",
        "sysctl vm.swappiness: ",
        "unit k3s.service: missing",
        "start the K3s cluster on web-1",
    ]);
    assert!(!plan.out.contains("hostname:"), "it has its name already: {}", plan.out);
    assert_eq!(plan.err.matches("learnt the key of ").count(), 1, "{}", plan.err);
    let refused = run(folder.path(), &["apply"]);
    assert_eq!(refused.code, Some(5));
    assert!(!refused.err.contains("learnt"), "it is known by now: {}", refused.err);
    refused.has(&["nobody agreed; nothing was touched"]);
    assert_eq!(host.sh("ls -A /var/lib/kubewright 2>/dev/null || true"), "", "nothing was");
    let status = run(folder.path(), &["status"]);
    assert_eq!(status.code, Some(7));
    status.has(&["web-1", "Debian", "no member"]);
    let verify = run(folder.path(), &["verify"]);
    assert_eq!(verify.code, Some(7), "{}{}", verify.out, verify.err);
    verify.has(&["no server of it serves"]);
    let kubeconfig = run(folder.path(), &["kubeconfig"]);
    assert_eq!(kubeconfig.code, Some(7));
    kubeconfig.has(&["lab has no kubeconfig to give", "no member of the control plane runs anywhere"]);
}

#[test]
fn hosts_are_set_up_once_and_mended_when_they_were_changed_by_hand() {
    let Some(lab) = Lab::open() else { return };
    let (one, two) = (lab.host("web-1"), lab.host("web-2"));
    let key = std::fs::read_to_string(one.at("user.pub")).expect("a key");
    two.sh(&format!("echo '{}' >>/etc/ssh/lab_keys", key.trim()));
    let folder = spec(&[&one, &two], "    files: { /etc/motd: { content: \"welcome\\nhere\\n\" } }\n");
    let applied = run(folder.path(), &["apply", "--only", "hosts", "--yes"]);
    assert_eq!(applied.code, Some(0), "{}{}", applied.out, applied.err);
    for host in [&one, &two] {
        assert_eq!(host.sh("/usr/local/bin/kubectl"), "k3s\n");
        assert_eq!(host.sh("stat -c %a /etc/rancher/k3s/token").trim(), "600");
    }
    assert_eq!(one.sh("cat /etc/rancher/k3s/token"), two.sh("cat /etc/rancher/k3s/token"), "one token for all");
    let again = run(folder.path(), &["plan", "--only", "hosts", "--exit-code"]);
    assert_eq!(again.code, Some(0), "{}{}", again.out, again.err);
    again.has(&["what was chosen is as the spec says"]);
    run(folder.path(), &["history"]).has(&["apply --only hosts", "complete"]);
    two.sh("echo 'debug: true' >>/etc/rancher/k3s/config.yaml");
    let drifted = run(folder.path(), &["plan", "--only", "hosts", "--exit-code"]);
    assert_eq!(drifted.code, Some(4));
    drifted.has(&["file /etc/rancher/k3s/config.yaml on web-2"]);
    assert!(!drifted.out.contains("web-1"), "{}", drifted.out);
    assert_eq!(run(folder.path(), &["apply", "--only", "hosts", "--yes"]).code, Some(0));
    assert!(!two.sh("cat /etc/rancher/k3s/config.yaml").contains("debug"));
    one.sh("printf 'go away\\nhere\\n' >/etc/motd");
    let drifted = run(folder.path(), &["plan", "--only", "hosts"]);
    drifted.has(&["file /etc/motd on web-1", "- go away", "+ welcome"]);
    assert!(!drifted.out.contains("here"), "only what differs is shown: {}", drifted.out);
    assert_eq!(run(folder.path(), &["apply", "--only", "hosts", "--yes"]).code, Some(0));
    let looks = one.log().matches("Accepted publickey").count();
    assert_eq!(looks, 6, "one connection for each of the six commands");
}

#[test]
fn a_host_that_cannot_be_reached_blocks_and_says_at_which_layer() {
    let Some(lab) = Lab::open() else { return };
    let mut host = lab.host("web-1");
    let folder = spec(&[&host], "");
    assert_eq!(run(folder.path(), &["plan", "--only", "hosts"]).code, Some(0));
    host.power_off();
    let plan = run(folder.path(), &["plan"]);
    assert_eq!(plan.code, Some(5));
    plan.has(&["web-1 cannot be reached (TCP)", "No route to host"]);
    let status = run(folder.path(), &["status"]);
    assert_eq!(status.code, Some(7));
    let row = status.out.lines().find(|line| line.trim_start().starts_with("web-1")).expect("a row");
    assert_eq!(
        row.split_whitespace().filter(|cell| *cell == "?").count(),
        3,
        "nobody knows whether it runs, and whether it is a node: {row}"
    );
    assert!(row.len() < 80, "a sentence is no cell: {row}");
    status.has(&["? web-1 cannot be reached (TCP): ", "No route to host"]);
    // Another host answers at its address.
    std::fs::copy(host.at("stranger"), host.at("host")).expect("a copy");
    host.power_on();
    for change in ["apply", "destroy"] {
        let begin = std::time::Instant::now();
        let changed = run(folder.path(), &[change, "--yes"]);
        assert_eq!(changed.code, Some(5));
        changed.has(&["web-1 cannot be reached (host key)", "was it made anew?"]);
        assert!(begin.elapsed() < std::time::Duration::from_secs(30), "it does not pass by itself");
    }
}

/// What K3s publishes, in a folder: a binary that is none, and the list of digests.
fn release(folder: &Path) {
    let folder = folder.join("v1.31.4+k3s1");
    std::fs::create_dir_all(&folder).expect("a folder");
    let make = "printf '#!/bin/sh\\necho mirrored\\n' >k3s && sha256sum k3s >sha256sum-amd64.txt && \
                cp sha256sum-amd64.txt sha256sum-arm64.txt && cp k3s k3s-arm64";
    assert!(Command::new("sh").args(["-c", make]).current_dir(folder).status().expect("there is a shell").success());
}

fn mirrored(folder: &Path, mirror: &str) {
    let path = folder.join("cluster.yaml");
    let text = std::fs::read_to_string(&path).expect("it is there");
    let text = text.replace("datastore: sqlite", &format!("datastore: sqlite, mirror: \"{mirror}\""));
    std::fs::write(path, text).expect("a file");
}

#[test]
fn the_program_is_sent_from_a_folder_of_this_computer() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("web-1");
    let folder = spec(&[&host], "");
    mirrored(folder.path(), "file:assets");
    // A host that was never a member is judged before anything is touched.
    let plan = run(folder.path(), &["plan", "--only", "hosts"]);
    assert_eq!(plan.code, Some(5), "{}{}", plan.out, plan.err);
    plan.has(&["what it needs is not at file:assets/v1.31.4%2Bk3s1: k3s", "No such file or directory"]);
    release(&folder.path().join("assets"));
    let list = folder.path().join("assets/v1.31.4+k3s1/sha256sum-amd64.txt");
    let text = std::fs::read_to_string(&list).expect("a list");
    for (wrong, why) in [("", "lists no digest of k3s"), ("gone", "sha256sum-amd64.txt cannot be read here")] {
        std::fs::write(&list, wrong).expect("a file");
        if wrong == "gone" {
            std::fs::remove_file(&list).expect("it was there");
        }
        let plan = run(folder.path(), &["plan", "--only", "hosts"]);
        assert_eq!(plan.code, Some(5), "{}{}", plan.out, plan.err);
        plan.has(&[why]);
    }
    std::fs::write(&list, text).expect("a file");
    let applied = run(folder.path(), &["apply", "--only", "hosts", "--yes"]);
    assert_eq!(applied.code, Some(0), "{}{}", applied.out, applied.err);
    assert_eq!(host.sh("/usr/local/bin/kubectl"), "mirrored\n");
    // It is there, wherever it came from.
    std::fs::remove_dir_all(folder.path().join("assets")).expect("it was there");
    assert_eq!(run(folder.path(), &["plan", "--only", "hosts", "--exit-code"]).code, Some(0));
}

#[test]
fn hosts_download_from_a_mirror_and_take_nothing_wrong_from_it() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.prepared("web-1", "rm /usr/local/sbin/curl");
    let folder = spec(&[&host], "");
    release(&folder.path().join("assets"));
    let mirror = Mirror::start(folder.path().join("assets"));
    mirrored(folder.path(), &mirror.address);
    let list = folder.path().join("assets/v1.31.4+k3s1/sha256sum-amd64.txt");
    let right = std::fs::read_to_string(&list).expect("it is there");
    std::fs::write(&list, format!("{}  k3s\n", "0".repeat(64))).expect("a file");
    let applied = run(folder.path(), &["apply", "--only", "hosts", "--yes"]);
    assert_eq!(applied.code, Some(1), "{}{}", applied.out, applied.err);
    // Going on is no more than what was asked for.
    assert!(applied.err.contains("apply cluster.yaml --only 'hosts'` goes on"), "{}", applied.err);
    applied.has(&["downloading k3s v1.31.4+k3s1"]);
    assert_eq!(host.sh("ls /usr/local/bin/k3s* 2>/dev/null || echo none"), "none\n");
    std::fs::write(&list, right).expect("a file");
    let applied = run(folder.path(), &["apply", "--only", "hosts", "--yes"]);
    assert_eq!(applied.code, Some(0), "{}{}", applied.out, applied.err);
    assert_eq!(host.sh("/usr/local/bin/kubectl"), "mirrored\n");
}

/// A web server in the hosts' network.
struct Mirror {
    address: String,
}

impl Mirror {
    fn start(folder: std::path::PathBuf) -> Self {
        let listener = std::net::TcpListener::bind((HERE, 0)).expect("it is free");
        let address = format!("http://{}", listener.local_addr().expect("it has one"));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, &folder);
            }
        });
        Self { address }
    }
}

fn answer(mut stream: std::net::TcpStream, folder: &Path) -> std::io::Result<()> {
    use std::io::{BufRead as _, BufReader, Write as _};
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut asked = String::new();
    reader.read_line(&mut asked)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = asked.split(' ').nth(1).unwrap_or_default().replace("%2B", "+");
    match std::fs::read(folder.join(path.trim_start_matches('/'))) {
        Ok(bytes) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len())?;
            stream.write_all(&bytes)
        }
        Err(_) => write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    }
}

#[test]
fn the_computer_that_the_program_runs_on_is_a_host_without_ssh() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("web-1");
    let folder = spec(&[&host], "");
    let text = std::fs::read_to_string(folder.path().join("cluster.yaml")).expect("it is there");
    let text = text.replace("existing: {}", "existing: { thisComputer: true }");
    // Nobody needs a key for that.
    let text = text.replace(&format!(", keyFile: {}", host.at("user").display()), "");
    host.sh(&format!("mkdir /root/here && cat >/root/here/cluster.yaml <<'END'\n{text}\nEND"));
    let program = env!("CARGO_BIN_EXE_kubewright");
    let inside = |words: &str| host.sh(&format!("cd /root/here && HOME=/root NO_COLOR=1 {program} {words} 2>&1"));
    inside("apply --only hosts --yes");
    assert_eq!(host.sh("/usr/local/bin/kubectl"), "k3s\n");
    inside("plan --only hosts --exit-code");
    assert!(!host.log().contains("Accepted"), "nobody came in by SSH: {}", host.log());
}
