//! What a server should be, in the API's words, and what cloud-init is told there.

use std::net::IpAddr;

use kubewright_model::desired::{DesiredMachine, ServerBody};
use kubewright_model::ids::PlaceName;
use serde_json::{Value, json};

use super::answers::Labels;
use super::client::error;
use crate::cloud_init;
use crate::login::User;
use crate::{ErrorKind, ProviderError};

/// How much the API takes: 32 KiB.
const USER_DATA: usize = 32 * 1024;
/// Hetzner's own resolvers, for servers that nobody tells any.
/// <https://docs.hetzner.com/dns-console/dns/general/recursive-name-servers>
const RESOLVERS: [&str; 2] = ["185.12.64.1", "185.12.64.2"];

/// Numbers of what a server is put into and made with.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    pub(super) network: Option<u64>,
    pub(super) placement_group: Option<u64>,
    /// Keys are named: that is what the description of the interface takes.
    pub(super) ssh_keys: Vec<String>,
    pub(super) ipv4: Option<u64>,
    pub(super) ipv6: Option<u64>,
}

/// A type and a place that a server may be had of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice<'a> {
    pub(super) server_type: &'a str,
    pub(super) location: &'a PlaceName,
}

impl std::fmt::Display for Choice<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.server_type, self.location)
    }
}

/// What may be taken, in the order of the file: every type at one location before the next. A public address that is kept
/// is at one location, and so is its server.
pub(super) fn choices<'a>(machine: &'a DesiredMachine, server: &'a ServerBody) -> Vec<Choice<'a>> {
    let others = server.fallback_locations.iter().filter(|_| !server.keeps_addresses);
    let locations = std::iter::once(&machine.place).chain(others);
    let types = || std::iter::once(&server.server_type).chain(&server.fallback_types);
    let choice = |location| types().map(move |server_type| Choice { server_type, location });
    locations.flat_map(choice).collect()
}

/// The request that makes a server, with its mark and off. It is in no network yet: no address can be chosen here.
/// <https://docs.hetzner.cloud/reference/cloud#servers-create-a-server>
pub(super) fn body(
    machine: &DesiredMachine,
    server: &ServerBody,
    choice: &Choice<'_>,
    image: u64,
    around: &Around,
    labels: &Labels,
) -> Value {
    let mut public = json!({ "enable_ipv4": server.public_ipv4, "enable_ipv6": server.public_ipv6 });
    let mut kept = |name: &str, id: Option<u64>| {
        if let Some(id) = id {
            public[name] = json!(id);
        }
    };
    kept("ipv4", around.ipv4.filter(|_| server.public_ipv4));
    kept("ipv6", around.ipv6.filter(|_| server.public_ipv6));
    let mut body = json!({
        "name": machine.name,
        "server_type": choice.server_type,
        "location": choice.location,
        "image": image.to_string(),
        "labels": labels,
        "public_net": public,
        "ssh_keys": around.ssh_keys,
        "start_after_create": false,
    });
    if let Some(group) = around.placement_group {
        body["placement_group"] = json!(group);
    }
    body
}

/// What cloud-init is told.
pub(super) fn user_data(
    machine: &DesiredMachine,
    server: &ServerBody,
    user: Option<User<'_>>,
) -> Result<String, ProviderError> {
    let mut told = cloud_init::user_data(&machine.name, user);
    if let Some(gateway) = server.gateway {
        let resolvers = resolvers(server);
        told["write_files"] = files(gateway, &resolvers);
        told["runcmd"] = json!([
            ["systemctl", "daemon-reload"],
            ["systemctl", "enable", "--now", ROUTE_UNIT],
            ["sh", "-c", resolves(&resolvers)],
        ]);
    }
    let text = format!("#cloud-config\n{told}\n");
    if text.len() > USER_DATA {
        let message = format!("{} is told {} bytes by cloud-init, and Hetzner takes 32 KiB", machine.name, text.len());
        return Err(error(ErrorKind::Invalid, message).with_help("give it fewer SSH keys"));
    }
    Ok(text)
}

fn resolvers(server: &ServerBody) -> Vec<String> {
    let own: Vec<String> = server.nameservers.iter().map(IpAddr::to_string).collect();
    if own.is_empty() { RESOLVERS.map(String::from).to_vec() } else { own }
}

/// Has a server ask these resolvers. Where systemd-resolved runs, as on Ubuntu, a file tells it which. Where it does not, as
/// on Rocky and Alma, `/etc/resolv.conf` does: NetworkManager would write it anew, and empty, for no connection tells it any
/// resolver, and leaves it alone with `dns=none` (NetworkManager.conf(5)). cloud-init's own module for that file
/// knows neither of them (cloud-init 25.1, `config/cc_resolv_conf.py`).
fn resolves(resolvers: &[String]) -> String {
    let lines: String = resolvers.iter().map(|resolver| format!("nameserver {resolver}\\n")).collect();
    format!(
        "if systemctl is-active --quiet systemd-resolved.service; then\n\
         \x20 exec systemctl restart systemd-resolved.service\n\
         fi\n\
         if [ -d /etc/NetworkManager ]; then\n\
         \x20 mkdir -p /etc/NetworkManager/conf.d\n\
         \x20 printf '[main]\\ndns=none\\n' > /etc/NetworkManager/conf.d/kubewright.conf\n\
         \x20 systemctl try-reload-or-restart NetworkManager.service\n\
         fi\n\
         # A link leads to what nobody writes.\n\
         [ ! -L /etc/resolv.conf ] || rm /etc/resolv.conf\n\
         printf '{lines}' > /etc/resolv.conf\n"
    )
}

/// The unit that sends what is for the world to the gateway of the private network.
const ROUTE_UNIT: &str = "kubewright-default-route.service";

/// A private network's DHCP gives a route to the network and none to the world, and no resolver. Interfaces have other
/// names from type to type, and every distribution another file for them; the kernel knows where the gateway is. Until
/// DHCP has told it, the unit tries again.
/// <https://docs.hetzner.com/cloud/networks/faq>
fn files(gateway: IpAddr, resolvers: &[String]) -> Value {
    let unit = format!(
        "[Unit]\n\
         Description=What is for the world goes to the gateway of the private network\n\
         After=network.target systemd-networkd.service\n\
         PartOf=systemd-networkd.service\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         ExecStart=/bin/sh -c 'exec ip route replace default via {gateway}'\n\
         Restart=on-failure\n\
         RestartSec=1\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    );
    let resolved = format!("[Resolve]\nDNS={}\n", resolvers.join(" "));
    json!([
        { "path": format!("/etc/systemd/system/{ROUTE_UNIT}"), "content": unit },
        { "path": "/etc/systemd/resolved.conf.d/kubewright.conf", "content": resolved },
    ])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// Runs it in a folder that stands for the root of a server, and returns what `systemctl` was told.
    fn run(root: &Path, resolved: bool) -> String {
        let script = resolves(&["185.12.64.1".into(), "10.0.0.2".into()]);
        let script = script.replace("/etc/", &format!("{}/etc/", root.display()));
        let systemctl = format!(
            "#!/bin/sh\necho \"$@\" >> {}/told\n[ \"$1\" != is-active ] || exit {}\n",
            root.display(),
            if resolved { 0 } else { 3 }
        );
        let program = root.join("systemctl");
        fs::write(&program, systemctl).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", root.display(), std::env::var("PATH").unwrap());
        let ended = Command::new("sh").args(["-c", &script]).env("PATH", path).status().unwrap();
        assert!(ended.success());
        fs::read_to_string(root.join("told")).unwrap()
    }

    #[test]
    fn where_systemd_resolved_runs_it_is_restarted_and_nothing_else_is_written() {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc");
        fs::create_dir_all(etc.join("NetworkManager")).unwrap();
        symlink("../run/systemd/resolve/stub-resolv.conf", etc.join("resolv.conf")).unwrap();
        let told = run(root.path(), true);
        assert_eq!(told, "is-active --quiet systemd-resolved.service\nrestart systemd-resolved.service\n");
        assert!(etc.join("resolv.conf").is_symlink() && !etc.join("NetworkManager/conf.d").exists());
    }

    #[test]
    fn where_it_does_not_the_file_tells_the_resolvers_and_stays() {
        for (network_manager, link) in [(true, false), (false, false), (false, true)] {
            let root = tempfile::tempdir().unwrap();
            let etc = root.path().join("etc");
            fs::create_dir_all(&etc).unwrap();
            let file = etc.join("resolv.conf");
            match link {
                true => symlink("../run/systemd/resolve/stub-resolv.conf", &file).unwrap(),
                false => fs::write(&file, "# Generated by NetworkManager\n").unwrap(),
            }
            if network_manager {
                fs::create_dir(etc.join("NetworkManager")).unwrap();
            }
            let told = run(root.path(), false);
            assert_eq!(fs::read_to_string(&file).unwrap(), "nameserver 185.12.64.1\nnameserver 10.0.0.2\n");
            assert!(!file.is_symlink());
            assert_eq!(told.contains("try-reload-or-restart NetworkManager.service"), network_manager);
            let drop_in = fs::read_to_string(etc.join("NetworkManager/conf.d/kubewright.conf")).ok();
            assert_eq!(drop_in.as_deref(), network_manager.then_some("[main]\ndns=none\n"));
        }
    }
}
