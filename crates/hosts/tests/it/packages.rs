//! Repositories of others, against the real apt of a host.

use kubewright_model::host::RepositoryWish;

use super::*;

/// A flat repository at `/srv/repository` with one package in two versions, signed by a key that is made for it. Only that
/// repository is known to the host, and its real apt is in its place.
const PUBLISHER: &str = r#"
rm /usr/local/sbin/apt-get /etc/apt/sources.list.d/* /etc/apt/sources.list 2>/dev/null || true
mkdir -p /srv/repository /root/keys && chmod 700 /root/keys && cd /srv/repository
for version in 1.0 1.1; do
  mkdir -p tree/DEBIAN tree/opt
  printf 'Package: kubewright-lab\nVersion: %s\nArchitecture: all\nMaintainer: lab <lab@example.org>\nDescription: lab\n' $version >tree/DEBIAN/control
  echo $version >tree/opt/kubewright-lab
  dpkg-deb --root-owner-group -b tree kubewright-lab_$version.deb >/dev/null
done
rm -r tree
cat >/root/publish <<'END'
cd /srv/repository
for deb; do
  dpkg-deb -f $deb
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' $deb $(stat -c %s $deb) $(sha256sum <$deb | cut -c -64)
done >Packages
{
  printf 'Date: %s\nSHA256:\n' "$(LC_ALL=C date -Ru)"
  printf ' %s %s Packages\n' $(sha256sum <Packages | cut -c -64) $(stat -c %s Packages)
} >Release
gpg --homedir /root/keys --batch --yes -q --clearsign -o InRelease Release
END
gpg --homedir /root/keys --batch -q --passphrase '' --quick-gen-key lab@example.org ed25519 sign never 2>/dev/null
gpg --homedir /root/keys --batch -q --armor --export >/srv/key
sh /root/publish kubewright-lab_1.0.deb
"#;

fn repository(key: &str) -> HostResource {
    HostResource::Repository(RepositoryWish {
        name: "lab".into(),
        url: "file:/srv/repository".into(),
        suites: Vec::new(),
        components: Vec::new(),
        key: key.trim().into(),
    })
}

#[tokio::test]
async fn a_signed_repository_is_trusted_by_its_key_and_what_is_held_stays() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    host.sh(PUBLISHER);
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()), way(&host, "admin"));
    let key = host.sh("cat /srv/key");
    let all = |key: &str| {
        let (package, hold) = ("kubewright-lab".to_string(), "kubewright-lab".to_string());
        [repository(key), HostResource::Package(package), HostResource::Hold(hold)]
    };
    // Somebody else's key: nothing is installed, and the user reads why.
    let other = host.sh("mkdir -m 700 /root/others; gpg --homedir /root/others --batch -q --passphrase '' \
         --quick-gen-key eve@example.org ed25519 sign never 2>/dev/null; gpg --homedir /root/others --armor --export");
    let error = make(&hands, &host, &way, &all(&other)).await.expect_err("another key signed it");
    assert!(error.to_string().contains("adding the repository lab"), "{error}");
    assert!(error.to_string().contains("NO_PUBKEY") || error.to_string().contains("not signed"), "{error}");
    assert!(make(&hands, &host, &way, &all(&key)).await.expect("it is the right one").changed);
    assert_eq!(host.sh("cat /opt/kubewright-lab"), "1.0\n");
    // A newer one comes out, and an upgrade of the system passes it by.
    host.sh("sh /root/publish kubewright-lab_1.1.deb && apt-get -qq update && apt-get -qq -y upgrade");
    assert_eq!(host.sh("cat /opt/kubewright-lab"), "1.0\n");
    let seen = look(&hands, &host, &way, &all(&key)).await;
    let seen = seen.present().expect("it answers");
    for resource in [&all(&key)[0], &all(&key)[2]] {
        assert_eq!(seen.settings.get(&resource.key()), resource.setting().as_ref(), "{}", resource.key());
    }
    assert!(!make(&hands, &host, &way, &all(&key)).await.expect("it is done").changed);
    host.sh("apt-mark unhold kubewright-lab && apt-get -qq -y upgrade");
    assert_eq!(host.sh("cat /opt/kubewright-lab"), "1.1\n", "one that is free does not stay");
    let seen = look(&hands, &host, &way, &all(&key)).await;
    assert_eq!(seen.present().expect("it answers").settings["hold kubewright-lab"], "free");
    assert!(make(&hands, &host, &way, &all(&key)).await.expect("it is held again").changed);
}
