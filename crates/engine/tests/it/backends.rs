//! Back-end services greeted from the side of nodes: real servers, real SSH daemons in networks of their own, and what
//! only looks like a server.

mod servers;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use kubewright_engine::Engine;
use kubewright_engine::places::Places;
use kubewright_engine::sim::MemoryStore;
use kubewright_engine::verify::CheckResult;
use kubewright_engine::world::World;
use kubewright_hosts::{RealHosts, User};
use kubewright_model::checked::Group;

use crate::lab::{HERE, Lab, LabHost, PORT};
use crate::yard::desired;
use servers::Server;

/// Two servers of a cluster; the second one's script runs before its SSH daemon does.
struct Nodes {
    hosts: [LabHost; 2],
    home: tempfile::TempDir,
    // The network goes last.
    _lab: Lab,
}

impl Nodes {
    /// None where this computer lets nobody make networks, which the lab has told.
    fn start(second: &str) -> Option<Self> {
        let lab = Lab::open()?;
        let one = lab.host("k3s-master-01");
        let key = std::fs::read_to_string(one.at("user.pub")).unwrap();
        let two = lab.prepared("k3s-master-02", &format!("echo '{}' >>/etc/ssh/lab_keys\n{second}", key.trim()));
        Some(Self { hosts: [one, two], home: tempfile::tempdir().unwrap(), _lab: lab })
    }

    /// What each of these services came to, by their names. A check is `NAME: PORT PROTOCOL`, and more of it.
    async fn greet(&self, checks: &[&str]) -> BTreeMap<String, CheckResult> {
        let [one, two] = &self.hosts;
        let lines = checks.iter().map(|check| {
            let (name, rest) = check.split_once(": ").unwrap();
            let mut words = rest.splitn(3, ' ');
            let (port, protocol) = (words.next().unwrap(), words.next().unwrap());
            let more = words.next().map(|more| format!(", {more}")).unwrap_or_default();
            format!("      {name}: {{ at: '{HERE}:{port}', protocol: {protocol}{more} }}\n")
        });
        let desired = desired(&format!(
            "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: lab }}
spec:
  kubernetes: {{ distribution: k3s, version: v1.33.5+k3s1, datastore: sqlite, endpoint: {{ host: {at_1} }} }}
  hosts: {{ ssh: {{ user: admin, port: {PORT}, keyFile: {key} }} }}
  pools:
    servers: {{ role: server, names: [k3s-master-01], addresses: [{at_1}], existing: {{}} }}
    agents: {{ role: agent, names: [k3s-master-02], addresses: [{at_2}], existing: {{}} }}
  verify:
    services:
{lines}",
            key = one.at("user").display(),
            at_1 = one.address,
            at_2 = two.address,
            lines = lines.collect::<String>(),
        ));
        let home = self.home.path();
        let ask = Arc::new(|_: &_| Err("nobody is asked".to_string()));
        let user = User { home: home.into(), agent: None, known_hosts: home.join("known"), ask };
        let world = World {
            providers: BTreeMap::new(),
            silent: BTreeMap::new(),
            hosts: Some(Arc::new(RealHosts::new(user).unwrap())),
            cluster: None,
            doors: Default::default(),
            pretend: None,
            saved: kubewright_engine::world::proves(),
            beside: kubewright_engine::world::opens(),
            copies: None,
            places: Places::in_folder(home.into()),
        };
        let results = Engine::new(world, Arc::new(MemoryStore::default())).verify(&desired).await;
        let of_services = results.into_iter().filter(|result| result.group == Group::Services);
        of_services.map(|result| (result.name.clone(), result)).collect()
    }
}

/// Whether it holds, what was seen, and what is said to do.
fn told(result: &CheckResult) -> (bool, &str, &str) {
    let checked = &result.checked;
    (checked.holds, checked.saw.as_str(), checked.hint.as_deref().unwrap_or_default())
}

/// Someone who listens, and does this with who comes.
fn listener(port: u16, with: impl Fn(TcpStream) + Send + 'static) {
    let listener = TcpListener::bind((HERE, port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            with(stream);
        }
    });
}

/// All five, from both sides: who they are is told, and how long it took from each node.
#[tokio::test]
async fn the_five_greet_from_the_side_of_nodes() {
    // It is fetched from outside, which a network of one's own has not.
    let _ = servers::weed();
    let Some(nodes) = Nodes::start("") else { return };
    let started = [
        ("postgresql", "5432 postgresql", Server::postgresql(5432, "trust", ""), "PostgreSQL 1"),
        ("redis", "6379 redis", Server::redis(6379, &["--protected-mode", "no"]), "Redis "),
        ("mariadb", "3306 mysql", Server::mariadb(3306, true), "MariaDB 1"),
        ("rabbitmq", "5672 amqp", Server::rabbitmq(5672), "RabbitMQ 3."),
        ("s3", "8333 s3", Server::seaweedfs(8333), "S3"),
    ];
    let there: Vec<_> = started.iter().filter(|(.., server, _)| server.is_some()).collect();
    for from in ["k3s-master-01", "k3s-master-02"] {
        let checks: Vec<String> =
            there.iter().map(|(name, check, ..)| format!("{name}: {check} from: {from}")).collect();
        let checks: Vec<&str> = checks.iter().map(String::as_str).collect();
        let results = nodes.greet(&checks).await;
        for (name, _, _, who) in &there {
            let result = &results[*name];
            assert!(result.checked.holds && result.checked.saw.starts_with(who), "{result:#?}");
            assert!(result.checked.saw.contains(&format!("from {from} ")), "{result:#?}");
            let [part] = result.checked.parts.as_slice() else { panic!("{result:#?}") };
            assert!(part.name == from && part.milliseconds.is_some_and(|took| took < 3000), "{part:?}");
            println!("{name}: {}", result.checked.saw);
        }
    }
    // Each of them, asked in the others' words, is told for what it is.
    let mut wrong = Vec::new();
    for (name, check, ..) in &there {
        let (port, own) = check.split_once(' ').unwrap();
        let others = ["postgresql", "redis", "mysql", "amqp", "s3"].into_iter().filter(|other| *other != own);
        wrong.extend(others.map(|other| format!("{name}-as-{other}: {port} {other}")));
    }
    let results = nodes.greet(&wrong.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (name, result) in &results {
        let is = match name.split('-').next().unwrap() {
            "postgresql" => "PostgreSQL",
            "redis" => "Redis",
            "mariadb" => "MySQL",
            "rabbitmq" => "AMQP",
            _ => "HTTP",
        };
        println!("{name}: {}", result.checked.saw);
        assert!(!result.checked.holds && result.checked.saw.ends_with(&format!("it speaks {is}")), "{result:#?}");
    }
}

/// They want a password, refuse the host, or want TLS: that is told, and each is another thing.
#[tokio::test]
async fn who_wants_a_password_or_tls_or_nobody_from_there_says_so() {
    let Some(nodes) = Nodes::start("") else { return };
    let password = Server::redis(6380, &["--requirepass", "s3cret"]);
    let protected = Server::redis(6381, &["--protected-mode", "yes"]);
    let over_tls = Server::redis_over_tls(6382);
    let scram = Server::postgresql(5433, "scram-sha-256", "");
    let nobody = Server::postgresql(5434, "reject", "");
    let ssl = Server::postgresql(5435, "trust", "ssl");
    let local = Server::mariadb(3307, false);
    let started = [
        (&password, "password: 6380 redis", true, "Redis (it wants a password), from k3s-master-01 ", ""),
        (
            &protected,
            "protected: 6381 redis",
            false,
            ": Redis refuses this node: it is in protected mode",
            "protected mode",
        ),
        (&over_tls, "over-tls: 6382 redis", false, "it wants TLS", "`tls: true`"),
        (&over_tls, "over-tls-asked: 6382 redis tls: true", true, "TLS 1.", ""),
        (&scram, "scram: 5433 postgresql", true, "PostgreSQL (it wants a password), from ", ""),
        (&nobody, "nobody: 5434 postgresql", true, "PostgreSQL (it answers `pg_hba.conf rejects connection", ""),
        (&ssl, "ssl: 5435 postgresql", true, "it offers TLS", ""),
        (&ssl, "ssl-asked: 5435 postgresql tls: true", true, "TLS 1.", ""),
        (&scram, "no-tls: 5433 postgresql tls: true", false, "PostgreSQL offers no TLS", "`tls`"),
        (
            &local,
            "local: 3307 mysql",
            false,
            "it greets with error 1130: Host '10.76.0.2' is not allowed",
            "no account",
        ),
    ];
    let there: Vec<_> = started.into_iter().filter(|(server, ..)| server.is_some()).collect();
    let results = nodes.greet(&there.iter().map(|(_, check, ..)| *check).collect::<Vec<_>>()).await;
    for (_, check, holds, saw, hint) in there {
        let result = &results[check.split(':').next().unwrap()];
        println!("{}: {:?}", result.name, told(result));
        let (held, seen, helped) = told(result);
        assert!(held == holds && seen.contains(saw) && helped.contains(hint), "{check}: {result:#?}");
    }
}

/// Nothing that only looks like a service passes for one.
#[tokio::test]
async fn what_only_looks_like_a_service_is_told_for_what_it_is() {
    let Some(nodes) = Nodes::start("") else { return };
    let hold =
        |stream: TcpStream| drop(std::thread::spawn(move || (stream, std::thread::sleep(Duration::from_secs(60)))));
    listener(7001, hold);
    listener(7002, drop);
    // One letter that PostgreSQL says, too.
    listener(7003, |mut stream| drop(stream.write_all(b"N")));
    // Whatever is asked for, it is found: and yet it is no S3.
    listener(7004, |mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    listener(7005, |mut stream| {
        std::thread::spawn(move || {
            let _ = stream.read(&mut [0; 1024]);
            std::thread::sleep(Duration::from_secs(3));
            let _ = stream.write_all(b"+PONG\r\n");
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"-NOPERM\r\n");
        });
    });
    let results = nodes
        .greet(&[
            "silent: 7001 amqp",
            "hangs-up: 7002 redis",
            "one-letter: 7003 postgresql",
            "pages: 7004 s3",
            "slow: 7005 redis",
            "closed: 7006 postgresql",
            "ssh: 2222 mysql",
        ])
        .await;
    for (name, holds, saw, hint) in [
        ("silent", false, "it opens, and says nothing within 10 s", "its log tells more"),
        ("hangs-up", false, "it opens, and hangs up", "its log tells more"),
        ("one-letter", false, "it opens, and hangs up", "its log tells why"),
        ("pages", false, "it speaks HTTP and no S3 (status 200)", "not S3"),
        ("slow", true, "Redis, from k3s-master-01 ", ""),
        ("closed", false, "connection refused", "nothing listens at this port"),
    ] {
        let result = &results[name];
        println!("{name}: {:?} {:?}", told(result), result.checked.warning);
        let (held, seen, helped) = told(result);
        assert!(held == holds && seen.contains(saw) && helped.contains(hint), "{name}: {result:#?}");
    }
    let slow = results["slow"].checked.warning.as_deref().unwrap_or_default();
    assert!(slow.starts_with("slow: k3s-master-01 needs 3"), "{slow}");
}

/// A node whose SSH daemon passes nothing on is told by its name, and so is one that cannot be reached.
#[tokio::test]
async fn a_node_that_lets_nobody_look_from_it_says_so() {
    let forbids = "sed -i '1i AllowTcpForwarding no' /etc/ssh/sshd_config";
    let Some(mut nodes) = Nodes::start(forbids) else { return };
    listener(7001, drop);
    let check = ["open: 7001 tcp", "other: 7001 tcp from: k3s-master-02"];
    let results = nodes.greet(&check).await;
    assert!(told(&results["open"]).0, "{results:#?}");
    let (held, saw, hint) = told(&results["other"]);
    assert!(!held && saw.contains("the SSH daemon of k3s-master-02 passes no connections on"), "{saw}");
    assert!(hint.contains("AllowTcpForwarding") && hint.contains("sshd_config of k3s-master-02"), "{hint}");
    nodes.hosts[1].power_off();
    let results = nodes.greet(&check).await;
    let (held, saw, _) = told(&results["other"]);
    assert!(!held && saw.contains("k3s-master-02 cannot be reached (TCP)"), "{saw}");
}
