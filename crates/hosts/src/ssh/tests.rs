//! Against real OpenSSH servers.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use kubewright_model::desired::Way;

mod config;

use super::target::Target;
use super::trust::{KnownHosts, Tell};
use super::*;
use crate::passwords::Password;
use crate::transport::{Job, run};

/// An OpenSSH server with an address and a folder of its own, that ends with the test.
struct Server {
    child: Child,
    address: Ipv4Addr,
    port: u16,
    folder: tempfile::TempDir,
}

/// A loopback address that nobody else uses: the process, then the server. A free port that the kernel names could be
/// given to somebody else before it is taken, and a closed one too.
fn address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, high.max(1), low, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A port below those that the kernel gives away, for those who share an address with other processes.
fn port() -> u16 {
    let [.., high, low] = std::process::id().to_be_bytes();
    20_000 + u16::from_be_bytes([high, low]) % 10_000
}

impl Server {
    fn start(extra: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (address, port) = (address(), port());
        for name in ["host", "user", "stranger"] {
            keygen(&folder.path().join(name), "");
        }
        // sshd wants a folder that root alone may write; where it is not root that starts it, it does not ask.
        let _ = std::fs::create_dir_all("/run/sshd");
        let here = folder.path().display();
        std::fs::copy(folder.path().join("user.pub"), folder.path().join("authorized_keys")).expect("a copy");
        let config = format!(
            "Port {port}\nListenAddress {address}\nHostKey {here}/host\nPidFile none\nAuthorizedKeysFile {here}/authorized_keys\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n{extra}\n"
        );
        std::fs::write(folder.path().join("config"), config).expect("a file");
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(folder.path().join("config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("OpenSSH's server is not installed; .ci/run installs it");
        let server = Self { child, address, port, folder };
        for _ in 0..200 {
            if std::net::TcpStream::connect((address, port)).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = std::fs::read_to_string(server.folder.path().join("log"));
        panic!("sshd does not listen: {log:?}");
    }

    fn target(&self, key: &str) -> Target {
        let keys = vec![self.folder.path().join(key)];
        let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
        let host = self.address.to_string();
        Target {
            host,
            port: self.port,
            user,
            keys,
            says_key: false,
            only_keys: true,
            jump: None,
            agent: None,
            pin: None,
            first: None,
            given: None,
        }
    }

    fn known(&self) -> KnownHosts {
        self.known_telling(Arc::new(|_| {}))
    }

    fn known_telling(&self, tell: Tell) -> KnownHosts {
        let (users, ours) = (vec![self.folder.path().join("users")], self.folder.path().join("ours"));
        KnownHosts { users, ours, learns: true, tell }
    }

    async fn open(&self) -> Session {
        Session::open(&self.target("user"), &self.known(), &nobody()).await.expect("it lets us in")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keygen(path: &Path, password: &str) {
    keygen_of("ed25519", path, password);
}

fn keygen_of(kind: &str, path: &Path, password: &str) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", password, "-f"])
        .arg(path)
        .status()
        .expect("it is there");
    assert!(status.success());
}

fn refused(opened: Result<Session, Refusal>) -> Refusal {
    match opened {
        Ok(_) => panic!("it let us in"),
        Err(refusal) => refusal,
    }
}

/// Nobody knows any password.
fn nobody() -> Passwords {
    Passwords::new(Arc::new(|_: &Password| Err("nobody is asked".into())))
}

const SHORT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_script_runs_and_its_noise_is_ignored() {
    let server = Server::start("");
    let banner = server.folder.path().join("banner");
    std::fs::write(&banner, "Authorised use only!\n").expect("a file");
    let session = server.open().await;
    for round in 0..3 {
        let body = format!("echo round {round}; echo to nobody >&2; cat; return {round}");
        let answer = run(&session, Job { body: &body, deadline: SHORT }, None, None).await.expect("it answers");
        assert_eq!((answer.printed, answer.status), (format!("round {round}\n"), round));
    }
}

#[tokio::test]
async fn each_layer_has_its_own_error() {
    let server = Server::start("");
    let known = server.known();
    let right = server.target("user");
    let nowhere = Target { host: "no-such-host.invalid".into(), ..right.clone() };
    assert_eq!(refused(Session::open(&nowhere, &known, &nobody()).await).layer, Layer::Name);
    let silent = Target { host: address().to_string(), ..right.clone() };
    let refusal = refused(Session::open(&silent, &known, &nobody()).await);
    assert_eq!(refusal.layer, Layer::Tcp);
    assert!(refusal.why.contains("refused"), "{}", refusal.why);
    let chatterer = Target { host: address().to_string(), ..right.clone() };
    let chatter = TcpListener::bind((chatterer.host.as_str(), right.port)).expect("an address of our own");
    std::thread::spawn(move || {
        use std::io::Write as _;
        if let Ok((mut stream, _)) = chatter.accept() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let refusal = refused(Session::open(&chatterer, &known, &nobody()).await);
    assert_eq!(refusal.layer, Layer::Banner);
    let refusal = refused(Session::open(&server.target("stranger"), &known, &nobody()).await);
    assert_eq!(refusal.layer, Layer::Authentication);
    assert!(refusal.why.contains("stranger"), "{}", refusal.why);
    assert!(!refusal.why.contains("encrypted"), "{}", refusal.why);
}

#[tokio::test]
async fn the_first_contact_tells_the_key_that_it_learns_and_the_second_tells_nothing() {
    let server = Server::start("");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    let known = server.known_telling(Arc::new(move |line| ear.lock().expect("nobody broke it").push(line)));
    for _ in 0..2 {
        drop(Session::open(&server.target("user"), &known, &nobody()).await.expect("it lets us in"));
    }
    let heard = heard.lock().expect("nobody broke it").clone();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].starts_with("learnt the key of ") && heard[0].contains(": SHA256:"), "{heard:?}");
}

#[tokio::test]
async fn a_host_that_shows_another_key_is_refused_with_both_fingerprints() {
    let server = Server::start("");
    // The first contact learns the key into our file and leaves the user's alone.
    drop(server.open().await);
    let learnt = std::fs::read_to_string(server.known().ours).expect("it was written");
    assert!(learnt.contains("ssh-ed25519"), "{learnt}");
    assert!(!server.folder.path().join("users").exists());
    // The user knows another key.
    let other = std::fs::read_to_string(server.folder.path().join("stranger.pub")).expect("a key");
    std::fs::write(server.folder.path().join("users"), format!("[{}]:{} {other}", server.address, server.port))
        .expect("a file");
    std::fs::remove_file(server.known().ours).expect("it was there");
    let refusal = refused(Session::open(&server.target("user"), &server.known(), &nobody()).await);
    assert_eq!(refusal.layer, Layer::HostKey);
    assert_eq!(refusal.why.matches("SHA256:").count(), 2, "{}", refusal.why);
    assert!(!server.known().ours.exists(), "a changed key is not learnt");
}

#[tokio::test]
async fn an_encrypted_key_needs_the_agent() {
    let server = Server::start("");
    let locked = server.folder.path().join("locked");
    keygen(&locked, "a long password");
    let public = std::fs::read_to_string(server.folder.path().join("locked.pub")).expect("a key");
    std::fs::write(server.folder.path().join("authorized_keys"), public).expect("a file");
    let refusal = refused(Session::open(&server.target("locked"), &server.known(), &nobody()).await);
    assert!(refusal.why.contains("encrypted"), "{}", refusal.why);
    let agent = Agent::start(server.folder.path());
    agent.add(&locked, "a long password");
    let target = Target { agent: Some(agent.socket.clone()), ..server.target("locked") };
    let session = Session::open(&target, &server.known(), &nobody()).await.expect("the agent's key is taken");
    assert!(session.is_open());
}

#[tokio::test]
async fn keys_of_every_kind_are_let_in() {
    let server = Server::start("");
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = server.folder.path().join(kind);
        keygen_of(kind, &key, "");
        std::fs::copy(key.with_extension("pub"), server.folder.path().join("authorized_keys")).expect("a copy");
        let opened = Session::open(&server.target(kind), &server.known(), &nobody()).await;
        assert!(opened.is_ok(), "{kind}: {:?}", opened.err());
    }
}

#[tokio::test]
async fn hosts_are_reached_over_the_sixth_version_of_the_internet_protocol() {
    if let Err(why) = TcpListener::bind("[::1]:0") {
        eprintln!("left out: this computer has no IPv6 ({why})");
        return;
    }
    let server = Server::start("ListenAddress ::1");
    let way = Way {
        address: Some("::1".parse().expect("an address")),
        name: None,
        port: server.port,
        port_before: None,
        user: server.target("user").user.as_str().into(),
        key_file: Some(server.folder.path().join("user").display().to_string().into()),
        jump: None,
        host_key: None,
        first: None,
        sudo: None,
        talos: None,
    };
    let home = super::target::Home::read(server.folder.path(), None).expect("there is none");
    let target = home.target(&way).expect("it leads somewhere");
    for _ in 0..2 {
        let session = Session::open(&target, &server.known(), &nobody()).await.expect("it is reached and known again");
        let answer = run(&session, Job { body: "echo \"$SSH_CONNECTION\"", deadline: SHORT }, None, None).await;
        assert!(answer.expect("it answers").printed.contains("::1"));
    }
    let learnt = std::fs::read_to_string(server.known().ours).expect("it was written");
    assert_eq!(learnt.lines().filter(|line| line.contains("::1")).count(), 1, "{learnt}");
}

#[tokio::test]
async fn a_host_behind_another_is_reached_through_it() {
    let (bastion, inner) = (Server::start(""), Server::start(""));
    let jump = Some(Box::new(bastion.target("user")));
    let target = Target { jump, ..inner.target("user") };
    let session = Session::open(&target, &inner.known(), &nobody()).await.expect("it is reached");
    let answer =
        run(&session, Job { body: "echo \"$SSH_CONNECTION\"", deadline: SHORT }, None, None).await.expect("it answers");
    assert!(answer.printed.trim().ends_with(&format!("{} {}", inner.address, inner.port)), "{}", answer.printed);
    // Without the one between, the error says which of the two it was.
    let closed = Target { jump: Some(Box::new(Target { port: 1, ..bastion.target("user") })), ..inner.target("user") };
    assert!(refused(Session::open(&closed, &inner.known(), &nobody()).await).why.starts_with("jump host"));
}

#[tokio::test]
async fn a_connection_that_is_cut_is_told_from_a_command_that_fails() {
    let server = Server::start("");
    let session = server.open().await;
    let cut = run(&session, Job { body: "kill -9 \"$PPID\"; sleep 5", deadline: SHORT }, None, None).await;
    assert_eq!(cut.expect_err("it was cut").layer, Layer::Tcp);
    let session = server.open().await;
    let late = run(&session, Job { body: "sleep 30", deadline: Duration::from_millis(300) }, None, None).await;
    assert!(late.expect_err("it is late").why.contains("no answer within"));
}

#[tokio::test]
async fn a_host_that_floods_us_is_stopped() {
    let server = Server::start("");
    let session = server.open().await;
    let flood = run(&session, Job { body: "yes", deadline: SHORT }, None, None).await;
    assert!(flood.expect_err("it never ends").why.contains("more than any answer"));
}

#[tokio::test]
async fn many_commands_share_one_connection() {
    let server = Server::start("MaxSessions 50");
    let session = server.open().await;
    let jobs = (0..20).map(|number| {
        let session = &session;
        async move {
            let body = format!("sleep 0.1; echo {number}");
            run(session, Job { body: &body, deadline: SHORT }, None, None).await.expect("it answers").printed
        }
    });
    let answers = futures::future::join_all(jobs).await;
    assert_eq!(answers, (0..20).map(|number| format!("{number}\n")).collect::<Vec<_>>());
    let log = std::fs::read_to_string(server.folder.path().join("log")).expect("a log");
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
}

/// An SSH agent that ends with the test.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("agent");
        let child = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("OpenSSH's client is not installed; .ci/run installs it");
        for _ in 0..200 {
            if socket.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, socket }
    }

    /// Adds an encrypted key; the password comes from a program, as ssh-add wants it without a terminal.
    fn add(&self, key: &Path, password: &str) {
        let asks = key.with_extension("asks");
        std::fs::write(&asks, format!("#!/bin/sh\necho '{password}'\n")).expect("a file");
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700);
        std::fs::set_permissions(&asks, mode).expect("a mode");
        let status = Command::new("ssh-add")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .env("SSH_ASKPASS", &asks)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("it is there");
        assert!(status.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
