//! `kubewright logs`: what a node or a pod says.

use std::io::Write as _;

use kubewright_engine::cluster::PodLogs;
use kubewright_engine::{Logs as Wanted, Piece};
use kubewright_model::desired::{Desired, DesiredHost};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{Namespace, ObjectName};

use super::host;
use crate::arguments::{Arguments, Logs, Output};
use crate::problem::{Done, Problem};
use crate::screen::written;
use crate::source::{self, Reading};
use crate::world::Site;

/// What stands before the name of a pod.
const POD: &str = "pod/";
/// Units that the packages of ours bring along: those that are not there have no entries.
const OTHERS: [&str; 4] = ["containerd.service", "kubelet.service", "haproxy.service", "keepalived.service"];

pub(crate) fn run(arguments: &Arguments, wish: &Logs) -> Result<Done, Problem> {
    let desired = source::read(&wish.file, Reading::of(arguments, Output::Text))?.desired;
    let hears = |piece: Piece<'_>| match piece {
        Piece::Out(bytes) => {
            let mut out = std::io::stdout().lock();
            written(out.write_all(bytes).and_then(|()| out.flush()));
        }
        Piece::Err(bytes) => drop(std::io::stderr().write_all(bytes)),
    };
    if let Some(pod) = wish.of.strip_prefix(POD) {
        let asked = PodLogs {
            namespace: Namespace::new(wish.namespace.as_str()),
            pod: ObjectName::new(pod),
            container: wish.container.clone(),
            lines: Some(wish.lines),
            since: wish.since,
            follow: wish.follow,
            previous: wish.previous,
        };
        return Site::look(arguments, &wish.file, &desired, async |site| {
            let read = site.engine.pod_logs(&desired, &asked, &hears).await;
            read.map_err(|error| Problem::new(Done::Unfinished, error.to_string()))?;
            Ok(Done::Well)
        });
    }
    let host = host(&desired, &wish.of)?;
    let units = if wish.units.is_empty() { ours(&desired, host) } else { wish.units.clone() };
    let wanted = Wanted { units, lines: wish.lines, since: wish.since, follow: wish.follow };
    Site::look(arguments, &wish.file, &desired, async |site| {
        let hands = site.engine.hosts(&desired).await.map_err(|why| Problem::new(Done::Unfinished, why))?;
        let read = hands.logs(&host.name, &host.way, &wanted, &hears).await;
        read.map_err(|error| Problem::new(Done::Unfinished, error.to_string()))?;
        Ok(Done::Well)
    })
}

/// What of ours logs there: the units that we set up, and the programs beside them; of Talos, its own services.
fn ours(desired: &Desired, host: &DesiredHost) -> Vec<String> {
    if host.way.talos.is_some() {
        let server = desired.servers().any(|member| member.name == host.name);
        let etcd = server.then(|| "etcd".to_string());
        return ["machined".to_string(), "kubelet".into()].into_iter().chain(etcd).collect();
    }
    let units = host.resources.iter().filter_map(|resource| match resource {
        HostResource::Unit(unit) => Some(unit.name.clone()),
        _ => None,
    });
    let mut units: Vec<String> = units.collect();
    let others = OTHERS.iter().filter(|other| !units.iter().any(|unit| unit == *other)).map(|it| it.to_string());
    let others: Vec<String> = others.collect();
    units.extend(others);
    units
}
