//! What is planned for Talos, done by the real hands on nodes that keep what they are told and refuse what real ones refuse:
//! their keys are those that each version knows.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use kubewright_hosts::talos::{Bundle, TalosHosts, value};
use kubewright_hosts::{Holes, HostError, Hosts as _, Probe, Report};
use kubewright_model::desired::{Desired, FORGOTTEN, MemberRecipes};
use kubewright_model::ids::HoleName;
use kubewright_model::observed::{HostSeen, Seen};
use kubewright_model::plan::HostChange;
use kubewright_model::recipe::{Recipe, SNAPSHOT};
use kubewright_model::secret::Secret;
use kubewright_planner::diff::host::differing;

use crate::talos_nodes::{Node, Site, Stage};

/// A cluster of two servers and an agent at the addresses of nodes.
struct Lab {
    nodes: Vec<Arc<Node>>,
    desired: Desired,
    hands: TalosHosts,
    bundle: Arc<Mutex<Option<Bundle>>>,
    kept: tempfile::TempDir,
    _site: Site,
}

fn spec(nodes: &[Arc<Node>], talos: &str, kubernetes: &str, more: &str) -> String {
    let at: Vec<String> = nodes.iter().map(|node| node.address.to_string()).collect();
    format!(
        "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{ name: lab }}\nspec:\n  kubernetes:\n    \
         distribution: talos\n    version: {kubernetes}\n    talos: {{ version: {talos}, interface: eth0{more} }}\n    \
         endpoint: {{ host: api.lab }}\n    cni: {{ cilium: {{ version: 1.18.3 }} }}\n  pools:\n    server: {{ role: both, \
         names: [one, two], addresses: [{}, {}], existing: {{}} }}\n    agent: {{ role: agent, names: [three], \
         addresses: [{}], existing: {{}}, labels: {{ disk: fast }}, taints: [\"dedicated=db:NoSchedule\"] }}\n",
        at[0], at[1], at[2]
    )
}

fn desired(nodes: &[Arc<Node>], talos: &str, kubernetes: &str, more: &str) -> Desired {
    let text = spec(nodes, talos, kubernetes, more);
    let loaded = kubewright_model::spec::load(&text).unwrap_or_else(|found| panic!("{found:#?}"));
    kubewright_planner::lower::lower(&loaded.file).0
}

impl Lab {
    fn new(talos: &str, kubernetes: &str) -> Self {
        static MADE: std::sync::OnceLock<Bundle> = std::sync::OnceLock::new();
        let site = Site::start();
        let nodes: Vec<Arc<Node>> = (0..3).map(|_| site.node(talos)).collect();
        let desired = desired(&nodes, talos, kubernetes, "");
        let made = MADE.get_or_init(|| Bundle::generate(SystemTime::now()).unwrap()).clone();
        let bundle = Arc::new(Mutex::new(Some(made)));
        let known = Arc::clone(&bundle);
        let secrets = move || Ok(known.lock().unwrap().as_ref().map(Bundle::to_yaml));
        let kept = tempfile::tempdir().unwrap();
        let hands = TalosHosts::new(Arc::new(secrets), kept.path());
        Self { nodes, desired, hands, bundle, kept, _site: site }
    }

    fn holes(&self) -> Holes {
        let texts = self.desired.hosts.iter().flat_map(|host| &host.resources).filter_map(|resource| resource.text());
        let bundle = self.bundle.lock().unwrap().clone().unwrap();
        let named = texts.flat_map(|text| text.holes().cloned());
        named
            .map(|hole| (hole.clone(), value(&bundle, hole.secret().unwrap().strip_prefix("talos.").unwrap()).unwrap()))
            .collect()
    }

    async fn look(&self, at: usize) -> Seen<HostSeen> {
        let host = &self.desired.hosts[at];
        self.hands
            .observe(Probe {
                host: &host.name,
                way: &host.way,
                resources: &host.resources,
                holds_data: false,
                updates: false,
            })
            .await
    }

    async fn seen(&self, at: usize) -> HostSeen {
        match self.look(at).await {
            Seen::Present(seen) => seen,
            other => panic!("{other:?}"),
        }
    }

    /// What differs, as a plan has it.
    async fn differs(&self, at: usize) -> Vec<String> {
        let seen = self.seen(at).await;
        let found = differing(&self.desired.hosts[at].resources, &seen, &std::collections::BTreeMap::new());
        found
            .into_iter()
            .map(|it| {
                format!(
                    "{}: {} -> {}",
                    it.field.field,
                    it.field.from.unwrap_or_default(),
                    it.field.to.unwrap_or_default()
                )
            })
            .collect()
    }

    async fn set_up(&self, at: usize) -> Result<Report, HostError> {
        let host = &self.desired.hosts[at];
        let change = HostChange::making(host, Some(&self.desired.owner), host.resources.clone());
        self.hands.change(&change, &self.holes()).await
    }

    fn recipes(&self, at: usize) -> &MemberRecipes {
        &self.desired.members[at].recipes
    }

    async fn run(&self, at: usize, recipe: &Recipe) -> Result<Report, HostError> {
        self.run_with(at, recipe, Holes::new()).await
    }

    async fn run_with(&self, at: usize, recipe: &Recipe, more: Holes) -> Result<Report, HostError> {
        let host = &self.desired.hosts[at];
        let mut holes = self.holes();
        holes.insert(HoleName::new(FORGOTTEN), Secret::new("two".into()));
        holes.extend(more);
        self.hands.run(&host.name, &host.way, recipe, &holes, &|_| {}).await
    }
}

#[tokio::test]
async fn a_cluster_is_configured_bootstrapped_saved_and_reset_by_what_is_planned() {
    for (talos, kubernetes) in
        [("v1.9.6", "v1.32.0"), ("v1.11.5", "v1.34.0"), ("v1.12.4", "v1.35.0"), ("v1.13.2", "v1.36.0")]
    {
        let lab = Lab::new(talos, kubernetes);
        let waits = lab.seen(0).await;
        assert!(
            waits.talos.as_ref().is_some_and(|it| it.maintenance && it.disks.contains_key("/dev/sda")),
            "{waits:?}"
        );
        assert!(waits.talos.as_ref().is_some_and(|it| it.links.keys().eq(["ens18"]) && it.system_disk.is_none()));
        let told = [format!("Talos:  -> {talos}"), "machine configuration:  -> of a control plane".to_string()];
        assert_eq!(lab.differs(0).await, told);
        let set_up = futures::future::join_all((0..3).map(|at| lab.set_up(at))).await;
        assert!(set_up.iter().all(|it| it.as_ref().is_ok_and(|it| it.changed)), "{talos}: {set_up:?}");
        for at in 0..3 {
            assert_eq!(lab.differs(at).await, [""; 0], "{talos}");
            let there = lab.seen(at).await;
            assert!(!there.is_member() && there.talos.is_some_and(|it| it.system_disk.as_deref() == Some("/dev/sda")));
            assert!(!lab.set_up(at).await.unwrap().changed, "{talos}: twice is once");
        }
        let begun = lab.run(0, lab.recipes(0).init.as_ref().unwrap()).await.unwrap();
        assert!(begun.gave[&HoleName::new("cluster/kubeconfig")].expose().contains("server:"));
        // It was cut off, and begins again.
        lab.run(0, lab.recipes(0).init.as_ref().unwrap()).await.unwrap();
        lab.run(1, &lab.recipes(1).join).await.unwrap();
        lab.run(2, &lab.recipes(2).join).await.unwrap();
        let first = lab.seen(0).await;
        assert!(first.is_member() && first.serves() && lab.seen(2).await.is_member());
        let members = first.talos.unwrap().etcd.unwrap();
        let members: Vec<String> =
            members.iter().map(|(name, it)| format!("{name} {} {}", it.voter, it.healthy)).collect();
        assert_eq!(members, ["one true true", "two true false"], "each tells of itself whether it is well");
        let saved = lab.run(0, lab.recipes(0).snapshot.as_ref().unwrap()).await.unwrap();
        assert!(saved.told[0].starts_with("saved "), "{:?}", saved.told);
        assert_eq!(std::fs::read_dir(lab.kept.path()).unwrap().count(), 1);
        // Another one takes it out before it is wiped.
        lab.run(0, lab.recipes(0).forget.as_ref().unwrap()).await.unwrap();
        for at in [2, 1, 0] {
            lab.run(at, &lab.recipes(at).leave).await.unwrap();
            assert!(lab.seen(at).await.talos.unwrap().maintenance);
        }
        // What was saved is there again, on the machines that were wiped.
        let restore = lab.recipes(0).restore.as_ref().unwrap();
        futures::future::join_all((0..3).map(|at| lab.set_up(at))).await;
        let elsewhere = [(HoleName::new(SNAPSHOT), Secret::new("/no/such/file".into()))].into();
        let error = lab.run_with(0, restore, elsewhere).await.unwrap_err().to_string();
        assert!(error.contains("/no/such/file cannot be read"), "{error}");
        assert!(!lab.seen(0).await.is_member(), "nothing was begun");
        let restored = lab.run_with(0, restore, saved.gave).await.unwrap();
        assert!(restored.gave.contains_key("cluster/kubeconfig") && lab.seen(0).await.serves());
        let path = std::fs::read_dir(lab.kept.path()).unwrap().next().unwrap().unwrap().path();
        assert_eq!(lab.nodes[0].given(), Some(std::fs::read(path).unwrap()), "etcd was begun with the snapshot");
        lab.run(1, &lab.recipes(1).join).await.unwrap();
    }
}

#[tokio::test]
async fn what_differs_is_told_by_its_place_and_set_without_a_restart_or_with_one() {
    let mut lab = Lab::new("v1.11.5", "v1.34.0");
    for at in 0..3 {
        lab.set_up(at).await.unwrap();
    }
    lab.run(0, lab.recipes(0).init.as_ref().unwrap()).await.unwrap();
    lab.desired = desired(&lab.nodes, "v1.11.5", "v1.34.1", "");
    let image = |name: &str| format!("{name}:v1.34");
    let told = lab.differs(2).await;
    let kubelet = image("machine.kubelet.image: ghcr.io/siderolabs/kubelet");
    assert_eq!(told, [format!("machine configuration: {kubelet}.0 -> {kubelet}.1")]);
    let starts = lab.nodes[2].with(|state| state.starts);
    assert!(lab.set_up(2).await.unwrap().changed);
    assert_eq!((lab.nodes[2].with(|state| state.starts), lab.differs(2).await.len()), (starts, 0));
    lab.run(2, &lab.recipes(2).upgrade).await.unwrap();
    let more = ", patches: [{ machine: { env: { a: b } } }]";
    lab.desired = desired(&lab.nodes, "v1.11.5", "v1.34.1", more);
    assert_eq!(lab.differs(2).await, ["machine configuration:  -> machine.env.a: b"]);
    lab.set_up(2).await.unwrap();
    assert_eq!((lab.nodes[2].with(|state| state.starts), lab.differs(2).await.len()), (starts + 1, 0));
    lab.desired = desired(&lab.nodes, "v1.11.6", "v1.34.1", more);
    let told = lab.differs(2).await;
    assert!(told[0] == "Talos: v1.11.5 -> v1.11.6" && told.len() == 2, "{told:?}");
    lab.set_up(2).await.unwrap();
    assert_eq!(lab.differs(2).await, [""; 0]);
}

#[tokio::test]
async fn a_node_that_boots_is_not_taken_for_one_that_holds_nothing() {
    let lab = Lab::new("v1.13.2", "v1.36.0");
    let set_up = futures::future::join_all((0..3).map(|at| lab.set_up(at))).await;
    assert!(set_up.iter().all(Result::is_ok), "{set_up:?}");
    lab.run(0, lab.recipes(0).init.as_ref().unwrap()).await.unwrap();
    lab.run(1, &lab.recipes(1).join).await.unwrap();
    lab.run(2, &lab.recipes(2).join).await.unwrap();
    for at in [1, 2] {
        let node = &lab.nodes[at];
        node.with(|state| state.locked = true);
        node.power_off();
        node.power_on(&lab._site);
        while node.with(|state| state.stage != Stage::Running) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let boots = lab.look(at).await;
        let why = boots.why_unknown().unwrap_or_else(|| panic!("{boots:?}"));
        assert!(!why.lasts && why.words.contains("has not mounted its disk"), "{why:?}");
        node.with(|state| state.locked = false);
        while node.with(|state| !state.mounted) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(lab.seen(at).await.is_member());
    }
}

#[tokio::test]
async fn kubernetes_runs_when_the_kubelet_and_the_control_plane_are_new() {
    let mut lab = Lab::new("v1.11.5", "v1.34.0");
    for at in 0..3 {
        lab.set_up(at).await.unwrap();
    }
    lab.run(0, lab.recipes(0).init.as_ref().unwrap()).await.unwrap();
    lab.desired = desired(&lab.nodes, "v1.11.5", "v1.34.1", "");
    for at in [2, 0] {
        lab.set_up(at).await.unwrap();
        let runs = |node: &Node| {
            node.with(|state| {
                let pods = state.pods.values().filter(|image| image.ends_with(":v1.34.1")).count();
                (state.kubelet.as_ref().is_some_and(|(image, _)| image.ends_with(":v1.34.1")), pods)
            })
        };
        assert_eq!(runs(&lab.nodes[at]), (false, 0), "the old ones go on for a while");
        lab.run(at, &lab.recipes(at).upgrade).await.unwrap();
        assert_eq!(runs(&lab.nodes[at]), (true, if at == 0 { 3 } else { 0 }));
    }
}

#[tokio::test]
async fn strangers_and_silent_nodes_are_told_apart() {
    let lab = Lab::new("v1.11.5", "v1.34.0");
    lab.set_up(0).await.unwrap();
    let why = |seen: Seen<HostSeen>| seen.why_unknown().cloned().unwrap();
    // Its secrets are others than ours.
    let ours = lab.bundle.lock().unwrap().replace(Bundle::generate(SystemTime::now()).unwrap());
    let strange = why(lab.look(0).await);
    assert!(strange.lasts && strange.words.contains("belongs to another cluster"), "{strange:?}");
    // We have none at all.
    *lab.bundle.lock().unwrap() = None;
    let lost = why(lab.look(0).await);
    assert!(lost.lasts && lost.words.contains("no secrets of its cluster are kept here"), "{lost:?}");
    assert!(lab.seen(1).await.talos.unwrap().maintenance);
    *lab.bundle.lock().unwrap() = ours;
    lab.nodes[1].power_off();
    let silent = why(lab.look(1).await);
    assert!(!silent.lasts && silent.words.contains("cannot be reached"), "{silent:?}");
    // A worker is no place to begin.
    lab.set_up(2).await.unwrap();
    let refused = lab.run(2, lab.recipes(0).init.as_ref().unwrap()).await.unwrap_err();
    assert!(refused.to_string().contains("the node is a worker"), "{refused}");
    assert_eq!(lab.nodes[2].with(|state| state.stage), Stage::Running);
    // A disk that is not there is refused in the node's words, and nothing is written.
    lab.nodes[1].power_on(&lab._site);
}
