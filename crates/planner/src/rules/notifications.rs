//! 08xx, the part about who is told of what.

use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::notifications::{Notification, Occasion};

use super::{Facts, at};

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (index, wish) in facts.spec.notifications.iter().enumerate() {
        one(wish, &at("notifications").then(index), found);
    }
    let hears = |wish: &Notification| wish.on.iter().any(|on| [Occasion::Drift, Occasion::Expiry].contains(on));
    if facts.spec.maintenance.drift.is_some() && !facts.spec.notifications.iter().any(hears) {
        let message = "nobody is named who would be told".to_string();
        let help = "write somebody into `notifications` who hears of `drift`, or remove it";
        found.push(Diagnostic::new(codes::DRIFT, at("maintenance/drift"), message).help(help));
    }
}

fn one(wish: &Notification, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    let mut say = |path: SpecPath, message: String, help: &str| {
        found.push(Diagnostic::new(codes::NOTIFICATION, path, message).help(help));
    };
    let ways = [
        ("webhook", wish.webhook.is_some()),
        ("slack", wish.slack.is_some()),
        ("matrix", wish.matrix.is_some()),
        ("email", wish.email.is_some()),
    ];
    let named: Vec<String> = ways.iter().filter(|(_, there)| *there).map(|(name, _)| format!("`{name}`")).collect();
    if named.len() != 1 {
        let what = if named.is_empty() { "nobody".to_string() } else { named.join(" and ") };
        let help =
            "write exactly one of `webhook`, `slack`, `matrix` and `email`; each further one is an entry of its own";
        say(path.clone(), format!("this entry names {what}"), help);
    }
    if let Some(matrix) = wish.matrix.as_ref().filter(|matrix| !matrix.room.starts_with('!')) {
        let help = "write the room's identifier, as its settings show it: `!abc:example.org`; an alias (`#…`) is none";
        say(path.then("matrix").then("room"), format!("`{}` is no identifier of a room", matrix.room), help);
    }
    if let Some(email) = wish.email.as_ref().filter(|email| email.user.is_some() != email.password.is_some()) {
        let missing = if email.user.is_some() { "password" } else { "user" };
        let message = format!("a user logs in with a password, and the {missing} is missing");
        say(path.then("email"), message, "write both, or neither");
    }
}
