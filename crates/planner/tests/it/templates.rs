//! What a template is cleaned with, on a host of each family: a real shell, and package managers that write down how
//! they were called.

#![expect(clippy::disallowed_methods, reason = "the planner starts no programs, its tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use kubewright_model::recipe::RecipeStep;
use kubewright_model::spec::load;

const SPEC: &str = "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes: { distribution: k3s, version: v1.31.4+k3s1 }
  providers:
    proxmox: { endpoint: https://pve:8006, tokenId: root@pam!kubewright, tokenSecret: { env: PVE_TOKEN }, node: pve }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1 }
  pools:
    server:
      role: both
      name: node
      addresses: [10.0.0.11]
      cores: 2
      memory: 4Gi
      proxmox:
        vmids: [400]
        vm: { template: 9000, build: { image: https://images.test/rocky.qcow2, sha256: 8d3c2b1a00000000000000000000000000000000000000000000000000000001, address: 10.0.0.9 } }
";

#[test]
fn a_template_is_cleaned_by_the_package_manager_that_is_there() {
    let (desired, found) = kubewright_planner::lower::lower(&load(SPEC).expect("it is a spec").file);
    assert!(found.is_empty(), "{found:#?}");
    let steps = &desired.templates[0].clean.steps;
    let packages = steps.iter().find_map(|step| match step {
        RecipeStep::Run(words) if words[0] == "sh" => Some(words),
        _ => None,
    });
    let packages = packages.expect("packages are cleaned");
    for (family, called) in [
        ("apt-get", "apt-get clean\nfind /var/lib/apt/lists -type f -delete\n"),
        ("dnf", "dnf clean all\n"),
        ("zypper", "zypper --non-interactive clean --all\n"),
        ("apk", ""),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        for program in [family, "find"] {
            let path = folder.path().join(program);
            let text = format!("#!/bin/sh\necho {program} \"$@\" >>{}/called\n", folder.path().display());
            fs::write(&path, text).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        fs::write(folder.path().join("called"), "").expect("a file");
        let ended = Command::new("/bin/sh").args(&packages[1..]).env("PATH", folder.path()).output().expect("a shell");
        assert!(ended.status.success(), "{family}: {}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(fs::read_to_string(folder.path().join("called")).expect("it is there"), called);
    }
}
