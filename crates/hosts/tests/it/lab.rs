//! Hosts for tests: real OpenSSH servers, each in a copy of this computer that is thrown away, with a network of its own.
//!
//! They hang on the network of the test that started them, which nobody else is in: its thread, and what that starts. It is
//! gone when the last of them is, also when the test is killed.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kubewright_model::ids::NodeName;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The port of every host of the lab.
pub(crate) const PORT: u16 = 2222;
/// The address of the test in its network: where hosts come from, and where they find what it serves.
pub(crate) const HERE: Ipv4Addr = Ipv4Addr::new(10, 76, 0, 1);

/// A network of a test's own.
pub(crate) struct Lab {
    before: File,
    last: Cell<u8>,
}

impl Lab {
    /// Goes into a new one. Where this computer lets nobody make any, it says so beside what the test runner keeps to
    /// itself.
    pub(crate) fn open() -> Option<Self> {
        let before = File::open("/proc/thread-self/ns/net").expect("it is there");
        let mut maker = Command::new("unshare")
            .args(["--net", "--mount", "sh", &script("network.sh"), &HERE.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare is installed");
        let mut said = String::new();
        let _ = BufReader::new(maker.stdout.take().expect("it is piped")).read_line(&mut said);
        if said != "ready\n" {
            let ended = maker.wait_with_output().expect("it ends");
            let why = String::from_utf8_lossy(&ended.stderr).trim().to_string();
            assert!(why.ends_with("Operation not permitted"), "no network for hosts can be made: {why}");
            skipped(&format!("this computer lets nobody make a network of hosts: {why}"));
            return None;
        }
        enter(&File::open(format!("/proc/{}/ns/net", maker.id())).expect("it waits"));
        drop(maker.stdin.take());
        maker.wait().expect("it ends");
        Some(Self { before, last: Cell::new(HERE.octets()[3]) })
    }

    /// A host as it comes: root gets in with the lab's key, `admin` too and may sudo, `guest` too and needs a password
    /// for that.
    pub(crate) fn host(&self, name: &str) -> LabHost {
        self.prepared(name, "")
    }

    /// A host on which a script has run before it answers.
    pub(crate) fn prepared(&self, name: &str, script: &str) -> LabHost {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("disk")).expect("a folder");
        std::fs::write(folder.path().join("prepare"), script).expect("a file");
        self.last.set(self.last.get() + 1);
        let [a, b, c, _] = HERE.octets();
        let address = Ipv4Addr::new(a, b, c, self.last.get());
        let mut host = LabHost { name: name.into(), address, keeper: None, folder };
        for key in ["host", "user", "stranger"] {
            keygen(&host.at(key));
        }
        host.power_on();
        host
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        enter(&self.before);
    }
}

/// From now on this thread, and what it starts, is in that network.
fn enter(network: &File) {
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).expect("we are root");
}

/// Says that the test of this thread is not done, and why, beside what the test runner keeps to itself.
pub(crate) fn skipped(why: &str) {
    let thread = std::thread::current();
    // One that runs alone has no thread of its own; it was asked for by its name.
    let alone = || std::env::args().skip_while(|word| word != "--exact").nth(1);
    let name = thread.name().filter(|name| *name != "main").map(String::from).or_else(alone);
    let _ = writeln!(std::io::stderr(), "test {} was SKIPPED: {why}", name.unwrap_or_default());
}

fn script(name: &str) -> String {
    format!("{}/../hosts/tests/it/lab/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A host. It ends with the test, and everything on it is gone then.
pub(crate) struct LabHost {
    pub(crate) name: NodeName,
    pub(crate) address: Ipv4Addr,
    keeper: Option<Child>,
    folder: tempfile::TempDir,
}

impl LabHost {
    /// Turns the host on, as it came; waits until it answers.
    pub(crate) fn power_on(&mut self) {
        let keeper = Command::new("sh")
            .arg(script("host.sh"))
            .arg(self.folder.path())
            .args([self.name.as_str(), &self.address.to_string(), &PORT.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Who stops a test by the keyboard does not stop who cleans up after it.
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        self.keeper = Some(keeper);
        for _ in 0..500 {
            if TcpStream::connect((self.address, PORT)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("a host in namespaces of its own cannot be made; this needs root, unshare and sshd:\n{}", self.log());
    }

    /// Cuts its power: no connection is ended politely, and what was on its disk is gone.
    pub(crate) fn power_off(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            let _ = keeper.stdin.take().expect("it is piped").write_all(b"off\n");
            let _ = keeper.wait();
        }
    }

    /// What its SSH daemon said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// Runs something on the host, beside SSH; returns what it printed.
    pub(crate) fn sh(&self, script: &str) -> String {
        let init = only_child(&self.at("pid")).expect("it is on");
        inside(&init, script).unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// A file of the lab, outside the host: `user` is the key that is let in, and `stranger` is one that is not.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for LabHost {
    fn drop(&mut self) {
        self.power_off();
    }
}

/// The only child of the process whose number is in a file.
pub(crate) fn only_child(file: &Path) -> Option<String> {
    let parent = std::fs::read_to_string(file).ok()?;
    let parent = parent.trim();
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().next().map(str::to_string)
}

/// Runs something where a host's first process is; returns what it printed.
pub(crate) fn inside(init: &str, script: &str) -> Result<String, String> {
    let output = Command::new("nsenter")
        .args(["--all", "--root", "--wd", "--target", init, "sh", "-c", script])
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .expect("nsenter is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{}{}", text(&output.stdout), text(&output.stderr)))
}

/// Makes a key without a password.
pub(crate) fn keygen(path: &Path) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .status()
        .expect("ssh-keygen is installed");
    assert!(status.success());
}
