//! Argo CD's applications in the pretend cluster: those that the spec expects, as if Git held them. What goes wrong with
//! them is set up on purpose, and passes only by what helps in the real thing.

use kubewright_model::applications::{ApplicationSeen, DesiredApplications, Remedy};
use kubewright_model::ids::{Namespace, ObjectName};
use serde::{Deserialize, Serialize};

use super::faults::FaultKind;
use super::state::State;
use super::timing;
use crate::cluster::ClusterError;

/// Where Argo CD and its applications are.
const NAMESPACE: &str = "argocd";
/// The chart that brings it.
const CHART: &str = "argo-cd";

/// What keeps an application from being synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Trouble {
    /// Nobody makes the namespace that it is put into.
    NoNamespace,
    /// The repo-server's connection is gone.
    Eof,
    /// What it made does not start.
    Stuck,
}

/// An application.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Application {
    /// When its sync began.
    begun: u64,
    trouble: Option<Trouble>,
}

impl State {
    /// Argo CD finds what Git holds as soon as it runs and has been told of the application that holds all others.
    pub(super) fn find_applications(&mut self, now: u64) {
        let runs = self.cluster.releases.values().any(|it| it.chart == CHART && it.deployed && now >= it.ready_at);
        let Some(wish) = self.applications.clone().filter(|_| runs) else {
            return self.cluster.applications.clear();
        };
        let rooted = self.cluster.objects.values().any(|kept| kept.id.kind == "Application");
        if !self.cluster.applications.is_empty() || (self.rooted && !rooted) {
            return;
        }
        let names = names(&wish);
        let fresh = |name: &ObjectName| (name.clone(), Application { begun: now, trouble: None });
        self.cluster.applications = names.iter().map(fresh).collect();
        // Those that must be Healthy are hit first, and each application by one mishap only.
        let mut victims = wish.check.healthy.iter().chain(&names).cloned().collect::<Vec<_>>().into_iter();
        let kinds = [
            (FaultKind::NamespaceMissing, Trouble::NoNamespace),
            (FaultKind::RepoServerEof, Trouble::Eof),
            (FaultKind::ApplicationStuck, Trouble::Stuck),
        ];
        for (kind, trouble) in kinds {
            let Some((_, course)) = self.fault(kind) else { continue };
            course.met += 1;
            course.over = true;
            let hit = victims.find(|name| self.cluster.applications.get(name).is_some_and(|it| it.trouble.is_none()));
            if let Some(hit) = hit.and_then(|name| self.cluster.applications.get_mut(&name)) {
                hit.trouble = Some(trouble);
            }
        }
    }

    /// Applications as Argo CD tells of them.
    pub(super) fn applications_seen(&self, now: u64) -> Vec<ApplicationSeen> {
        self.cluster.applications.iter().map(|(name, it)| seen(name, it, now)).collect()
    }

    /// Whether what Git holds for a namespace has come: with the application that is called as it, else with all of them.
    pub(super) fn brought(&self, namespace: Option<&Namespace>, now: u64) -> bool {
        let come = |it: &Application| it.trouble.is_none() && now >= it.begun + timing::SYNC + timing::RELEASE_READY;
        let all = &self.cluster.applications;
        match namespace.and_then(|namespace| all.get(&ObjectName::new(namespace.as_str()))) {
            Some(it) => come(it),
            None => !all.is_empty() && all.values().all(come),
        }
    }

    /// Somebody mends what does not start.
    pub(super) fn unstick_applications(&mut self, now: u64) {
        let stuck = self.cluster.applications.values_mut().filter(|it| it.trouble == Some(Trouble::Stuck));
        stuck.for_each(|it| *it = Application { begun: now, trouble: None });
    }

    /// Does what was decided for applications.
    pub(super) fn mend_applications(&mut self, remedy: &Remedy, now: u64) -> Result<(), ClusterError> {
        match remedy {
            Remedy::MakeNamespace(name) => drop(self.cluster.namespaces.insert(name.clone())),
            Remedy::RestartRepoServer(_) => self.cluster.repo_server_at = Some(now + timing::REPO_SERVER),
            Remedy::Sync { name, .. } => {
                let there = self.cluster.namespaces.contains(name.as_str());
                let serves = self.cluster.repo_server_at.is_some_and(|at| now >= at);
                let Some(it) = self.cluster.applications.get_mut(name) else { return Ok(()) };
                let helped = match it.trouble {
                    Some(Trouble::NoNamespace) => there,
                    Some(Trouble::Eof) => serves,
                    Some(Trouble::Stuck) => false,
                    None => return Ok(()),
                };
                if helped {
                    *it = Application { begun: now, trouble: None };
                }
            }
        }
        Ok(())
    }
}

/// The applications that the spec names, and as many more as it counts.
fn names(wish: &DesiredApplications) -> Vec<ObjectName> {
    let check = &wish.check;
    let mut names: Vec<ObjectName> = Vec::new();
    for name in check.names.iter().chain(&check.healthy).chain(&check.progressing) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let more = (check.count as usize).saturating_sub(names.len());
    names.extend((1..=more).map(|number| ObjectName::new(format!("application-{number}"))));
    names
}

fn seen(name: &ObjectName, it: &Application, now: u64) -> ApplicationSeen {
    let base = ApplicationSeen {
        name: name.clone(),
        namespace: Namespace::from(NAMESPACE),
        sync: "Synced".into(),
        health: "Healthy".into(),
        phase: "Succeeded".into(),
        message: "successfully synced (all tasks run)".into(),
        conditions: Vec::new(),
        resources: Vec::new(),
        automated: true,
        asked: false,
    };
    let running = |message: String| ApplicationSeen {
        sync: "OutOfSync".into(),
        health: "Progressing".into(),
        phase: "Running".into(),
        message,
        ..base.clone()
    };
    match it.trouble {
        Some(Trouble::NoNamespace) => ApplicationSeen {
            sync: "OutOfSync".into(),
            health: "Missing".into(),
            phase: "Failed".into(),
            message: format!("one or more objects failed to apply, reason: namespaces \"{name}\" not found"),
            ..base
        },
        Some(Trouble::Eof) => {
            let eof = "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = \
                       Unavailable desc = error reading from server: EOF";
            let conditions = vec![("ComparisonError".into(), eof.into())];
            let (sync, health) = ("Unknown".into(), "Unknown".into());
            ApplicationSeen { sync, health, phase: String::new(), message: String::new(), conditions, ..base }
        }
        Some(Trouble::Stuck) => running(format!("waiting for healthy state of apps/Deployment/{name}")),
        None if now < it.begun + timing::SYNC => running("waiting for completion of hooks and of tasks".into()),
        None if now < it.begun + timing::SYNC + timing::RELEASE_READY => {
            let resources = vec![format!("Deployment {name}/{name} is Progressing")];
            ApplicationSeen { health: "Progressing".into(), resources, ..base }
        }
        None => base,
    }
}
