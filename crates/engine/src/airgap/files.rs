//! Published files: fetched to where they are kept, going on where a run was cut, and verified.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kubewright_hosts::listed;
use kubewright_model::airgap::{Need, file_place, unescaped};
use kubewright_model::digest::Digest;
use kubewright_model::host::Proof;
use reqwest::StatusCode;
use reqwest::header::RANGE;
use sha2::{Digest as _, Sha256};

/// How long a publisher may be silent, at first and between two pieces.
const SILENT: Duration = Duration::from_secs(60);

/// Fetches published files.
pub(super) struct Files {
    client: reqwest::Client,
    cache: PathBuf,
    /// Relative addresses of this computer begin in it.
    folder: PathBuf,
}

impl Files {
    pub(super) fn new(cache: &Path, folder: &Path) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(crate::notify::trusting()?)
            .connect_timeout(SILENT)
            .read_timeout(SILENT)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, cache: cache.to_path_buf(), folder: folder.to_path_buf() })
    }

    /// Where a file is kept.
    pub(super) fn place(&self, need: &Need) -> PathBuf {
        self.cache.join(unescaped(&file_place(&need.source)))
    }

    /// Has a file there, verified. Returns its digest.
    pub(super) async fn fetch(&self, need: &Need) -> Result<Digest, String> {
        let place = self.place(need);
        // A list of digests may have been mended since.
        let Some(proof) = &need.proof else {
            self.bring(need, &place).await?;
            return digest(&place);
        };
        let wanted = self.wanted(proof)?;
        if digest(&place).as_ref() == Ok(&wanted) {
            return Ok(wanted);
        }
        self.bring(need, &place).await?;
        match digest(&place)? {
            came if came == wanted => Ok(came),
            came => {
                // What is not right is no beginning of what is.
                let _ = std::fs::remove_file(&place);
                Err(format!("what was downloaded has the digest {came}, not {wanted}"))
            }
        }
    }

    /// The digest that a file must have. Lists of digests are fetched before.
    fn wanted(&self, proof: &Proof) -> Result<Digest, String> {
        match proof {
            Proof::Sha256(digest) => Ok(digest.clone()),
            Proof::Checksums { url, file } => {
                let list = self.cache.join(unescaped(&file_place(url)));
                let text = std::fs::read_to_string(&list).map_err(|_| format!("{url} could not be had"))?;
                listed(&text, file).ok_or_else(|| format!("{url} lists no digest of {file}"))
            }
        }
    }

    async fn bring(&self, need: &Need, place: &Path) -> Result<(), String> {
        let unwritable = |error: std::io::Error| format!("{}: {error}", place.display());
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder).map_err(unwritable)?;
        }
        let mut half = place.as_os_str().to_os_string();
        half.push(".half");
        let half = PathBuf::from(half);
        match need.source.strip_prefix("file:") {
            Some(path) => {
                let path = unescaped(path.strip_prefix("//").unwrap_or(path));
                let from = self.folder.join(&path);
                std::fs::copy(&from, &half).map_err(|error| format!("{}: {error}", from.display()))?;
            }
            None => self.download(&need.source, &half, need.proof.is_some()).await?,
        }
        std::fs::rename(&half, place).map_err(unwritable)
    }

    /// What came before a run was cut stays where the file is known by its digest.
    async fn download(&self, url: &str, half: &Path, goes_on: bool) -> Result<(), String> {
        let told = |error: reqwest::Error| crate::notify::causes(&error);
        let unwritable = |error: std::io::Error| format!("{}: {error}", half.display());
        let there = std::fs::metadata(half).map(|file| file.len()).unwrap_or(0);
        let from = if goes_on { there } else { 0 };
        let mut asked = self.client.get(url);
        if from > 0 {
            asked = asked.header(RANGE, format!("bytes={from}-"));
        }
        let mut answer = asked.send().await.map_err(told)?;
        let mut file = match answer.status() {
            StatusCode::PARTIAL_CONTENT if from > 0 => File::options().append(true).open(half).map_err(unwritable)?,
            // All of it is there, or more than all: the digest tells.
            StatusCode::RANGE_NOT_SATISFIABLE => return Ok(()),
            status if status.is_success() => File::create(half).map_err(unwritable)?,
            status => return Err(format!("the publisher answers {status}")),
        };
        while let Some(piece) = answer.chunk().await.map_err(told)? {
            file.write_all(&piece).map_err(unwritable)?;
        }
        file.sync_all().map_err(unwritable)
    }
}

/// The digest of a file.
pub(super) fn digest(place: &Path) -> Result<Digest, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", place.display());
    let mut file = File::open(place).map_err(unreadable)?;
    let (mut whole, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece).map_err(unreadable)? {
            0 => break,
            read => whole.update(piece.get(..read).unwrap_or_default()),
        }
    }
    Digest::parse(&hex::encode(whole.finalize())).ok_or_else(|| "it has no digest".to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::body::Body;
    use axum::http::{HeaderMap, Response};
    use axum::routing::get;
    use kubewright_model::airgap::Kind;

    use super::*;

    const WHOLE: &[u8] = b"a program of some length that comes in two pieces";

    /// A publisher whose first answer ends in the middle, and who goes on where he is asked to.
    async fn publisher(asked: Arc<AtomicUsize>) -> String {
        let answer = move |headers: HeaderMap| {
            let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            let from = headers
                .get(RANGE)
                .and_then(|it| it.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
            let from: usize = from.unwrap_or(0);
            let status = if from > 0 { 206 } else { 200 };
            // What was sent has left before the connection is cut.
            let half = futures::stream::unfold(0, async |at| match at {
                0 => Some((Ok(WHOLE[..20].to_vec()), 1)),
                _ => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    Some((Err(std::io::Error::other("cut")), 2))
                }
            });
            let body = if first { Body::from_stream(half) } else { Body::from(&WHOLE[from..]) };
            std::future::ready(Response::builder().status(status).body(body).expect("an answer"))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/it", get(answer))).await });
        format!("http://{at}/it")
    }

    fn need(source: &str, digest: &Digest) -> Need {
        let proof = Some(Proof::Sha256(digest.clone()));
        let (name, source) = ("it".to_string(), source.to_string());
        Need { kind: Kind::File, name, source, repository: None, version: None, proof, wanted_by: Vec::new() }
    }

    #[tokio::test]
    async fn a_download_goes_on_where_it_was_cut_and_nothing_wrong_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let asked = Arc::new(AtomicUsize::new(0));
        let url = publisher(Arc::clone(&asked)).await;
        let files = Files::new(folder.path(), Path::new("")).expect("a client");
        let (right, wrong) = (need(&url, &Digest::of(WHOLE)), need(&url, &Digest::of("another")));
        files.fetch(&right).await.expect_err("it was cut");
        let place = files.place(&right);
        let half = std::fs::read(place.with_file_name("it.half")).expect("what came is there");
        assert_eq!(half, WHOLE[..20]);
        assert_eq!(files.fetch(&right).await, Ok(Digest::of(WHOLE)));
        assert_eq!(std::fs::read(&place).expect("it is there"), WHOLE);
        assert_eq!(files.fetch(&right).await, Ok(Digest::of(WHOLE)));
        assert_eq!(asked.load(Ordering::Relaxed), 2, "what is there and right is not asked for again");
        let why = files.fetch(&wrong).await.expect_err("it is another one");
        assert!(why.starts_with("what was downloaded has the digest "), "{why}");
        assert!(!place.exists(), "and it is not kept");
    }
}
