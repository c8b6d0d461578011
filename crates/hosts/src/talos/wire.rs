//! Messages of Talos' API as they go over the wire, and how they get there.
//!
//! Written by hand: only the calls that are made, and in their messages only the fields that are read or set; others are left
//! alone, as Protocol Buffers have it. Names, numbers and types are those of siderolabs/talos v1.11,
//! `api/machine/machine.proto`, `api/common/common.proto`; and of cosi-project/specification,
//! `proto/v1alpha1/{resource,state}.proto`. They are the same from v1.9 to v1.14. Each message says which one it is.
//!
//! Answers have a `metadata` (field 1) with the node and its error where a node passed the call on to others. No call of
//! ours is passed on, so it is not read.

pub use super::codec::Wire;

/// `google.protobuf.Empty`, and every message without fields.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Empty {}

/// `common.Data`: a part of a stream.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct Chunk {
    /// The bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub bytes: Vec<u8>,
}

/// `machine.ListRequest`; without anything else a folder and what is right in it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListRequest {
    /// The folder.
    #[prost(string, tag = "1")]
    pub root: String,
    /// Folders in it too.
    #[prost(bool, tag = "2")]
    pub recurse: bool,
}

/// `machine.FileInfo`, as far as it is looked at.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FileEntry {
    /// Why nothing more is known of it.
    #[prost(string, tag = "7")]
    pub error: String,
    /// Its name, seen from the folder.
    #[prost(string, tag = "9")]
    pub relative_name: String,
}

/// `machine.ReadRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReadRequest {
    /// The file.
    #[prost(string, tag = "1")]
    pub path: String,
}

/// An answer that holds one message for each node that was asked: one.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Answer<M: prost::Message + Default + std::fmt::Debug> {
    /// The messages.
    #[prost(message, repeated, tag = "1")]
    pub messages: Vec<M>,
}

/// `machine.ApplyConfigurationRequest`.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct ApplyConfigurationRequest {
    /// The whole configuration, YAML.
    #[prost(bytes = "vec", tag = "1")]
    pub data: Vec<u8>,
    /// How it is to take effect.
    #[prost(enumeration = "ApplyMode", tag = "4")]
    pub mode: i32,
    /// Only what would come of it.
    #[prost(bool, tag = "5")]
    pub dry_run: bool,
}

/// `machine.ApplyConfigurationRequest.Mode`: how a configuration takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
pub enum ApplyMode {
    /// The node restarts. Not taken any more from v1.14 on, but in maintenance mode.
    Reboot = 0,
    /// The node restarts where it has to. From v1.14 on it never does: what needs a restart waits for one.
    Auto = 1,
    /// Only if no restart is needed.
    NoReboot = 2,
    /// With the next restart.
    Staged = 3,
    /// At once, and it is taken back after a while.
    Try = 4,
}

/// `machine.ApplyConfiguration`.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct ApplyConfiguration {
    /// What is strange in the configuration.
    #[prost(string, repeated, tag = "2")]
    pub warnings: Vec<String>,
    /// How it took effect.
    #[prost(enumeration = "ApplyMode", tag = "3")]
    pub mode: i32,
    /// The same in words, and what differs.
    #[prost(string, tag = "4")]
    pub mode_details: String,
}

/// `machine.BootstrapRequest`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct BootstrapRequest {
    /// From the snapshot that the node was given.
    #[prost(bool, tag = "1")]
    pub recover_etcd: bool,
    /// The snapshot is a copy of etcd's file, without a digest.
    #[prost(bool, tag = "2")]
    pub recover_skip_hash_check: bool,
}

/// `machine.RebootRequest`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct RebootRequest {
    /// 0 as the node thinks best, 1 through the firmware.
    #[prost(int32, tag = "1")]
    pub mode: i32,
}

/// `machine.ResetRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResetRequest {
    /// The node leaves etcd and Kubernetes first.
    #[prost(bool, tag = "1")]
    pub graceful: bool,
    /// It starts again afterwards, and does not stay off.
    #[prost(bool, tag = "2")]
    pub reboot: bool,
    /// Only these partitions.
    #[prost(message, repeated, tag = "3")]
    pub system_partitions_to_wipe: Vec<ResetPartition>,
    /// Further disks.
    #[prost(string, repeated, tag = "4")]
    pub user_disks_to_wipe: Vec<String>,
    /// `WipeMode`: 0 all, 1 the system's disk, 2 the user's.
    #[prost(int32, tag = "5")]
    pub mode: i32,
}

/// `machine.ResetPartitionSpec`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResetPartition {
    /// `STATE`, `EPHEMERAL`.
    #[prost(string, tag = "1")]
    pub label: String,
    /// It is wiped.
    #[prost(bool, tag = "2")]
    pub wipe: bool,
}

/// `machine.Reset`, `machine.Reboot`, `machine.Upgrade`: who did it is to be found in events by this.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Acted {
    /// `actor_id` of `Reset` and `Reboot`; what `Upgrade` acknowledges.
    #[prost(string, tag = "2")]
    pub actor_id: String,
}

/// `machine.UpgradeRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpgradeRequest {
    /// The installer's image.
    #[prost(string, tag = "1")]
    pub image: String,
    /// `EPHEMERAL` stays.
    #[prost(bool, tag = "2")]
    pub preserve: bool,
    /// After a restart, before anything runs.
    #[prost(bool, tag = "3")]
    pub stage: bool,
    /// Also where etcd is not well.
    #[prost(bool, tag = "4")]
    pub force: bool,
}

/// `machine.ServiceRestartRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ServiceRestartRequest {
    /// `kubelet`.
    #[prost(string, tag = "1")]
    pub id: String,
}

/// `machine.ServiceRestart`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ServiceRestart {
    /// What is said of it.
    #[prost(string, tag = "2")]
    pub resp: String,
}

/// `machine.ServiceList`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ServiceList {
    /// The services.
    #[prost(message, repeated, tag = "2")]
    pub services: Vec<ServiceEntry>,
}

/// `machine.ServiceInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ServiceEntry {
    /// `etcd`, `kubelet`.
    #[prost(string, tag = "1")]
    pub id: String,
    /// `Running`, `Waiting`, `Preparing`, `Failed`.
    #[prost(string, tag = "2")]
    pub state: String,
    /// What became of it.
    #[prost(message, optional, tag = "3")]
    pub events: Option<ServiceEvents>,
    /// How it is.
    #[prost(message, optional, tag = "4")]
    pub health: Option<ServiceHealth>,
}

/// `machine.ServiceEvents`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ServiceEvents {
    /// The oldest first.
    #[prost(message, repeated, tag = "1")]
    pub events: Vec<ServiceEvent>,
}

/// `machine.ServiceEvent`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ServiceEvent {
    /// In words.
    #[prost(string, tag = "1")]
    pub msg: String,
}

/// `machine.ServiceHealth`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ServiceHealth {
    /// Nobody has looked yet.
    #[prost(bool, tag = "1")]
    pub unknown: bool,
    /// It is well.
    #[prost(bool, tag = "2")]
    pub healthy: bool,
    /// Why it is not.
    #[prost(string, tag = "3")]
    pub last_message: String,
}

/// `machine.DmesgRequest`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct DmesgRequest {
    /// And what comes from now on.
    #[prost(bool, tag = "1")]
    pub follow: bool,
    /// Only that.
    #[prost(bool, tag = "2")]
    pub tail: bool,
}

/// `machine.LogsRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LogsRequest {
    /// `system` for Talos' own services.
    #[prost(string, tag = "1")]
    pub namespace: String,
    /// The service.
    #[prost(string, tag = "2")]
    pub id: String,
    /// And what comes from now on.
    #[prost(bool, tag = "4")]
    pub follow: bool,
    /// How many lines from the end.
    #[prost(int32, tag = "5")]
    pub tail_lines: i32,
}

/// `machine.Version`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VersionAnswer {
    /// The version.
    #[prost(message, optional, tag = "2")]
    pub version: Option<VersionTags>,
    /// What it runs on.
    #[prost(message, optional, tag = "3")]
    pub platform: Option<Platform>,
}

/// `machine.VersionInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VersionTags {
    /// `v1.11.5`.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// `amd64`.
    #[prost(string, tag = "6")]
    pub arch: String,
}

/// `machine.PlatformInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Platform {
    /// `metal`, `nocloud`, `hcloud`.
    #[prost(string, tag = "1")]
    pub name: String,
    /// `metal`, `cloud`, `container`.
    #[prost(string, tag = "2")]
    pub mode: String,
}

/// `machine.EtcdMemberListRequest`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct EtcdMemberListRequest {
    /// As this node's etcd has it, without a quorum.
    #[prost(bool, tag = "1")]
    pub query_local: bool,
}

/// `machine.EtcdMembers`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EtcdMembers {
    /// The members.
    #[prost(message, repeated, tag = "3")]
    pub members: Vec<ListedMember>,
}

/// `machine.EtcdMember`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListedMember {
    /// By what etcd knows it.
    #[prost(uint64, tag = "2")]
    pub id: u64,
    /// The node's name.
    #[prost(string, tag = "3")]
    pub hostname: String,
    /// Where others reach it.
    #[prost(string, repeated, tag = "4")]
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    #[prost(string, repeated, tag = "5")]
    pub client_urls: Vec<String>,
    /// It does not vote yet.
    #[prost(bool, tag = "6")]
    pub is_learner: bool,
}

/// `machine.EtcdRemoveMemberByIDRequest`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct EtcdRemoveMemberByIdRequest {
    /// The member.
    #[prost(uint64, tag = "1")]
    pub member_id: u64,
}

/// `machine.EtcdForfeitLeadership`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EtcdForfeitLeadership {
    /// Who leads now; empty if this member did not.
    #[prost(string, tag = "2")]
    pub member: String,
}

/// `machine.EtcdAlarm`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EtcdAlarms {
    /// The alarms.
    #[prost(message, repeated, tag = "2")]
    pub member_alarms: Vec<MemberAlarm>,
}

/// `machine.EtcdMemberAlarm`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct MemberAlarm {
    /// The member.
    #[prost(uint64, tag = "1")]
    pub member_id: u64,
    /// `AlarmType`: 1 no space, 2 corrupt.
    #[prost(int32, tag = "2")]
    pub alarm: i32,
}

/// `machine.EtcdStatus`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EtcdStatusAnswer {
    /// The member on this node.
    #[prost(message, optional, tag = "2")]
    pub member_status: Option<EtcdMemberStatus>,
}

/// `machine.EtcdMemberStatus`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EtcdMemberStatus {
    /// etcd's version.
    #[prost(string, tag = "1")]
    pub protocol_version: String,
    /// Bytes of its file.
    #[prost(int64, tag = "2")]
    pub db_size: i64,
    /// Bytes of that which hold something.
    #[prost(int64, tag = "3")]
    pub db_size_in_use: i64,
    /// Who leads.
    #[prost(uint64, tag = "4")]
    pub leader: u64,
    /// What is in its log.
    #[prost(uint64, tag = "5")]
    pub raft_index: u64,
    /// What of that has taken effect.
    #[prost(uint64, tag = "7")]
    pub raft_applied_index: u64,
    /// What is wrong with it.
    #[prost(string, repeated, tag = "8")]
    pub errors: Vec<String>,
    /// It does not vote yet.
    #[prost(bool, tag = "9")]
    pub is_learner: bool,
    /// By what etcd knows it.
    #[prost(uint64, tag = "10")]
    pub member_id: u64,
}

/// `cosi.resource.GetRequest`, and `ListRequest` without the id.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceRequest {
    /// `runtime`, `network`.
    #[prost(string, tag = "1")]
    pub namespace: String,
    /// `MachineStatuses.runtime.talos.dev`.
    #[prost(string, tag = "2")]
    pub r#type: String,
    /// Which one; empty in a list.
    #[prost(string, tag = "3")]
    pub id: String,
}

/// `cosi.resource.GetResponse`, `ListResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceAnswer {
    /// The resource.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<WireResource>,
}

/// `cosi.resource.Resource`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WireResource {
    /// Who it is.
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<ResourceMetadata>,
    /// What it holds.
    #[prost(message, optional, tag = "2")]
    pub spec: Option<ResourceSpec>,
}

/// `cosi.resource.Metadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceMetadata {
    /// `runtime`, `network`.
    #[prost(string, tag = "1")]
    pub namespace: String,
    /// `MachineStatuses.runtime.talos.dev`.
    #[prost(string, tag = "2")]
    pub r#type: String,
    /// `machine`.
    #[prost(string, tag = "3")]
    pub id: String,
    /// It changes with every change.
    #[prost(string, tag = "4")]
    pub version: String,
    /// When it came, by the node's clock.
    #[prost(message, optional, tag = "7")]
    pub created: Option<Timestamp>,
    /// When it last changed.
    #[prost(message, optional, tag = "8")]
    pub updated: Option<Timestamp>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Message)]
pub struct Timestamp {
    /// Since 1970.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Beyond that.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// `cosi.resource.Spec`: the same twice.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct ResourceSpec {
    /// In a message of its own.
    #[prost(bytes = "vec", tag = "1")]
    pub proto_spec: Vec<u8>,
    /// In YAML.
    #[prost(string, tag = "2")]
    pub yaml_spec: String,
}

/// `talos.resource.config.MachineConfigSpec` (`api/resource/config/config.proto`).
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct MachineConfigSpec {
    /// The configuration.
    #[prost(bytes = "vec", tag = "1")]
    pub yaml_marshalled: Vec<u8>,
}

/// Messages that hold secrets print as nothing but their names.
macro_rules! closed {
    ($($message:ty),*) => {$(
        impl std::fmt::Debug for $message {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($message), " [secret]"))
            }
        }
    )*};
}
closed!(Chunk, ApplyConfigurationRequest, ApplyConfiguration, ResourceSpec, MachineConfigSpec);
