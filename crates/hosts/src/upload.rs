//! Files that go to a host over its connection, from where we are: those whose address is a `file:` one.
//!
//! A host is asked first what of the file it wants; then the bytes go from our disk into the connection piece by piece,
//! as fast as the connection takes them, so a file of any size needs the memory of one piece. The host verifies the
//! whole and renames it into place. What arrived before a connection was cut is where the next run begins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kubewright_model::digest::Digest;
use kubewright_model::host::{DownloadWish, HostResource, Proof};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::HostSeen;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, Take};

use crate::change::{self, Call, Calls, Library, Told, refuse, told};
use crate::{HostError, Probe};

/// A file that is wished and lies where we are.
#[derive(Debug)]
pub(crate) struct Upload<'a> {
    host: &'a NodeName,
    wish: &'a DownloadWish,
    /// Where a relative address begins.
    folder: &'a Path,
}

/// What a host wants of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The host's machine, as publishers name it.
    arch: &'static str,
    /// How many bytes of it are there already.
    pub(crate) from: u64,
}

/// Our end of an upload.
#[derive(Debug)]
pub(crate) struct Source {
    /// The bytes that are sent.
    pub(crate) rest: Take<File>,
    from: u64,
    size: u64,
    digest: Digest,
}

/// The uploads among the downloads of a change.
pub(crate) fn uploads<'a>(
    host: &'a NodeName,
    resources: &'a [HostResource],
    folder: &'a Path,
) -> impl Iterator<Item = Upload<'a>> {
    resources.iter().filter_map(move |resource| match resource {
        HostResource::Download(wish) if is_ours(wish) => Some(Upload { host, wish, folder }),
        _ => None,
    })
}

/// Folders where we are that lack what a host wants of them, and what that is.
pub(crate) async fn missing(probe: &Probe<'_>, seen: &HostSeen, folder: &Path) -> BTreeMap<String, String> {
    let mut missing: BTreeMap<String, String> = BTreeMap::new();
    for upload in uploads(probe.host, probe.resources, folder) {
        let url = &upload.wish.artifact.url;
        if seen.files.contains_key(&upload.wish.path) {
            continue;
        }
        let (place, file) = url.rsplit_once('/').unwrap_or(("file:", url));
        let lies = tokio::fs::metadata(local(folder, url, &seen.arch)).await;
        let lies = lies.err().map(|error| format!("{}: {error}", for_machine(file, &seen.arch)));
        let proven = upload.digest(&seen.arch).await.err();
        for why in lies.into_iter().chain(proven) {
            let all = missing.entry(place.to_string()).or_default();
            // Two files may be proven by one list.
            if !all.contains(&why) {
                *all += if all.is_empty() { "" } else { "; " };
                *all += &why;
            }
        }
    }
    missing
}

/// Whether a file lies where we are.
pub(crate) fn is_ours(wish: &DownloadWish) -> bool {
    wish.artifact.url.starts_with("file:")
}

impl<'a> Upload<'a> {
    /// A file of ours that is wished on a host.
    pub(crate) fn of(host: &'a NodeName, wish: &'a DownloadWish, folder: &'a Path) -> Self {
        Self { host, wish, folder }
    }
}

impl Upload<'_> {
    /// What is being done, for people.
    pub(crate) fn in_words(&self) -> String {
        format!("uploading {}", self.wish.artifact.name)
    }

    /// The body of the script that says what is wanted.
    pub(crate) fn ask(&self) -> Result<String, HostError> {
        change::path(self.host, &self.wish.path)?;
        let mut calls = Calls::default();
        let words = change::download_words(self.wish);
        calls.plain(Library::Upload, "kw_wanted", &words.each_ref().map(String::as_str));
        Ok(calls.script())
    }

    /// What is wanted, by the answer; none when the file is there.
    pub(crate) fn wanted(&self, answer: &str) -> Result<Option<Wanted>, HostError> {
        let words = answer.lines().find_map(|line| line.strip_prefix("w ")).unwrap_or_default();
        let (machine, from) = words.split_once(' ').unwrap_or((words, ""));
        let arch = match machine {
            "nothing" => return Ok(None),
            "x86_64" | "amd64" => "amd64",
            "aarch64" | "arm64" => "arm64",
            _ => return refuse(self.host, &self.in_words(), "the host did not say what its machine is".into()),
        };
        Ok(Some(Wanted { arch, from: from.parse().unwrap_or(0) }))
    }

    /// Opens the file at the place from which on it is wanted.
    pub(crate) async fn open(&self, wanted: &Wanted) -> Result<Source, HostError> {
        let artifact = &self.wish.artifact;
        let at = local(self.folder, &artifact.url, wanted.arch);
        let digest = self.digest(wanted.arch).await.or_else(|why| self.refused(why))?;
        let mut file = File::open(&at).await.or_else(|error| self.refused(unreadable(&at, &error)))?;
        let size = file.metadata().await.or_else(|error| self.refused(unreadable(&at, &error)))?.len();
        // A beginning that is longer than the whole is one of another file.
        let from = if wanted.from > size { 0 } else { wanted.from };
        file.seek(std::io::SeekFrom::Start(from)).await.or_else(|error| self.refused(unreadable(&at, &error)))?;
        Ok(Source { rest: file.take(size - from), from, size, digest })
    }

    /// The digest that the file must have: the spec's, or that of the publisher's list beside it.
    async fn digest(&self, arch: &str) -> Result<Digest, String> {
        let (url, file) = match &self.wish.artifact.proof {
            Proof::Sha256(digest) => return Ok(digest.clone()),
            Proof::Checksums { url, file } => (url, for_machine(file, arch)),
        };
        let list = local(self.folder, url, arch);
        let text = tokio::fs::read_to_string(&list).await.map_err(|error| unreadable(&list, &error))?;
        listed(&text, &file).ok_or_else(|| format!("{} lists no digest of {file}", list.display()))
    }

    /// The body of the script that takes the bytes in.
    pub(crate) fn take_in(&self, source: &Source) -> String {
        let mut calls = Calls::default();
        calls.noting();
        let words = change::download_words(self.wish);
        let (from, size) = (source.from.to_string(), source.size.to_string());
        let words: Vec<&str> =
            words.iter().map(String::as_str).chain([from.as_str(), size.as_str(), source.digest.as_str()]).collect();
        calls.call(Library::Upload, &Call::tell(0, "kw_upload", &words));
        calls.script()
    }

    /// What came of it.
    pub(crate) fn outcome(&self, answer: &str) -> Result<(), HostError> {
        match told(answer).next() {
            Some(Told::Same(_) | Told::Changed(_) | Told::Remark(..)) => Ok(()),
            Some(Told::Failed(_, log)) => Err(change::failed(self.host, self.in_words(), &log, &crate::Holes::new())),
            None => self.refused("the host stopped to answer in the middle of it".into()),
        }
    }

    fn refused<T>(&self, why: String) -> Result<T, HostError> {
        refuse(self.host, &self.in_words(), why)
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be read here: {error}", path.display())
}

/// A text for one machine.
fn for_machine(text: &str, arch: &str) -> String {
    let suffix = if arch == "amd64" { String::new() } else { format!("-{arch}") };
    text.replace("{arch}", arch).replace("{-arch}", &suffix)
}

/// The path of a `file:` address: `file:///srv/a%20b` is `/srv/a b`, and `file:b` is `b` in the folder.
fn local(folder: &Path, url: &str, arch: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let path = url.strip_prefix("file:").unwrap_or(url);
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = for_machine(path, arch);
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|digits| hex::decode(digits).ok());
        bytes.push(escaped.as_ref().and_then(|byte| byte.first()).copied().unwrap_or(*first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    folder.join(std::ffi::OsString::from_vec(bytes))
}

/// The digest of a file in a publisher's list, or in a file that holds it alone.
pub fn listed(list: &str, name: &str) -> Option<Digest> {
    if let Some(digest) = Digest::parse(list.trim()) {
        return Some(digest);
    }
    list.lines().find_map(|line| {
        let (digest, file) = line.split_once(char::is_whitespace)?;
        let file = file.trim_start().trim_start_matches('*').trim_start_matches("./");
        (file == name).then(|| Digest::parse(digest))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_here_is_a_path() {
        let here = Path::new("/home/me");
        let path = |url: &str| local(here, url, "arm64").display().to_string();
        assert_eq!(path("file:///srv/v1%2Bk3s1/k3s{-arch}"), "/srv/v1+k3s1/k3s-arm64");
        assert_eq!(path("file:/srv/a%20b%"), "/srv/a b%");
        assert_eq!(path("file:assets/{arch}"), "/home/me/assets/arm64");
        assert_eq!(local(here, "file:///srv/k3s{-arch}-{arch}", "amd64"), Path::new("/srv/k3s-amd64"));
    }

    #[test]
    fn a_list_is_read_as_sha256sum_writes_it() {
        let sum = Digest::of("k3s");
        let list = format!("{sum} *other\n{sum}  ./k3s\nnonsense  k3s-arm64\n");
        assert_eq!(listed(&list, "k3s"), Some(sum.clone()));
        assert_eq!(listed(&list, "other"), Some(sum));
        assert_eq!((listed(&list, "k3s-arm64"), listed(&list, "k3")), (None, None));
        let sum = Digest::of("kubelet");
        assert_eq!(
            listed(&format!("{sum}\n"), "kubelet"),
            Some(sum),
            "a file beside each program holds its digest alone"
        );
    }
}
