//! The whole of `apply` with the network off: collected beside a real registry, a real web server and a real `helm`, which are
//! gone (all but the program) when hosts without any route get their programs, images and charts from the bundle.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use kubewright_engine::airgap::{self, Wish};
use kubewright_model::plan::Weight;

use super::*;
use crate::plane::assets;

/// What is outside, as long as it is there.
struct Outside(Vec<(Child, u16)>);

impl Outside {
    fn start(programs: &Path, folder: &Path) -> (Self, u16, u16) {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (files, images) = (free(), free());
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: \"127.0.0.1:{images}\" }}\n",
            folder.join("registry").display()
        );
        std::fs::write(folder.join("registry.yml"), config).unwrap();
        let quiet = |command: &mut Command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let mut web = Command::new("python3");
        web.args(["-m", "http.server", "--bind", "127.0.0.1", &files.to_string()]).current_dir(folder);
        let mut registry = Command::new("docker-registry");
        registry.arg("serve").arg(folder.join("registry.yml"));
        let outside = Self(vec![(quiet(&mut web), files), (quiet(&mut registry), images)]);
        for port in [files, images] {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let push = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/tests/it/airgap/push.py");
        let registry = format!("http://127.0.0.1:{images}");
        assert!(Command::new("python3").arg(push).args([&registry, "web", "1"]).status().unwrap().success());
        chart(programs, folder);
        (outside, files, images)
    }

    /// The network is off from now on.
    fn off(self) {
        for (mut child, port) in self.0 {
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        }
    }
}

/// A chart whose values say which image it is, in a repository.
fn chart(programs: &Path, folder: &Path) {
    let templates = folder.join("source/web/templates");
    std::fs::create_dir_all(&templates).unwrap();
    std::fs::write(folder.join("source/web/Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.2.3\n").unwrap();
    // Nobody here runs pods, so it is something that is right at once.
    let cron = "apiVersion: batch/v1\nkind: CronJob\nmetadata: { name: web }\nspec:\n  suspend: true\n  schedule: \"0 3 * * *\"\n  \
        jobTemplate: { spec: { template: { spec: { restartPolicy: Never, containers: [{ name: web, image: \"registry.example/web:{{ .Values.tag }}\" }] } } } }\n";
    std::fs::write(templates.join("cron.yaml"), cron).unwrap();
    let helm = |words: &[&str]| {
        let status = Command::new(programs.join("helm")).args(words).current_dir(folder).stdout(Stdio::null()).status();
        assert!(status.unwrap().success(), "{words:?}");
    };
    std::fs::create_dir(folder.join("charts")).unwrap();
    helm(&["package", "source/web", "--destination", "charts"]);
    helm(&["repo", "index", "charts"]);
}

/// The archive of images of the release, which nobody here reads.
fn with_images(mirror: &Path) {
    let release = mirror.join(VERSION);
    std::fs::write(release.join("k3s-airgap-images-amd64.tar.zst"), "images").unwrap();
    let list = release.join("sha256sum-amd64.txt");
    let text = std::fs::read_to_string(&list).unwrap();
    std::fs::write(list, format!("{text}{}  k3s-airgap-images-amd64.tar.zst\n", Digest::of("images"))).unwrap();
}

async fn lives_closed(cluster: Cluster) {
    let home = cluster.home.path().to_path_buf();
    let programs = cluster.plane.clone().unwrap();
    let (outside, files, images) = Outside::start(&programs, &home);
    let more = |tag: &str| {
        format!(
            "  addons:\n    charts:\n      web: {{ chart: web, repository: \"http://127.0.0.1:{files}/charts\", namespace: default, values: {{ tag: \"{tag}\" }} }}\n"
        )
    };
    let registries =
        format!("registries: {{ registry.example: {{ mirrors: [\"http://127.0.0.1:{images}\"] }} }}\n    serverConfig");
    let outside_of = format!("http://127.0.0.1:{files}/mirror");
    let spec = |tag: &str| {
        let text = cluster.spec(VERSION, "", &more(tag)).replace("serverConfig", &registries);
        text.replace(&format!("file:{}", home.join("mirror").display()), &outside_of)
    };
    let text = spec("1");
    with_images(&home.join("mirror"));
    let loadout = Engine::closed(&Engine::load(&text).unwrap()).unwrap();
    let wish = Wish {
        file: &loadout.file,
        desired: &loadout.desired,
        way: Vec::new(),
        spec: Digest::of(&text),
        machines: vec!["amd64".into()],
        images: Vec::new(),
        helm: false,
        cache: home.join("collected"),
    };
    let to = home.join("lab.tar");
    let collected = cluster.engine(&loadout.desired).collect(&wish, &to, &|_| {}).await.unwrap();
    let kinds: Vec<String> = collected.manifest.contents.iter().map(|it| format!("{} {}", it.kind, it.name)).collect();
    let release = |name: &str| format!("file {name} {VERSION}");
    let want = ["digests of k3s", "digests of k3s-airgap-images", "k3s", "k3s-airgap-images"].map(release);
    assert!(want[2..].iter().all(|name| kinds.contains(name)), "{kinds:?}");
    assert!(
        kinds.contains(&"image registry.example/web:1".into()) && kinds.contains(&"chart web 1.2.3".into()),
        "{kinds:?}"
    );

    outside.off();
    std::fs::remove_dir_all(home.join("mirror")).unwrap();
    std::fs::remove_dir_all(home.join("cache")).unwrap();
    let routes = Command::new("ip").args(["route", "show", "default"]).output().unwrap();
    let routes = String::from_utf8_lossy(&routes.stdout);
    assert!(["", "unreachable default"].contains(&routes.trim()), "there is a way out: {routes}");

    let gap = airgap::open(&to, &home.join("unpacked")).unwrap();
    let sealed = |text: &str| {
        let mut desired = Engine::sealed(&Engine::load(text).unwrap(), &gap).unwrap().desired;
        desired.hosts.iter_mut().for_each(|host| host.resources.retain(can_be_had));
        desired
    };
    let desired = sealed(&text);
    cluster.apply(&desired, Ask::Apply).await;
    let packed = |name: &str| gap.manifest.contents.iter().find(|it| it.name == name).unwrap().sha256.to_string();
    for host in cluster.hosts.iter() {
        let folder = "/var/lib/rancher/k3s/agent/images";
        for (file, name) in [
            ("/usr/local/bin/k3s".to_string(), format!("k3s {VERSION}")),
            (format!("{folder}/k3s-airgap-images.tar.zst"), format!("k3s-airgap-images {VERSION}")),
            (format!("{folder}/kubewright-registry.example_web_1.tar"), "registry.example/web:1".into()),
        ] {
            assert!(host.sh(&format!("sha256sum {file}")).starts_with(&packed(&name)), "{name} on {}", host.name);
        }
    }
    let kubectl = "/usr/local/bin/k3s kubectl --kubeconfig /etc/rancher/k3s/k3s.yaml get cronjob web";
    let image = cluster.hosts[0]
        .sh(&format!("{kubectl} -o jsonpath='{{.spec.jobTemplate.spec.template.spec.containers[0].image}}'"));
    assert_eq!(image, "registry.example/web:1");
    assert!(cluster.plan(&desired, &Ask::Apply).await.is_empty());

    // Other values want another image, which is not in it.
    let plan = cluster.plan(&sealed(&text.replace("tag: \"1\"", "tag: \"2\"")), &Ask::Apply).await;
    let blocks: Vec<&str> =
        plan.notes.iter().filter(|note| note.weight == Weight::Blocks).map(|note| note.message.as_str()).collect();
    assert_eq!(blocks, ["the bundle lacks images of it: registry.example/web:2"]);
}

#[test]
fn a_cluster_is_made_from_a_bundle_with_the_network_off() {
    let Some(programs) = assets(&["helm"]) else { return };
    if Command::new("docker-registry").arg("--version").output().is_err() {
        return skipped("docker-registry is not installed");
    }
    let prepare = format!(
        "mkdir opt/kubernetes && mount --bind '{}' opt/kubernetes && mount -o remount,bind,ro opt/kubernetes",
        programs.display()
    );
    world(|| {
        let hosts = ["server-1", "agent-1"].map(|name| BootedHost::prepared(name, &prepare));
        block_on(lives_closed(Cluster::of(hosts.into(), Some(programs))));
    });
}
