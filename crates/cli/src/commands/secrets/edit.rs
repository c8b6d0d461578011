//! `kubewright secrets edit`: the file in an editor, in clear text, for as long as that is open.

use std::fs::{OpenOptions, Permissions};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use kubewright_engine::sops::SopsError;
use tokio::signal::unix::{SignalKind, signal};

use super::{Book, refused};
use crate::problem::{Done, Problem};
use crate::screen::say;

/// Where things are kept in memory: for one user, or for all.
const IN_MEMORY: &str = "/dev/shm";

pub(super) fn run(book: &Book) -> Result<Done, Problem> {
    let mut open = book.open()?;
    let clear = open.file.clear().map_err(|error| refused(&open.path, &error))?;
    let desk = Desk::set(&open.path, clear.expose())?;
    loop {
        desk.edit()?;
        let text = std::fs::read_to_string(&desk.file).map_err(|error| {
            Problem::new(Done::Usage, "cannot read what the editor wrote").because(error.to_string())
        })?;
        if text == *clear.expose() {
            say!("nothing is another; {} stays as it is", open.path.display());
            return Ok(Done::Well);
        }
        match open.file.replace(&text) {
            Ok(true) => break,
            Ok(false) => {
                say!("no value is another; {} stays as it is", open.path.display());
                return Ok(Done::Well);
            }
            Err(error) if again(&error) => {}
            Err(error) => return Err(unkept(&error)),
        }
    }
    open.save()?;
    say!("wrote {}", open.path.display());
    Ok(Done::Well)
}

/// What the editor wrote and SOPS cannot keep.
fn unkept(error: &SopsError) -> Problem {
    let problem = Problem::new(Done::Usage, "what the editor wrote cannot be kept");
    let problem = match error {
        SopsError::Form(faults) => faults.iter().fold(problem, |problem, fault| problem.because(fault.to_string())),
        error => problem.because(error.to_string()),
    };
    problem.hint("nothing was written")
}

/// Tells what is wrong, and whether the person wants to mend it.
fn again(error: &SopsError) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    unkept(error).tell();
    let _ = write!(anstream::stderr(), "Enter opens it again, q leaves the file as it was: ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .is_ok_and(|bytes| bytes > 0 && !answer.trim().eq_ignore_ascii_case("q"))
}

/// A folder that only we get into, with the clear text in it. It goes, however this ends.
struct Desk {
    _folder: tempfile::TempDir,
    file: PathBuf,
}

impl Desk {
    fn set(path: &Path, text: &str) -> Result<Self, Problem> {
        let failed = |error: std::io::Error| {
            Problem::new(Done::Usage, "there is no place for the clear text").because(error.to_string())
        };
        let folder = private().map_err(failed)?;
        // Editors tell the form by the name's end.
        let file = folder.path().join(path.file_name().unwrap_or_default());
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
        made.and_then(|mut made| made.write_all(text.as_bytes())).map_err(failed)?;
        Ok(Self { _folder: folder, file })
    }

    /// Lets a person edit. Who presses Ctrl-C means the editor; who ends us ends it, and the folder goes.
    fn edit(&self) -> Result<(), Problem> {
        let mut named = ["SOPS_EDITOR", "EDITOR"].into_iter().filter_map(|name| std::env::var(name).ok());
        let editor = named.find(|editor| !editor.trim().is_empty()).unwrap_or_else(|| "vi".into());
        let failed = |why: String| {
            Problem::new(Done::Usage, format!("the editor `{editor}` failed")).because(why).hint("nothing was written")
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let ended = runtime.map_err(|error| failed(error.to_string()))?.block_on(async {
            let mut stops = [SignalKind::terminate(), SignalKind::hangup()].map(signal);
            let mut interrupts = signal(SignalKind::interrupt())?;
            let [Ok(terminated), Ok(hung_up)] = &mut stops else { return Err(std::io::Error::other("no signals")) };
            // The editor may be several words, and is run as Git runs it.
            let mut command = tokio::process::Command::new("sh");
            let line = format!("{editor} \"$1\"");
            let mut child = command.args(["-c", &line, "sh"]).arg(&self.file).kill_on_drop(true).spawn()?;
            loop {
                tokio::select! {
                    ended = child.wait() => return ended.map(Some),
                    _ = interrupts.recv() => {}
                    _ = terminated.recv() => return Ok(None),
                    _ = hung_up.recv() => return Ok(None),
                }
            }
        });
        match ended.map_err(|error| failed(error.to_string()))? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(failed(status.to_string())),
            None => Err(Problem::new(Done::Interrupted, "interrupted; nothing was written")),
        }
    }
}

/// A folder that only we get into: in memory, where there is a place.
fn private() -> std::io::Result<tempfile::TempDir> {
    let ours = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let ours = ours.filter(|folder| std::fs::metadata(folder).is_ok_and(|it| it.mode() & 0o077 == 0));
    let builder = || {
        let mut builder = tempfile::Builder::new();
        // What editors put beside a file is as open as they like.
        builder.prefix("kubewright-").permissions(Permissions::from_mode(0o700));
        builder
    };
    let in_memory = [ours, Some(PathBuf::from(IN_MEMORY))].into_iter().flatten();
    let mut made = in_memory.filter_map(|folder| builder().tempdir_in(folder).ok());
    made.next().map_or_else(|| builder().tempdir(), Ok)
}
