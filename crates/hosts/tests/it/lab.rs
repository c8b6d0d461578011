//! Hosts for tests: real OpenSSH servers, each in a copy of this computer that is thrown away, with an address of its
//! own on the loopback network.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use kubewright_model::ids::NodeName;

/// The port of every host of the lab.
pub(crate) const PORT: u16 = 2222;

/// A host. It ends with the test, and everything on it is gone then.
pub(crate) struct LabHost {
    pub(crate) name: NodeName,
    pub(crate) address: Ipv4Addr,
    child: Option<Child>,
    folder: tempfile::TempDir,
}

/// An address that no other test uses now: the process, then the host.
pub(crate) fn address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, high.max(1), low, NEXT.fetch_add(1, Ordering::Relaxed))
}

impl LabHost {
    /// A host as it comes: root gets in with the lab's key, `admin` too and may sudo, `guest` too and needs a password
    /// for that.
    pub(crate) fn start(name: &str) -> Self {
        Self::prepared(name, "")
    }

    /// A host on which a script has run before it answers.
    pub(crate) fn prepared(name: &str, script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("disk")).expect("a folder");
        std::fs::write(folder.path().join("prepare"), script).expect("a file");
        let mut host = Self { name: name.into(), address: address(), child: None, folder };
        for key in ["host", "user", "stranger"] {
            keygen(&host.at(key));
        }
        host.power_on();
        host
    }

    /// Turns the host on, as it came; waits until it answers.
    pub(crate) fn power_on(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../hosts/tests/it/lab/start.sh");
        let log = std::fs::File::create(self.at("log")).expect("a file");
        let child = Command::new("unshare")
            .args(["--mount", "--uts", "--pid", "--fork", "--kill-child", "sh", script])
            .arg(self.folder.path())
            .args([self.name.as_str(), &self.address.to_string(), &PORT.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("unshare is installed");
        self.child = Some(child);
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
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            // The kernel ends the rest of the namespace in its own time, and until then somebody still listens.
            while TcpStream::connect((self.address, PORT)).is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// What its SSH daemon said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// Runs something on the host, beside SSH; returns what it printed.
    pub(crate) fn sh(&self, script: &str) -> String {
        let init = self.init();
        let output = Command::new("nsenter")
            .args(["--all", "--root", "--wd", "--target", &init, "sh", "-c", script])
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .output()
            .expect("nsenter is installed");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The host's first process, as this computer counts.
    fn init(&self) -> String {
        let child = self.child.as_ref().expect("it is on").id();
        let children = std::fs::read_to_string(format!("/proc/{child}/task/{child}/children")).expect("it is there");
        children.split_whitespace().next().expect("it has one").to_string()
    }

    /// A file of the lab, outside the host: `user` is the key that is let in, and `stranger` is one that is not.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
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

impl Drop for LabHost {
    fn drop(&mut self) {
        self.power_off();
    }
}
