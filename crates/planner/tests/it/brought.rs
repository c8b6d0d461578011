//! Images that came without a registry, on hosts of kubeadm: the script that takes them in is run by a real shell, beside a
//! program that writes down what it is told in `ctr`'s place.

#![expect(clippy::disallowed_methods, reason = "the planner starts no programs, its tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use kubewright_model::airgap::{AirGap, Kind, Manifest, Packed, image_place, whole};
use kubewright_model::digest::Digest;
use kubewright_model::host::HostResource;
use kubewright_model::spec::{Distribution, load};
use kubewright_planner::airgap::{closed, seal};

const SPEC: &str = "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: { name: lab }\nspec:\n  kubernetes: { \
    distribution: kubeadm, version: v1.33.5 }\n  network: { cidr: 10.0.0.0/24 }\n  pools:\n    server: { role: both, name: \
    server, addresses: [10.0.0.10], existing: {} }\n";

/// The script as it is written on a host.
fn script() -> String {
    let image = "registry.lan/web:1";
    let packed = Packed {
        kind: Kind::Image,
        name: image.into(),
        source: whole(image),
        repository: None,
        version: None,
        path: image_place(image),
        sha256: Digest::of(image),
        size: 1,
        wanted_by: vec![],
    };
    let manifest = Manifest {
        format: 1,
        cluster: "lab".into(),
        spec: Digest::of("spec"),
        distribution: Distribution::Kubeadm,
        version: "v1.33.5".parse().unwrap(),
        architectures: vec!["amd64".into()],
        contents: vec![packed],
    };
    let file = load(SPEC).unwrap_or_else(|found| panic!("{found:#?}")).file;
    let mut desired = kubewright_planner::lower::lower(&closed(&file)).0;
    seal(&mut desired, &AirGap { folder: "/cache/bundle".into(), manifest: manifest.into() });
    let file = desired.hosts[0].resources.iter().find_map(|resource| match resource {
        HostResource::File(file) if file.path == "/usr/local/sbin/kubewright-images" => Some(file),
        _ => None,
    });
    file.expect("it is written").content.fill(|_| None::<&str>).unwrap()
}

/// An archive as they are in bundles, without the image's blobs.
fn archive(folder: &Path, name: &str) {
    let index = format!(
        r#"{{"manifests":[{{"annotations":{{"io.containerd.image.name":"{name}","org.opencontainers.image.ref.name":"{name}"}}}}]}}"#
    );
    fs::write(folder.join("index.json"), index).unwrap();
    let to = format!("{}.tar", name.replace(['/', ':'], "_"));
    let ran = Command::new("tar").current_dir(folder).args(["-cf", &to, "index.json"]).status().unwrap();
    assert!(ran.success());
    fs::remove_file(folder.join("index.json")).unwrap();
}

#[test]
fn no_kubelet_deletes_what_nobody_brings_back() {
    let root = tempfile::tempdir().unwrap();
    let images = root.path().join("images");
    fs::create_dir(&images).unwrap();
    let (ctr, asked) = (root.path().join("ctr"), root.path().join("asked"));
    fs::write(&ctr, format!("#!/bin/sh\nshift 3\necho \"$*\" >>{}\n", asked.display())).unwrap();
    fs::set_permissions(&ctr, fs::Permissions::from_mode(0o755)).unwrap();
    let text = script().replace("/var/lib/kubewright/images", &images.display().to_string());
    let text = text.replace("/usr/local/bin/ctr", &ctr.display().to_string());
    let run = || {
        fs::write(&asked, "").unwrap();
        let ran = Command::new("sh").args(["-c", &text]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        fs::read_to_string(&asked).unwrap()
    };
    archive(&images, "registry.lan/old:1");
    archive(&images, "registry.lan/web:1");
    let first = "import registry.lan_old_1.tar\nimport registry.lan_web_1.tar\n\
                 label registry.lan/old:1 io.cri-containerd.pinned=pinned\n\
                 label registry.lan/web:1 io.cri-containerd.pinned=pinned\n";
    assert_eq!(run(), first);
    assert_eq!(run(), first, "at the next start of the host again");
    fs::remove_file(images.join("registry.lan_old_1.tar")).unwrap();
    let then = "import registry.lan_web_1.tar\nlabel registry.lan/web:1 io.cri-containerd.pinned=pinned\n\
                label registry.lan/old:1 io.cri-containerd.pinned=\n";
    assert_eq!(run(), then, "what no archive holds is the kubelet's again");
    fs::remove_file(images.join("registry.lan_web_1.tar")).unwrap();
    assert_eq!(run(), "label registry.lan/web:1 io.cri-containerd.pinned=\n");
}
