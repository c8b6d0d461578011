//! The `helm` program itself: where it is, what it is started with, and what it says when it fails.

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kubewright_model::digest::Digest;
use kubewright_model::net::HostPort;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::fetch::{self, Source};
use crate::cluster::ClusterError;

/// Its name.
const PROGRAM: &str = "helm";
/// Where programs in Go look for hosts that are reached without a proxy: the first that says something counts.
/// <https://pkg.go.dev/golang.org/x/net/http/httpproxy#FromEnvironment>
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// The first that sets labels on what it keeps of a release: <https://github.com/helm/helm/releases/tag/v3.13.0>
const OLDEST: Version = (3, 13);
/// Lines of what it said that are told when it fails.
const SAID: usize = 12;

/// The program, and where it is started.
pub(super) struct Program {
    /// Where it is looked for.
    path: OsString,
    /// Charts that are folders are named relative to it.
    folder: PathBuf,
    /// Where it comes from when it is not there.
    source: Option<Source>,
    /// It was found to be right: every plan wants to know, and it is asked once.
    right: OnceCell<Found>,
}

/// A program that was found to be right.
#[derive(Clone, Debug)]
pub(super) struct Found {
    program: PathBuf,
    /// Its version.
    pub(super) version: Version,
    /// The archive that it was fetched in, and the archive's digest.
    pub(super) fetched: Option<(String, Digest)>,
}

/// The first two numbers of the program's version.
pub(super) type Version = (u64, u64);

/// The API that it works on.
pub(super) struct Api<'a> {
    /// The way in.
    pub(super) kubeconfig: &'a [u8],
    /// Where it is.
    pub(super) at: HostPort,
}

/// What the program said when it failed.
#[derive(Debug)]
pub(super) struct Said {
    /// Its error.
    pub(super) why: String,
    /// Its last lines.
    pub(super) lines: Vec<String>,
}

/// What passes by itself: lines, servers that start, webhooks whose pods start.
const PASSES: [&str; 11] = [
    "connection refused",
    "connection reset",
    "connection timed out",
    "client connection lost",
    "i/o timeout",
    "TLS handshake timeout",
    "no route to host",
    "network is unreachable",
    "unexpected EOF",
    "failed calling webhook",
    "etcdserver: ",
];

impl Said {
    /// The error of what was tried, and what its pods say. That a wait was too long is no matter of the line.
    pub(super) fn error(self, what: String, url: &str, log: Vec<String>) -> ClusterError {
        let why = self.why;
        let webhook = why.contains("failed calling webhook");
        let passes = PASSES.iter().any(|words| why.contains(words));
        if why.contains("Kubernetes cluster unreachable") || (passes && !webhook && why.contains(url)) {
            return ClusterError::Unreachable(format!("{what}: {why}"));
        }
        match passes {
            true => ClusterError::Busy(format!("{what}: {why}")),
            false => ClusterError::Refused { what, why, log: [log, self.lines].concat() },
        }
    }
}

impl From<String> for Said {
    fn from(why: String) -> Self {
        Self { why, lines: Vec::new() }
    }
}

impl Program {
    /// The one on the PATH, or from that source.
    pub(super) fn new(folder: PathBuf, source: Option<Source>) -> Self {
        Self { path: std::env::var_os("PATH").unwrap_or_default(), folder, source, right: OnceCell::new() }
    }

    /// The one in this folder alone.
    pub(super) fn within(self, programs: &Path) -> Self {
        Self { path: programs.into(), source: None, right: OnceCell::new(), ..self }
    }

    /// The program, or why nothing can be done with any; `tell` hears of what takes a while.
    pub(super) async fn found(&self, tell: &(dyn Fn(String) + Send + Sync)) -> Result<&Found, String> {
        self.right.get_or_try_init(|| self.look(tell)).await
    }

    async fn look(&self, tell: &(dyn Fn(String) + Send + Sync)) -> Result<Found, String> {
        let why = match self.find() {
            Some(program) => match asked(program).await {
                Ok(found) => return Ok(found),
                Err(why) => why,
            },
            None => format!("the program `{PROGRAM}` is not on this computer's PATH"),
        };
        let Some(source) = &self.source else { return Err(why) };
        if !source.place().is_file() {
            tell(format!("{why}: fetching {PROGRAM} {}", fetch::VERSION));
        }
        let fetched = source.fetch().await;
        let fetched =
            fetched.map_err(|cannot| format!("{why}, and {PROGRAM} {} cannot be fetched: {cannot}", fetch::VERSION))?;
        Ok(Found { fetched: Some(source.archive()), ..asked(fetched).await? })
    }

    fn find(&self) -> Option<PathBuf> {
        std::env::split_paths(&self.path).map(|folder| folder.join(PROGRAM)).find(|file| is_program(file))
    }

    /// Runs it to its end, on an API or on none; returns what it said.
    pub(super) async fn run(
        &self,
        api: Option<Api<'_>>,
        arguments: &[String],
        input: Option<String>,
    ) -> Result<String, Said> {
        let Found { program, .. } = self.found(&drop).await.map_err(Said::from)?;
        let kubeconfig = api.as_ref().map(|api| nameless(api.kubeconfig)).transpose();
        let kubeconfig = kubeconfig.map_err(|error| Said::from(error.to_string()))?;
        let mut command = Command::new(program);
        command.args(arguments);
        if let Some(kubeconfig) = &kubeconfig {
            command.arg("--kubeconfig").arg(place(kubeconfig));
        }
        surroundings(&mut command, api.as_ref().map(|api| api.at.host.as_str()));
        if self.folder.is_dir() {
            command.current_dir(&self.folder);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C is for us: a run ends after the step that it is at, and this program is in the middle of one.
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| Said::from(format!("{PROGRAM} does not start: {error}")))?;
        let stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that ends early says why itself.
                let _ = stdin.write_all(input.unwrap_or_default().as_bytes()).await;
            }
        };
        // One that talks before it has read everything must not wait for us, nor we for it.
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        let output = output.map_err(|error| Said::from(error.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let mut lines: Vec<String> = said.lines().filter(|line| !line.trim().is_empty()).map(str::to_string).collect();
        let why = lines.iter().rev().find_map(|line| line.strip_prefix("Error: ")).map(str::to_string);
        let why = why.unwrap_or_else(|| format!("{PROGRAM} ended with {}", output.status));
        Err(Said { why, lines: lines.split_off(lines.len().saturating_sub(SAID)) })
    }
}

/// Asks a program for its version.
async fn asked(program: PathBuf) -> Result<Found, String> {
    let place = program.display();
    let asked = Command::new(&program).args(["version", "--template", "{{.Version}}"]).output().await;
    let output = asked.map_err(|error| format!("{place} does not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match version(&said) {
        None => Err(format!("{place} does not tell its version")),
        Some(version) if version < OLDEST => Err(format!("{place} is {}, which is too old", said.trim())),
        Some(version) => Ok(Found { program, version, fetched: None }),
    }
}

/// A file that has no name: only whom we give its place to reads it, and it is gone with us, however we end.
fn nameless(text: &[u8]) -> std::io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text)?;
    Ok(file)
}

/// Where a program of ours opens a file that has no name. It is opened anew each time, so that it can be read twice.
fn place(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// What somebody has set for their own work says nothing of this cluster.
fn surroundings(command: &mut Command, host: Option<&str>) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("HELM_KUBE") || name == "HELM_NAMESPACE" || name == "KUBECONFIG" {
            command.env_remove(name.as_ref());
        }
    }
    // Where releases are kept is looked at by us too.
    command.env("HELM_DRIVER", "secret");
    // A proxy may be the only way to charts; to servers we go without one.
    let Some(host) = host else { return };
    let direct =
        direct(NO_PROXY.iter().find_map(|name| std::env::var(name).ok().filter(|list| !list.is_empty())), host);
    command.envs(NO_PROXY.map(|name| (name, direct.as_str())));
}

/// The list of hosts that are reached without a proxy, with one more.
fn direct(list: Option<String>, host: &str) -> String {
    list.into_iter().chain([host.to_string()]).collect::<Vec<_>>().join(",")
}

/// The first two numbers of a version: `v3.13.1`.
fn version(said: &str) -> Option<Version> {
    let mut numbers = said.trim().strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of this name that is a script, and the folder that it is in.
    fn script(script: &str) -> (Program, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        // Written by somebody else: a child that another test makes at this moment would hold a file of ours open.
        let write = format!("cat > \"$0\" <<'END'\n#!/bin/sh\n{script}\nEND\nchmod 755 \"$0\"");
        let mut write_it = std::process::Command::new("sh");
        write_it.args(["-c", &write]).arg(folder.path().join(PROGRAM));
        assert!(write_it.status().unwrap().success());
        (Program::new(PathBuf::new(), None).within(folder.path()), folder)
    }

    async fn run(text: &str) -> Result<String, Said> {
        let (program, _folder) = script(&format!("case $1 in version) echo v3.13.0; exit ;; esac\n{text}"));
        let api = Api { kubeconfig: b"the way in", at: HostPort::new("10.0.0.1", 6443) };
        program.run(Some(api), &["list".into()], Some("values".into())).await
    }

    #[tokio::test]
    async fn one_that_is_too_old_or_of_another_kind_is_none() {
        for (says, why) in [
            ("echo v3.12.3", Some("is v3.12.3, which is too old")),
            ("echo v3.13.0", None),
            ("printf v4.0.1", None),
            ("echo v2.17.0", Some("too old")),
            ("echo a text editor", Some("does not tell its version")),
            ("exit 1", Some("does not tell its version")),
        ] {
            let (program, _folder) = script(says);
            match (program.found(&drop).await, why) {
                (Ok(_), None) => {}
                (Err(told), Some(why)) => assert!(told.ends_with(why), "{says}: {told}"),
                other => panic!("{says}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn one_that_is_missing_or_too_old_is_fetched_once() {
        let folder = tempfile::tempdir().unwrap();
        let make = "mkdir linux && printf '#!/bin/sh\\nprintf v4.2.4\\n' >linux/helm && chmod 755 linux/helm \
            && tar -czf helm.tgz linux/helm";
        let mut make_it = std::process::Command::new("sh");
        assert!(make_it.args(["-c", make]).current_dir(folder.path()).status().unwrap().success());
        let archive = folder.path().join("helm.tgz");
        let (url, bytes) = (format!("file:{}", archive.display()), std::fs::read(&archive).unwrap());
        let source = |digest| Source::with(url.clone(), digest, "linux/helm", &folder.path().join("cache"));
        let (old, _folder) = script("echo v3.12.3");
        for begun in [Program::new(PathBuf::new(), None).within(Path::new("/nowhere")), old] {
            let path = begun.path.clone();
            let with = |digest| Program {
                path: path.clone(),
                source: Some(source(digest)),
                ..Program::new(PathBuf::new(), None)
            };
            let why = with(Digest::of("other")).found(&drop).await.unwrap_err();
            assert!(
                why.contains(", and helm v4.2.4 cannot be fetched: file:") && why.contains("has the digest"),
                "{why}"
            );
            let told = std::sync::Mutex::new(Vec::new());
            let tell = |what: String| told.lock().unwrap().push(what);
            let right = with(Digest::of(&bytes));
            let (one, two) = tokio::join!(right.found(&tell), right.found(&tell));
            assert_eq!((one.unwrap().version, two.unwrap().version), ((4, 2), (4, 2)));
            assert!(told.lock().unwrap().len() <= 1, "{told:?}");
        }
    }

    #[tokio::test]
    async fn ctrl_c_is_not_for_it() {
        run("read -r _ _ _ _ group _ < /proc/$$/stat && test \"$group\" = $$").await.unwrap();
    }

    #[tokio::test]
    async fn releases_are_kept_where_we_look() {
        run("test \"$HELM_DRIVER\" = secret && test -z \"$HELM_NAMESPACE$KUBECONFIG\"").await.unwrap();
    }

    #[tokio::test]
    async fn servers_are_reached_without_a_proxy() {
        run("for list in \"$NO_PROXY\" \"$no_proxy\"; do case \",$list,\" in *,10.0.0.1,*) ;; *) exit 1; esac; done")
            .await
            .unwrap();
        assert_eq!(direct(Some("localhost,.lab".into()), "fd00::1"), "localhost,.lab,fd00::1");
    }

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let server = "Get \"https://10.0.0.1:6443/version\": dial tcp 10.0.0.1:6443: connect: connection refused";
        let webhook =
            "Internal error occurred: failed calling webhook \"x\": Post \"https://x.svc\": connection refused";
        for (why, kind) in [
            (format!("Kubernetes cluster unreachable: {server}"), "does not answer"),
            (format!("UPGRADE FAILED: {server}"), "does not answer"),
            (format!("INSTALLATION FAILED: {webhook}"), "is busy"),
            ("looks like \"https://charts.lab\" cannot be reached: dial tcp: i/o timeout".into(), "is busy"),
            ("UPGRADE FAILED: context deadline exceeded".into(), "release web: "),
            ("execution error at (web/templates/a.yaml:1:3): refused as told".into(), "release web: "),
        ] {
            let error = Said::from(why).error("release web".into(), "https://10.0.0.1:6443/", Vec::new());
            assert!(error.to_string().contains(kind), "{error}");
            assert_eq!(error.may_pass(), kind != "release web: ", "{error}");
        }
    }

    #[tokio::test]
    async fn its_kubeconfig_has_no_name_and_can_be_read_twice() {
        run("test \"$(cat $3 $3)\" = \"the way inthe way in\"").await.unwrap();
        run("readlink $3 | grep -q deleted && test $(stat -Lc %a $3) = 600").await.unwrap();
        let said = run("echo hm; cat; echo Error: no such chart >&2; exit 1").await.unwrap_err();
        assert_eq!(
            (said.why.as_str(), said.lines.join("|").as_str()),
            ("no such chart", "hm|values|Error: no such chart")
        );
    }
}
