//! The whole life of a project by the vendor's own client for Python, which believes it speaks to Hetzner Cloud.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::hetzner::{Fake, Fault, Kind, TOKEN};
use crate::tools;

/// The package, as pip names it.
const PACKAGE: &str = "hcloud==2.27.0";

#[test]
fn the_vendors_client_understands_all_of_it() {
    let fake = Fake::start();
    fake.seed("other", 200, &json!({"seed": "", "third": "1"}));
    fake.seed("another", 400, &json!({"seed": ""}));
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = tools::certificate("lab.example.com");
    std::fs::write(folder.path().join("certificate"), certificate).unwrap();
    std::fs::write(folder.path().join("key"), key).unwrap();
    tools::ssh_key(&folder.path().join("ssh"));
    std::fs::rename(folder.path().join("ssh.pub"), folder.path().join("key.pub")).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hcloud_life.py");
    let python = tools::python(PACKAGE);
    let life = |part: &str| {
        tools::run(Command::new(&python).arg(&script).args([&fake.url, TOKEN]).arg(folder.path()).arg(part));
    };
    life("life");
    assert_eq!(fake.with(|state| state.of(Kind::Server).count()), 600);
    fake.fault("POST", "/servers", 1, Fault::ActionFails("server_error"));
    fake.sold_out("cx53", "fsn1", true);
    fake.limit(Kind::Volume, 0);
    life("failing");
    assert_eq!(fake.with(|state| state.of(Kind::Server).count()), 600);
}
