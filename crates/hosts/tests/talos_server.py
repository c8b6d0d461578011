"""A node made of the base class that betterproto made of Talos' own protos (v1.6): it writes down what it understood.

Arguments: its address, and a folder with `crt` and `key`, and `ca` if clients are asked who they are (PEM). It writes `ready` there when it
listens, and each request as a line of JSON into `asked`.
"""

import asyncio
import gzip
import hashlib
import io
import ssl
import sys
import tarfile
from pathlib import Path

import grpclib
from grpclib.const import Status
from grpclib.server import Server
from talos_linux_api.v1_6_0 import common, machine

ADDRESS, FOLDER = sys.argv[1], Path(sys.argv[2])
PAGES = bytes(range(256)) * 64


class Node(machine.MachineServiceBase):
    begun = False

    def write_down(self, name, message):
        with open(FOLDER / "asked", "a") as asked:
            asked.write(f"{name} {message.to_json()}\n")

    async def version(self, empty):
        tags = machine.VersionInfo(tag="v1.6.0", sha="abc", built="today", go_version="go1.21", os="linux", arch="amd64")
        platform = machine.PlatformInfo(name="metal", mode="metal")
        one = machine.Version(version=tags, platform=platform, features=machine.FeaturesInfo(rbac=True))
        return machine.VersionResponse(messages=[one])

    async def apply_configuration(self, asked):
        self.write_down("apply", asked)
        one = machine.ApplyConfiguration(
            warnings=["strange"], mode=machine.ApplyConfigurationRequestMode.NO_REBOOT, mode_details="done"
        )
        return machine.ApplyConfigurationResponse(messages=[one])

    async def bootstrap(self, asked):
        self.write_down("bootstrap", asked)
        if self.begun:
            raise grpclib.GRPCError(Status.ALREADY_EXISTS, "etcd data directory is not empty")
        self.begun = True
        return machine.BootstrapResponse(messages=[machine.Bootstrap()])

    async def kubeconfig(self, empty):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:") as opened:
            text = b"apiVersion: v1\nkind: Config\n"
            entry = tarfile.TarInfo("kubeconfig")
            entry.size = len(text)
            opened.addfile(entry, io.BytesIO(text))
        archive = gzip.compress(buffer.getvalue())
        for at in range(0, len(archive), 50):
            yield common.Data(bytes=archive[at : at + 50])

    async def etcd_member_list(self, asked):
        self.write_down("members", asked)
        member = machine.EtcdMember(
            id=2**63 + 1, hostname="c1", peer_urls=["https://10.0.0.1:2380"], client_urls=["https://10.0.0.1:2379"], is_learner=True
        )
        return machine.EtcdMemberListResponse(messages=[machine.EtcdMembers(legacy_members=["c1"], members=[member])])

    async def etcd_remove_member_by_id(self, asked):
        self.write_down("remove", asked)
        return machine.EtcdRemoveMemberByIdResponse(messages=[machine.EtcdRemoveMemberById()])

    async def etcd_forfeit_leadership(self, asked):
        return machine.EtcdForfeitLeadershipResponse(messages=[machine.EtcdForfeitLeadership(member="c2")])

    async def etcd_leave_cluster(self, asked):
        return machine.EtcdLeaveClusterResponse(messages=[machine.EtcdLeaveCluster()])

    async def etcd_status(self, empty):
        status = machine.EtcdMemberStatus(
            member_id=11, protocol_version="3.5.11", db_size=100, db_size_in_use=50, leader=12, raft_index=9, raft_term=3,
            raft_applied_index=8, errors=["bad"], is_learner=True,
        )
        return machine.EtcdStatusResponse(messages=[machine.EtcdStatus(member_status=status)])

    async def etcd_alarm_list(self, empty):
        alarms = [
            machine.EtcdMemberAlarm(member_id=11, alarm=machine.EtcdMemberAlarmAlarmType.NOSPACE),
            machine.EtcdMemberAlarm(member_id=12, alarm=machine.EtcdMemberAlarmAlarmType.CORRUPT),
        ]
        return machine.EtcdAlarmListResponse(messages=[machine.EtcdAlarm(member_alarms=alarms)])

    async def etcd_snapshot(self, asked):
        whole = PAGES + hashlib.sha256(PAGES).digest()
        for at in range(0, len(whole), 999):
            yield common.Data(bytes=whole[at : at + 999])

    async def etcd_recover(self, parts):
        whole = b"".join([part.bytes async for part in parts])
        (FOLDER / "recovered").write_bytes(whole)
        return machine.EtcdRecoverResponse(messages=[machine.EtcdRecover()])

    async def upgrade(self, asked):
        self.write_down("upgrade", asked)
        return machine.UpgradeResponse(messages=[machine.Upgrade(ack="Upgrade request received", actor_id="1")])

    async def reboot(self, asked):
        self.write_down("reboot", asked)
        return machine.RebootResponse(messages=[machine.Reboot(actor_id="2")])

    async def reset(self, asked):
        self.write_down("reset", asked)
        return machine.ResetResponse(messages=[machine.Reset(actor_id="3")])

    async def service_list(self, empty):
        events = machine.ServiceEvents(events=[machine.ServiceEvent(msg="Started"), machine.ServiceEvent(msg="Ill")])
        health = machine.ServiceHealth(unknown=False, healthy=False, last_message="connection refused")
        one = machine.ServiceInfo(id="etcd", state="Running", events=events, health=health)
        return machine.ServiceListResponse(messages=[machine.ServiceList(services=[one])])

    async def logs(self, asked):
        self.write_down("logs", asked)
        yield common.Data(bytes=b"one\ntw")
        yield common.Data(bytes=b"o\n")


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(FOLDER / "crt", FOLDER / "key")
    context.set_alpn_protocols(["h2"])
    if (FOLDER / "ca").exists():
        context.load_verify_locations(FOLDER / "ca")
        context.verify_mode = ssl.CERT_REQUIRED
    server = Server([Node()])
    await server.start(ADDRESS, 50000, ssl=context)
    (FOLDER / "ready").touch()
    await server.wait_closed()


asyncio.run(main())
