//! Hosts for tests that boot systemd: each a copy of one Debian tree that is thrown away, with a network of its own.
//!
//! A test of theirs runs in a world of its own, namespaces that nobody else is in, so that hosts have addresses and
//! reboot as they like: the test's program starts itself again in there, for that one test.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use kubewright_model::ids::NodeName;

use crate::lab::{PORT, inside, keygen, only_child};

/// The control group that holds a world's hosts; whoever finds it in the environment is in that world.
const WORLD: &str = "KUBEWRIGHT_LAB";
/// The tree that hosts are copies of.
const TREE: &str = "KUBEWRIGHT_LAB_TREE";
/// Told to a world whose hosts limit what their programs take.
const LIMITS: &str = "KUBEWRIGHT_LAB_LIMITS";

/// What a test wants of its world.
pub(crate) struct Kind {
    /// Its hosts can limit what their programs take, as containers need it: by the old hierarchies of control groups, where
    /// the unified one has no controllers here.
    pub(crate) limits: bool,
    /// The seconds after which it hangs: longer than the test has ever taken, by far.
    pub(crate) hangs: u32,
}

const PLAIN: Kind = Kind { limits: false, hangs: 900 };

fn script(name: &str) -> String {
    format!("{}/../hosts/tests/it/booted/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a test in a world of its own. Where none can be made it says so, beside what the test runner keeps to itself.
pub(crate) fn world<T: FnOnce()>(test: T) {
    world_of(&PLAIN, test);
}

/// The same, in a world of a kind.
pub(crate) fn world_of<T: FnOnce()>(kind: &Kind, test: T) {
    if std::env::var_os(WORLD).is_some() {
        return test();
    }
    // The closure is named after the function that it stands in.
    let name = std::any::type_name::<T>().trim_end_matches("::{{closure}}");
    let name = name.split_once("::").expect("a crate and a path").1;
    if let Err(why) = worlds() {
        let _ = writeln!(std::io::stderr(), "test {name} was SKIPPED: this computer lets no host boot: {why}");
        return;
    }
    let program = std::env::current_exe().expect("it runs");
    let arguments = ["--exact", name, "--nocapture", "--test-threads=1"];
    let ran = enter(kind).arg(program).args(arguments).env(TREE, tree()).output().expect("it starts");
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && out.contains("1 passed"), "{}\n{out}\n{err}", ran.status);
    let _ = std::io::stderr().write_all(&ran.stderr);
}

/// A command that goes on in a new world.
fn enter(kind: &Kind) -> Command {
    let mut command = Command::new("setpriv");
    // It ends with the test, however that one ends.
    command.args([
        "--pdeathsig",
        "TERM",
        "timeout",
        "--kill-after=10",
        &kind.hangs.to_string(),
        "unshare",
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
    ]);
    command.args(["sh", &script("world.sh")]).stdin(Stdio::null());
    if kind.limits {
        command.env(LIMITS, "yes");
    }
    command
}

/// Whether this computer lets us make worlds: it takes root, and a kernel that is not itself locked in.
fn worlds() -> Result<(), &'static str> {
    static WORLDS: OnceLock<Result<(), String>> = OnceLock::new();
    let tried = WORLDS.get_or_init(|| {
        let Output { status, stderr, .. } = enter(&PLAIN).arg("true").output().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&stderr).trim().to_string()) }
    });
    tried.as_ref().copied().map_err(String::as_str)
}

/// The folder of the tree; makes it when it is not there yet.
fn tree() -> &'static str {
    static TREE: OnceLock<String> = OnceLock::new();
    TREE.get_or_init(|| {
        let made = Command::new("sh").arg(script("tree.sh")).stdin(Stdio::null()).output().expect("there is a shell");
        let log = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "no tree for hosts can be made; this needs mmdebstrap and a mirror:\n{log}");
        String::from_utf8_lossy(&made.stdout).lines().last().expect("a folder").to_string()
    })
}

/// A host that boots systemd. It ends with the test, and everything on it is gone then.
pub(crate) struct BootedHost {
    pub(crate) name: NodeName,
    pub(crate) address: Ipv4Addr,
    number: u8,
    boot: Option<Child>,
    folder: tempfile::TempDir,
}

impl BootedHost {
    /// A host as a cloud hands it over: `admin` gets in with the lab's key and may sudo. A script has changed its disk
    /// before its first boot; it runs in the disk's root folder.
    pub(crate) fn prepared(name: &str, prepare: &str) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(2);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("disk")).expect("a folder");
        std::fs::write(folder.path().join("prepare"), prepare).expect("a file");
        let address = Ipv4Addr::new(10, 77, 0, number);
        let mut host = Self { name: name.into(), address, number, boot: None, folder };
        keygen(&host.at("user"));
        let tree = std::env::var(TREE).expect("the test is in a world");
        let laid = Command::new("sh")
            .arg(script("disk.sh"))
            .args([host.folder.path().as_os_str(), tree.as_ref()])
            .args([host.name.as_str(), &address.to_string()])
            .output()
            .expect("there is a shell");
        assert!(laid.status.success(), "{}", String::from_utf8_lossy(&laid.stderr));
        host.power_on();
        host
    }

    /// Turns the host on, with the disk that it has; waits until it is up.
    pub(crate) fn power_on(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.at("log")).expect("a file");
        let boot = Command::new("sh")
            .arg(script("boot.sh"))
            .arg(self.folder.path())
            .args([self.name.as_str(), &self.number.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the same file"))
            .stderr(log)
            .spawn()
            .expect("there is a shell");
        self.boot = Some(boot);
        self.is_up(self.boots() + 1);
    }

    /// How many times it has begun to boot.
    pub(crate) fn boots(&self) -> usize {
        self.log().lines().filter(|line| line.starts_with("boot ")).count()
    }

    /// Waits until a boot is over: its daemons run, and it is on the network.
    pub(crate) fn is_up(&self, boot: usize) {
        let deadline = Instant::now() + Duration::from_secs(240);
        let mut before = "not tried".to_string();
        while Instant::now() < deadline {
            if self.boots() >= boot && self.init().is_some() {
                before = self.try_sh("systemctl is-system-running --wait").unwrap_or_else(|error| error);
                if before.trim() == "running" && self.is_there() {
                    return;
                }
                if before.trim() == "degraded" {
                    before += &self.sh("systemctl --failed --no-pager; journalctl -b --no-pager | tail -n 60");
                    break;
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{} does not boot: {before}\n{}", self.name, self.log());
    }

    /// Whether anybody answers at its address, be it that there is no such port.
    fn is_there(&self) -> bool {
        match TcpStream::connect((self.address, PORT)) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        }
    }

    /// Cuts its power: nothing is ended politely. What was on its disk stays there.
    pub(crate) fn power_off(&mut self) {
        if let Some(mut boot) = self.boot.take() {
            let world = PathBuf::from(std::env::var_os(WORLD).expect("the test is in a world"));
            let _ = std::fs::write(world.join(self.name.as_str()).join("cgroup.kill"), "1");
            let _ = boot.wait();
        }
    }

    /// What it said on its console.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.at("log")).unwrap_or_default()).into_owned()
    }

    /// Runs something on the host, beside SSH; returns what it printed.
    pub(crate) fn sh(&self, script: &str) -> String {
        self.try_sh(script).unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    fn try_sh(&self, script: &str) -> Result<String, String> {
        inside(&self.init().ok_or("it is off")?, script)
    }

    /// The host's first process, as the world counts, once it is systemd.
    fn init(&self) -> Option<String> {
        let init = only_child(&self.at("pid"))?;
        let program = std::fs::read_to_string(format!("/proc/{init}/comm")).ok()?;
        (program.trim() == "systemd").then_some(init)
    }

    /// A file of the lab, outside the host: `user` is the key that is let in.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for BootedHost {
    fn drop(&mut self) {
        self.power_off();
        // What is mounted into its disk may be this computer's, and is not to go with its folder.
        let _ = Command::new("umount").args(["--recursive", "--lazy"]).arg(self.at("disk")).status();
    }
}
