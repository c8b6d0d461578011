//! One spec in both pretend worlds, from its first plan to its end.

use std::sync::Arc;

use kubewright_engine::engine::plan_from;
use kubewright_engine::sim::State;
use kubewright_engine::{Engine, EngineError, RunReport, Stop};
use kubewright_model::event::Record;
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Action, Ask, Plan};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::mirror::{Mirror, Roots, Shared};
use super::real;
use crate::fake::{Fake, TOKEN_SECRET};
use crate::scenarios::render;
use crate::yard::{Yard, desired, words};

/// Both worlds, and what is wished in them.
pub(super) struct Both {
    pub(super) fake: Shared,
    pub(super) yard: Yard,
    folder: TempDir,
    spec: String,
    runtime: Arc<Runtime>,
}

impl Both {
    /// Both worlds, empty, for a spec as it stands in its file. It is told where the pretend cluster is, and where the
    /// secrets are.
    pub(super) fn new(fake: Fake, spec: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [("token", TOKEN_SECRET), ("hash", "$6$salt$1234"), ("key.pub", "ssh-ed25519 AAAA lab\n")] {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        let (before, rest) = spec.split_once("endpoint: https://").expect("a spec with machines of Proxmox");
        let (_, after) = rest.split_once(":8006").expect("the endpoint has Proxmox' port");
        let secrets = [
            ("{ env: PROXMOX_TOKEN_SECRET }", "{ file: token }"),
            ("{ env: ODIN_PASSWORD_HASH }", "{ file: hash }"),
            ("~/.ssh/id_rsa", "key"),
            ("~/.ssh/id_ed25519", "key"),
        ];
        let spec = format!("{before}endpoint: {}\n      fingerprint: {}{after}", fake.url, fake.fingerprint);
        let spec = secrets.iter().fold(spec, |spec, (from, to)| spec.replace(from, to));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { fake: Shared::new(fake), yard: Yard::new(desired(&spec), 3), folder, spec, runtime: Arc::new(runtime) }
    }

    /// Puts a file beside the spec.
    pub(super) fn put(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// Something else is wished from now on: pieces of the text and what stands in their place.
    pub(super) fn wish(&mut self, changes: &[(&str, &str)]) {
        for (from, to) in changes {
            assert!(self.spec.contains(from), "the spec does not hold `{from}`");
            self.spec = self.spec.replace(from, to);
        }
        self.yard.wish(desired(&self.spec));
    }

    /// Somebody does the same by hand in both worlds.
    pub(super) fn by_hand(&self, python: &str, alter: impl FnOnce(&mut State)) {
        self.fake.tell(python);
        self.yard.centre.alter(alter);
    }

    /// An engine that knows nothing of what the last one did.
    fn engine(&self) -> Engine {
        let mut world = self.yard.centre.world(&self.yard.desired);
        let mut theirs = real(&self.yard.desired, self.folder.path()).providers;
        for name in self.yard.desired.proxmox.keys() {
            let ours = world.providers.remove(name).expect("hands on our own pretend machines");
            let theirs = theirs.remove(name).expect("hands on Proxmox");
            world.providers.insert(name.clone(), Arc::new(Mirror { theirs, ours, runtime: self.runtime.clone() }));
        }
        let ours = world.hosts.take().expect("hands on hosts");
        world.hosts = Some(Arc::new(Roots { ours, fake: self.fake.clone() }));
        Engine::new(world, Arc::new(self.yard.store.clone()))
    }

    /// What both worlds show, with everything else the same; what others have there is not compared, nor what cannot be
    /// looked at.
    async fn looks(&self) -> (Observed, Observed) {
        let mut theirs = self.engine().status(&self.yard.desired).await;
        let mut ours = theirs.clone();
        for (name, hands) in self.yard.centre.world(&self.yard.desired).providers {
            let Some(Seen::Present(shown)) = theirs.providers.get_mut(&name) else { continue };
            shown.taken.clear();
            let mut own = hands.observe(&self.yard.desired.owner).await.unwrap();
            own.taken.clear();
            ours.providers.insert(name, Seen::Present(own));
        }
        (theirs, ours)
    }

    /// The plan of both worlds, which is the same.
    pub(super) async fn plan(&self, what: &str, ask: &Ask) -> Plan {
        let (theirs, ours) = self.looks().await;
        assert_eq!(theirs.providers, ours.providers, "{what}: the two worlds show different things");
        let plan = |observed: &Observed| plan_from(&self.yard.desired, observed, ask, &[]).unwrap();
        assert_eq!(render(&plan(&theirs)), render(&plan(&ours)), "{what}: the two worlds give different plans");
        plan(&theirs)
    }

    /// One run, while somebody hears what happens.
    pub(super) async fn run(&self, ask: &Ask, hears: &mut dyn FnMut(&Record)) -> Result<RunReport, EngineError> {
        let request = self.yard.request(ask, &[]);
        self.engine().apply(&request, &Stop::default(), hears).await
    }

    /// Plans and does it: returns the steps on machines. Nothing is left to do then, in either world.
    pub(super) async fn becomes(&self, what: &str, ask: &Ask) -> Vec<String> {
        let plan = self.plan(what, ask).await;
        assert!(!plan.is_blocked(), "{what}: {:?}", plan.notes);
        if matches!(ask, Ask::Destroy) {
            self.yard.centre.announce_end();
        }
        let ended = self.run(ask, &mut |_| {}).await;
        assert_eq!(words(&ended), "complete", "{what}");
        let again = if matches!(ask, Ask::Destroy) { Ask::Destroy } else { Ask::Apply };
        let left = self.plan(what, &again).await;
        assert!(left.is_empty(), "{what}: still to be done: {}", render(&left));
        machine_steps(&plan)
    }

    /// What the pretend cluster says of something.
    pub(super) fn told(&self, python: &str) -> Value {
        self.fake.tell(python)
    }
}

/// The names of the steps that are done by a provider.
fn machine_steps(plan: &Plan) -> Vec<String> {
    let on_provider = |action: &Action| {
        matches!(
            action,
            Action::CreateMachine(_)
                | Action::UpdateMachine(_)
                | Action::StartMachine { .. }
                | Action::RestartMachine { .. }
                | Action::DeleteMachine { .. }
                | Action::TakeSnapshot { .. }
                | Action::DeleteSnapshots { .. }
                | Action::SetBackupJob(_)
                | Action::DeleteBackupJob { .. }
        )
    };
    plan.steps.iter().filter(|step| on_provider(&step.action)).map(|step| step.id.to_string()).collect()
}
