//! HAProxy itself, on a host that boots systemd, set up by our hands from what the planner says: in front of backends that
//! speak TLS as the Kubernetes API does, while some of them fail and while others come and go.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kubewright_hosts::{Holes, HostError, Hosts as _, RealHosts, User};
use kubewright_model::desired::{Desired, DesiredHost};
use kubewright_model::host::{FileWish, HostResource};
use kubewright_model::plan::HostChange;
use kubewright_model::secret::Secret;
use kubewright_model::text::Text;

use crate::booted::{BootedHost, world};
use crate::lab::PORT;
use crate::yard::desired;

/// Addresses of this computer's side of the world, for what stands behind the load balancer.
const MASTERS: [&str; 3] = ["10.77.0.101", "10.77.0.102", "10.77.0.103"];
const WORKERS: [&str; 2] = ["10.77.0.111", "10.77.0.112"];
const PASSWORD: &str = "s3cret # with \"all\" sorts";

/// One that ends with its test.
struct Backend(Child);

impl Backend {
    fn start(name: &str, address: &str, port: u16, folder: &Path) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", include_str!("balancers/backend.py"), name, address, &port.to_string()]).arg(folder);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect((address, port)).is_err() {
            assert!(Instant::now() < deadline, "{name} does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self(child)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(program: &str, words: &[&str]) -> String {
    let ran = Command::new(program).args(words).stdin(Stdio::null()).output().unwrap();
    assert!(ran.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// The balancer's host as a spec with so many masters wants it.
fn wish(host: &BootedHost, masters: usize) -> DesiredHost {
    of_pair(&[host], masters, "").remove(0)
}

/// The balancer's hosts as a spec with so many masters wants them, and more of the load balancer before the workers.
fn of_pair(fronts: &[&BootedHost], masters: usize, ingress: &str) -> Vec<DesiredHost> {
    let names: Vec<&str> = fronts.iter().map(|host| host.name.as_str()).collect();
    let addresses: Vec<String> = fronts.iter().map(|host| host.address.to_string()).collect();
    let Desired { hosts, .. } = desired(&format!(
        "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: lab }}
spec:
  kubernetes: {{ distribution: rke2, version: v1.33.5+rke2r1, endpoint: {{ loadBalancer: api }} }}
  hosts: {{ ssh: {{ user: admin, port: {PORT}, keyFile: {key} }} }}
  pools:
    front: {{ role: loadBalancer, names: [{names}], addresses: [{addresses}], existing: {{}} }}
    master: {{ role: server, name: 'master-{{n}}', addresses: ['{first}-{last}'], existing: {{}} }}
    worker: {{ role: agent, name: 'worker-{{n}}', addresses: ['10.77.0.111-112'], existing: {{}} }}
  loadBalancers:
    api:
      by: haproxy
      pool: front
      targets: [master]
      listen: [{{ port: 6443, to: 6443 }}, {{ port: 9345, to: 9345 }}]
      statistics: {{ port: 8404, path: /stats, user: admin, password: {{ env: STATS }} }}
    ingress: {{ by: haproxy, pool: front, targets: [worker], listen: [{{ port: 80, to: 32624 }}]{ingress} }}
",
        key = fronts[0].at("user").display(),
        names = names.join(", "),
        addresses = addresses.join(", "),
        first = MASTERS[0],
        last = 100 + masters,
    ));
    hosts.into_iter().filter(|wish| names.contains(&wish.name.as_str())).collect()
}

struct Front<'a> {
    host: &'a BootedHost,
    hands: RealHosts,
    holes: Holes,
}

impl Front<'_> {
    fn ours(wish: &DesiredHost) -> Vec<HostResource> {
        let of_haproxy = |it: &&HostResource| ["haproxy", "keepalived"].iter().any(|what| it.key().contains(what));
        wish.resources.iter().filter(of_haproxy).cloned().collect()
    }

    /// Makes what HAProxy is to be; whether that was anything.
    async fn make(&self, wish: &DesiredHost) -> Result<bool, HostError> {
        let change = HostChange::making(wish, None, Self::ours(wish));
        self.hands.change(&change, &self.holes).await.map(|report| report.changed)
    }

    /// What answers at a URL, and how.
    fn asked(&self, url: &str, more: &[&str]) -> String {
        let words = ["--silent", "--insecure", "--max-time", "10", "--write-out", " %{http_code}"];
        let ran = Command::new("curl").args(words).args(more).arg(url).output().unwrap();
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    fn api(&self) -> String {
        self.asked(&format!("https://{}:6443/", self.host.address), &[])
    }

    /// Who answers when it is asked often.
    fn answers(&self) -> Vec<String> {
        let mut all: Vec<String> = (0..12).map(|_| self.api()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Waits until exactly these answer.
    fn come_to(&self, wanted: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answers = self.answers();
            if answers == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{answers:?} answer, not {wanted:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn log(&self) -> String {
        self.host.sh("journalctl --no-pager -o cat -u haproxy | tail -n 40")
    }

    /// The process that has run since HAProxy was started.
    fn master(&self) -> String {
        self.host.sh("systemctl show -p MainPID --value haproxy")
    }
}

/// Asks for new connections without a break until it is told to end; how many came to nothing, and of how many.
struct Load {
    ends: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    askers: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start(url: &str) -> Self {
        let (ends, failed, asked) = (Arc::default(), Arc::default(), Arc::default());
        let mut load = Self { ends, failed, asked, askers: Vec::new() };
        for _ in 0..3 {
            let (ends, failed, asked) = (load.ends.clone(), load.failed.clone(), load.asked.clone());
            let url = url.to_string();
            load.askers.push(std::thread::spawn(move || {
                while !ends.load(Ordering::Relaxed) {
                    let words = ["--silent", "--show-error", "--fail", "--max-time", "10", "--output", "/dev/null"];
                    let ran = Command::new("curl").args(words).arg(&url).output().unwrap();
                    asked.fetch_add(1, Ordering::Relaxed);
                    failed.fetch_add(usize::from(!ran.status.success()), Ordering::Relaxed);
                }
            }));
        }
        load
    }

    fn end(self) -> (usize, usize) {
        self.ends.store(true, Ordering::Relaxed);
        for asker in self.askers {
            asker.join().unwrap();
        }
        (self.failed.load(Ordering::Relaxed), self.asked.load(Ordering::Relaxed))
    }
}

/// A certificate for the API's stand-ins, and addresses for everybody behind the load balancer.
fn furnish(folder: &Path) {
    let (key, certificate) = (folder.join("key"), folder.join("certificate"));
    let (key, certificate) = (key.display().to_string(), certificate.display().to_string());
    let words = ["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
    run("openssl", &[&words[..], &["-subj", "/CN=lab", "-days", "2", "-keyout", &key, "-out", &certificate]].concat());
    for address in MASTERS.iter().chain(&WORKERS) {
        run("ip", &["address", "add", &format!("{address}/24"), "dev", "lab"]);
    }
}

async fn balances() {
    let host = BootedHost::prepared("front", "");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    furnish(folder.path());
    let start = |(name, address): (&str, &str), port| Backend::start(name, address, port, folder.path());
    let names = ["master-1", "master-2", "master-3"];
    let mut masters: Vec<Backend> = names.into_iter().zip(MASTERS).map(|master| start(master, 6443)).collect();
    let names = ["worker-1", "worker-2"];
    let mut workers: Vec<Backend> = names.into_iter().zip(WORKERS).map(|worker| start(worker, 32624)).collect();

    let ask = Arc::new(|_: &_| Err("nobody is asked".into()));
    let user = User { home: at(""), known_hosts: at("known"), agent: None, ask };
    let holes = Holes::from([("secret/statistics-api".into(), Secret::new(PASSWORD.into()))]);
    let front = Front { host: &host, hands: RealHosts::new(user).unwrap(), holes };

    // One of three masters first.
    assert!(front.make(&wish(&host, 1)).await.unwrap());
    front.come_to(&["master-1 200"]);
    assert!(!front.make(&wish(&host, 1)).await.unwrap(), "the second time nothing is to be done");
    let master = front.master();

    // The statistics are nobody's without their password.
    let page = format!("http://{}:8404/stats", host.address);
    assert!(front.asked(&page, &[]).ends_with(" 401"));
    let shown = front.asked(&page, &["--user", &format!("admin:{PASSWORD}")]);
    assert!(shown.contains("Statistics Report") && shown.contains("master-1") && shown.ends_with(" 200"), "{shown}");

    // Two more come, under load: no connection is refused, and one that is open goes on over it.
    let ingress = format!("http://{}/", host.address);
    let load = Load::start(&ingress);
    let mut drip = Command::new("curl");
    drip.args(["--silent", "--show-error", "--fail", "--insecure"]).arg(format!("https://{}:6443/drip", host.address));
    let drip = drip.stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(front.make(&wish(&host, 3)).await.unwrap());
    front.come_to(&["master-1 200", "master-2 200", "master-3 200"]);
    let dripped = drip.wait_with_output().unwrap();
    assert!(dripped.status.success() && dripped.stdout.len() == 60, "{dripped:?}");
    let (failed, asked) = load.end();
    assert!(failed == 0 && asked > 20, "{failed} of {asked} connections came to nothing\n{}", front.log());
    assert_eq!(front.master(), master, "it was not started anew");

    // Whoever is not ready gets nobody; whoever is ready again gets its share.
    fs::write(at("master-1.unready"), "").unwrap();
    front.come_to(&["master-2 200", "master-3 200"]);
    fs::remove_file(at("master-1.unready")).unwrap();
    front.come_to(&["master-1 200", "master-2 200", "master-3 200"]);

    // One of the workers is gone at once, and nobody who asks hears of it.
    let load = Load::start(&ingress);
    drop(workers.pop());
    std::thread::sleep(Duration::from_secs(3));
    let (failed, asked) = load.end();
    assert!(failed == 0 && asked > 20, "{failed} of {asked} connections came to nothing\n{}", front.log());
    drop(masters.remove(0));
    front.come_to(&["master-2 200", "master-3 200"]);

    refuses(&front, &wish(&host, 3)).await;
}

/// A file that HAProxy does not take changes nothing.
async fn refuses(front: &Front<'_>, wish: &DesiredHost) {
    let mut wrong = wish.clone();
    for resource in &mut wrong.resources {
        if let HostResource::File(FileWish { path, content, .. }) = resource
            && path.contains("haproxy")
        {
            *content = Text::known("nonsense\n");
        }
    }
    let Err(HostError::Failed { why, log, .. }) = front.make(&wrong).await else { panic!("it takes nonsense") };
    assert_eq!(why, "haproxy refuses it, and what was there stays");
    assert!(log.iter().any(|line| line.contains("unknown keyword 'nonsense'")), "{log:?}");
    assert!(!front.make(wish).await.unwrap(), "what was there is there");
    front.come_to(&["master-2 200", "master-3 200"]);
}

#[test]
fn haproxy_goes_on_while_backends_fail_and_come_and_go() {
    world(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(balances()));
}

/// Waits until one of the hosts holds the address, and answers there; which.
fn holder(hosts: &[&BootedHost], ingress: &str, not: Option<usize>) -> usize {
    let deadline = Instant::now() + Duration::from_secs(90);
    let has = |host: &&BootedHost| host.sh("ip -4 -brief address show host0").contains(FLOATING);
    loop {
        let holders: Vec<usize> = (0..hosts.len()).filter(|at| Some(*at) != not && has(&hosts[*at])).collect();
        let words = ["--silent", "--show-error", "--max-time", "2", "--output", "/dev/null", "--fail", ingress];
        let asked = Command::new("curl").args(words).output().unwrap();
        match holders.as_slice() {
            [only] if asked.status.success() => return *only,
            _ => {}
        }
        if Instant::now() > deadline {
            let log = "journalctl --no-pager -o cat -u keepalived -u haproxy | tail -n 30";
            let logs: String = hosts.iter().map(|host| host.sh(log)).collect();
            panic!("{holders:?} hold the address: {asked:?}\n{}\n{logs}", run("ip", &["neighbour", "show", FLOATING]));
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Free, and on the network of both hosts.
const FLOATING: &str = "10.77.0.50";

async fn floats() {
    let mut hosts = ["front-1", "front-2"].map(|name| BootedHost::prepared(name, ""));
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path());
    let key = fs::read_to_string(hosts[0].at("user.pub")).unwrap();
    hosts[1].sh(&format!("echo '{}' >>/home/admin/.ssh/authorized_keys", key.trim()));
    let _worker = Backend::start("worker-1", WORKERS[0], 32624, folder.path());
    let at = |name: &str| folder.path().join(name);
    let ask = Arc::new(|_: &_| Err("nobody is asked".into()));
    let hands = RealHosts::new(User { home: at(""), known_hosts: at("known"), agent: None, ask }).unwrap();
    let make = async |wish: &DesiredHost| {
        let change = HostChange::making(wish, None, Front::ours(wish));
        let holes = Holes::from([("secret/statistics-api".into(), Secret::new(PASSWORD.into()))]);
        hands.change(&change, &holes).await.map(|report| report.changed)
    };
    let floating = |interface: &str| format!(", floating: {{ address: {FLOATING}, interface: {interface} }}");
    for wish in of_pair(&[&hosts[0], &hosts[1]], 1, &floating("host0")) {
        assert!(make(&wish).await.unwrap());
        assert!(!make(&wish).await.unwrap(), "the second time nothing is to be done");
    }
    let ingress = format!("http://{FLOATING}/");
    let first = holder(&[&hosts[0], &hosts[1]], &ingress, None);

    // Who lives without its HAProxy serves nobody, and hands the address on; it does not take it back.
    hosts[first].sh("systemctl stop haproxy");
    let second = holder(&[&hosts[0], &hosts[1]], &ingress, Some(first));
    assert_ne!(first, second);
    hosts[first].sh("systemctl start haproxy");
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(holder(&[&hosts[0], &hosts[1]], &ingress, None), second, "each move cuts connections");

    // A network card that is not there is told, and what was there stays.
    let wrong = of_pair(&[&hosts[0], &hosts[1]], 1, &floating("eth9")).swap_remove(first);
    let Err(HostError::Failed { why, log, .. }) = make(&wrong).await else {
        panic!("it takes a card that is not there")
    };
    assert_eq!(why, "keepalived refuses it, and what was there stays");
    assert!(log.iter().any(|line| line.contains("eth9")), "{log:?}");

    hosts[second].power_off();
    assert_eq!(holder(&[&hosts[first]], &ingress, None), 0);
}

#[test]
fn an_address_goes_where_a_haproxy_lives() {
    world(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(floats()));
}
