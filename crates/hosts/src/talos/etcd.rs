//! One node's Talos API: its etcd. Talos hands snapshots on as etcd sends them (`EtcdSnapshot`, `v1alpha1_server.go`).

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::client::{Talos, only};
use super::errors::TalosError;
use super::wire;
use crate::saved::{Proof, Snapshot};

/// Bytes of a part that is sent: as many as `talosctl` sends (`EtcdRecover`, `pkg/machinery/client/client.go`).
const PART: usize = 4096;

/// A member of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdMember {
    /// By what etcd knows it.
    pub id: u64,
    /// The node's name; empty while it has not started for the first time.
    pub hostname: String,
    /// Where other members reach it: `https://10.0.0.2:2380`.
    pub peer_urls: Vec<String>,
    /// It does not vote yet.
    pub learner: bool,
}

/// The member on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdStatus {
    /// By what etcd knows it.
    pub member: u64,
    /// Who leads; 0 if nobody does.
    pub leader: u64,
    /// etcd's version.
    pub version: String,
    /// Bytes of its file.
    pub size: u64,
    /// Bytes of that which hold something.
    pub in_use: u64,
    /// How far its log goes, and how far that has taken effect.
    pub index: (u64, u64),
    /// It does not vote yet.
    pub learner: bool,
    /// What is wrong with it.
    pub errors: Vec<String>,
}

/// What etcd is alarmed about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtcdAlarm {
    /// A member's file has grown too large: nothing can be written.
    NoSpace(u64),
    /// A member's data is not what the others have.
    Corrupt(u64),
}

impl Talos {
    /// The members of etcd: as its quorum has them, or as this node's member alone has them.
    ///
    /// # Errors
    ///
    /// The node is a worker, or its etcd does not answer.
    pub async fn etcd_members(&self, local: bool) -> Result<Vec<EtcdMember>, TalosError> {
        let request = wire::EtcdMemberListRequest { query_local: local };
        let answer = self.connection.call("/machine.MachineService/EtcdMemberList", request).await?;
        let one: wire::EtcdMembers = only(answer)?;
        let member = |member: wire::ListedMember| EtcdMember {
            id: member.id,
            hostname: member.hostname,
            peer_urls: member.peer_urls,
            learner: member.is_learner,
        };
        Ok(one.members.into_iter().map(member).collect())
    }

    /// Makes etcd forget a member. Asked of another node than that member's.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such member, which is what was wished; or etcd does not answer.
    pub async fn etcd_remove_member(&self, member: u64) -> Result<(), TalosError> {
        let request = wire::EtcdRemoveMemberByIdRequest { member_id: member };
        let answer = self.connection.call("/machine.MachineService/EtcdRemoveMemberByID", request).await?;
        only::<wire::Empty>(answer).map(drop)
    }

    /// This node's member lets another one lead, if it does. Returns who does now; none if it did not lead.
    ///
    /// # Errors
    ///
    /// The node is a worker, or its etcd does not answer.
    pub async fn etcd_forfeit_leadership(&self) -> Result<Option<String>, TalosError> {
        let answer = self.connection.call("/machine.MachineService/EtcdForfeitLeadership", wire::Empty {}).await?;
        let one: wire::EtcdForfeitLeadership = only(answer)?;
        Ok(Some(one.member).filter(|member| !member.is_empty()))
    }

    /// This node's member leaves etcd.
    ///
    /// # Errors
    ///
    /// The node is a worker, or etcd has no quorum.
    pub async fn etcd_leave(&self) -> Result<(), TalosError> {
        let answer = self.connection.call("/machine.MachineService/EtcdLeaveCluster", wire::Empty {}).await?;
        only::<wire::Empty>(answer).map(drop)
    }

    /// This node's member.
    ///
    /// # Errors
    ///
    /// The node is a worker, or its etcd does not answer.
    pub async fn etcd_status(&self) -> Result<EtcdStatus, TalosError> {
        let answer = self.connection.call("/machine.MachineService/EtcdStatus", wire::Empty {}).await?;
        let one = only::<wire::EtcdStatusAnswer>(answer)?.member_status;
        let why = "etcd's member is not in the answer".to_string();
        let one = one.ok_or(TalosError::NotUnderstood { why })?;
        Ok(EtcdStatus {
            member: one.member_id,
            leader: one.leader,
            version: one.protocol_version,
            size: u64::try_from(one.db_size).unwrap_or_default(),
            in_use: u64::try_from(one.db_size_in_use).unwrap_or_default(),
            index: (one.raft_index, one.raft_applied_index),
            learner: one.is_learner,
            errors: one.errors,
        })
    }

    /// What etcd is alarmed about.
    ///
    /// # Errors
    ///
    /// The node is a worker, or its etcd does not answer.
    pub async fn etcd_alarms(&self) -> Result<Vec<EtcdAlarm>, TalosError> {
        let answer = self.connection.call("/machine.MachineService/EtcdAlarmList", wire::Empty {}).await?;
        let answer: wire::Answer<wire::EtcdAlarms> = answer;
        let alarms = answer.messages.into_iter().flat_map(|message| message.member_alarms);
        let alarm = |alarm: wire::MemberAlarm| match alarm.alarm {
            1 => Some(EtcdAlarm::NoSpace(alarm.member_id)),
            2 => Some(EtcdAlarm::Corrupt(alarm.member_id)),
            _ => None,
        };
        Ok(alarms.filter_map(alarm).collect())
    }

    /// Writes a snapshot of etcd, and proves that it is whole.
    ///
    /// # Errors
    ///
    /// The node refuses; it was cut off, or its digest is another one; or it cannot be written. What was written then is no
    /// snapshot.
    pub async fn etcd_snapshot<W>(&self, to: &mut W) -> Result<Snapshot, TalosError>
    where
        W: AsyncWrite + Unpin + Send,
    {
        let unwritable =
            |error: std::io::Error| TalosError::Ours { why: format!("the snapshot cannot be written: {error}") };
        let mut parts = self.connection.stream("/machine.MachineService/EtcdSnapshot", wire::Empty {}).await?;
        let mut proof = Proof::default();
        while let Some(wire::Chunk { bytes }) = parts.next().await? {
            proof.see(&bytes);
            to.write_all(&bytes).await.map_err(unwritable)?;
        }
        to.flush().await.map_err(unwritable)?;
        proof.end().map_err(|why| TalosError::NotUnderstood { why: format!("the snapshot of etcd {why}") })
    }

    /// Gives a node a snapshot of etcd, for [`Talos::bootstrap_from_snapshot`].
    ///
    /// # Errors
    ///
    /// The node refuses, or the snapshot cannot be read to its end: then the node has none.
    pub async fn etcd_recover<R>(&self, from: R) -> Result<(), TalosError>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        let (failed, mut failure) = tokio::sync::mpsc::channel::<String>(1);
        let parts = futures::stream::unfold((from, failed), |(mut from, failed)| async move {
            let mut bytes = vec![0; PART];
            match from.read(&mut bytes).await {
                Ok(0) => None,
                Ok(count) => {
                    bytes.truncate(count);
                    Some((wire::Chunk { bytes }, (from, failed)))
                }
                Err(error) => {
                    // The stream must not end as if that was all: the call is given up, and the node throws away what it has.
                    let _ = failed.send(error.to_string()).await;
                    std::future::pending().await
                }
            }
        });
        let sent = self.connection.send("/machine.MachineService/EtcdRecover", parts);
        tokio::select! {
            answer = sent => only::<wire::Empty>(answer?).map(drop),
            Some(why) = failure.recv() => Err(TalosError::Ours { why: format!("the snapshot cannot be read: {why}") }),
        }
    }
}
