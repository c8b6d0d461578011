//! A first server that begins with what was saved of etcd, wherever that was: on the same host or on another one, under
//! another name and at another address.
//!
//! The cluster's authorities and keys come back with the snapshot; certificates are made anew, for they name hosts. Of etcd
//! a data folder is made before kubeadm begins, with this server as its one member, and kubeadm is told that it may be
//! there. What etcd is called, where it listens and which image it is from, kubeadm writes down itself.
//! <https://etcd.io/docs/v3.6/op-guide/recovery/#restoring-with-revision-bump>,
//! <https://kubernetes.io/docs/tasks/administer-cluster/configure-upgrade-etcd/#restoring-an-etcd-cluster>

use kubewright_model::programs::{KUBEADM_AUTHORITIES, KUBEADM_ENCRYPTION, KUBEADM_UNDER_WAY};
use kubewright_model::recipe::{Effect, Recipe, RecipeStep};

use super::backups::{FOLDER, KEYS, KEYS_ENDING};
use super::recipes::{self, ALONE, AUTHORITY, CONFIG, DISCOVERY};
use super::{ADMIN, at, config, leave, shell, units};
use crate::context::Context;
use crate::context::nodes::NodePlan;
use crate::foundation::ENCRYPTION_FILE;

/// Where what was saved is, until the cluster has begun with it.
const SAVED: &str = "/var/backups/kubewright/restore.db";
/// What etcd's data folder is made in, because etcd's tool wants to make that itself, and a disk may be mounted there.
const MADE: &str = "/var/lib/etcd/kubewright-restore";
/// etcd's data.
const MEMBER: &str = "/var/lib/etcd/member";

/// The first server, with what was saved.
pub(super) fn restore(context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
    let quiet = "--upload-certs --skip-token-print --skip-certificate-key-print";
    // The check that is left out is the one that finds etcd's data.
    let words = format!("init --config {CONFIG} {quiet} --ignore-preflight-errors=DirAvailable--var-lib-etcd");
    let mut steps = vec![
        RecipeStep::Send { to: SAVED.into(), with: Some(KEYS_ENDING.into()) },
        recipes::write(CONFIG, config::init(context, node)),
        recipes::becomes(&words, "first", &format!("{}{}", keys(), data())),
    ];
    steps.extend(recipes::member(context, node));
    steps.push(alone(node));
    steps.extend([SAVED.to_string(), beside()].map(RecipeStep::Remove));
    let gives = vec![recipes::authority(), recipes::kubeconfig()];
    recipes::recipe(context, "restore the kubeadm cluster", Effect::Restore, steps, gives)
}

/// Ends a member before another state of etcd is put back, by kubeadm's own way back; containerd and what is set up stay.
/// etcd's data and the keys are put aside first, beside what was put aside before.
pub(super) fn stand_down(server: bool) -> Recipe {
    let gone = leave::clear();
    let script = format!(
        "{ALONE}\
         umask 077\n\
         if [ -e {KEYS}/manifests/etcd.yaml ] || [ -e {MEMBER} ]; then\n\
         for pod in $({crictl} ps -q --label io.kubernetes.pod.namespace=kube-system --label io.kubernetes.container.name=etcd); do\n\
         {crictl} stop \"$pod\" >/dev/null\ndone\n\
         {aside}fi\n\
         {gone}\n\
         rm -f -- {CONFIG} {DISCOVERY} {AUTHORITY} {KUBEADM_UNDER_WAY} {SAVED} {}",
        beside(),
        crictl = at("crictl"),
        aside = put_aside(),
    );
    let steps = vec![RecipeStep::Stop { unit: units::KUBELET.into() }, shell(script)];
    let title = if server { "reset kubeadm: etcd's data are put aside" } else { "reset kubeadm: it joins again" };
    let title = title.into();
    Recipe { title, effect: Effect::Leave, version: None, steps, gives: Vec::new() }
}

/// etcd's data are moved where that is the same disk. Elsewhere they are copied, and are gone when the copy is whole: where
/// there is no room for one, nothing goes, and nobody stands down. What is half a copy was cut, and its data are whole.
fn put_aside() -> String {
    format!(
        "aside={FOLDER}/before-$(date -u +%Y%m%dT%H%M%SZ)\n\
         part={FOLDER}/before.part\n\
         mkdir -p \"$aside\"\n\
         rm -rf -- $part\n\
         if [ ! -e {MEMBER} ]; then :\n\
         elif [ \"$(stat -c %d {MEMBER})\" = \"$(stat -c %d {FOLDER})\" ]; then mv {MEMBER} \"$aside/member\"\n\
         elif cp -a {MEMBER} $part; then\n\
         mv $part \"$aside/member\"\n\
         rm -rf -- {MEMBER}\n\
         else\n\
         rm -rf -- $part\n\
         rmdir \"$aside\"\n\
         echo 'the data of etcd cannot be put aside in {FOLDER}, so nothing of them was touched: make room there' >&2\n\
         exit 1\nfi\n\
         [ ! -e {KEYS}/pki ] || cp -a {KEYS}/pki \"$aside/\"\n"
    )
}

/// What goes with the snapshot.
fn beside() -> String {
    format!("{FOLDER}/restore.{KEYS_ENDING}")
}

/// The authorities and keys of then. What Secrets were locked with has to be here already: whoever begins without it serves
/// none of them.
fn keys() -> String {
    let (beside, authorities) = (beside(), KUBEADM_AUTHORITIES.join(" "));
    let key = "sed -n 's/^ *secret: *//p'";
    format!(
        "locked=$(tar -xOf {beside} {KUBEADM_ENCRYPTION} 2>/dev/null | {key})\n\
         if [ -n \"$locked\" ] && [ \"$locked\" != \"$({key} {ENCRYPTION_FILE} 2>/dev/null)\" ]; then\n\
         echo 'Secrets were locked with another key when this was saved: `encryptSecrets` and its key have to be those of then' >&2\n\
         exit 1\nfi\n\
         mkdir -p {KEYS}/pki/etcd\n\
         tar -C {KEYS} --no-same-owner -xf {beside} {authorities}\n"
    )
}

/// etcd's data, with this server as the one member: what kubeadm's own file calls it, and where it listens. The tool is in
/// etcd's image and nowhere else; images of v3.5 may have none, and there its client can still do it
/// (`CHANGELOG-3.6.md` of etcd). Revisions go on far above those that anybody has seen, and older ones count as gone: so
/// whoever still watches what was written after it was saved looks at everything anew. Older tools do not know that.
fn data() -> String {
    let (kubeadm, crictl, ctr) = (at("kubeadm"), at("crictl"), at("ctr"));
    format!(
        "(\n\
         {kubeadm} init phase etcd local --config {CONFIG} >/dev/null\n\
         manifest={KEYS}/manifests/etcd.yaml\n\
         image=$(sed -n 's/^ *image: *//p' $manifest)\n\
         name=$(sed -n 's/^ *- --name=//p' $manifest)\n\
         peer=$(sed -n 's/^ *- --initial-advertise-peer-urls=//p' $manifest)\n\
         rm -f -- $manifest\n\
         [ -n \"$image\" ] && [ -n \"$name\" ] && [ -n \"$peer\" ] || {{ echo 'kubeadm does not tell of etcd' >&2; exit 1; }}\n\
         {crictl} inspecti -q \"$image\" >/dev/null 2>&1 || {crictl} pull \"$image\" >/dev/null\n\
         root=$(mktemp -d)\n\
         trap '{ctr} -n k8s.io images unmount --rm \"$root\" >/dev/null 2>&1 || :; rmdir \"$root\"' EXIT\n\
         {ctr} -n k8s.io images mount \"$image\" \"$root\" >/dev/null\n\
         tool=$root/usr/local/bin/etcdutl\n\
         [ -x \"$tool\" ] || tool=$root/usr/local/bin/etcdctl\n\
         [ ! -e {MEMBER} ] || {{ echo 'etcd has data on this host' >&2; exit 1; }}\n\
         rm -rf -- {MADE}\n\
         mkdir -p -m 700 /var/lib/etcd\n\
         set --\n\
         ! \"$tool\" snapshot restore --help 2>&1 | grep -q -e --bump-revision || \
         set -- --bump-revision 1000000000 --mark-compacted\n\
         \"$tool\" snapshot restore {SAVED} --name \"$name\" --initial-cluster \"$name=$peer\" \
         --initial-advertise-peer-urls \"$peer\" --data-dir {MADE} \"$@\" >&2\n\
         mv {MADE}/member {MEMBER}\n\
         rmdir {MADE}\n\
         )\n"
    )
}

/// Takes all other nodes out of the books, and the pods of their control planes, which tell where etcd was
/// (`getRawEtcdEndpointsFromPodAnnotation`, `util/etcd/etcd.go` of kubeadm v1.36): nobody joins as long as a node of its
/// name is Ready there.
fn alone(node: &NodePlan<'_>) -> RecipeStep {
    let (kubectl, name) = (format!("{} --kubeconfig {ADMIN}", at("kubectl")), &node.name);
    shell(format!(
        "set -eu\n\
         all=$({kubectl} get nodes -o name)\n\
         for other in $all; do\n\
         [ \"$other\" = 'node/{name}' ] || {kubectl} delete \"$other\" --ignore-not-found --timeout=5m ||\n\
         echo \"$other is in the books still\" >&2\n\
         done\n\
         {kubectl} delete pods --namespace kube-system --selector tier=control-plane --field-selector spec.nodeName!={name} \
         --ignore-not-found --force --grace-period=0"
    ))
}
