//! Files of SOPS, <https://getsops.io>: values encrypted one by one, so that a file of secrets can be kept in Git.
//!
//! They are read and written here without the program `sops`, in the form of its version 3.11, for recipients of age. Of YAML,
//! JSON, dotenv and binary files, comments and order are kept, and what does not change stays byte for byte. Start reading
//! at [`SopsFile`]; `tree` is what is in a file, `seal` how it is encrypted, and `yaml`, `json` and `dotenv` its forms.

mod cipher;
mod config;
pub mod disk;
mod dotenv;
mod identities;
mod json;
mod keypath;
mod metadata;
mod recipients;
mod rule;
mod seal;
mod tree;
mod yaml;

use std::path::Path;

use kubewright_model::secret::Secret;
use kubewright_model::units::Moment;

use self::cipher::DataKey;
pub use self::config::{CONFIG, Config};
pub use self::identities::{Identities, Sources, generate};
pub use self::keypath::KeyPath;
use self::metadata::Metadata;
pub(crate) use self::recipients::recipient;
use self::seal::Nonces;
use self::tree::{Around, Branch, Part, Value, pairs, put, under};

/// The key under which a file says how it is encrypted.
const METADATA: &str = "sops";
/// The key under which a binary file is kept.
const DATA: &str = "data";

pub(crate) type Result<T, E = SopsError> = std::result::Result<T, E>;

/// Something wrong in a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From 1; 0 where it is the whole text.
    pub line: usize,
    /// Without any value.
    pub why: String,
}

impl Fault {
    fn new(line: usize, why: String) -> Self {
        Self { line, why }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str(&self.why),
            line => write!(f, "line {line}: {}", self.why),
        }
    }
}

/// Why a file cannot be read or written. No variant holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum SopsError {
    /// The text is not in its form.
    #[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("; "))]
    Form(Vec<Fault>),
    /// There is no metadata of SOPS in it.
    #[error("it is not encrypted: it says nothing under `sops`")]
    Clear,
    /// The metadata is broken.
    #[error("what it says under `sops` is broken: {0}")]
    Metadata(String),
    /// Several groups of keys are needed together.
    #[error("it takes keys of several groups together to open it, which only the program `sops` does")]
    KeyGroups,
    /// None of the keys here opens it.
    #[error("none of the keys here opens it")]
    Locked {
        /// For whom it is encrypted with age.
        recipients: Vec<String>,
        /// Keys of other kinds that open it.
        others: Vec<String>,
        /// What came of each place where keys were looked for.
        looked: Vec<String>,
    },
    /// The digest of its values is another one.
    #[error(
        "it was changed by something that does not know its key: the digest over all values is not the one that it has"
    )]
    Tampered,
    /// A value cannot be opened or encrypted.
    #[error("`{place}`: {why}")]
    Value {
        /// Its keys.
        place: String,
        /// Why not.
        why: String,
    },
    /// A recipient that a data key cannot be sealed for.
    #[error("{0}")]
    Recipient(String),
    /// Keys of other kinds, which cannot be given a new data key here.
    #[error("a new key cannot be given to {}: only the program `sops` reaches them", .0.join(", "))]
    Others(Vec<String>),
    /// Something around it failed.
    #[error("{0}")]
    Failed(String),
}

impl SopsError {
    fn value(around: &Around, why: &str) -> Self {
        Self::Value { place: around.named(), why: why.to_string() }
    }

    /// The error with everything that helps, in one line for each.
    pub fn told(&self) -> String {
        let Self::Locked { recipients, others, looked } = self else { return self.to_string() };
        let all: Vec<&str> = recipients.iter().chain(others).map(String::as_str).collect();
        format!("{self}. It is for {}. Keys were looked for in: {}", all.join(", "), looked.join("; "))
    }
}

/// In which form a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Mappings and lists, with comments.
    Yaml,
    /// Mappings and lists.
    Json,
    /// `NAME=value`.
    Dotenv,
    /// Anything; it is kept in JSON.
    Binary,
}

impl Form {
    /// As SOPS tells it by a file's name (`cmd/sops/formats/formats.go`).
    ///
    /// # Errors
    ///
    /// It is one that is not handled here.
    pub fn of(path: &Path) -> Result<Self> {
        let name = path.to_string_lossy();
        let ends = |end: &str| name.ends_with(end);
        match () {
            () if ends(".yaml") || ends(".yml") => Ok(Self::Yaml),
            () if ends(".json") => Ok(Self::Json),
            () if ends(".env") => Ok(Self::Dotenv),
            () if ends(".ini") => Err(SopsError::Failed("files of SOPS in INI's form are not read; use YAML".into())),
            () => Ok(Self::Binary),
        }
    }

    fn read(self, text: &str) -> Result<Vec<Branch>> {
        match self {
            Self::Yaml => yaml::read(text),
            Self::Json | Self::Binary => json::read(text).map(|branch| vec![branch]),
            Self::Dotenv => dotenv::read(text).map(|branch| vec![branch]),
        }
        .map_err(SopsError::Form)
    }

    /// Encrypted documents and metadata from a text.
    fn take_apart(self, text: &str) -> Result<(Vec<Branch>, Metadata)> {
        let mut documents = self.read(text)?;
        let metadata = match self {
            Self::Dotenv => {
                let lines = documents.iter_mut().flat_map(|branch| branch.extract_if(.., |part| is_line(part)));
                let nested = dotenv::nested(&lines.collect());
                if nested.is_empty() { None } else { Some(nested) }
            }
            _ => match documents.first().and_then(|first| under(first, METADATA)) {
                Some(Value::Map(metadata)) => Some(metadata.clone()),
                _ => None,
            },
        };
        let metadata = Metadata::read(metadata.ok_or(SopsError::Clear)?)?;
        for branch in &mut documents {
            branch.retain(|part| !matches!(part, Part::Is((key, _)) if key == METADATA));
        }
        Ok((documents, metadata))
    }

    /// A text from encrypted documents and metadata.
    fn put_together(self, mut documents: Vec<Branch>, metadata: &Metadata) -> Result<String> {
        for branch in &mut documents {
            match self {
                Self::Dotenv => branch.extend(dotenv::flat(&metadata.branch())),
                _ => put(branch, METADATA, Value::Map(metadata.branch())),
            }
        }
        self.write(&documents)
    }

    fn write(self, documents: &[Branch]) -> Result<String> {
        let first = documents.first().map_or(&[] as &[_], Vec::as_slice).to_vec();
        match self {
            Self::Yaml => Ok(yaml::write(documents)),
            Self::Json | Self::Binary => Ok(json::write(&first)),
            Self::Dotenv => dotenv::write(&first).map_err(SopsError::Failed),
        }
    }
}

/// A line of a dotenv file's metadata.
fn is_line(part: &Part<(String, Value)>) -> bool {
    matches!(part, Part::Is((name, _)) if dotenv::is_metadata(name))
}

/// Who can open a file; this can be told without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Openers {
    /// Public keys of age.
    pub recipients: Vec<String>,
    /// Keys of other kinds: `kms arn:…`, `pgp FINGERPRINT`.
    pub others: Vec<String>,
}

/// Who can open a file of SOPS.
///
/// # Errors
///
/// It is none.
pub fn openers(form: Form, text: &str) -> Result<Openers> {
    form.take_apart(text).map(|(_, metadata)| who(&metadata))
}

fn who(metadata: &Metadata) -> Openers {
    let recipients = metadata.stanzas().into_iter().map(|stanza| stanza.recipient).collect();
    Openers { recipients, others: metadata.others() }
}

/// A file that is open.
pub struct SopsFile {
    form: Form,
    documents: Vec<Branch>,
    metadata: Metadata,
    key: DataKey,
    nonces: Nonces,
}

impl std::fmt::Debug for SopsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SopsFile").field("form", &self.form).finish_non_exhaustive()
    }
}

impl SopsFile {
    /// Opens a text.
    ///
    /// # Errors
    ///
    /// It is none of SOPS, nobody here has its key, or it was changed without.
    pub fn open(form: Form, text: &str, identities: &Identities) -> Result<Self> {
        let (documents, metadata) = form.take_apart(text)?;
        let Openers { recipients, others } = who(&metadata);
        let locked = || SopsError::Locked { recipients, others, looked: identities.told().to_vec() };
        let key = recipients::open(&metadata.stanzas(), identities).ok_or_else(locked)?;
        let seal::Opened { documents, nonces } = seal::open(documents, &metadata, &key)?;
        Ok(Self { form, documents, metadata, key, nonces })
    }

    /// Begins a file with what is in a clear text.
    ///
    /// # Errors
    ///
    /// The text is not in its form, or a recipient is none.
    pub fn begin(form: Form, text: &str, recipients: &[String]) -> Result<Self> {
        let mut begun = Self {
            form,
            documents: vec![Branch::new()],
            metadata: Metadata::new(form == Form::Binary),
            key: cipher::random().map_err(SopsError::Failed)?,
            nonces: Nonces::default(),
        };
        begun.replace(text)?;
        begun.seal_for(recipients)?;
        Ok(begun)
    }

    /// What is in it, in clear text.
    ///
    /// # Errors
    ///
    /// It does not fit into the file's form.
    pub fn clear(&self) -> Result<Secret> {
        if self.form == Form::Binary {
            let data = self.documents.first().and_then(|first| under(first, DATA)).and_then(Value::text);
            return data.map(Secret::new).ok_or_else(|| SopsError::Failed("it holds no `data`".into()));
        }
        self.form.write(&self.documents).map(Secret::new)
    }

    /// Puts what is in a clear text in the place of what is there; says whether anything is another.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the text; the file stays as it was.
    pub fn replace(&mut self, text: &str) -> Result<bool> {
        let mut documents = match self.form {
            Form::Binary => vec![vec![Part::Is((DATA.to_string(), Value::Text(text.to_string())))]],
            _ if text.trim().is_empty() => vec![Branch::new()],
            form => form.read(text)?,
        };
        if documents.is_empty() {
            documents.push(Branch::new());
        }
        let ours = |key: &str| key == METADATA || (self.form == Form::Dotenv && dotenv::is_metadata(key));
        if documents.iter().flat_map(pairs).any(|(key, _)| ours(key)) {
            let why = "`sops` is where SOPS keeps how the file is encrypted; no key of yours may be called so".into();
            return Err(SopsError::Form(vec![Fault::new(0, why)]));
        }
        let other = documents != self.documents;
        self.documents = documents;
        Ok(other)
    }

    /// The value in a place.
    ///
    /// # Errors
    ///
    /// There is none, or it is more than one value.
    pub fn value(&self, place: &KeyPath) -> Result<Secret, String> {
        let first = self.documents.first().ok_or("it is empty")?;
        let value = place.find(first)?;
        let text = value.text().ok_or_else(|| {
            format!("`{place}` is {}, and a secret is one value: name one of those in it", value.kind())
        });
        text.map(Secret::new)
    }

    /// Puts a value in a place.
    ///
    /// # Errors
    ///
    /// Something of another kind is in the way.
    pub fn set(&mut self, place: &KeyPath, value: &Secret) -> Result<(), String> {
        if matches!(place.to_string().as_str(), METADATA) {
            return Err("`sops` is where SOPS keeps how the file is encrypted".into());
        }
        if self.documents.is_empty() {
            self.documents.push(Branch::new());
        }
        place.put(&mut self.documents[0], Value::Text(value.expose().clone()))
    }

    /// Takes out what is in a place, and mappings that nothing else is in.
    ///
    /// # Errors
    ///
    /// There is nothing, or it is an entry of a list, by whose number others are named.
    pub fn remove(&mut self, place: &KeyPath) -> Result<(), String> {
        let first = self.documents.first_mut().ok_or("it is empty")?;
        place.remove(first)
    }

    /// Every place that holds a value, and whether it is empty.
    pub fn places(&self) -> Vec<(KeyPath, bool)> {
        let leaves = self.documents.first().map(KeyPath::leaves).unwrap_or_default();
        leaves.into_iter().map(|(place, value)| (place, value.text().is_none_or(|text| text.is_empty()))).collect()
    }

    /// Who can open it.
    pub fn openers(&self) -> Openers {
        who(&self.metadata)
    }

    /// Lets somebody else open it too; says whether he could not before.
    ///
    /// # Errors
    ///
    /// The recipient is none.
    pub fn add_recipient(&mut self, recipient: &str) -> Result<bool> {
        let mut stanzas = self.metadata.stanzas();
        if stanzas.iter().any(|stanza| stanza.recipient == recipient) {
            return Ok(false);
        }
        stanzas.push(recipients::seal(recipient, &self.key).map_err(SopsError::Recipient)?);
        self.metadata.set_stanzas(stanzas);
        Ok(true)
    }

    /// Takes a new data key, for these alone: every value is encrypted anew.
    ///
    /// # Errors
    ///
    /// A recipient is none, or somebody opens it with another kind of key.
    pub fn rotate(&mut self, recipients: &[String]) -> Result<()> {
        let others = self.metadata.others();
        if !others.is_empty() {
            return Err(SopsError::Others(others));
        }
        let before = std::mem::replace(&mut self.key, cipher::random().map_err(SopsError::Failed)?);
        let sealed = self.seal_for(recipients);
        match sealed {
            Ok(()) => self.nonces = Nonces::default(),
            Err(_) => self.key = before,
        }
        sealed
    }

    fn seal_for(&mut self, recipients: &[String]) -> Result<()> {
        if recipients.is_empty() {
            return Err(SopsError::Recipient("it would be for nobody: name at least one public key of age".into()));
        }
        let stanzas = recipients.iter().map(|recipient| recipients::seal(recipient, &self.key));
        let stanzas: std::result::Result<_, String> = stanzas.collect();
        self.metadata.set_stanzas(stanzas.map_err(SopsError::Recipient)?);
        Ok(())
    }

    /// The file's text, as it stands in Git.
    ///
    /// # Errors
    ///
    /// A value does not fit into the file's form.
    pub fn sealed(&self, now: Moment) -> Result<String> {
        let moment = rfc3339(now);
        let (mut metadata, mut nonces) = (self.metadata.clone(), self.nonces.clone());
        let (documents, mac) = seal::seal(self.documents.clone(), &metadata, &self.key, &mut nonces)?;
        metadata.set_mac(moment.clone(), seal::seal_mac(mac, &moment, &self.key)?);
        self.form.put_together(documents, &metadata)
    }
}

/// A moment as SOPS writes it.
pub fn rfc3339(moment: Moment) -> String {
    moment.to_string().replacen(' ', "T", 1).replace(" UTC", "Z")
}
