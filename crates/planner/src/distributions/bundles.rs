//! Bundles that servers make by themselves when their hour comes, and put into the bucket of the spec: also while nobody's
//! computer is on.
//!
//! Such a bundle holds what a server has anyway: a snapshot of the datastore, and the tokens, certificates and keys that it
//! opens with. So no host learns a secret by this beside the bucket's own keys, which servers of K3s and RKE2 have for their
//! snapshots too. age encrypts it for those whose public keys the spec names, and rclone carries it; both are packages. No
//! bundle is deleted there by a server.
//!
//! Each server has its turn: the first makes the bundle, and a later one looks half an hour after the one before it whether
//! there is one of this hour. Their names differ by a second, so none is ever written over another's.

use kubewright_model::bundle::{About, BUNDLE_FORMAT, BundleName, Canary};
use kubewright_model::host::{FileWish, HostResource, UnitWish};
use kubewright_model::ids::Owner;
use kubewright_model::spec::backup::{Backup, S3};
use kubewright_model::spec::{ClusterFile, SecretRef};
use kubewright_model::text::Text;
use kubewright_model::units::Moment;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::context::nodes::NodePlan;
use crate::context::secrets::named;
use crate::lower::hours;

/// The secrets with which servers enter the bucket, whether for bundles or for their own snapshots.
pub(super) const ACCESS_KEY: &str = "backup-access-key";
pub(super) const SECRET_KEY: &str = "backup-secret-key";

const SCRIPT: &str = "/usr/local/sbin/kubewright-bundle";
const SERVICE: &str = "/etc/systemd/system/kubewright-bundle.service";
const TIMER: &str = "kubewright-bundle.timer";
/// How long the next server waits for the one before it, and the first one for the servers' own snapshots of the same hour.
const TURN_SECONDS: usize = 1800;
const FIRST_SECONDS: usize = 120;
/// Stands for the bundle's name in what is written beforehand.
const ID: &str = "@id@";

/// What of a server goes into a bundle, in the shell's words.
pub(super) struct Packs {
    /// Saves the datastore, and leaves the path of what it saved in `$snapshot`.
    pub(super) snapshot: String,
    /// Puts what that opens with into the folder `distribution`, in the folder where it is.
    pub(super) keys: String,
    /// kubectl, as the host's administrator.
    pub(super) kubectl: String,
    /// A folder of root's on the disk where snapshots are.
    pub(super) folder: String,
    /// The folder for files with secrets, which goes with the distribution.
    pub(super) settings: String,
    /// A file that a server has which serves.
    pub(super) serves: String,
}

/// The wish for such bundles, and the bucket.
fn wish(file: &ClusterFile) -> Option<(&Backup, &S3)> {
    let backup = file.spec.backup.as_ref().filter(|backup| backup.on_servers)?;
    Some((backup, backup.to.as_ref()?.s3.as_ref()?))
}

/// The secrets in the files here, by name.
pub(super) fn secrets(file: &ClusterFile) -> Vec<(String, &SecretRef)> {
    let keys = wish(file).into_iter().flat_map(|(_, s3)| [(ACCESS_KEY, &s3.access_key), (SECRET_KEY, &s3.secret_key)]);
    keys.map(|(name, key)| (name.to_string(), key)).collect()
}

/// What makes bundles on a server; nothing where the file does not wish for it.
pub(super) fn resources(
    context: &Context<'_>,
    node: &NodePlan<'_>,
    packs: impl FnOnce() -> Packs,
) -> Vec<HostResource> {
    let Some((backup, s3)) = wish(context.file).filter(|_| node.is_server()) else { return Vec::new() };
    let packs = packs();
    let events: Vec<String> = hours(backup.bundle_schedule.as_ref().unwrap_or(&backup.schedule));
    let events: String = events.iter().map(|event| format!("OnCalendar={event}\n")).collect();
    // Servers begin at one moment, so that their turns are apart. One that was off leaves it to the others.
    let alone = context.nodes.iter().filter(|node| node.is_server()).count() == 1;
    let timer = format!(
        "[Unit]\nDescription=Bundles of the cluster\n\n[Timer]\n{events}AccuracySec=1s\nPersistent={alone}\n\n\
         [Install]\nWantedBy=timers.target\n"
    );
    let conf = format!("{}/kubewright-bundle.conf", packs.settings);
    let script = script(context, node, backup, s3, &packs, &conf);
    vec![
        HostResource::Package("age".into()),
        HostResource::Package("rclone".into()),
        HostResource::File(FileWish::new(conf, place(s3), 0o600)),
        HostResource::File(FileWish::new(SCRIPT, script, 0o700)),
        HostResource::File(FileWish::new(SERVICE, unit(&packs), 0o644)),
        HostResource::Unit(UnitWish::timer(TIMER, timer)),
    ]
}

/// A host that does not serve yet has nothing to save. It is nobody's hurry.
fn unit(packs: &Packs) -> String {
    format!(
        "[Unit]\n\
         Description=Bundle of the cluster\n\
         Wants=network-online.target\n\
         After=network-online.target time-sync.target\n\
         ConditionPathExists={}\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         ExecStart={SCRIPT}\n\
         Nice=10\n\
         IOSchedulingClass=idle\n",
        packs.serves
    )
}

/// The bucket as rclone enters it: under a name of its own stands the folder in it.
/// <https://rclone.org/s3/>, <https://rclone.org/alias/>
fn place(s3: &S3) -> Text {
    let folder = s3.folder.as_deref().unwrap_or_default().trim_matches('/');
    let path = if folder.is_empty() { s3.bucket.clone() } else { format!("{}/{folder}", s3.bucket) };
    Text::known(format!(
        "[bucket]\ntype = s3\nprovider = Other\nendpoint = {}\nregion = {}\nno_check_bucket = true\naccess_key_id = ",
        s3.endpoint.trim_end_matches('/'),
        s3.region
    ))
    .and_hole(named(ACCESS_KEY, Some(&s3.access_key)))
    .and("\nsecret_access_key = ")
    .and_hole(named(SECRET_KEY, Some(&s3.secret_key)))
    .and(format!("\n\n[place]\ntype = alias\nremote = bucket:{path}\n"))
}

/// What a bundle is, as JSON that goes on: whoever writes it ends it. The shell puts the moment and the name into it, and
/// nothing else: no name of a cluster and no version has a sign of the shell's.
fn about(context: &Context<'_>) -> String {
    let kubernetes = &context.file.spec.kubernetes;
    let cluster = context.file.metadata.name.clone();
    let canary = Canary { bundle: ID.into(), ..Canary::of(&BundleName::new(&cluster, Moment(0))) };
    let about = About {
        cluster,
        environment: None,
        made: Moment(0),
        kubewright: env!("CARGO_PKG_VERSION").into(),
        distribution: kubernetes.distribution,
        version: kubernetes.version.clone(),
        datastore: kubernetes.datastore,
        canary,
        simulated: false,
    };
    let mut told = Map::from_iter([("format".to_string(), Value::from(BUNDLE_FORMAT))]);
    if let Ok(Value::Object(about)) = serde_json::to_value(about) {
        told.extend(about);
    }
    let text = Value::Object(told).to_string();
    text.strip_suffix('}').unwrap_or(&text).replace("\"made\":0", "\"made\":$made").replace(ID, "$id")
}

fn script(context: &Context<'_>, node: &NodePlan<'_>, backup: &Backup, s3: &S3, packs: &Packs, conf: &str) -> String {
    let cluster = &context.file.metadata.name;
    let turn = context.nodes.iter().filter(|node| node.is_server()).position(|server| server.name == node.name);
    let turn = turn.unwrap_or_default();
    let waits = turn * TURN_SECONDS + FIRST_SECONDS;
    let trusts = s3.ca_file.as_deref().and_then(|file| shlex::try_quote(file).ok());
    let trusts = trusts.map(|file| format!("export RCLONE_CA_CERT={file}\n")).unwrap_or_default();
    let canary = Canary { bundle: ID.into(), ..Canary::of(&BundleName::new(cluster, Moment(0))) };
    let canary = canary.object(&Owner(cluster.clone())).0.to_string().replace(ID, "$id");
    let packed = packed(&about(context), &backup.recipients);
    let Packs { snapshot, keys, kubectl, folder, .. } = packs;
    format!(
        "#!/bin/sh\n\
         # Makes a bundle of the cluster, unless another server has made one at this hour, and puts it into the bucket.\n\
         set -eu\n\
         umask 077\n\
         {trusts}\
         bucket() {{\n  rclone --config {conf} --contimeout 30s --timeout 5m --retries 3 \"$@\"\n}}\n\
         at() {{\n  date -u -d \"@$1\" +%Y%m%dT%H%M%SZ\n}}\n\
         now=$(date -u +%s)\n\
         hour=$((now - now % 60))\n\
         made=$((hour + {turn}))\n\
         id={cluster}-$(at \"$made\")\n\
         name=$id.tar.gz.age\n\
         sleep {waits}\n\
         there=$(bucket lsf --files-only place:)\n\
         # One of another hour is not meant, and one of the future is of a host whose clock is wrong.\n\
         other=$(printf '%s\\n' \"$there\" | grep -E '^{cluster}-[0-9]{{8}}T[0-9]{{6}}Z\\.tar\\.gz\\.age\\.json$' |\n  \
         LC_ALL=C awk -v from=\"{cluster}-$(at \"$hour\")\" -v to=\"{cluster}-$(at \"$(date -u +%s)\")~\" '$0 >= from && $0 <= to' | head -n 1)\n\
         if [ -n \"$other\" ]; then\n  echo \"another server has made ${{other%.json}}\"\n  exit 0\nfi\n\
         # Where the host has just started, the API has not.\n\
         tried=0\n\
         until {kubectl} get --raw /readyz >/dev/null 2>&1; do\n  tried=$((tried + 1))\n  \
         [ $tried -lt 60 ] || {{ echo 'the API server has not answered for ten minutes' >&2; exit 1; }}\n  sleep 10\ndone\n\
         mkdir -p {folder}\n\
         rm -rf -- {folder}/kubewright-bundle.*\n\
         stage=$(mktemp -d {folder}/kubewright-bundle.XXXXXX)\n\
         trap 'rm -rf -- \"$stage\"' EXIT\n\
         trap 'exit 143' HUP INT TERM\n\
         cd \"$stage\"\n\
         mkdir datastore distribution\n\
         # Whoever restores the bundle knows by this which one it was.\n\
         {kubectl} apply --server-side --force-conflicts --field-manager=kubewright -f - <<EOF\n{canary}\nEOF\n\
         {snapshot}\n\
         ln -- \"$snapshot\" datastore/\n\
         {keys}\n\
         {packed}\n\
         bucket copyto --immutable \"$name\" \"place:$name\"\n\
         bucket copyto --immutable \"$name.json\" \"place:$name.json\"\n\
         echo \"made $id\"\n"
    )
}

/// What lies in `datastore` and `distribution` becomes one file for those whose keys these are, with its label beside it.
fn packed(about: &str, recipients: &[String]) -> String {
    let listed = Value::from(recipients);
    // A public key is letters and digits, which a rule has seen to.
    let recipients: String = recipients.iter().map(|key| format!(" -r {key}")).collect();
    format!(
        "find datastore distribution -type f | LC_ALL=C sort >list\n\
         cat >manifest.json <<EOF\n{about},\"files\":[\nEOF\n\
         comma=\n\
         while read -r file; do\n  \
         case $file in *[!A-Za-z0-9._/:@+=,-]*) echo \"$file cannot be in a bundle\" >&2; exit 1 ;; esac\n  \
         sum=$(sha256sum <\"$file\")\n  \
         printf '%s{{\"path\":\"%s\",\"size\":%s,\"sha256\":\"%s\",\"what\":\"%s\"}}\\n' \\\n    \
         \"$comma\" \"$file\" \"$(stat -c %s \"$file\")\" \"${{sum%% *}}\" \"${{file%%/*}}\"\n  \
         comma=,\n\
         done <list >>manifest.json\n\
         echo ']}}' >>manifest.json\n\
         # `tar` and `gzip` fail by themselves: in a pipe nobody would see it.\n\
         tar --format=gnu --owner=0 --group=0 --numeric-owner --no-recursion --mode=600 -czf whole manifest.json -T list\n\
         age{recipients} -o \"$name\" whole\n\
         sum=$(sha256sum <\"$name\")\n\
         cat >\"$name.json\" <<EOF\n\
         {about},\"holds\":[[\"datastore\",1],[\"distribution\",$(grep -c ^distribution/ list)]],\
         \"size\":$(stat -c %s \"$name\"),\"sha256\":\"${{sum%% *}}\",\"recipients\":{listed}}}\nEOF"
    )
}
