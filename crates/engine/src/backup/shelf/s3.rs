//! Bundles in an S3 bucket. Nothing is written over what is there because the service itself refuses it: what is put has to
//! have a name that nothing has (`If-None-Match: *`).
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::time::Duration;

use async_trait::async_trait;
use kubewright_model::secret::Secret;
use kubewright_model::spec::backup::S3;
use kubewright_providers::{Trust, tls};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut, S3CopyIfNotExists};
use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    PutPayload, RetryConfig,
};

use super::{Bundles, ShelfError};

/// What is larger is sent in parts, of this size: one is in memory at a time, and no service takes smaller ones than 5 MiB.
const PART: usize = 16 << 20;
/// How long one request may take. A part of 16 MiB over a slow line takes minutes.
const DEADLINE: Duration = Duration::from_secs(10 * 60);
/// What a service copies to its own name at once, at the most. <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>
const LARGEST: u64 = 5 << 30;
/// What is still arriving in parts. It is no bundle's name.
const ARRIVING: &str = ".arriving-";

/// A bucket, or a folder in it.
pub struct Bucket {
    store: AmazonS3,
    bucket: String,
    endpoint: String,
    folder: Path,
    part: usize,
}

/// Our own client for HTTPS: by ring, and with the authority that the spec names.
#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

impl Bucket {
    /// A bucket, with its keys, and the authority that vouches for the service, where it is another one than this computer
    /// trusts.
    ///
    /// # Errors
    ///
    /// What is said of it makes no sense.
    pub fn new(s3: &S3, access: &Secret, secret: &Secret, authority: Option<String>) -> Result<Self, String> {
        let tls = tls(&authority.map_or(Trust::System, Trust::Authority))?;
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls).timeout(DEADLINE).build();
        let http = http.map_err(|error| error.to_string())?;
        let store = AmazonS3Builder::new()
            .with_http_connector(Connector(http))
            .with_endpoint(s3.endpoint.trim_end_matches('/'))
            .with_allow_http(s3.endpoint.starts_with("http://"))
            .with_bucket_name(&s3.bucket)
            .with_region(&s3.region)
            .with_access_key_id(access.expose().as_str())
            .with_secret_access_key(secret.expose().as_str())
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
            // Only the engine tries again.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .build()
            .map_err(|error| error.to_string())?;
        let folder = Path::from(s3.folder.as_deref().unwrap_or_default());
        Ok(Self { store, bucket: s3.bucket.clone(), endpoint: s3.endpoint.clone(), folder, part: PART })
    }

    /// The same, which sends what is larger than this in parts of this size.
    #[must_use]
    pub fn in_parts_of(self, part: usize) -> Self {
        Self { part, ..self }
    }

    fn path(&self, name: &str) -> Path {
        self.folder.clone().join(name)
    }

    /// What went wrong, in words, by what the service answered.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
    fn failed(&self, name: &str, error: &Error) -> ShelfError {
        let told = told(error);
        let (bucket, endpoint) = (&self.bucket, &self.endpoint);
        let known = [
            ("NoSuchBucket", format!("there is no bucket `{bucket}` at {endpoint}")),
            ("SignatureDoesNotMatch", format!("{endpoint} does not take the secret key: the signature is another one")),
            ("InvalidAccessKeyId", format!("{endpoint} does not know the access key")),
            ("AccessDenied", format!("{endpoint} does not allow that in the bucket `{bucket}` with these keys")),
        ];
        if let Some((_, words)) = known.into_iter().find(|(code, _)| told.contains(code)) {
            return ShelfError::Refused(words);
        }
        match error {
            Error::AlreadyExists { .. } | Error::Precondition { .. } => ShelfError::Taken(name.into()),
            Error::NotFound { .. } => ShelfError::Absent(name.into()),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                ShelfError::Refused(format!("{endpoint} does not allow that in the bucket `{bucket}`: {told}"))
            }
            Error::InvalidPath { .. } | Error::NotSupported { .. } | Error::NotImplemented { .. } => {
                ShelfError::Refused(told)
            }
            _ => ShelfError::Unreachable(format!("{endpoint}: {told}")),
        }
    }

    async fn at_once(&self, name: &str, bytes: Vec<u8>, mode: PutMode) -> Result<(), ShelfError> {
        let (path, payload) = (self.path(name), PutPayload::from(bytes));
        let put = self.store.put_opts(&path, payload, PutOptions::from(mode)).await;
        put.map(drop).map_err(|error| self.failed(name, &error))
    }

    /// Under another name first, in parts; the service copies that to its own, unless there is something by then.
    async fn in_parts(&self, name: &str, file: &mut File) -> Result<(), ShelfError> {
        if self.list().await?.contains_key(name) {
            return Err(ShelfError::Taken(name.into()));
        }
        let (arriving, path) = (self.path(&format!("{ARRIVING}{name}")), self.path(name));
        let failed = |error: Error| self.failed(name, &error);
        let mut upload = self.store.put_multipart(&arriving).await.map_err(failed)?;
        if let Err(error) = self.send(name, file, &mut *upload).await {
            // What is left of it costs until the bucket's own rules take it away.
            let _ = upload.abort().await;
            return Err(error);
        }
        let copied = self.store.copy_opts(&arriving, &path, CopyOptions::new().with_mode(CopyMode::Create)).await;
        let gone = self.store.delete(&arriving).await;
        copied.map_err(failed)?;
        gone.map_err(failed)
    }

    async fn send(&self, name: &str, file: &mut File, upload: &mut dyn MultipartUpload) -> Result<(), ShelfError> {
        loop {
            let mut part = Vec::new();
            let read = std::io::Read::by_ref(file).take(self.part as u64).read_to_end(&mut part);
            read.map_err(|error| unread(name, &error))?;
            if part.is_empty() {
                break;
            }
            upload.put_part(PutPayload::from(part)).await.map_err(|error| self.failed(name, &error))?;
        }
        upload.complete().await.map(drop).map_err(|error| self.failed(name, &error))
    }
}

fn unread(name: &str, error: &std::io::Error) -> ShelfError {
    ShelfError::Refused(format!("{name}: {error}"))
}

/// An error with its causes, and what the service answered.
fn told(error: &Error) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let words = next.to_string();
        if !told.contains(&words) {
            told = format!("{told}: {words}");
        }
        cause = next.source();
    }
    told.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[async_trait]
impl Bundles for Bucket {
    async fn put(&self, name: &str, file: &File) -> Result<(), ShelfError> {
        let mut file = file.try_clone().map_err(|error| unread(name, &error))?;
        file.rewind().map_err(|error| unread(name, &error))?;
        let size = file.metadata().map_err(|error| unread(name, &error))?.len();
        if size > LARGEST {
            return Err(ShelfError::Refused(format!("{name} is larger than 5 GiB, which S3 gives no name at once")));
        }
        if size > self.part as u64 {
            return self.in_parts(name, &mut file).await;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| unread(name, &error))?;
        self.at_once(name, bytes, PutMode::Create).await
    }

    async fn note(&self, name: &str, bytes: &[u8]) -> Result<(), ShelfError> {
        self.at_once(name, bytes.to_vec(), PutMode::Overwrite).await
    }

    async fn list(&self) -> Result<BTreeMap<String, u64>, ShelfError> {
        let folder = Some(&self.folder).filter(|folder| !folder.as_ref().is_empty());
        let listed = self.store.list_with_delimiter(folder).await.map_err(|error| self.failed("list", &error))?;
        let named = |object: &object_store::ObjectMeta| object.location.filename().map(String::from);
        Ok(listed.objects.iter().filter_map(|object| Some((named(object)?, object.size))).collect())
    }

    async fn get(&self, name: &str, into: &File) -> Result<(), ShelfError> {
        let failed = |error: Error| self.failed(name, &error);
        let (mut into, path) = (into, self.path(name));
        let there = self.store.head(&path).await.map_err(failed)?;
        let mut at = 0;
        // A request has its deadline with its answer, so each asks for as much as comes in time; all of one object.
        while at < there.size {
            let end = there.size.min(at + self.part as u64);
            let options =
                GetOptions { range: Some((at..end).into()), if_match: there.e_tag.clone(), ..Default::default() };
            let answer = self.store.get_opts(&path, options).await.map_err(failed)?;
            let bytes = answer.bytes().await.map_err(failed)?;
            into.write_all(&bytes).map_err(|error| unread(name, &error))?;
            at += bytes.len() as u64;
            if bytes.is_empty() {
                return Err(ShelfError::Unreachable(format!(
                    "{}: {name} ends after {at} of {} bytes",
                    self.endpoint, there.size
                )));
            }
        }
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), ShelfError> {
        match self.store.delete(&self.path(name)).await {
            Err(Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(self.failed(name, &error)),
        }
    }
}
