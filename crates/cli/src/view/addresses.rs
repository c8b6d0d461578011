//! Services that have addresses of their own: where what runs in a cluster is reached from outside.

use std::collections::BTreeMap;

use kubewright_model::object::ObjectKey;
use kubewright_model::observed::ServiceSeen;

use super::table::{lines, table};
use crate::screen::{CARE, paint};

/// A row for each, and why those have no address that have none; nothing where there is no such Service.
pub(crate) fn told(services: &BTreeMap<ObjectKey, ServiceSeen>) -> Option<String> {
    if services.is_empty() {
        return None;
    }
    let mut rows = table(&["SERVICE", "ADDRESS", "PORT", "WHAT"]);
    for (key, service) in services {
        let ports: Vec<String> = service.ports.iter().map(u16::to_string).collect();
        let at = match service.addresses.is_empty() {
            true => paint(CARE, "none so far"),
            false => service.addresses.join(", "),
        };
        rows.add_row([key.to_string(), at, ports.join(", "), service.title().to_string()]);
    }
    let whys = services.iter().filter_map(|(key, service)| {
        let why = service.why.as_ref().filter(|_| service.addresses.is_empty())?;
        Some(format!("\n{} {key}: {why}", paint(CARE, "?")))
    });
    Some(lines(&rows) + &whys.collect::<String>())
}
