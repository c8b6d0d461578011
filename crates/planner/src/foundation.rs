//! What a cluster keeps for its whole life: the settings that it was begun with, and its join token.
//!
//! Another wish is refused, never rolled out. What was is written down when the cluster is begun, of the token only its
//! digest. Where that was lost, the token is compared on the hosts that are members with the one that we would write there:
//! so a new token that was made in the meantime is found as well.

use std::collections::BTreeMap;

use kubewright_model::desired::Desired;
use kubewright_model::digest::Digest;
use kubewright_model::host::{FileWish, HostResource};
use kubewright_model::observed::{Observed, Seen};

/// The hole that holds the token with which nodes join.
pub(crate) const TOKEN_HOLE: &str = "secret/join-token";

/// The secret with which agents join, where it is not the servers' one.
pub(crate) const AGENT_TOKEN: &str = "agent-token";

/// Which token agents have. A living cluster does not go over to another: a server writes the password of agents down
/// beside its certificates, and at its second start with another one it ends, because that is newer than what the datastore
/// has (`genUsers` in `pkg/daemons/control/deps`, `ReconcileBootstrapData` in `pkg/cluster` of K3s).
pub(crate) const AGENTS_TOKEN: &str = "agents' token";
/// What it was before it could be another one.
pub(crate) const THAT_OF_SERVERS: &str = "that of servers";

/// The digest of the token among what is written down.
const TOKEN: &str = "join token";

/// What is written down when a cluster is begun; `filled` as in [`Observed::filled`].
pub fn begun_with(desired: &Desired, filled: &BTreeMap<Digest, Digest>) -> BTreeMap<String, String> {
    let token = token_file(desired).and_then(|file| filled.get(&file.content.fingerprint()));
    let token = token.map(|digest| (TOKEN.to_string(), digest.to_string()));
    desired.kubernetes.foundation.clone().into_iter().chain(token).collect()
}

/// Something that a cluster cannot go over to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shaken {
    /// What is so, in one sentence.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: String,
}

/// Everything of a cluster's foundation that would become another one.
pub(crate) fn shaken(desired: &Desired, observed: &Observed) -> Vec<Shaken> {
    let mut found = settings(desired, observed);
    found.extend(token(desired, observed));
    found
}

fn settings(desired: &Desired, observed: &Observed) -> Vec<Shaken> {
    let was = match &observed.foundation {
        None | Some(Seen::Absent) => return Vec::new(),
        Some(Seen::Unknown(why)) => {
            return vec![Shaken {
                message: format!("what the cluster was begun with cannot be read: {why}"),
                help: "put the file back; or remove it, if the spec says what the cluster was begun with".into(),
            }];
        }
        Some(Seen::Present(was)) => was,
    };
    // One that was written down by an older version lacks what that version did not know, and could not do.
    let before = |setting: &str| (setting == AGENTS_TOKEN).then_some(THAT_OF_SERVERS);
    let wishes = desired.kubernetes.foundation.iter();
    let known = wishes.filter_map(|(setting, wish)| {
        let was = was.get(setting).map(String::as_str).or_else(|| before(setting))?;
        Some((setting, was, wish))
    });
    let other = known.filter(|(_, was, wish)| was != wish).map(|(setting, was, wish)| Shaken {
        message: format!("the cluster was begun with {setting} {was}, and cannot go over to {wish}"),
        help: "take the change back, or make everything anew with `kubewright rebuild`".into(),
    });
    other.collect()
}

/// A server refuses to start with another token than the one that its datastore is locked with, and nobody could join.
/// <https://docs.k3s.io/cli/token>
fn token(desired: &Desired, observed: &Observed) -> Option<Shaken> {
    let file = token_file(desired)?;
    let ours = observed.filled.get(&file.content.fingerprint());
    let mut members = observed.hosts.values().filter_map(Seen::present).filter(|host| host.is_member()).peekable();
    let begun = observed.foundation.as_ref().and_then(Seen::present);
    let wrong = match (begun.and_then(|was| was.get(TOKEN)), ours) {
        (Some(was), Some(ours)) => ours.to_string() != *was,
        (Some(_), None) => true,
        (None, None) => members.peek().is_some(),
        // One host may have been changed by hand. When none holds ours, and nobody wrote down what was, ours is wrong.
        (None, Some(ours)) => {
            let there: Vec<_> = members.filter_map(|host| host.files.get(&file.path)).collect();
            begun.is_none() && !there.is_empty() && there.iter().all(|seen| seen.digest != *ours)
        }
    };
    let named = desired.secrets.contains_key("join-token");
    let message = match (ours, named) {
        (None, true) => "the cluster lives, and its join token is not where the spec says",
        (None, false) => "the cluster lives, and its join token is not kept here: no other is made",
        (Some(_), _) => "the cluster was begun with another join token than ours, and keeps it",
    };
    let help = match named {
        true => "put the token back that it was begun with".into(),
        false => format!(
            "bring `.kubewright/{0}` back; or copy {1} of a server into `.kubewright/{0}/secrets/join-token`",
            desired.cluster, file.path
        ),
    };
    wrong.then(|| Shaken { message: message.into(), help })
}

/// The file on every node that holds the token and nothing else.
fn token_file(desired: &Desired) -> Option<&FileWish> {
    let resources = desired.hosts.iter().flat_map(|host| &host.resources);
    let mut files = resources.filter_map(|resource| match resource {
        HostResource::File(file) => Some(file),
        _ => None,
    });
    files.find(|file| file.content.holes().any(|hole| hole.as_str() == TOKEN_HOLE))
}
