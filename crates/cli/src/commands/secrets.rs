//! `kubewright secrets`: secrets encrypted beside the spec, in a file of SOPS.

mod change;
mod check;
mod edit;
mod init;
mod recipients;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kubewright_engine::sops::{Form, Identities, SopsError, SopsFile, Sources, disk};
use kubewright_model::source::MAX_BYTES;
use kubewright_model::spec::{self, ClusterFile};
use kubewright_model::units::Moment;

use crate::arguments::secrets::Secrets;
use crate::hints;
use crate::problem::{Done, Problem};
use crate::screen::quoted;
use crate::source::{self, STANDARD_INPUT, Texts};

pub(super) fn run(environment: Option<&str>, wish: &Secrets) -> Result<Done, Problem> {
    let read = |spec: &Path| Book::read(spec, environment);
    match wish {
        Secrets::Init(init) => init::run(&read(&init.spec)?, init),
        Secrets::Edit(edit) => edit::run(&read(&edit.spec)?),
        Secrets::Set(set) => change::set(set, environment),
        Secrets::Remove(remove) => change::remove(&read(&remove.spec)?, remove),
        Secrets::Rotate(rotate) => recipients::rotate(&read(&rotate.spec)?),
        Secrets::AddRecipient(add) => recipients::add(&read(&add.spec)?, add),
        Secrets::Check(check) => check::run(environment, check),
    }
}

/// A spec with its environment, and the folder that it is in. Only its form is judged: secrets are put where a spec is not
/// right yet.
struct Book {
    spec: PathBuf,
    folder: PathBuf,
    file: ClusterFile,
    /// The environment's name and its file, where one is on top.
    on_top: Option<(String, PathBuf)>,
}

impl Book {
    fn read(path: &Path, environment: Option<&str>) -> Result<Self, Problem> {
        if path == Path::new(STANDARD_INPUT) {
            let problem = Problem::new(Done::Usage, "a spec from standard input has no folder for its secrets");
            return Err(problem.hint("write it to a file"));
        }
        let texts = Texts::open(path, environment)?;
        let loaded = spec::load_layered(&texts.spec, texts.environment()).map_err(|mut found| {
            hints::complete(&mut found);
            texts.show(&found);
            Problem::told(Done::Invalid)
        })?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let on_top = environment.map(String::from).zip(texts.layer_path().map(Path::to_path_buf));
        Ok(Self { spec: path.to_path_buf(), folder, file: loaded.file, on_top })
    }

    /// The file in which what is said of secrets belongs: the environment's, where it is of one.
    fn written_in(&self) -> &Path {
        self.on_top.as_ref().map_or(&self.spec, |(_, file)| file)
    }

    /// The SOPS file, as the spec names it.
    fn named(&self) -> Option<PathBuf> {
        let named = self.file.spec.secrets.sops_file.as_deref()?;
        Some(match named.strip_prefix("~/").zip(std::env::home_dir()) {
            Some((below, home)) => home.join(below),
            None => self.folder.join(named),
        })
    }

    /// The SOPS file, open.
    fn open(&self) -> Result<Open, Problem> {
        let path = self.named().ok_or_else(|| {
            let problem = Problem::new(Done::Invalid, format!("{} names no SOPS file", self.spec.display()));
            problem.hint("`kubewright secrets init` makes one, and tells the lines for the spec")
        })?;
        let text = source::bounded(&path, MAX_BYTES).map_err(|error| {
            let problem =
                Problem::new(Done::Usage, format!("cannot read {}", path.display())).because(error.to_string());
            match error.kind() {
                std::io::ErrorKind::NotFound => problem.hint("`kubewright secrets init` makes it"),
                _ => problem,
            }
        })?;
        let identities = Identities::look(&Sources::of_user());
        let opened = Form::of(&path).and_then(|form| SopsFile::open(form, &text, &identities));
        let file = opened.map_err(|error| closed(&path, &error))?;
        Ok(Open { path, text, file })
    }
}

/// A SOPS file that is open, and its text as it was.
struct Open {
    path: PathBuf,
    text: String,
    file: SopsFile,
}

impl Open {
    /// Writes it, if nobody else has meanwhile.
    fn save(&self) -> Result<(), Problem> {
        if std::fs::read_to_string(&self.path).ok().as_deref() != Some(self.text.as_str()) {
            let problem =
                Problem::new(Done::Busy, format!("{} was changed by somebody else meanwhile", self.path.display()));
            return Err(problem.hint("nothing was written; do it again"));
        }
        save(&self.path, &self.file)
    }
}

fn save(path: &Path, file: &SopsFile) -> Result<(), Problem> {
    let text = file.sealed(now()).map_err(|error| refused(path, &error))?;
    disk::write(path, &text).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Done::Usage, format!("cannot write {}", path.display())).because(error.to_string())
}

/// Why a file does not open, with all that helps.
fn closed(path: &Path, error: &SopsError) -> Problem {
    let mut problem = refused(path, error);
    if let SopsError::Locked { recipients, others, looked } = error {
        for who in recipients.iter().chain(others) {
            problem = problem.because(format!("it is for {who}"));
        }
        for place in looked {
            problem = problem.because(format!("looked for keys in {place}"));
        }
        problem = problem.hint(
            "whoever can open it lets you in with `kubewright secrets add-recipient KEY`, where KEY is your public one",
        );
    }
    problem
}

/// A file that is not as it has to be; it stays as it is.
fn refused(path: &Path, error: &SopsError) -> Problem {
    let problem = Problem::new(Done::Invalid, format!("{} cannot be used", path.display()));
    match error {
        SopsError::Form(faults) => faults.iter().fold(problem, |problem, fault| problem.because(fault.to_string())),
        SopsError::Tampered => problem.because(error.to_string()).hint(
            "take it back from Git as it was, or look at the difference; `sops --ignore-mac` opens it all the same",
        ),
        error => problem.because(error.to_string()),
    }
}

/// A key as a shell takes it.
fn word(key: &str) -> String {
    quoted(Path::new(key))
}

fn now() -> Moment {
    Moment(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}
