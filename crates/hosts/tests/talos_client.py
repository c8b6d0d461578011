"""The life of a node by the stub that betterproto made of Talos' own protos (v1.6).

Arguments: the node's address, a folder with `ca`, `crt` and `key` (PEM), and the part of its life: `maintenance` or `member`.
"""

import asyncio
import io
import ssl
import sys
import tarfile
from pathlib import Path

import grpclib
from betterproto.lib.google.protobuf import Empty
from grpclib.client import Channel
from talos_linux_api.v1_6_0 import common, machine

ADDRESS, FOLDER, PART = sys.argv[1], Path(sys.argv[2]), sys.argv[3]


def context():
    if PART == "maintenance":
        anybody = ssl.create_default_context()
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        found = anybody
    else:
        found = ssl.create_default_context(cafile=FOLDER / "ca")
        found.load_cert_chain(FOLDER / "crt", FOLDER / "key")
    found.minimum_version = ssl.TLSVersion.TLSv1_3
    found.set_alpn_protocols(["h2"])
    return found


async def refused(call, code):
    try:
        await call
    except grpclib.GRPCError as error:
        assert error.status.name == code, error
        return error.message
    raise AssertionError(f"{call} was not refused")


async def maintenance(node):
    asked = machine.ApplyConfigurationRequest(data=b"version: v1alpha1\nmachine:\n  typo: 1\n", mode=1)
    assert "unknown keys found" in await refused(node.apply_configuration(asked), "UNKNOWN")
    await refused(node.bootstrap(machine.BootstrapRequest()), "UNIMPLEMENTED")
    data = (FOLDER / "configuration").read_bytes()
    asked = machine.ApplyConfigurationRequest(data=data, mode=machine.ApplyConfigurationRequestMode.AUTO, dry_run=True)
    answer = await node.apply_configuration(asked)
    assert answer.messages[0].mode_details.startswith("Dry run summary:"), answer
    asked.dry_run = False
    assert len((await node.apply_configuration(asked)).messages) == 1


async def member(node):
    version = (await node.version(Empty())).messages[0]
    assert (version.version.tag, version.version.arch, version.platform.name) == ("v1.11.5", "amd64", "nocloud")
    assert len((await node.bootstrap(machine.BootstrapRequest())).messages) == 1
    await refused(node.bootstrap(machine.BootstrapRequest()), "ALREADY_EXISTS")
    archive = b"".join([part.bytes async for part in node.kubeconfig(Empty())])
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r|gz") as opened:
        assert b"https://10.0.0.10:6443" in opened.extractfile(opened.next()).read()
    members = (await node.etcd_member_list(machine.EtcdMemberListRequest())).messages[0].members
    assert [(one.hostname, one.peer_urls) for one in members] == [("c1", [f"https://{ADDRESS}:2380"])], members
    status = (await node.etcd_status(Empty())).messages[0].member_status
    assert status.leader == status.member_id == members[0].id and status.raft_applied_index == 42, status
    snapshot = b"".join([part.bytes async for part in node.etcd_snapshot(machine.EtcdSnapshotRequest())])
    assert len(snapshot) % 512 == 32
    parts = [common.Data(bytes=snapshot[at : at + 1024]) for at in range(0, len(snapshot), 1024)]
    assert len((await node.etcd_recover(parts)).messages) == 1
    # The generated stub of this call lost its argument.
    asked = machine.EtcdRemoveMemberByIdRequest(member_id=7)
    path = "/machine.MachineService/EtcdRemoveMemberByID"
    await refused(node._unary_unary(path, asked, machine.EtcdRemoveMemberByIdResponse), "NOT_FOUND")
    services = {one.id: one for one in (await node.service_list(Empty())).messages[0].services}
    assert services["etcd"].state == "Running" and services["etcd"].health.healthy, services
    asked = machine.LogsRequest(namespace="system", id="etcd", tail_lines=1)
    assert b"".join([part.bytes async for part in node.logs(asked)]) == b"etcd: line 30\n"
    wipe = [machine.ResetPartitionSpec(label=label, wipe=True) for label in ("STATE", "EPHEMERAL")]
    asked = machine.ResetRequest(graceful=True, reboot=True, system_partitions_to_wipe=wipe)
    assert (await node.reset(asked)).messages[0].actor_id


async def main():
    async with Channel(ADDRESS, 50000, ssl=context()) as channel:
        await globals()[PART](machine.MachineServiceStub(channel))


asyncio.run(main())
