//! `kubewright kubeconfig`: the way into a cluster, in a file that only its owner reads.

use std::fs::{self, File, OpenOptions};
use std::io::{Error, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright_engine::cluster::ClusterError;
use kubewright_engine::kubeconfig::{Unmerged, merged, of_user, replaceable};
use kubewright_engine::{Question, good_until};
use kubewright_model::desired::Desired;
use kubewright_model::ids::{Namespace, ObjectName};
use kubewright_model::secret::Secret;
use kubewright_model::units::Moment;
use serde_json::{Value, json};

use crate::arguments::{Arguments, Kubeconfig, Output};
use crate::problem::{Done, Problem};
use crate::screen::{hand, quoted, remark, say};
use crate::source::{self, Reading};
use crate::world::Site;

/// The file among the cluster's secrets: no Git repository takes it in, and it goes when the cluster does.
const AMONG_SECRETS: &str = "secrets/kubeconfig.yaml";

/// Seconds of the shortest certificate and token.
const SHORTEST: u32 = 600;

/// The word for standard output in the place of a file.
const STANDARD_OUTPUT: &str = "-";

pub(super) fn run(arguments: &Arguments, wish: &Kubeconfig) -> Result<Done, Problem> {
    let desired = source::read(&wish.file, Reading::of(arguments, Output::Text))?.desired;
    wish.output.as_deref().map_or(Ok(()), in_a_folder)?;
    if wish.merge && wish.output.is_none() && arguments.simulated.is_some() {
        let problem = Problem::new(Done::Usage, "a pretend cluster does not go among the real ones of your kubeconfig");
        return Err(problem.hint("`--merge --output FILE` names another file"));
    }
    let cluster = desired.cluster.as_str();
    let way_in = Site::look(arguments, &wish.file, &desired, async |site| {
        let kept = site.engine.kubeconfig(&desired).await?;
        kept.map_err(|why| {
            let problem = Problem::new(Done::Unhealthy, format!("{cluster} has no kubeconfig to give")).because(why);
            problem.hint(format!("`kubewright apply {}` builds the cluster", site.again(&wish.file)))
        })
    })?;
    let mut kept = way_in.kubeconfig;
    let mut named = cluster.to_string();
    if let Some((name, own)) = somebody(arguments, wish, &desired)? {
        kept = of_user(&kept, &name, own).map_err(|why| Problem::new(Done::Unfinished, why))?;
        named = format!("{name}@{cluster}");
    }
    let cluster = named.as_str();
    if let Some(why) = way_in.untried {
        remark!("it is what is kept, and nobody knows whether it still opens the cluster: {why}");
    }
    if !wish.merge && wish.output.as_deref() == Some(Path::new(STANDARD_OUTPUT)) {
        hand!("{}", kept.expose().trim_end());
        return Ok(Done::Well);
    }
    let hint = |command: String| match arguments.simulated {
        Some(_) => say!("→ it opens a pretend cluster, which only kubewright reaches"),
        None => say!("→ {command}"),
    };
    if wish.merge {
        let file = wish.output.clone().unwrap_or_else(users);
        merge(&file, &kept, wish.use_context)?;
        say!("merged {cluster} into {}", file.display());
        hint(format!("kubectl --context {cluster} get nodes"));
    } else {
        let file = match &wish.output {
            Some(file) => {
                alone(file, &kept)?;
                file.clone()
            }
            None => {
                let own = format!("secrets/kubeconfig-{}.yaml", cluster.replace(['/', ':'], "-"));
                let among = if cluster == desired.cluster.as_str() { AMONG_SECRETS } else { own.as_str() };
                let file = Site::kept(arguments, &wish.file).join(desired.cluster.as_str()).join(among);
                write(&file, &kept)?;
                file
            }
        };
        say!("wrote {}", file.display());
        hint(format!("KUBECONFIG={} kubectl get nodes", quoted(&file)));
    }
    Ok(Done::Well)
}

/// A user or a ServiceAccount that the kubeconfig is for, and by what it is known; none where it is for whoever runs the
/// cluster. What roles are bound to it is told: nothing is granted here.
fn somebody(arguments: &Arguments, wish: &Kubeconfig, desired: &Desired) -> Result<Option<(String, Value)>, Problem> {
    if wish.user.is_none() && wish.service_account.is_none() {
        return Ok(None);
    }
    if arguments.simulated.is_some() {
        return Err(Problem::new(Done::Usage, "a pretend cluster signs no certificates and gives no tokens"));
    }
    let seconds = u32::try_from(wish.ttl.duration().as_secs()).unwrap_or(u32::MAX);
    if seconds < SHORTEST {
        return Err(Problem::new(Done::Usage, "Kubernetes gives none for less than ten minutes").hint("`--ttl 10m`"));
    }
    let refused = |error: ClusterError| Problem::new(Done::Unfinished, error.to_string());
    if let Some(account) = &wish.service_account {
        let wrong = || Problem::new(Done::Usage, format!("`{account}` is no ServiceAccount: write NAMESPACE/NAME"));
        let (namespace, name) = account.split_once('/').ok_or_else(wrong)?;
        let of = (Namespace::new(namespace), ObjectName::new(name));
        let (token, until, bound) = Site::look(arguments, &wish.file, desired, async |site| {
            site.engine.token(desired, &of, seconds).await.map_err(refused)
        })?;
        remark!("the token is good until {until}, or until the ServiceAccount is gone");
        let grant = format!(
            "kubectl create rolebinding NAME -n {namespace} --clusterrole=view --serviceaccount={namespace}:{name}"
        );
        may(account, &bound, &grant);
        return Ok(Some((account.replace('/', ":"), json!({ "token": token.expose() }))));
    }
    let user = wish.user.as_deref().unwrap_or_default();
    if wish.group.iter().any(|group| group == "system:masters") {
        let problem =
            Problem::new(Done::Usage, "Kubernetes signs nothing for the group system:masters, which may do everything");
        return Err(problem.hint("bind the ClusterRole cluster-admin to the user, or to a group of its own"));
    }
    let question = Question::of_user(user, &wish.group).map_err(|why| Problem::new(Done::Unfinished, why))?;
    let (signed, bound) = Site::look(arguments, &wish.file, desired, async |site| {
        site.engine.certificate(desired, (user, &wish.group), &question, seconds).await.map_err(refused)
    })?;
    match until(&signed) {
        Some(until) => remark!("the certificate is good until {}; nobody can take it back before", Moment(until)),
        None => return Err(Problem::new(Done::Unfinished, "what the cluster signed is no certificate")),
    }
    may(user, &bound, &format!("kubectl create clusterrolebinding NAME --clusterrole=view --user={user}"));
    let data = |text: &str| STANDARD.encode(text);
    let own = json!({ "client-certificate-data": data(&signed), "client-key-data": data(question.key.expose()) });
    Ok(Some((user.to_string(), own)))
}

/// Tells what somebody may do, beside what everybody may who is known to the cluster.
fn may(who: &str, bound: &[String], grant: &str) {
    match bound {
        [] => remark!("no role is bound to {who}, so it may do nothing yet: `{grant}` lets it look, for one"),
        roles => remark!("bound to {who}: {}", roles.join(", ")),
    }
}

/// Until when the first certificate of a PEM is good.
fn until(pem: &str) -> Option<u64> {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    good_until(&STANDARD.decode(body.split_whitespace().collect::<String>()).ok()?)
}

/// The file that kubectl writes to.
fn users() -> PathBuf {
    let named = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let first = std::env::split_paths(&named).find(|path| !path.as_os_str().is_empty());
    first.unwrap_or_else(|| std::env::home_dir().unwrap_or_default().join(".kube/config"))
}

/// Puts the kubeconfig among those that are in a file. A file that is no kubeconfig stays as it is.
fn merge(file: &Path, kept: &Secret, switch: bool) -> Result<(), Problem> {
    only_a_file(file)?;
    let _turn = Turn::take(file)?;
    let whole = merged(&read(file)?, kept, switch).map_err(|why| {
        let hint = match &why {
            Unmerged::Taken(name) => format!(
                "if it is of an older cluster, `kubectl config delete-cluster {name}` and `kubectl config delete-user {name}` make \
                 room; or write to a file of its own with `--output FILE`"
            ),
            Unmerged::Malformed(_) | Unmerged::Others(_) => "mend it, or write to a file of its own with `--output FILE`".into(),
        };
        refused(file, &why).hint(hint)
    })?;
    behind(file, &whole)
}

/// Writes a file of its own. What holds more than this cluster's kubeconfig stays as it is.
fn alone(file: &Path, kept: &Secret) -> Result<(), Problem> {
    only_a_file(file)?;
    let _turn = Turn::take(file)?;
    replaceable(&read(file)?, kept).map_err(|why| {
        let hint = match &why {
            Unmerged::Others(_) => "`--merge` puts this cluster among them; or write to another file",
            Unmerged::Taken(_) => "if it is of an older cluster, remove the file; or write to another one",
            Unmerged::Malformed(_) => "write to another file",
        };
        refused(file, &why).hint(hint)
    })?;
    behind(file, kept)
}

/// Writes a file; a link stays one, and what it leads to is written.
fn behind(file: &Path, text: &Secret) -> Result<(), Problem> {
    write(&file.canonicalize().unwrap_or_else(|_| file.to_path_buf()), text)
}

fn refused(file: &Path, why: &Unmerged) -> Problem {
    let what = match why {
        Unmerged::Taken(_) => "has something else of this name",
        Unmerged::Others(_) => "holds other clusters",
        Unmerged::Malformed(_) => "is no kubeconfig",
    };
    Problem::new(Done::Usage, format!("{} {what}, and stays as it is", file.display())).because(why.to_string())
}

/// A file's text, which is none where there is no file.
fn read(file: &Path) -> Result<String, Problem> {
    match fs::read_to_string(file) {
        Ok(there) => Ok(there),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(failed("cannot read", file, &error)),
    }
}

/// A folder that somebody named is there already, or the name is mistyped.
pub(super) fn in_a_folder(file: &Path) -> Result<(), Problem> {
    match file.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        None => Ok(()),
        Some(folder) => {
            let problem = Problem::new(Done::Usage, format!("there is no folder {}", folder.display()));
            Err(problem.hint(format!("make it first, or correct the name: `mkdir -p {}`", quoted(folder))))
        }
    }
}

/// Only a file is replaced: a terminal, a pipe or `/dev/null` would be a file ever after.
fn only_a_file(file: &Path) -> Result<(), Problem> {
    if file.metadata().is_ok_and(|there| !there.is_file()) {
        let problem = Problem::new(Done::Usage, format!("{} is no file, and stays as it is", file.display()));
        return Err(problem.hint("write to a file with `--output FILE`"));
    }
    Ok(())
}

/// Writes a file that is there whole or not at all, and that only its owner reads.
pub(super) fn write(file: &Path, text: &Secret) -> Result<(), Problem> {
    only_a_file(file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| failed("cannot make", folder, &error))?;
    let mut beside = file.as_os_str().to_os_string();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    // Who is there already is somebody else's, and stays.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    let mut made = made.map_err(|error| failed("cannot write", &beside, &error))?;
    let written = made.write_all(text.expose().as_bytes()).and_then(|()| made.sync_all());
    written.and_then(|()| fs::rename(&beside, file)).map_err(|error| {
        let _ = fs::remove_file(&beside);
        failed("cannot write", file, &error)
    })
}

fn failed(what: &str, file: &Path, error: &Error) -> Problem {
    Problem::new(Done::Usage, format!("{what} {}", file.display())).because(error.to_string())
}

/// The turn to change a kubeconfig, as kubectl takes it: a file beside it that nobody else could make.
struct Turn(PathBuf);

impl Turn {
    fn take(file: &Path) -> Result<Self, Problem> {
        let mut beside = file.as_os_str().to_os_string();
        beside.push(".lock");
        let beside = PathBuf::from(beside);
        if let Some(folder) = beside.parent() {
            fs::create_dir_all(folder).map_err(|error| failed("cannot make", folder, &error))?;
        }
        match File::create_new(&beside) {
            Ok(_) => Ok(Self(beside)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let problem = Problem::new(Done::Busy, format!("another program changes {}", file.display()));
                Err(problem.hint(format!("if none does, one was cut off: remove {}", beside.display())))
            }
            Err(error) => Err(failed("cannot write", &beside, &error)),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn kept() -> Secret {
        Secret::new("clusters:\n- {name: lab, cluster: {server: 'https://a'}}\ncurrent-context: lab\n".into())
    }

    #[test]
    fn a_file_is_replaced_whole_and_read_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/kubeconfig");
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        write(&file, &kept()).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), *kept().expose());
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_somebody_else_has_beside_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let theirs = folder.path().join(format!("config.{}", std::process::id()));
        fs::write(&theirs, "theirs").unwrap();
        assert!(write(&file, &kept()).is_err());
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
    }

    #[test]
    fn what_is_no_file_stays_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        for no_file in [pipe.as_path(), link.as_path(), folder.path()] {
            let was = no_file.symlink_metadata().unwrap().file_type();
            assert!(write(no_file, &kept()).is_err());
            assert_eq!(no_file.symlink_metadata().unwrap().file_type(), was);
        }
        assert!(merge(&pipe, &kept(), false).is_err(), "nobody ever writes to it");
    }

    #[test]
    fn a_broken_file_stays_as_it_is_and_a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        fs::write(&file, "clusters: [\n").unwrap();
        assert!(merge(&file, &kept(), false).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "clusters: [\n");
        fs::write(&file, "").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        merge(&link, &kept(), false).unwrap();
        assert!(link.is_symlink() && fs::read_to_string(&file).unwrap().contains("https://a"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no lock is left");
        fs::write(folder.path().join("config.lock"), "").unwrap();
        assert!(merge(&file, &kept(), false).is_err(), "it is somebody else's turn");
    }

    #[test]
    fn a_file_of_its_own_takes_nobody_elses_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        alone(&file, &kept()).unwrap();
        alone(&file, &kept()).expect("what it wrote before gives way");
        for theirs in ["contexts:\n- {name: work, context: {cluster: work}}\n", "dear diary\n"] {
            fs::write(&file, theirs).unwrap();
            assert!(alone(&file, &kept()).is_err());
            assert_eq!(fs::read_to_string(&file).unwrap(), theirs);
        }
        fs::write(&file, "").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        alone(&link, &kept()).unwrap();
        assert!(link.is_symlink() && fs::read_to_string(&file).unwrap().contains("https://a"));
        fs::write(folder.path().join("config.lock"), "").unwrap();
        assert!(alone(&file, &kept()).is_err(), "it is somebody else's turn");
        assert!(in_a_folder(&folder.path().join("typo/config")).is_err());
        assert!(in_a_folder(&file).is_ok() && in_a_folder(Path::new("config")).is_ok());
    }
}
