//! The whole life of a project through Stoplight Prism, which judges requests and answers by the API's description.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::Response;
use serde_json::{Value, json};

use crate::hcloud_driver::Driver;
use crate::hetzner::{Era, Fake, Kind, Pace, description};
use crate::tools;

/// The package, as npm names it.
const PACKAGE: &str = "@stoplight/prism-cli@5.16.0";

/// A public key, for which nobody has the other half.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILcV3ThF2woPhqRANpbIhvHoF/hAlGrzrX/s5ijSwqOu lab";

/// Prism before a fake. It ends with the test.
struct Prism {
    child: Child,
    url: String,
    _description: tempfile::TempDir,
}

impl Prism {
    fn start(description: Value, fake: &Fake) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("openapi.json");
        std::fs::write(&copy, readable(description).to_string()).unwrap();
        let mut child = Command::new(program())
            .args(["proxy", "--errors", "--host", "127.0.0.1", "--port", "0"])
            .arg(&copy)
            .arg(&fake.url)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("prism starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines.by_ref().map_while(Result::ok).find(|line| line.contains("Prism is listening"));
        let said = said.expect("prism ends instead of listening");
        let url = said.split_once("listening on ").expect("prism says where it listens").1.trim().to_string();
        // Its log is read on, so that it is never held up by a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, url, _description: folder }
    }
}

impl Drop for Prism {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prism; it is put below the target folder once.
fn program() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prism-5.16.0");
    let turn = File::create(home.with_extension("lock")).unwrap();
    turn.lock().unwrap();
    let done = home.join("installed");
    if !done.is_file() {
        std::fs::create_dir_all(&home).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]).arg(&home).arg(PACKAGE);
        tools::run(&mut npm);
        File::create(&done).unwrap();
    }
    home.join("node_modules/.bin/prism")
}

/// The description as OpenAPI 3.0 wants it written: a class of answers is `4XX`, and not `4xx`.
fn readable(mut document: Value) -> Value {
    let paths = document["paths"].as_object_mut().unwrap().values_mut();
    for operation in paths.flat_map(|methods| methods.as_object_mut().unwrap().values_mut()) {
        let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
        let Some(responses) = responses else { continue };
        let all = std::mem::take(responses).into_iter();
        *responses = all.map(|(status, response)| (status.replace('x', "X"), response)).collect();
    }
    document
}

/// Requests through Prism.
struct Judged {
    driver: Driver,
}

impl Judged {
    async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let asked = format!("{method} {path} {body}");
        let answer = self.driver.send(method, path, body).await;
        let violations = violations(&answer);
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        assert!(violations.is_none(), "{asked}: {status} {} {text}", violations.unwrap_or_default());
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    async fn accepted(&self, method: &str, path: &str, body: Value) -> Value {
        let asked = format!("{method} {path} {body}");
        let (status, answer) = self.send(method, path, body).await;
        assert!((200..300).contains(&status), "{asked}: {status} {answer}");
        self.finished(&answer).await;
        answer
    }

    async fn get(&self, path: &str) -> Value {
        self.accepted("GET", path, Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.accepted("POST", path, body).await
    }

    async fn refused(&self, method: &str, path: &str, body: Value, code: &str) {
        let asked = format!("{method} {path} {body}");
        let (_, answer) = self.send(method, path, body).await;
        assert_eq!(answer["error"]["code"], code, "{asked}: {answer}");
    }

    /// Waits for all actions of an answer.
    async fn finished(&self, answer: &Value) {
        let many =
            ["actions", "next_actions"].into_iter().flat_map(|name| answer[name].as_array().into_iter().flatten());
        let ids: Vec<u64> = many.chain([&answer["action"]]).filter_map(|action| action["id"].as_u64()).collect();
        for id in ids {
            let mut rounds = 0;
            loop {
                let (status, action) = self.send("GET", &format!("/actions?id={id}"), Value::Null).await;
                match action["actions"][0]["status"].as_str() {
                    Some("success") => break,
                    Some("running") if rounds < 20 => rounds += 1,
                    _ => panic!("action {id}: {status} {action}"),
                }
            }
        }
    }
}

/// What Prism has against a request or its answer.
fn violations(answer: &Response) -> Option<String> {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(String::from);
    let problem = header("content-type").filter(|kind| kind.starts_with("application/problem+json"));
    header("sl-violations").or(problem)
}

fn id(answer: &Value, kind: &str) -> u64 {
    answer[kind]["id"].as_u64().unwrap_or_else(|| panic!("no {kind} in {answer}"))
}

#[tokio::test]
async fn a_life_is_as_the_vendor_describes_it() {
    life(Era::Described).await;
}

#[tokio::test]
async fn a_life_is_as_the_vendors_changelog_has_it() {
    life(Era::Today).await;
}

async fn life(era: Era) {
    let Some(description) = description::file() else {
        println!("skipped: no shared/schemas/hcloud-openapi.json beside the project for Prism to judge by");
        return;
    };
    let fake = Fake::of(era);
    fake.pace(Pace::Polls(1));
    let prism = Prism::start(description::document(&description, era), &fake);
    let it = Judged { driver: Driver::new(&prism.url) };
    catalog(&it, era).await;
    let network = network(&it).await;
    let (server, firewall) = servers(&it, network).await;
    balancer(&it, network, server).await;
    volumes(&it, server).await;
    addresses(&it, server).await;
    end(&it, network, server, firewall).await;
    for kind in Kind::ALL {
        let left = fake.with(|state| state.which(kind, |record| record["type"] != "system"));
        assert!(left.is_empty(), "{kind:?} {left:?} are left");
    }
}

async fn catalog(it: &Judged, era: Era) {
    let old = (era == Era::Described).then_some("datacenters");
    let lists = ["locations", "server_types", "load_balancer_types", "isos", "images"];
    for plural in old.into_iter().chain(lists) {
        let all = it.get(&format!("/{plural}?per_page=50")).await;
        let first = &all[plural][0];
        it.get(&format!("/{plural}/{}", first["id"])).await;
        let named = it.get(&format!("/{plural}?name={}", first["name"].as_str().unwrap())).await;
        assert_eq!(named[plural][0]["name"], first["name"]);
    }
    it.get("/images?type=system&architecture=arm&sort=name:desc&status=available").await;
    it.get("/pricing").await;
    it.refused("GET", "/servers/1", Value::Null, "not_found").await;
}

async fn network(it: &Judged) -> u64 {
    let subnet = |range: &str| json!({"type": "cloud", "ip_range": range, "network_zone": "eu-central"});
    let new =
        json!({"name": "lab", "ip_range": "10.0.0.0/16", "labels": {"a": "b"}, "subnets": [subnet("10.0.0.0/24")]});
    let network = id(&it.post("/networks", new.clone()).await, "network");
    it.refused("POST", "/networks", new, "uniqueness_error").await;
    let act = |word: &str| format!("/networks/{network}/actions/{word}");
    it.post(&act("add_subnet"), subnet("10.0.1.0/24")).await;
    it.refused("POST", &act("add_subnet"), subnet("10.1.0.0/24"), "invalid_input").await;
    it.post(&act("delete_subnet"), json!({"ip_range": "10.0.1.0/24"})).await;
    let route = json!({"destination": "10.100.1.0/24", "gateway": "10.0.0.9"});
    it.post(&act("add_route"), route.clone()).await;
    it.post(&act("delete_route"), route).await;
    it.post(&act("change_ip_range"), json!({"ip_range": "10.0.0.0/12"})).await;
    it.post(&act("change_protection"), json!({"delete": true})).await;
    it.refused("DELETE", &format!("/networks/{network}"), Value::Null, "protected").await;
    it.post(&act("change_protection"), json!({"delete": false})).await;
    let renamed = json!({"name": "lab-2", "labels": {}});
    it.accepted("PUT", &format!("/networks/{network}"), renamed).await;
    it.get(&format!("/networks/{network}/actions?status=success&sort=id:desc")).await;
    network
}

async fn servers(it: &Judged, network: u64) -> (u64, u64) {
    let key = json!({"name": "key", "public_key": KEY});
    let key_id = id(&it.post("/ssh_keys", key.clone()).await, "ssh_key");
    it.refused("POST", "/ssh_keys", key, "uniqueness_error").await;
    it.accepted("PUT", &format!("/ssh_keys/{key_id}"), json!({"labels": {"k": "v"}})).await;
    it.get("/ssh_keys?label_selector=k%3Dv").await;
    let group = id(&it.post("/placement_groups", json!({"name": "apart", "type": "spread"})).await, "placement_group");
    it.accepted("PUT", &format!("/placement_groups/{group}"), json!({"name": "spread"})).await;
    let ssh = json!({
        "direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0", "::/0"], "description": "ssh",
    });
    let firewall = id(&it.post("/firewalls", json!({"name": "wall", "rules": [ssh.clone()]})).await, "firewall");
    let new = json!({
        "name": "server-1", "server_type": "cx23", "image": "debian-12", "location": "fsn1", "ssh_keys": ["key"],
        "user_data": "#cloud-config\n", "networks": [network], "placement_group": group, "labels": {"role": "server"},
        "firewalls": [{"firewall": firewall}], "public_net": {"enable_ipv4": true, "enable_ipv6": true},
    });
    let server = id(&it.post("/servers", new.clone()).await, "server");
    it.refused("POST", "/servers", new, "uniqueness_error").await;
    let shown = it.get(&format!("/servers/{server}")).await;
    assert_eq!(shown["server"]["status"], "running");
    assert_eq!(shown["server"]["private_net"][0]["ip"], "10.0.0.2");
    it.accepted("PUT", &format!("/servers/{server}"), json!({"name": "server-2", "labels": {"role": "agent"}})).await;
    it.get("/servers?label_selector=role%20in%20(agent)&status=running&sort=created").await;
    server_actions(it, network, server, group).await;
    firewalls(it, firewall, server, ssh).await;
    it.get(&format!("/servers/{server}/actions")).await;
    it.get("/servers/actions?status=success&per_page=5&page=2").await;
    (server, firewall)
}

async fn server_actions(it: &Judged, network: u64, server: u64, group: u64) {
    let act = |word: &str| format!("/servers/{server}/actions/{word}");
    for word in ["shutdown", "poweroff", "poweron", "reboot", "reset", "enable_backup", "disable_backup"] {
        it.post(&act(word), Value::Null).await;
    }
    for word in ["disable_rescue", "reset_password", "request_console", "detach_iso"] {
        it.post(&act(word), Value::Null).await;
    }
    it.post(&act("enable_rescue"), json!({"type": "linux64"})).await;
    it.post(&act("attach_iso"), json!({"iso": "debian-12.5.0-amd64-netinst.iso"})).await;
    it.post(&act("detach_from_network"), json!({"network": network})).await;
    let attach = json!({"network": network, "ip": "10.0.0.7", "alias_ips": ["10.0.0.8"]});
    it.post(&act("attach_to_network"), attach.clone()).await;
    it.refused("POST", &act("attach_to_network"), attach, "server_already_attached").await;
    it.post(&act("change_alias_ips"), json!({"network": network, "alias_ips": []})).await;
    it.post(&act("change_protection"), json!({"delete": true, "rebuild": true})).await;
    it.refused("DELETE", &format!("/servers/{server}"), Value::Null, "protected").await;
    it.refused("POST", &act("rebuild"), json!({"image": "debian-13"}), "protected").await;
    it.post(&act("change_protection"), json!({"delete": false, "rebuild": false})).await;
    it.post(&act("rebuild"), json!({"image": "debian-13", "user_data": "#cloud-config\n"})).await;
    it.refused(
        "POST",
        &act("change_type"),
        json!({"server_type": "cx33", "upgrade_disk": false}),
        "server_not_stopped",
    )
    .await;
    it.post(&act("poweroff"), Value::Null).await;
    it.post(&act("remove_from_placement_group"), Value::Null).await;
    it.post(&act("add_to_placement_group"), json!({"placement_group": group})).await;
    it.post(&act("change_type"), json!({"server_type": "cx33", "upgrade_disk": false})).await;
    let snapshot = it.post(&act("create_image"), json!({"description": "before", "labels": {"of": "lab"}})).await;
    let image = id(&snapshot, "image");
    it.accepted("PUT", &format!("/images/{image}"), json!({"description": "after"})).await;
    it.post(&format!("/images/{image}/actions/change_protection"), json!({"delete": false})).await;
    it.get("/images?type=snapshot&label_selector=of").await;
    it.accepted("DELETE", &format!("/images/{image}"), Value::Null).await;
}

async fn firewalls(it: &Judged, firewall: u64, server: u64, rule: Value) {
    let act = |word: &str| format!("/firewalls/{firewall}/actions/{word}");
    let to = json!({"type": "server", "server": {"id": server}});
    it.refused("DELETE", &format!("/firewalls/{firewall}"), Value::Null, "resource_in_use").await;
    it.refused("POST", &act("apply_to_resources"), json!({"apply_to": [to]}), "firewall_already_applied").await;
    it.post(&act("remove_from_resources"), json!({"remove_from": [to]})).await;
    let picked = json!({"type": "label_selector", "label_selector": {"selector": "role=agent"}});
    it.post(&act("apply_to_resources"), json!({"apply_to": [picked]})).await;
    let shown = it.get(&format!("/firewalls/{firewall}")).await;
    assert_eq!(shown["firewall"]["applied_to"][0]["applied_to_resources"][0]["server"]["id"], server);
    let code = "firewall_managed_by_label_selector";
    it.refused("POST", &act("remove_from_resources"), json!({"remove_from": [to]}), code).await;
    it.post(&act("set_rules"), json!({"rules": [rule]})).await;
    it.accepted("PUT", &format!("/firewalls/{firewall}"), json!({"name": "wall-2"})).await;
}

async fn balancer(it: &Judged, network: u64, server: u64) {
    let check = json!({"protocol": "tcp", "port": 6443, "interval": 15, "timeout": 10, "retries": 3});
    let service = |port: u64| json!({"protocol": "tcp", "listen_port": port, "destination_port": 6443, "proxyprotocol": false, "health_check": check});
    let new = json!({
        "name": "balancer", "load_balancer_type": "lb11", "location": "fsn1", "algorithm": {"type": "round_robin"},
        "services": [service(6443)], "labels": {"a": "b"},
        "targets": [{"type": "server", "server": {"id": server}}], "public_interface": true,
    });
    let balancer = id(&it.post("/load_balancers", new).await, "load_balancer");
    let act = |word: &str| format!("/load_balancers/{balancer}/actions/{word}");
    let target = json!({"type": "server", "server": {"id": server}, "use_private_ip": true});
    it.post(&act("attach_to_network"), json!({"network": network, "ip": "10.0.0.5"})).await;
    it.refused("POST", &act("disable_public_interface"), Value::Null, "targets_without_use_private_ip").await;
    it.refused("POST", &act("add_target"), target.clone(), "target_already_defined").await;
    it.post(&act("remove_target"), json!({"type": "server", "server": {"id": server}})).await;
    it.post(&act("add_target"), target).await;
    let picked =
        json!({"type": "label_selector", "label_selector": {"selector": "role=agent"}, "use_private_ip": true});
    it.post(&act("add_target"), picked).await;
    let shown = it.get(&format!("/load_balancers/{balancer}")).await;
    assert_eq!(
        shown["load_balancer"]["targets"][0]["health_status"],
        json!([{"listen_port": 6443, "status": "healthy"}])
    );
    it.post(&act("disable_public_interface"), Value::Null).await;
    it.post(&act("enable_public_interface"), Value::Null).await;
    it.refused("POST", &act("add_service"), service(6443), "source_port_already_used").await;
    let http = json!({
        "protocol": "http", "listen_port": 80, "destination_port": 80, "proxyprotocol": true,
        "http": {"sticky_sessions": true},
        "health_check": {"protocol": "http", "port": 80, "interval": 15, "timeout": 10, "retries": 3,
            "http": {"domain": null, "path": "/", "status_codes": ["2??"], "tls": false}},
    });
    it.post(&act("add_service"), http).await;
    it.post(&act("update_service"), json!({"listen_port": 80, "destination_port": 8080})).await;
    it.post(&act("delete_service"), json!({"listen_port": 80})).await;
    it.post(&act("change_algorithm"), json!({"type": "least_connections"})).await;
    it.post(&act("change_type"), json!({"load_balancer_type": "lb21"})).await;
    it.post(&act("change_protection"), json!({"delete": true})).await;
    it.refused("DELETE", &format!("/load_balancers/{balancer}"), Value::Null, "protected").await;
    it.post(&act("change_protection"), json!({"delete": false})).await;
    certificates(it, &act("add_service"), &act("delete_service")).await;
    it.post(&act("detach_from_network"), json!({"network": network})).await;
    it.accepted("PUT", &format!("/load_balancers/{balancer}"), json!({"name": "balancer-2"})).await;
    it.get("/load_balancers?label_selector=a&name=balancer-2").await;
    it.get("/load_balancers/actions").await;
    it.accepted("DELETE", &format!("/load_balancers/{balancer}"), Value::Null).await;
}

async fn certificates(it: &Judged, add: &str, delete: &str) {
    let (certificate, key) = tools::certificate("lab.example.com");
    let new = json!({"name": "own", "certificate": certificate, "private_key": key});
    let own = id(&it.post("/certificates", new).await, "certificate");
    let shown = it.get(&format!("/certificates/{own}")).await;
    assert_eq!(shown["certificate"]["domain_names"], json!(["lab.example.com"]));
    let managed = json!({"name": "managed", "type": "managed", "domain_names": ["example.com"]});
    let managed = id(&it.post("/certificates", managed).await, "certificate");
    it.refused("POST", &format!("/certificates/{managed}/actions/retry"), Value::Null, "unsupported_error").await;
    it.accepted("PUT", &format!("/certificates/{managed}"), json!({"name": "managed-2"})).await;
    let https = json!({
        "protocol": "https", "listen_port": 443, "destination_port": 80, "proxyprotocol": false,
        "http": {"certificates": [own], "redirect_http": true},
        "health_check": {"protocol": "tcp", "port": 80, "interval": 15, "timeout": 10, "retries": 3},
    });
    it.post(add, https).await;
    it.refused("DELETE", &format!("/certificates/{own}"), Value::Null, "resource_in_use").await;
    it.get("/certificates?type=uploaded").await;
    it.post(delete, json!({"listen_port": 443})).await;
    for certificate in [own, managed] {
        it.accepted("DELETE", &format!("/certificates/{certificate}"), Value::Null).await;
    }
}

async fn volumes(it: &Judged, server: u64) {
    let new = json!({"name": "volume", "size": 10, "format": "ext4", "server": server, "automount": false});
    let volume = id(&it.post("/volumes", new).await, "volume");
    let act = |word: &str| format!("/volumes/{volume}/actions/{word}");
    let shown = it.get(&format!("/volumes/{volume}")).await;
    assert_eq!(shown["volume"]["server"], server);
    it.refused("DELETE", &format!("/volumes/{volume}"), Value::Null, "locked").await;
    it.post(&act("detach"), Value::Null).await;
    it.post(&act("attach"), json!({"server": server, "automount": false})).await;
    it.post(&act("resize"), json!({"size": 20})).await;
    it.post(&act("change_protection"), json!({"delete": false})).await;
    it.post(&act("detach"), Value::Null).await;
    it.accepted("PUT", &format!("/volumes/{volume}"), json!({"name": "volume-2", "labels": {}})).await;
    it.get("/volumes?status=available").await;
    it.accepted("DELETE", &format!("/volumes/{volume}"), Value::Null).await;
}

async fn addresses(it: &Judged, server: u64) {
    let new = json!({"name": "address", "type": "ipv4", "assignee_type": "server", "location": "fsn1"});
    let address = id(&it.post("/primary_ips", new).await, "primary_ip");
    let act = |word: &str| format!("/primary_ips/{address}/actions/{word}");
    let assign = json!({"assignee_id": server, "assignee_type": "server"});
    it.refused("POST", &act("assign"), assign.clone(), "server_not_stopped").await;
    it.post(&format!("/servers/{server}/actions/poweroff"), Value::Null).await;
    it.refused("POST", &act("assign"), assign.clone(), "server_has_ipv4").await;
    let shown = it.get(&format!("/servers/{server}")).await;
    let old = &shown["server"]["public_net"]["ipv4"]["id"];
    it.post(&format!("/primary_ips/{old}/actions/unassign"), Value::Null).await;
    it.accepted("DELETE", &format!("/primary_ips/{old}"), Value::Null).await;
    it.post(&act("assign"), assign).await;
    let shown = it.get(&format!("/primary_ips/{address}")).await;
    let pointer = json!({"ip": shown["primary_ip"]["ip"], "dns_ptr": "lab.example.com"});
    it.post(&act("change_dns_ptr"), pointer.clone()).await;
    it.post(&format!("/servers/{server}/actions/change_dns_ptr"), pointer).await;
    it.accepted("PUT", &format!("/primary_ips/{address}"), json!({"auto_delete": true})).await;
    it.get("/primary_ips?sort=id").await;
}

async fn end(it: &Judged, network: u64, server: u64, firewall: u64) {
    it.accepted("DELETE", &format!("/servers/{server}"), Value::Null).await;
    it.refused("GET", &format!("/servers/{server}"), Value::Null, "not_found").await;
    let picked = json!({"type": "label_selector", "label_selector": {"selector": "role=agent"}});
    it.post(&format!("/firewalls/{firewall}/actions/remove_from_resources"), json!({"remove_from": [picked]})).await;
    it.accepted("DELETE", &format!("/firewalls/{firewall}"), Value::Null).await;
    it.accepted("DELETE", &format!("/networks/{network}"), Value::Null).await;
    for plural in ["placement_groups", "ssh_keys"] {
        let all = it.get(&format!("/{plural}")).await;
        it.accepted("DELETE", &format!("/{plural}/{}", all[plural][0]["id"]), Value::Null).await;
    }
}
