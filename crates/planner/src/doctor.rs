//! What is wrong with a cluster that stands, from what was seen of it: every check is a function over the evidence.
//!
//! One file for each layer; [`checks::CHECKS`] names them all, and [`kubewright_model::doctor::INDEX`] says what each is
//! about. What only follows from another finding is told below it ([`grouping`]). What nobody could look at is told too: a
//! check that has nothing to look at finds nothing, and that is not the same as healthy.

mod api;
mod balancers;
mod case;
mod certificates;
mod checks;
mod disks;
mod etcd;
mod firewall;
mod gitops;
mod grouping;
mod images;
mod kernel;
mod kubeadm;
mod machines;
mod network;
mod nodes;
mod objects;
mod pem;
mod pods;
mod reach;
mod releases;
mod runtime;
mod storage;
mod system;
mod time;

use kubewright_model::desired::Desired;
use kubewright_model::doctor::{Diagnosis, Evidence, Finding, Unseen};
use kubewright_model::observed::Seen;

use case::Case;
pub use checks::names;

/// Asks every check, and says which findings are causes and which follow from others.
pub fn diagnose(evidence: &Evidence, desired: &Desired) -> Diagnosis {
    let case = Case::new(evidence, desired);
    let found = checks::CHECKS.iter().flat_map(|(id, check)| {
        let named = |finding| Finding { check: (*id).to_string(), ..finding };
        check(&case).into_iter().map(named)
    });
    let causes = grouping::grouped(found.collect());
    Diagnosis { causes, unseen: unseen(&case), checks: checks::CHECKS.len(), answered: case.lists().is_some() }
}

/// What could not be looked at.
fn unseen(case: &Case<'_>) -> Vec<Unseen> {
    let hosts = case.evidence.hosts.iter().filter_map(|(name, seen)| match seen {
        Seen::Unknown(why) => Some(Unseen { what: format!("host {name}"), why: why.to_string() }),
        Seen::Absent => Some(Unseen { what: format!("host {name}"), why: "its machine is not there".into() }),
        Seen::Present(_) => None,
    });
    let cluster = match &case.evidence.cluster {
        None => Some(Unseen { what: "the cluster".into(), why: "nobody looked".into() }),
        Some(Seen::Absent) => Some(Unseen { what: "the cluster".into(), why: "there is none".into() }),
        Some(Seen::Unknown(why)) => Some(Unseen { what: "the cluster".into(), why: why.to_string() }),
        Some(Seen::Present(_)) => None,
    };
    let lists = case.lists().into_iter().flat_map(|lists| &lists.unlisted);
    let lists = lists.map(|(kind, why)| Unseen { what: format!("the list of {kind}"), why: why.clone() });
    let papers = case.hosts().flat_map(|(name, papers)| {
        // Programs without which a whole layer of a host is dark; files that are not there are an answer.
        let dark =
            |paper: &&str| papers.lacks(paper) || (*paper == "units" && papers.status(paper).is_some_and(|it| it != 0));
        ["df", "units", "routes", "timesync"].into_iter().filter(dark).map(move |paper| Unseen {
            what: format!("{paper} of host {name}"),
            why: "the host has no program that tells".into(),
        })
    });
    let late = case.hosts().flat_map(|(name, papers)| {
        let late = papers.papers.keys().filter(|paper| papers.is_late(paper));
        late.map(move |paper| Unseen {
            what: format!("{paper} of host {name}"),
            why: "its program did not answer in time, or was at work".into(),
        })
    });
    hosts.chain(cluster).chain(lists).chain(papers).chain(late).collect()
}
