//! What RKE2 demands.

use kubewright_model::desired::Desired;
use kubewright_model::host::{DownloadWish, HostResource};

use super::{changed, recipes, resources, steps, text};

/// The lab as RKE2, whose nodes register through the balancer as well.
fn lab(pieces: &[(&str, &str)]) -> Desired {
    let own = [
        ("distribution: k3s", "distribution: rke2"),
        ("v1.31.4+k3s1", "v1.33.5+rke2r1"),
        ("listen: [{ port: 6443, to: 6443 }]", "listen: [{ port: 6443, to: 6443 }, { port: 9345, to: 9345 }]"),
    ];
    changed(&[&own, pieces].concat())
}

fn under_kubernetes(text: &str) -> Desired {
    lab(&[("    datastore: etcd\n", &format!("    datastore: etcd\n{text}"))])
}

fn downloads<'d>(desired: &'d Desired, host: &str) -> Vec<&'d DownloadWish> {
    let downloads = resources(desired, host).iter().filter_map(|resource| match resource {
        HostResource::Download(wish) => Some(wish),
        _ => None,
    });
    downloads.collect()
}

const CONFIG: &str = "/etc/rancher/rke2/config.yaml";

/// The keys of RKE2's configuration that we write, as v1.31 to v1.36 know them on servers and on agents (`pkg/cli/cmds`).
const OF_AGENTS: [&str; 8] =
    ["node-name", "node-ip", "token-file", "node-label", "node-taint", "server", "profile", "lb-server-port"];
const OF_SERVERS: [&str; 25] = [
    "agent-token-file",
    "etcd-s3-endpoint-ca",
    "etcd-s3-retention",
    "write-kubeconfig-mode",
    "tls-san",
    "cluster-cidr",
    "service-cidr",
    "cluster-dns",
    "cluster-domain",
    "cni",
    "disable",
    "disable-kube-proxy",
    "ingress-controller",
    "audit-policy-file",
    "etcd-snapshot-schedule-cron",
    "etcd-snapshot-retention",
    "etcd-s3",
    "etcd-s3-endpoint",
    "etcd-s3-bucket",
    "etcd-s3-region",
    "etcd-s3-folder",
    "etcd-s3-insecure",
    "etcd-s3-access-key",
    "etcd-s3-secret-key",
    "secrets-encryption-provider",
];

fn keys(text: &str) -> Vec<&str> {
    let key = |line: &'_ str| !line.starts_with([' ', '-']) && line.contains(':');
    text.lines().filter(|line| key(line)).filter_map(|line| line.split(':').next()).collect()
}

#[test]
fn nothing_is_in_its_configuration_that_it_does_not_know() {
    let everything = "    agentToken: { generate: agent-token }\n    clusterDomain: lab.local\n    encryptSecrets: true\n    profile: cis\n    auditPolicy: { rules: [{ level: Metadata }] }\n    \
        cni: { cilium: { version: 1.18.3 } }\n";
    let around = "  ingress: { none: true }\n  addons: { metricsServer: {} }\n  backup:\n    schedule: \"0 3 * * *\"\n    \
        to: { s3: { endpoint: \"http://minio.lan:9000\", bucket: etcd, folder: lab, caFile: /etc/ssl/lan.pem, accessKey: { env: A }, secretKey: { env: B } } }\n  loadBalancers:";
    let lab =
        lab(&[("    datastore: etcd\n", &format!("    datastore: etcd\n{everything}")), ("  loadBalancers:", around)]);
    for host in ["server-1", "agent"] {
        let all = keys(&text(&lab, host, CONFIG)).into_iter().map(String::from).collect::<Vec<_>>();
        let known = |key: &&String| {
            OF_AGENTS.contains(&key.as_str()) || (host != "agent" && OF_SERVERS.contains(&key.as_str()))
        };
        let unknown: Vec<_> = all.iter().filter(|key| !known(key)).collect();
        assert!(unknown.is_empty(), "{host}: {unknown:?}");
        assert!(all.contains(&"profile".to_string()), "{host}: {all:?}");
    }
    let s3 = text(&lab, "server-2", "/etc/rancher/rke2/config.yaml.d/40-kubewright-s3.yaml");
    assert!(keys(&s3).iter().all(|key| OF_SERVERS.contains(key)), "{s3}");
    assert!(
        s3.contains("etcd-s3-endpoint: minio.lan:9000\n")
            && s3.contains("etcd-s3-retention: 5\n")
            && s3.contains("etcd-s3-endpoint-ca: /etc/ssl/lan.pem\n")
            && s3.contains("etcd-s3-insecure: true\n"),
        "{s3}"
    );
    assert!(s3.contains("etcd-s3-secret-key: |2-\n  ‹secret/backup-secret-key›\n"), "{s3}");
}

#[test]
fn the_program_comes_out_of_the_archive_that_the_install_script_unpacks() {
    let lab = lab(&[]);
    let [program] = downloads(&lab, "agent")[..] else { panic!("one download") };
    assert_eq!(program.path, "/usr/local/bin/rke2");
    assert_eq!(program.member.as_deref(), Some("bin/rke2"));
    let release = "https://github.com/rancher/rke2/releases/download/v1.33.5%2Brke2r1";
    assert_eq!(program.artifact.url, format!("{release}/rke2.linux-{{arch}}.tar.gz"));
    assert_eq!(program.artifact.name, "rke2 v1.33.5+rke2r1");
    let proof = serde_json::to_value(&program.artifact.proof).unwrap();
    assert_eq!(proof["checksums"]["url"], format!("{release}/sha256sum-{{arch}}.txt"));
    assert_eq!(proof["checksums"]["file"], "rke2.linux-{arch}.tar.gz");
}

#[test]
fn images_from_an_archive_are_those_of_the_plug_in() {
    let files = |cni: &str| -> Vec<String> {
        let lab = under_kubernetes(&format!("    airgapImages: true\n{cni}"));
        downloads(&lab, "agent")[1..].iter().map(|wish| wish.path.rsplit('/').next().unwrap().to_string()).collect()
    };
    assert_eq!(files(""), ["rke2-images.tar.zst"]);
    assert_eq!(files("    cni: { calico: {} }\n"), ["rke2-images-core.tar.zst", "rke2-images-calico.tar.zst"]);
    assert_eq!(files("    cni: { cilium: { version: 1.18.3 } }\n"), ["rke2-images-core.tar.zst"]);
    let ingress = |version: &str, ingress: &str| -> Vec<String> {
        let lab = lab(&[
            ("v1.33.5+rke2r1", version),
            ("    datastore: etcd\n", "    datastore: etcd\n    airgapImages: true\n"),
            ("  loadBalancers:", &format!("{ingress}  loadBalancers:")),
        ]);
        downloads(&lab, "agent")[2..].iter().map(|wish| wish.path.rsplit('/').next().unwrap().to_string()).collect()
    };
    let traefik = "  ingress: { traefik: {} }\n";
    assert_eq!(ingress("v1.35.0+rke2r1", ""), [""; 0]);
    assert_eq!(ingress("v1.35.0+rke2r1", traefik), ["rke2-images-traefik.tar.zst"]);
    assert_eq!(ingress("v1.36.3+rke2r1", traefik), [""; 0]);
    assert_eq!(ingress("v1.36.3+rke2r1", ""), ["rke2-images-ingress-nginx.tar.zst"], "an older cluster keeps it");
}

#[test]
fn nodes_register_on_a_port_of_their_own() {
    let lab = lab(&[]);
    assert!(text(&lab, "agent", CONFIG).contains("server: https://10.0.0.5:9345\n"));
    assert!(!text(&lab, "server-1", CONFIG).contains("server:"), "servers are all alike");
    let balancer = text(&lab, "front", "/etc/haproxy/haproxy.cfg");
    assert!(balancer.contains(" 10.0.0.10:9345 ") && !balancer.contains("server agent"), "{balancer}");
    let init = steps(recipes(&lab, "server-1").init.as_ref().unwrap());
    let membership = "/etc/rancher/rke2/config.yaml.d/50-kubewright-membership.yaml";
    assert_eq!(init[1], format!("remove {membership}"), "it begins a cluster where nothing says which one to join");
    assert_eq!(*init.last().unwrap(), format!("write {membership}: server: https://10.0.0.5:9345"));
    assert!(
        init[4].contains("/var/lib/rancher/rke2/bin/kubectl --kubeconfig /etc/rancher/rke2/rke2.yaml"),
        "{init:#?}"
    );
}

#[test]
fn a_server_is_upgraded_only_when_the_new_control_plane_runs() {
    let lab = lab(&[]);
    let upgrade = steps(&recipes(&lab, "server-1").upgrade);
    assert_eq!(upgrade[0], "restart rke2-server.service");
    assert_eq!(upgrade[1], "until systemctl is-active --quiet rke2-server.service", "the old API answers until then");
    assert!(upgrade[2].ends_with("get --raw /readyz") && upgrade[3].contains("v1.33.5+rke2r1 True"), "{upgrade:#?}");
}

#[test]
fn cilium_reaches_the_api_where_no_single_server_is_in_the_way() {
    let lab = under_kubernetes("    cni: { cilium: { version: 1.18.3 } }\n");
    let cilium = lab.releases.iter().find(|release| release.chart == "cilium").unwrap();
    assert_eq!(
        (&cilium.values["k8sServiceHost"], &cilium.values["k8sServicePort"]),
        (&"localhost".into(), &6443.into())
    );
}

#[test]
fn a_hardened_cluster_lets_the_api_reach_its_metrics() {
    let addons = ("  loadBalancers:", "  addons: { metricsServer: {} }\n  loadBalancers:");
    let label = |profile: &str| {
        let lab = lab(&[addons, ("    datastore: etcd\n", &format!("    datastore: etcd\n{profile}"))]);
        let release = lab.releases.iter().find(|release| release.chart == "metrics-server").unwrap();
        release.values["podLabels"]["app"].clone()
    };
    assert_eq!(label("    profile: cis\n"), "rke2-metrics-server");
    assert_eq!(label(""), serde_json::Value::Null);
}

#[test]
fn a_disk_that_holds_the_data_is_not_unmounted() {
    let leave = steps(&recipes(&lab(&[]), "server-1").leave);
    let unmount = leave.iter().find(|step| step.contains("umount")).unwrap();
    assert!(unmount.contains("/run/k3s") && !unmount.contains("/var/lib/rancher"), "{unmount}");
}

#[test]
fn the_kubelet_and_containerd_end_with_their_unit() {
    let lab = lab(&[]);
    for (host, unit, role) in [("server-1", "rke2-server.service", "server"), ("agent", "rke2-agent.service", "agent")]
    {
        let unit = text(&lab, host, unit);
        assert!(unit.contains(&format!("\nExecStart=/usr/local/bin/rke2 {role}\nExecStopPost=-/bin/sh -c ")), "{unit}");
    }
}

#[test]
fn network_manager_leaves_the_pods_links_alone_before_there_are_any() {
    let lab = lab(&[]);
    assert!(text(&lab, "agent", "/etc/NetworkManager/conf.d/rke2-canal.conf").contains("interface-name:cali*;"));
    let join = steps(&recipes(&lab, "agent").join);
    let at = |text: &str| join.iter().position(|step| step.contains(text)).unwrap_or_else(|| panic!("{join:#?}"));
    assert!(at("reload NetworkManager") < at("start rke2-agent.service"));
}

/// Hardened, with a kernel setting that the file would have otherwise.
fn lab_with_settings() -> Desired {
    let settings = "  hosts:\n    sysctls: { kernel.panic: \"0\" }\n";
    lab(&[("    datastore: etcd\n", "    datastore: etcd\n    profile: cis\n"), ("  hosts:\n", settings)])
}

#[test]
fn hardened_hosts_have_what_it_does_not_start_without() {
    let lab = under_kubernetes("    profile: cis\n    auditPolicy: { rules: [{ level: Metadata }] }\n");
    let has = |host: &str, key: &str| resources(&lab, host).iter().any(|resource| resource.key() == key);
    for host in ["server-1", "agent"] {
        for key in ["vm.panic_on_oom", "vm.overcommit_memory", "kernel.panic", "kernel.panic_on_oops"] {
            assert!(has(host, &format!("sysctl {key}")), "{host} {key}");
        }
    }
    assert!(has("server-1", "user etcd") && !has("agent", "user etcd"));
    let own = lab_with_settings();
    let panics: Vec<_> = resources(&own, "agent").iter().filter(|it| it.key() == "sysctl kernel.panic").collect();
    assert_eq!(panics, [&HostResource::Sysctl { key: "kernel.panic".into(), value: "10".into() }]);
    let policy = text(&lab, "server-1", "/etc/rancher/rke2/audit-policy.yaml");
    assert!(policy.contains("kind: Policy\n") && policy.contains("level: Metadata"), "{policy}");
}

#[test]
fn registries_are_told_with_their_passwords_as_holes() {
    let lab = under_kubernetes(
        "    registries:\n      docker.io: { mirrors: [\"https://registry.lan:5000\"], rewrite: { \"^rancher/(.*)\": mirror/$1 } }\n      \
         registry.lan:5000: { login: { user: puller, password: { env: PULL } }, caFile: /etc/ssl/lan.pem }\n",
    );
    let file = text(&lab, "agent", "/etc/rancher/rke2/registries.yaml");
    assert_eq!(
        file,
        "mirrors:\n  docker.io:\n    endpoint:\n    - https://registry.lan:5000\n    rewrite:\n      ^rancher/(.*): mirror/$1\n\
         configs:\n  \"registry.lan:5000\":\n    auth:\n      username: \"puller\"\n      password: |2-\n        \
         ‹secret/registry-registry.lan:5000›\n    tls:\n      ca_file: \"/etc/ssl/lan.pem\"\n"
    );
    assert!(lab.secrets.contains_key("registry-registry.lan:5000"));
}

#[test]
fn leaving_takes_what_its_uninstall_script_takes() {
    let leave = steps(&recipes(&lab(&[]), "server-1").leave);
    assert_eq!(leave[0], "stop rke2-server.service");
    assert!(leave[2].contains("'^/var/lib/rancher/rke2/data/[^/]*/bin/containerd-shim'"), "{leave:#?}");
    for path in ["/usr/local/bin/rke2", "/etc/rancher/rke2", "/etc/rancher/node", "/var/lib/rancher/rke2", "/etc/cni"] {
        assert!(leave.contains(&format!("remove {path}")), "{path}: {leave:#?}");
    }
}

#[test]
fn a_server_keeps_its_own_port_behind_a_balancer_with_another() {
    let server = Some("10.0.0.10".parse().unwrap());
    let behind = lab(&[("endpoint: { loadBalancer: api }", "endpoint: { loadBalancer: api, port: 443 }")]);
    assert_eq!((behind.kubernetes.endpoint.port, behind.kubernetes.api_port(server)), (443, 6443));
    let itself = changed(&[("endpoint: { loadBalancer: api }", "endpoint: { host: 10.0.0.10, port: 8443 }")]);
    assert_eq!(itself.kubernetes.api_port(server), 8443);
    assert_eq!(itself.kubernetes.api_port(Some("10.0.0.11".parse().unwrap())), 6443);
}

#[test]
fn a_server_that_was_cut_off_before_it_was_said_is_told_which_cluster_it_is_of() {
    let lab = lab(&[]);
    let belong = steps(recipes(&lab, "server-2").belong.as_ref().unwrap());
    let file = "/etc/rancher/rke2/config.yaml.d/50-kubewright-membership.yaml";
    assert_eq!(belong, [format!("write {file}: server: https://10.0.0.5:9345")], "and nothing is restarted");
    assert!(recipes(&lab, "agent").belong.is_none());
    let sqlite = changed(&[("    datastore: etcd\n", "    datastore: sqlite\n")]);
    assert!(recipes(&sqlite, "server-1").belong.is_none(), "SQLite has no others");
}

#[test]
fn agents_have_a_token_that_makes_nobody_a_server() {
    for (lab, name) in [
        (under_kubernetes("    agentToken: { generate: agent-token }\n"), "rke2"),
        (changed(&[("    datastore: etcd\n", "    datastore: etcd\n    agentToken: { env: AGENTS }\n")]), "k3s"),
    ] {
        let file = |host: &str, file: &str| text(&lab, host, &format!("/etc/rancher/{name}/{file}"));
        assert_eq!((file("agent", "token").as_str(), file("server-1", "token").as_str()), AGENTS_AND_SERVERS);
        assert_eq!(file("server-1", "agent-token"), "‹secret/agent-token›");
        let line = format!("agent-token-file: /etc/rancher/{name}/agent-token\n");
        assert!(
            file("server-1", "config.yaml").contains(&line) && !file("agent", "config.yaml").contains("agent-token")
        );
        assert!(!resources(&lab, "agent").iter().any(|it| format!("{it:?}").contains("join-token")), "{name}");
    }
    assert_eq!(text(&lab(&[]), "agent", "/etc/rancher/rke2/token"), "‹secret/join-token›", "one for all is the usual");
}

const AGENTS_AND_SERVERS: (&str, &str) = ("‹secret/agent-token›", "‹secret/join-token›");

#[test]
fn canal_is_told_its_interface_before_the_first_start() {
    let lab = under_kubernetes("    cni: { canal: { interface: eth1 } }\n");
    let path = "/var/lib/rancher/rke2/server/manifests/kubewright-canal.yaml";
    let config: serde_json::Value = serde_saphyr::from_str(&text(&lab, "server-2", path)).unwrap();
    assert_eq!((&config["kind"], &config["metadata"]["name"]), (&"HelmChartConfig".into(), &"rke2-canal".into()));
    let values: serde_json::Value = serde_saphyr::from_str(config["spec"]["valuesContent"].as_str().unwrap()).unwrap();
    assert_eq!(values, serde_json::json!({ "flannel": { "iface": "eth1" } }));
    assert!(!resources(&lab, "agent").iter().any(|it| it.key().contains("manifests")), "servers apply manifests");
    assert!(!resources(&super::lab(), "server-1").iter().any(|it| it.key().contains("manifests")));
}

#[test]
fn snapshots_that_somebody_asks_for_do_not_pile_up() {
    let kept = |last: &str| {
        let backup = format!("  backup: {{ schedule: \"0 3 * * *\", keep: {{ last: {last} }} }}\n  loadBalancers:");
        let lab = lab(&[("  loadBalancers:", &backup)]);
        steps(recipes(&lab, "server-1").snapshot.as_ref().unwrap())
    };
    let prune = "\n/usr/local/bin/rke2 etcd-snapshot prune --name kubewright --etcd-snapshot-retention 7";
    let saves = &kept("7")[0];
    assert!(saves.ends_with(prune) && saves.contains("\n/usr/local/bin/rke2 etcd-snapshot save --name kubewright\n"));
    assert_eq!(kept("7")[1], "bring /var/lib/rancher/rke2/server/db/snapshots/kubewright-*");
    let all = steps(recipes(&lab(&[]), "server-1").snapshot.as_ref().unwrap());
    assert!(!all[0].contains("prune"), "nobody said how many");
}
