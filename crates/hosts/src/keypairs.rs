//! SSH keys on this computer: the one that the spec names, the one that is to take its place, and the one that had it.
//!
//! Every file is written beside its place and moved there, so a cut leaves each of them whole or as it was. Which parts of a
//! key are where tells how far the taking of its place is, and doing it again goes on from there.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use kubewright_model::host::bare_key;
use kubewright_model::rotation::{BEFORE, KeySeen, NEXT};
use kubewright_model::secret::Secret;
use ring::rand::{SecureRandom as _, SystemRandom};
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{Algorithm, PrivateKey, decode_secret_key};

/// Only their owner reads private halves: OpenSSH takes no others.
const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// The key in a file, with those beside it.
pub(crate) struct KeyPair {
    file: PathBuf,
}

/// What a file tells of its key.
struct Half {
    /// The line that a host takes.
    line: String,
    /// It lies there for whoever reads the file.
    open: bool,
}

impl Half {
    fn bare(&self) -> String {
        bare_key(&self.line)
    }
}

impl KeyPair {
    pub(crate) fn at(file: PathBuf) -> Self {
        Self { file }
    }

    /// The private half of a key: `""` is the one that the spec names.
    pub(crate) fn private(&self, which: &str) -> PathBuf {
        let mut path = self.file.clone().into_os_string();
        path.push(which);
        PathBuf::from(path)
    }

    fn public(&self, which: &str) -> PathBuf {
        self.private(&format!("{which}.pub"))
    }

    /// What is there; none where neither half of the key is.
    pub(crate) fn seen(&self) -> Result<Option<KeySeen>, String> {
        let Some(current) = self.half("")? else { return Ok(None) };
        let bare = |which| Ok::<_, String>(self.half(which)?.map(|half| half.bare()));
        Ok(Some(KeySeen { current: current.bare(), open: current.open, next: bare(NEXT)?, before: bare(BEFORE)? }))
    }

    /// Makes the key that is to take the place, unless one is there: who needs one with a password, or on a stick, puts it
    /// there.
    pub(crate) fn make(&self) -> Result<bool, String> {
        if let Some(next) = self.half(NEXT)? {
            let lacks = !self.public(NEXT).exists();
            if lacks {
                self.write(&self.public(NEXT), &format!("{}\n", next.line), PUBLIC)?;
            }
            return Ok(lacks);
        }
        let current = self.half("")?.ok_or_else(|| format!("there is no file {}", self.file.display()))?;
        if !current.open {
            return Err(format!("{} does not lie open, so another one is not to either", self.file.display()));
        }
        let comment = current.line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ");
        let (private, public) = another(&comment)?;
        self.write(&self.private(NEXT), private.expose(), PRIVATE)?;
        self.write(&self.public(NEXT), &format!("{public}\n"), PUBLIC)?;
        Ok(true)
    }

    /// The new key takes the place of the old one, which is put aside first.
    pub(crate) fn take_over(&self) -> Result<bool, String> {
        let Some(next) = self.half(NEXT)? else {
            let before = self.half(BEFORE)?;
            return before.map(|_| false).ok_or_else(|| "there is no key to take its place".into());
        };
        let current = self.half("")?.filter(|current| current.bare() != next.bare());
        if let Some(old) = current {
            if let Some(text) = read(&self.private(""))? {
                self.write(&self.private(BEFORE), text.expose(), PRIVATE)?;
            }
            self.write(&self.public(BEFORE), &format!("{}\n", old.line), PUBLIC)?;
        }
        if !self.private(NEXT).exists() {
            // Of the new one only its public half is here, which would stand beside the old private one.
            remove(&self.private(""))?;
        }
        for (from, to) in [(self.public(NEXT), self.public("")), (self.private(NEXT), self.private(""))] {
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(told("move", &from, &error)),
                Ok(()) | Err(_) => self.settle()?,
            }
        }
        Ok(true)
    }

    /// The old key goes.
    pub(crate) fn drop_old(&self) -> Result<bool, String> {
        let gone = [self.private(BEFORE), self.public(BEFORE)].map(|path| remove(&path));
        gone.into_iter().try_fold(false, |any, one| Ok(any | one?))
    }

    /// What the private half tells, or the public one where that is all there is.
    fn half(&self, which: &str) -> Result<Option<Half>, String> {
        let path = self.private(which);
        if fs::symlink_metadata(&path).is_ok_and(|there| there.file_type().is_symlink()) {
            return Err(format!("{} is a link: `keyFile` has to name the key itself", path.display()));
        }
        let public = read(&self.public(which))?;
        let line = public.as_ref().and_then(|text| text.expose().lines().map(str::trim).find(|it| is_key(it)));
        let Some(text) = read(&path)? else {
            return Ok(line.map(|line| Half { line: line.into(), open: false }));
        };
        let (key, open) = parsed(&text).ok_or_else(|| {
            let path = path.display();
            format!(
                "{path} does not tell its public half: `ssh-keygen -p -f {path}` writes it anew in a form that does"
            )
        })?;
        let of_it = key.public_key().to_openssh().map_err(|error| error.to_string())?;
        // The line beside it has the comment by which people know it.
        let line = line.filter(|line| bare_key(line) == bare_key(&of_it)).map_or(of_it.clone(), str::to_string);
        Ok(Some(Half { line, open }))
    }

    /// Writes a file so that it is there whole or not at all.
    fn write(&self, path: &Path, text: &str, mode: u32) -> Result<(), String> {
        let written =
            tempfile::Builder::new().prefix(".kubewright-").tempfile_in(self.folder()).and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
                file.as_file().sync_all()?;
                file.persist(path).map_err(|error| error.error)
            });
        written.map_err(|error| told("write", path, &error))?;
        self.settle()
    }

    /// A new name is only there for certain once its folder was written too.
    fn settle(&self) -> Result<(), String> {
        let folder = self.folder();
        File::open(folder).and_then(|it| it.sync_all()).map_err(|error| told("write", folder, &error))
    }

    fn folder(&self) -> &Path {
        self.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

fn told(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}

fn is_key(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

fn read(path: &Path) -> Result<Option<Secret>, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Secret::new(text))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(told("read", path, &error)),
    }
}

fn remove(path: &Path) -> Result<bool, String> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(told("remove", path, &error)),
    }
}

/// A private key, and whether it lies open. OpenSSH's own form tells the public half of a locked one too; a key on a stick
/// is a file that opens nothing by itself.
fn parsed(text: &Secret) -> Option<(PrivateKey, bool)> {
    let key = PrivateKey::from_openssh(text.expose()).or_else(|_| decode_secret_key(text.expose(), None)).ok()?;
    let on_a_stick = matches!(key.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256);
    let open = !key.is_encrypted() && !on_a_stick;
    Some((key, open))
}

/// A key that nobody has: the private half as OpenSSH keeps it, and the public one in a line.
fn another(comment: &str) -> Result<(Secret, String), String> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| "this computer gives no chance".to_string())?;
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    let unwritten = |error: russh::keys::ssh_key::Error| error.to_string();
    let key = PrivateKey::new(pair, comment).map_err(unwritten)?;
    let public = key.public_key().to_openssh().map_err(unwritten)?;
    let private = key.to_openssh(LineEnding::LF).map_err(unwritten)?;
    Ok((Secret::new(private.to_string()), public))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn keygen(path: &Path, password: &str, form: &[&str]) {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-C", "me@here", "-N", password]).args(form).arg("-f").arg(path);
        assert!(keygen.status().expect("ssh-keygen is installed").success());
    }

    fn pair(password: &str, form: &[&str]) -> (tempfile::TempDir, KeyPair) {
        let folder = tempfile::tempdir().expect("a folder");
        let pair = KeyPair::at(folder.path().join("lab"));
        keygen(&pair.file, password, form);
        (folder, pair)
    }

    fn seen(pair: &KeyPair) -> KeySeen {
        pair.seen().expect("it can be read").expect("it is there")
    }

    /// What OpenSSH itself says of a private half.
    fn public_of(path: &Path) -> String {
        let output =
            Command::new("ssh-keygen").args(["-y", "-P", "", "-f"]).arg(path).output().expect("it is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        bare_key(&String::from_utf8_lossy(&output.stdout))
    }

    fn copy(from: &Path, to: &Path) {
        for entry in fs::read_dir(from).expect("a folder").flatten() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a file");
        }
    }

    #[test]
    fn another_key_takes_the_place_and_the_old_one_lies_beside_it_until_it_goes() {
        let (folder, pair) = pair("", &["-t", "ed25519"]);
        let old = seen(&pair);
        assert!(old.open && old.next.is_none() && old.before.is_none());
        assert!(pair.make().expect("it is made") && !pair.make().expect("it is there"));
        let next = seen(&pair).next.expect("it is made");
        assert_eq!(next, public_of(&pair.private(NEXT)));
        assert!(fs::read_to_string(pair.public(NEXT)).expect("a line").trim().ends_with(" me@here"));
        assert_eq!(fs::metadata(pair.private(NEXT)).expect("a file").permissions().mode() & 0o777, 0o600);
        assert!(pair.take_over().expect("it is taken") && !pair.take_over().expect("it was taken"));
        let taken = seen(&pair);
        assert_eq!((&taken.current, taken.outlived()), (&next, Some(old.current.as_str())));
        assert_eq!(public_of(&pair.file), next);
        assert_eq!(public_of(&pair.private(BEFORE)), old.current);
        assert_eq!(fs::metadata(&pair.file).expect("a file").permissions().mode() & 0o777, 0o600);
        assert!(pair.drop_old().expect("it goes") && !pair.drop_old().expect("it is gone"));
        let mut left: Vec<_> = fs::read_dir(&folder).expect("a folder").flatten().map(|it| it.file_name()).collect();
        left.sort();
        assert_eq!(left, ["lab", "lab.pub"]);
    }

    /// Whatever was moved when it was cut, the old key is not lost, none is taken for outlived too early, and doing it again
    /// ends it.
    #[test]
    fn taking_the_place_is_gone_on_with_wherever_it_was_cut() {
        let (folder, pair) = pair("", &["-t", "rsa", "-b", "2048", "-m", "PEM"]);
        pair.make().expect("it is made");
        let (old, next) = (seen(&pair).current, seen(&pair).next.expect("it is made"));
        let cuts: [&[(&str, &str)]; 4] = [
            &[],
            &[("lab", "lab.before")],
            &[("lab", "lab.before"), ("lab.pub", "lab.before.pub")],
            &[("lab", "lab.before"), ("lab.pub", "lab.before.pub"), ("lab.next.pub", "lab.pub")],
        ];
        for cut in cuts {
            let twin = tempfile::tempdir().expect("a folder");
            copy(folder.path(), twin.path());
            let pair = KeyPair::at(twin.path().join("lab"));
            for (from, to) in cut {
                fs::copy(twin.path().join(from), twin.path().join(to)).expect("a file");
                if from.contains("next") {
                    fs::remove_file(twin.path().join(from)).expect("a file");
                }
            }
            assert_eq!(seen(&pair).outlived(), None, "{cut:?}");
            pair.make().expect("the new one is there");
            pair.take_over().expect("it goes on");
            let taken = seen(&pair);
            assert_eq!((taken.current.as_str(), taken.outlived()), (next.as_str(), Some(old.as_str())), "{cut:?}");
            assert_eq!(
                (public_of(&pair.file), public_of(&pair.private(BEFORE))),
                (next.clone(), old.clone()),
                "{cut:?}"
            );
            assert_eq!(bare_key(&fs::read_to_string(pair.public(BEFORE)).expect("a line")), old, "{cut:?}");
        }
    }

    #[test]
    fn no_open_key_is_made_in_the_place_of_one_that_is_not_and_one_that_lies_there_is_taken() {
        let (_folder, pair) = pair("a password", &["-t", "ed25519"]);
        let locked = seen(&pair);
        assert!(!locked.open);
        assert!(pair.make().expect_err("it would lie open").contains("does not lie open"));
        keygen(&pair.private(NEXT), "another one", &["-t", "ed25519"]);
        assert!(!pair.make().expect("it is there"));
        pair.take_over().expect("it is taken");
        assert!(!seen(&pair).open && seen(&pair).outlived() == Some(&locked.current));
        // Of a key of the agent only the public half is here.
        fs::remove_file(&pair.file).expect("a file");
        assert!(!seen(&pair).open);
    }

    #[test]
    fn a_key_that_does_not_tell_its_public_half_and_a_link_are_told() {
        let (folder, locked) = pair("a password", &["-t", "rsa", "-b", "2048", "-m", "PEM"]);
        assert!(locked.seen().expect_err("it is locked in an old form").contains("`ssh-keygen -p -f "));
        std::os::unix::fs::symlink("lab", folder.path().join("link")).expect("a link");
        assert!(KeyPair::at(folder.path().join("link")).seen().expect_err("a link").contains("is a link"));
        assert_eq!(KeyPair::at(folder.path().join("none")).seen(), Ok(None));
    }
}
