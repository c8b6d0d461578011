//! What goes with a snapshot of etcd under the same name: kubeadm's authorities and keys, and what Secrets were locked with.
//! It is read to its end before anything is planned, because nobody stands down for a cluster that could not begin again.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;

use kubewright_model::digest::Digest;
use kubewright_model::programs::KUBEADM_ENCRYPTION;
use serde::{Deserialize, Serialize};

/// An archive ends with two blocks of nothing.
/// <https://www.gnu.org/software/tar/manual/html_node/Standard.html>
const END: u64 = 1024;
/// The file with the key is far smaller.
const LONGEST: u64 = 1 << 20;

/// What is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// Its files, by their paths.
    pub holds: BTreeSet<String>,
    /// What the key is told by that Secrets were locked with, where they were.
    pub locked: Option<String>,
}

/// What a key is told by: the key itself is shown to nobody.
pub(crate) fn mark(key: &str) -> String {
    Digest::of(key.trim()).short().to_string()
}

/// The key in the file that an API server reads it from.
pub(crate) fn key_in(text: &str) -> Option<&str> {
    text.lines().find_map(|line| Some(line.trim().strip_prefix("secret:")?.trim().trim_matches('"')))
}

/// Reads an archive on this computer.
///
/// # Errors
///
/// It is not there, cannot be read, or is cut off: in words.
pub(crate) fn read(path: &Path) -> Result<Beside, String> {
    let told = path.display();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => format!("there is no {told}, which the authorities and keys of the cluster are in"),
        _ => format!("{told} cannot be read: {error}"),
    };
    let mut file = File::open(path).map_err(failed)?;
    let whole = ends(&mut file).and_then(|ends| if ends { archived(&file) } else { Ok(None) }).map_err(failed)?;
    whole.ok_or_else(|| format!("{told} is cut off"))
}

/// Whether it has the end of an archive.
fn ends(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? < END {
        return Ok(false);
    }
    let mut end = Vec::new();
    file.seek(SeekFrom::End(-(END as i64)))?;
    file.read_to_end(&mut end)?;
    file.rewind()?;
    Ok(end.iter().all(|byte| *byte == 0))
}

/// Its files; none where one of them is shorter than it should be.
fn archived(file: &File) -> io::Result<Option<Beside>> {
    let mut beside = Beside::default();
    let mut archive = tar::Archive::new(io::BufReader::new(file));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let (path, size) = (entry.path()?.display().to_string(), entry.size());
        let path = path.trim_start_matches("./").to_string();
        if !entry.header().entry_type().is_file() || size == 0 {
            continue;
        }
        let mut text = Vec::new();
        let keeps = path == KUBEADM_ENCRYPTION && size <= LONGEST;
        let came = if keeps { io::copy(&mut entry, &mut text)? } else { io::copy(&mut entry, &mut io::sink())? };
        if came != size {
            return Ok(None);
        }
        if keeps {
            beside.locked = key_in(&String::from_utf8_lossy(&text)).map(mark);
        }
        beside.holds.insert(path);
    }
    Ok(Some(beside))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            archive.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    #[test]
    fn an_archive_is_read_to_its_end_or_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etcd.pki.tar");
        assert!(read(&path).unwrap_err().contains("there is no "));
        let locks = "resources:\n- providers:\n  - secretbox:\n      keys:\n      - name: kubewright\n        secret: \"abc=\"\n";
        let files = [("pki/ca.crt", "certificate"), ("pki/ca.key", ""), (KUBEADM_ENCRYPTION, locks)];
        let whole = packed(&files);
        std::fs::write(&path, &whole).unwrap();
        let beside = read(&path).unwrap();
        assert_eq!(
            beside.holds.iter().collect::<Vec<_>>(),
            [KUBEADM_ENCRYPTION, "pki/ca.crt"],
            "what is empty is none"
        );
        assert_eq!(beside.locked, Some(mark("abc=\n")));
        for cut in [0, 100, 600, 1024, 1600, 2048, 2600, 3072] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(read(&path).is_err(), "{cut} of {}", whole.len());
        }
    }
}
