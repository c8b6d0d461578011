//! Back-end services: greeted in their own protocol, from the side of each node that needs them.

use std::time::Duration;

use futures::future::join_all;
use kubewright_model::checked::{Checked, Part};
use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;
use kubewright_model::spec::verify::ServiceProtocol;

use super::diagnosis::{Trouble, trouble};
use super::greetings::{Door, Greeted, greet};
use super::{Eyes, milliseconds, summed, unseen};

/// The namespace and the name of a Service of the cluster.
pub(crate) fn inside(at: &HostPort) -> Option<(&str, &str)> {
    let (name, rest) = at.host.split_once('.')?;
    let (namespace, domain) = rest.split_once(".svc")?;
    (domain.is_empty() || domain.starts_with('.')).then_some((namespace, name))
}

impl Eyes<'_> {
    /// Greets a service from each of these nodes.
    pub(super) async fn service(
        &self,
        at: &HostPort,
        protocol: ServiceProtocol,
        tls: bool,
        from: &[NodeName],
    ) -> Checked {
        let sides = match self.sides(from) {
            Ok(sides) => sides,
            Err(why) => return unseen(why),
        };
        let doors: Vec<Door<'_>> = sides.iter().map(|side| Door { side, at }).collect();
        let asked = doors.iter().map(|door| async move {
            match greet(door, protocol, tls).await {
                Ok(greeted) => Ok(greeted),
                Err(unmet) => Err(trouble(door, protocol, tls, unmet).await),
            }
        });
        let answers: Vec<Result<Greeted, Trouble>> = join_all(asked).await;
        let hint = answers.iter().find_map(|answer| answer.as_ref().err()?.hint.clone());
        let who = answers.iter().find_map(|answer| Some(answer.as_ref().ok()?.words()));
        let parts = doors.iter().zip(answers).map(|(door, answer)| part(door, answer)).collect();
        let good = |parts: &[Part]| format!("{}, {}", who.unwrap_or_default(), latencies(parts));
        let checked = summed(parts, good, hint);
        Checked { saw: if checked.holds { checked.saw } else { format!("{at}: {}", checked.saw) }, ..checked }
    }
}

fn part(door: &Door<'_>, answer: Result<Greeted, Trouble>) -> Part {
    let (name, address) = (door.side.name.to_string(), door.side.address());
    match answer {
        Ok(greeted) => {
            Part { name, address, holds: true, saw: greeted.words(), milliseconds: Some(milliseconds(greeted.took)) }
        }
        Err(trouble) => Part { name, address, holds: false, saw: trouble.saw, milliseconds: None },
    }
}

/// How long it took from each, and from which it took longest: `from k3s-master-01 3 ms, …`.
fn latencies(parts: &[Part]) -> String {
    let took = |part: &Part| part.milliseconds.unwrap_or_default();
    let each = |part: &Part| format!("{} {}", part.name, told(took(part)));
    match parts {
        [only] => format!("from {}", each(only)),
        many if many.len() <= 3 => {
            let all: Vec<String> = many.iter().map(each).collect();
            format!("from {}", all.join(", "))
        }
        many => match many.iter().max_by_key(|part| took(part)) {
            Some(slowest) => format!("from {} nodes, slowest {}", many.len(), each(slowest)),
            None => String::new(),
        },
    }
}

fn told(milliseconds: u64) -> String {
    match Duration::from_millis(milliseconds) {
        took if took.is_zero() => "<1 ms".into(),
        _ => format!("{milliseconds} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_of_the_cluster_is_known_by_its_name() {
        let of = |host: &str| inside(&HostPort::new(host, 80)).map(|(namespace, name)| format!("{namespace}/{name}"));
        assert_eq!(of("db.apps.svc.cluster.local").as_deref(), Some("apps/db"));
        assert_eq!(of("db.apps.svc").as_deref(), Some("apps/db"));
        assert_eq!(of("db.svclab.example.com"), None);
        assert_eq!(of("10.0.0.10"), None);
    }

    #[test]
    fn latencies_name_each_node_or_the_slowest() {
        let part = |name: &str, ms| Part { name: name.into(), milliseconds: Some(ms), ..Part::default() };
        let mut parts = vec![part("a", 3), part("b", 0)];
        assert_eq!(latencies(&parts), "from a 3 ms, b <1 ms");
        parts.extend([part("c", 9), part("d", 1)]);
        assert_eq!(latencies(&parts), "from 4 nodes, slowest c 9 ms");
    }
}
