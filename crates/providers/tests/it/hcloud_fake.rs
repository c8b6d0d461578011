//! The pretend Hetzner Cloud API itself: what is tricky in it.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::hcloud_driver::Driver;
use crate::hetzner::{Fake, Fault, Selector, fingerprint};
use crate::tools;

fn server(name: &str) -> Value {
    json!({"name": name, "server_type": "cx23", "image": "debian-12", "location": "fsn1"})
}

#[test]
fn label_selectors() {
    let labels = json!({"env": "production", "type": "web", "example.com/key": "", "n": "1"});
    let cases = [
        ("", true),
        ("env", true),
        ("!env", false),
        ("!missing", true),
        ("env=production,type!=database", true),
        ("env==production,!missing", true),
        ("env!=production", false),
        ("missing!=anything", true),
        ("env in (testing, production)", true),
        ("env in (testing,staging),type", false),
        ("type notin (database,cache)", true),
        ("missing notin (a)", true),
        ("example.com/key=", true),
        ("missing=", false),
    ];
    for (text, picks) in cases {
        assert_eq!(Selector::read(text).unwrap().picks(&labels), picks, "{text}");
    }
    for wrong in ["env in (a", "env among (a)", "a b", "=a", "env=a b", "env=a)"] {
        assert!(Selector::read(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn one_action_at_a_time() {
    let fake = Fake::start();
    let driver = Driver::new(&fake.url);
    let answer = driver.accepted("POST", "/servers", server("one")).await;
    assert_eq!(answer["server"]["status"], "initializing");
    let id = answer["server"]["id"].as_u64().unwrap();
    let poweroff = format!("/servers/{id}/actions/poweroff");
    assert_eq!(driver.refused("POST", &poweroff, Value::Null).await, (423, "locked".into()));
    let mut seen = Vec::new();
    for _ in 0..5 {
        let answer = driver.accepted("GET", &format!("/servers/{id}"), Value::Null).await;
        seen.push(answer["server"]["status"].as_str().unwrap().to_string());
    }
    assert_eq!(seen, ["initializing", "off", "off", "running", "running"]);
    driver.accepted("POST", &poweroff, Value::Null).await;
    let calls = fake.calls();
    assert_eq!((calls["GET /servers/*"], calls["POST /servers/*/actions/poweroff"]), (5, 2), "{calls:?}");
}

#[tokio::test]
async fn faults_come_and_go() {
    let fake = Fake::start();
    let driver = Driver::new(&fake.url);
    fake.fault("POST", "/servers", 1, Fault::Code("resource_unavailable"));
    assert_eq!(driver.refused("POST", "/servers", server("one")).await, (412, "resource_unavailable".into()));
    fake.fault("POST", "/servers", 1, Fault::Cut);
    let cut = driver.request("POST", "/servers", &server("one")).send().await;
    assert!(cut.is_err(), "{cut:?}");
    fake.fault("POST", "/servers", 1, Fault::ActsAndCuts);
    let cut = driver.request("POST", "/servers", &server("one")).send().await;
    assert!(cut.is_err(), "{cut:?}");
    fake.fault("POST", "/servers", 1, Fault::ActsAndIsLate(Duration::from_secs(60)));
    let late = driver.request("POST", "/servers", &server("two")).timeout(Duration::from_millis(200)).send().await;
    assert!(late.unwrap_err().is_timeout());
    let answer = driver.accepted("GET", "/servers", Value::Null).await;
    assert_eq!(answer["meta"]["pagination"]["total_entries"], 2);
}

#[test]
fn fingerprints_are_those_of_ssh_keygen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    tools::ssh_key(&path);
    let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
    let said = Command::new("ssh-keygen").args(["-l", "-E", "md5", "-f"]).arg(&path).output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains(&fingerprint(&public).unwrap()), "{said}");
}
