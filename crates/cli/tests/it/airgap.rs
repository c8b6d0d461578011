//! A site that has no way out, over real SSH: collected beside real servers of files and images, which are gone by the time
//! that it is applied. The lab's network has no route to anywhere else.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::lab::{HERE, Lab, LabHost, PORT, skipped};
use crate::real::{Said, run};

/// Servers of what is published. They end with it.
struct Outside {
    children: Vec<Child>,
    files: u16,
    images: u16,
    folder: tempfile::TempDir,
}

impl Outside {
    /// A web server with a release of K3s, and Debian's registry with an image; none where that is not installed.
    fn start() -> Option<Self> {
        if Command::new("docker-registry").arg("--version").output().is_err() {
            skipped("docker-registry is not installed");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let [files, images] =
            [(); 2].map(|()| TcpListener::bind((HERE, 0)).and_then(|it| it.local_addr()).expect("a free port").port());
        release(&folder.path().join("k3s/v1.33.5+k3s1"));
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: \"{HERE}:{images}\" }}\n",
            folder.path().join("registry").display()
        );
        std::fs::write(folder.path().join("registry.yml"), config).expect("a file");
        let quiet = |command: &mut Command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
        };
        let mut web = Command::new("python3");
        web.args(["-m", "http.server", "--bind", &HERE.to_string(), &files.to_string()]).current_dir(folder.path());
        let mut registry = Command::new("docker-registry");
        registry.arg("serve").arg(folder.path().join("registry.yml"));
        let children = vec![quiet(&mut web), quiet(&mut registry)];
        for port in [files, images] {
            let answers = || TcpStream::connect((HERE, port)).is_ok();
            assert!(
                (0..500).any(|_| answers() || {
                    std::thread::sleep(Duration::from_millis(20));
                    false
                }),
                "{port}"
            );
        }
        let push = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/airgap/push.py");
        let pushed = Command::new("python3")
            .arg(push)
            .args([&format!("http://{HERE}:{images}"), "proxy/mirrored/web", "1"])
            .output();
        let pushed = pushed.expect("python3 is installed");
        assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
        Some(Self { children, files, images, folder })
    }

    /// The network is off from now on.
    fn off(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.children.clear();
        assert!(TcpStream::connect((HERE, self.files)).is_err() && TcpStream::connect((HERE, self.images)).is_err());
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.off();
    }
}

/// What K3s publishes, as far as it is wanted: a program that is none, its archive of images, and the list of digests.
fn release(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    let make = "printf '#!/bin/sh\\necho bundled\\n' >k3s && seq 200000 >k3s-airgap-images-amd64.tar.zst && \
                sha256sum k3s k3s-airgap-images-amd64.tar.zst >sha256sum-amd64.txt";
    assert!(Command::new("sh").args(["-c", make]).current_dir(folder).status().expect("there is a shell").success());
}

/// A spec whose releases and images are outside.
fn spec(host: &LabHost, outside: &Outside, more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: lab }}
spec:
  kubernetes:
    distribution: k3s
    version: v1.33.5+k3s1
    datastore: sqlite
    mirror: http://{HERE}:{files}/k3s
    registries:
      registry.example: {{ mirrors: [\"http://{HERE}:{images}/v2/proxy\"], rewrite: {{ \"^(web)$\": mirrored/$1 }} }}
  hosts:
    ssh: {{ user: admin, port: {PORT}, keyFile: {key} }}
{more}  pools:
    all: {{ role: both, name: {name}, addresses: [{address}], existing: {{}} }}
  addons:
    manifests:
      web:
        objects:
          - {{ apiVersion: v1, kind: Pod, metadata: {{ name: web, namespace: default }}, spec: {{ containers: [{{ name: web, image: \"registry.example/web:1\" }}] }} }}
",
        files = outside.files,
        images = outside.images,
        key = host.at("user").display(),
        name = host.name,
        address = host.address,
    );
    std::fs::write(folder.path().join("cluster.yaml"), text).expect("a file");
    folder
}

fn ends(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, Some(code), "{}{}", said.out, said.err);
    said.has(words);
}

/// The digest of a file on a host.
fn on_host(host: &LabHost, path: &str) -> String {
    host.sh(&format!("sha256sum <'{path}'")).split(' ').next().unwrap_or_default().to_string()
}

#[test]
fn a_host_is_set_up_from_a_bundle_with_the_network_off() {
    let Some(lab) = Lab::open() else { return };
    let Some(mut outside) = Outside::start() else { return };
    // Whoever tries to download all the same leaves a trace.
    let trap = "printf '%s\\n' '#!/bin/sh' 'echo \"$@\" >>/tmp/went-out' 'exit 7' | tee usr/local/sbin/curl usr/local/sbin/wget >/dev/null && chmod 755 usr/local/sbin/curl usr/local/sbin/wget";
    let host = lab.prepared("web-1", trap);
    let folder = spec(&host, &outside, "");
    let at = |name: &str| folder.path().join(name);
    let list = run(folder.path(), &["bundle", "--list"]);
    ends(
        &list,
        0,
        &["k3s-airgap-images v1.33.5+k3s1", "registry.example/web:1", "objects manifests", "packages of hosts"],
    );
    assert!(!at(".cache/kubewright/airgap").exists(), "nothing was fetched");

    // What cannot be had is named, all of it, and nothing is written.
    let gone = outside.folder.path().join("k3s/v1.33.5+k3s1/k3s");
    let program = std::fs::read(&gone).expect("it is there");
    std::fs::write(&gone, "another").expect("a file");
    let failed = run(folder.path(), &["bundle", "--output", "lab.tar", "--image", "registry.example/gone:2"]);
    ends(
        &failed,
        1,
        &[
            "✗ k3s v1.33.5+k3s1 (",
            "has the digest ",
            "✗ image registry.example/gone:2 (--image)",
            "2 things could not be collected",
        ],
    );
    assert!(!at("lab.tar").exists());
    std::fs::write(&gone, program).expect("a file");
    let bundle = run(folder.path(), &["bundle", "--output", "lab.tar"]);
    ends(&bundle, 0, &["wrote lab.tar: 4 things"]);
    let again = run(folder.path(), &["bundle", "--output", "again.tar"]);
    ends(&again, 0, &[]);
    assert!(
        std::fs::read(at("lab.tar")).expect("it is there") == std::fs::read(at("again.tar")).expect("it is there"),
        "the same, to the byte"
    );

    outside.off();
    // Without the bundle nothing comes, and that is told.
    let applied = run(folder.path(), &["apply", "--only", "hosts", "--yes"]);
    ends(&applied, 1, &["downloading k3s v1.33.5+k3s1"]);
    assert!(host.sh("cat /tmp/went-out").contains("/k3s"), "it tried");
    host.sh("rm /tmp/went-out");

    broken_ones_are_refused(folder.path(), &host);

    let applied = run(folder.path(), &["apply", "--bundle", "lab.tar", "--only", "hosts", "--yes"]);
    ends(&applied, 0, &["lab.tar is whole: 4 things"]);
    assert_eq!(host.sh("cat /tmp/went-out 2>/dev/null || echo nobody"), "nobody\n", "nobody went out");
    assert_eq!(host.sh("/usr/local/bin/kubectl"), "bundled\n");
    let said = Command::new("tar").args(["-xOf", "lab.tar", "manifest.json"]).current_dir(folder.path()).output();
    let manifest: serde_json::Value = serde_json::from_slice(&said.expect("tar is installed").stdout).expect("JSON");
    let packed = |name: &str| {
        let all = manifest["contents"].as_array().expect("a list");
        all.iter().find(|one| one["name"].as_str().is_some_and(|it| it.starts_with(name))).expect(name)["sha256"]
            .as_str()
            .expect("a digest")
            .to_string()
    };
    let images = "/var/lib/rancher/k3s/agent/images";
    assert_eq!(on_host(&host, &format!("{images}/k3s-airgap-images.tar.zst")), packed("k3s-airgap-images"));
    let archive = format!("{images}/kubewright-registry.example_web_1.tar");
    assert_eq!(on_host(&host, &archive), packed("registry.example/web:1"));
    let index = host.sh(&format!("tar -xOf {archive} index.json"));
    assert!(index.contains("\"io.containerd.image.name\":\"registry.example/web:1\""), "{index}");
    let layers = host.sh(&format!("mkdir /tmp/image && tar -C /tmp/image -xf {archive} && cd /tmp/image/blobs/sha256 && for blob in *; do echo \"$blob  $blob\"; done | sha256sum -c --quiet && for blob in *; do gzip -dc \"$blob\" 2>/dev/null | tar -xO hello 2>/dev/null; done; true"));
    assert_eq!(
        layers, "proxy/mirrored/web for amd64\n",
        "every blob is what its name says, and the other architecture is not there"
    );
    let plan = run(folder.path(), &["plan", "--bundle", "lab.tar", "--only", "hosts", "--exit-code"]);
    ends(&plan, 0, &["what was chosen is as the spec says"]);

    // Another version is not in it, and what a host lacks of packages is in none.
    let text = std::fs::read_to_string(at("cluster.yaml")).expect("a spec");
    let changed = text
        .replace("version: v1.33.5+k3s1", "version: v1.33.6+k3s1")
        .replace("  pools:", "    packages: [figlet]\n  pools:");
    std::fs::write(at("cluster.yaml"), changed).expect("a file");
    let plan = run(folder.path(), &["plan", "--bundle", "lab.tar", "--only", "hosts"]);
    ends(
        &plan,
        5,
        &[
            "the spec is another one",
            "the bundle lacks ",
            "k3s v1.33.6+k3s1 (http://",
            "no bundle holds packages, and hosts lack figlet on web-1",
        ],
    );
}

/// A byte that is another one, an end that is gone, a manifest that was changed: each is told, and nothing is touched.
fn broken_ones_are_refused(folder: &Path, host: &LabHost) {
    let whole = std::fs::read(folder.join("lab.tar")).expect("it is there");
    let refused = |bytes: &[u8], words: &[&str]| {
        std::fs::write(folder.join("broken.tar"), bytes).expect("a file");
        let applied = run(folder, &["apply", "--bundle", "broken.tar", "--only", "hosts", "--yes"]);
        ends(&applied, 5, &["broken.tar is not a bundle to go by", "nothing was touched"]);
        applied.has(words);
    };
    let places = places(&whole);
    let at = |end: &str| places.iter().find(|(path, ..)| path.ends_with(end)).expect(end);
    let mut flipped = whole.clone();
    for (_, from, size) in [at("/k3s"), at(".tar.zst")] {
        flipped[from + size / 2] ^= 1;
    }
    refused(&flipped, &["k3s v1.33.5+k3s1 (", "k3s-airgap-images v1.33.5+k3s1 (", "its digest is "]);
    let (_, from, size) = at(".tar.zst");
    refused(&whole[..from + size / 2], &["it ends in the middle", "is missing"]);
    let mut other = whole.clone();
    let said = whole.windows(16).position(|it| it == b"\"cluster\": \"lab\"").expect("it is there");
    other[said + 12] = b'x';
    refused(&other, &["its manifest is not the one that it was packed with"]);
    refused(b"no archive", &["or is no tar archive"]);
    assert_eq!(host.sh("ls /var/lib/rancher 2>/dev/null || true"), "", "nothing was touched");
}

/// The files of a tar archive: the name, where it begins, the size. <https://www.gnu.org/software/tar/manual/html_node/Standard.html>
fn places(archive: &[u8]) -> Vec<(String, usize, usize)> {
    let (mut at, mut found) = (0, Vec::new());
    while let Some(header) = archive.get(at..at + 512).filter(|header| header[0] != 0) {
        let text = |field: &[u8]| String::from_utf8_lossy(field).trim_end_matches('\0').to_string();
        let size = usize::from_str_radix(text(&header[124..136]).trim(), 8).expect("a size");
        found.push((text(&header[..100]), at + 512, size));
        at += 512 + size.div_ceil(512) * 512;
    }
    found
}
