//! The calls of the machine's service, in the words of both services that answer them.

use std::io::Write as _;
use std::sync::Arc;

use kubewright_hosts::talos::wire;
use tonic::Status;

use super::config::Configuration;
use super::machine::{Node, Stage};
use super::serve::{Answered, Asked, Role, received, refusal, streamed, unary};
use super::{etcd, resources};

/// Which calls a reader may make: all that are no administrator's alone (`internal/app/machined/pkg/system/services/machined.go`).
const READERS: &[&str] = &[
    "ApplyConfiguration",
    "Version",
    "ServiceList",
    "Logs",
    "EtcdMemberList",
    "EtcdStatus",
    "EtcdAlarmList",
    "Get",
    "List",
];
/// What the service of maintenance mode answers, and what it says it would for an administrator (up to v1.12).
const MAINTENANCE: &[&str] = &["ApplyConfiguration", "Get", "List"];
const ADMINS: &[&str] = &["Version", "Upgrade", "Reset"];

pub(super) async fn answer(node: Arc<Node>, role: Role, request: Asked) -> Answered {
    let path = request.uri().path().to_string();
    let call = path.rsplit('/').next().unwrap_or_default().to_string();
    if let Err(status) = node.called(&call).and_then(|()| allowed(&node, role, &call)) {
        return refusal(status);
    }
    match path.strip_prefix("/machine.MachineService/") {
        Some(call) if call.starts_with("Etcd") => etcd_call(node, call, request).await,
        Some(call) => machine_call(node, call, request).await,
        None => match path.as_str() {
            "/cosi.resource.State/Get" => unary(request, |asked| resources::get(&node, role, &asked)).await,
            "/cosi.resource.State/List" => streamed(request, |asked| resources::list(&node, role, &asked)).await,
            _ => refusal(Status::unimplemented(format!("unknown service {}", path.trim_start_matches('/')))),
        },
    }
}

fn allowed(node: &Node, role: Role, call: &str) -> Result<(), Status> {
    let (maintenance, unified) = node.with(|state| (state.stage == Stage::Maintenance, state.unified()));
    if maintenance && !unified {
        return match call {
            call if MAINTENANCE.contains(&call) => Ok(()),
            call if ADMINS.contains(&call) => Err(Status::unimplemented("API is not implemented in maintenance mode")),
            call => Err(Status::unimplemented(format!("method {call} not implemented"))),
        };
    }
    let writes = call == "ApplyConfiguration" && !maintenance;
    if role == Role::Admin || (READERS.contains(&call) && !writes) {
        Ok(())
    } else {
        Err(Status::permission_denied("not authorized"))
    }
}

async fn machine_call(node: Arc<Node>, call: &str, request: Asked) -> Answered {
    match call {
        "Version" => unary(request, |_: wire::Empty| Ok(one(version(&node)))).await,
        "ApplyConfiguration" => unary(request, |asked| apply(&node, &asked).map(one)).await,
        "Bootstrap" => unary(request, |asked| bootstrap(&node, asked).map(one)).await,
        "Kubeconfig" => streamed(request, |_: wire::Empty| kubeconfig(&node)).await,
        "Upgrade" => unary(request, |asked| upgrade(&node, &asked).map(one)).await,
        "Reset" => unary(request, |asked| reset(&node, &asked).map(one)).await,
        "Reboot" => {
            let reboot = |_: wire::RebootRequest| {
                node.restart(|_| {}, true);
                Ok(one(wire::Acted { actor_id: "reboot".into() }))
            };
            unary(request, reboot).await
        }
        "ServiceRestart" => {
            let restart = |asked: wire::ServiceRestartRequest| match asked.id.as_str() {
                "kubelet" => Ok(one(wire::ServiceRestart { resp: "Service \"kubelet\" restarted".into() })),
                // `APIRestartAllowed` says so of the kubelet and of what extensions bring alone.
                other => Err(Status::unknown(format!("service {other:?} doesn't support restart operation via API"))),
            };
            unary(request, restart).await
        }
        "ServiceList" => unary(request, |_: wire::Empty| Ok(one(services(&node)))).await,
        "List" => streamed(request, |asked| files(&node, &asked)).await,
        "Read" => streamed(request, |asked| read(&node, &asked)).await,
        "Logs" => streamed(request, |asked| logs(&node, &asked)).await,
        _ => refusal(Status::unimplemented(format!("unknown method {call} for service machine.MachineService"))),
    }
}

async fn etcd_call(node: Arc<Node>, call: &str, request: Asked) -> Answered {
    match call {
        "EtcdMemberList" => {
            let list = |asked: wire::EtcdMemberListRequest| {
                let quorum = node.quorum("member list");
                let alone = asked.query_local && node.with(|state| state.member.is_some());
                if alone { Ok(()) } else { quorum }?;
                Ok(one(wire::EtcdMembers { members: node.members() }))
            };
            unary(request, list).await
        }
        "EtcdRemoveMemberByID" => {
            let remove = |asked: wire::EtcdRemoveMemberByIdRequest| {
                node.quorum("etcd remove member")?;
                if node.members().iter().all(|member| member.id != asked.member_id) {
                    return Err(Status::not_found("etcdserver: member not found"));
                }
                node.cluster(|cluster| cluster.leave(asked.member_id));
                Ok(one(wire::Empty {}))
            };
            unary(request, remove).await
        }
        "EtcdForfeitLeadership" => unary(request, |_: wire::Empty| forfeit(&node).map(one)).await,
        "EtcdLeaveCluster" => {
            let leave = |_: wire::Empty| {
                node.quorum("etcd leave")?;
                leave(&node);
                Ok(one(wire::Empty {}))
            };
            unary(request, leave).await
        }
        "EtcdStatus" => unary(request, |_: wire::Empty| status(&node).map(one)).await,
        "EtcdAlarmList" => {
            let alarms = |_: wire::Empty| {
                node.quorum("etcd alarm list")?;
                Ok(one(wire::EtcdAlarms { member_alarms: vec![] }))
            };
            unary(request, alarms).await
        }
        "EtcdSnapshot" => {
            let take = |_: wire::Empty| {
                node.quorum("etcd snapshot")?;
                Ok(etcd::snapshot().chunks(1000).map(|bytes| wire::Chunk { bytes: bytes.to_vec() }).collect())
            };
            streamed(request, take).await
        }
        "EtcdRecover" => {
            let keep = |bytes: Vec<u8>| {
                node.is_control_plane("etcd recover")?;
                node.with(|state| state.snapshot = Some(bytes));
                Ok(one(wire::Empty {}))
            };
            received(request, keep).await
        }
        _ => refusal(Status::unimplemented(format!("unknown method {call} for service machine.MachineService"))),
    }
}

fn one<M: prost::Message + Default + std::fmt::Debug>(message: M) -> wire::Answer<M> {
    wire::Answer { messages: vec![message] }
}

fn version(node: &Node) -> wire::VersionAnswer {
    let tag = node.with(|state| state.version.clone());
    let platform = wire::Platform { name: "nocloud".into(), mode: "cloud".into() };
    wire::VersionAnswer { version: Some(wire::VersionTags { tag, arch: "amd64".into() }), platform: Some(platform) }
}

fn apply(node: &Arc<Node>, asked: &wire::ApplyConfigurationRequest) -> Result<wire::ApplyConfiguration, Status> {
    use wire::ApplyMode::{Auto, NoReboot, Reboot, Staged, Try};
    let (maintenance, unified, minor, installed) = node
        .with(|state| (state.stage == Stage::Maintenance, state.unified(), state.minor(), state.installed.is_some()));
    let text = String::from_utf8(asked.data.clone()).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let mode = asked.mode();
    if maintenance && !unified && matches!(mode, NoReboot | Staged) {
        let word = if mode == Staged { "staged" } else { "no-reboot" };
        let why = format!("apply configuration --mode='{word}' is not supported in maintenance mode");
        return Err(Status::unimplemented(why));
    }
    let config = Configuration::parse(&text, minor).map_err(|why| match maintenance && !unified {
        true => Status::unknown(format!("failed to parse config: {why}")),
        false => Status::invalid_argument(why),
    })?;
    // From then on nothing of a configuration waits for a restart (`v1alpha1_server.go`).
    let never = minor >= 14;
    if never && !maintenance && mode == Reboot {
        return Err(Status::unimplemented(
            "the REBOOT mode is not supported, please use AUTO or NO_REBOOT modes instead",
        ));
    }
    if let Some(why) = config.faults(installed) {
        let before = if maintenance && !unified { "configuration validation failed: " } else { "" };
        return Err(Status::invalid_argument(format!("{before}{why}")));
    }
    if maintenance {
        return Ok(first_configuration(node, config, asked.dry_run, unified));
    }
    let before = node.with(|state| state.config.clone());
    let restart = !never && before.is_some_and(|before| before.needs_restart(&config));
    let taken = match mode {
        Auto if restart => Reboot,
        Auto => NoReboot,
        NoReboot | Try if restart => {
            let why = format!("this config change can't be applied in immediate mode\ndiff:\n{text}");
            return Err(Status::invalid_argument(why));
        }
        other => other,
    };
    let words = match taken {
        Reboot => "Applied configuration with a reboot",
        Staged => "Staged configuration to be applied after the next reboot",
        _ => "Applied configuration without a reboot",
    };
    if asked.dry_run {
        let mode_details = format!("Dry run summary:\n{words} (skipped in dry-run).\nConfig diff:\n\n{text}");
        return Ok(wire::ApplyConfiguration { warnings: vec![], mode: taken.into(), mode_details });
    }
    match taken {
        Reboot => node.restart(|state| state.config = Some(config), true),
        Staged => node.with(|state| state.staged = Some(config)),
        _ => {
            node.with(|state| state.config = Some(config));
            node.rolls();
        }
    }
    Ok(wire::ApplyConfiguration { warnings: vec![], mode: taken.into(), mode_details: words.into() })
}

/// The node writes itself to its disk and starts from there; if the disk is not there, it comes back as it was.
fn first_configuration(node: &Arc<Node>, config: Configuration, dry: bool, unified: bool) -> wire::ApplyConfiguration {
    let words = "Dry run summary:\nNode is running in maintenance mode and does not have a config yet.";
    if dry {
        return wire::ApplyConfiguration { warnings: vec![], mode: 0, mode_details: words.into() };
    }
    let install = move |state: &mut super::machine::State| {
        let disk = state.installed.clone().or_else(|| config.disk(&state.disks));
        if disk.is_some() {
            state.installed = disk;
            state.config = Some(config);
        }
    };
    node.restart(install, true);
    let (mode, mode_details) = match unified {
        true => (wire::ApplyMode::NoReboot.into(), "Applied configuration without a reboot".into()),
        false => (0, String::new()),
    };
    wire::ApplyConfiguration { warnings: vec![], mode, mode_details }
}

fn bootstrap(node: &Node, asked: wire::BootstrapRequest) -> Result<wire::Empty, Status> {
    // Its etcd is not loaded yet (v1.13 on).
    if node.with(|state| !state.mounted) {
        return Err(Status::failed_precondition("bootstrap is not available yet"));
    }
    if !node.with(|state| state.controls()) {
        return Err(Status::failed_precondition("bootstrap can only be performed on a control plane node"));
    }
    if node.with(|state| state.member.is_some()) {
        return Err(Status::already_exists("etcd data directory is not empty"));
    }
    if asked.recover_etcd {
        let snapshot = node.with(|state| state.snapshot.clone());
        let snapshot = snapshot.ok_or_else(|| Status::unknown("error opening etcd recovery snapshot: no such file"))?;
        if !asked.recover_skip_hash_check && !etcd::whole(&snapshot) {
            return Err(Status::unknown("snapshot missing hash but --skip-hash-check=false"));
        }
    }
    node.begins();
    Ok(wire::Empty {})
}

fn kubeconfig(node: &Node) -> Result<Vec<wire::Chunk>, Status> {
    node.is_control_plane("kubeconfig")?;
    let endpoint =
        node.with(|state| state.config.as_ref().and_then(|config| config.at("cluster.controlPlane.endpoint")));
    let text = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: talos\n  cluster:\n    server: {}\n",
        endpoint.unwrap_or_default()
    );
    let mut header = tar::Header::new_gnu();
    header.set_path("kubeconfig").unwrap();
    header.set_size(text.len() as u64);
    header.set_mode(0o600);
    header.set_cksum();
    // Talos closes the compression and not the archive.
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    zipped.write_all(header.as_bytes()).and_then(|()| zipped.write_all(text.as_bytes())).unwrap();
    Ok(vec![wire::Chunk { bytes: zipped.finish().unwrap() }])
}

fn upgrade(node: &Arc<Node>, asked: &wire::UpgradeRequest) -> Result<wire::Acted, Status> {
    if node.with(|state| state.installed.is_none()) {
        return Err(Status::failed_precondition("Talos is not installed"));
    }
    let (name, tag) = asked.image.rsplit_once(':').unwrap_or_default();
    if !tag.starts_with('v') {
        let why = format!("error validating installer image {:?}: failed to pull image", asked.image);
        return Err(Status::unknown(why));
    }
    let skips = asked.force || (asked.preserve && node.with(|state| state.minor() >= 14));
    if node.with(|state| state.controls()) && !skips {
        node.can_spare_a_member()?;
    }
    let (tag, schematic) = (tag.to_string(), name.rsplit('/').next().map(str::to_string).filter(|id| id.len() == 64));
    let deed = move |state: &mut super::machine::State| {
        state.version = tag;
        state.schematic = schematic;
    };
    node.restart(deed, true);
    Ok(wire::Acted { actor_id: "Upgrade request received".into() })
}

fn reset(node: &Arc<Node>, asked: &wire::ResetRequest) -> Result<wire::Acted, Status> {
    let labels: Vec<&str> = asked.system_partitions_to_wipe.iter().map(|partition| partition.label.as_str()).collect();
    if asked.mode == 2 && !labels.is_empty() {
        let why = "reset failed: invalid input, wipe mode USER_DISKS doesn't support SystemPartitionsToWipe parameter";
        return Err(Status::unknown(why));
    }
    if let Some(label) = labels.iter().find(|label| !["STATE", "EPHEMERAL", "META"].contains(label)) {
        return Err(Status::unknown(format!(
            "failed to get volume status with label {label:?}: resource doesn't exist"
        )));
    }
    if asked.graceful && node.with(|state| state.controls() && state.member.is_some()) {
        node.quorum("etcd leave")?;
        leave(node);
    }
    let (all, state, ephemeral) = (labels.is_empty(), labels.contains(&"STATE"), labels.contains(&"EPHEMERAL"));
    let deed = move |node: &mut super::machine::State| {
        if all {
            node.installed = None;
        }
        if all || state {
            (node.config, node.staged) = (None, None);
        }
        if all || ephemeral {
            node.member = None;
        }
    };
    node.restart(deed, asked.reboot);
    Ok(wire::Acted { actor_id: "reset".into() })
}

fn leave(node: &Node) {
    let id = node.with(|state| state.member.take());
    if let Some(id) = id {
        node.cluster(|cluster| cluster.leave(id));
    }
}

fn forfeit(node: &Node) -> Result<wire::EtcdForfeitLeadership, Status> {
    node.quorum("etcd forfeit leadership")?;
    let id = node.with(|state| state.member).unwrap_or_default();
    let member = node.cluster(|cluster| {
        let other = cluster.members.iter().find(|member| member.id != id).cloned();
        let next = other.filter(|_| cluster.leader == id);
        next.map(|next| {
            cluster.leader = next.id;
            format!("{:016x}", next.id)
        })
    });
    Ok(wire::EtcdForfeitLeadership { member: member.unwrap_or_default() })
}

fn status(node: &Node) -> Result<wire::EtcdStatusAnswer, Status> {
    node.quorum("etcd status")?;
    let leader = node.cluster(|cluster| cluster.leader);
    let member_status = wire::EtcdMemberStatus {
        protocol_version: "3.6.5".into(),
        db_size: 20_480,
        db_size_in_use: 16_384,
        leader,
        raft_index: 42,
        raft_applied_index: 42,
        errors: vec![],
        is_learner: false,
        member_id: node.with(|state| state.member).unwrap_or_default(),
    };
    Ok(wire::EtcdStatusAnswer { member_status: Some(member_status) })
}

fn services(node: &Node) -> wire::ServiceList {
    let service = |id: &str, runs: bool, said: &str| wire::ServiceEntry {
        id: id.into(),
        state: if runs { "Running" } else { "Preparing" }.into(),
        events: Some(wire::ServiceEvents { events: vec![wire::ServiceEvent { msg: said.into() }] }),
        health: Some(wire::ServiceHealth { unknown: !runs, healthy: runs, last_message: String::new() }),
    };
    let mut services = vec![service("apid", true, "Started"), service("machined", true, "Started")];
    if node.with(|state| state.config.is_some() && state.mounted) {
        let runs = node.with(|state| state.kubelet.is_some());
        services.push(service("kubelet", runs, if runs { "Health check successful" } else { "Stopping" }));
    }
    if node.with(|state| state.controls() && state.mounted) {
        let runs = node.with(|state| state.member.is_some());
        services.push(service("etcd", runs, if runs { "Health check successful" } else { "Running pre state" }));
    }
    wire::ServiceList { services }
}

/// What is in a folder: the folder itself first.
fn files(node: &Node, asked: &wire::ListRequest) -> Result<Vec<wire::FileEntry>, Status> {
    if node.with(|state| !state.mounted) {
        return Err(Status::unknown(format!("lstat {}: no such file or directory", asked.root)));
    }
    let held = match asked.root.as_str() {
        "/var/lib/etcd" => node.with(|state| state.member.is_some().then_some("member")),
        "/var/lib/kubelet/pki" => node.is_let_in().then_some("kubelet-client-current.pem"),
        _ => None,
    };
    let entry = |name: &str| wire::FileEntry { error: String::new(), relative_name: name.into() };
    Ok(std::iter::once(".").chain(held).map(entry).collect())
}

fn read(node: &Node, asked: &wire::ReadRequest) -> Result<Vec<wire::Chunk>, Status> {
    match asked.path.as_str() {
        "/proc/sys/kernel/random/boot_id" => {
            let starts = node.with(|state| state.starts);
            Ok(vec![wire::Chunk { bytes: format!("00000000-0000-4000-8000-{starts:012}\n").into_bytes() }])
        }
        other => Err(Status::unknown(format!("open {other}: no such file or directory"))),
    }
}

fn logs(node: &Node, asked: &wire::LogsRequest) -> Result<Vec<wire::Chunk>, Status> {
    let known = services(node).services.iter().any(|service| service.id == asked.id);
    if asked.namespace != "system" || !known {
        return Err(Status::unknown(format!("log {:?} was not registered", asked.id)));
    }
    let lines = usize::try_from(asked.tail_lines).unwrap_or(usize::MAX);
    let all: Vec<String> = (1..=30).map(|line| format!("{}: line {line}\n", asked.id)).collect();
    Ok(all.iter().rev().take(lines).rev().map(|line| wire::Chunk { bytes: line.clone().into_bytes() }).collect())
}
