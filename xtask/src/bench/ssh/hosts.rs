//! Hosts of the bench: real OpenSSH servers, each in namespaces of its own for its network, its files and its processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::{ADDRESS, PORT, shell};

/// Hosts that are on. They end with this.
pub(super) struct Hosts {
    children: Vec<Child>,
    folder: PathBuf,
    count: u32,
}

impl Hosts {
    /// So many hosts, as they come. The key that gets in is `key` in the folder. They have the addresses that they are
    /// called by as well, where a relay stands before them: a node's address is one that its host has.
    pub(super) fn start(root: &Path, folder: &Path, count: u32, network: &str) -> anyhow::Result<Self> {
        let mut hosts = Self { children: Vec::new(), folder: folder.into(), count };
        let script = root.join("crates/hosts/tests/it/lab/start.sh");
        for number in 1..=count {
            let lab = laboratory(folder, number, include_str!("prepare.sh"))?;
            let address = format!("{ADDRESS}.{number}");
            shell(&format!(
                "ip netns add h{number} && ip link add kw{number} type veth peer name eth0 netns h{number} && \
                 ip link set kw{number} master kwbr up && ip -n h{number} link set lo up && \
                 ip -n h{number} addr add {address}/24 dev eth0 && ip -n h{number} link set eth0 up && \
                 {{ [ {network} = {ADDRESS} ] || ip -n h{number} addr add {network}.{number}/32 dev eth0; }}"
            ))?;
            let name = format!("h{number}");
            let child = Command::new("ip")
                .args(["netns", "exec", &name, "unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "sh"])
                .args([&script, &lab])
                .args([&format!("host-{number}"), &address, &PORT.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(fs::File::create(lab.join("log"))?)
                .spawn()
                .context("cannot start ip")?;
            hosts.children.push(child);
        }
        for number in 1..=count {
            hosts.wait(number, &format!("{ADDRESS}.{number}"))?;
        }
        Ok(hosts)
    }

    /// One host that has every address of the loopback network, for as many connections as may be.
    pub(super) fn one(root: &Path, folder: &Path) -> anyhow::Result<Self> {
        let prepare = "sed -i 's/^MaxStartups.*/MaxStartups 10000/' /etc/ssh/sshd_config\n";
        let lab = laboratory(folder, 1, prepare)?;
        let child = Command::new("unshare")
            .args(["--mount", "--uts", "--pid", "--fork", "--kill-child", "sh"])
            .args([&root.join("crates/hosts/tests/it/lab/start.sh"), &lab])
            .args(["host-1", "0.0.0.0", &PORT.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(lab.join("log"))?)
            .spawn()
            .context("cannot start unshare")?;
        let hosts = Self { children: vec![child], folder: folder.into(), count: 0 };
        hosts.wait(1, "127.0.0.1")?;
        Ok(hosts)
    }

    fn wait(&self, number: u32, address: &str) -> anyhow::Result<()> {
        let begin = Instant::now();
        let address = format!("{address}:{PORT}").parse()?;
        while std::net::TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_err() {
            if begin.elapsed() > Duration::from_secs(30) {
                let log = fs::read_to_string(self.folder.join(format!("lab-{number}/log"))).unwrap_or_default();
                bail!("host {number} does not answer: {log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Who was in there ends in the kernel's own time, and the network goes with the last one.
        for number in 1..=self.count {
            let _ = shell(&format!("ip link del kw{number}; ip netns del h{number}"));
        }
    }
}

/// A host's folder: its keys, who may come in, and what runs before it answers.
fn laboratory(folder: &Path, number: u32, prepare: &str) -> anyhow::Result<PathBuf> {
    let lab = folder.join(format!("lab-{number}"));
    let _ = fs::remove_dir_all(&lab);
    fs::create_dir_all(lab.join("disk"))?;
    fs::write(lab.join("prepare"), prepare)?;
    fs::copy(folder.join("key.pub"), lab.join("user.pub"))?;
    shell(&format!("ssh-keygen -q -t ed25519 -N '' -f '{}'", lab.join("host").display()))?;
    Ok(lab)
}
