//! The `helm` program itself: where it is, what it is started with, and what it says when it fails.

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kubewright_model::net::HostPort;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Its name.
const PROGRAM: &str = "helm";
/// Where programs in Go look for hosts that are reached without a proxy: the first that says something counts.
/// <https://pkg.go.dev/golang.org/x/net/http/httpproxy#FromEnvironment>
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// Lines of what it said that are told when it fails.
const SAID: usize = 12;

/// The program, and where it is started.
pub(super) struct Program {
    /// Where it is looked for.
    path: OsString,
    /// Charts that are folders are named relative to it.
    folder: PathBuf,
}

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

impl From<String> for Said {
    fn from(why: String) -> Self {
        Self { why, lines: Vec::new() }
    }
}

impl Program {
    /// The one on the PATH.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { path: std::env::var_os("PATH").unwrap_or_default(), folder }
    }

    /// The one in this folder alone.
    pub(super) fn within(self, programs: &Path) -> Self {
        Self { path: programs.into(), ..self }
    }

    /// Why it cannot be started.
    pub(super) fn missing(&self) -> Option<String> {
        self.find().is_none().then(|| format!("the program `{PROGRAM}` is not on this computer's PATH"))
    }

    fn find(&self) -> Option<PathBuf> {
        std::env::split_paths(&self.path).map(|folder| folder.join(PROGRAM)).find(|file| is_program(file))
    }

    /// Runs it to its end.
    pub(super) async fn run(&self, api: Api<'_>, arguments: &[String], input: Option<String>) -> Result<(), Said> {
        let program = self.find().ok_or_else(|| Said::from(self.missing().unwrap_or_default()))?;
        let kubeconfig = nameless(api.kubeconfig).map_err(|error| Said::from(error.to_string()))?;
        let mut command = Command::new(program);
        command.args(arguments).arg("--kubeconfig").arg(place(&kubeconfig));
        surroundings(&mut command, &api.at.host);
        if self.folder.is_dir() {
            command.current_dir(&self.folder);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C is for us: a run ends after the step that it is at, and this program is in the middle of one.
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| Said::from(format!("{PROGRAM} does not start: {error}")))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ends early says why itself.
            let _ = stdin.write_all(input.unwrap_or_default().as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(|error| Said::from(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let mut lines: Vec<String> = said.lines().filter(|line| !line.trim().is_empty()).map(str::to_string).collect();
        let why = lines.iter().rev().find_map(|line| line.strip_prefix("Error: ")).map(str::to_string);
        let why = why.unwrap_or_else(|| format!("{PROGRAM} ended with {}", output.status));
        Err(Said { why, lines: lines.split_off(lines.len().saturating_sub(SAID)) })
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
fn surroundings(command: &mut Command, host: &str) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("HELM_KUBE") || name == "HELM_NAMESPACE" || name == "KUBECONFIG" {
            command.env_remove(name.as_ref());
        }
    }
    // Where releases are kept is looked at by us too.
    command.env("HELM_DRIVER", "secret");
    // A proxy may be the only way to charts; to servers we go without one.
    let direct =
        direct(NO_PROXY.iter().find_map(|name| std::env::var(name).ok().filter(|list| !list.is_empty())), host);
    command.envs(NO_PROXY.map(|name| (name, direct.as_str())));
}

/// The list of hosts that are reached without a proxy, with one more.
fn direct(list: Option<String>, host: &str) -> String {
    list.into_iter().chain([host.to_string()]).collect::<Vec<_>>().join(",")
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of this name that is a script.
    async fn run(script: &str) -> Result<(), Said> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(PROGRAM);
        // Another process that is made at this moment would keep the file open to write, and it could not be started.
        let script = format!("printf '%s' '#!/bin/sh\n{}' > \"$0\" && chmod 755 \"$0\"", script.replace('\'', "'\\''"));
        assert!(std::process::Command::new("sh").arg("-c").arg(script).arg(&file).status().unwrap().success());
        let program = Program::new(PathBuf::new()).within(folder.path());
        let api = Api { kubeconfig: b"the way in", at: HostPort::new("10.0.0.1", 6443) };
        program.run(api, &["list".into()], Some("values".into())).await
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
