"""The life of a project, by the vendor's own client (PyPI: hcloud). Arguments: where the API is, its token, a folder, `life` or
`failing`.

The folder holds `certificate`, `key` and `key.pub`. The project holds 600 servers with the label `seed`, of which 200
have the label `third`. Whatever the client does not understand, and whatever is not as asserted, ends it with an error.
"""
import sys
import warnings
from pathlib import Path

from hcloud import APIException, Client
from hcloud.actions import ActionFailedException
from hcloud.firewalls import FirewallResource, FirewallResourceLabelSelector, FirewallRule
from hcloud.images import Image
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.load_balancers import (
    LoadBalancerAlgorithm,
    LoadBalancerHealthCheck,
    LoadBalancerService,
    LoadBalancerTarget,
    LoadBalancerTargetLabelSelector,
)
from hcloud.locations import Location
from hcloud.networks import NetworkRoute, NetworkSubnet
from hcloud.server_types import ServerType
from hcloud.servers import ServerCreatePublicNetwork

endpoint, token, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
warnings.simplefilter("error")
client = Client(token, api_endpoint=endpoint, poll_interval=0.01, application_name="kubewright-tests")
FSN1 = Location(name="fsn1")
DEBIAN = Image(name="debian-12")


def refused(code, deed, *args, **kwargs):
    """What must be refused, and with which code."""
    try:
        deed(*args, **kwargs)
    except APIException as error:
        assert error.code == code, f"{error.code} instead of {code}: {error.message}"
        return error
    raise AssertionError(f"{deed} was not refused with {code}")


def done(*actions):
    for action in actions:
        action.wait_until_finished()


def catalog():
    assert {place.name for place in client.locations.get_all()} >= {"fsn1", "nbg1", "hel1", "ash", "hil", "sin"}
    kind = client.server_types.get_by_name("cx23")
    assert (kind.cores, kind.memory, kind.disk, kind.architecture) == (2, 4.0, 40, "x86")
    assert kind.prices[0]["price_monthly"]["net"] and kind.locations[0].location.name == "fsn1"
    old = client.server_types.get_by_name("cx22")
    assert old.locations[0].deprecation is not None
    assert client.load_balancer_types.get_by_name("lb11").max_targets == 25
    images = {(image.name, image.architecture) for image in client.images.get_all(type=["system"])}
    assert {("debian-12", "x86"), ("debian-12", "arm")} <= images
    assert client.images.get_by_name_and_architecture("debian-12", "arm").os_flavor == "debian"
    assert client.isos.get_all()[0].type == "public"


def many():
    everything = client.servers.get_all(label_selector="seed")
    assert len(everything) == 600 == len({server.id for server in everything})
    assert len(client.servers.get_all(label_selector="seed,third")) == 200
    assert len(client.servers.get_all(label_selector="seed,!third")) == 400
    assert len(client.servers.get_all(label_selector="seed,third notin (1)")) == 400
    page = client.servers.get_list(label_selector="seed", page=2, per_page=50)
    assert (page.meta.pagination.next_page, page.meta.pagination.last_page) == (3, 12)
    assert page.meta.pagination.total_entries == 600
    refused("invalid_input", client.servers.get_list, label_selector="seed in (")
    wrong = Client("wrong", api_endpoint=endpoint)
    refused("unauthorized", wrong.servers.get_list)


def network():
    net = client.networks.create("lab", "10.0.0.0/16", labels={"lab": ""})
    subnet = NetworkSubnet(ip_range="10.0.1.0/24", type=NetworkSubnet.TYPE_CLOUD, network_zone="eu-central")
    done(net.add_subnet(subnet))
    refused("invalid_input", net.add_subnet, subnet)
    done(net.add_route(NetworkRoute(destination="10.9.0.0/16", gateway="10.0.1.9")))
    done(net.change_ip_range("10.0.0.0/12"))
    net.reload()
    assert net.subnets[0].gateway == "10.0.0.1" and net.routes[0].destination == "10.9.0.0/16"
    done(net.delete_route(net.routes[0]))
    refused("uniqueness_error", client.networks.create, "lab", "10.0.0.0/16")
    return net


def servers(net):
    public = (folder / "key.pub").read_text().strip()
    key = client.ssh_keys.create("laptop", public)
    refused("uniqueness_error", client.ssh_keys.create, "another", public)
    assert client.ssh_keys.get_by_fingerprint(key.fingerprint).id == key.id
    group = client.placement_groups.create("apart", "spread").placement_group
    rule = FirewallRule(direction="in", protocol="tcp", port="22", source_ips=["0.0.0.0/0"], description="ssh")
    wall = client.firewalls.create("wall", rules=[rule])
    done(*wall.actions)
    address = client.primary_ips.create("ipv4", "kept", location=FSN1, assignee_type="server").primary_ip
    made = client.servers.create(
        "server-1",
        ServerType(name="cx23"),
        DEBIAN,
        ssh_keys=[key],
        networks=[net],
        firewalls=[wall.firewall],
        user_data="#cloud-config\n",
        labels={"role": "server"},
        location=FSN1,
        placement_group=group,
        public_net=ServerCreatePublicNetwork(ipv4=address, enable_ipv6=False),
    )
    assert made.root_password is None and made.server.status == "initializing" and made.server.private_net == []
    refused("locked", made.server.power_off)
    done(made.action, *made.next_actions)
    server = client.servers.get_by_name("server-1")
    assert server.status == "running" and server.private_net[0].ip == "10.0.1.1"
    assert server.public_net.ipv4.ip == address.ip and server.public_net.ipv6 is None
    assert server.public_net.firewalls[0].status == "applied" and server.placement_group.name == "apart"
    refused("uniqueness_error", client.servers.create, "server-1", ServerType(name="cx23"), DEBIAN, location=FSN1)
    refused("invalid_input", client.servers.create, "a", ServerType(name="cpx21"), DEBIAN, location=FSN1)
    refused("invalid_input", client.servers.create, "under_score", ServerType(name="cx23"), DEBIAN, location=FSN1)
    server = server.update(labels={"role": "agent"})
    assert [one.id for one in client.servers.get_all(label_selector="role in (agent,server)")] == [server.id]
    done(server.change_protection(delete=True, rebuild=True))
    refused("protected", server.delete)
    done(server.change_protection(delete=False, rebuild=False))
    refused("server_not_stopped", server.change_type, ServerType(name="cx33"), upgrade_disk=False)
    done(server.shutdown())
    server.reload()
    done(server.power_off())
    done(server.change_type(ServerType(name="cx33"), upgrade_disk=False))
    server.reload()
    assert (server.server_type.name, server.primary_disk_size) == ("cx33", 40)
    snapshot = server.create_image(description="before")
    done(snapshot.action)
    assert client.images.get_by_id(snapshot.image.id).created_from.id == server.id
    done(server.rebuild(snapshot.image).action)
    snapshot.image.delete()
    done(server.detach_from_network(net))
    refused("invalid_input", server.attach_to_network, net, ip="10.3.0.1")
    done(server.attach_to_network(net, ip="10.0.1.20", alias_ips=["10.0.1.21"]))
    server.reload()
    assert (server.private_net[0].ip, server.private_net[0].alias_ips) == ("10.0.1.20", ["10.0.1.21"])
    assert [action.command for action in server.get_actions()][0] == "create_server"
    by_label = FirewallResource("label_selector", label_selector=FirewallResourceLabelSelector("role=agent"))
    refused("resource_in_use", wall.firewall.delete)
    done(*wall.firewall.apply_to_resources([by_label]))
    wall.firewall.reload()
    assert len(wall.firewall.applied_to) == 2
    done(*wall.firewall.remove_from_resources([by_label]))
    return server, wall.firewall


def balancer(net, server):
    check = LoadBalancerHealthCheck(protocol="tcp", port=6443, interval=15, timeout=10, retries=3)
    service = LoadBalancerService(
        protocol="tcp", listen_port=6443, destination_port=6443, proxyprotocol=False, health_check=check
    )
    selected = LoadBalancerTarget(
        type="label_selector", label_selector=LoadBalancerTargetLabelSelector("role=agent"), use_private_ip=True
    )
    made = client.load_balancers.create(
        "front",
        LoadBalancerType(name="lb11"),
        algorithm=LoadBalancerAlgorithm(type="round_robin"),
        services=[service],
        targets=[selected],
        location=FSN1,
        network=net,
    )
    done(made.action)
    front = made.load_balancer
    refused("source_port_already_used", front.add_service, service)
    direct = LoadBalancerTarget(type="server", server=server, use_private_ip=True)
    done(front.add_target(direct))
    refused("target_already_defined", front.add_target, direct)
    front.reload()
    assert front.private_net[0].network.id == net.id
    assert front.targets[1].health_status[0].status == "healthy"
    assert front.targets[0].targets[0].server.id == server.id
    done(front.disable_public_interface())
    certificate = client.certificates.create(
        "own", (folder / "certificate").read_text(), (folder / "key").read_text()
    )
    assert certificate.domain_names == ["lab.example.com"] and certificate.type == "uploaded"
    managed = client.certificates.create_managed("managed", ["example.com"])
    assert managed.certificate.status.issuance == "pending"
    done(managed.action)
    managed.certificate.reload()
    assert managed.certificate.status.issuance == "completed"
    for one in (certificate, managed.certificate):
        assert one.delete()
    done(front.delete_service(service))
    done(front.remove_target(direct))
    assert front.delete()


def volumes(server):
    made = client.volumes.create(10, "disk", server=server, format="ext4")
    done(made.action, *made.next_actions)
    made.volume.reload()
    assert made.volume.server.id == server.id
    refused("invalid_input", made.volume.resize, 5)
    done(made.volume.resize(20))
    done(made.volume.detach())
    assert made.volume.delete()


def end(net, server, wall):
    done(server.delete())
    assert client.servers.get_by_name("server-1") is None
    kept = client.primary_ips.get_by_name("kept")
    assert kept.assignee_id is None and kept.delete()
    assert wall.delete() and net.delete()
    assert client.placement_groups.get_by_name("apart").delete()
    assert client.ssh_keys.get_by_name("laptop").delete()


def failing():
    """The next server that is made ends in an error, as the test has arranged; and then one cannot be had."""
    made = client.servers.create("broken", ServerType(name="cx23"), DEBIAN, location=FSN1)
    try:
        made.action.wait_until_finished()
        raise AssertionError("the action did not fail")
    except ActionFailedException as error:
        assert error.action.error["code"] == "server_error", error.action.error
    done(made.server.delete())
    refused("resource_unavailable", client.servers.create, "none", ServerType(name="cx53"), DEBIAN, location=FSN1)
    error = refused("resource_limit_exceeded", client.volumes.create, 10, "one-more", location=FSN1)
    assert error.details["limits"][0]["name"] == "volume_limit"


if sys.argv[4] == "life":
    catalog()
    many()
    net = network()
    server, wall = servers(net)
    balancer(net, server)
    volumes(server)
    end(net, server, wall)
else:
    failing()
