//! The lines of a scenario's world: what is true before anything is planned.
//!
//! ```text
//! built                                   the spec was applied once
//! built with v1.31.3+k3s1                 the same, with this version of Kubernetes
//! built where `NEW` was `OLD`             the same, with this piece of the spec's text put in the place of another;
//!                                         ` and ` joins several
//! built only WORD…                        the same, but for what `--only WORD` leaves out
//! lost NAME                               a machine is gone with its disk
//! stopped NAME                            a machine is off
//! made NAME                               a machine of the spec was made and never started; `made template` the first
//!                                         that is to become a template
//! image changed URL                       behind the address of an image is another one
//! rebooted                                the hypervisors were restarted: what starts with them runs, the rest is off
//! moved NAME PLACE                        a machine was moved to another place
//! offline PLACE                           a hypervisor is offline, and with it what runs there
//! cordoned NAME                           a node takes no new pods
//! taint TAINT on NAME                     somebody else's taint on a node; likewise `label KEY=VALUE`
//! foreign VMID NAME                       somebody else's machine
//! foreign release NAME [in NAMESPACE]     a release of somebody else's, of a name that the spec has
//! file changed|gone PATH on NAME          a file on a host; likewise `unit stopped|gone|stale UNIT on NAME`,
//! halfway NAME                            kubeadm was cut off on a server, right after etcd had taken it in
//! unit begun UNIT on NAME                 a run was cut off before it was written down what it has read
//! package missing NAME on HOST            a package was removed; `there`: it came with the host
//! sysctl KEY=VALUE on NAME                a kernel setting is another one
//! owner CLUSTER of NAME                   another cluster has set a host up
//! memory SIZE on NAME                     a machine's memory was changed by hand (GiB); likewise `disk`
//! facts JSON on NAME                      what a host tells of itself (`HostFacts`), without a space; likewise
//!                                         `clock SECONDS` that it is ahead, and its `system`
//! upgraded PACKAGE on NAME                a host says that it has to be started again
//! waiting PACKAGE,PACKAGE on NAME         packages of a host wait for an update
//! links NAME,NAME on NAME                 a machine of Talos has these physical interfaces
//! release gone NAME                       somebody uninstalled a release
//! object gone KIND NAME                   somebody deleted an object of ours
//! unlisted KIND.GROUP                     objects of this kind cannot be listed
//! store lost                              what was kept beside the spec is gone
//! snapshot SNAPSHOT of NAME               somebody, or an earlier run of ours, has taken a snapshot of a machine
//! vault sealed POD                        a pod of Vault was restarted
//! rigid STORAGE                           a storage keeps no snapshots
//! type TYPE on NAME                       a cloud's server is of another type
//! target gone NAME of BALANCER            somebody took a target from a provider's load balancer
//! balancer gone BALANCER                  somebody deleted a provider's load balancer; `balancer type TYPE of BALANCER`
//!                                         somebody gave it another type
//! foreign network|firewall NAME           somebody else's, of a name that the spec has
//! subnet CIDR in NETWORK                  somebody put a further subnet into a network
//! firewall open PORT in FIREWALL          somebody lets TCP in at a port
//! stray volume|balancer NAME              the cluster itself has made it at its cloud
//! leftovers wished                        what the cluster itself has made is to go too
//! without backup                          a rebuild goes ahead although nothing is saved before
//! without NAME                            a restore leaves out this server, which nobody can reach
//! saved                                   the datastore was saved, and what was saved last is to be put back
//! api dead                                no API server answers any more, and the hosts do
//! network off                             nothing comes from outside any more, until somebody mends it
//! bundle [without NAME]                   what the spec needs from outside was collected, but for what is called so
//! fault FAULT[=NAME]                      goes wrong from now on, as `rehearse --fault` has it
//! unreachable NAME                        the same as `fault unreachable=NAME`
//! silent NAME                             a machine runs, and its host answers nobody for good
//! ```

mod cloud;

use kubewright_engine::Engine;
use kubewright_engine::cluster::ClusterApi;
use kubewright_engine::sim::Fault;
use kubewright_engine::store::Store as _;
use kubewright_model::airgap::{AirGap, Kind, MANIFEST_FORMAT, Manifest, Packed, file_place, image_place, unescaped};
use kubewright_model::desired::{Desired, DesiredRelease, Saved};
use kubewright_model::digest::Digest;
use kubewright_model::facts::Boot;
use kubewright_model::ids::{NodeName, Owner, Vmid};
use kubewright_model::observed::{HostSeen, Power};
use kubewright_model::plan::Ask;
use kubewright_model::setting::Setting;
use kubewright_model::units::Size;

use crate::yard::{Yard, desired};

/// Makes the world of a scenario: a yard that wishes what the spec says.
pub(super) async fn make(spec: &str, lines: &[&str]) -> Result<Yard, String> {
    let wanted = desired(spec);
    let mut yard = Yard::new(wanted.clone(), 7);
    for line in lines {
        if let Some(only) = line.strip_prefix("built only ") {
            let only: Vec<String> = only.split_whitespace().map(str::to_string).collect();
            let told = yard.run_to_the_end(&Ask::Apply, &only, 1).await;
            if told != ["complete"] {
                return Err(format!("`{line}`: {}", told.join("; ")));
            }
        } else if let Some(how) = line.strip_prefix("built") {
            yard.wish(before(spec, &wanted, how.trim())?);
            let told = yard.run_to_the_end(&Ask::Apply, &[], 1).await;
            if told != ["complete"] {
                return Err(format!("`{line}`: {}", told.join("; ")));
            }
            yard.wish(wanted.clone());
        } else if *line == "leftovers wished" {
            yard.desired.take_strays = true;
        } else if let Some(rest) = line.strip_prefix("bundle") {
            yard.wish(sealed(spec, rest.strip_prefix(" without ")));
        } else if *line == "without backup" {
            yard.desired.without_backup = true;
        } else if let Some(name) = line.strip_prefix("without ") {
            yard.desired.without.push(name.into());
        } else if *line == "saved" {
            let told = yard.run_to_the_end(&Ask::Backup, &[], 1).await;
            if told != ["complete"] {
                return Err(format!("`{line}`: {}", told.join("; ")));
            }
            yard.desired.restores = Some(Saved::Latest);
        } else {
            happen(&yard, line).await.map_err(|why| format!("`{line}`: {why}"))?;
        }
    }
    Ok(yard)
}

/// What the spec means with a bundle of all that it needs from outside, but for what is called so.
fn sealed(spec: &str, lacks: Option<&str>) -> Desired {
    let loadout = Engine::load(spec).unwrap();
    let closed = Engine::closed(&loadout).unwrap();
    let machines = vec!["amd64".to_string()];
    let needs = kubewright_planner::airgap::needs(&closed.desired, &machines);
    let there = needs.into_iter().filter(|need| lacks.is_none_or(|lacks| !need.name.starts_with(lacks)));
    let packed = there.map(|need| Packed {
        path: match need.kind {
            Kind::File => unescaped(&file_place(&need.source)),
            Kind::Image => image_place(&need.source),
            Kind::Chart => format!("charts/{}.tgz", Digest::of(&need.source)),
        },
        sha256: Digest::of(&need.source),
        version: need.version.map(|version| version.to_string()),
        kind: need.kind,
        name: need.name,
        source: need.source,
        repository: need.repository,
        size: 1,
        wanted_by: need.wanted_by,
    });
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        cluster: closed.desired.cluster.clone(),
        spec: Digest::of(spec),
        distribution: closed.desired.kubernetes.distribution,
        version: closed.desired.kubernetes.version.clone(),
        architectures: machines,
        contents: packed.collect(),
    };
    let gap = AirGap { folder: "/bundle".into(), manifest: manifest.into() };
    Engine::sealed(&loadout, &gap).unwrap().desired
}

/// What was wished when the cluster was built.
fn before(spec: &str, wanted: &Desired, how: &str) -> Result<Desired, String> {
    if how.is_empty() {
        return Ok(wanted.clone());
    }
    if let Some(version) = how.strip_prefix("with ") {
        return Ok(desired(&spec.replace(&wanted.kubernetes.version.to_string(), version)));
    }
    let pairs = how.strip_prefix("where ").ok_or_else(|| format!("`{how}` is no way to build"))?;
    let mut text = spec.to_string();
    for pair in pairs.split("` and `") {
        let (new, old) = pair.trim_matches('`').split_once("` was `").ok_or("write `NEW` was `OLD`")?;
        if !text.contains(new) {
            return Err(format!("the spec does not hold `{new}`"));
        }
        text = text.replace(new, old);
    }
    Ok(desired(&text))
}

async fn happen(yard: &Yard, line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["lost", name] => yard.centre.lose(&NodeName::from(*name)).then_some(()).ok_or("is not there".into()),
        ["stopped", name] => machine(yard, name, |machine| {
            machine.seen.power = Power::Stopped;
            machine.host.units.values_mut().for_each(|unit| unit.active = false);
        }),
        ["silent", name] => machine(yard, name, |machine| machine.answers_at = u64::MAX),
        ["rebooted"] => {
            yard.centre.reboot();
            Ok(())
        }
        ["certificates", "expired"] => {
            yard.centre.alter(|state| {
                let machines = state.machines.values_mut().flat_map(|all| all.values_mut());
                machines.for_each(|machine| machine.certificates = Some(0));
            });
            Ok(())
        }
        ["key", "locked", file] => {
            yard.centre.alter(|state| state.keys.entry((*file).to_string()).or_default().closed = true);
            Ok(())
        }
        // Another key lies beside it already.
        ["key", "next", file] => {
            yard.centre.alter(|state| state.keys.entry((*file).to_string()).or_default().next = Some(1));
            Ok(())
        }
        ["api", "dead"] => {
            yard.centre.alter(|state| state.cluster.nodes.values_mut().for_each(|node| node.serves_at = u64::MAX));
            Ok(())
        }
        ["network", "off"] => {
            yard.centre.alter(|state| state.cut_off = true);
            Ok(())
        }
        ["unreachable", name] => strike(yard, &format!("unreachable={name}")),
        ["fault", fault] => strike(yard, fault),
        ["cordoned" | "taint" | "label" | "release" | "object" | "unlisted", ..] | ["foreign", "release", ..] => {
            on_cluster(yard, &words).await
        }
        ["target" | "balancer" | "subnet" | "firewall" | "stray" | "type", ..]
        | ["foreign", "network" | "firewall", _] => cloud::happen(yard, &words),
        ["foreign", vmid, name] => {
            let like = yard.desired.machines.first().ok_or("there are no machines")?;
            let vmid = Vmid(vmid.parse().map_err(|_| "the number is none")?);
            yard.centre.put_foreign(&like.provider, &like.place, &NodeName::from(*name), vmid);
            Ok(())
        }
        ["vault", "sealed", pod] => {
            let mut found = Err("is not open".to_string());
            yard.centre.alter(|state| {
                if state.cluster.vault.as_mut().is_some_and(|vault| vault.open.remove(*pod)) {
                    found = Ok(());
                }
            });
            found
        }
        ["snapshot", snapshot, "of", name] => {
            let provider = yard.desired.machine(&NodeName::from(*name)).ok_or("is not wished")?.provider.clone();
            yard.centre.alter(|state| {
                let all = state.snapshots.entry(provider).or_default().entry(NodeName::from(*name)).or_default();
                all.push((*snapshot).into());
            });
            Ok(())
        }
        ["rigid", storage] => {
            yard.centre.alter(|state| state.rigid.extend([(*storage).into()]));
            Ok(())
        }
        ["moved" | "made" | "image" | "offline", ..] => on_hypervisors(yard, &words).await,
        _ => tamper(yard, &words),
    }
}

/// What happens to nodes, releases and objects.
async fn on_cluster(yard: &Yard, words: &[&str]) -> Result<(), String> {
    let world = yard.centre.world(&yard.desired);
    let cluster = world.cluster.as_ref().ok_or("there are no hands on clusters")?;
    match words {
        ["cordoned", name] => {
            let mut found = Err("is no node".to_string());
            yard.centre.alter(|state| {
                if let Some(node) = state.cluster.nodes.get_mut(&NodeName::from(*name)) {
                    node.cordoned = true;
                    found = Ok(());
                }
            });
            found
        }
        [kind @ ("taint" | "label"), mark, "on", name] => mark_node(yard, kind, mark, name),
        ["foreign", "release", name] => install_foreign(yard, &**cluster, name, None).await,
        ["foreign", "release", name, "in", namespace] => {
            install_foreign(yard, &**cluster, name, Some(*namespace)).await
        }
        ["release", "gone", name] => {
            let seen = cluster.observe(&yard.desired).await;
            let mut there = seen.present().into_iter().flat_map(|seen| seen.releases.keys());
            let (namespace, name) = there.find(|(_, it)| it.as_str() == *name).ok_or("is not installed")?;
            cluster.remove(name, namespace).await.map_err(|error| error.to_string())
        }
        ["object", "gone", kind, name] => {
            let seen = cluster.observe(&yard.desired).await;
            let mut ids = seen.present().into_iter().flat_map(|seen| seen.objects.keys());
            let id = ids.find(|id| id.kind == *kind && id.name.as_str() == *name).ok_or("is not there")?;
            cluster.delete(std::slice::from_ref(id), &yard.desired.owner).await.map_err(|error| error.to_string())
        }
        ["unlisted", kind] => {
            let why = "conversion webhook failed: connection refused".to_string();
            yard.centre.alter(|state| drop(state.cluster.unlisted.insert((*kind).to_string(), why)));
            Ok(())
        }
        _ => Err("no such line; they are described in tests/it/scenarios/world.rs".into()),
    }
}

/// A release that is wished is there already, and somebody else's.
async fn install_foreign(
    yard: &Yard,
    cluster: &dyn ClusterApi,
    name: &str,
    namespace: Option<&str>,
) -> Result<(), String> {
    let wanted = yard.desired.releases.iter().find(|it| it.name.as_str() == name).ok_or("is not wished")?;
    let namespace = namespace.map_or_else(|| wanted.namespace.clone(), Into::into);
    let release = DesiredRelease { namespace, ..wanted.clone() };
    let owner = Owner("somebody-else".into());
    let installed = cluster.install(&release, &owner, &Default::default(), &|_| {}).await;
    installed.map(drop).map_err(|error| error.to_string())
}

/// What happens to machines at their provider.
async fn on_hypervisors(yard: &Yard, words: &[&str]) -> Result<(), String> {
    let world = yard.centre.world(&yard.desired);
    match words {
        ["moved", name, place] => {
            yard.centre.migrate(&NodeName::from(*name), &(*place).into()).then_some(()).ok_or("is not there".into())
        }
        ["offline", place] => {
            yard.centre.set_offline(&(*place).into(), true);
            Ok(())
        }
        ["made", name] => {
            let template = yard.desired.templates.first().map(|template| &template.machine);
            let template = template.filter(|_| *name == "template");
            let machine = template.or(yard.desired.machine(&NodeName::from(*name))).ok_or("is not wished")?;
            let provider = world.providers.get(&machine.provider).ok_or("there are no hands on its provider")?;
            // As its plan makes it: what starts with its hypervisor is said when it is started.
            let machine = kubewright_model::desired::DesiredMachine { on_boot: false, ..machine.clone() };
            provider.create(&machine, &yard.desired.owner).await.map(drop).map_err(|error| error.to_string())
        }
        ["image", "changed", url] => {
            yard.centre.alter(|state| drop(state.elsewhere.insert((*url).into(), Digest::of("another"))));
            Ok(())
        }
        _ => Err("no such line; they are described in tests/it/scenarios/world.rs".into()),
    }
}

/// Somebody else's taint or label on a node.
fn mark_node(yard: &Yard, kind: &str, mark: &str, name: &str) -> Result<(), String> {
    let mut found = Err("is no node".to_string());
    yard.centre.alter(|state| {
        let Some(node) = state.cluster.nodes.get_mut(&NodeName::from(name)) else { return };
        match mark.split_once('=').filter(|_| kind == "label") {
            Some((key, value)) => drop(node.labels.insert(key.into(), value.into())),
            None => node.taints.push(mark.to_string()),
        }
        found = Ok(());
    });
    found
}

/// What a careless hand does on one machine.
fn tamper(yard: &Yard, words: &[&str]) -> Result<(), String> {
    match words {
        ["file", how, path, "on", name] => host(yard, name, |host| match (host.files.get_mut(*path), *how) {
            (Some(file), "changed") => {
                file.digest = Digest::of("changed by hand");
                file.text = file.text.is_some().then(|| "changed by hand".into());
                true
            }
            (Some(_), "gone") => host.files.remove(*path).is_some(),
            _ => false,
        }),
        ["unit", how, unit, "on", name] => host(yard, name, |host| match (host.units.get_mut(*unit), *how) {
            (Some(unit), "stopped") => {
                unit.active = false;
                true
            }
            (Some(unit), "stale") => {
                unit.reads = Some(Digest::of("something older"));
                true
            }
            (Some(unit), "begun") => {
                unit.reads = None;
                true
            }
            (Some(_), "gone") => host.units.remove(*unit).is_some(),
            _ => false,
        }),
        ["halfway", name] => {
            let mut cut = false;
            yard.centre.alter(|state| cut = state.cut_kubeadm_off(&NodeName::from(*name)));
            cut.then_some(()).ok_or_else(|| "it is no server".to_string())
        }
        ["store", "lost"] => yard.store.forget_secrets(&yard.desired.cluster).map_err(|error| error.to_string()),
        ["package", "there", package, "on", name] => host(yard, name, |host| host.packages.insert((*package).into())),
        ["package", "missing", package, "on", name] => host(yard, name, |host| host.packages.remove(*package)),
        ["sysctl", setting, "on", name] => {
            let (key, value) = setting.split_once('=').ok_or("write KEY=VALUE")?;
            host(yard, name, |host| host.sysctls.insert(key.into(), value.into()).is_some())
        }
        ["facts", facts, "on", name] => {
            let facts = serde_json::from_str(facts).map_err(|error| error.to_string())?;
            machine(yard, name, |machine| machine.host.facts = Some(facts))
        }
        ["clock", skew, "on", name] => {
            let skew = skew.parse().map_err(|_| "the skew is a number of seconds")?;
            machine(yard, name, |machine| machine.host.clock_skew = skew)
        }
        ["upgraded", package, "on", name] => {
            let boot = Boot { wanted: Some(format!("{package} upgraded")), ..Boot::default() };
            machine(yard, name, |machine| machine.host.boot = Some(boot))
        }
        ["waiting", packages, "on", name] => {
            let packages = packages.split(',').map(String::from).collect();
            machine(yard, name, |machine| machine.waiting = packages)
        }
        ["links", links, "on", name] => machine(yard, name, |machine| interfaces(machine, links)),
        ["system", os @ .., "on", name] => machine(yard, name, |machine| machine.host.os = os.join(" ")),
        ["owner", cluster, "of", name] => {
            machine(yard, name, |machine| machine.host.owner = Some(Owner((*cluster).into())))
        }
        [what @ ("memory" | "disk"), size, "on", name] => {
            let size = gibibytes(size)?;
            let setting = if *what == "memory" { Setting::Memory(size) } else { Setting::Disk(size) };
            machine(yard, name, |machine| machine.seen.settings.set(setting))
        }
        _ => Err("no such line; they are described in tests/it/scenarios/world.rs".into()),
    }
}

fn gibibytes(text: &str) -> Result<Size, String> {
    serde_json::from_value(serde_json::json!(text)).map_err(|error| error.to_string())
}

/// A machine of Talos tells of other interfaces.
fn interfaces(machine: &mut kubewright_engine::sim::Machine, links: &str) {
    let links = links.split(',').map(|link| (link.to_string(), Vec::new())).collect();
    machine.host.talos.as_mut().expect("it runs no Talos").links = links;
}

fn strike(yard: &Yard, fault: &str) -> Result<(), String> {
    yard.centre.strike(fault.parse::<Fault>()?);
    Ok(())
}

fn machine(yard: &Yard, name: &str, change: impl FnOnce(&mut kubewright_engine::sim::Machine)) -> Result<(), String> {
    let mut found = Err(format!("there is no machine {name}"));
    yard.centre.alter(|state| {
        if let Some(machine) = state.machine_mut(&NodeName::from(name)) {
            change(machine);
            found = Ok(());
        }
    });
    found
}

fn host(yard: &Yard, name: &str, change: impl FnOnce(&mut HostSeen) -> bool) -> Result<(), String> {
    let mut changed = false;
    machine(yard, name, |machine| changed = change(&mut machine.host))?;
    if changed { Ok(()) } else { Err("it is not there".into()) }
}
