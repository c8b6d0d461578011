//! What K3s, Proxmox, HAProxy and Helm demand of what the compilers write, one demand for each test.

mod gitops;
mod hetzner;
mod kube_vip;
mod logs;
mod rke2;
mod storage;

use kubewright_model::desired::{Body, Desired, MemberRecipes};
use kubewright_model::host::HostResource;
use kubewright_model::ids::Vmid;
use kubewright_model::recipe::{Recipe, RecipeStep};
use kubewright_model::spec::load;

/// Three servers behind HAProxy, and an agent, all in containers.
const LAB: &str = include_str!("demands/lab.yaml");

fn lab() -> Desired {
    changed(&[])
}

/// The lab with pieces of its text put in the place of others.
fn changed(pieces: &[(&str, &str)]) -> Desired {
    let mut text = LAB.to_string();
    for (from, to) in pieces {
        assert!(text.contains(from), "the lab does not hold `{from}`");
        text = text.replace(from, to);
    }
    let loaded = load(&text).unwrap_or_else(|found| panic!("{found:#?}"));
    super::lower(&loaded.file).0
}

fn resources<'d>(desired: &'d Desired, host: &str) -> &'d [HostResource] {
    &desired.hosts.iter().find(|it| it.name.as_str() == host).unwrap().resources
}

/// A file or a unit of a host, as text.
fn text(desired: &Desired, host: &str, name: &str) -> String {
    let texts = resources(desired, host).iter().find_map(|resource| match resource {
        HostResource::File(file) if file.path == name => Some(file.content.to_string()),
        HostResource::Unit(unit) if unit.name == name => unit.content.as_ref().map(ToString::to_string),
        _ => None,
    });
    texts.unwrap_or_else(|| panic!("{host} has no {name}"))
}

fn recipes<'d>(desired: &'d Desired, node: &str) -> &'d MemberRecipes {
    &desired.members.iter().find(|it| it.name.as_str() == node).unwrap().recipes
}

/// What a recipe does, one line for each step.
fn steps(recipe: &Recipe) -> Vec<String> {
    let steps = recipe.steps.iter().map(|step| match step {
        RecipeStep::Run(command) => command.join(" "),
        RecipeStep::Until { command, .. } => format!("until {}", command.join(" ")),
        RecipeStep::Write(file) => format!("write {}: {}", file.path, file.content.to_string().trim()),
        RecipeStep::Remove(path) => format!("remove {path}"),
        RecipeStep::Start { unit, .. } => format!("start {unit}"),
        RecipeStep::Restart { unit, .. } => format!("restart {unit}"),
        RecipeStep::Stop { unit } => format!("stop {unit}"),
        RecipeStep::Talos(call) => format!("{call:?}"),
        kubewright_model::recipe::RecipeStep::Bring { newest, .. } => format!("bring {newest}"),
        kubewright_model::recipe::RecipeStep::Send { to, .. } => format!("send {to}"),
    });
    steps.collect()
}

#[test]
fn haproxy_takes_the_answer_of_an_api_that_wants_credentials() {
    let text_of = |distribution: &str, version: &str| {
        let pieces = [("distribution: k3s", distribution), ("v1.31.4+k3s1", version)];
        text(&changed(&pieces), "front", "/etc/haproxy/haproxy.cfg")
    };
    // K3s, RKE2 and Talos start the API server with anonymous-auth=false: a stranger gets 401, and that it lives.
    let closed = "http-check expect rstatus ^(200|401)$";
    assert!(text_of("distribution: k3s", "v1.31.4+k3s1").contains(closed));
    assert!(text_of("distribution: rke2", "v1.31.4+rke2r1").contains(closed));
    assert!(text_of("distribution: kubeadm", "v1.31.4").contains("http-check expect status 200"));
}

#[test]
fn an_agent_tells_systemd_when_it_is_ready_and_counts_when_the_books_hold_the_new_version() {
    let lab = lab();
    assert!(text(&lab, "agent", "k3s-agent.service").contains("\nType=notify\n"));
    let upgrade = steps(&recipes(&lab, "agent").upgrade);
    let last = upgrade.last().unwrap();
    assert!(last.contains("get node agent") && last.contains("= 'v1.31.4+k3s1 True'"), "{upgrade:#?}");
    assert!(
        last.contains("/var/lib/rancher/k3s/agent/kubelet.kubeconfig"),
        "an agent has no other credentials: {last}"
    );
}

#[test]
fn leaving_ends_whole_process_trees_and_forgets_that_the_unit_was_started() {
    let leave = steps(&recipes(&lab(), "agent").leave);
    assert_eq!(leave[0], "stop k3s-agent.service", "a unit that is not there is stopped already, and its mark goes");
    assert!(leave.iter().any(|step| step.contains("pgrep -P")), "{leave:#?}");
    assert!(leave.iter().any(|step| step.contains("ip netns delete")), "{leave:#?}");
}

#[test]
fn a_first_server_that_loses_its_disk_begins_no_second_cluster() {
    let init = steps(recipes(&lab(), "server-1").init.as_ref().unwrap());
    let at = |text: &str| init.iter().position(|step| step.contains(text)).unwrap_or_else(|| panic!("{init:#?}"));
    assert!(at("50-kubewright-membership.yaml: cluster-init: true") < at("start k3s.service"));
    assert!(at("start k3s.service") < at("/readyz"), "it has read what it is before that changes");
    assert!(at("/readyz") < at("50-kubewright-membership.yaml: server: https://10.0.0.5:6443"));
}

#[test]
fn agents_join_through_a_server_that_serves_where_the_endpoint_is_a_single_one() {
    let through = "write /etc/rancher/k3s/config.yaml.d/50-kubewright-membership.yaml: server: ‹cluster/server›";
    let single = changed(&[("endpoint: { loadBalancer: api }", "endpoint: { host: 10.0.0.10 }")]);
    assert_eq!(steps(&recipes(&single, "agent").join)[0], through);
    assert_eq!(steps(&recipes(&lab(), "agent").join)[0], "start k3s-agent.service");
}

#[test]
fn another_mirror_moves_no_file_and_restarts_nothing() {
    let downloads = |desired: &Desired| -> Vec<_> {
        let all = resources(desired, "server-1").iter().filter_map(|resource| match resource {
            HostResource::Download(wish) => Some(wish.artifact.clone()),
            _ => None,
        });
        all.collect()
    };
    let reads = |desired: &Desired| {
        let unit = resources(desired, "server-1").iter().find_map(|resource| match resource {
            HostResource::Unit(unit) if unit.name == "k3s.service" => Some(unit.reads.clone()),
            _ => None,
        });
        unit.unwrap()
    };
    let ours = changed(&[("    distribution: k3s\n", "    distribution: k3s\n    mirror: https://mirror.lan/k3s/\n")]);
    let (there, here) = (downloads(&lab()), downloads(&ours));
    assert!(here[0].url.starts_with("https://mirror.lan/k3s/v1"), "{}", here[0].url);
    let rest = |url: &str| url.rsplit_once("/v1").unwrap().1.to_string();
    assert_eq!(rest(&here[0].url), rest(&there[0].url), "a mirror has what the publisher has");
    assert_eq!(
        here.iter().map(|it| it.mark()).collect::<Vec<_>>(),
        there.iter().map(|it| it.mark()).collect::<Vec<_>>()
    );
    assert_eq!(reads(&ours), reads(&lab()));
}

#[test]
fn features_that_no_api_token_may_set_are_lines_of_the_hypervisor() {
    let by_root = |desired: &Desired| match &*desired.machine(&"agent".into()).unwrap().body {
        Body::Lxc(lxc) => lxc.features_need_root(),
        other => panic!("{other:?}"),
    };
    let lines = |desired: &Desired| {
        let lines = resources(desired, "pve").iter().find_map(|resource| match resource {
            HostResource::Lines { path, lines } if path == "/etc/pve/lxc/420.conf" => Some(lines.clone()),
            _ => None,
        });
        lines.unwrap_or_default()
    };
    let lab = lab();
    assert!(by_root(&lab));
    assert_eq!(lines(&lab)[0], "features: fuse=1,keyctl=1,mknod=1,nesting=1");
    assert!(lines(&lab).contains(&"lxc.cgroup2.devices.allow: a".to_string()), "{:?}", lines(&lab));

    let template = "lxc: { template: \"local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst\"";
    let plain = |features: &str| {
        changed(&[(template, &format!("{template}, privileged: false, raw: [], features: [{features}]"))])
    };
    assert!(!by_root(&plain("nesting")));
    assert_eq!(lines(&plain("nesting")), [""; 0]);
    assert!(by_root(&plain("nesting, keyctl")));
    assert_eq!(lines(&plain("nesting, keyctl")), ["features: keyctl=1,nesting=1"]);
}

#[test]
fn hypervisors_are_where_the_spec_or_the_api_says() {
    let endpoint = |text: &str| changed(&[("endpoint: \"https://pve:8006\"", &format!("endpoint: \"{text}\""))]);
    let way = |desired: &Desired| {
        let host = desired.hosts.iter().find(|it| it.name.as_str() == "pve").unwrap();
        host.way.address.map_or_else(|| host.way.name.clone().unwrap(), |address| address.to_string())
    };
    assert_eq!(way(&lab()), "pve");
    assert_eq!(way(&endpoint("https://pve.lan:8006")), "pve.lan");
    // All machines are on one node, and the API has one address. Whether it is that node is seen by its name.
    assert_eq!(way(&endpoint("https://192.168.1.2:8006")), "192.168.1.2");
    assert_eq!(way(&endpoint("https://[fd00::2]:8006/")), "fd00::2");
    let others = "https://192.168.1.2:8006\", others: [{ endpoint: \"https://192.168.1.3:8006\" }], pool: \"lab";
    assert_eq!(way(&endpoint(others)), "pve", "it may be any of them");
    let said = changed(&[("pve, ssh: { keyFile", "pve, ssh: { addresses: { pve: 10.9.9.9 }, keyFile")]);
    assert_eq!(way(&said), "10.9.9.9");
}

#[test]
fn kernel_modules_of_containers_are_loaded_on_their_hypervisor() {
    let modules = |desired: &Desired, host: &str| -> Vec<String> {
        let modules = resources(desired, host).iter().filter_map(|resource| match resource {
            HostResource::Module(name) => Some(name.clone()),
            _ => None,
        });
        modules.collect()
    };
    let more = changed(&[("  hosts:\n", "  hosts:\n    modules: [nfs]\n")]);
    assert_eq!(modules(&more, "pve"), ["br_netfilter", "nf_conntrack", "nfs", "overlay"]);
    assert_eq!(modules(&more, "agent"), [""; 0], "a container may not load them");
}

#[test]
fn machines_get_no_vmid_that_a_template_has_or_may_come_to_have() {
    let lxc = "{ vmids: [\"420\"], lxc: { template: \"local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst\" } }";
    let sum = "8d3c2b1a00000000000000000000000000000000000000000000000000000001";
    let build = format!("{{ image: https://images.test/noble.img, sha256: {sum}, address: 10.0.0.200 }}");
    let vmid = |vm: &str| {
        let pool = format!("{{ vm: {{ {vm} }} }}");
        let lab = changed(&[("node: pve,", "node: pve, vmids: 9000-9010,"), (lxc, &pool)]);
        lab.machine(&"agent".into()).unwrap().vmid
    };
    assert_eq!(vmid("template: 9000"), Some(Vmid(9001)));
    assert_eq!(vmid(&format!("template: 9000, build: {build}")), Some(Vmid(9002)));
}

#[test]
fn hosts_that_begin_alike_have_a_route_each() {
    let to = |host: &str| format!("      \"{host}\": {{ to: \"default/web:80\", issuer: le }}\n");
    let hosts = ["app.a.org", "app.b.org", "*.c.org", "shop.a.org"];
    let routes = format!("  ingress:\n    routes:\n{}  loadBalancers:", hosts.map(to).concat());
    let lab = changed(&[("  loadBalancers:", &routes)]);
    let group = lab.objects.iter().find(|group| group.name == "routes").unwrap();
    let texts = |pointer: &str| -> Vec<String> {
        group.manifests.iter().map(|it| it.0.pointer(pointer).unwrap().as_str().unwrap().to_string()).collect()
    };
    let names = ["app.a.org-ingress", "app.b.org-ingress", "wildcard.c.org-ingress", "shop-ingress"];
    assert_eq!(texts("/metadata/name"), names);
    assert_eq!(texts("/spec/tls/0/secretName")[..2], ["app.a.org-tls", "app.b.org-tls"]);
}

#[test]
fn aliases_of_hosts_stand_in_etc_hosts_also_without_the_nodes() {
    let lines = |desired: &Desired, host: &str| -> Vec<String> {
        let lines = resources(desired, host).iter().find_map(|resource| match resource {
            HostResource::HostsEntries(entries) => Some(entries.iter().map(|entry| entry.line()).collect()),
            _ => None,
        });
        lines.unwrap_or_default()
    };
    let aliases = changed(&[
        ("  hosts:\n", "  hosts:\n    hostAliases: { 10.0.0.9: [nas] }\n"),
        ("names: [agent]\n", "names: [agent]\n      hosts: { hostAliases: { 10.0.0.8: [cache] } }\n"),
    ]);
    assert_eq!(lines(&aliases, "server-1"), ["10.0.0.9 nas"]);
    assert_eq!(lines(&aliases, "agent"), ["10.0.0.9 nas", "10.0.0.8 cache"]);
    assert_eq!(lines(&lab(), "agent"), [""; 0]);
    let nodes = changed(&[("  hosts:\n", "  hosts:\n    etcHosts: true\n")]);
    assert!(lines(&nodes, "agent").contains(&"10.0.0.5 front".to_string()), "{:?}", lines(&nodes, "agent"));
}

#[test]
fn secrets_that_would_have_one_name_are_not_taken_for_each_other() {
    let lab = changed(&[
        ("  hosts:\n", "  hosts:\n    files: { /etc/key: { from: { env: ALL } } }\n"),
        ("names: [agent]\n", "names: [agent]\n      hosts: { files: { /etc/key: { from: { env: AGENTS } } } }\n"),
        (
            "  loadBalancers:",
            "  secrets: { objects: { a/b: { k: { env: S } } }, configMaps: { a/b: { k: { env: M } } } }\n  loadBalancers:",
        ),
    ]);
    let place = |hole: &str| {
        let name = hole.trim_matches(['‹', '›']).trim_start_matches("hole:").trim_start_matches("secret/");
        lab.secrets[name].env.clone().unwrap()
    };
    let of_host = |host: &str| place(&text(&lab, host, "/etc/key"));
    assert_eq!(["server-1", "agent", "front"].map(of_host), ["ALL", "AGENTS", "ALL"]);
    let group = lab.objects.iter().find(|group| group.name == "secrets").unwrap();
    let of_object = |at: usize, pointer: &str| place(group.manifests[at].0.pointer(pointer).unwrap().as_str().unwrap());
    assert_eq!([of_object(0, "/stringData/k"), of_object(1, "/data/k")], ["S", "M"]);
}

#[test]
fn a_file_that_is_a_secret_is_for_its_owner_alone() {
    let lab = changed(&[(
        "  hosts:\n",
        "  hosts:\n    files: { /etc/key: { from: { env: KEY } }, /etc/motd: { content: hi } }\n",
    )]);
    let mode = |path: &str| {
        let modes = resources(&lab, "agent").iter().find_map(|resource| match resource {
            HostResource::File(file) if file.path == path => Some(file.mode.to_string()),
            _ => None,
        });
        modes.unwrap()
    };
    assert_eq!((mode("/etc/key").as_str(), mode("/etc/motd").as_str()), ("0600", "0644"));
}

#[test]
fn the_unit_that_makes_kmsg_counts_as_done_also_where_it_is_there_already() {
    let unit = text(&lab(), "agent", "kubewright-kmsg.service");
    assert!(!unit.contains("Condition"), "a unit whose condition does not hold never runs: {unit}");
    assert!(unit.contains("ExecStart=/bin/sh -c '[ -e /dev/kmsg ] || ln -s /dev/console /dev/kmsg'\n"), "{unit}");
}

#[test]
fn haproxy_asks_as_often_as_is_wished_and_takes_the_answers_that_are() {
    let listen = "listen: [{ port: 6443, to: 6443 }]";
    let config = |listener: &str| {
        text(&changed(&[(listen, &format!("listen: [{listener}]"))]), "front", "/etc/haproxy/haproxy.cfg")
    };
    let web =
        config("{ port: 80, to: 30080, health: { protocol: http, path: /healthz, status: [200, 404], interval: 5s } }");
    assert!(web.contains("    option httpchk GET /healthz\n    http-check expect rstatus ^(200|404)$\n"), "{web}");
    assert!(web.contains(":30080 check inter 5s\n"), "{web}");
    let quick = config("{ port: 80, to: 30080, health: { interval: 500ms } }");
    assert!(quick.contains(":30080 check inter 1s\n"), "{quick}");
    let plain = config("{ port: 80, to: 30080, health: { protocol: http } }");
    assert!(plain.contains("    option httpchk GET /\n    server"), "{plain}");
    assert!(plain.contains(":30080 check inter 15s\n"), "{plain}");
    let api = config("{ port: 6443, to: 6443, health: { protocol: https, status: [401] } }");
    assert!(api.contains("    option httpchk GET /readyz\n    http-check expect rstatus ^(401)$\n"), "{api}");
}

#[test]
fn pools_of_addresses_are_of_the_version_that_cilium_serves() {
    let versions = |version: &str| -> Vec<String> {
        let cni = format!(
            "    cni: {{ cilium: {{ version: {version}, l2Announcements: {{ pools: {{ lan: [10.0.0.200-210] }} }} }} }}\n  providers:"
        );
        let lab = changed(&[("  providers:", &cni)]);
        let group = lab.objects.iter().find(|group| group.name == "cilium-pools").unwrap();
        group.manifests.iter().map(|it| it.0["apiVersion"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(versions("1.16.5"), ["cilium.io/v2alpha1", "cilium.io/v2alpha1"]);
    assert_eq!(versions("1.18.3"), ["cilium.io/v2", "cilium.io/v2alpha1"]);
}

#[test]
fn what_is_not_built_is_named() {
    let missing = |pieces: &[(&str, &str)]| -> Vec<String> {
        changed(pieces).missing.into_iter().map(|missing| missing.what).collect()
    };
    assert_eq!(missing(&[]), [""; 0]);
    let sqlite = [
        ("datastore: etcd", "datastore: sqlite"),
        ("  loadBalancers:", "  backup: { schedule: \"0 3 * * *\" }\n  loadBalancers:"),
    ];
    assert!(missing(&sqlite).contains(&"backups of SQLite".to_string()), "{:?}", missing(&sqlite));
}

#[test]
fn hosts_of_a_balancer_hand_an_address_on() {
    let two = [
        ("addresses: [10.0.0.5]", "addresses: [10.0.0.5, 10.0.0.6]"),
        ("names: [front]", "name: 'front-{n}'"),
        ("by: haproxy", "by: haproxy\n      floating: { address: 10.0.0.4, interface: eth0 }"),
    ];
    let lab = changed(&two);
    let of = |host: &str| text(&lab, host, "/etc/keepalived/keepalived.conf");
    let (first, second) = (of("front-1"), of("front-2"));
    assert!(first.contains("virtual_router_id 4\n    priority 200\n"), "{first}");
    assert!(second.contains("virtual_router_id 4\n    priority 199\n"), "{second}");
    assert!(second.contains("unicast_src_ip 10.0.0.6\n    unicast_peer {\n        10.0.0.5\n    }\n"), "{second}");
    assert!(first.contains("nopreempt") && first.contains("        10.0.0.4/32\n"), "{first}");
    // What nodes are told, and what the API's certificate is for.
    assert_eq!(lab.kubernetes.endpoint.to_string(), "10.0.0.4:6443");
    assert!(text(&lab, "server-1", "/etc/rancher/k3s/config.yaml").contains("10.0.0.4"));
}

/// <https://docs.k3s.io/cli/etcd-snapshot#s3-compatible-object-store-support>; what is kept there is counted apart since
/// v1.33.4.
#[test]
fn snapshots_of_k3s_go_to_s3_with_keys_that_only_a_run_knows() {
    let backup = "  backup:\n    schedule: \"0 3 * * *\"\n    keep: { last: 7 }\n    to: { s3: { endpoint: \"https://s3.lan\", bucket: etcd, \
                  region: fr-par, folder: lab, accessKey: { env: A }, secretKey: { env: B } } }\n  loadBalancers:";
    let lab = changed(&[("  loadBalancers:", backup)]);
    let config = text(&lab, "server-1", "/etc/rancher/k3s/config.yaml");
    assert!(config.contains("etcd-snapshot-schedule-cron: 0 3 * * *\netcd-snapshot-retention: 7\n"), "{config}");
    let s3 = text(&lab, "server-3", "/etc/rancher/k3s/config.yaml.d/40-kubewright-s3.yaml");
    let expected = "etcd-s3: true\netcd-s3-endpoint: s3.lan\netcd-s3-bucket: etcd\netcd-s3-region: fr-par\netcd-s3-retention: 7\n\
                    etcd-s3-folder: lab\netcd-s3-access-key: |2-\n  ‹secret/backup-access-key›\netcd-s3-secret-key: |2-\n  \
                    ‹secret/backup-secret-key›\n";
    assert_eq!(s3, expected);
    assert!(!lab.missing.iter().any(|missing| missing.what.contains("another place")), "{:?}", lab.missing);
    assert!(
        !resources(&lab, "agent").iter().any(|it| matches!(it, HostResource::File(file) if file.path.contains("s3")))
    );
}
