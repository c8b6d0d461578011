//! How a script gets to a host and its answer comes back.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright_model::net::HostPort;
use kubewright_model::secret::Secret;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::enter::Piece;
use crate::shell;
use crate::{DialError, Dialed, Layer};

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

    /// More came back than [`MOST_OUTPUT`].
    pub(crate) fn flood() -> Self {
        Self::new(Layer::Command, "the host sends more than any answer of ours has")
    }
}

/// More output than this is a host that floods us; a probe of a thousand resources has 200 kB.
pub(crate) const MOST_OUTPUT: usize = 16 * 1024 * 1024;

/// What goes to a command's standard input: read piece by piece, as the command takes it.
pub(crate) type Input<'a> = &'a mut (dyn AsyncRead + Send + Unpin);

/// Hears what a command says; says whether it wants to hear more.
pub(crate) type Hear<'a> = &'a mut (dyn FnMut(Piece<'_>) -> bool + Send);

/// How much of an input is read at once: some packets of SSH, so that the disk is not asked for each.
pub(crate) const PIECE: usize = 128 * 1024;

/// Why no connection from a host's side was made.
pub(crate) enum Unmet {
    /// The host lets nobody connect through it.
    Forbidden,
    /// The way to the host is gone.
    Gone(Refusal),
    /// It tried.
    Tried(DialError),
}

/// A way to a host that is open.
#[async_trait]
pub(crate) trait Transport: Send + Sync {
    /// Runs a command with some input, as the user who was let in.
    async fn exec(&self, command: &str, input: Input<'_>, deadline: Duration) -> Result<Output, Refusal>;

    /// Runs a command with some input, and says what it says at once; ends when somebody has heard enough. Returns how it
    /// ended.
    async fn converse(&self, command: &str, input: Input<'_>, hear: Hear<'_>) -> Result<Option<u32>, Refusal>;

    /// Connects from the host's side to a place. Whose host it is, the caller knows.
    async fn dial(&self, at: &HostPort) -> Result<Dialed, Unmet>;

    /// Whether the user who was let in is root.
    fn is_root(&self) -> bool;

    /// Whether a password let us in, because the host has no key of ours yet.
    fn by_password(&self) -> bool {
        false
    }

    /// Whether it can still be used.
    fn is_open(&self) -> bool;
}

/// A shell that takes a script from its standard input.
const SCRIPT: &str = "sh -s";
/// A shell that takes a script in base64 from the first line of its standard input, and leaves the rest of it alone.
const SCRIPT_AND_MORE: &str = r#"sh -c 'IFS= read -r kw_s && eval "$(printf %s "$kw_s" | base64 -d)"'"#;

/// sudo with a password, which is the first line of the input. Where sudo wants none after all, that line must not reach
/// the shell; where it is wrong, sudo must not take the script's lines for further tries, for three of them may lock the
/// user out. So it is proven first, by itself. Where sudo remembers nothing, it is given once more.
fn with_password(shell: &str) -> String {
    // Every login shell ends a quotation, takes one quote, and begins the next one.
    let shell = shell.replace('\'', r"'\''");
    format!(
        "sh -c 'IFS= read -r kw_p; \
         sudo -n true </dev/null 2>/dev/null || printf \"%s\\n\" \"$kw_p\" | sudo -S -p \"\" -v || exit 1; \
         if sudo -n true </dev/null 2>/dev/null; then sudo -n -- {shell}; \
         else {{ printf \"%s\\n\" \"$kw_p\"; cat; }} | sudo -S -p \"\" -- {shell}; fi'"
    )
}

/// A command as it is sent, and what stands before all other input of it: sudo's password.
pub(crate) fn elevated(command: &str, sudo: bool, password: Option<&Secret>) -> Result<(String, String), Refusal> {
    match password {
        _ if !sudo => Ok((command.to_string(), String::new())),
        None => Ok((format!("sudo -n -- {command}"), String::new())),
        Some(password) if password.expose().contains(['\n', '\0']) => {
            Err(Refusal::new(Layer::Sudo, "sudo's password must be one line"))
        }
        Some(password) => Ok((with_password(command), format!("{}\n", password.expose()))),
    }
}

/// Runs a script as root: by its body on standard input, so that no argument holds any of it. `sudo` is sudo's password,
/// where it asks for one. The script finds `more` at its descriptor 4.
pub(crate) async fn run(
    transport: &dyn Transport,
    job: Job<'_>,
    sudo: Option<&Secret>,
    more: Option<Input<'_>>,
) -> Result<shell::Answer, Refusal> {
    let nonce = nonce().map_err(|why| Refusal::new(Layer::Command, why))?;
    let script = shell::framed(job.body, &nonce);
    let (shell, script) = match more {
        None => (SCRIPT, script),
        Some(_) => (SCRIPT_AND_MORE, format!("{}\n", STANDARD.encode(format!("exec 4<&0\n{script}")))),
    };
    let (command, first) = elevated(shell, !transport.is_root(), sudo)?;
    let input = first + &script;
    let output = match more {
        None => transport.exec(&command, &mut input.as_bytes(), job.deadline).await?,
        Some(more) => transport.exec(&command, &mut input.as_bytes().chain(more), job.deadline).await?,
    };
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

/// From here on a shell tells that a signal ended what it ran, of which there are 64.
const SIGNALLED: u32 = 128;
const SIGNALLED_LAST: u32 = SIGNALLED + 64;

/// Why a script that was sent printed no end of its own.
fn unanswered(output: &Output, nonce: &str, root: bool) -> Refusal {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    let last = said.last().copied().unwrap_or("it printed nothing");
    let began = String::from_utf8_lossy(&output.stdout).contains(&format!("{nonce} begin"));
    // sudo warns before it refuses: of a name that nobody looks up, of a journal that cannot be written.
    let sudo = said.iter().rfind(|line| line.starts_with("sudo:") || line.contains("is not in the sudoers file"));
    match (sudo, output.status) {
        (_, None) => Refusal::new(Layer::Tcp, "the connection was cut in the middle of a command"),
        // A host that goes down ends its shells before its connections.
        (_, Some(SIGNALLED..=SIGNALLED_LAST)) => {
            Refusal::new(Layer::Tcp, "somebody ended the shell in the middle of a command")
        }
        (Some(sudo), _) if !root && !began => Refusal::new(Layer::Sudo, (*sudo).to_string()),
        // sudo itself is missing: the login shell says so, each in its own words.
        (None, Some(126 | 127)) if !root && !began => Refusal::new(Layer::Sudo, last.to_string()),
        (_, Some(status)) => Refusal::new(Layer::Command, format!("the shell ended with {status}: {last}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sudo_warns_of_is_its_refusal_only_when_it_ended_by_itself() {
        let stderr = b"sudo: unable to resolve host one\nsudo: a password is required\n".to_vec();
        let layer = |status| {
            let output = Output { stdout: Vec::new(), stderr: stderr.clone(), status };
            unanswered(&output, "nonce", false).layer
        };
        assert_eq!(layer(Some(1)), Layer::Sudo);
        let output = Output { stdout: Vec::new(), stderr: stderr.clone(), status: Some(1) };
        let told = unanswered(&output, "nonce", false).why;
        assert_eq!(told, "sudo: a password is required");
        assert_eq!([layer(None), layer(Some(128)), layer(Some(128 + 15))], [Layer::Tcp; 3]);
    }
}
