//! Every call of the API that we make, and nothing else makes one.
//!
//! A call is a value: its path with names in braces as the vendor's own interface description has it, so a test can hold
//! each one against that description before anything is sent. <https://pve.proxmox.com/pve-docs/api-viewer/>

#[cfg(test)]
pub(crate) mod schema;

use std::collections::BTreeMap;
use std::fmt;

use kubewright_model::desired::VmImage;
use kubewright_model::ids::Vmid;

use super::tasks::Upid;

/// Settings of a guest, as its configuration names them.
pub(super) type Config = BTreeMap<String, String>;

/// What HTTP does with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

/// A call of the API.
pub(super) struct Call {
    pub(super) verb: Verb,
    /// The path, with names in braces.
    pub(super) path: &'static str,
    /// What stands for the names.
    pub(super) place: Vec<(&'static str, String)>,
    pub(super) parameters: Vec<(String, String)>,
    /// A file that goes along.
    pub(super) file: Option<File>,
}

/// A file that goes along with a call, as its parameter `filename`.
pub(super) struct File {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

impl Call {
    fn new(verb: Verb, path: &'static str) -> Self {
        Self { verb, path, place: Vec::new(), parameters: Vec::new(), file: None }
    }

    fn at(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.place.push((name, value.to_string()));
        self
    }

    fn with(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.parameters.push((name.into(), value.to_string()));
        self
    }

    fn all(mut self, config: &Config) -> Self {
        self.parameters.extend(config.iter().map(|(name, value)| (name.clone(), value.clone())));
        self
    }

    /// The path with everything in its place.
    pub(super) fn filled(&self) -> String {
        let escaped = |value: &str| value.replace('%', "%25").replace('/', "%2F");
        self.place
            .iter()
            .fold(self.path.to_string(), |path, (name, value)| path.replace(&format!("{{{name}}}"), &escaped(value)))
    }
}

/// Containers or virtual machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Lxc,
    Qemu,
}

/// A guest, where it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guest {
    pub(super) kind: Kind,
    pub(super) node: String,
    pub(super) vmid: Vmid,
}

impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Lxc => "CT",
            Kind::Qemu => "VM",
        };
        write!(f, "{kind} {} on {}", self.vmid, self.node)
    }
}

impl Guest {
    fn call(&self, verb: Verb, lxc: &'static str, qemu: &'static str) -> Call {
        let path = match self.kind {
            Kind::Lxc => lxc,
            Kind::Qemu => qemu,
        };
        Call::new(verb, path).at("node", &self.node).at("vmid", self.vmid)
    }

    pub(super) fn config(&self) -> Call {
        self.call(Verb::Get, "/nodes/{node}/lxc/{vmid}/config", "/nodes/{node}/qemu/{vmid}/config")
    }

    /// Changes settings. For virtual machines it is the call that answers with a task, because a change may make a
    /// volume, which takes longer than an answer may.
    pub(super) fn configure(&self, config: &Config) -> Call {
        let verb = if self.kind == Kind::Lxc { Verb::Put } else { Verb::Post };
        self.call(verb, "/nodes/{node}/lxc/{vmid}/config", "/nodes/{node}/qemu/{vmid}/config").all(config)
    }

    /// Grows a disk to a size in MiB.
    pub(super) fn resize(&self, disk: &str, mib: u64) -> Call {
        self.call(Verb::Put, "/nodes/{node}/lxc/{vmid}/resize", "/nodes/{node}/qemu/{vmid}/resize")
            .with("disk", disk)
            .with("size", format!("{mib}M"))
    }

    pub(super) fn status(&self) -> Call {
        self.call(Verb::Get, "/nodes/{node}/lxc/{vmid}/status/current", "/nodes/{node}/qemu/{vmid}/status/current")
    }

    pub(super) fn start(&self) -> Call {
        self.call(Verb::Post, "/nodes/{node}/lxc/{vmid}/status/start", "/nodes/{node}/qemu/{vmid}/status/start")
    }

    /// The configuration, and beside it what waits for the next start.
    pub(super) fn pending(&self) -> Call {
        self.call(Verb::Get, "/nodes/{node}/lxc/{vmid}/pending", "/nodes/{node}/qemu/{vmid}/pending")
    }

    /// Has the system inside end, and turns the guest off when it does not in so many seconds.
    pub(super) fn shut_down(&self, seconds: u64) -> Call {
        self.call(Verb::Post, "/nodes/{node}/lxc/{vmid}/status/shutdown", "/nodes/{node}/qemu/{vmid}/status/shutdown")
            .with("timeout", seconds)
            .with("forceStop", 1)
    }

    pub(super) fn stop(&self) -> Call {
        self.call(Verb::Post, "/nodes/{node}/lxc/{vmid}/status/stop", "/nodes/{node}/qemu/{vmid}/status/stop")
    }

    /// Its snapshots, and among them how it is now.
    pub(super) fn snapshots(&self) -> Call {
        self.call(Verb::Get, "/nodes/{node}/lxc/{vmid}/snapshot", "/nodes/{node}/qemu/{vmid}/snapshot")
    }

    /// Keeps the state of its disks. A guest agent holds the file systems still meanwhile, where there is one.
    pub(super) fn snapshot(&self, name: &str, description: &str) -> Call {
        self.call(Verb::Post, "/nodes/{node}/lxc/{vmid}/snapshot", "/nodes/{node}/qemu/{vmid}/snapshot")
            .with("snapname", name)
            .with("description", description)
    }

    pub(super) fn delete_snapshot(&self, name: &str) -> Call {
        let (lxc, qemu) =
            ("/nodes/{node}/lxc/{vmid}/snapshot/{snapname}", "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}");
        self.call(Verb::Delete, lxc, qemu).at("snapname", name)
    }

    /// Whether its storages can do that: `snapshot`.
    pub(super) fn can(&self, feature: &str) -> Call {
        self.call(Verb::Get, "/nodes/{node}/lxc/{vmid}/feature", "/nodes/{node}/qemu/{vmid}/feature")
            .with("feature", feature)
    }

    /// Deletes a guest, the disks that it has, and what names it: backup jobs, replication, HA. What merely bears its number
    /// stays: on a storage that several clusters use, it is a disk of another one's machine.
    pub(super) fn delete(&self) -> Call {
        self.call(Verb::Delete, "/nodes/{node}/lxc/{vmid}", "/nodes/{node}/qemu/{vmid}").with("purge", 1)
    }

    /// Moves a virtual machine that is off to another node, with its disks where those are the node's own.
    pub(super) fn move_to(&self, node: &str) -> Call {
        Call::new(Verb::Post, "/nodes/{node}/qemu/{vmid}/migrate")
            .at("node", &self.node)
            .at("vmid", self.vmid)
            .with("target", node)
    }

    /// Makes a template of a virtual machine that is off.
    pub(super) fn to_template(&self) -> Call {
        Call::new(Verb::Post, "/nodes/{node}/qemu/{vmid}/template").at("node", &self.node).at("vmid", self.vmid)
    }

    /// Clones a template.
    pub(super) fn clone_to(&self, newid: Vmid, config: &Config) -> Call {
        Call::new(Verb::Post, "/nodes/{node}/qemu/{vmid}/clone")
            .at("node", &self.node)
            .at("vmid", self.vmid)
            .with("newid", newid)
            .all(config)
    }
}

pub(super) fn login(user: &str, password: &str) -> Call {
    Call::new(Verb::Post, "/access/ticket").with("username", user).with("password", password)
}

/// The privileges that we have ourselves, by path.
pub(super) fn permissions() -> Call {
    Call::new(Verb::Get, "/access/permissions")
}

/// Everything in the cluster in one list: guests, nodes and storages.
pub(super) fn resources() -> Call {
    Call::new(Verb::Get, "/cluster/resources")
}

/// A number that nobody uses at this moment.
pub(super) fn next_id() -> Call {
    Call::new(Verb::Get, "/cluster/nextid")
}

/// The guests of a node, as they are now and not as they were when their figures were last gathered.
pub(super) fn guests(node: &str, kind: Kind) -> Call {
    let path = match kind {
        Kind::Lxc => "/nodes/{node}/lxc",
        Kind::Qemu => "/nodes/{node}/qemu",
    };
    Call::new(Verb::Get, path).at("node", node)
}

pub(super) fn create_container(node: &str, vmid: Vmid, config: &Config) -> Call {
    Call::new(Verb::Post, "/nodes/{node}/lxc").at("node", node).with("vmid", vmid).all(config)
}

pub(super) fn create_virtual_machine(node: &str, vmid: Vmid, config: &Config) -> Call {
    Call::new(Verb::Post, "/nodes/{node}/qemu").at("node", node).with("vmid", vmid).all(config)
}

/// A node's tasks that began then or later, those that run and those that have ended.
pub(super) fn tasks(node: &str, since: u64, limit: usize) -> Call {
    Call::new(Verb::Get, "/nodes/{node}/tasks")
        .at("node", node)
        .with("source", "all")
        .with("since", since)
        .with("limit", limit)
}

/// What a storage holds of one kind: `vztmpl`, `iso`, `import`.
pub(super) fn contents(node: &str, storage: &str, kind: &str) -> Call {
    Call::new(Verb::Get, "/nodes/{node}/storage/{storage}/content")
        .at("node", node)
        .at("storage", storage)
        .with("content", kind)
}

/// Container templates that Proxmox knows where to get, with their checksums.
pub(super) fn appliances(node: &str) -> Call {
    Call::new(Verb::Get, "/nodes/{node}/aplinfo").at("node", node)
}

/// Has a node get one of them; it compares the checksum itself.
pub(super) fn get_appliance(node: &str, storage: &str, template: &str) -> Call {
    Call::new(Verb::Post, "/nodes/{node}/aplinfo").at("node", node).with("storage", storage).with("template", template)
}

/// Has a node get a container template from anywhere, and keep it only with this checksum.
pub(super) fn download_template(node: &str, storage: &str, file: &str, url: &str, sha256: &str) -> Call {
    Call::new(Verb::Post, "/nodes/{node}/storage/{storage}/download-url")
        .at("node", node)
        .at("storage", storage)
        .with("content", "vztmpl")
        .with("filename", file)
        .with("url", url)
        .with("checksum", sha256)
        .with("checksum-algorithm", "sha256")
}

/// Jobs that back guests up.
pub(super) fn backup_jobs() -> Call {
    Call::new(Verb::Get, "/cluster/backup")
}

pub(super) fn create_backup_job(id: &str, job: &Config) -> Call {
    Call::new(Verb::Post, "/cluster/backup").with("id", id).all(job)
}

pub(super) fn change_backup_job(id: &str, job: &Config) -> Call {
    Call::new(Verb::Put, "/cluster/backup/{id}").at("id", id).all(job)
}

pub(super) fn delete_backup_job(id: &str) -> Call {
    Call::new(Verb::Delete, "/cluster/backup/{id}").at("id", id)
}

/// What HA keeps.
pub(super) fn ha_resources() -> Call {
    Call::new(Verb::Get, "/cluster/ha/resources")
}

pub(super) fn ha_groups() -> Call {
    Call::new(Verb::Get, "/cluster/ha/groups")
}

pub(super) fn ha_rules() -> Call {
    Call::new(Verb::Get, "/cluster/ha/rules")
}

/// Has HA keep a guest; the comment tells who asked for it.
pub(super) fn keep_by_ha(id: &str, state: &str, group: Option<&str>, comment: &str) -> Call {
    let call = Call::new(Verb::Post, "/cluster/ha/resources").with("sid", id).with("state", state);
    let mut call = call.with("comment", comment);
    call.parameters.extend(group.map(|group| ("group".to_string(), group.to_string())));
    call
}

pub(super) fn change_ha(id: &str, group: &str) -> Call {
    Call::new(Verb::Put, "/cluster/ha/resources/{sid}").at("sid", id).with("group", group)
}

/// Proxmox VE 8 has no rules, and no word for keeping them.
pub(super) fn drop_from_ha(id: &str, keeps_rules: bool) -> Call {
    let call = Call::new(Verb::Delete, "/cluster/ha/resources/{sid}").at("sid", id);
    if keeps_rules { call.with("purge", 0) } else { call }
}

pub(super) fn change_ha_rule(rule: &str, resources: &str) -> Call {
    Call::new(Verb::Put, "/cluster/ha/rules/{rule}")
        .at("rule", rule)
        .with("type", "node-affinity")
        .with("resources", resources)
}

/// Puts an ISO file on a storage, in the place of one of that name.
pub(super) fn upload_iso(node: &str, storage: &str, file: File) -> Call {
    let call = Call::new(Verb::Post, "/nodes/{node}/storage/{storage}/upload").at("node", node).at("storage", storage);
    Call { file: Some(file), ..call.with("content", "iso") }
}

/// Has a node get an image of a disk; it compares the checksum itself.
pub(super) fn get_image(node: &str, storage: &str, file: &str, image: &VmImage) -> Call {
    Call::new(Verb::Post, "/nodes/{node}/storage/{storage}/download-url")
        .at("node", node)
        .at("storage", storage)
        .with("content", "import")
        .with("filename", file)
        .with("url", &image.url)
        .with("checksum", image.sha256.as_str())
        .with("checksum-algorithm", "sha256")
}

/// What a storage takes, and how full it is.
pub(super) fn storage(node: &str, storage: &str) -> Call {
    Call::new(Verb::Get, "/nodes/{node}/storage/{storage}/status").at("node", node).at("storage", storage)
}

/// Deletes a file of a storage.
pub(super) fn delete_volume(node: &str, volume: &str) -> Call {
    let storage = volume.split(':').next().unwrap_or_default();
    Call::new(Verb::Delete, "/nodes/{node}/storage/{storage}/content/{volume}")
        .at("node", node)
        .at("storage", storage)
        .at("volume", volume)
}

pub(super) fn task_status(task: &Upid) -> Call {
    Call::new(Verb::Get, "/nodes/{node}/tasks/{upid}/status").at("node", task.node()).at("upid", task)
}

pub(super) fn task_log(task: &Upid, limit: usize) -> Call {
    Call::new(Verb::Get, "/nodes/{node}/tasks/{upid}/log").at("node", task.node()).at("upid", task).with("limit", limit)
}
