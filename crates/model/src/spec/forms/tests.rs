//! What each form takes and refuses, and that the schema names no form in vain.

use crate::spec::formats::{FORMATS, format_named};
use crate::spec::schema::json_schema;
use serde_json::Value;

/// For each form what it takes and what it refuses.
const CASES: &[(&str, &[&str], &[&str])] = &[
    ("host", &["10.0.0.1", "fd00::1", "API.lan", "k8s"], &["https://api", "a b", "", "10.0.0.300", "api:6443", "a_b"]),
    ("domain-name", &["lan", "Example.org"], &["", "a b", "x..y"]),
    (
        "https-address",
        &["https://pve", "https://[fd00::1]:8006/api"],
        &["http://pve", "https://", "https://a b", "https://u:p@pve"],
    ),
    ("web-address", &["http://10.0.0.1:80/x?y#z"], &["ftp://x", "https://x:99999", "https://x:0"]),
    (
        "mirror",
        &["file:assets", "file:///srv/a%20b", "http://mirror.lan/k3s"],
        &["assets", "file:", "file:a b", "ftp://x"],
    ),
    (
        "host-key",
        &["ssh-ed25519 AAAAC3Nz= me", "SHA256:LTnCb0C3yQTF7wOhGSmqa7SGzNmQjR0kZ7nS0T0iQ2A"],
        &["", "SHA256:short", "MD5:aa:bb", "host ssh-ed25519 AAAA", "ssh-rsa"],
    ),
    ("address-to-check", &["http://{node}:30080/", "https://a.lan"], &["http://{nodes}", "a.lan"]),
    (
        "repository",
        &["https://git.lan/a.git", "git@git.lan:a/b.git", "ssh://git@git.lan:2222/a"],
        &["git.lan/a", "https://git.lan", "a b"],
    ),
    ("folder-of-a-repository", &[".", "clusters/prod"], &["/clusters", "../x", ""]),
    ("file-path", &["~/.ssh/id", "my file"], &["", " ", "a\nb"]),
    ("shell", &["/bin/bash", "/usr/sbin/nologin"], &["bash", "/bin/a b", "/bin/../x", "", "/bin/sh:x"]),
    ("device", &["/dev/sda", "/dev/disk/by-path/pci-0000:00:1f.2-ata-1"], &["sda", "/dev/", "/dev/a b"]),
    ("path", &["/", "/healthz?x=1"], &["healthz", "/a b", ""]),
    ("ip", &["10.0.0.1", "fd00::1"], &["dns.lan", "10.0.0.0/24"]),
    ("login-name", &["root", "first.last", "_apt", "docker"], &["a b", "", "-x", "1st", "a:b"]),
    ("host-alias", &["nas", "nas_2.lan"], &["a b", "", "a#b"]),
    ("interface", &["eth0.100", "enp0s31f6"], &["a b", "", "..", "averylongname123", "eth0:1"]),
    ("bridge", &["vmbr0", "vnet_1"], &["vmbr 0", "", "averylongbridge1"]),
    ("proxmox-node", &["pve1", "PVE"], &["a b", "pve.lan", "", "pve_1"]),
    ("storage", &["local-lvm", "nfs.1"], &["x", "local lvm", "1st", "local-", ""]),
    ("proxmox-pool", &["k8s", "a/b/c"], &["a b", "a/b/c/d", "a//b", ""]),
    ("proxmox-tag", &["prod", "a+b.c"], &["a b", "", "-x", "a;b"]),
    ("token-id", &["root@pam!kubewright", "a@b@ldap!t-1"], &["root@pam", "a b@pam!x", "root!x", "@pam!x", "root@pam!"]),
    ("proxmox-user", &["root@pam", "a@b@ldap"], &["root", "a b@pam", "@pam", "root@", "a!b@pam"]),
    ("container-template", &["local:vztmpl/d.tar.zst"], &["local:vztmpl/", "local:iso/d", "l l:vztmpl/x", "vztmpl/x"]),
    (
        "lxc-line",
        &["lxc.cap.drop:", "lxc.cap.drop = ", "lxc.mount.auto: proc:rw"],
        &["hello", "lxc.a: x\ny", "net0: x", "lxc.: x", "lxc: x"],
    ),
    (
        "cpu-type",
        &["host", "host,flags=+aes;-x2apic", "custom-lab"],
        &["a b", "", ",,=", "host,", "host,flag=+aes", "host,flags="],
    ),
    ("fingerprint", &["00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"], &["zz", "AB:CD", ""]),
    ("hetzner-name", &["cx32", "ubuntu-24.04", "eu-central"], &["cx 32", ""]),
    ("email-address", &["ops@lan.example"], &["ops", "a b@c.d", "a@b@c.d", "@c.d", "a@"]),
    ("revision", &["main", "v1.2.*", ">=1.0 <2.0"], &["", " main", "a\nb"]),
    ("ingress-class", &["traefik"], &["a b", "Traefik", ""]),
    ("bucket", &["cluster-backups"], &["ab", "A-bucket", "a b c", "-abc", "s3://x"]),
    ("region", &["us-east-1"], &["us east", ""]),
    ("extension", &["siderolabs/iscsi-tools"], &["iscsi-tools", "a/b/c", "a/ b"]),
    ("secret-name", &["grafana-admin"], &["../x", "a/b", "", ".x"]),
];

#[test]
fn each_form_takes_what_is_right_and_refuses_the_rest() {
    for (name, good, bad) in CASES {
        let check = format_named(name).unwrap_or_else(|| panic!("no form {name}")).check;
        good.iter().for_each(|text| assert_eq!(check(text), Ok(()), "{name}: {text}"));
        bad.iter().for_each(|text| assert!(check(text).is_err(), "{name} takes {text:?}"));
    }
}

#[test]
fn every_example_is_in_its_own_form() {
    for format in FORMATS {
        assert_eq!((format.check)(format.example), Ok(()), "{}", format.name);
    }
}

/// A format that the validator does not know is not checked at all.
#[test]
fn every_format_of_the_schema_is_known() {
    fn formats(value: &Value, all: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                all.extend(map.get("format").and_then(Value::as_str).map(str::to_string));
                map.values().for_each(|value| formats(value, all));
            }
            Value::Array(items) => items.iter().for_each(|value| formats(value, all)),
            _ => {}
        }
    }
    let mut all = Vec::new();
    formats(json_schema(), &mut all);
    let unknown: Vec<_> = all.iter().filter(|name| !name.starts_with("uint") && format_named(name).is_none()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let idle: Vec<_> =
        FORMATS.iter().map(|format| format.name).filter(|name| !all.iter().any(|one| one == name)).collect();
    assert!(idle.is_empty(), "no field has the form {idle:?}");
}
