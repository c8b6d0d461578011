//! Servers that exist already, as others describe them, become a cluster file: tables of servers, Ansible's inventories,
//! and what Terraform shows of its state.
//!
//! Start reading at [`import`]. Each form has a module that makes [`Host`]s of its texts; [`roles`] decides what each is for,
//! [`pools`] which are alike, and [`file`] writes them down. It is here, because all of that is decided, and because what
//! is written is judged by the rules of this room before anybody gets it.
//!
//! No secret of these files is ever written or shown: what is known of one is that it is there.

pub mod ansible;
mod file;
mod hints;
mod pools;
mod roles;
mod shown;
mod table;
mod terraform;

use std::net::IpAddr;

use indexmap::IndexMap;
use kubewright_model::codes::{self, Code};
use kubewright_model::diagnostic::{Diagnostic, Place, SpecPath, nearest};
use kubewright_model::ids::ClusterName;
use kubewright_model::spec::{Distribution, Role};
use kubewright_model::version::Version;

use hints::Hints;

/// Which form a file of others has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines of columns, separated by tabs, commas or semicolons.
    Table,
    /// An inventory, in INI or in YAML.
    Ansible,
    /// The output of `terraform show -json`.
    Terraform,
}

/// A file of others.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// What people call it.
    pub name: String,
    /// What is in it.
    pub text: String,
    /// Its form, where the user says it; otherwise its name and its text tell.
    pub form: Option<Form>,
    /// Files of variables that Ansible finds beside it.
    pub beside: Vec<Beside>,
}

/// A file of variables beside an inventory.
#[derive(Clone, Debug)]
pub struct Beside {
    /// Its path from the inventory's folder: `group_vars/all/main.yml`.
    pub path: String,
    /// What people call it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// What the user says that no file tells.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The cluster's name.
    pub name: Option<ClusterName>,
    /// What the hosts of a group, of a role or of a name are for; none for those that are left out.
    pub roles: Vec<(String, Option<Role>)>,
    /// The distribution.
    pub distribution: Option<Distribution>,
    /// Its version.
    pub version: Option<Version>,
}

/// A cluster file that validates.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its text.
    pub text: String,
    /// What the user should know, one sentence each.
    pub told: Vec<String>,
}

/// Why there is none.
#[derive(Clone, Debug, Default)]
pub struct Refused {
    /// What is wrong with the files.
    pub wrong: Vec<Wrong>,
    /// Wishes for groups that no file has, each with the nearest that is there.
    pub unknown: Vec<(String, Option<String>)>,
}

/// What is wrong with one file.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// The file.
    pub name: String,
    /// Its text with nothing but the lines in question, and those without secrets.
    pub text: String,
    /// All of it.
    pub found: Vec<Diagnostic>,
}

/// Where something stands: which text, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    text: usize,
    at: Place,
}

/// A host of any of the files.
#[derive(Clone, Debug)]
struct Host {
    spot: Spot,
    /// As the file has it.
    name: String,
    address: Option<IpAddr>,
    /// Words that say what it is for, nearest first.
    marks: Vec<Mark>,
    way: Way,
    os: Option<String>,
    /// Whether something keeps work off it.
    tainted: bool,
    about: Option<About>,
}

impl Host {
    /// Takes what another file tells of the same host.
    fn join(&mut self, other: Self) {
        self.address = self.address.or(other.address);
        self.marks.extend(other.marks);
        let (way, theirs) = (std::mem::take(&mut self.way), other.way);
        self.way = Way {
            user: theirs.user.or(way.user),
            port: theirs.port.or(way.port),
            key: theirs.key.or(way.key),
            jump: theirs.jump.or(way.jump),
            here: way.here || theirs.here,
            password: way.password || theirs.password,
            sudo: way.sudo || theirs.sudo,
        };
        self.os = self.os.take().or(other.os);
        self.tainted |= other.tainted;
        self.about = self.about.take().or(other.about);
    }
}

/// A word that says what a host is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mark {
    /// A group, a role or a tag: what it does not know decides nothing.
    Group(String),
    /// Columns of one host: what names something else than Kubernetes decides.
    Columns(Vec<String>),
}

impl Mark {
    /// The words by which the user chooses it.
    fn words(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::Group(group) => std::slice::from_ref(group).iter().map(String::as_str),
            Self::Columns(words) => words.as_slice().iter().map(String::as_str),
        }
    }
}

/// What a file tells of a machine, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct About {
    /// What it is, and what it is made of.
    kind: String,
    vmid: Option<u64>,
    /// Its address in the world outside, where that is not the one it is reached at.
    public: Option<IpAddr>,
}

/// How a host is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    user: Option<String>,
    port: Option<u16>,
    key: Option<String>,
    jump: Option<String>,
    /// It is the computer that reads this.
    here: bool,
    /// The file has the user's password.
    password: bool,
    /// The file has sudo's password.
    sudo: bool,
}

/// What is read so far, and what is wrong with it.
#[derive(Default)]
struct Reading {
    texts: Vec<(String, String)>,
    found: Vec<(usize, Diagnostic)>,
    /// Where secrets stand.
    secrets: Vec<Spot>,
    hosts: Vec<Host>,
    hints: Hints,
    told: Vec<String>,
}

impl Reading {
    fn text(&mut self, name: &str, text: &str) -> usize {
        self.texts.push((name.to_string(), text.to_string()));
        self.texts.len() - 1
    }

    fn wrong(&mut self, spot: Spot, code: Code, message: impl Into<String>, help: impl Into<String>) {
        let diagnostic = Diagnostic::new(code, SpecPath::root(), message).help(help).at(spot.at);
        self.found.push((spot.text, diagnostic));
    }

    fn tell(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if !self.told.contains(&sentence) {
            self.told.push(sentence);
        }
    }

    fn refused(mut self) -> Refused {
        self.found.sort_by_key(|(text, found)| (*text, found.at, found.code));
        let mut wrong: Vec<Wrong> = Vec::new();
        for (index, (name, text)) in self.texts.iter().enumerate() {
            let found: Vec<Diagnostic> =
                self.found.iter().filter(|(text, _)| *text == index).map(|(_, found)| found.clone()).collect();
            if !found.is_empty() {
                let secrets = self.secrets.iter().filter(|spot| spot.text == index).map(|spot| spot.at);
                wrong.push(Wrong { name: name.clone(), text: shown::shown(text, &found, secrets), found });
            }
        }
        Refused { wrong, unknown: Vec::new() }
    }
}

/// Makes a cluster file of what others wrote down.
///
/// # Errors
///
/// Everything that is wrong with the files, or with the cluster that they would make.
pub fn import(files: &[Foreign], wishes: &Wishes) -> Result<Imported, Refused> {
    let mut reading = Reading::default();
    let (inventories, others): (Vec<_>, Vec<_>) = files.iter().partition(|file| form(file) == Form::Ansible);
    for file in others {
        match form(file) {
            Form::Table => table::read(file, &mut reading),
            _ => terraform::read(file, &mut reading),
        }
    }
    if !inventories.is_empty() {
        ansible::read(&inventories, &mut reading);
    }
    join(&mut reading);
    let unknown = unknown(&reading.hosts, wishes);
    if !unknown.is_empty() && reading.found.is_empty() {
        return Err(Refused { wrong: Vec::new(), unknown });
    }
    hints::prefer(&mut reading.hints, wishes);
    let chosen = roles::chosen(&mut reading, wishes);
    let pools = pools::pools(&mut reading, chosen);
    if !reading.found.is_empty() {
        return Err(Refused { unknown, ..reading.refused() });
    }
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    file::write(&reading, &pools, &names, wishes)
}

/// The form of a file: as the user says, or as its name and its text tell.
fn form(file: &Foreign) -> Form {
    if let Some(form) = file.form {
        return form;
    }
    let ending = file.name.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
    match ending {
        Some("tsv" | "csv" | "tab") => Form::Table,
        Some("json" | "tfstate") => Form::Terraform,
        Some("yml" | "yaml" | "ini" | "cfg") => Form::Ansible,
        _ if file.text.trim_start().starts_with('{') => Form::Terraform,
        _ => {
            let lines =
                file.text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
            let tabs = lines.take(2).filter(|line| line.contains('\t') && !line.contains('=')).count();
            if tabs > 0 { Form::Table } else { Form::Ansible }
        }
    }
}

/// What two files tell of one host is put together: Terraform knows the machine, Ansible the groups.
fn join(reading: &mut Reading) {
    let mut joined: IndexMap<String, Vec<Host>> = IndexMap::new();
    for host in std::mem::take(&mut reading.hosts) {
        let known = joined.entry(host.name.clone()).or_default();
        let other = known.iter_mut().find(|other| other.spot.text != host.spot.text);
        match other.filter(|other| other.address == host.address || other.address.is_none() || host.address.is_none()) {
            Some(other) => other.join(host),
            None => known.push(host),
        }
    }
    reading.hosts = joined.into_values().flatten().collect();
}

/// Wishes for groups that no host has.
fn unknown(hosts: &[Host], wishes: &Wishes) -> Vec<(String, Option<String>)> {
    let words = || {
        let marks = hosts.iter().flat_map(|host| host.marks.iter().flat_map(Mark::words));
        marks.chain(hosts.iter().map(|host| host.name.as_str()))
    };
    let gone = wishes.roles.iter().filter(|(name, _)| !words().any(|word| word == name));
    gone.map(|(name, _)| (name.clone(), nearest(name, words()).map(str::to_string))).collect()
}

/// Whether the name of a variable, a column or a field says that its value is a secret.
fn sounds_secret(name: &str) -> bool {
    const WORDS: &[&str] =
        &["password", "passwd", "passphrase", "secret", "token", "privatekey", "apikey", "motdepasse"];
    const ENDS: &[&str] = &["id", "file", "name", "path"];
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let pass =
        name.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|word| matches!(word, "pass" | "pw" | "pwd"));
    pass || (WORDS.iter().any(|word| plain.contains(word)) && !ENDS.iter().any(|end| plain.ends_with(end)))
}

/// What a value of others is taken for when it is an address; the prefix length of `10.0.0.1/24` is not part of it.
fn address(text: &str) -> Option<IpAddr> {
    text.trim().split('/').next()?.parse().ok()
}

/// A diagnostic's code for whatever cannot be read at all.
const FORM: Code = codes::FOREIGN_FORM;
