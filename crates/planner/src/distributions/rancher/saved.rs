//! What is saved of etcd, and a server that begins with it.
//!
//! <https://docs.k3s.io/cli/etcd-snapshot>, <https://docs.rke2.io/datastore/backup_restore>

use kubewright_model::bundle::KEYS;
use kubewright_model::programs::RESTORE;
use kubewright_model::recipe::{Effect, Output, Recipe, RecipeStep};
use kubewright_model::spec::Distribution;
use kubewright_model::spec::kubernetes::API_PORT;

use super::super::bundles::Packs;
use super::recipes::recipe;
use super::{Program, api_port, kube_vip, shell};
use crate::context::Context;
use crate::context::nodes::NodePlan;

/// What snapshots that we ask for are called before the node and the time.
const NAME: &str = "kubewright";
/// What a server keeps beside its datastore, in its folder for data.
const KEPT: &str = "token agent-token node-token tls cred";
/// A server writes this one anew while it runs, and can do so from nothing.
const DYNAMIC: &str = "dynamic-cert.json";
/// The unit that resets etcd while it does.
const RESETS: &str = "kubewright-restore";

impl Program {
    /// Snapshots that somebody asks for are kept for ever, unless those are pruned that are more than so many. Who asks is
    /// told that all went well also where the server could save nothing (`Snapshot`, `pkg/etcd/snapshot.go`), so the file has
    /// to be there, and newer than the question.
    pub(super) fn save(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        let brings = RecipeStep::Bring { newest: format!("{}/{NAME}-*", self.snapshots()), with: None };
        Recipe {
            title: "save a snapshot of etcd".into(),
            effect: Effect::Snapshot,
            version: None,
            steps: vec![shell(&self.saves(context, node, false)), brings],
            gives: Vec::new(),
        }
    }

    fn snapshots(&self) -> String {
        self.data("server/db/snapshots")
    }

    /// The script. A server saves one at a time, and refuses others meanwhile: who has time asks again for five minutes.
    fn saves(&self, context: &Context<'_>, node: &NodePlan<'_>, patient: bool) -> String {
        let kept = context.file.spec.backup.as_ref().map_or(0, |backup| backup.keep.last);
        let (binary, folder) = (self.binary(), self.snapshots());
        // K3s is asked at its API's port; RKE2 at another one, which is always the same.
        let at = match api_port(context, node) {
            port if self.distribution == Distribution::K3s && port != API_PORT => {
                format!(" --etcd-server https://127.0.0.1:{port}")
            }
            _ => String::new(),
        };
        let prune = match kept {
            0 => String::new(),
            kept => format!("\n{binary} etcd-snapshot prune --name {NAME} --etcd-snapshot-retention {kept}{at}"),
        };
        let save = format!("{binary} etcd-snapshot save --name {NAME}{at}");
        let save = match patient {
            true => {
                format!("tried=0\nuntil {save}; do\ntried=$((tried + 1))\n[ $tried -lt 20 ] || exit 1\nsleep 15\ndone")
            }
            false => save,
        };
        format!(
            "set -eu\n\
             asked=$(mktemp)\n\
             trap 'rm -f -- \"$asked\"' EXIT\n\
             {save}\n\
             [ -n \"$(find {folder} -maxdepth 1 -type f -name '{NAME}-*' -newer \"$asked\")\" ] || {{\n\
             echo 'nothing was saved: the log of {} tells why' >&2\nexit 1\n}}{prune}",
            self.unit(true).name
        )
    }

    /// What of a server goes into a bundle that it makes by itself: the same as into one that somebody asks for.
    pub(super) fn packs(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Packs {
        let (server, snapshots) = (self.data("server"), self.snapshots());
        Packs {
            snapshot: format!(
                "(\n{}\n)\nsnapshot=$(ls -1t -- {snapshots}/{NAME}-* | head -n 1)",
                self.saves(context, node, true)
            ),
            keys: format!(
                "for part in {KEPT}; do\n  \
                 [ ! -e {server}/\"$part\" ] || cp -RL -- {server}/\"$part\" distribution/\n\
                 done\n\
                 find distribution -name {DYNAMIC} -delete"
            ),
            kubectl: format!("{} --kubeconfig {}", self.kubectl.join(" "), self.kubeconfig()),
            folder: self.data("server/db"),
            settings: format!("/etc/rancher/{}", self.is.name),
            serves: self.data("server/db/etcd"),
        }
    }

    /// What a server keeps beside its datastore, and what a snapshot opens with: the tokens, the authorities with their keys,
    /// what Secrets are encrypted with. It is an archive in base64, in memory alone, and gone when it was read.
    /// <https://docs.k3s.io/datastore/backup-restore>, <https://docs.rke2.io/datastore/backup_restore>
    pub(super) fn kept_keys(&self) -> Recipe {
        let (server, given) = (self.data("server"), format!("/run/kubewright-keys-{}", self.title().to_lowercase()));
        let script = format!(
            "set -eu\numask 077\ncd {server}\nset --\n\
             for part in {KEPT}; do\n\
             [ ! -e \"$part\" ] || set -- \"$@\" \"$part\"\n\
             done\n\
             [ $# -gt 0 ] || {{\necho 'there are no keys in {server}' >&2\nexit 1\n}}\n\
             trap 'rm -f -- {given}.tgz {given}.part' EXIT\n\
             tar --exclude={DYNAMIC} -chzf {given}.tgz -- \"$@\"\n\
             base64 <{given}.tgz >{given}.part\n\
             mv -f -- {given}.part {given}"
        );
        Recipe {
            title: format!("read the keys of {}", self.title()),
            effect: Effect::Look,
            version: None,
            steps: vec![shell(&script)],
            gives: vec![Output { hole: KEYS.into(), file: given, replace: Vec::new(), once: true }],
        }
    }

    /// The first server, with what was saved. What is in that opens with the token that it was saved with, and a file that
    /// lies here is not looked for in a bucket. The reset leaves a flag, by which the first start knows to forget the node's
    /// own password, so none of before may be there. Until the unit starts the host is no member, which shows by the file.
    pub(super) fn begin_again(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        let saved = self.data(RESTORE);
        let mut steps = vec![
            self.without_half_a_restore(),
            match self.begins {
                Some(begins) => self.says(begins.into()),
                None => RecipeStep::Remove(self.membership()),
            },
            RecipeStep::Send { to: saved.clone(), with: None },
            RecipeStep::Remove(self.data("server/db/reset-flag")),
            self.resets(node, &saved),
            RecipeStep::Remove(saved),
        ];
        steps.extend(self.start(context, node));
        steps.push(self.api_ready());
        steps.push(self.alone(node));
        steps.extend(self.never_begins(context));
        steps.extend(kube_vip::answers(self, context));
        let title = format!("restore the {} cluster", self.title());
        recipe(context, &title, Effect::Restore, steps, vec![self.given_kubeconfig(context)])
    }

    /// A restore that was cut off leaves etcd with what was saved: whoever begins otherwise, or joins, would serve that. The
    /// folders are root's alone, as the program makes them.
    pub(super) fn without_half_a_restore(&self) -> RecipeStep {
        let (saved, server) = (self.data(RESTORE), self.data("server"));
        shell(&format!(
            "set -eu\numask 077\nmkdir -p {server}/db\n\
             [ ! -e {saved} ] || rm -rf -- {server}/db/etcd\n\
             rm -f -- {saved} {saved}.kubewright"
        ))
    }

    /// etcd is made of what was saved, as the unit would run it: with its environment, and once at a time.
    fn resets(&self, node: &NodePlan<'_>, saved: &str) -> RecipeStep {
        let (binary, unit) = (self.binary(), self.unit(true).name.trim_end_matches(".service"));
        let container = if node.lxc().is_some() { " -p Environment=container=lxc" } else { "" };
        shell(&format!(
            "set -eu\n\
             systemctl stop {RESETS}.service 2>/dev/null || :\n\
             systemd-run --quiet --wait --collect --unit={RESETS} -p KillMode=process -p Delegate=yes -p EnvironmentFile=-/etc/default/{unit} \
             -p EnvironmentFile=-/etc/sysconfig/{unit}{container} {binary} server --cluster-reset --etcd-s3=false \
             --cluster-reset-restore-path={saved} || {{\n\
             journalctl -u {RESETS} -n 20 --no-pager -o cat >&2\nexit 1\n}}"
        ))
    }

    /// Takes all other nodes out of the books, and with each its password: under a name that is taken nobody is let in, and
    /// they are not there yet. They are gone when the controllers have seen to them, which begin when the lease of the old
    /// ones has ended. <https://docs.k3s.io/architecture#how-agent-node-registration-works>
    fn alone(&self, node: &NodePlan<'_>) -> RecipeStep {
        let (kubectl, name) = (format!("{} --kubeconfig {}", self.kubectl.join(" "), self.kubeconfig()), &node.name);
        shell(&format!(
            "set -eu\n\
             all=$({kubectl} get nodes -o name)\n\
             for other in $all; do\n\
             [ \"$other\" = 'node/{name}' ] || {kubectl} delete \"$other\" --ignore-not-found --timeout=5m ||\n\
             echo \"$other is in the books still\" >&2\n\
             done\n\
             {kubectl} delete secret --namespace kube-system '{name}.node-password.{}' --ignore-not-found",
            self.title().to_lowercase()
        ))
    }
}
