//! A hypervisor that is a real host behind a real SSH daemon, below an API and containers that are pretended: it holds
//! the lines that only its root may write.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kubewright_engine::engine::plan_from;
use kubewright_engine::{Engine, Stop, sim};
use kubewright_hosts::{DialError, Dialed, Holes, HostError, Hosts, Probe, RealHosts, Report, User};
use kubewright_model::desired::Way;
use kubewright_model::event::RunEnd;
use kubewright_model::host::HostResource;
use kubewright_model::ids::{NodeName, Owner};
use kubewright_model::net::HostPort;
use kubewright_model::observed::{HostSeen, Seen};
use kubewright_model::plan::{Ask, HostChange, Plan, Weight};
use kubewright_model::recipe::Recipe;

use crate::lab::{Lab, LabHost, PORT};
use crate::yard::{Yard, desired};

/// A server in a container.
const SPEC: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes: { distribution: k3s, version: v1.31.4+k3s1, datastore: sqlite }
  providers:
    proxmox: { endpoint: "https://pve:8006", tokenId: root@pam!kubewright, tokenSecret: { env: TOKEN }, node: pve, ssh: { keyFile: ~/.ssh/id_ed25519 } }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  hosts: { ssh: { keyFile: ~/.ssh/id_ed25519 } }
  pools:
    server:
      { role: both, names: [server], addresses: [10.0.0.10], cores: 2, memory: 4Gi, disk: 20Gi, proxmox: { vmids: ["400"], lxc: { template: "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst" } } }
"#;
const FILE: &str = "/etc/pve/lxc/400.conf";
/// What the API and its user have in the container's file, and a snapshot of an earlier day.
const THEIRS: &str = "arch: amd64\nhostname: server\nlxc.environment: THEIRS=1\n";
const SNAPSHOT: &str = "[before]\narch: amd64\nlxc.cap.drop: sys_time\n";

/// Hands on hosts, of which the hypervisor is a real one. The kernel's modules stay pretended: they are this computer's.
struct Hypervisor {
    pretended: Arc<dyn Hosts>,
    home: PathBuf,
    way: Way,
}

impl Hypervisor {
    /// Real hands wait for a real network, for which the pretended clock does not stand still.
    fn really<T: Send, F: Future<Output = T>>(&self, work: impl FnOnce(RealHosts) -> F + Send) -> T {
        let (home, known_hosts) = (self.home.clone(), self.home.join("known"));
        let user = User { home, agent: None, known_hosts, ask: Arc::new(|_| Err("nobody is asked".into())) };
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work(RealHosts::new(user).unwrap()))
        };
        std::thread::scope(|scope| scope.spawn(run).join().unwrap())
    }
}

fn is_lines(resource: &&HostResource) -> bool {
    matches!(resource, HostResource::Lines { .. })
}

#[async_trait]
impl Hosts for Hypervisor {
    async fn observe(&self, probe: Probe<'_>) -> Seen<HostSeen> {
        let seen = self.pretended.observe(probe).await;
        let (Seen::Present(mut seen), "pve") = (seen.clone(), probe.host.as_str()) else { return seen };
        let lines: Vec<HostResource> = probe.resources.iter().filter(is_lines).cloned().collect();
        let real = self
            .really(|hands| async move { hands.observe(Probe { way: &self.way, resources: &lines, ..probe }).await });
        match real {
            Seen::Present(real) => seen.blocks = real.blocks,
            other => return other,
        }
        Seen::Present(seen)
    }

    async fn change(&self, change: &HostChange, holes: &Holes) -> Result<Report, HostError> {
        let make: Vec<HostResource> = change.make.iter().filter(is_lines).cloned().collect();
        if change.host.as_str() == "pve" && !make.is_empty() {
            let real = HostChange { way: self.way.clone(), make, ..change.clone() };
            self.really(|hands| async move { hands.change(&real, holes).await })?;
        }
        self.pretended.change(change, holes).await
    }

    async fn run(
        &self,
        host: &NodeName,
        way: &Way,
        recipe: &Recipe,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Report, HostError> {
        self.pretended.run(host, way, recipe, holes, tell).await
    }

    async fn dial(&self, host: &NodeName, way: &Way, at: &HostPort) -> Result<Dialed, DialError> {
        self.pretended.dial(host, way, at).await
    }
}

/// A hypervisor with the container's file, and a `pct` that writes down what it is asked for.
fn hypervisor(lab: &Lab) -> LabHost {
    let pct = "#!/bin/sh\\necho \"$*\" >>/run/pct\\n";
    lab.prepared(
        "pve",
        &format!(
            "mkdir -p /etc/pve/lxc; printf '%s' '{THEIRS}\n{SNAPSHOT}' >{FILE}; chmod 640 {FILE}\n\
             printf '{pct}' >/usr/local/bin/pct; chmod 755 /usr/local/bin/pct"
        ),
    )
}

#[test]
fn lines_of_a_container_are_written_once_and_anew_while_it_is_off() {
    let Some(lab) = Lab::open() else { return };
    let host = hypervisor(&lab);
    let home = tempfile::tempdir().unwrap();
    let yard = Yard::new(desired(SPEC), 5);
    let mut world = yard.centre.world(&yard.desired);
    let key_file = Some(host.at("user").display().to_string().into());
    let pve = yard.desired.hosts.iter().find(|host| host.machine.is_none()).unwrap();
    let way = Way { address: Some(host.address.into()), name: None, port: PORT, key_file, ..pve.way.clone() };
    let home = home.path().to_path_buf();
    world.hosts = world.hosts.map(|pretended| Arc::new(Hypervisor { pretended, home, way }) as Arc<dyn Hosts>);
    let engine = Engine::new(world, Arc::new(yard.store.clone()));
    let ours = pve.resources.iter().find_map(|resource| match resource {
        HostResource::Lines { lines, .. } => Some(lines.clone()),
        _ => None,
    });
    let ours = ours.unwrap();
    sim::run(async {
        let apply = async || {
            let request = yard.request(&Ask::Apply, &[]);
            let report = engine.apply(&request, &Stop::default(), &mut |_| {}).await.unwrap();
            assert_eq!((report.end, report.remaining), (RunEnd::Complete, Vec::new()), "{:#?}", report.failed);
        };
        let plan = async || -> Plan { engine.plan(&yard.desired, &Ask::Apply, &[]).await.unwrap().plan };
        apply().await;
        let whole = |head: &str| format!("{head}\n{}\n{SNAPSHOT}", ours.join("\n"));
        assert_eq!(host.sh(&format!("cat {FILE}")), whole(THEIRS), "ours stand once, before the snapshot");
        let stat = || host.sh(&format!("stat -c '%i %Y %a' {FILE}"));
        let written = stat();
        assert!(plan().await.is_empty(), "{:?}", plan().await.steps);
        apply().await;
        assert_eq!(stat(), written, "nobody writes what is so already");
        // A line that somebody took away comes back while the container is off, and is in force when it starts again.
        let (gone, theirs) = (ours.last().unwrap(), "lxc.environment: LATER=1");
        host.sh(&format!("grep -vxF '{gone}' {FILE} >/run/new; sed -i '1i {theirs}' /run/new; cat /run/new >{FILE}"));
        let drifted = plan().await;
        let ids: Vec<&str> = drifted.steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(ids, ["restart/server", "ready/server"]);
        apply().await;
        let now = host.sh(&format!("cat {FILE}"));
        assert!(now.starts_with(&format!("{theirs}\n{THEIRS}")) && now.ends_with(SNAPSHOT), "{now}");
        assert!(ours.iter().all(|line| now.lines().filter(|it| it == line).count() == 1), "{now}");
        assert!(plan().await.is_empty());
        assert_eq!(host.sh("cat /run/pct 2>/dev/null || echo nobody"), "nobody\n", "the API turns it off and on");
    })
    .unwrap();
}

#[test]
fn another_host_in_the_place_of_a_hypervisor_is_left_alone() {
    let yard = Yard::new(desired(SPEC), 5);
    sim::run(async {
        let (mut observed, _) = yard.plan(&Ask::Apply, &[]).await;
        let mut told = |seen: Seen<HostSeen>| {
            observed.hosts.insert("pve".into(), seen);
            let plan = plan_from(&yard.desired, &observed, &Ask::Apply, &[]).unwrap();
            let note = plan.notes.iter().find(|note| note.weight == Weight::Blocks);
            note.map(|note| format!("{} [{}]", note.message, note.help.clone().unwrap_or_default()))
        };
        let named = |name: &str| {
            let settings = [("hostname".to_string(), name.to_string())].into();
            Seen::Present(HostSeen { settings, ..HostSeen::default() })
        };
        assert_eq!(told(named("pve.lan")), None);
        let address = "where pve is reached is `providers.proxmox.ssh.addresses: { pve: ADDRESS }`";
        let expected = format!("the host in the place of its hypervisor pve is named midgard [{address}]");
        assert_eq!(told(named("midgard")).unwrap(), expected);
        let unknown = told(Seen::unknown("pve cannot be reached (name lookup)")).unwrap();
        assert!(unknown.ends_with(&format!("`providers.proxmox.ssh.keyFile`, and {address}]")), "{unknown}");
    })
    .unwrap();
}

#[test]
fn what_a_hypervisor_holds_is_no_matter_of_whose_it_is() {
    let yard = Yard::new(desired(SPEC), 5);
    sim::run(async {
        let (mut observed, _) = yard.plan(&Ask::Apply, &[]).await;
        let Some(Seen::Present(pve)) = observed.hosts.get_mut("pve") else { panic!("it answers") };
        pve.owner = Some(Owner("another".into()));
        let plan = plan_from(&yard.desired, &observed, &Ask::Apply, &[]).unwrap();
        assert!(!plan.is_blocked() && plan.steps.iter().any(|step| step.id.as_str() == "raw/server"));
    })
    .unwrap();
}
