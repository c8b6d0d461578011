//! How a script gets to a host and its answer comes back.

use std::time::Duration;

use async_trait::async_trait;

use crate::Layer;
use crate::shell;

/// A script to run on a host with the rights of root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    /// The script's body, as [`shell::framed`] takes it.
    pub(crate) body: &'a str,
    /// How long it may take from its first byte to its last.
    pub(crate) deadline: Duration,
}

/// What came back from a command on a host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    /// Standard output.
    pub(crate) stdout: Vec<u8>,
    /// Standard error.
    pub(crate) stderr: Vec<u8>,
    /// The exit status; none when the connection ended first.
    pub(crate) status: Option<u32>,
}

/// Why a script gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Where on the way it failed.
    pub(crate) layer: Layer,
    /// What was seen.
    pub(crate) why: String,
}

impl Refusal {
    pub(crate) fn new(layer: Layer, why: impl Into<String>) -> Self {
        Self { layer, why: why.into() }
    }
}

/// A way to a host that is open.
#[async_trait]
pub(crate) trait Transport: Send + Sync {
    /// Runs a command with some input, as the user who was let in.
    async fn exec(&self, command: &str, input: &[u8], deadline: Duration) -> Result<Output, Refusal>;

    /// Whether the user who was let in is root.
    fn is_root(&self) -> bool;

    /// Whether it can still be used.
    fn is_open(&self) -> bool;
}

/// Runs a script as root: by its body on standard input, so that no argument holds any of it.
pub(crate) async fn run(transport: &dyn Transport, job: Job<'_>) -> Result<shell::Answer, Refusal> {
    let nonce = nonce().map_err(|why| Refusal::new(Layer::Command, why))?;
    let command = if transport.is_root() { "sh -s" } else { "sudo -n -- sh -s" };
    let output = transport.exec(command, shell::framed(job.body, &nonce).as_bytes(), job.deadline).await?;
    match shell::answer(&output.stdout, &nonce) {
        Some(answer) => Ok(answer),
        None => Err(unanswered(&output, &nonce, transport.is_root())),
    }
}

/// A word that nobody else prints.
fn nonce() -> Result<String, String> {
    let mut bytes = [0_u8; 12];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(format!("kw{}", hex::encode(bytes)))
}

/// Why a script that was sent printed no end of its own.
fn unanswered(output: &Output, nonce: &str, root: bool) -> Refusal {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    let last = said.last().copied().unwrap_or("it printed nothing");
    let began = String::from_utf8_lossy(&output.stdout).contains(&format!("{nonce} begin"));
    // sudo warns before it refuses: of a name that nobody looks up, of a journal that cannot be written.
    let sudo = said.iter().rfind(|line| line.starts_with("sudo:") || line.contains("is not in the sudoers file"));
    match (sudo, output.status) {
        (Some(sudo), _) if !root && !began => Refusal::new(Layer::Sudo, (*sudo).to_string()),
        // sudo itself is missing: the login shell says so, each in its own words.
        (None, Some(126 | 127)) if !root && !began => Refusal::new(Layer::Sudo, last.to_string()),
        (_, None) => Refusal::new(Layer::Tcp, "the connection was cut in the middle of a command"),
        (_, Some(status)) => Refusal::new(Layer::Command, format!("the shell ended with {status}: {last}")),
    }
}
