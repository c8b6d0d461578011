//! What is read back is whole, ours and open to us, or refused with the reason.

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};

use kubewright_model::bundle::{About, BundleName, Canary, Kind};
use kubewright_model::digest::Digest;
use kubewright_model::ids::ClusterName;
use kubewright_model::secret::Secret;
use kubewright_model::spec::kubernetes::{Datastore, Distribution};
use kubewright_model::units::Moment;

use super::*;
use crate::backup::Packing;
use crate::sops::{Sources, generate};

fn about() -> About {
    let (cluster, made) = (ClusterName::new("lab"), Moment(1_795_369_980));
    About {
        canary: Canary::of(&BundleName::new(&cluster, made)),
        cluster,
        environment: None,
        made,
        kubewright: "0.1.0".into(),
        distribution: Distribution::K3s,
        version: "v1.31.4+k3s1".parse().unwrap_or_else(|why| panic!("{why}")),
        datastore: Datastore::Etcd,
        simulated: false,
    }
}

fn with(keys: &Secret) -> Identities {
    Identities::look(&Sources { keys: Some(keys.clone()), ..Sources::default() })
}

/// A bundle of three files, one of them of this computer and with bytes that no compression makes smaller.
fn packed(recipient: &str) -> Vec<u8> {
    let (mut packing, mut bundle) = (Packing::new().unwrap(), Vec::new());
    let mut here = tempfile::NamedTempFile::new().unwrap();
    let noise: Vec<u8> =
        (0..150_000_u32).flat_map(|at| Digest::of(at.to_le_bytes()).as_str().as_bytes()[..1].to_vec()).collect();
    here.write_all(&noise).unwrap();
    packing.add_file("datastore/etcd.db", Kind::Datastore, here.path()).unwrap();
    packing.add("objects/kube-system/Secret/token.yaml", Kind::Object, b"kind: Secret\n").unwrap();
    packing.add("spec/cluster.yaml", Kind::Spec, b"").unwrap();
    let packed = packing.seal(about(), &[recipient.to_string()], &mut bundle).unwrap();
    assert_eq!((packed.size, &packed.sha256), (bundle.len() as u64, &Digest::of(&bundle)));
    bundle
}

fn damage(bundle: &[u8], keys: &Identities) -> Damage {
    verify(bundle, keys).expect_err("what is damaged is refused")
}

#[test]
fn a_bundle_says_what_it_is_and_holds_what_was_put_in() {
    let (key, recipient) = generate("now");
    let bundle = packed(&recipient);
    let keys = with(&key);
    let told = verify(bundle.as_slice(), &keys).unwrap();
    assert_eq!(manifest(bundle.as_slice(), &keys).unwrap(), told);
    let paths: Vec<&str> = told.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["datastore/etcd.db", "objects/kube-system/Secret/token.yaml", "spec/cluster.yaml"]);
    assert_eq!(told.about, about());

    let folder = tempfile::tempdir().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bundle).unwrap();
    let into = folder.path().join("out");
    extract(&file, &keys, &into).unwrap();
    assert_eq!(std::fs::read(into.join("objects/kube-system/Secret/token.yaml")).unwrap(), b"kind: Secret\n");
    assert!(matches!(extract(&file, &keys, &into), Err(Damage::Io(_))), "nothing is written over");
    file.set_len(bundle.len() as u64 - 1).unwrap();
    let none = folder.path().join("none");
    assert_eq!(extract(&file, &keys, &none), Err(Damage::Body));
    assert!(!none.exists(), "nothing is written of what is damaged");
}

#[test]
fn what_was_cut_off_anywhere_is_refused() {
    let (key, recipient) = generate("now");
    let (bundle, keys) = (packed(&recipient), with(&key));
    let ends = [1, 15, 16, 17, 65_535, 65_536, 65_552, 65_553];
    let cuts = (0..400).chain((400..bundle.len()).step_by(997)).chain(ends.map(|end| bundle.len() - end));
    for cut in cuts {
        let why = damage(&bundle[..cut], &keys);
        let header = cut < 300;
        let right =
            matches!(why, Damage::Cut | Damage::Body) || header && matches!(why, Damage::Foreign | Damage::Header);
        assert!(right, "{cut} of {}: {why}", bundle.len());
    }
    assert_eq!(damage(&[], &keys), Damage::Cut);
    let longer = [bundle.as_slice(), b"x"].concat();
    assert!(matches!(damage(&longer, &keys), Damage::Body | Damage::Cut));
}

#[test]
fn a_bit_that_flipped_anywhere_is_found() {
    let (key, recipient) = generate("now");
    let (bundle, keys) = (packed(&recipient), with(&key));
    let places = (0..400).chain((400..bundle.len()).step_by(1009)).chain(bundle.len() - 40..bundle.len());
    for place in places {
        let mut flipped = bundle.clone();
        flipped[place] ^= 1 << (place % 8);
        let why = damage(&flipped, &keys);
        assert!(!matches!(why, Damage::Io(_) | Damage::File(..)), "{place}: {why}");
    }
}

#[test]
fn what_is_of_others_is_told_from_what_is_damaged() {
    let ((_, ours), (other, _)) = (generate("now"), generate("now"));
    let bundle = packed(&ours);
    assert_eq!(damage(&bundle, &with(&other)), Damage::NotForUs);
    assert_eq!(damage(b"PK\x03\x04 this is a zip", &with(&other)), Damage::Foreign);
    let (key, recipient) = generate("now");
    let other = age::encrypt(&sops_recipient(&recipient), b"something else").unwrap();
    assert!(matches!(damage(&other, &with(&key)), Damage::Form(_)));
}

fn sops_recipient(text: &str) -> age::x25519::Recipient {
    crate::sops::recipient(text).unwrap()
}

/// An archive of our own making, encrypted as bundles are.
fn forged(recipient: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    let plain = archive.into_inner().unwrap().finish().unwrap();
    age::encrypt(&sops_recipient(recipient), &plain).unwrap()
}

#[test]
fn what_is_encrypted_well_is_still_held_against_its_manifest() {
    let (key, recipient) = generate("now");
    let keys = with(&key);
    let file = |path: &str, bytes: &[u8]| BundledFile {
        path: path.into(),
        size: bytes.len() as u64,
        sha256: Digest::of(bytes),
        what: Kind::Spec,
    };
    let manifest = |format: u32, files: Vec<BundledFile>| {
        serde_json::to_vec(&BundleManifest { format, about: about(), files }).unwrap()
    };
    let told =
        |files: &[(&str, &[u8])]| verify(forged(&recipient, files).as_slice(), &keys).err().map(|why| why.to_string());
    let one = manifest(1, vec![file("spec/a", b"a")]);
    assert_eq!(told(&[(MANIFEST, &one), ("spec/a", b"a")]), None);
    type Files<'f> = Vec<(&'f str, &'f [u8])>;
    let cases: [(&str, Files<'_>); 6] = [
        ("spec/a: it has another digest", vec![(MANIFEST, &one), ("spec/a", b"b")]),
        ("spec/a: it has another size", vec![(MANIFEST, &one), ("spec/a", b"aa")]),
        ("spec/a: the manifest names it, and it is not there", vec![(MANIFEST, &one)]),
        ("spec/a: another file stands in its place", vec![(MANIFEST, &one), ("spec/b", b"a")]),
        ("spec/b: it is in the bundle, and", vec![(MANIFEST, &one), ("spec/a", b"a"), ("spec/b", b"b")]),
        ("manifest.json does not stand first", vec![("spec/a", b"a"), (MANIFEST, &one)]),
    ];
    for (words, files) in cases {
        let told = told(&files).unwrap_or_default();
        assert!(told.contains(words), "{words}: {told}");
    }
    let later = manifest(2, Vec::new());
    assert!(told(&[(MANIFEST, &later)]).unwrap().contains("a later version of kubewright made it"));
    for path in ["../a", "/etc/passwd", "a/../../b", "a/"] {
        let leads = manifest(1, vec![file(path, b"a")]);
        assert!(told(&[(MANIFEST, &leads), (path, b"a")]).unwrap().contains("lead out of the folder"), "{path}");
    }
}

/// The bundle opens without this program, as the guide says: `age -d` and `tar`.
#[test]
fn the_program_age_opens_it() {
    if Command::new("age").arg("--version").output().is_err() {
        return eprintln!("skipped: there is no program `age` here");
    }
    let (key, recipient) = generate("now");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("key.txt"), key.expose()).unwrap();
    std::fs::write(at("bundle"), packed(&recipient)).unwrap();
    let script = "age -d -i key.txt bundle | tar xz && ls manifest.json spec/cluster.yaml && cat objects/kube-system/Secret/token.yaml";
    let opened = Command::new("sh").args(["-c", script]).current_dir(folder.path()).output().unwrap();
    let printed = String::from_utf8_lossy(&opened.stdout).into_owned();
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    assert_eq!(printed, "manifest.json\nspec/cluster.yaml\nkind: Secret\n");
    assert_eq!(std::fs::metadata(at("datastore/etcd.db")).unwrap().len(), 150_000);

    // And what the program encrypts we read.
    let plain =
        Command::new("age").args(["-d", "-i", "key.txt", "bundle"]).current_dir(folder.path()).output().unwrap();
    let mut sealed = Command::new("age")
        .args(["-r", &recipient, "-o", "again"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    sealed.stdin.take().unwrap().write_all(&plain.stdout).unwrap();
    assert!(sealed.wait().unwrap().success());
    verify(File::open(at("again")).unwrap(), &with(&key)).unwrap();
}

/// Which of its objects act outside of their cluster is read without anything being written.
#[test]
fn what_reaches_outside_is_told_by_name_and_none_of_nothing() {
    let (key, recipient) = generate("now");
    let keys = with(&key);
    let sealed = |objects: &[(&str, &str)]| {
        let (mut packing, mut bundle) = (Packing::new().unwrap(), Vec::new());
        packing.add("spec/cluster.yaml", Kind::Spec, b"kind: Service\nspec: { type: LoadBalancer }\n").unwrap();
        for (path, text) in objects {
            packing.add(&format!("objects/{path}.yaml"), Kind::Object, text.as_bytes()).unwrap();
        }
        packing.seal(about(), std::slice::from_ref(&recipient), &mut bundle).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bundle).unwrap();
        crate::backup::outside(&file, &keys).unwrap()
    };
    assert_eq!(sealed(&[]), None, "a bundle without objects tells nothing");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n";
    assert_eq!(sealed(&[("shop/ConfigMap/a", map)]), Some(crate::backup::Outside::new()));
    let web = "apiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { type: LoadBalancer }\n";
    let orders = "apiVersion: v1\nkind: PersistentVolume\nmetadata: { name: orders }\nspec: { nfs: { server: nas } }\n";
    let found = sealed(&[
        ("shop/ConfigMap/a", map),
        ("shop/Service/web", web),
        ("_cluster/PersistentVolume/orders", orders),
        ("shop/Secret/odd", "{"),
    ]);
    let told: Vec<String> =
        found.unwrap().iter().map(|(deed, names)| format!("{deed}: {}", names.join(", "))).collect();
    let wanted = [
        "answers for addresses of the live cluster: shop/Service/web",
        "cannot be read: shop/Secret/odd",
        "uses the same volumes (nfs) as the live cluster: PersistentVolume/orders",
    ];
    assert_eq!(told, wanted);
}
