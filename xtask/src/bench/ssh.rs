//! `cargo xtask bench ssh`: the same work on the same real SSH servers by kubewright and its peers, beside what OpenSSH
//! itself needs to run `true` on all of them at once. It prints the table of `docs/guide/performance.md`.
//!
//! All of it runs in namespaces that end with it, so neither hosts nor settings are left on this computer.

mod hosts;
mod relay;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use hosts::Hosts;

/// The hosts' network. The ways to them that take their time are in networks of their own, by milliseconds.
const ADDRESS: &str = "10.77.0";
const SLOW: &str = "10.78";
const PORT: u16 = 2222;
/// Says that this is the run inside the namespaces.
const INSIDE: &str = "KUBEWRIGHT_BENCH_INSIDE";
/// What the peers are, from PyPI. A later version is another figure.
const PEERS: &str = "ansible-core==2.19.14 mitogen==0.3.54 pyinfra==3.10.0";

/// What is measured.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Ask {
    /// How many hosts.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 50])]
    hosts: Vec<u32>,
    /// Round trips to them, in milliseconds.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 20])]
    delays: Vec<u8>,
    /// By whom: kubewright, ansible, mitogen, pyinfra.
    #[arg(long, value_delimiter = ',', default_values = ["kubewright", "pyinfra", "mitogen", "ansible"])]
    tools: Vec<String>,
    /// Instead of all that: kubewright looks at so many addresses of one host, and keeps every connection.
    #[arg(long)]
    connections: Option<u32>,
}

pub(crate) fn run(ask: &Ask) -> anyhow::Result<()> {
    let root = crate::root()?;
    let target = cargo_metadata::MetadataCommand::new().current_dir(&root).no_deps().exec()?.target_directory;
    let folder = target.join("bench").into_std_path_buf();
    fs::create_dir_all(&folder)?;
    if std::env::var_os(INSIDE).is_none() {
        let program = super::program(&root)?;
        let peers = folder.join("peers");
        if !peers.join("bin/pyinfra").exists() {
            shell(&format!("python3 -m venv '{0}' && '{0}/bin/pip' install --quiet {PEERS}", peers.display()))?;
        }
        let status = Command::new("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .arg(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .env(INSIDE, program)
            .status()?;
        return if status.success() { Ok(()) } else { bail!("it ended with {status}; it needs root and namespaces") };
    }
    shell("mount -t tmpfs tmpfs /run && ip link set lo up && ip link add kwbr type bridge && ip link set kwbr up")?;
    shell(&format!("ip addr add {ADDRESS}.254/24 dev kwbr && ip route add local {SLOW}.0.0/16 dev lo"))?;
    let key = folder.join("key");
    if !key.exists() {
        shell(&format!("ssh-keygen -q -t ed25519 -N '' -f '{}'", key.display()))?;
    }
    println!("| hosts | delay | by | run | wall | CPU | memory | round trips |");
    println!("| ---: | ---: | --- | --- | ---: | ---: | ---: | ---: |");
    if let Some(count) = ask.connections {
        return Place { root, folder, count, delay: 0 }.connections();
    }
    for count in &ask.hosts {
        for delay in &ask.delays {
            let place = Place { root: root.clone(), folder: folder.clone(), count: *count, delay: *delay };
            place.measure_all(&ask.tools)?;
        }
    }
    Ok(())
}

/// Hosts, and the way to them.
struct Place {
    root: PathBuf,
    folder: PathBuf,
    count: u32,
    delay: u8,
}

impl Place {
    fn network(&self) -> String {
        if self.delay == 0 { ADDRESS.into() } else { format!("{SLOW}.{}", self.delay) }
    }

    fn measure_all(&self, tools: &[String]) -> anyhow::Result<()> {
        if self.delay > 0 {
            for number in 1..=self.count {
                let at = |network: &str| format!("{network}.{number}:{PORT}").parse::<SocketAddr>();
                // A smaller size may have made it already.
                let _ = relay::start(at(&self.network())?, at(ADDRESS)?, Duration::from_millis(self.delay.into()));
            }
        }
        let hosts = Hosts::start(&self.root, &self.folder, self.count, &self.network())?;
        self.measure("OpenSSH `true`", "", &self.limit())?;
        drop(hosts);
        for tool in tools {
            let hosts = Hosts::start(&self.root, &self.folder, self.count, &self.network())?;
            let work = self.folder.join("work");
            let _ = fs::remove_dir_all(&work);
            fs::create_dir_all(&work)?;
            self.files(&work)?;
            for run in ["first", "nothing to do"] {
                self.measure(tool, run, &self.command(tool, run, &work)?)?;
            }
            drop(hosts);
        }
        Ok(())
    }

    /// One host by many addresses: what so many open connections cost whoever holds them.
    fn connections(&self) -> anyhow::Result<()> {
        let _host = Hosts::one(&self.root, &self.folder)?;
        let work = self.folder.join("work");
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(&work)?;
        let at = |n: u32| format!("127.10.{}.{}", n / 250, n % 250 + 1);
        let spec = include_str!("ssh/connections.yaml")
            .replace("KEY", &self.folder.join("key").display().to_string())
            .replace("FIRST", &at(1))
            .replace("LAST", &at(self.count - 1));
        fs::write(work.join("cluster.yaml"), spec)?;
        let program = std::env::var_os(INSIDE).map(PathBuf::from).context("no program")?;
        // They are one host, which blocks the plan once all of them have answered.
        let plan = format!("'{}' plan cluster.yaml --only hosts", program.display());
        let command = format!("cd '{}' && {plan} || [ $? = 5 ]", work.display());
        self.measure("kubewright", "look", &command)
    }

    /// The same for all: what SSH itself needs.
    fn limit(&self) -> String {
        format!(
            "for n in $(seq {}); do ssh -F none -i '{}' -p {PORT} -o BatchMode=yes -o StrictHostKeyChecking=no \
             -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR root@{}.$n true & done; wait",
            self.count,
            self.folder.join("key").display(),
            self.network()
        )
    }

    fn files(&self, work: &Path) -> anyhow::Result<()> {
        let (key, network) = (self.folder.join("key"), self.network());
        let public = fs::read_to_string(self.folder.join("key.pub"))?;
        let files: String = (0..10)
            .map(|n| format!("      /etc/bench/{n}.conf: {{ content: \"setting of the host, number {n}\\n\" }}\n"))
            .collect();
        let mut spec = include_str!("ssh/cluster.yaml")
            .replace("KEY", &key.display().to_string())
            .replace("PUBLIC", public.trim())
            .replace("FILES\n", &files)
            .replace(ADDRESS, &network);
        if self.count > 1 {
            spec.push_str(&format!(
                "    agent: {{ role: agent, name: \"agent-{{n}}\", addresses: [{network}.2-{}], existing: {{}} }}\n",
                self.count
            ));
        }
        fs::write(work.join("cluster.yaml"), spec)?;
        fs::write(work.join("playbook.yaml"), include_str!("ssh/playbook.yaml"))?;
        fs::write(work.join("deploy.py"), include_str!("ssh/deploy.py"))?;
        let all: Vec<String> = (1..=self.count).map(|n| format!("{network}.{n}")).collect();
        let vars = format!(
            "ansible_user=root\nansible_port={PORT}\nansible_ssh_private_key_file={}\nansible_python_interpreter=/usr/bin/python3",
            key.display()
        );
        let public = public.trim();
        fs::write(work.join("hosts.ini"), format!("{}\n[all:vars]\n{vars}\npublic='{public}'\n", all.join("\n")))?;
        let data = format!(
            "{{'ssh_user': 'root', 'ssh_port': {PORT}, 'ssh_key': '{}', 'public': '{public}', \
             'ssh_strict_host_key_checking': 'off', 'ssh_known_hosts_file': '/dev/null'}}",
            key.display()
        );
        fs::write(work.join("inventory.py"), format!("all = ({all:?}, {data})\n"))?;
        Ok(())
    }

    fn command(&self, tool: &str, run: &str, work: &Path) -> anyhow::Result<String> {
        let peers = self.folder.join("peers");
        let (bin, work_at) = (peers.join("bin").display().to_string(), work.display());
        // Each run has connections of its own, as it has when people run it again the next day.
        let ansible = format!(
            "ANSIBLE_PIPELINING=1 ANSIBLE_FORKS=50 ANSIBLE_HOST_KEY_CHECKING=0 ANSIBLE_SSH_CONTROL_PATH_DIR='{work_at}/{}' \
             '{bin}/ansible-playbook' -i hosts.ini playbook.yaml",
            run.replace(' ', "-")
        );
        let command = match tool {
            "kubewright" => {
                let program = std::env::var_os(INSIDE).map(PathBuf::from).context("no program")?;
                format!("'{}' apply --only hosts --yes cluster.yaml", program.display())
            }
            "pyinfra" => format!("'{bin}/pyinfra' -y inventory.py deploy.py"),
            "ansible" => ansible,
            "mitogen" => {
                let found = shell(&format!(
                    "echo '{}'/lib/python3*/site-packages/ansible_mitogen/plugins/strategy",
                    peers.display()
                ))?;
                format!("ANSIBLE_STRATEGY_PLUGINS='{}' ANSIBLE_STRATEGY=mitogen_linear {ansible}", found.trim())
            }
            other => bail!("nobody knows {other}"),
        };
        Ok(format!("cd '{work_at}' && {command}"))
    }

    /// Runs a command and prints its line of the table.
    fn measure(&self, tool: &str, run: &str, command: &str) -> anyhow::Result<()> {
        let log =
            self.folder.join(format!("{}-{}-{}-{}.log", tool.replace(['`', ' '], ""), run, self.count, self.delay));
        let (used, trips) = (children_used()?, relay::ROUND_TRIPS.load(Ordering::Relaxed));
        let begin = Instant::now();
        let mut child = Command::new("sh")
            .args(["-c", command])
            // What they remember of hosts goes with these hosts.
            .env("HOME", self.folder.join("work"))
            .stdin(Stdio::null())
            .stdout(fs::File::create(&log)?)
            .stderr(fs::File::options().append(true).open(&log)?)
            .spawn()?;
        let mut most = 0;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            most = most.max(memory(child.id()));
            std::thread::sleep(Duration::from_millis(if begin.elapsed().as_secs() < 5 { 10 } else { 200 }));
        };
        let took = begin.elapsed();
        if !status.success() {
            bail!("{tool}, {run}, ended with {status}: see {}", log.display());
        }
        let trips = relay::ROUND_TRIPS.load(Ordering::Relaxed) - trips;
        let trips = if self.delay == 0 { "".into() } else { format!("{:.1}", trips as f64 / f64::from(self.count)) };
        println!(
            "| {} | {} ms | {tool} | {run} | {:.2} s | {:.2} s | {} MiB | {trips} |",
            self.count,
            self.delay,
            took.as_secs_f64(),
            (children_used()? - used).as_secs_f64(),
            most / 1024,
        );
        Ok(())
    }
}

/// Runs a line of shell.
fn shell(line: &str) -> anyhow::Result<String> {
    let output = Command::new("sh").args(["-c", line]).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The processor's time of all children that have ended. Hosts have not.
fn children_used() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("it has a name")?;
    // The 16th and 17th field, in hundredths of a second.
    let ticks: u64 = fields.split_whitespace().skip(13).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// The memory of a process and all below it, in KiB; what they share counts once.
fn memory(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let own: u64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    own + children.split_whitespace().filter_map(|child| child.parse().ok()).map(memory).sum::<u64>()
}
