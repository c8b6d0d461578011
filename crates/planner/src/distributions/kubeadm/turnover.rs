//! What a cluster of kubeadm goes over to while it lives.
//!
//! Nobody is let in any more with what let nodes in until now: kubeadm keeps that in the cluster for some hours, and makes the
//! next one from what is kept here when somebody joins. Another key for tokens of ServiceAccounts is made on one server, and
//! reaches the others by this computer: first all of them believe it, and then each signs with it.
//! <https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/>,
//! <https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-init/#uploading-control-plane-certificates-to-the-cluster>

use std::collections::BTreeMap;
use std::sync::Arc;

use kubewright_model::host::FileWish;
use kubewright_model::recipe::{Effect, Output, Recipe, RecipeStep};
use kubewright_model::rotation::{Rotation, Round};
use kubewright_model::text::Text;

use super::recipes::{ALONE, api_ready, recipe};
use super::renewal::{is_let_in, start_again};
use super::{ADMIN, at, config, encryption, shell};
use crate::context::Context;
use crate::context::nodes::NodePlan;

/// What kubeadm goes over to while the cluster lives.
pub(super) fn turnovers(context: &Context<'_>, node: &NodePlan<'_>) -> BTreeMap<Rotation, Vec<Round>> {
    let ends = node.is_server().then(|| Arc::new(ends(context)));
    let mut all = BTreeMap::from([
        (Rotation::JoinToken, vec![Round::Once(ends), Round::TakesOver]),
        (Rotation::ServiceAccountKeys, another_signature(context, node)),
    ]);
    if context.file.spec.kubernetes.encrypt_secrets {
        all.insert(Rotation::EncryptionKeys, encryption::another_lock(context, node));
    }
    all
}

/// Where the new key and its public half are until they have taken their places, and how they come to others.
const NEXT: &str = "/etc/kubernetes/kubewright/signs";
const KEY: &str = "cluster/service-account-key.next";
const PUBLIC: &str = "cluster/service-account-pub.next";
/// What signs tokens, and what is believed: a file may hold several keys.
/// <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/> (`--service-account-key-file`)
const SIGNS: &str = "/etc/kubernetes/pki/sa.key";
const BELIEVES: &str = "/etc/kubernetes/pki/sa.pub";

/// The one that signed until now is believed as well; those from before that are not any more. What stands first in the file
/// belongs to what signs, as kubeadm expects it (`TryLoadPrivatePublicKeyFromDisk`, `pki_helpers.go`).
fn another_signature(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<Round> {
    let server = node.is_server();
    let of = |title: &str, effect, steps, gives| {
        Arc::new(Recipe { version: None, ..recipe(context, title, effect, steps, gives) })
    };
    let given = |hole: &str, file: &str| Output {
        hole: hole.into(),
        file: format!("{NEXT}/{file}"),
        replace: Vec::new(),
        once: false,
    };
    // What is there already, kubeadm leaves as it is.
    let makes = format!("{ALONE}umask 077\n{} init phase certs sa --cert-dir {NEXT}", at("kubeadm"));
    let gives = vec![given(KEY, "sa.key"), given(PUBLIC, "sa.pub")];
    let put =
        |hole: &str, file: &str| RecipeStep::Write(FileWish::new(format!("{NEXT}/{file}"), Text::hole(hole), 0o600));
    let follows = |title: &str, mut steps: Vec<RecipeStep>, script: String| {
        steps.extend([shell(script), api_ready(context, node), is_let_in(node)]);
        of(title, Effect::Follow, steps, Vec::new())
    };
    let believed =
        || follows("believe the new key for tokens of ServiceAccounts", vec![put(PUBLIC, "sa.pub")], believes());
    let signed = || {
        let signs = follows("sign tokens of ServiceAccounts with the new key", vec![put(KEY, "sa.key")], signs());
        let steps = signs.steps.iter().cloned().chain([RecipeStep::Remove(NEXT.into())]).collect();
        Arc::new(Recipe { steps, ..(*signs).clone() })
    };
    let makes = || of("make another key for tokens of ServiceAccounts", Effect::Turn, vec![shell(makes)], gives);
    vec![Round::Once(server.then(makes)), Round::InTurn(server.then(believed)), Round::InTurn(server.then(signed))]
}

/// The new key stands before the one that signs now, once.
fn believes() -> String {
    format!(
        "{ALONE}\
         [ \"$(awk '/^-----BEGIN /{{keys++}} keys == 1' {BELIEVES})\" = \"$(cat {NEXT}/sa.pub)\" ] || {{\n\
         awk '/^-----BEGIN /{{keys++}} keys == 1' {BELIEVES} | cat {NEXT}/sa.pub - >{BELIEVES}.kubewright\n\
         [ \"$(grep -c -e '-----BEGIN ' {BELIEVES}.kubewright)\" = 2 ] || {{\n\
         echo 'the key that is believed now cannot be read' >&2\nexit 1\n}}\n\
         mv -f -- {BELIEVES}.kubewright {BELIEVES}\n}}\n\
         {}",
        start_again("kube-apiserver")
    )
}

fn signs() -> String {
    format!(
        "{ALONE}\
         umask 077\n\
         cp -- {NEXT}/sa.key {SIGNS}.kubewright\n\
         mv -f -- {SIGNS}.kubewright {SIGNS}\n\
         {}",
        start_again("kube-apiserver kube-controller-manager")
    )
}

/// Tokens of ours end, and those of others stay; certificates that servers fetch are locked with a key of ours.
fn ends(context: &Context<'_>) -> Recipe {
    let kubectl = format!("{} --kubeconfig {ADMIN} --namespace kube-system", at("kubectl"));
    let script = format!(
        "{ALONE}\
         ours=$(printf '%s' '{}' | base64)\n\
         tokens=$({kubectl} get secrets --field-selector type=bootstrap.kubernetes.io/token \
         -o jsonpath='{{range .items[*]}}{{.metadata.name}} {{.data.description}}{{\"\\n\"}}{{end}}')\n\
         printf '%s\\n' \"$tokens\" | while read -r name description; do\n\
         [ \"$description\" != \"$ours\" ] || {kubectl} delete secret \"$name\" --ignore-not-found\n\
         done\n\
         {kubectl} delete secret kubeadm-certs --ignore-not-found",
        config::DESCRIPTION
    );
    let title = "let nobody in any more with the join token of now";
    Recipe { version: None, ..recipe(context, title, Effect::Turn, vec![shell(script)], Vec::new()) }
}
