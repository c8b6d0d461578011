//! `kubewright init`: a first spec, from an example or by a few questions.

use std::io::{BufRead as _, Write as _};
use std::path::Path;

use kubewright_engine::Engine;
use kubewright_model::ids::ClusterName;
use kubewright_model::net::{AddressRange, Cidr};
use kubewright_model::spec::formats::Format;
use serde_json::{Map, Value, json};

use super::write;
use crate::arguments::Init;
use crate::problem::{Done, Problem};
use crate::screen::{CARE, DIM, GOOD, HEAD, hand, paint, quoted, remark, say};
use crate::source::{self, STANDARD_INPUT};
use crate::view::table::{lines, table};

/// The examples, with what each shows.
const EXAMPLES: [(&str, &str, &str); 5] = [
    (
        "devboard",
        "K3s in three Proxmox containers: monitoring, logs, Vault",
        include_str!("../../../../examples/devboard/cluster.yaml"),
    ),
    (
        "valaskjalf",
        "RKE2 in high availability on Proxmox machines",
        include_str!("../../../../examples/valaskjalf/cluster.yaml"),
    ),
    ("mlops", "kubeadm on machines that exist already", include_str!("../../../../examples/mlops/cluster.yaml")),
    (
        "vixens",
        "Talos with Cilium, everything else from Git by Argo CD",
        include_str!("../../../../examples/vixens/cluster.yaml"),
    ),
    (
        "keybuzz",
        "K3s in high availability at Hetzner, behind load balancers",
        include_str!("../../../../examples/keybuzz/cluster.yaml"),
    ),
];
/// The line that tells editors where the schema is; an example's own path leads nowhere outside of its folder.
const SCHEMA_LINE: &str = "# yaml-language-server: $schema=";
/// The newest K3s version that the defaults were looked up for.
const VERSION: &str = "v1.31.4+k3s1";

pub(super) fn run(init: &Init) -> Result<Done, Problem> {
    if init.list {
        let mut list = table(&["EXAMPLE", "WHAT IT SHOWS", "IN THIS VERSION"]);
        list.add_rows(
            EXAMPLES.map(|(name, shows, text)| [name, shows, if whole(text) { "rehearses" } else { "validates" }]),
        );
        say!("{}", lines(&list));
        return Ok(Done::Well);
    }
    let print = init.out == Path::new(STANDARD_INPUT);
    if !print && init.out.exists() {
        let problem = Problem::new(Done::Usage, format!("{} exists and is not overwritten", init.out.display()));
        return Err(problem.hint("write to another file with `--out`"));
    }
    let text = match &init.example {
        Some(name) => example(name)?,
        None => questions()?,
    };
    if print {
        hand!("{}", text.trim_end());
        return Ok(Done::Well);
    }
    if let Err(found) = Engine::load(&text) {
        // Answers may be wrong in ways that only the whole spec shows; it is written so that it can be mended.
        write(&init.out, &text)?;
        source::show(&init.out, &text, &found);
        return Ok(Done::Invalid);
    }
    write(&init.out, &text)?;
    let file = quoted(&init.out);
    let then = if whole(&text) { "rehearse" } else { "plan --assume-empty" };
    remark!("{} next: `kubewright validate {file}`, then `kubewright {then} {file}`", paint(GOOD, "✓"));
    Ok(Done::Well)
}

/// Whether this version builds all of a spec, at least in a pretend data centre.
fn whole(text: &str) -> bool {
    Engine::load(text).is_ok_and(|loadout| loadout.desired.missing.iter().all(|missing| !missing.blocks))
}

fn example(wanted: &str) -> Result<String, Problem> {
    let names = EXAMPLES.map(|(name, ..)| name);
    let Some((_, _, text)) = EXAMPLES.iter().find(|(name, ..)| *name == wanted) else {
        let problem = Problem::new(Done::Usage, format!("there is no example `{wanted}`"));
        let near = kubewright_model::diagnostic::nearest(wanted, names);
        let problem = near.into_iter().fold(problem, |problem, near| problem.hint(format!("did you mean `{near}`?")));
        return Err(problem.hint(format!("examples are {}", names.join(", "))));
    };
    let lines = text.lines().filter(|line| !line.starts_with(SCHEMA_LINE));
    Ok(lines.flat_map(|line| [line, "\n"]).collect())
}

/// What a K3s cluster cannot do without.
struct Answers {
    name: String,
    addresses: Addresses,
    /// The Proxmox cluster, unless hosts are there already.
    proxmox: Option<Value>,
}

struct Addresses {
    network: String,
    gateway: String,
    servers: String,
    /// `-` for none.
    agents: String,
}

fn questions() -> Result<String, Problem> {
    remark!("{} {}", paint(HEAD, "A first spec."), paint(DIM, "Return takes what stands in brackets."));
    let name = ask("The cluster's name", "homelab", form::<ClusterName>)?;
    let place = ask("Where: `proxmox` containers, or `existing` hosts", "proxmox", |answer| match answer {
        "proxmox" | "existing" => Ok(()),
        _ => Err("write `proxmox` or `existing`; other places stand in the examples: `kubewright init --list`".into()),
    })?;
    let addresses = addresses()?;
    let proxmox = if place == "proxmox" { Some(proxmox()?) } else { None };
    serde_saphyr::to_string(&file(&Answers { name, addresses, proxmox }))
        .map_err(|error| Problem::new(Done::Bug, "the answers have no YAML form").because(error.to_string()))
}

fn addresses() -> Result<Addresses, Problem> {
    let network = ask("The machines' network", "192.168.1.0/24", form::<Cidr>)?;
    let net: Option<Cidr> = network.parse().ok();
    let nth = |n: u32| net.and_then(|net| net.nth(n)).map(|address| address.to_string()).unwrap_or_default();
    let inside = |answer: &str| {
        let range: AddressRange = answer.parse()?;
        let fits = net.is_none_or(|net| net.contains(range.first()) && net.contains(range.last()));
        if fits { Ok(()) } else { Err(format!("it is not in {network}")) }
    };
    let gateway = ask("Its gateway", &nth(1), inside)?;
    let servers = ask("Addresses of servers: one, or a range of three such as 192.168.1.40-42", &nth(40), |answer| {
        inside(answer)?;
        match answer.parse::<AddressRange>()?.count() {
            many if many % 2 == 1 => Ok(()),
            many => Err(format!("{many} servers are an even number of etcd members: make it one more or one less")),
        }
    })?;
    let agents = ask("Addresses of agents; `-` for none", &nth(43), |answer| match answer {
        "-" => Ok(()),
        answer => inside(answer),
    })?;
    Ok(Addresses { network, gateway, servers, agents })
}

fn proxmox() -> Result<Value, Problem> {
    let endpoint = ask("The Proxmox API", "https://proxmox:8006", |answer| {
        if answer.starts_with("https://") { Ok(()) } else { Err("it begins with https://".into()) }
    })?;
    let node = ask("The Proxmox node", "pve", |_| Ok(()))?;
    Ok(json!({
        "endpoint": endpoint, "tokenId": "root@pam!kubewright", "tokenSecret": { "env": "PROXMOX_TOKEN_SECRET" },
        "node": node, "vmids": "400-499", "ssh": { "keyFile": "~/.ssh/id_ed25519" },
    }))
}

/// The spec file that the answers make, in the order in which a person would write it.
fn file(answers: &Answers) -> Value {
    let Answers { name, addresses: Addresses { network, gateway, servers, agents }, proxmox } = answers;
    let mut kubernetes = json!({ "distribution": "k3s", "version": VERSION });
    if let Ok(range) = servers.parse::<AddressRange>().map_err(drop)
        && range.count() > 1
    {
        // Clients need one address; without a load balancer it is one server's.
        kubernetes["endpoint"] = json!({ "host": range.first() });
    }
    let mut spec = Map::new();
    spec.insert("kubernetes".into(), kubernetes);
    if let Some(proxmox) = proxmox {
        spec.insert("providers".into(), json!({ "proxmox": proxmox }));
    }
    spec.insert("network".into(), json!({ "cidr": network, "gateway": gateway, "nameservers": [gateway] }));
    spec.insert("hosts".into(), json!({ "ssh": { "keyFile": "~/.ssh/id_ed25519" }, "packages": ["curl"] }));
    let made = proxmox.is_some();
    let mut pools = Map::new();
    pools.insert("servers".into(), pool("both", &format!("{name}-server-{{n}}"), servers, made));
    if agents != "-" {
        pools.insert("agents".into(), pool("agent", &format!("{name}-agent-{{n}}"), agents, made));
    }
    spec.insert("pools".into(), Value::Object(pools));
    json!({
        "apiVersion": "kubewright.dev/v1alpha1", "kind": "Cluster", "metadata": { "name": name }, "spec": spec,
    })
}

/// Whether an answer has the form of a type of the language.
fn form<T: Format>(answer: &str) -> Result<(), String> {
    T::check(answer)
}

/// Hosts that are there already, or containers that are `made`.
fn pool(role: &str, name: &str, addresses: &str, made: bool) -> Value {
    let mut pool = Map::new();
    pool.insert("role".into(), role.into());
    pool.insert("name".into(), name.into());
    pool.insert("addresses".into(), json!([addresses]));
    if made {
        pool.insert("cores".into(), 4.into());
        pool.insert("memory".into(), "4Gi".into());
        pool.insert("disk".into(), "32Gi".into());
        pool.insert(
            "proxmox".into(),
            json!({ "lxc": { "template": "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst" } }),
        );
    } else {
        pool.insert("existing".into(), json!({}));
    }
    Value::Object(pool)
}

/// Asks until the answer is right. Answers that come from a file end some time, and so does this.
fn ask(question: &str, default: &str, check: impl Fn(&str) -> Result<(), String>) -> Result<String, Problem> {
    loop {
        let _ = write!(anstream::stderr(), "{question} [{default}]: ");
        let _ = std::io::stderr().flush();
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        let read =
            read.map_err(|error| Problem::new(Done::Usage, "cannot read the answer").because(error.to_string()))?;
        if read == 0 {
            let problem = Problem::new(Done::Usage, "the answers ended before the questions did; nothing was written");
            return Err(problem.hint("begin with an example instead: `kubewright init --list`"));
        }
        let answer = if answer.trim().is_empty() { default } else { answer.trim() };
        match check(answer) {
            Ok(()) => return Ok(answer.to_string()),
            Err(why) => remark!("{} {why}", paint(CARE, "?")),
        }
    }
}
