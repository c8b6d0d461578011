//! A folder that is a host: the real scripts run in it under real shells, and programs that would change the machine are
//! strict stand-ins that write down how they were called.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use kubewright_model::desired::Way;
use kubewright_model::host::HostResource;
use kubewright_model::plan::HostChange;

use crate::{Holes, HostError, Report};

/// Shells that a host may have as `sh`.
const SHELLS: [&[&str]; 3] = [&["dash"], &["bash", "--posix"], &["busybox", "sh"]];

/// What the scripts take from the system as it is.
const TOOLS: [&str; 39] = [
    "sh",
    "cat",
    "mv",
    "rm",
    "cp",
    "mkdir",
    "chmod",
    "chown",
    "stat",
    "base64",
    "sha256sum",
    "od",
    "tr",
    "tail",
    "head",
    "ln",
    "readlink",
    "find",
    "sort",
    "df",
    "timeout",
    "tar",
    "gzip",
    "uname",
    "touch",
    "grep",
    "sed",
    "id",
    "printf",
    "sleep",
    "awk",
    "env",
    "ls",
    "true",
    "false",
    "test",
    "cut",
    "rmdir",
    "flock",
];

macro_rules! programs {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("bin/", $name)))),*] };
}

/// A child that another test starts while a program is being written holds it open, and nobody can run it then.
static FORKS: Mutex<()> = Mutex::new(());

/// A host with one of the shells.
pub(crate) struct Host {
    pub(crate) root: tempfile::TempDir,
    shell: &'static [&'static str],
    pub(crate) user: &'static str,
}

/// Does the same on a fresh host for each shell.
pub(crate) fn each(test: impl Fn(&Host)) {
    for shell in SHELLS {
        assert!(found(shell[0]).is_some(), "{} is not installed; .ci/run installs it", shell[0]);
        test(&Host::new(shell));
    }
}

fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.exists())
}

impl Host {
    fn new(shell: &'static [&'static str]) -> Self {
        let host = Self { root: tempfile::tempdir().expect("a folder"), shell, user: "admin" };
        for folder in ["bin", "etc", "vendor", "offers", "proc/sys/kernel", "sys/module", "bin/sh", "run"] {
            fs::create_dir_all(host.at(folder)).expect("a folder");
        }
        fs::remove_dir(host.at("bin/sh")).expect("it was empty");
        for tool in TOOLS {
            if let Some(path) = found(tool) {
                symlink(path, host.at("bin").join(tool)).expect("a link");
            }
        }
        let programs = programs![
            "apt-get",
            "apt-mark",
            "dpkg-query",
            "systemctl",
            "journalctl",
            "modprobe",
            "useradd",
            "usermod",
            "groupadd",
            "id",
            "chpasswd",
            "visudo",
            "swapoff",
            "hostnamectl",
            "locale",
            "locale-gen",
            "sshd",
            "restorecon",
            "curl",
            "semanage",
            "userdel",
            "groupdel",
            "gpasswd",
            "swapon",
        ];
        for (name, text) in programs {
            host.program(name, text);
        }
        host.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
        host.write("etc/shadow", "root:*:19000:0:99999:7:::\n");
        host.write("etc/group", "root:x:0:\nsudo:x:27:\n");
        host.write("proc/swaps", "Filename Type Size Used Priority\n");
        host.write("proc/sys/kernel/hostname", "localhost\n");
        host
    }

    /// Takes one distribution's package manager away and gives another's.
    pub(crate) fn of_another_family(&self, manager: &str) {
        for program in ["apt-get", "apt-mark", "dpkg-query", "locale-gen"] {
            self.without(program);
        }
        let managers = programs!["dnf", "zypper", "rpm"];
        for (name, text) in managers.into_iter().filter(|(name, _)| *name == manager || *name == "rpm") {
            self.program(name, text);
        }
    }

    pub(crate) fn program(&self, name: &str, text: &str) {
        let path = self.at("bin").join(name);
        let _ = fs::remove_file(&path);
        let alone = FORKS.lock();
        fs::write(&path, text).expect("written");
        drop(alone);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    pub(crate) fn without(&self, program: &str) {
        fs::remove_file(self.at("bin").join(program)).expect("it was there");
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(path, text).expect("written");
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn mode(&self, path: &str) -> String {
        format!("{:04o}", fs::symlink_metadata(self.at(path)).expect("it is there").mode() & 0o7777)
    }

    /// How the stand-ins were called since last asked.
    pub(crate) fn calls(&self) -> Vec<String> {
        let path = self.at("calls");
        let calls = fs::read_to_string(&path).unwrap_or_default().replace(&self.root.path().display().to_string(), "");
        let _ = fs::remove_file(path);
        calls.lines().map(str::to_string).collect()
    }

    pub(crate) fn change(&self, make: &[HostResource], unmake: &[String]) -> HostChange {
        let way = Way {
            address: None,
            name: None,
            port: 22,
            port_before: None,
            user: self.user.into(),
            key_file: None,
            jump: None,
            host_key: None,
            first: None,
            sudo: None,
            talos: None,
        };
        HostChange { host: "web-1".into(), way, owner: None, make: make.to_vec(), unmake: unmake.to_vec() }
    }

    /// Runs the body of a script as the frame would, with what it says.
    pub(crate) fn run(&self, body: &str) -> String {
        let script =
            format!("LC_ALL=C; export LC_ALL\numask 022\nkw_main() {{\n{body}\n}}\nkw_main </dev/null\nexit 0\n");
        let root = Command::new("id").arg("-u").output().expect("id").stdout == b"0\n";
        let mut command = if root { Command::new(self.shell[0]) } else { Command::new("unshare") };
        if !root {
            command.arg("-r").args(self.shell);
        } else {
            command.args(&self.shell[1..]);
        }
        let shell = found(self.shell[0]).expect("it was found before");
        let bin = self.at("bin");
        if !bin.join(self.shell[0]).exists() {
            symlink(shell, bin.join(self.shell[0])).expect("a link");
        }
        let alone = FORKS.lock();
        let mut child = command
            .arg("-s")
            .env_clear()
            .env("PATH", &bin)
            .env("KW_ROOT", self.root.path())
            .env("KW_BIN", &bin)
            .env("KW_UID", "1000")
            .env("SUDO_USER", if self.user == "root" { "" } else { self.user })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        drop(alone);
        child.stdin.take().expect("it is piped").write_all(script.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{:?} complained", self.shell);
        String::from_utf8(output.stdout).expect("it is text")
    }

    /// Makes resources true, and what came of it.
    pub(crate) fn make(&self, make: &[HostResource]) -> Result<Report, HostError> {
        self.do_all(&self.change(make, &[]))
    }

    /// Puts back what goes by these keys.
    pub(crate) fn unmake(&self, keys: &[String]) -> Result<Report, HostError> {
        self.do_all(&self.change(&[], keys))
    }

    /// The keys of what was written down before we touched it.
    pub(crate) fn ours(&self) -> Vec<String> {
        let folders = ["absent", "there"].map(|folder| self.at("var/lib/kubewright/before").join(folder));
        let names = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        let names = names.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        let mut keys: Vec<String> = names.map(|name| name.replace("%2f", "/").replace("%25", "%")).collect();
        keys.sort();
        keys
    }

    pub(crate) fn do_all(&self, change: &HostChange) -> Result<Report, HostError> {
        let answer = self.run(&super::super::script(change, &Holes::new())?);
        super::super::outcome(change, &Holes::new(), &answer)
    }

    /// The first run changes it, the second one nothing. The calls of the first.
    pub(crate) fn twice(&self, make: &[HostResource]) -> Vec<String> {
        self.calls();
        let change = self.change(make, &[]);
        let script = super::super::script(&change, &Holes::new()).expect("it can be written");
        let first = self.run(&script);
        assert!(super::super::outcome(&change, &Holes::new(), &first).expect("it is done").changed, "{first}");
        let calls = self.calls();
        let second = self.run(&script);
        let mut lines: Vec<&str> = second.lines().collect();
        // Packages are told at the place of the first one.
        lines.sort_unstable();
        let same: Vec<String> = (0..make.len()).map(|index| format!("c {index} same")).collect();
        assert_eq!(lines, same, "{:?}", self.shell);
        self.calls();
        calls
    }

    /// Why making it true fails.
    pub(crate) fn fails(&self, make: &[HostResource]) -> String {
        match self.make(make) {
            Err(error) => error.to_string(),
            Ok(report) => panic!("it was done: {report:?}"),
        }
    }
}

/// Nothing of ours lies around beside a file.
pub(crate) fn nothing_beside(host: &Host, folder: &str) {
    let path: &Path = &host.at(folder);
    for entry in fs::read_dir(path).expect("a folder") {
        let name = entry.expect("an entry").file_name();
        assert!(!name.to_string_lossy().ends_with(".kubewright"), "{name:?}");
    }
}
