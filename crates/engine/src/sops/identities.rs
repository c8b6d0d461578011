//! Private keys of age, where SOPS looks for them (`age/keysource.go`, `loadIdentities`, 3.11).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use kubewright_model::secret::Secret;

use crate::holes;

/// Below the folder for the user's settings.
const KEYS: &str = "sops/age/keys.txt";

/// Where private keys may be.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `SOPS_AGE_KEY`: the keys themselves.
    pub keys: Option<Secret>,
    /// `SOPS_AGE_KEY_FILE`.
    pub file: Option<PathBuf>,
    /// `SOPS_AGE_KEY_CMD`: a command and its arguments, as in a shell.
    pub command: Option<String>,
    /// The user's own file, if anybody knows where it would be.
    pub own: Option<PathBuf>,
}

impl Sources {
    /// Where SOPS would look in this environment.
    pub fn of_user() -> Self {
        let text = |name: &str| std::env::var(name).ok();
        Self {
            keys: text("SOPS_AGE_KEY").map(Secret::new),
            file: text("SOPS_AGE_KEY_FILE").map(PathBuf::from),
            command: text("SOPS_AGE_KEY_CMD"),
            own: settings().map(|folder| folder.join(KEYS)),
        }
    }
}

/// The folder for the user's settings, as Go's `os.UserConfigDir` has it; SOPS looks at `XDG_CONFIG_HOME` on macOS too.
fn settings() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| !path.as_os_str().is_empty());
    let below = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
    named.or_else(|| Some(std::env::home_dir()?.join(below)))
}

/// The private keys that were found, and what came of each place.
#[derive(Clone, Default)]
pub struct Identities {
    found: Vec<Identity>,
    /// A line for each place: `SOPS_AGE_KEY_FILE (/root/keys.txt): age1…`, `SOPS_AGE_KEY: not set`.
    told: Vec<String>,
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identities").field("told", &self.told).finish_non_exhaustive()
    }
}

impl Identities {
    /// Those that there are. A place that cannot be read is told, and the others are looked at all the same.
    pub fn look(sources: &Sources) -> Self {
        let mut all = Self::default();
        match &sources.keys {
            Some(text) => all.take("SOPS_AGE_KEY".into(), Ok(text.expose().clone())),
            None => all.told.push("SOPS_AGE_KEY: not set".into()),
        }
        match &sources.file {
            Some(file) => all.take(format!("SOPS_AGE_KEY_FILE ({})", file.display()), read(file)),
            None => all.told.push("SOPS_AGE_KEY_FILE: not set".into()),
        }
        match &sources.command {
            Some(command) => all.take("SOPS_AGE_KEY_CMD".into(), printed(command)),
            None => all.told.push("SOPS_AGE_KEY_CMD: not set".into()),
        }
        if let Some(own) = &sources.own {
            all.take(own.display().to_string(), read(own));
        }
        all
    }

    fn take(&mut self, place: String, text: Result<String, String>) {
        let keys = match text {
            Ok(text) => parsed(&text),
            Err(why) => return self.told.push(format!("{place}: {why}")),
        };
        self.told.push(match &keys {
            Ok(keys) if keys.is_empty() => format!("{place}: no key in it"),
            Ok(keys) => format!("{place}: {}", keys.iter().map(public).collect::<Vec<_>>().join(", ")),
            Err(why) => format!("{place}: {why}"),
        });
        self.found.extend(keys.unwrap_or_default());
    }

    /// The keys.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Identity> {
        self.found.iter()
    }

    /// The public halves of the keys.
    pub fn recipients(&self) -> Vec<String> {
        self.found.iter().map(public).collect()
    }

    /// What came of each place, without any private key.
    pub fn told(&self) -> &[String] {
        &self.told
    }
}

fn public(identity: &Identity) -> String {
    identity.to_public().to_string()
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "there is no such file".into(),
        _ => error.to_string(),
    })
}

fn printed(command: &str) -> Result<String, String> {
    let words = shlex::split(command).filter(|words| !words.is_empty()).ok_or("it is no command")?;
    String::from_utf8(holes::printed(&words, holes::LONGEST)?).map_err(|_| "what it prints is not text".into())
}

/// The keys of a text, one in each line.
fn parsed(text: &str) -> Result<Vec<Identity>, String> {
    let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
    let keys = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    keys.map(|(line, number)| {
        if line.starts_with("AGE-PLUGIN-") {
            return Err(format!("line {number} is a key of a plug-in of age; only keys of age itself are used"));
        }
        Identity::from_str(line).map_err(|_| format!("line {number} is no private key of age"))
    })
    .collect()
}

/// A new private key in the form of `age-keygen`, and its public half.
pub fn generate(moment: &str) -> (Secret, String) {
    let identity = Identity::generate();
    let public = public(&identity);
    let key = identity.to_string();
    (Secret::new(format!("# created: {moment}\n# public key: {public}\n{}\n", key.expose_secret())), public)
}
