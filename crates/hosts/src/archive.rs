//! Archives of images: which images one holds, and how a host takes it in.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use kubewright_model::desired::Way;
use kubewright_model::digest::Digest;
use kubewright_model::host::{Artifact, DownloadWish, Mode, Proof};
use kubewright_model::ids::NodeName;
use ring::digest::{Context, SHA256};
use serde_json::Value;

use crate::change::memory;
use crate::enter::{Hears, Program};
use crate::real::RealHosts;
use crate::transport::Job;
use crate::upload::Upload;
use crate::{HostError, Hosts as _};

/// The folder on a host in which it is while it is taken in.
const FOLDER: &str = "/var/lib/kubewright";
/// The lists of images in an archive are short.
const LIST: u64 = 4 << 20;
/// How long a host may take to unpack an archive: gigabytes on a slow disk.
const TAKES_IN: std::time::Duration = std::time::Duration::from_secs(30 * 60);
/// By which an OCI archive names an image: containerd's own, and the specification's.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.0/annotations.md>
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// An archive of images on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Where it is.
    pub path: PathBuf,
    /// The digest of the whole file.
    pub digest: Digest,
    /// The images in it, by their whole names: `docker.io/library/web:1.0`.
    pub images: Vec<String>,
}

impl Archive {
    /// Looks what is in an archive, as `docker save` writes it, or an OCI one; it may be compressed by gzip.
    ///
    /// # Errors
    ///
    /// It cannot be read, or names no image.
    pub fn read(path: &Path) -> Result<Self, String> {
        let path = std::path::absolute(path).map_err(|error| error.to_string())?;
        let open = || File::open(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()));
        let digest = digest(&mut open()?).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let mut file = BufReader::new(open()?);
        let zipped = std::io::BufRead::fill_buf(&mut file).is_ok_and(|start| start.starts_with(&[0x1f, 0x8b]));
        let images = match zipped {
            true => names(GzDecoder::new(file)),
            false => names(file),
        };
        let images = images.map_err(|error| format!("{} is no archive of images: {error}", path.display()))?;
        if images.is_empty() {
            return Err(format!(
                "{} names no image: save it by its name, as `docker save -o web.tar example/web:1.0` does",
                path.display()
            ));
        }
        Ok(Self { path, digest, images })
    }
}

fn digest(file: &mut File) -> Result<Digest, String> {
    let (mut whole, mut piece) = (Context::new(&SHA256), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece).map_err(|error| error.to_string())? {
            0 => break,
            read => whole.update(piece.get(..read).unwrap_or_default()),
        }
    }
    Digest::parse(&hex::encode(whole.finish())).ok_or_else(|| "it has no digest".to_string())
}

/// The names in the lists of an archive: `manifest.json` of Docker's, `index.json` of OCI's.
fn names(archive: impl Read) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_string();
        if !matches!(path.as_str(), "manifest.json" | "index.json") {
            continue;
        }
        let mut text = String::new();
        entry.by_ref().take(LIST).read_to_string(&mut text)?;
        let list: Value = serde_json::from_str(&text)?;
        let tags = list.as_array().into_iter().flatten().flat_map(|it| it["RepoTags"].as_array().into_iter().flatten());
        let annotated = list["manifests"].as_array().into_iter().flatten().filter_map(|it| {
            let named = |key: &&str| it["annotations"][*key].as_str().filter(|name| name.contains([':', '/']));
            NAMES.iter().find_map(named)
        });
        found.extend(tags.filter_map(Value::as_str).chain(annotated).map(whole));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The whole name of an image, as containerd keeps it. Who has no registry is Docker's.
/// <https://github.com/distribution/reference/blob/v0.6.0/normalize.go>
fn whole(name: &str) -> String {
    let (first, rest) = name.split_once('/').unwrap_or(("", name));
    let registry = first.contains(['.', ':']) || first == "localhost";
    match (registry, first) {
        (true, _) => name.to_string(),
        (false, "") => format!("docker.io/library/{rest}"),
        (false, _) => format!("docker.io/{name}"),
    }
}

impl RealHosts {
    /// See [`Hosts::take_in`](crate::Hosts::take_in).
    pub(crate) async fn import(
        &self,
        host: &NodeName,
        way: &Way,
        archive: &Archive,
        import: &[String],
        hears: Hears<'_>,
    ) -> Result<Option<u32>, HostError> {
        let there = format!("{FOLDER}/images-{}.tar", archive.digest.as_str());
        // What would mean something else in an address.
        let url = format!("file:{}", archive.path.display().to_string().replace('%', "%25").replace('{', "%7B"));
        let name = archive.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let artifact = Artifact { name, url, proof: Proof::Sha256(archive.digest.clone()) };
        let wish = DownloadWish { path: there.clone(), artifact, member: None, mode: Mode(0o600) };
        self.upload(host, way, &Upload::of(host, &wish, Path::new(""))).await?;
        let words = import.iter().cloned().chain([there.clone()]).collect();
        let program = Program { words, sudo: true, input: std::sync::Arc::from([]), deadline: Some(TAKES_IN) };
        let ended = self.exec(host, way, &program, hears).await;
        // It is in the host's own store now, or goes there anew; what we noted of it goes with it.
        let noted = there.replace('%', "%25").replace('/', "%2f");
        let body =
            format!("rm -f -- {there} {FOLDER}/downloads/{} '{FOLDER}/before/absent/download {noted}'", memory(&there));
        let gone = self.script(host, way, "removing the archive", Job { body: &body, deadline: TAKES_IN }).await;
        let status = ended?;
        gone.map(|_| status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    #[test]
    fn images_are_named_as_containerd_keeps_them() {
        let docker = archive(&[
            ("layer", "x"),
            ("manifest.json", r#"[{"RepoTags":["web:1.0","ghcr.io/a/b:2","me/web:1","localhost:5000/x:1"]}]"#),
        ]);
        let want = ["docker.io/library/web:1.0", "docker.io/me/web:1", "ghcr.io/a/b:2", "localhost:5000/x:1"];
        assert_eq!(names(&*docker).unwrap(), want);
        let oci = archive(&[(
            "./index.json",
            r#"{"manifests":[{"annotations":{"io.containerd.image.name":"ghcr.io/a/b:2","org.opencontainers.image.ref.name":"2"}},
               {"annotations":{"org.opencontainers.image.ref.name":"latest"}}]}"#,
        )]);
        assert_eq!(names(&*oci).unwrap(), ["ghcr.io/a/b:2"], "a tag alone is no name");
        assert!(names(&b"no archive"[..]).is_err());
    }
}
