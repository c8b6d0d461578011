//! Who is told of what.

use kubewright_model::desired::{DesiredEmail, DesiredNotification, DesiredReceiver};
use kubewright_model::spec::ClusterFile;
use kubewright_model::spec::notifications::Notification;

use crate::context::SecretNames;

/// Everybody whom the file names, in its order.
pub(super) fn notifications(file: &ClusterFile, secrets: &mut SecretNames) -> Vec<DesiredNotification> {
    let all = file.spec.notifications.iter().enumerate();
    all.filter_map(|(at, wish)| Some(DesiredNotification { to: receiver(at, wish, secrets)?, on: wish.on.clone() }))
        .collect()
}

/// A rule sees to it that there is exactly one. Their secrets are told apart by their place.
fn receiver(at: usize, wish: &Notification, secrets: &mut SecretNames) -> Option<DesiredReceiver> {
    let name = |what: &str| format!("notification-{}-{what}", at + 1);
    if let Some(webhook) = &wish.webhook {
        let url = secrets.hole(&name("url"), Some(&webhook.url));
        let key = webhook.key.as_ref().map(|key| secrets.hole(&name("key"), Some(key)));
        return Some(DesiredReceiver::Webhook { url, key });
    }
    if let Some(slack) = &wish.slack {
        return Some(DesiredReceiver::Slack { url: secrets.hole(&name("url"), Some(&slack.url)) });
    }
    if let Some(matrix) = &wish.matrix {
        let token = secrets.hole(&name("token"), Some(&matrix.token));
        let (server, room) = (matrix.server.trim_end_matches('/').to_string(), matrix.room.clone());
        return Some(DesiredReceiver::Matrix { server, room, token });
    }
    let email = wish.email.as_ref()?;
    Some(DesiredReceiver::Email(DesiredEmail {
        server: email.server.clone(),
        tls: email.tls,
        user: email.user.clone(),
        password: email.password.as_ref().map(|it| secrets.hole(&name("password"), Some(it))),
        from: email.from.clone(),
        to: email.to.clone(),
    }))
}
