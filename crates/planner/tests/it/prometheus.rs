//! Alerts in a real Prometheus: it takes them with its configuration, evaluates each of them, and fires for what is bad.

#![expect(clippy::disallowed_methods, reason = "the planner reads no files and opens no connections, its tests do")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::alerts::rules;

/// What kube-state-metrics would tell: one node is gone, the other is there.
const METRICS: &str = "\
kube_node_status_condition{node=\"k8s-worker-1\",condition=\"Ready\",status=\"true\"} 0
kube_node_status_condition{node=\"k8s-worker-2\",condition=\"Ready\",status=\"true\"} 1
";

/// Prometheus, until the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Somebody who tells these metrics, whatever he is asked.
fn exporter() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n";
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{METRICS}", METRICS.len());
        }
    });
    address
}

/// A port that nobody listens on.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn get(address: SocketAddr, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// The rules as the chart hands them on, with what lasts minutes shortened: promtool judges those.
fn hurried(mut groups: Value) -> Value {
    for rule in groups.as_array_mut().unwrap().iter_mut().flat_map(|group| group["rules"].as_array_mut().unwrap()) {
        rule["for"] = "2s".into();
    }
    groups
}

/// Writes the configuration: the two jobs by the names that the chart gives them, one of which nobody answers for.
fn configuration(folder: &Path) {
    let config = json!({
        "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            { "job_name": "kube-state-metrics", "static_configs": [{ "targets": [exporter().to_string()] }] },
            { "job_name": "node-exporter", "static_configs": [{ "targets": [free().to_string()] }] },
        ],
    });
    fs::write(folder.join("rules.yaml"), json!({ "groups": hurried(rules()) }).to_string()).unwrap();
    fs::write(folder.join("prometheus.yaml"), config.to_string()).unwrap();
}

fn firing(address: SocketAddr) -> Vec<String> {
    let answer = get(address, "/api/v1/alerts").unwrap_or_default();
    let alerts = answer.pointer("/data/alerts").and_then(Value::as_array).cloned().unwrap_or_default();
    let of = |alert: &Value| {
        let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_string();
        format!("{} {}", label("alertname"), label("node")).trim().to_string()
    };
    let mut names: Vec<String> = alerts.iter().filter(|alert| alert["state"] == "firing").map(of).collect();
    names.sort();
    names
}

#[test]
fn a_real_prometheus_fires_for_a_node_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    configuration(folder.path());
    let said =
        Command::new("promtool").args(["check", "config", "prometheus.yaml"]).current_dir(folder.path()).output();
    let said = said.unwrap_or_else(|error| panic!("promtool is in Debian's package prometheus: {error}"));
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));

    let address = free();
    let words = ["--config.file=prometheus.yaml".to_string(), format!("--web.listen-address={address}")];
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let mut prometheus = Command::new("prometheus");
    prometheus.args(words).arg("--storage.tsdb.path=data").current_dir(folder.path());
    let _running = Running(prometheus.stdin(Stdio::null()).stderr(log).spawn().unwrap());
    let expected = ["NodeSilent", "NodeUnavailable k8s-worker-1", "TargetUnreachable"];
    // A minute, which is long for rules of two seconds.
    let mut seen = Vec::new();
    for _ in 0..300 {
        std::thread::sleep(Duration::from_millis(200));
        seen = firing(address);
        if seen == expected {
            break;
        }
    }
    assert_eq!(seen, expected, "{}", fs::read_to_string(folder.path().join("log")).unwrap());

    let answer = get(address, "/api/v1/rules").unwrap();
    let groups = answer.pointer("/data/groups").and_then(Value::as_array).unwrap();
    let all: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    let sick: Vec<&&Value> = all.iter().filter(|rule| rule["health"] != "ok").collect();
    assert!(all.len() == 10 && sick.is_empty(), "{} rules, and {sick:#?}", all.len());
}
