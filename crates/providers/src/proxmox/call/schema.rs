//! Every call that we make, held against the vendor's own description of the interface.
//!
//! The description is no part of the project: it is looked for in a folder `shared/schemas` beside it.

use std::path::{Path, PathBuf};

use kubewright_model::desired::{
    Body, Card, DesiredBackupJob, DesiredMachine, LxcBody, VmBody, VmImage, VmSource, VmTemplate,
};
use kubewright_model::digest::Digest;
use kubewright_model::ids::Owner;
use kubewright_model::secret::Secret;
use kubewright_model::spec::pools::{Mount, Startup};
use kubewright_model::units::{Balloon, Size, Span};
use serde_json::Value;

use super::*;
use crate::login::User;
use crate::proxmox::change::Change;
use crate::proxmox::{backups, guest, wish};

/// The description, if it is to be had here.
fn description() -> Option<Value> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = |folder: &Path| -> PathBuf { folder.join("shared/schemas/pve-api.json") };
    let found = here.ancestors().map(beside).find(|path| path.is_file())?;
    Some(serde_json::from_slice(&std::fs::read(found).unwrap()).unwrap())
}

/// What is wrong with a call, in words.
fn faults(api: &Value, call: &Call) -> Vec<String> {
    let verb = format!("{:?}", call.verb).to_uppercase();
    let method = &api[call.path][&verb];
    if method.is_null() {
        return vec![format!("there is no {verb} {}", call.path)];
    }
    let properties = &method["parameters"]["properties"];
    let placed = call.place.iter().map(|(name, value)| ((*name).to_string(), value.clone()));
    let file = call.file.iter().map(|file| ("filename".to_string(), file.name.clone()));
    let given: Vec<(String, String)> = placed.chain(call.parameters.iter().cloned()).chain(file).collect();
    let mut faults = Vec::new();
    for (name, value) in &given {
        match property_of(properties, name) {
            None => faults.push(format!("{name} is unknown")),
            Some(property) => {
                faults.extend(value_faults(property, value).map(|fault| format!("{name}={value}: {fault}")))
            }
        }
    }
    for (name, property) in properties.as_object().into_iter().flatten() {
        if property["optional"].as_i64() != Some(1) && !given.iter().any(|(own, _)| own == name) {
            faults.push(format!("{name} is missing"));
        }
    }
    faults.into_iter().map(|fault| format!("{verb} {}: {fault}", call.path)).collect()
}

/// The property of that name; `net[n]` stands for `net0`, `net1` and so on.
fn property_of<'a>(properties: &'a Value, name: &str) -> Option<&'a Value> {
    let numbered = format!("{}[n]", name.trim_end_matches(|c: char| c.is_ascii_digit()));
    let found = properties.get(name);
    found.or_else(|| properties.get(&numbered).filter(|_| name.ends_with(|c: char| c.is_ascii_digit())))
}

fn value_faults(property: &Value, value: &str) -> Option<String> {
    let number = value.parse::<f64>();
    match property["type"].as_str() {
        Some("integer") if value.parse::<i64>().is_err() => return Some("no integer".into()),
        Some("number") if number.is_err() => return Some("no number".into()),
        Some("boolean") if !matches!(value, "0" | "1") => return Some("no boolean".into()),
        _ => {}
    }
    let limit = |name: &str| property[name].as_f64().or_else(|| property[name].as_str()?.parse().ok());
    if let Ok(number) = number {
        let fits =
            limit("minimum").is_none_or(|least| number >= least) && limit("maximum").is_none_or(|most| number <= most);
        if matches!(property["type"].as_str(), Some("integer" | "number")) && !fits {
            return Some("out of range".into());
        }
    }
    if limit("maxLength").is_some_and(|most| value.len() as f64 > most) {
        return Some("too long".into());
    }
    let words: Vec<&str> = property["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !words.is_empty() && !words.contains(&value) {
        return Some(format!("none of {words:?}"));
    }
    property["format"].is_object().then(|| line_faults(&property["format"], value)).flatten()
}

/// What is wrong with a line of settings.
fn line_faults(format: &Value, line: &str) -> Option<String> {
    let mut named = Vec::new();
    for part in line.split(',') {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.to_string(), value),
            // One setting needs no name of its own.
            None => {
                let unnamed =
                    format.as_object()?.iter().find(|(_, property)| property["default_key"].as_i64() == Some(1));
                (unnamed?.0.clone(), part)
            }
        };
        let Some(mut property) = format.get(&name) else { return Some(format!("{name} is unknown")) };
        // `virtio=MAC` says the model by its name and the address by its value.
        named.extend(property["keyAlias"].as_str().map(String::from));
        if let Some(alias) = property["alias"].as_str().or_else(|| property["keyAlias"].as_str()) {
            named.push(alias.to_string());
            property = &format[alias];
        }
        if let Some(fault) = value_faults(property, value) {
            return Some(format!("{name}: {fault}"));
        }
        named.push(name);
    }
    let required = format.as_object()?.iter().filter(|(_, property)| {
        property["optional"].as_i64() != Some(1) && property["alias"].is_null() && property["keyAlias"].is_null()
    });
    let missing = required.map(|(name, _)| name).find(|name| !named.contains(name));
    missing.map(|name| format!("{name} is missing"))
}

pub(crate) fn machine(body: Body) -> DesiredMachine {
    DesiredMachine {
        name: "node-1".into(),
        pool: "nodes".into(),
        provider: "proxmox".into(),
        place: "pve1".into(),
        address: "10.0.0.5".parse().ok(),
        cores: Some(4),
        memory: Some(Size::from_gib(4)),
        disk: Some(Size::from_gib(32)),
        body: body.into(),
        vmid: Some(Vmid(400)),
        tags: vec!["k3s".into()],
        on_boot: true,
        startup: Some(Startup { order: Some(2), up: Some(Span::from_secs(30)), down: None }),
        description: Some("of the lab".into()),
        ha: None,
    }
}

fn card() -> Card {
    Card {
        bridge: "vmbr0".into(),
        vlan: Some(20),
        prefix: Some(24),
        gateway: "10.0.0.1".parse().ok(),
        nameservers: vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()],
        search_domains: vec!["lab.test".into()],
    }
}

fn lxc() -> LxcBody {
    LxcBody {
        template: "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst".into(),
        storage: "local-lvm".into(),
        card: card(),
        privileged: false,
        features: vec!["nesting".into()],
        raw: Vec::new(),
        swap: Some(Size::from_mib(512)),
        download: None,
        mounts: vec![Mount { path: "/srv".into(), size: Size::from_gib(5), storage: None }],
    }
}

fn template() -> VmTemplate {
    VmTemplate { vmid: Vmid(90001), name: None, linked: false, built: false }
}

fn image() -> VmImage {
    VmImage { url: "https://images.test/noble.img".into(), sha256: Digest::of("noble"), storage: "local".into() }
}

pub(crate) fn vm() -> VmBody {
    VmBody {
        source: VmSource::Clone(template()),
        storage: "local-lvm".into(),
        card: card(),
        cpu: "host".into(),
        disk_slot: "scsi0".into(),
        format: "raw".into(),
        scsi_controller: "virtio-scsi-single".into(),
        balloon: Some(Balloon::new(Some(Size::from_gib(2)))),
        io_thread: true,
        agent: true,
        network_queues: Some(4),
        extra_disks: vec![Size::from_gib(50)],
        password_hash: None,
        iso: None,
    }
}

/// One of every kind of call, with all that it can hold.
fn calls() -> Vec<Call> {
    let owner = Owner("lab".into());
    let keys = ["ssh-ed25519 AAAA odin@lab".to_string()];
    let hash = Secret::new("$6$salt$1234".into());
    let user = Some(User { name: "odin", keys: &keys, password_hash: Some(&hash), host_key: None });
    let container = Guest { kind: Kind::Lxc, node: "pve1".into(), vmid: Vmid(400) };
    let virtual_machine = Guest { kind: Kind::Qemu, ..container.clone() };
    let task: Upid = "UPID:pve1:000003E8:00001B58:6740B0C0:vzcreate:400:root@pam!kubewright:".parse().unwrap();

    let (wanted, body) = (machine(Body::Lxc(lxc())), lxc());
    let mut whole = wish::container(&wanted, Vmid(400), &body, &owner, user);
    whole.insert("pool".into(), "lab".into());
    let mut change = Change::new(&wanted, &owner, Kind::Lxc, &whole);
    wanted.settings().iter().for_each(|it| change.write(it));
    let mut change = change.config();
    change.extend([("digest", "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12")].map(pair));
    let fresh: Config = [("scsi0", "local-lvm:vm-400-disk-0,size=3G")].map(pair).into();
    let finished = wish::virtual_machine(&machine(Body::Vm(vm())), &vm(), &owner, user, &fresh);
    let full = wish::clone(guest::unfinished(&wanted.name, &owner), Vmid(401), &vm(), Some("pve2"), Some("lab"));
    let by_iso = VmBody { iso: Some("local".into()), ..vm() };
    let seeded = wish::virtual_machine(&machine(Body::Vm(by_iso.clone())), &by_iso, &owner, user, &fresh);
    let source = VmSource::Clone(VmTemplate { linked: true, ..template() });
    let linked = wish::clone("node-1".into(), Vmid(401), &VmBody { source, ..vm() }, None, None);

    let job = DesiredBackupJob {
        provider: "proxmox".into(),
        schedule: "2:30".into(),
        storage: "local".into(),
        keep: "keep-daily=7,keep-last=3".into(),
        machines: Vec::new(),
    };
    let job = backups::settings(&job, &[Vmid(400), Vmid(401)]);

    let mut calls = vec![
        login_call(),
        permissions(),
        resources(),
        next_id(),
        create_container("pve1", Vmid(400), &whole),
        container.configure(&change),
        container.configure(&[("delete", "features")].map(pair).into()),
        container.resize("rootfs", 65536),
        virtual_machine.clone_to(Vmid(401), &full),
        virtual_machine.clone_to(Vmid(401), &linked),
        virtual_machine.configure(&finished),
        virtual_machine.configure(&seeded),
        virtual_machine.resize("scsi0", 65536),
        virtual_machine.move_to("pve2"),
        backup_jobs(),
        create_backup_job("kubewright-lab", &job),
        change_backup_job("kubewright-lab", &job),
        delete_backup_job("kubewright-lab"),
        ha_resources(),
        ha_groups(),
        ha_rules(),
        keep_by_ha("vm:400", "stopped", Some("servers"), "kubewright-lab"),
        change_ha("ct:400", "servers"),
        drop_from_ha("vm:400", false),
        drop_from_ha("vm:400", true),
        change_ha_rule("ha-group-servers", "vm:400,ct:401"),
        contents("pve1", "local", "vztmpl"),
        appliances("pve1"),
        download_template("pve1", "local", "own.tar.zst", "https://lab.test/own.tar.zst", &"a".repeat(64)),
        get_appliance("pve1", "local", "debian-12-standard_12.7-1_amd64.tar.zst"),
        create_virtual_machine(
            "pve1",
            Vmid(400),
            &wish::unbuilt(&wanted, Vmid(400), "local:import/a.qcow2", &owner, Some("lab")),
        ),
        virtual_machine
            .configure(&[("scsi0", wish::imported(&vm(), "local:import/a.qcow2").as_str())].map(pair).into()),
        virtual_machine.to_template(),
        get_image("pve1", "local", "kubewright-lab-0a1b.qcow2", &image()),
        storage("pve1", "local"),
        upload_iso("pve1", "local", File { name: "kubewright-lab-node-1.iso".into(), content: Vec::new() }),
        delete_volume("pve1", "local:iso/kubewright-lab-node-1.iso"),
        tasks("pve1", 1_732_292_800, 500),
        task_status(&task),
        task_log(&task, 5000),
    ];
    for guest in [&container, &virtual_machine] {
        calls.extend([guest.pending(), guest.shut_down(180)]);
        calls.extend([guest.config(), guest.status(), guest.start(), guest.stop(), guest.delete()]);
        calls.extend([guest.snapshots(), guest.snapshot("kubewright-1-v1-33-5-k3s1", "before"), guest.can("snapshot")]);
        calls.push(guest.delete_snapshot("kubewright-1-v1-33-5-k3s1"));
        calls.push(guests("pve1", guest.kind));
    }
    calls
}

fn login_call() -> Call {
    super::login("root@pam", "secret")
}

fn pair((name, value): (&str, &str)) -> (String, String) {
    (name.into(), value.into())
}

#[test]
fn every_call_is_as_the_vendor_describes_it() {
    let Some(api) = description() else {
        println!("skipped: no shared/schemas/pve-api.json beside the project, so no call was held against it");
        return;
    };
    let faults: Vec<String> = calls().iter().flat_map(|call| faults(&api, call)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn faults_are_found() {
    let Some(api) = description() else {
        println!("skipped: no shared/schemas/pve-api.json beside the project");
        return;
    };
    let wrong = [
        (create_container("pve1", Vmid(400), &Config::new()), "ostemplate is missing"),
        (resources().with("kind", "vm"), "kind is unknown"),
        (resources().with("type", "vms"), "none of"),
        (next_id().with("vmid", "many"), "no integer"),
        (Call::new(Verb::Get, "/nowhere"), "there is no GET /nowhere"),
        (create_container("pve1", Vmid(4), &[("net0", "bridge=vmbr0")].map(pair).into()), "name is missing"),
        (create_container("pve1", Vmid(400), &[("net0", "name=eth0,vlan=2")].map(pair).into()), "vlan is unknown"),
    ];
    for (call, fault) in wrong {
        let found = faults(&api, &call);
        assert!(found.iter().any(|found| found.contains(fault)), "{fault} is not among {found:?}");
    }
}
