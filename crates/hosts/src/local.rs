//! This computer as a host: the same scripts, without a connection.

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::process::Command;

use crate::Layer;
use crate::transport::{Input, Output, Refusal, Transport};

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

#[async_trait]
impl Transport for Local {
    async fn exec(&self, command: &str, input: Input<'_>, deadline: Duration) -> Result<Output, Refusal> {
        let failed = |error: std::io::Error| Refusal::new(Layer::Command, error.to_string());
        let mut child = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let mut stdin = child.stdin.take();
        let write = async {
            if let Some(stdin) = &mut stdin {
                // A script that ends early does not read the rest; how it ended says more than that.
                let _ = tokio::io::copy(input, stdin).await;
            }
            drop(stdin);
        };
        let both = async { tokio::join!(write, child.wait_with_output()).1 };
        let ended = tokio::time::timeout(deadline, both).await;
        let output = ended
            .map_err(|_| Refusal::new(Layer::Command, format!("no answer within {} s", deadline.as_secs())))?
            .map_err(failed)?;
        let status = output.status.code().and_then(|code| u32::try_from(code).ok());
        Ok(Output { stdout: output.stdout, stderr: output.stderr, status })
    }

    fn is_root(&self) -> bool {
        self.root
    }

    fn is_open(&self) -> bool {
        true
    }
}
