//! Programs for this computer: downloaded as hosts download theirs, verified, and put in place in one move.
//!
//! A folder of the user's is enough: nothing needs root and nothing is installed. What is fetched lies beside its place
//! under a name of its own until it is whole and verified, so a run that is cut off leaves no half of it there, and two runs
//! at once do not meet.

use std::path::Path;
use std::process::Stdio;

use kubewright_model::digest::Digest;
use tokio::process::Command;

/// Fetches an address into a file, with what this computer has: curl or wget, as on hosts (`change/download.sh`).
const FETCH: &str = "if command -v curl >/dev/null 2>&1; then \
     exec curl -fsSL --connect-timeout 20 --speed-limit 1000 --speed-time 60 -o \"$2\" -- \"$1\"; \
     elif command -v wget >/dev/null 2>&1; then exec wget -nv --tries=1 --timeout=60 -O \"$2\" -- \"$1\"; \
     else echo 'neither curl nor wget is on this computer' >&2; exit 127; fi";

/// Puts the file `member` of a published tar archive at a place of this computer, once the archive has the digest. The
/// archive is at a web address, or in a file: `file:/folder/archive.tar.gz`.
///
/// # Errors
///
/// Why it could not be had, in words. Nothing is at the place then that was not there before.
pub async fn program(archive: &str, digest: &Digest, member: &str, place: &Path) -> Result<(), String> {
    let folder = place.parent().ok_or_else(|| format!("{} is in no folder", place.display()))?;
    let unwritable = |error: std::io::Error| format!("{}: {error}", folder.display());
    tokio::fs::create_dir_all(folder).await.map_err(unwritable)?;
    // It lies where it goes, for only there it can be moved in one step; it is gone with us, whatever comes of this.
    let beside = tempfile::Builder::new().prefix(".fetched-").tempdir_in(folder).map_err(unwritable)?;
    let fetched = beside.path().join("archive");
    match archive.strip_prefix("file:") {
        Some(file) => drop(tokio::fs::copy(file, &fetched).await.map_err(|error| format!("{file}: {error}"))?),
        None => {
            let words: [&std::ffi::OsStr; 5] =
                ["-c".as_ref(), FETCH.as_ref(), "sh".as_ref(), archive.as_ref(), fetched.as_os_str()];
            run("sh", &words).await.map_err(|why| format!("{archive}: {why}"))?;
        }
    }
    let bytes = tokio::fs::read(&fetched).await.map_err(unwritable)?;
    let came = Digest::of(bytes);
    if came != *digest {
        return Err(format!("{archive}: what was downloaded has the digest {came}, not {digest}"));
    }
    let words = ["-xzf".as_ref(), fetched.as_os_str(), "-C".as_ref(), beside.path().as_os_str(), "--".as_ref()];
    let unpacked = run("tar", &[&words[..], &[member.as_ref()]].concat()).await;
    unpacked.map_err(|why| format!("{member} could not be taken out of {archive}: {why}"))?;
    tokio::fs::rename(beside.path().join(member), place).await.map_err(unwritable)
}

/// Runs a program to its end; or says with its last line why it failed.
async fn run(program: &str, words: &[&std::ffi::OsStr]) -> Result<(), String> {
    let mut command = Command::new(program);
    // Ctrl-C is for us.
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).process_group(0);
    let output = command.output().await.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    Err(last.map_or_else(|| format!("{program} ended with {}", output.status), str::to_string))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// An archive with one program that says something.
    async fn archive(folder: &Path) -> Vec<u8> {
        let make = "mkdir linux && printf '#!/bin/sh\\necho here\\n' >linux/it && chmod 755 linux/it && tar -czf it.tgz linux/it";
        let made = Command::new("sh").args(["-c", make]).current_dir(folder).status().await.expect("it starts");
        assert!(made.success());
        tokio::fs::read(folder.join("it.tgz")).await.expect("it is there")
    }

    /// A server on this computer: the archive at `/it.tgz`, half of it at `/half.tgz`, nothing elsewhere.
    async fn serve(archive: Vec<u8>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut line, _)) = listener.accept().await {
                let mut asked = [0; 4096];
                let read = line.read(&mut asked).await.unwrap_or(0);
                let asked = String::from_utf8_lossy(&asked[..read]).to_string();
                let (status, sent) = match asked.split(' ').nth(1) {
                    Some("/it.tgz") => ("200 OK", archive.len()),
                    Some("/half.tgz") => ("200 OK", archive.len() / 2),
                    _ => ("404 Not Found", 0),
                };
                let length = if sent == 0 { 0 } else { archive.len() };
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                let _ = line.write_all(head.as_bytes()).await;
                let _ = line.write_all(&archive[..sent]).await;
            }
        });
        format!("http://{at}")
    }

    #[tokio::test]
    async fn only_what_is_whole_and_right_is_put_in_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes = archive(folder.path()).await;
        let (digest, other) = (Digest::of(&bytes), Digest::of("other"));
        let server = serve(bytes).await;
        let cache = folder.path().join("cache");
        let place = cache.join("v1/it");
        let wrong = [
            ("it.tgz", &other, "linux/it", format!("has the digest {digest}, not {other}")),
            ("half.tgz", &digest, "linux/it", "/half.tgz: ".to_string()),
            ("none.tgz", &digest, "linux/it", "/none.tgz: ".to_string()),
            ("it.tgz", &digest, "linux/other", "linux/other could not be taken out of".to_string()),
        ];
        for (file, digest, member, says) in wrong {
            let why = program(&format!("{server}/{file}"), digest, member, &place).await.expect_err(file);
            assert!(why.contains(&says), "{why}");
            let left = std::fs::read_dir(place.parent().expect("a folder")).expect("it is there").count();
            assert_eq!(left, 0, "{file}: nothing is left");
        }
        // Two runs at once, and one more from a folder.
        let url = format!("{server}/it.tgz");
        let file = format!("file:{}", folder.path().join("it.tgz").display());
        let fetch = |from| program(from, &digest, "linux/it", &place);
        let (one, two, three) = tokio::join!(fetch(&url), fetch(&url), fetch(&file));
        assert_eq!((one, two, three), (Ok(()), Ok(()), Ok(())));
        assert_eq!(place.metadata().expect("it is there").permissions().mode() & 0o777, 0o755);
        assert_eq!(std::fs::read_dir(cache.join("v1")).expect("it is there").count(), 1);
        let why = program("file:/nowhere/it.tgz", &digest, "linux/it", &place).await.expect_err("it is not there");
        assert!(why.starts_with("/nowhere/it.tgz: No such file"), "{why}");
        let said = Command::new(&place).output().await.expect("it starts").stdout;
        assert_eq!(said, b"here\n");
    }
}
