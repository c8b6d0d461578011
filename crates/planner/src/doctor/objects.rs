//! Objects of Kubernetes as JSON, and what checks ask of them.

use serde_json::Value;

/// What every object tells.
pub(super) trait Object {
    /// The text at a JSON pointer; empty where there is none.
    fn text(&self, pointer: &str) -> &str;
    /// The list at a JSON pointer; empty where there is none.
    fn each(&self, pointer: &str) -> &[Value];
    /// A whole number at a JSON pointer; 0 where there is none.
    fn count(&self, pointer: &str) -> i64;

    /// Its name.
    fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// Its namespace; empty where it is in none.
    fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// A label of it.
    fn label(&self, key: &str) -> Option<&str>;

    /// `NAMESPACE/NAME`.
    fn full_name(&self) -> String {
        match self.namespace() {
            "" => self.name().to_string(),
            namespace => format!("{namespace}/{}", self.name()),
        }
    }

    /// Its condition of a type.
    fn condition(&self, kind: &str) -> Option<&Value> {
        self.each("/status/conditions").iter().find(|it| it.text("/type") == kind)
    }
}

impl Object for Value {
    fn text(&self, pointer: &str) -> &str {
        self.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn each(&self, pointer: &str) -> &[Value] {
        self.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn count(&self, pointer: &str) -> i64 {
        self.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
    }

    fn label(&self, key: &str) -> Option<&str> {
        self.pointer("/metadata/labels")?.get(key)?.as_str()
    }
}

/// A container of a pod: what its pod says of it, and how it is.
#[derive(Clone, Copy)]
pub(super) struct Container<'a> {
    /// What its pod says.
    pub(super) spec: &'a Value,
    /// How it is.
    pub(super) status: &'a Value,
}

impl<'a> Container<'a> {
    /// Why it waits: `CrashLoopBackOff`; empty where it does not.
    pub(super) fn waits(&self) -> &'a str {
        self.status.text("/state/waiting/reason")
    }

    /// What its waiting is told with.
    pub(super) fn waits_message(&self) -> &'a str {
        self.status.text("/state/waiting/message")
    }

    /// Why it ended the last time.
    pub(super) fn ended(&self) -> &'a str {
        match self.status.text("/state/terminated/reason") {
            "" => self.status.text("/lastState/terminated/reason"),
            reason => reason,
        }
    }

    /// What it said last, where it or its runtime tells.
    pub(super) fn last_words(&self) -> &'a str {
        match self.status.text("/lastState/terminated/message") {
            "" => self.status.text("/state/terminated/message"),
            words => words,
        }
    }

    /// Its image, as its pod says.
    pub(super) fn image(&self) -> &'a str {
        self.spec.text("/image")
    }
}

/// The containers of a pod that have a status, those that begin it among them.
pub(super) fn containers(pod: &Value) -> impl Iterator<Item = Container<'_>> {
    const LISTS: [(&str, &str); 2] =
        [("/spec/initContainers", "/status/initContainerStatuses"), ("/spec/containers", "/status/containerStatuses")];
    LISTS.into_iter().flat_map(move |(specs, statuses)| {
        pod.each(statuses).iter().filter_map(move |status| {
            let spec = pod.each(specs).iter().find(|spec| spec.text("/name") == status.text("/name"))?;
            Some(Container { spec, status })
        })
    })
}

/// Whether a pod is ready.
pub(super) fn is_ready(pod: &Value) -> bool {
    pod.condition("Ready").is_some_and(|it| it.text("/status") == "True")
}

/// Whether a pod has done its work.
pub(super) fn is_done(pod: &Value) -> bool {
    pod.text("/status/phase") == "Succeeded"
}

/// How a pod is, as `kubectl get pods` says it.
pub(super) fn state(pod: &Value) -> String {
    let waits = containers(pod).map(|it| it.waits()).find(|reason| !reason.is_empty() && *reason != "PodInitializing");
    match (waits, pod.text("/status/reason")) {
        (Some(reason), _) => reason.to_string(),
        (None, "") => pod.text("/status/phase").to_string(),
        (None, reason) => reason.to_string(),
    }
}

/// The seconds since 1970 of a time as the API writes it: `2026-11-22T17:57:26Z`.
pub(super) fn moment(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let days = super::pem::days(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    Some(days * 86_400 + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?)
}

/// A label selector of equal values against labels.
pub(super) fn selects(selector: &Value, labels: Option<&Value>) -> bool {
    let Some(wanted) = selector.as_object().filter(|wanted| !wanted.is_empty()) else { return false };
    wanted.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}
