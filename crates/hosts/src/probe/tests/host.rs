//! A folder that is laid out like a host, and shells that look at it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use kubewright_model::host::HostResource;
use kubewright_model::observed::HostSeen;

use super::super::{ParseError, parse, script};

/// Every shell that a host may have.
pub(super) fn shells() -> Vec<Vec<&'static str>> {
    let all = [vec!["sh"], vec!["dash"], vec!["bash", "--posix"], vec!["busybox", "ash"]];
    let there = |shell: &Vec<&str>| Command::new(shell[0]).args(&shell[1..]).args(["-c", "exit 0"]).status().is_ok();
    for shell in &all {
        assert!(there(shell), "{} is not installed; .ci/run installs it", shell[0]);
    }
    all.into()
}

/// A host in a folder.
pub(super) struct Host {
    folder: tempfile::TempDir,
}

const SYSTEMCTL: &str = r#"#!/bin/sh
shift 4
for unit; do
  cat "$KW_ROOT/fakes/units/$unit" 2>/dev/null ||
    printf 'Names=%s\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n' "$unit"
  echo
done
"#;

const RPM: &str = r#"#!/bin/sh
case "$*" in *--whatprovides*) cat "$KW_ROOT/fakes/provided" 2>/dev/null; exit 0 ;; esac
shift 4
for name; do
  if [ -e "$KW_ROOT/fakes/rpms/$name" ]; then echo "package installed $name x86_64 1"
  else echo "package $name is not installed"; fi
done
"#;

impl Host {
    /// A Debian with nothing on it.
    pub(super) fn debian() -> Self {
        let host = Self { folder: tempfile::tempdir().expect("there is room") };
        host.write("/etc/os-release", "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n");
        host.write("/proc/sys/kernel/osrelease", "6.1.0-28-amd64\n");
        host.write("/proc/sys/kernel/arch", "x86_64\n");
        host.write("/proc/sys/kernel/hostname", "n1\n");
        host.write("/proc/sys/vm/overcommit_memory", "0\n");
        host.write("/proc/meminfo", "MemTotal:        4026532 kB\nMemFree: 1 kB\n");
        host.write("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vme hypervisor lahf_lm\n\nprocessor\t: 1\n");
        host.write(
            "/proc/net/tcp",
            "  sl  local_address rem_address   st\n   0: 00000000:08AE 00000000:0000 0A 00000000:00000000 00:0\n   \
             1: 0100007F:9999 0100007F:08AE 01 00000000:00000000 00:0\n",
        );
        host.write("/sys/devices/system/cpu/online", "0-1\n");
        host.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        host.write("/sys/fs/cgroup/cgroup.controllers", "cpu\n");
        host.write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\ndeploy:x:1000:1000:,,,:/home/deploy:/bin/sh\n");
        host.write("/fakes/dpkg/status", "");
        host.program("systemctl", SYSTEMCTL);
        host.program("ip", "#!/bin/sh\necho '2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0'\n");
        host.program("sshd", "#!/bin/sh\ncat \"$KW_ROOT/fakes/sshd\"\n");
        host
    }

    /// A Rocky Linux, as far as packages go.
    pub(super) fn rocky() -> Self {
        let host = Self::debian();
        host.program("rpm", RPM);
        // The shell finds no dpkg-query when only our own programs are in its way.
        for program in ["stat", "sha256sum", "readlink", "grep", "date", "uname", "cat"] {
            let _ =
                std::os::unix::fs::symlink(Path::new("/usr/bin").join(program), host.path("/fakes/bin").join(program));
        }
        host.write("/fakes/only", "");
        host
    }

    /// From now on, who looks is not root.
    pub(super) fn as_nobody(&self) {
        self.mode("/", 0o755);
        self.write("/fakes/nobody", "");
    }

    pub(super) fn path(&self, absolute: &str) -> PathBuf {
        self.folder.path().join(absolute.trim_start_matches('/'))
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
        fs::write(&path, text).expect("it can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
    }

    pub(super) fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).expect("it was there");
    }

    pub(super) fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).expect("it is ours");
    }

    pub(super) fn link(&self, path: &str, target: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
        let _ = fs::remove_file(&path);
        std::os::unix::fs::symlink(target, path).expect("it can be made");
    }

    pub(super) fn folder(&self, path: &str) {
        fs::create_dir_all(self.path(path)).expect("it can be made");
    }

    pub(super) fn program(&self, name: &str, text: &str) {
        let path = format!("/fakes/bin/{name}");
        self.write(&path, text);
        self.mode(&path, 0o755);
    }

    /// Who owns everything here: whoever runs the test.
    pub(super) fn owner(&self) -> String {
        let output = Command::new("stat").args(["-c", "%U:%G"]).arg(self.path("/etc")).output().expect("there is stat");
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    }

    /// What the script prints in a shell.
    pub(super) fn print(&self, shell: &[&str], resources: &[HostResource]) -> String {
        let holds_data = self.path("/fakes/datastore").exists();
        let script = script(resources, holds_data, self.path("/fakes/updates").exists());
        let text = format!("kw_main() {{\n{script}\n}}\nkw_main </dev/null\n");
        let bin = self.path("/fakes/bin");
        let path = if self.path("/fakes/only").exists() {
            bin.display().to_string()
        } else {
            format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", bin.display())
        };
        let program = which(shell[0]);
        let mut command = Command::new(program);
        // Root may do everything, so a user who may not is somebody else.
        if self.path("/fakes/nobody").exists() && self.owner().starts_with("root:") {
            command.uid(65534).gid(65534);
        }
        let output = command
            .args(&shell[1..])
            .args(["-c", &text])
            .env("PATH", path)
            .env("LC_ALL", "C")
            .env("SUDO_USER", if self.path("/fakes/sudo").exists() { "deploy" } else { "" })
            .env("KW_ROOT", self.folder.path())
            .env("DPKG_ADMINDIR", self.path("/fakes/dpkg"))
            .output()
            .expect("there is a shell");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(told, "", "{shell:?} said something beside");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What a look in a shell comes to.
    pub(super) fn try_look(&self, shell: &[&str], resources: &[HostResource]) -> Result<HostSeen, ParseError> {
        let printed = self.print(shell, resources);
        parse(resources, &printed, 0..=0).inspect_err(|error| println!("{shell:?}: {error}\n{printed}"))
    }

    /// What a look comes to, which must be the same in every shell.
    pub(super) fn look(&self, resources: &[HostResource]) -> HostSeen {
        let looks: Vec<_> =
            shells().iter().map(|shell| self.try_look(shell, resources).expect("it was read")).collect();
        let mut first = looks[0].clone();
        for mut look in looks {
            // The clock goes on between two looks, and so does the machine below.
            look.clock_skew = 0;
            first.clock_skew = 0;
            let free = first.facts.as_ref().and_then(|facts| facts.free_disk_mib);
            look.facts.iter_mut().for_each(|facts| facts.free_disk_mib = free);
            assert_eq!(look, first);
        }
        first
    }
}

fn which(program: &str) -> PathBuf {
    ["/bin", "/usr/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists())
        .expect("it is there")
}
