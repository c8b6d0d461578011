//! The real hands, against real OpenSSH servers.

#![cfg(test)]

mod booted;
mod clean;
mod daemon;
mod enter;
mod faults;
mod first;
mod keys;
mod lab;
mod life;
mod network;
mod packages;
mod papers;
mod rekey;
mod saved;
mod systemd;
#[path = "../talos/mod.rs"]
mod talos;
mod talos_life;
mod talos_python;
mod uploads;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kubewright_hosts::{Holes, HostError, Hosts as _, Password, Probe, RealHosts, Report, User};
use kubewright_model::desired::Way;
use kubewright_model::host::{FileWish, HostResource};
use kubewright_model::observed::{HostSeen, Seen};
use kubewright_model::plan::HostChange;
use kubewright_model::secret::Secret;

use booted::BootedHost;
use kubewright_model::ids::NodeName;
use lab::{HERE, Lab, LabHost, PORT};

/// Hands of a user whose home is a folder.
fn hands(home: &Path) -> RealHosts {
    hands_that_know(home, |_| Err("nobody is asked".into()))
}

/// Hands of a user who knows passwords.
fn hands_that_know(
    home: &Path,
    ask: impl Fn(&Password) -> Result<Secret, String> + Send + Sync + 'static,
) -> RealHosts {
    let user = User { home: home.into(), agent: None, known_hosts: home.join("known"), ask: Arc::new(ask) };
    RealHosts::new(user).expect("there is nothing to read")
}

/// A host of whichever lab.
trait There {
    fn seat(&self) -> (&NodeName, Ipv4Addr);
    /// A file of the lab, outside the host.
    fn at(&self, name: &str) -> PathBuf;
}

impl There for LabHost {
    fn seat(&self) -> (&NodeName, Ipv4Addr) {
        (&self.name, self.address)
    }
    fn at(&self, name: &str) -> PathBuf {
        self.at(name)
    }
}

impl There for BootedHost {
    fn seat(&self) -> (&NodeName, Ipv4Addr) {
        (&self.name, self.address)
    }
    fn at(&self, name: &str) -> PathBuf {
        self.at(name)
    }
}

/// How a user gets into a host.
fn way(host: &impl There, user: &str) -> Way {
    Way {
        address: Some(IpAddr::V4(host.seat().1)),
        name: None,
        port: PORT,
        port_before: None,
        user: user.into(),
        key_file: Some(host.at("user").display().to_string().into()),
        jump: None,
        host_key: None,
        first: None,
        sudo: None,
        talos: None,
    }
}

async fn look(hands: &RealHosts, host: &impl There, way: &Way, resources: &[HostResource]) -> Seen<HostSeen> {
    hands.observe(Probe { host: host.seat().0, way, resources, holds_data: false, updates: false }).await
}

async fn make(hands: &RealHosts, host: &impl There, way: &Way, make: &[HostResource]) -> Result<Report, HostError> {
    let change = HostChange {
        host: host.seat().0.clone(),
        way: way.clone(),
        owner: None,
        make: make.to_vec(),
        unmake: Vec::new(),
    };
    hands.change(&change, &Holes::new()).await
}

fn file(path: &str, text: &str) -> HostResource {
    HostResource::File(FileWish::new(path, text, 0o640))
}
