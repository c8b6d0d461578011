//! Reads the lines that the script printed. Nothing is concluded here: see [`super::seen`].

use std::collections::{BTreeMap, HashMap};

use kubewright_model::digest::Digest;
use kubewright_model::programs::PROGRAMS;

use super::ParseError;

/// More than this no honest host prints.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Longer lines are no answers.
const LONGEST_LINE: usize = 64 * 1024;

/// Everything that was printed, sorted by kind. An index is a resource's place in the list, or the name
/// of a program of [`PROGRAMS`].
#[derive(Debug, Default)]
pub(super) struct Answers<'a> {
    /// Facts that are always asked for: `kernel`, `arch`, `clock`, …
    pub(super) always: HashMap<&'a str, &'a str>,
    /// Lines of `/etc/os-release`.
    pub(super) release: Vec<&'a str>,
    /// Programs of Kubernetes.
    pub(super) programs: Vec<&'a str>,
    /// Interfaces with their hardware addresses.
    pub(super) macs: HashMap<&'a str, &'a str>,
    /// What we have touched, below `absent` or `there`; or that nobody may look.
    pub(super) ours: Vec<&'a str>,
    /// Certificates of Kubernetes by their place, in base64, of DER or of PEM.
    pub(super) certificates: Vec<(&'a str, &'a str)>,
    /// Sources of downloads, and why nothing can be fetched there; empty where something can.
    pub(super) sources: Vec<(&'a str, &'a str)>,
    /// Interfaces with their addresses.
    pub(super) addresses: Vec<(&'a str, &'a str)>,
    /// How each resource ended.
    pub(super) ended: HashMap<&'a str, Ended>,
    /// Facts of resources, by their kind and index: `value 3`, `hostname 4`.
    pub(super) of: HashMap<(&'a str, &'a str), Vec<&'a str>>,
    /// Digests by index, or by index and part: `5.keys`.
    pub(super) sums: HashMap<&'a str, Digest>,
    /// Properties of units by index; the time services have one for all.
    pub(super) units: HashMap<&'a str, Vec<BTreeMap<&'a str, &'a str>>>,
    /// Lines that were found in files: the file and the line.
    pub(super) found: Vec<(&'a str, &'a str)>,
    /// The package manager, or why there is no answer from one.
    pub(super) manager: Option<&'a str>,
    /// `installed NAME ARCH VERSION`, and of dpkg what is wanted: `install`, `hold`.
    pub(super) packages: Vec<&'a str>,
    /// Lines of the lists in which dnf and zypper keep what is held.
    pub(super) locks: Vec<&'a str>,
    /// `installed NAME, NAME (= 1)`.
    pub(super) provides: Vec<&'a str>,
    /// What a program told in part only.
    lacking: Option<&'static str>,
    /// The always asked facts were answered to their end.
    pub(super) always_done: bool,
    /// So was the search.
    pub(super) search_done: bool,
}

/// How the answer for a resource ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is there.
    Done,
    /// It is not there.
    Absent,
    /// Nobody may look.
    Denied,
}

/// Where in the output the reader is: some programs print lines of their own shape.
enum Place<'a> {
    Plain,
    Sums(std::str::SplitWhitespace<'a>),
    Units { left: std::str::SplitWhitespace<'a>, current: BTreeMap<&'a str, &'a str> },
    Search,
}

/// Reads all lines.
pub(super) fn read(printed: &str) -> Result<Answers<'_>, ParseError> {
    if printed.len() > MOST_BYTES {
        return Err(ParseError::TooMuch { bytes: printed.len() });
    }
    let mut answers = Answers::default();
    let mut place = Place::Plain;
    for (number, line) in printed.split('\n').enumerate() {
        let wrong = || ParseError::line(number + 1, line);
        if line.len() > LONGEST_LINE {
            return Err(wrong());
        }
        place = answers.take(place, line).ok_or_else(wrong)?;
    }
    match (place, answers.lacking) {
        (Place::Plain, None) => Ok(answers),
        (Place::Plain, Some(what)) => Err(ParseError::Missing { what }),
        (Place::Sums(_) | Place::Units { .. } | Place::Search, _) => Err(ParseError::Missing { what: "the end" }),
    }
}

impl<'a> Answers<'a> {
    /// Takes a line; none when it is no answer to anything.
    fn take(&mut self, place: Place<'a>, line: &'a str) -> Option<Place<'a>> {
        match place {
            Place::Plain => self.plain(line),
            Place::Sums(left) => self.sum(left, line),
            Place::Units { left, current } => self.unit(left, current, line),
            Place::Search if line == "search done" => {
                self.search_done = true;
                Some(Place::Plain)
            }
            Place::Search => {
                self.found.push(found(line)?);
                Some(Place::Search)
            }
        }
    }

    fn plain(&mut self, line: &'a str) -> Option<Place<'a>> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" if line.is_empty() => {}
            "always" if rest == "done" => self.always_done = true,
            "kernel" | "arch" | "clock" | "cpus" | "memory" | "disk" | "container" | "virtual" | "machine-id"
            | "cgroup" | "kmsg" | "proc-sys" | "joined" | "under-way" | "begins" | "firewalld" | "selinux"
            | "route" | "flush" | "owner" | "login" | "cloud-init" | "boot" | "reboot" | "updates" => {
                // The first answer counts, and there is no second one.
                if self.always.insert(word, rest).is_some() {
                    return None;
                }
            }
            "release" => self.release.push(rest),
            "ours" => self.ours.push(rest),
            "certificate" => self.certificates.push(rest.split_once(' ')?),
            "program" => self.programs.push(rest),
            "mac" => drop(self.macs.insert(rest.split_once(' ')?.0, rest.split_once(' ')?.1)),
            "source" => self.sources.push(rest.split_once(' ').unwrap_or((rest, ""))),
            "done" => return self.end(rest, Ended::Done),
            "absent" => return self.end(rest, Ended::Absent),
            "denied" => return self.end(rest, Ended::Denied),
            "stat" | "record" | "text" | "content" | "value" | "link" | "hostname" | "zone" | "locale" | "swap"
            | "sshd" | "lacks" | "user" | "group" | "other" => {
                let (index, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                self.of.entry((word, token(index)?)).or_default().push(rest);
            }
            "sums" => return Some(Place::Sums(rest.split_whitespace())),
            "units" => return Some(Place::Units { left: rest.split_whitespace(), current: BTreeMap::new() }),
            "search" if rest.is_empty() => return Some(Place::Search),
            "packages" if self.manager.is_none() => self.manager = Some(rest),
            "packages" => self.manager = Some("failed"),
            "package" => self.packages.push(rest),
            "lock" => self.locks.push(rest),
            "provides" => self.provides.push(rest),
            _ => self.addresses.push(address(line)?),
        }
        Some(Place::Plain)
    }

    /// A resource ends once.
    fn end(&mut self, index: &'a str, ended: Ended) -> Option<Place<'a>> {
        self.ended.insert(token(index)?, ended).is_none().then_some(Place::Plain)
    }

    /// `sha256sum` prints a digest and the path, and a backslash before when the path has one.
    fn sum(&mut self, mut left: std::str::SplitWhitespace<'a>, line: &'a str) -> Option<Place<'a>> {
        if line == "sums done" {
            // All or none: a digest that is missing would give its place to the next one.
            if left.next().is_some() {
                self.lacking = Some("all digests");
            }
            return Some(Place::Plain);
        }
        let digest = Digest::parse(line.strip_prefix('\\').unwrap_or(line).get(..64)?)?;
        self.sums.insert(left.next()?, digest);
        Some(Place::Sums(left))
    }

    /// `systemctl show` prints properties, and an empty line between units.
    fn unit(
        &mut self,
        mut left: std::str::SplitWhitespace<'a>,
        mut current: BTreeMap<&'a str, &'a str>,
        line: &'a str,
    ) -> Option<Place<'a>> {
        if (line.is_empty() || line == "units done") && !current.is_empty() {
            self.units.entry(left.next()?).or_default().push(std::mem::take(&mut current));
        }
        match line {
            "units done" => {
                if left.next().is_some() {
                    self.lacking = Some("the state of its units (does systemd run there?)");
                }
                return Some(Place::Plain);
            }
            "" => {}
            _ => {
                let (key, value) = line.split_once('=')?;
                matches!(key, "Names" | "LoadState" | "ActiveState" | "SubState" | "UnitFileState").then_some(())?;
                current.insert(key, value);
            }
        }
        Some(Place::Units { left, current })
    }

    /// The last answer of a kind for a resource.
    pub(super) fn one(&self, kind: &'a str, index: &'a str) -> Option<&'a str> {
        self.all(kind, index).last().copied()
    }

    /// All answers of a kind for a resource.
    pub(super) fn all(&self, kind: &'a str, index: &'a str) -> &[&'a str] {
        self.of.get(&(kind, index)).map_or(&[], Vec::as_slice)
    }
}

/// An index as we print it.
fn token(word: &str) -> Option<&str> {
    let number = word.len() <= 9 && !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    (number || PROGRAMS.iter().any(|program| program.name == word)).then_some(word)
}

/// `grep` prints the file before the line. A name ends where its kind ends.
fn found(line: &str) -> Option<(&str, &str)> {
    ["proc/net/tcp:", "proc/net/tcp6:", "/modules.builtin:", ".conf:"].iter().find_map(|end| {
        let at = line.find(end)? + end.len();
        Some((&line[..at - 1], &line[at..]))
    })
}

/// `ip -o addr` prints a number, the interface, the family and the address.
fn address(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    let number = words.next()?.strip_suffix(':')?;
    number.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    let interface = words.next()?;
    matches!(words.next()?, "inet" | "inet6").then_some(())?;
    Some((interface, words.next()?))
}
