//! `kubewright images`: which images nodes have, and one that comes without a registry.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use kubewright_engine::cluster::ImageSeen;
use kubewright_engine::{Archive, Hosts, Piece, Program};
use kubewright_model::desired::{Desired, DesiredHost};
use kubewright_model::ids::NodeName;
use kubewright_model::spec::Distribution;
use kubewright_model::units::Size;

use super::{chosen, host};
use crate::arguments::{Arguments, Images, Output};
use crate::commands::print_json;
use crate::problem::{Done, Problem};
use crate::screen::{BAD, DIM, GOOD, counted, paint, remark, say};
use crate::source::{self, Reading};
use crate::view::table::{lines, table_keeping};
use crate::world::Site;

/// Hosts that are sent an archive together: more of them share the same line.
const TOGETHER: usize = 8;
/// A list is quick; a containerd that is at work takes its time.
const LISTS: Duration = Duration::from_secs(60);

pub(crate) fn run(arguments: &Arguments, wish: &Images) -> Result<Done, Problem> {
    match wish {
        Images::List { file, node, output } => list(arguments, file, node, *output),
        Images::Load { archive, on, file } => load(arguments, archive, on, file),
    }
}

/// containerd's client as each distribution brings it, for the images of Kubernetes. K3s' own knows where its containerd is. By
/// their paths: sudo's `secure_path` of Rocky, Alma and Fedora has no /usr/local/bin.
/// <https://docs.k3s.io/cli>, <https://docs.rke2.io/reference/cli_tools>
fn ctr(distribution: Distribution) -> Option<Vec<String>> {
    let words: &[&str] = match distribution {
        Distribution::K3s => &["/usr/local/bin/k3s", "ctr"],
        Distribution::Rke2 => &["/var/lib/rancher/rke2/bin/ctr", "--address", "/run/k3s/containerd/containerd.sock"],
        Distribution::Kubeadm => &["/usr/local/bin/ctr"],
        Distribution::Talos => return None,
    };
    Some(words.iter().chain(&["--namespace", "k8s.io", "images"]).map(|word| (*word).to_string()).collect())
}

/// Talos takes images from registries alone: `talosctl image` lists, pulls, and serves a cache, and loads no file.
/// <https://www.talos.dev/v1.11/reference/cli/#talosctl-image>
fn of_talos() -> Problem {
    Problem::new(Done::Usage, "Talos has no way for images but a registry")
        .hint("push it to a registry that the nodes reach; a machine configuration's `machine.registries.mirrors` leads to one")
}

fn list(arguments: &Arguments, file: &Path, nodes: &[String], output: Output) -> Result<Done, Problem> {
    let desired = source::read(file, Reading::of(arguments, output))?.desired;
    let hosts = nodes.iter().map(|node| host(&desired, node)).collect::<Result<Vec<_>, _>>()?;
    let mut ended = Done::Well;
    if hosts.is_empty() {
        let seen = Site::look(arguments, file, &desired, async |site| {
            let seen = site.engine.images(&desired).await;
            seen.map_err(|error| Problem::new(Done::Unfinished, error.to_string()))
        })?;
        match output {
            Output::Json => print_json(&seen)?,
            Output::Text => show(&seen),
        }
        return Ok(ended);
    }
    let ctr = ctr(desired.kubernetes.distribution).ok_or_else(of_talos)?;
    let all = Site::look(arguments, file, &desired, async |site| {
        let hands = site.engine.hosts(&desired).await.map_err(|why| Problem::new(Done::Unfinished, why))?;
        let mut all: BTreeMap<&NodeName, Vec<String>> = BTreeMap::new();
        for host in hosts {
            match names(&*hands, host, &ctr).await {
                Ok(names) => drop(all.insert(&host.name, names)),
                Err(why) => {
                    remark!("{} {why}", paint(BAD, "✗"));
                    ended = Done::Unfinished;
                }
            }
        }
        Ok(all)
    })?;
    match output {
        Output::Json => print_json(&all)?,
        Output::Text => {
            for (node, names) in all {
                names.iter().for_each(|name| say!("{} {name}", paint(DIM, format!("{node} |"))));
            }
        }
    }
    Ok(ended)
}

/// Shows images with where they are: those that all nodes have are no lines for each.
fn show(seen: &BTreeMap<NodeName, Vec<ImageSeen>>) {
    let mut by_image: BTreeMap<(&str, u64), BTreeSet<&NodeName>> = BTreeMap::new();
    for (node, images) in seen {
        for image in images {
            let name = image.names.first().map_or("(no name)", String::as_str);
            by_image.entry((name, image.bytes)).or_default().insert(node);
        }
    }
    let mut all = table_keeping(&["IMAGE", "SIZE", "NODES"], &["IMAGE"]);
    for ((name, bytes), nodes) in by_image {
        let on = match nodes.len() == seen.len() {
            true => format!("all {}", nodes.len()),
            false => nodes.iter().map(|node| node.as_str()).collect::<Vec<_>>().join(", "),
        };
        all.add_row([name.to_string(), Size::from_bytes(bytes).to_string(), on]);
    }
    say!("{}", lines(&all));
    if seen.values().any(|images| images.len() >= 50) {
        remark!("→ kubelets tell of the 50 largest; `kubewright images list --node NODE` asks one for all");
    }
}

/// The names of all images of a host.
async fn names(hands: &dyn Hosts, host: &DesiredHost, ctr: &[String]) -> Result<Vec<String>, String> {
    let words = ctr.iter().cloned().chain(["list".to_string(), "--quiet".into()]).collect();
    let program = Program { words, sudo: true, input: Arc::from([]), deadline: Some(LISTS) };
    let (said, ended) = heard(async |hears| hands.exec(&host.name, &host.way, &program, hears).await).await;
    match ended {
        Ok(Some(0)) => Ok(said.lines().map(str::to_string).filter(|name| !name.is_empty()).collect()),
        Ok(_) => Err(format!("{}: its containerd does not list its images: {}", host.name, said.trim())),
        Err(error) => Err(error.to_string()),
    }
}

/// All that something says while it is done.
async fn heard<T>(work: impl AsyncFnOnce(&(dyn Fn(Piece<'_>) + Send + Sync)) -> T) -> (String, T) {
    let said = Mutex::new(Vec::new());
    let hears = |piece: Piece<'_>| {
        let (Piece::Out(bytes) | Piece::Err(bytes)) = piece;
        said.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    };
    let ended = work(&hears).await;
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    (String::from_utf8_lossy(&said).into_owned(), ended)
}

fn load(arguments: &Arguments, path: &Path, on: &[String], file: &Path) -> Result<Done, Problem> {
    let desired = source::read(file, Reading::of(arguments, Output::Text))?.desired;
    let ctr = ctr(desired.kubernetes.distribution).ok_or_else(of_talos)?;
    let members = |host: &&DesiredHost| desired.members.iter().any(|member| member.name == host.name);
    let hosts: Vec<&DesiredHost> = chosen(&desired, on)?.into_iter().filter(members).collect();
    let archive = Archive::read(path).map_err(|why| Problem::new(Done::Usage, why))?;
    remark!("{} to {}: {}", path.display(), counted(hosts.len(), "node"), archive.images.join(", "));
    let import: Vec<String> = ctr.iter().cloned().chain(["import".to_string()]).collect();
    let ended = Site::look(arguments, file, &desired, async |site| {
        let hands = site.engine.hosts(&desired).await.map_err(|why| Problem::new(Done::Unfinished, why))?;
        let (hands, archive, import, ctr) = (&*hands, &archive, &import, &ctr);
        let loads = hosts.iter().map(|host| async move {
            let ended = on_one(hands, host, archive, import, ctr).await;
            match &ended {
                Ok(()) => remark!("{} {}", paint(GOOD, "✓"), host.name),
                Err(why) => remark!("{} {}: {why}", paint(BAD, "✗"), host.name),
            }
            ended.is_ok()
        });
        Ok(stream::iter(loads).buffer_unordered(TOGETHER).collect::<Vec<bool>>().await)
    })?;
    pulls(&desired, &archive);
    Ok(if ended.into_iter().all(|well| well) { Done::Well } else { Done::Unfinished })
}

/// Sends it, has it taken in, and looks whether it is there.
async fn on_one(
    hands: &dyn Hosts,
    host: &DesiredHost,
    archive: &Archive,
    import: &[String],
    ctr: &[String],
) -> Result<(), String> {
    let (said, ended) = heard(async |hears| hands.take_in(&host.name, &host.way, archive, import, hears).await).await;
    match ended.map_err(|error| error.to_string())? {
        Some(0) => {}
        _ => return Err(format!("its containerd does not take it in: {}", said.trim())),
    }
    let there: BTreeSet<String> = names(hands, host, ctr).await?.into_iter().collect();
    match archive.images.iter().find(|image| !there.contains(*image)) {
        None => Ok(()),
        Some(image) => Err(format!("it was taken in, and {image} is not in its list")),
    }
}

/// What is taken in is used only where nobody asks a registry all the same.
/// <https://kubernetes.io/docs/concepts/containers/images/#imagepullpolicy-defaulting>
fn pulls(desired: &Desired, archive: &Archive) {
    let untagged =
        |image: &&String| !image.rsplit('/').next().unwrap_or_default().contains(':') || image.ends_with(":latest");
    match archive.images.iter().find(untagged) {
        Some(image) => remark!(
            "→ {image}: with the tag `latest`, pods ask a registry each time; give them `imagePullPolicy: IfNotPresent`, or the \
             image another tag"
        ),
        None => remark!(
            "→ pods with `imagePullPolicy: Always` ask a registry all the same; `IfNotPresent` takes what is there"
        ),
    }
    remark!(
        "→ a kubelet of {} may throw away what no pod uses when its disk is full, and new nodes do not have it",
        desired.cluster
    );
}
