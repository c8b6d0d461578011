//! Bundles at real SFTP servers: OpenSSH's own, with a user who may log in, with one who is shut into a folder and may do
//! nothing else, and with extensions that are switched off.

use std::path::Path;
use std::sync::Arc;

use kubewright_engine::backup::shelf::{Bundles, Server, ShelfError};
use kubewright_hosts::{RealHosts, User};
use kubewright_model::secret::Secret;
use kubewright_model::spec::backup::Sftp;

use super::{file, got, keeps_its_word};
use crate::lab::{Lab, LabHost, PORT};

/// `keeper` may do SFTP alone, shut into /srv/keeper; `old` has a server without what OpenSSH has added to the protocol.
const SERVER: &str = "
for who in keeper:10003:/usr/sbin/nologin old:10004:/bin/sh; do
  name=${who%%:*} rest=${who#*:}
  echo \"$name:x:${rest%%:*}:${rest%%:*}::/home/$name:${rest#*:}\" >>/etc/passwd
  echo \"$name:*:19000:0:99999:7:::\" >>/etc/shadow
  echo \"$name:x:${rest%%:*}:\" >>/etc/group
  mkdir -p /home/$name && chown \"$name:$name\" /home/$name
done
mkdir -p /srv/keeper/store && chown keeper:keeper /srv/keeper/store
mkdir -p /srv/small && mount -t tmpfs -o size=1m tmpfs /srv/small && chmod 777 /srv/small
cat >>/etc/ssh/sshd_config <<END
Subsystem sftp internal-sftp
Match User keeper
  ChrootDirectory /srv/keeper
  ForceCommand internal-sftp
  AllowTcpForwarding no
Match User old
  ForceCommand internal-sftp -P hardlink,posix-rename,fsync,limits
END
";

struct Site {
    host: LabHost,
    home: tempfile::TempDir,
    _lab: Lab,
}

impl Site {
    fn open() -> Option<Self> {
        let lab = Lab::open()?;
        Some(Self { host: lab.prepared("store", SERVER), home: tempfile::tempdir().unwrap(), _lab: lab })
    }

    fn wish(&self, user: &str, folder: &str) -> Sftp {
        Sftp {
            host: self.host.address.to_string(),
            port: PORT,
            user: user.into(),
            folder: folder.into(),
            key_file: Some(self.host.at("user").display().to_string()),
            key: None,
            host_key: None,
            jump: None,
        }
    }

    fn hands(&self, wish: &Sftp, key: Option<&str>) -> Server {
        let ask = Arc::new(|_: &_| Err("nobody is asked".to_string()));
        let home = self.home.path();
        let user = User { home: home.into(), agent: None, known_hosts: home.join("known"), ask };
        let key = key.map(|key| Secret::new(key.to_string()));
        Server::new(wish, key, Arc::new(RealHosts::new(user).unwrap()))
    }

    fn server(&self, user: &str, folder: &str) -> Server {
        self.hands(&self.wish(user, folder), None)
    }

    async fn refused(&self, wish: &Sftp, key: Option<&str>) -> String {
        match self.hands(wish, key).list().await {
            Err(ShelfError::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap().trim().to_string()
}

#[tokio::test]
async fn a_server_keeps_bundles() {
    let Some(site) = Site::open() else { return };
    keeps_its_word(&site.server("admin", "backups/clusters/lab/")).await;
    let modes = "cd /home/admin; stat -c '%a %n' backups backups/clusters/lab backups/clusters/lab/lab-2*.age | head -4 | cut -c1-27";
    assert_eq!(
        site.host.sh(modes),
        "700 backups\n700 backups/clusters/lab\n600 backups/clusters/lab/la\n600 backups/clusters/lab/la\n"
    );
    keeps_its_word(&site.server("admin", "/tmp/lab")).await;
    // What is meant from the home folder on is there.
    let names = |bundles: Server| async move { bundles.list().await.unwrap().len() };
    assert_eq!(names(site.server("admin", "~/backups/clusters/lab")).await, 6);
}

#[tokio::test]
async fn a_user_who_may_do_sftp_alone_is_enough() {
    let Some(site) = Site::open() else { return };
    keeps_its_word(&site.server("keeper", "/store/lab")).await;
    assert_eq!(site.host.sh("ls /srv/keeper/store/lab | wc -l").trim(), "6");
    let shut = site.server("keeper", "/lab").put("one", &file(b"one")).await;
    assert_eq!(shut, Err(ShelfError::Refused("/lab: Permission denied".into())));
}

#[tokio::test]
async fn a_server_without_extensions_keeps_its_word_too() {
    let Some(site) = Site::open() else { return };
    keeps_its_word(&site.server("old", "lab")).await;
}

#[tokio::test]
async fn of_many_writers_at_a_server_one_wins() {
    let Some(site) = Site::open() else { return };
    for user in ["admin", "old"] {
        let writers = (0..8_u8).map(|one| {
            let server = site.server(user, "lab");
            async move { server.put("name", &file(&vec![one; 300_000])).await }
        });
        let ended = futures::future::join_all(writers).await;
        assert_eq!(ended.iter().filter(|it| it.is_ok()).count(), 1, "{ended:?}");
        assert!(ended.iter().all(|it| matches!(it, Ok(()) | Err(ShelfError::Taken(_)))), "{ended:?}");
        let won = ended.iter().position(Result::is_ok).unwrap() as u8;
        assert_eq!(got(&site.server(user, "lab"), "name").await.unwrap(), vec![won; 300_000]);
        assert_eq!(site.host.sh(&format!("ls -A /home/{user}/lab")), "name\n", "nothing is left of the others");
    }
}

#[tokio::test]
async fn what_is_cut_off_comes_whole_the_next_time() {
    let Some(site) = Site::open() else { return };
    let server = site.server("admin", "lab");
    server.put("before", &file(b"before")).await.unwrap();
    let large: Vec<u8> = (0..48_u32 << 20).map(|at| (at % 251) as u8).collect();
    let sent = file(&large);
    let put = server.put("name", &sent);
    // Its own processes are all that this host sees; the shell is not to find itself.
    let cut = async {
        let arrives = "test -n \"$(find /home/admin/lab -name '.arriving-*' -size +1M)\" && echo yes || true";
        while site.host.sh(arrives).is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        site.host.sh("pkill -KILL -f 'sshd: [a]dmin' || true");
    };
    let (ended, ()) = tokio::join!(put, cut);
    assert!(matches!(ended, Err(ShelfError::Unreachable(_))), "{ended:?}");
    let left = site.host.sh("ls -A /home/admin/lab");
    assert!(left.starts_with(".arriving-name-") && left.ends_with("before\n"), "{left}");
    assert_eq!(server.list().await.unwrap().get("name"), None);
    server.put("name", &sent).await.unwrap();
    assert!(got(&server, "name").await.unwrap() == large);
    assert_eq!(site.host.sh("ls -A /home/admin/lab"), "before\nname\n", "what was cut off is gone");
}

#[tokio::test]
async fn a_full_disk_is_told_and_left_as_it_was() {
    let Some(site) = Site::open() else { return };
    let server = site.server("admin", "/srv/small/lab");
    server.put("fits", &file(&[1; 100_000])).await.unwrap();
    let full = server.put("name", &file(&vec![2; 3 << 20])).await;
    assert_eq!(full, Err(ShelfError::Refused("name: Failure: its disk is full".into())));
    assert_eq!(site.host.sh("ls -A /srv/small/lab"), "fits\n");
    server.put("fits too", &file(&[3; 100_000])).await.unwrap();
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let Some(site) = Site::open() else { return };
    let usual = site.wish("admin", "lab");
    let stranger = Sftp { key_file: Some(site.host.at("stranger").display().to_string()), ..usual.clone() };
    let told = site.refused(&stranger, None).await;
    assert!(told.contains("(authentication): admin is not let in: tried "), "{told}");

    // A key that is a secret is the only one that is tried.
    let by_secret = Sftp { key_file: None, ..usual.clone() };
    let key = text(&site.host.at("user"));
    site.hands(&by_secret, Some(&key)).put("one", &file(b"one")).await.unwrap();
    let told = site.refused(&usual, Some(&text(&site.host.at("stranger")))).await;
    assert!(told.contains("admin is not let in: tried the key SHA256:"), "{told}");
    let told = site.refused(&by_secret, Some("no key")).await;
    assert!(told.contains("the secret is no private key of SSH") && !told.contains("no key"), "{told}");

    // The server is the one that is meant, or nothing is said to it.
    let pinned = Sftp { host_key: Some(text(&site.host.at("host.pub"))), ..usual.clone() };
    assert_eq!(site.hands(&pinned, None).list().await.unwrap().len(), 1);
    let other = Sftp { host_key: Some(text(&site.host.at("stranger.pub"))), ..usual.clone() };
    let told = site.refused(&other, None).await;
    assert!(told.contains("(host key): it shows SHA256:") && told.contains("`hostKey` of an SFTP server"), "{told}");
    // It was learnt at the first contact, and another key is not taken from then on.
    let known = text(&site.home.path().join("known"));
    assert!(known.starts_with(&format!("[{}]:{PORT} ssh-ed25519 ", site.host.address)), "{known}");
    let key = text(&site.host.at("stranger.pub"));
    std::fs::write(site.home.path().join("known"), format!("[{}]:{PORT} {key}\n", site.host.address)).unwrap();
    let told = site.refused(&usual, None).await;
    assert!(told.contains("is it another host, or was it made anew?"), "{told}");

    let nobody = Sftp { port: PORT + 5, ..usual };
    let gone = site.hands(&nobody, None).list().await;
    assert!(matches!(gone, Err(ShelfError::Unreachable(_))), "{gone:?}");
}
