//! Another token, and other keys, for a cluster that lives.
//!
//! What servers have in common (what they are let in with, what locks Secrets, what signs tokens of ServiceAccounts) lies in
//! the datastore, locked with the token. One server puts the new one there, and every other takes it from there when it starts
//! again: so one starts after the other, and the one that was asked comes first.
//! <https://docs.k3s.io/cli/token>, <https://docs.k3s.io/cli/secrets-encrypt>, <https://docs.k3s.io/cli/certificate>,
//! <https://docs.rke2.io/security/token>, <https://docs.rke2.io/security/secrets_encryption>

use std::collections::BTreeMap;
use std::sync::Arc;

use kubewright_model::host::FileWish;
use kubewright_model::ids::HoleName;
use kubewright_model::recipe::{Effect, Recipe, RecipeStep};
use kubewright_model::rotation::{Rotation, Round, next_of};
use kubewright_model::spec::Distribution;
use kubewright_model::spec::kubernetes::{API_PORT, SUPERVISOR_PORT};
use kubewright_model::text::Text;
use kubewright_model::units::Span;

use super::recipes::recipe;
use super::{Program, api_port, shell};
use crate::context::Context;
use crate::context::nodes::NodePlan;
use crate::foundation::TOKEN_HOLE;

/// The first releases that lock Secrets with another key in one command (`rotate-keys`, in its second form).
/// <https://docs.k3s.io/cli/secrets-encrypt#encryption-key-rotation>
const LOCKS_ANEW: (u64, u64, u64) = (1, 31, 1);
/// The first releases that start again after `rotate-ca`. <https://github.com/k3s-io/k3s/issues/11014>
const SIGNS_ANEW: (u64, u64, u64) = (1, 31, 2);
/// About five Secrets are locked anew in a second; the server goes on with that when nobody waits any more.
const LOCKS: Span = Span::from_secs(60 * 60);
/// What a script knows for as long as it runs, in memory alone.
const ASKS: &str = "/run/kubewright-turns";

impl Program {
    /// What this version of the program can go over to while it lives.
    pub(super) fn goes_over(&self, context: &Context<'_>, node: &NodePlan<'_>) -> BTreeMap<Rotation, Vec<Round>> {
        let kubernetes = &context.file.spec.kubernetes;
        let version = kubernetes.version.patch();
        let locks = self.distribution == Distribution::Rke2 || kubernetes.encrypt_secrets;
        let mut all = BTreeMap::from([(Rotation::JoinToken, self.another_token(context, node))]);
        if locks && version >= LOCKS_ANEW {
            all.insert(Rotation::EncryptionKeys, self.another_lock(context, node));
        }
        if version >= SIGNS_ANEW {
            all.insert(Rotation::ServiceAccountKeys, self.another_signature(context, node));
        }
        all
    }

    /// A server that starts with the old token from then on ends at once, so every server has the new one in its file before
    /// any starts again. Agents that are let in with a token of their own keep that.
    fn another_token(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Vec<Round> {
        let server = node.is_server();
        let own = !server && context.file.spec.kubernetes.agent_token.is_some();
        let new = || RecipeStep::Write(FileWish::new(self.token(), Text::hole(TOKEN_HOLE), 0o600));
        let title = self.title();
        let turns = server.then(|| self.turns(context, node));
        let put = server.then(|| turn(context, "put the new join token into its file", vec![new()]));
        let follows = (!own).then(|| {
            let mut steps = vec![new(), self.starts_again(server, server)];
            steps.extend(self.is_back(node));
            of(context, &format!("start {title} again with the new join token"), Effect::Follow, steps)
        });
        vec![Round::Once(turns), Round::TakesOver, Round::Everywhere(put), Round::InTurn(follows)]
    }

    /// The datastore is locked with the new token, and nodes are let in with it by every server that starts from then on.
    ///
    /// It is what `token rotate` asks of the server (`pkg/server/handlers/token.go`, `pkg/cli/token/token.go`); that takes the
    /// new token as an argument, which everybody on the host may read, and kubectl takes it from a file. Who comes twice finds
    /// the new one written down already, where the server keeps it since.
    fn turns(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Arc<Recipe> {
        let next = format!("{}.next", self.token());
        let name = TOKEN_HOLE.trim_start_matches("secret/");
        // Where the spec says where the token is, the new one is there already.
        let hole = match context.file.spec.kubernetes.join_token.as_ref().filter(|place| place.generate.is_none()) {
            Some(_) => HoleName::from(TOKEN_HOLE),
            None => HoleName::of_secret(&next_of(name)),
        };
        let (server, kubectl) = (self.data("server"), self.kubectl.join(" "));
        let port = if self.distribution == Distribution::Rke2 { SUPERVISOR_PORT } else { api_port(context, node) };
        let script = format!(
            "set -eu\n\
             umask 077\n\
             trap 'rm -f -- {next} {ASKS}.yaml {ASKS}.json' EXIT\n\
             bare() {{ sed -e 's/^K10[0-9a-f]*::server://' -e 's/[\\\\\"]/\\\\&/g' \"$1\"; }}\n\
             new=$(bare {next})\n\
             old=$(bare {server}/token)\n\
             [ \"$old\" != \"$new\" ] || exit 0\n\
             cat >{ASKS}.yaml <<END\n\
             apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: own\n  cluster: {{ server: 'https://127.0.0.1:{port}', certificate-authority: {server}/tls/server-ca.crt }}\n\
             contexts:\n\
             - name: own\n  context: {{ cluster: own, user: server }}\n\
             current-context: own\n\
             users:\n\
             - name: server\n  user: {{ username: server, password: \"$old\" }}\n\
             END\n\
             cat >{ASKS}.json <<END\n\
             {{\"newToken\":\"$new\"}}\n\
             END\n\
             {kubectl} --kubeconfig {ASKS}.yaml replace --raw /v1-{}/token -f {ASKS}.json\n\
             # Others hear of it through etcd.\n\
             sleep 1\n\
             [ \"$(bare {server}/token)\" = \"$new\" ] || {{\n\
             echo 'the server has not taken the new join token: its log tells why' >&2\nexit 1\n}}",
            self.is.name
        );
        let steps = vec![RecipeStep::Write(FileWish::new(next, Text::hole(hole), 0o600)), shell(&script)];
        turn(context, &format!("take the {} cluster over to another join token", self.title()), steps)
    }

    /// The server adds a key, writes every Secret once more, and forgets the old key; the others take the new one over when
    /// they start again, and until then another rotation is refused: who comes twice finds that theirs is another one.
    fn another_lock(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Vec<Round> {
        let (binary, at, seconds) = (self.binary(), self.at(context, node), LOCKS.duration().as_secs());
        let asks = format!("{binary} secrets-encrypt status{at}");
        let script = format!(
            "set -eu\n\
             status() {{ {asks}; }}\n\
             key() {{ status | sed -n '/^ *\\*/p'; }}\n\
             case $(status) in\n\
             *'Status: Enabled'*) ;;\n\
             *) echo 'Secrets are not encrypted here' >&2\nexit 1 ;;\nesac\n\
             before=$(key)\n\
             said=''\n\
             case $(status) in\n\
             *'Stage: reencrypt_active'*) before='' ;;\n\
             *'Stage: start'*'All hashes match'* | *'Stage: reencrypt_finished'*'All hashes match'*)\n\
             said=$({binary} secrets-encrypt rotate-keys{at} 2>&1) || : ;;\n\
             *'Stage: reencrypt_finished'*) exit 0 ;;\n\
             *) status >&2\n\
             echo 'a rotation by other commands is under way: end that first' >&2\nexit 1 ;;\nesac\n\
             waited=0\n\
             while :; do\n\
             case $(status) in\n\
             *'Stage: reencrypt_finished'*) [ \"$(key)\" = \"$before\" ] || exit 0 ;;\n\
             *'Stage: reencrypt_active'*) [ $waited -ge {seconds} ] || {{ sleep 5; waited=$((waited + 5)); continue; }} ;;\n\
             esac\n\
             printf '%s\\n' \"$said\" >&2\n\
             status >&2\n\
             exit 1\n\
             done"
        );
        let agrees = RecipeStep::Until {
            command: vec!["/bin/sh".into(), "-c".into(), format!("{asks} | grep -q 'All hashes match'")],
            what: "all servers lock Secrets with the same key".into(),
            timeout: super::recipes::START_TIMEOUT,
            log: Some(self.unit(true).name.into()),
        };
        let server = node.is_server();
        let title = self.title();
        let locks = || turn(context, "lock all Secrets with another key", vec![shell(&script)]);
        let follows = || {
            let mut steps = vec![self.starts_again(true, false)];
            steps.extend(self.is_back(node));
            of(context, &format!("start {title} again with the new key for Secrets"), Effect::Follow, steps)
        };
        let sees = || turn(context, "see that all servers lock Secrets with the same key", vec![agrees.clone()]);
        vec![Round::Once(server.then(locks)), Round::InTurn(server.then(follows)), Round::Once(server.then(sees))]
    }

    /// The new key signs, and the one that signed until now is believed as well; those from before that are not any more. A
    /// file says that the datastore has it until the server starts again, so that who comes twice makes no second one.
    /// <https://docs.k3s.io/cli/certificate#service-account-issuer-key-rotation>
    fn another_signature(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Vec<Round> {
        let (binary, data, at) = (self.binary(), self.data("server"), self.at(context, node));
        let mark = format!("{data}/kubewright-signs-anew");
        let script = format!(
            "set -eu\n\
             umask 077\n\
             [ ! -e {mark} ] || exit 0\n\
             command -v openssl >/dev/null || {{\n\
             echo 'there is no openssl on this host, which makes the key' >&2\nexit 1\n}}\n\
             trap 'rm -rf -- {ASKS}' EXIT\n\
             rm -rf -- {ASKS}\n\
             mkdir -p {ASKS}/tls\n\
             form=''\n\
             case $(openssl version) in 'OpenSSL 3'*) form=-traditional ;; esac\n\
             openssl genrsa $form -out {ASKS}/tls/service.key 2048 2>/dev/null\n\
             awk '/^-----BEGIN /{{keys++}} keys == 1' {data}/tls/service.key >>{ASKS}/tls/service.key\n\
             [ \"$(grep -c -e '-----BEGIN ' {ASKS}/tls/service.key)\" = 2 ] || {{\n\
             echo 'the key that signs now cannot be read' >&2\nexit 1\n}}\n\
             {binary} certificate rotate-ca --path={ASKS}{at}\n\
             : >{mark}"
        );
        let server = node.is_server();
        let title = self.title();
        let signs = || turn(context, "make another key for tokens of ServiceAccounts", vec![shell(&script)]);
        let follows = || {
            let mut steps = vec![self.starts_again(true, false)];
            steps.extend(self.is_back(node));
            steps.push(RecipeStep::Remove(mark.clone()));
            of(context, &format!("start {title} again with the new key for tokens"), Effect::Follow, steps)
        };
        vec![Round::Once(server.then(signs)), Round::InTurn(server.then(follows))]
    }

    /// Which server its own commands ask, where that is not the usual one.
    fn at(&self, context: &Context<'_>, node: &NodePlan<'_>) -> String {
        match api_port(context, node) {
            port if self.distribution == Distribution::K3s && port != API_PORT => {
                format!(" --server https://127.0.0.1:{port}")
            }
            _ => String::new(),
        }
    }

    /// The unit starts again; who is cut in between has it started all the same. A server that has tried to start with the old
    /// token has written that down anew, and would not believe the datastore: what it has of tokens comes from there.
    /// (`ReconcileBootstrapData`, `pkg/cluster/bootstrap.go`)
    fn starts_again(&self, server: bool, forgets: bool) -> RecipeStep {
        let (unit, data) = (self.unit(server).name, self.data("server"));
        let forgets = if forgets { format!("\nrm -f -- {data}/cred/passwd {data}/token") } else { String::new() };
        shell(&format!(
            "set -eu\n\
             trap 'systemctl start --no-block {unit}' EXIT\n\
             systemctl stop {unit}{forgets}"
        ))
    }

    /// What is waited for after that.
    fn is_back(&self, node: &NodePlan<'_>) -> Vec<RecipeStep> {
        let unit = self.unit(node.is_server()).name;
        let mut waits = vec![self.unit_ready(unit)];
        waits.extend(node.is_server().then(|| self.api_ready()));
        waits.push(self.is_let_in(node));
        waits
    }
}

fn turn(context: &Context<'_>, title: &str, steps: Vec<RecipeStep>) -> Arc<Recipe> {
    of(context, title, Effect::Turn, steps)
}

fn of(context: &Context<'_>, title: &str, effect: Effect, steps: Vec<RecipeStep>) -> Arc<Recipe> {
    Arc::new(Recipe { version: None, ..recipe(context, title, effect, steps, Vec::new()) })
}
