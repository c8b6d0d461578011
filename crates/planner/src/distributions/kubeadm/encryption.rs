//! Secrets that lie locked in etcd, by a key that every server has in a file of its own, and another key for them.
//! <https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/>
//!
//! The API server finds the key of what is locked by its name, locks with the first of the file, and knows no key that it was
//! not started with. So a key is on every server before any locks with it, and goes when nothing is locked with it any more.
//! The file that is wished has one key of one name: the new one comes in under a second name, and under the first one once
//! nothing needs the old one.
//! <https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#rotating-a-decryption-key>

use std::sync::Arc;

use kubewright_model::host::FileWish;
use kubewright_model::ids::HoleName;
use kubewright_model::recipe::{Effect, Recipe, RecipeStep};
use kubewright_model::rotation::{Round, next_of};
use kubewright_model::text::Text;
use serde_json::{Value, json};

use super::etcd::ETCDCTL;
use super::recipes::{ALONE, api_ready, recipe};
use super::renewal::{is_let_in, start_again};
use super::{ADMIN, at, shell};
use crate::context::Context;
use crate::context::nodes::NodePlan;
use crate::foundation::{ENCRYPTION_FILE, ENCRYPTION_KEY};

/// What keys are called: that of the wished file, and the one that the next one has until then.
const OURS: &str = "kubewright";
const INTERIM: &str = "interim";
/// How often Secrets are written that somebody else changes meanwhile.
const TRIES: u32 = 20;

/// The file. What was written before it was there is read as it is.
pub(super) fn file() -> FileWish {
    with([(OURS, ENCRYPTION_KEY.into())])
}

/// The file with these keys, of which the first one locks.
fn with<const N: usize>(keys: [(&str, HoleName); N]) -> FileWish {
    let begins = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  \
                  providers:\n  - secretbox:\n      keys:\n";
    let text = keys.into_iter().fold(Text::known(begins), |text, (name, hole)| {
        text.and(format!("      - name: {name}\n        secret: \"")).and_hole(hole).and("\"\n")
    });
    FileWish::new(ENCRYPTION_FILE, text.and("  - identity: {}\n"), 0o600)
}

/// What the API server is told of it: the file is on the host, and the server in a container.
pub(super) fn api_server() -> Value {
    json!({
        "extraArgs": [{ "name": "encryption-provider-config", "value": ENCRYPTION_FILE }],
        "extraVolumes": [{
            "name": "encryption",
            "hostPath": ENCRYPTION_FILE,
            "mountPath": ENCRYPTION_FILE,
            "readOnly": true,
            "pathType": "File",
        }],
    })
}

/// Another key for Secrets, in rounds that each end everywhere before the next begins. Each may be done twice.
pub(super) fn another_lock(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<Round> {
    let server = node.is_server();
    let of = |title: &str, effect, steps| {
        Arc::new(Recipe { version: None, ..recipe(context, title, effect, steps, Vec::new()) })
    };
    let knows = |title: &str, file: FileWish| {
        let again = shell(format!("{ALONE}{}", start_again("kube-apiserver")));
        let steps = || vec![RecipeStep::Write(file), again, api_ready(context, node), is_let_in(node)];
        Round::InTurn(server.then(|| of(title, Effect::Follow, steps())))
    };
    let writes = |title: &str, before: &str| {
        Round::Once(server.then(|| of(title, Effect::Turn, vec![shell(writes_all(before))])))
    };
    let now = || HoleName::from(ENCRYPTION_KEY);
    let next = || HoleName::of_secret(&next_of(now().secret().unwrap_or_default()));
    vec![
        knows("know the new key for Secrets", with([(OURS, now()), (INTERIM, next())])),
        knows("lock Secrets with the new key", with([(INTERIM, next()), (OURS, now())])),
        writes("lock every Secret with the new key", OURS),
        // What is kept as the key is the new one from here on.
        Round::TakesOver,
        knows("know the new key for Secrets by its name for good", with([(INTERIM, now()), (OURS, now())])),
        knows("lock Secrets with the new key by that name", with([(OURS, now()), (INTERIM, now())])),
        writes("lock every Secret by that name", INTERIM),
        knows("forget the new key's other name", file()),
    ]
}

/// Every Secret is written as it is, which locks it with the key that comes first; one that somebody else writes meanwhile is
/// locked by that. At last none may lie in etcd under the name that it is to be locked with no more. What etcd gives is
/// locked, and in memory alone.
fn writes_all(before: &str) -> String {
    let kubectl = format!("{} --kubeconfig {ADMIN}", at("kubectl"));
    format!(
        "{ALONE}\
         umask 077\n\
         said=$(mktemp -p /run)\n\
         trap 'rm -f -- \"$said\"' EXIT\n\
         tried=0\n\
         until {kubectl} get secrets --all-namespaces -o json | {kubectl} replace -f - >/dev/null 2>\"$said\"; do\n\
         tried=$((tried + 1))\n\
         [ $tried -lt {TRIES} ] || {{ head -n 5 \"$said\" >&2; exit 1; }}\n\
         sleep 3\n\
         done\n\
         {ETCDCTL}\
         etcdctl get /registry/secrets/ --prefix --print-value-only >\"$said\"\n\
         left=$(grep -a -c 'k8s:enc:secretbox:v1:{before}:' \"$said\" || :)\n\
         [ \"$left\" = 0 ] || {{ echo \"$left Secrets are not locked with the new key yet\" >&2; exit 1; }}"
    )
}
