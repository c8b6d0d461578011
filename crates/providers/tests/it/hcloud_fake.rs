//! The pretend Hetzner Cloud API itself: what is tricky in it.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::hcloud_driver::Driver;
use crate::hetzner::{Fake, Fault, Kind, Pace, Selector, fingerprint};
use crate::tools;

fn start() -> (Fake, Driver) {
    let fake = Fake::start();
    let driver = Driver::new(&fake.url);
    (fake, driver)
}

fn server(name: &str) -> Value {
    json!({"name": name, "server_type": "cx23", "image": "debian-12", "location": "fsn1"})
}

fn id(answer: &Value, kind: &str) -> u64 {
    answer[kind]["id"].as_u64().unwrap_or_else(|| panic!("no {kind} in {answer}"))
}

fn code(status: u16, code: &str) -> (u16, String) {
    (status, code.into())
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

#[tokio::test]
async fn one_action_at_a_time() {
    let (fake, driver) = start();
    let answer = driver.accepted("POST", "/servers", server("one")).await;
    assert_eq!(answer["server"]["status"], "initializing");
    let id = id(&answer, "server");
    let poweroff = format!("/servers/{id}/actions/poweroff");
    assert_eq!(driver.refused("POST", &poweroff, Value::Null).await, code(423, "locked"));
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
async fn actions_end_in_their_time_or_never() {
    let (fake, driver) = start();
    fake.pace(Pace::Delay(Duration::from_millis(50)));
    let answer = driver.accepted("POST", "/servers", server("one")).await;
    let path = format!("/servers/{}", id(&answer, "server"));
    let since = Instant::now();
    while driver.accepted("GET", &path, Value::Null).await["server"]["status"] != "running" {
        assert!(since.elapsed() < Duration::from_secs(10));
    }
    assert!(since.elapsed() >= Duration::from_millis(80), "one begins when the other has ended");
    fake.fault("POST", "/servers/*/actions/reboot", 1, Fault::ActionNeverEnds);
    let answer = driver.accepted("POST", &format!("{path}/actions/reboot"), Value::Null).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let action = driver.accepted("GET", &format!("/actions?id={}", id(&answer, "action")), Value::Null).await;
    assert_eq!(action["actions"][0]["status"], "running");
}

#[tokio::test]
async fn faults_come_and_go() {
    let (fake, driver) = start();
    fake.fault("POST", "/servers", 1, Fault::Code("resource_unavailable"));
    assert_eq!(driver.refused("POST", "/servers", server("one")).await, code(412, "resource_unavailable"));
    fake.fault("*", "/**", 1, Fault::Page(502));
    let page = driver.send("GET", "/servers", Value::Null).await;
    assert_eq!((page.status().as_u16(), &page.headers()["content-type"]), (502, &"text/html".parse().unwrap()));
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

#[tokio::test]
async fn requests_are_counted_and_limited() {
    let (fake, driver) = start();
    fake.seed("other", 600, &json!({}));
    fake.budget(3);
    let first = driver.send("GET", "/servers?per_page=50&page=12", Value::Null).await;
    assert_eq!(
        (&first.headers()["RateLimit-Limit"], &first.headers()["RateLimit-Remaining"]),
        (&"3".parse().unwrap(), &"2".parse().unwrap())
    );
    driver.accepted("GET", "/servers?label_selector=none", Value::Null).await;
    fake.fault("GET", "/servers", 1, Fault::Code("rate_limit_exceeded"));
    for _ in 0..2 {
        let limited = driver.send("GET", "/servers", Value::Null).await;
        assert_eq!(
            (limited.status().as_u16(), &limited.headers()["RateLimit-Remaining"]),
            (429, &"0".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn what_is_not_described_is_refused_and_told() {
    let (fake, driver) = start();
    let without = reqwest::Client::new().get(format!("{}/servers", fake.url)).send().await.unwrap();
    assert_eq!(without.status().as_u16(), 401);
    if crate::hetzner::description::file().is_none() {
        println!("skipped: no shared/schemas/hcloud-openapi.json beside the project");
        return;
    }
    let mut wrong = server("one");
    wrong["private_ip"] = json!("10.0.0.2");
    wrong["start_after_create"] = json!("yes");
    let (status, answer) = driver.ask("POST", "/servers", wrong).await;
    let fields: Vec<&str> = answer["error"]["details"]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!((status, fields), (422, vec!["start_after_create", "private_ip"]), "{answer}");
    assert_eq!(driver.refused("GET", "/servers?private_ip=1", Value::Null).await, code(422, "invalid_input"));
    assert_eq!(driver.refused("GET", "/machines", Value::Null).await, code(404, "not_found"));
    assert_eq!(driver.refused("DELETE", "/servers", Value::Null).await, code(405, "method_not_allowed"));
    assert_eq!(driver.refused("GET", "/datacenters", Value::Null).await, code(410, "deprecated_api_endpoint"));
    let told = fake.violations();
    assert_eq!(told.len(), 6, "{told:?}");
}

#[tokio::test]
async fn addresses_of_networks() {
    let (fake, driver) = start();
    let subnet = |range: &str, zone: &str| json!({"type": "cloud", "ip_range": range, "network_zone": zone});
    let new = json!({"name": "lab", "ip_range": "10.0.0.0/16", "subnets": [subnet("10.0.0.0/29", "eu-central")]});
    let network = id(&driver.accepted("POST", "/networks", new).await, "network");
    fake.pace(Pace::Polls(0));
    let attach = |server: &u64| format!("/servers/{server}/actions/attach_to_network");
    let servers = fake.seed("server", 6, &json!({}));
    // While it runs, an action keeps the address that it will give.
    fake.pace(Pace::Polls(2));
    driver.accepted("POST", &attach(&servers[0]), json!({"network": network})).await;
    let taken = json!({"network": network, "ip": "10.0.0.2"});
    assert_eq!(driver.refused("POST", &attach(&servers[1]), taken).await, code(422, "ip_not_available"));
    fake.pace(Pace::Polls(0));
    let gateway = json!({"network": network, "ip": "10.0.0.1"});
    assert_eq!(driver.refused("POST", &attach(&servers[1]), gateway).await, code(422, "ip_not_available"));
    for outside in ["10.0.1.1", "10.1.0.1", "10.0.0.7"] {
        let outside = json!({"network": network, "ip": outside});
        assert_eq!(driver.refused("POST", &attach(&servers[1]), outside).await, code(422, "invalid_input"));
    }
    let with_alias = json!({"network": network, "ip": "10.0.0.6", "alias_ips": ["10.0.0.3"]});
    driver.accepted("POST", &attach(&servers[1]), with_alias).await;
    for server in &servers[2..4] {
        driver.accepted("POST", &attach(server), json!({"network": network})).await;
    }
    // The /29 has the addresses 1 to 6, and the first is the gateway.
    let full = driver.refused("POST", &attach(&servers[4]), json!({"network": network})).await;
    assert_eq!(full, code(422, "no_subnet_available"));
    let far = json!({"name": "far", "ip_range": "10.0.0.0/16", "subnets": [subnet("10.0.0.0/24", "us-east")]});
    let far = id(&driver.accepted("POST", "/networks", far).await, "network");
    let zone = driver.refused("POST", &attach(&servers[5]), json!({"network": far})).await;
    assert_eq!(zone, code(422, "no_subnet_available"));
    let overlap = driver.refused("POST", &attach(&servers[1]), json!({"network": far})).await;
    assert_eq!(overlap, code(422, "networks_overlap"));
    let act = format!("/networks/{network}/actions/delete_subnet");
    assert_eq!(driver.refused("POST", &act, json!({"ip_range": "10.0.0.0/29"})).await, code(422, "service_error"));
}

#[tokio::test]
async fn a_server_without_any_interface_does_not_start() {
    let (fake, driver) = start();
    fake.pace(Pace::Polls(0));
    let mut hidden = server("hidden");
    hidden["public_net"] = json!({"enable_ipv4": false, "enable_ipv6": false});
    assert_eq!(driver.refused("POST", "/servers", hidden.clone()).await, code(422, "invalid_input"));
    hidden["start_after_create"] = json!(false);
    let hidden = id(&driver.accepted("POST", "/servers", hidden).await, "server");
    let act = |word: &str| format!("/servers/{hidden}/actions/{word}");
    assert_eq!(driver.refused("POST", &act("poweron"), Value::Null).await, code(422, "service_error"));
    let subnet = json!({"type": "cloud", "network_zone": "eu-central"});
    let new = json!({"name": "lab", "ip_range": "10.0.0.0/16", "subnets": [subnet]});
    let network = id(&driver.accepted("POST", "/networks", new).await, "network");
    driver.accepted("POST", &act("attach_to_network"), json!({"network": network})).await;
    driver.accepted("POST", &act("poweron"), Value::Null).await;
}

#[tokio::test]
async fn limits_of_load_balancers_and_groups() {
    let (fake, driver) = start();
    fake.pace(Pace::Polls(0));
    let servers = fake.seed("server", 26, &json!({"role": "agent"}));
    let new = json!({"name": "front", "load_balancer_type": "lb11", "location": "fsn1"});
    let balancer = id(&driver.accepted("POST", "/load_balancers", new).await, "load_balancer");
    let act = |word: &str| format!("/load_balancers/{balancer}/actions/{word}");
    let check = json!({"protocol": "tcp", "port": 80, "interval": 15, "timeout": 10, "retries": 3});
    for port in 80..86 {
        let service = json!({
            "protocol": "tcp", "listen_port": port, "destination_port": 80, "proxyprotocol": false,
            "health_check": check,
        });
        let (status, answer) = driver.ask("POST", &act("add_service"), service).await;
        assert_eq!(status, if port < 85 { 201 } else { 403 }, "{answer}");
    }
    // What a service of HTTP does not say has its defaults.
    let http = json!({"listen_port": 84, "protocol": "http"});
    driver.accepted("POST", &act("update_service"), http).await;
    let shown = driver.accepted("GET", &format!("/load_balancers/{balancer}"), Value::Null).await;
    assert_eq!(shown["load_balancer"]["services"][4]["http"]["cookie_name"], "HCLBSTICKY");
    let all = json!({"type": "label_selector", "label_selector": {"selector": "role=agent"}});
    assert_eq!(driver.refused("POST", &act("add_target"), all).await, code(403, "resource_limit_exceeded"));
    let target = json!({"type": "server", "server": {"id": servers[0]}});
    driver.accepted("POST", &act("add_target"), target).await;
    fake.health(balancer, &servers[0].to_string(), 81, "unhealthy");
    let shown = driver.accepted("GET", &format!("/load_balancers/{balancer}"), Value::Null).await;
    let health = &shown["load_balancer"]["targets"][0]["health_status"];
    assert_eq!((&health[0]["status"], &health[1]["status"]), (&json!("healthy"), &json!("unhealthy")));

    let group = json!({"name": "apart", "type": "spread"});
    let group = id(&driver.accepted("POST", "/placement_groups", group).await, "placement_group");
    for n in 0..11 {
        let mut new = server(&format!("apart-{n}"));
        new["placement_group"] = json!(group);
        let (_, answer) = driver.ask("POST", "/servers", new).await;
        assert_eq!(
            answer["error"]["code"],
            if n < 10 { Value::Null } else { json!("placement_group_member_limit_reached") }
        );
    }
    fake.limit(Kind::Server, 36);
    assert_eq!(driver.refused("POST", "/servers", server("more")).await, code(403, "resource_limit_exceeded"));
}

#[tokio::test]
async fn types_come_and_go() {
    let (fake, driver) = start();
    let mut old = server("old");
    old["server_type"] = json!("cx22");
    assert_eq!(driver.refused("POST", "/servers", old).await, code(422, "invalid_input"));
    fake.sold_out("cx23", "fsn1", true);
    assert_eq!(driver.refused("POST", "/servers", server("one")).await, code(412, "resource_unavailable"));
    let shown = driver.accepted("GET", "/server_types?name=cx23", Value::Null).await;
    assert_eq!(shown["server_types"][0]["locations"][0]["available"], false);
    fake.sold_out("cx23", "fsn1", false);
    driver.accepted("POST", "/servers", server("one")).await;
    let over = json!({"announced": "2026-01-01T00:00:00Z", "unavailable_after": "2026-02-01T00:00:00Z"});
    fake.with(|state| state.catalog.change("server_types", "cx23", |kind| kind["locations"][0]["deprecation"] = over));
    assert_eq!(driver.refused("POST", "/servers", server("two")).await, code(422, "invalid_input"));
}
