//! This computer as a host: the same scripts, without a connection.

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use kubewright_model::net::HostPort;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use crate::dial;
use crate::enter::Piece;
use crate::transport::{Hear, Input, MOST_OUTPUT, Output, PIECE, Refusal, Transport, Unmet};
use crate::{Dialed, Layer};

/// This computer.
pub(crate) struct Local {
    root: bool,
}

impl Local {
    /// This computer, as the user who runs this program.
    pub(crate) async fn open() -> Result<Self, Refusal> {
        let output = Command::new("id").arg("-u").output().await;
        let output = output.map_err(|error| Refusal::new(Layer::Command, format!("id: {error}")))?;
        Ok(Self { root: output.stdout.trim_ascii() == b"0" })
    }
}

/// Everything that a command says, unless it never ends.
async fn heard(from: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, Refusal> {
    let mut said = Vec::new();
    if let Some(from) = from {
        let most = u64::try_from(MOST_OUTPUT).unwrap_or(u64::MAX);
        let read = from.take(most + 1).read_to_end(&mut said).await;
        read.map_err(|error| Refusal::new(Layer::Command, error.to_string()))?;
    }
    if said.len() > MOST_OUTPUT { Err(Refusal::flood()) } else { Ok(said) }
}

/// A command that has begun.
fn started(command: &str) -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        // Ctrl-C is for us: a run ends after the step that it is at, and this may be the middle of one.
        .process_group(0)
        .spawn()
}

/// The next that comes from there; nothing where it has ended, and it is gone then.
async fn some<'b>(from: &mut Option<impl AsyncRead + Unpin>, into: &'b mut [u8]) -> Option<&'b [u8]> {
    let read = match from {
        Some(open) => open.read(into).await.unwrap_or_default(),
        None => 0,
    };
    if read == 0 {
        *from = None;
        return None;
    }
    into.get(..read)
}

#[async_trait]
impl Transport for Local {
    async fn exec(&self, command: &str, input: Input<'_>, deadline: Duration) -> Result<Output, Refusal> {
        let failed = |error: std::io::Error| Refusal::new(Layer::Command, error.to_string());
        let mut child = started(command).map_err(failed)?;
        let mut stdin = child.stdin.take();
        let write = async {
            if let Some(stdin) = &mut stdin {
                // A script that ends early does not read the rest; how it ended says more than that.
                let _ = tokio::io::copy(input, stdin).await;
            }
            drop(stdin);
            Ok(())
        };
        let (stdout, stderr) = (heard(child.stdout.take()), heard(child.stderr.take()));
        let ended = async {
            // Who floods one of both never ends the other.
            let ((), stdout, stderr) = tokio::try_join!(write, stdout, stderr)?;
            let status = child.wait().await.map_err(failed)?;
            Ok(Output { stdout, stderr, status: status.code().and_then(|code| u32::try_from(code).ok()) })
        };
        let ended = tokio::time::timeout(deadline, ended).await;
        ended.map_err(|_| Refusal::new(Layer::Command, format!("no answer within {} s", deadline.as_secs())))?
    }

    async fn converse(&self, command: &str, input: Input<'_>, hear: Hear<'_>) -> Result<Option<u32>, Refusal> {
        let failed = |error: std::io::Error| Refusal::new(Layer::Command, error.to_string());
        let mut child = started(command).map_err(failed)?;
        let (mut stdin, mut stdout, mut stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(stdin) = &mut stdin {
                let _ = tokio::io::copy(input, stdin).await;
            }
            drop(stdin.take());
        };
        tokio::pin!(write);
        let (mut out, mut err, mut written) = (vec![0; PIECE], vec![0; PIECE], false);
        while stdout.is_some() || stderr.is_some() {
            let wanted = tokio::select! {
                () = &mut write, if !written => {
                    written = true;
                    true
                }
                read = some(&mut stdout, &mut out), if stdout.is_some() => read.is_none_or(|read| hear(Piece::Out(read))),
                read = some(&mut stderr, &mut err), if stderr.is_some() => read.is_none_or(|read| hear(Piece::Err(read))),
            };
            if !wanted {
                return Err(Refusal::flood());
            }
        }
        let status = child.wait().await.map_err(failed)?;
        Ok(status.code().and_then(|code| u32::try_from(code).ok()))
    }

    async fn dial(&self, at: &HostPort) -> Result<Dialed, Unmet> {
        dial::from_here(at).await.map_err(Unmet::Tried)
    }

    fn is_root(&self) -> bool {
        self.root
    }

    fn is_open(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_floods_or_never_ends_is_given_up() {
        let local = Local::open().await.expect("it is there");
        let run =
            async |command: &str, seconds| local.exec(command, &mut &b"in"[..], Duration::from_secs(seconds)).await;
        let output = run("cat; echo to nobody >&2; exit 3", 20).await.expect("it ends");
        assert_eq!((output.stdout.as_slice(), output.status), (&b"in"[..], Some(3)));
        for flood in ["yes", "yes >&2"] {
            let why = run(flood, 20).await.expect_err("it never ends").why;
            assert!(why.contains("more than any answer"), "{flood}: {why}");
        }
        let leads = "read -r _ _ _ _ group _ < /proc/$$/stat && test \"$group\" = $$";
        assert_eq!(run(leads, 20).await.expect("it ends").status, Some(0), "Ctrl-C is not for it");
        let why = run("sleep 600", 1).await.expect_err("it never ends").why;
        assert_eq!(why, "no answer within 1 s");
    }
}
