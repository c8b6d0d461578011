//! `cargo xtask bench`: how planning and rehearsing grow with the cluster. It prints and never asserts: a figure is the
//! machine's, a comparison in one run is ours.

pub(crate) mod ssh;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

pub(crate) fn run(sizes: &[u32]) -> anyhow::Result<()> {
    let root = crate::root()?;
    let program = program(&root)?;
    let target = cargo_metadata::MetadataCommand::new().current_dir(&root).no_deps().exec()?.target_directory;
    let folder = target.join("bench").into_std_path_buf();
    fs::create_dir_all(&folder)?;

    println!("{:<28} {:>10} {:>12} {:>12} {:>10}", "what", "nodes", "wall", "per node", "memory");
    for (title, arguments) in [
        ("start of the program", &["--version"][..]),
        ("validate", &["validate"][..]),
        ("plan from nothing, as JSON", &["plan", "--assume-empty", "--output", "json"][..]),
    ] {
        for nodes in sizes {
            let file = folder.join(format!("{nodes}.yaml"));
            fs::write(&file, cluster(*nodes))?;
            measure(&program, title, *nodes, arguments, (arguments[0] != "--version").then_some(&file))?;
        }
    }
    for nodes in [3, 100, 1_000] {
        let file = folder.join(format!("{nodes}.yaml"));
        fs::write(&file, cluster(nodes))?;
        measure(&program, "rehearse the whole life", nodes, &["rehearse"], Some(&file))?;
    }
    Ok(())
}

/// The program as people have it.
fn program(root: &Path) -> anyhow::Result<PathBuf> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--package", "kubewright-cli"])
        .current_dir(root)
        .status()?;
    if !built.success() {
        bail!("the program does not build");
    }
    let target = cargo_metadata::MetadataCommand::new().current_dir(root).no_deps().exec()?.target_directory;
    Ok(target.join("release/kubewright").into_std_path_buf())
}

/// Runs the program three times and prints the quickest run: what it costs when nothing else is in the way.
fn measure(
    program: &Path,
    title: &str,
    nodes: u32,
    arguments: &[&str],
    file: Option<&std::path::PathBuf>,
) -> anyhow::Result<()> {
    let mut best: Option<(Duration, u64)> = None;
    for _ in 0..3 {
        let begin = Instant::now();
        let mut child = Command::new(program)
            .args(arguments)
            .args(file)
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut peak = 0;
        let status = loop {
            peak = peak.max(high_water(child.id()));
            if let Some(status) = child.try_wait()? {
                break status;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        // Changes pending and blocked plans are answers too.
        if !matches!(status.code(), Some(0 | 4 | 5)) {
            bail!("{title} of {nodes} nodes ended with {status}");
        }
        let took = begin.elapsed();
        if best.is_none_or(|(shortest, _)| took < shortest) {
            best = Some((took, peak));
        }
    }
    let (took, peak) = best.context("it ran at least once")?;
    println!(
        "{title:<28} {nodes:>10} {:>9.1} ms {:>9.1} µs {:>6} MiB",
        took.as_secs_f64() * 1e3,
        took.as_secs_f64() * 1e6 / f64::from(nodes),
        peak / 1024,
    );
    Ok(())
}

/// The most memory that a process has held, in KiB, as the kernel counts it.
fn high_water(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// A K3s cluster of so many nodes, three of them servers when there are more than three.
fn cluster(nodes: u32) -> String {
    let servers = if nodes > 3 { 3 } else { 1 };
    let agents = nodes - servers;
    let mut text = String::from(
        "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: { name: bench }\nspec:\n  kubernetes:\n    \
         distribution: k3s\n    version: v1.31.4+k3s1\n    podNetwork: 10.64.0.0/10\n    endpoint: { host: api.bench.test }\n  \
         providers:\n    proxmox:\n      endpoint: https://pve:8006\n      tokenId: root@pam!kubewright\n      \
         tokenSecret: { env: PVE_TOKEN }\n      node: pve\n      vmids: 1000-30000\n      ssh: {}\n  \
         network: { cidr: 10.0.0.0/16, gateway: 10.0.0.1, nameservers: [10.0.0.1] }\n  pools:\n",
    );
    let template = "{ lxc: { template: \"local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst\" } }";
    let mut pool = |name: &str, role: &str, addresses: String| {
        let _ = write!(
            text,
            "    {name}:\n      role: {role}\n      name: {name}-{{n}}\n      addresses: [{addresses}]\n      cores: 4\n      \
             memory: 4Gi\n      disk: 32Gi\n      proxmox: {template}\n"
        );
    };
    let at = |n: u32| format!("10.0.{}.{}", n / 256, n % 256);
    pool("server", "both", format!("{}-{}", at(10), at(9 + servers)));
    pool("agent", "agent", format!("{}-{}", at(256), at(255 + agents)));
    text
}
