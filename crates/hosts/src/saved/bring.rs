//! What was saved on a host comes here part by part, each in a script's answer, and goes back as an upload.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright_model::desired::Way;
use kubewright_model::digest::Digest;
use kubewright_model::host::{Artifact, DownloadWish, Mode, Proof as Proven};
use kubewright_model::ids::{HoleName, NodeName};
use kubewright_model::recipe::SNAPSHOT;

use super::{Arriving, Proof, name, read, told};
use crate::change::{Calls, Library, refuse};
use crate::real::{CHANGE, RealHosts};
use crate::transport::Job;
use crate::upload::Upload;
use crate::{Holes, HostError};

/// A part of a file, in MiB: in base64 it is well below the most that a script may answer.
const PART: u64 = 8;
const MIB: u64 = 1 << 20;
const WHAT: &str = "bringing what was saved to this computer";

/// A file on a host.
struct There {
    size: u64,
    digest: Digest,
    path: String,
}

impl RealHosts {
    /// Brings the newest file of a pattern here, with what goes with it under the same name with another ending. Returns
    /// where it is now, and what should be known of it.
    pub(crate) async fn bring(
        &self,
        host: &NodeName,
        way: &Way,
        newest: &str,
        with: Option<&str>,
    ) -> Result<(PathBuf, String), HostError> {
        let name = name(host);
        let there = self.told_of(host, way, "kw_newest", newest).await?;
        let Some(there) = there else { return refuse(host, WHAT, format!("there is no {newest}")) };
        // What belongs to it comes first: a snapshot that is there is whole.
        if let Some(ending) = with {
            let beside = Path::new(&there.path).with_extension(ending).display().to_string();
            let there = self.told_of(host, way, "kw_measured", &beside).await?;
            let Some(there) = there else { return refuse(host, WHAT, format!("there is no {beside}")) };
            let (arriving, _) = self.fetch(host, way, &there).await?;
            arriving.arrived(&format!("{name}.{ending}")).or_else(|why| refuse(host, WHAT, why))?;
        }
        let (arriving, proof) = self.fetch(host, way, &there).await?;
        let snapshot = proof.end().or_else(|why| refuse(host, WHAT, format!("{} {why}", there.path)))?;
        let path = arriving.arrived(&format!("{name}.db")).or_else(|why| refuse(host, WHAT, why))?;
        let told = told(&snapshot, &path);
        Ok((path, told))
    }

    async fn told_of(&self, host: &NodeName, way: &Way, function: &str, of: &str) -> Result<Option<There>, HostError> {
        let mut calls = Calls::default();
        calls.plain(Library::Bring, function, &[of]);
        let printed = self.script(host, way, WHAT, Job { body: &calls.script(), deadline: CHANGE }).await?;
        let told = printed.lines().find_map(|line| line.strip_prefix("n ")).unwrap_or_default();
        if told == "nothing" {
            return Ok(None);
        }
        let mut words = told.split(' ');
        let (size, digest, path) = (words.next(), words.next().and_then(Digest::parse), words.next());
        let path = path.and_then(|path| STANDARD.decode(path).ok()).and_then(|path| String::from_utf8(path).ok());
        match (size.and_then(|size| size.parse().ok()), digest, path) {
            (Some(size), Some(digest), Some(path)) => Ok(Some(There { size, digest, path })),
            _ => refuse(host, WHAT, format!("the host does not tell of {of}")),
        }
    }

    /// Fetches a file, and what went by is what is there.
    async fn fetch(&self, host: &NodeName, way: &Way, there: &There) -> Result<(Arriving, Proof), HostError> {
        let mut arriving = Arriving::in_folder(&self.saved).or_else(|why| refuse(host, WHAT, why))?;
        let changed = || refuse(host, WHAT, format!("{} is another one now", there.path));
        let mut proof = Proof::default();
        while proof.size() < there.size {
            let (behind, left) = (proof.size() / MIB, there.size - proof.size());
            let mut calls = Calls::default();
            calls.plain(Library::Bring, "kw_piece", &[&there.path, &behind.to_string(), &PART.to_string()]);
            let printed = self.script(host, way, WHAT, Job { body: &calls.script(), deadline: CHANGE }).await?;
            let bytes = STANDARD.decode(printed.lines().collect::<String>()).ok();
            let Some(bytes) = bytes.filter(|bytes| bytes.len() as u64 == left.min(PART * MIB)) else {
                return changed();
            };
            proof.see(&bytes);
            let kept = arriving.file.write_all(&bytes);
            kept.or_else(|error| refuse(host, WHAT, format!("it cannot be written here: {error}")))?;
        }
        if proof.digest().as_ref() == Some(&there.digest) { Ok((arriving, proof)) } else { changed() }
    }

    /// Puts what was saved there, with what goes with it: the file that the hole names.
    pub(crate) async fn send(
        &self,
        host: &NodeName,
        way: &Way,
        to: &str,
        with: Option<&str>,
        holes: &Holes,
    ) -> Result<(), HostError> {
        let hole = HoleName::new(SNAPSHOT);
        let from = holes.get(&hole).ok_or_else(|| HostError::Hole { host: host.clone(), hole })?.expose();
        self.send_file(host, way, Path::new(from), to).await?;
        let Some(ending) = with else { return Ok(()) };
        let beside = Path::new(to).with_extension(ending);
        self.send_file(host, way, &Path::new(from).with_extension(ending), &beside.display().to_string()).await
    }

    async fn send_file(&self, host: &NodeName, way: &Way, from: &Path, to: &str) -> Result<(), HostError> {
        let what = "sending what was saved";
        let unread = |why: String| refuse(host, what, why);
        let digest = read(from).or_else(unread)?.digest();
        let Some(digest) = digest else { return refuse(host, what, format!("{} has no digest", from.display())) };
        let name = format!("what was saved as {}", from.display());
        // What would mean something else in an address.
        let url = format!("file:{}", from.display().to_string().replace('%', "%25").replace('{', "%7B"));
        let artifact = Artifact { name, url, proof: Proven::Sha256(digest) };
        let wish = DownloadWish { path: to.into(), artifact, member: None, mode: Mode(0o600) };
        self.upload(host, way, &Upload::of(host, &wish, Path::new(""))).await.map(drop)
    }
}
