//! What a cluster keeps for its whole life: the settings that it was begun with, and its join tokens.
//!
//! Another wish is refused, never rolled out. What was is written down when the cluster is begun, of the token only its
//! digest. Where that was lost, the token is compared on the hosts that are members with the one that we would write there:
//! so a new token that was made in the meantime is found as well.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::desired::Desired;
use kubewright_model::digest::Digest;
use kubewright_model::host::{FileWish, HostResource};
use kubewright_model::ids::HoleName;
use kubewright_model::observed::{HostSeen, Observed, Seen};
use kubewright_model::rotation::Rotation;

/// The hole that holds the token with which nodes join.
pub(crate) const TOKEN_HOLE: &str = "secret/join-token";

/// The secret with which agents join, where it is not the servers' one.
pub(crate) const AGENT_TOKEN: &str = "agent-token";

/// The hole that holds the key with which servers of kubeadm lock Secrets, and the file that they read it from.
pub(crate) const ENCRYPTION_KEY: &str = "secret/encryption-key";
pub(crate) const ENCRYPTION_FILE: &str = "/etc/kubernetes/kubewright/encryption.yaml";

/// Which token agents have. A living cluster does not go over to another: a server writes the password of agents down
/// beside its certificates, and at its second start with another one it ends, because that is newer than what the datastore
/// has (`genUsers` in `pkg/daemons/control/deps`, `ReconcileBootstrapData` in `pkg/cluster` of K3s).
pub(crate) const AGENTS_TOKEN: &str = "agents' token";
/// What it was before it could be another one.
pub(crate) const THAT_OF_SERVERS: &str = "that of servers";

/// The digest of the token among what is written down.
const TOKEN: &str = "join token";
/// The same of the one that agents have for themselves.
const TOKEN_OF_AGENTS: &str = "join token of agents";
/// The same of the key: with another one, no server reads what the others have written.
const KEY: &str = "encryption key";

/// What is written down when a cluster is begun; `filled` as in [`Observed::filled`].
pub fn begun_with(desired: &Desired, filled: &BTreeMap<Digest, Digest>) -> BTreeMap<String, String> {
    let tokens = Token::all(desired).into_iter();
    let tokens = tokens.filter_map(|token| Some((token.word, filled.get(&token.file.content.fingerprint())?)));
    let tokens = tokens.map(|(word, digest)| (word.to_string(), digest.to_string()));
    desired.kubernetes.foundation.clone().into_iter().chain(tokens).collect()
}

/// What is written down when another token or key has taken the place of one: the rest stays as the cluster was begun with it.
pub fn moved_on(
    was: &BTreeMap<String, String>,
    desired: &Desired,
    filled: &BTreeMap<Digest, Digest>,
) -> BTreeMap<String, String> {
    let mut known = was.clone();
    for (word, now) in begun_with(desired, filled).into_iter().filter(|(word, _)| is_of_a_secret(word)) {
        if let Some(before) = was.get(&word).filter(|before| **before != now) {
            known.insert(format!("{word}{BEFORE}"), before.clone());
        }
        known.insert(word, now);
    }
    known
}

/// What is written down of a secret that another one has taken the place of: what was saved opens with it, and a cluster may go
/// back to that.
const BEFORE: &str = " before";

/// Whether what is written down under this word is the digest of a secret.
pub fn is_of_a_secret(word: &str) -> bool {
    [TOKEN, TOKEN_OF_AGENTS, KEY].contains(&word.strip_suffix(BEFORE).unwrap_or(word))
}

/// Another token or key is on its way, and not everybody goes by it: nobody joins, and nothing is set up, before they do.
pub(crate) fn pending(observed: &Observed) -> Option<Shaken> {
    let secret = observed.pending.first()?;
    let key = HoleName::from(ENCRYPTION_KEY);
    let what = match secret.as_str() {
        secret if key.secret() == Some(secret) => Rotation::EncryptionKeys,
        secret if secret.starts_with("service-account-") => Rotation::ServiceAccountKeys,
        _ => Rotation::JoinToken,
    };
    Some(Shaken {
        message: format!("another {secret} is on its way, and not everybody goes by it yet"),
        help: format!("`kubewright rotate {what}` goes on with it"),
    })
}

/// Whether the secret is another one than the one that the cluster was begun with, as it was written down.
pub(crate) fn is_another(secret: &str, desired: &Desired, observed: &Observed) -> bool {
    let was = observed.foundation.as_ref().and_then(Seen::present);
    Token::all(desired).iter().filter(|token| token.secret() == secret).any(|token| {
        let ours = observed.filled.get(&token.file.content.fingerprint()).map(Digest::to_string);
        was.and_then(|was| was.get(token.word)).zip(ours).is_some_and(|(was, ours)| *was != ours)
    })
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
    found.extend(Token::all(desired).iter().filter_map(|token| token.shaken(desired, observed)));
    found
}

fn settings(desired: &Desired, observed: &Observed) -> Vec<Shaken> {
    // A rebuild that was cut has taken everything away, and the next cluster is not begun yet: it is begun with the wish.
    let holds = observed.hosts.values().filter_map(Seen::present).any(HostSeen::is_member);
    let anew = desired.restores.is_none();
    if anew && observed.unfinished.as_ref().is_some_and(BTreeSet::is_empty) && !holds {
        return Vec::new();
    }
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
        help: match OF_ANOTHER_KIND.contains(&setting.as_str()) {
            true => format!("take the change back; or {ANOTHER_KIND}"),
            false => "take the change back, or make everything anew with `kubewright rebuild`".into(),
        },
    });
    other.collect()
}

/// What a cluster is saved and ended by: the tools for another one find nothing there.
const OF_ANOTHER_KIND: [&str; 2] = ["distribution", "datastore"];
const ANOTHER_KIND: &str = "`kubewright destroy` with the file as it was, and then `kubewright apply` with this one";

/// Why the cluster that is there cannot be saved or taken away by what the spec has now.
pub(crate) fn of_another_kind(desired: &Desired, observed: &Observed) -> Option<Shaken> {
    let was = observed.foundation.as_ref()?.present()?;
    let differs = |setting: &&&str| {
        let wish = desired.kubernetes.foundation.get(**setting);
        was.get(**setting).is_some_and(|was| Some(was) != wish)
    };
    let setting = OF_ANOTHER_KIND.iter().find(differs)?;
    Some(Shaken {
        message: format!(
            "what is there was begun with {setting} {}, and this file can neither save nor end it",
            was[*setting]
        ),
        help: ANOTHER_KIND.into(),
    })
}

/// A token, or a key, that a cluster was begun with: what its digest is written down as, and the file on servers that holds
/// it and no other secret.
struct Token<'d> {
    word: &'static str,
    file: &'d FileWish,
}

impl<'d> Token<'d> {
    /// All of them: that of servers, and that of agents where they have one of their own.
    fn all(desired: &'d Desired) -> Vec<Self> {
        let files = || {
            let resources = desired.hosts.iter().flat_map(|host| &host.resources);
            resources.filter_map(|resource| match resource {
                HostResource::File(file) => Some(file),
                _ => None,
            })
        };
        let of_servers = files().find(|file| file.content.holes().any(|hole| hole.as_str() == TOKEN_HOLE));
        let own = format!("/{AGENT_TOKEN}");
        let of_agents = files().find(|file| file.path.starts_with("/etc/rancher/") && file.path.ends_with(&own));
        let key = files().find(|file| file.path == ENCRYPTION_FILE);
        let all = [(TOKEN, of_servers), (TOKEN_OF_AGENTS, of_agents), (KEY, key)];
        all.into_iter().filter_map(|(word, file)| Some(Self { word, file: file? })).collect()
    }

    /// The name of the secret in the store.
    fn secret(&self) -> &str {
        let hole = self.file.content.holes().next();
        hole.and_then(HoleName::secret).unwrap_or_default()
    }

    /// A server refuses to start with another token than the one that its datastore is locked with, and nobody could join.
    /// <https://docs.k3s.io/cli/token>
    fn shaken(&self, desired: &Desired, observed: &Observed) -> Option<Shaken> {
        let ours = observed.filled.get(&self.file.content.fingerprint());
        let mut members = observed.hosts.values().filter_map(Seen::present).filter(|host| host.is_member()).peekable();
        let begun = observed.foundation.as_ref().and_then(Seen::present);
        let wrong = match (begun.and_then(|was| was.get(self.word)), ours) {
            (Some(was), Some(ours)) => ours.to_string() != *was,
            (Some(_), None) => true,
            // That there was none for agents is told with the settings.
            (None, None) => members.peek().is_some() && (self.word != TOKEN_OF_AGENTS || begun.is_none()),
            // One host may have been changed by hand. When none holds ours, and nobody wrote down what was, ours is wrong.
            (None, Some(ours)) => {
                let there: Vec<_> = members.filter_map(|host| host.files.get(&self.file.path)).collect();
                begun.is_none() && !there.is_empty() && there.iter().all(|seen| seen.digest != *ours)
            }
        };
        let before = begun.and_then(|was| was.get(&format!("{}{BEFORE}", self.word)));
        let goes_back =
            desired.restores.is_some() && before.is_some() && before == ours.map(Digest::to_string).as_ref();
        let (word, secret) = (self.word, self.secret());
        let named = desired.secrets.contains_key(secret);
        let message = match (ours, named) {
            (None, true) => format!("the cluster lives, and its {word} is not where the spec says"),
            (None, false) => format!("the cluster lives, and its {word} is not kept here: no other is made"),
            (Some(_), _) => format!("the cluster was begun with another {word} than ours, and keeps it"),
        };
        let what = if word == KEY { "the key in" } else { "what is in" };
        let help = match named {
            true => "put the token back that it was begun with".into(),
            false => format!(
                "bring `.kubewright/{0}` back; or put {what} {1} of a server into `.kubewright/{0}/secrets/{secret}`",
                desired.cluster, self.file.path
            ),
        };
        (wrong && !goes_back).then_some(Shaken { message, help })
    }
}
