//! What is asked of every host.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use kubewright_model::facts::{Boot, HostAddress, HostFacts, Packaging, Updates, Virtualisation};
use kubewright_model::host::{Before, DownloadWish, HostResource};
use kubewright_model::ids::{ClusterName, Owner};
use kubewright_model::observed::{CloudInit, HostSeen, KubernetesSeen};
use kubewright_model::programs::{KUBEADM, PROGRAMS, Program, RKE2};
use kubewright_model::spec::formats::Format as _;

use super::answers::{Answers, Ended};
use super::seen::Held;
use super::{ParseError, settings};

/// The parts of the sight that do not depend on resources.
pub(super) fn seen(answers: &Answers<'_>, meanwhile: &RangeInclusive<u64>) -> Result<HostSeen, ParseError> {
    let told = |what: &'static str| answers.always.get(what).copied().ok_or(ParseError::Missing { what });
    if !answers.always_done || !answers.search_done {
        return Err(ParseError::Missing { what: "the end" });
    }
    let clock: i64 = told("clock")?.parse().map_err(|_| ParseError::Missing { what: "clock" })?;
    let arch = match told("arch")? {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Ok(HostSeen {
        os: os(answers),
        arch: arch.to_string(),
        clock_skew: skew(clock, meanwhile),
        owner: owner(answers)?,
        ours: ours(answers)?,
        cloud_init: answers.always.get("cloud-init").map(|told| cloud_init(told)),
        boot: boot(answers),
        updates: updates(answers),
        certificates: certificates(answers),
        at: Some(*meanwhile.end()),
        ..HostSeen::default()
    })
}

/// How it was started, and whether it has to be again.
fn boot(answers: &Answers<'_>) -> Option<Boot> {
    let plain = |told: &&str| told.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
    let id = answers.always.get("boot").map(plain)?;
    let wanted = answers.always.get("reboot").map(plain).map(|packages| match packages.as_str() {
        "packages" => "packages were upgraded".to_string(),
        packages => format!("{} upgraded", packages.split(' ').collect::<Vec<_>>().join(", ")),
    });
    Some(Boot { id, wanted, awaits: None })
}

/// Packages that wait for an update, where that was asked and a package manager could tell.
fn updates(answers: &Answers<'_>) -> Option<Updates> {
    let mut words = answers.always.get("updates")?.split_whitespace();
    let listed = words.next()?.parse().ok().filter(|listed| *listed > 0);
    let name = |word: &&str| word.len() <= 200 && word.bytes().all(|byte| byte.is_ascii_graphic());
    Some(Updates { waiting: words.filter(name).map(String::from).collect(), listed })
}

/// Until when its certificates are good. What is none tells nothing of it.
fn certificates(answers: &Answers<'_>) -> BTreeMap<String, u64> {
    let good = answers.certificates.iter().filter_map(|(place, told)| {
        let der = BASE64_STANDARD.decode(told.trim_end()).ok()?;
        let der = match der.starts_with(b"-----BEGIN") {
            true => pem(std::str::from_utf8(&der).ok()?)?,
            false => der,
        };
        Some((format!("/{place}"), crate::certificate::good_until(&der)?))
    });
    good.collect()
}

/// The first certificate of a PEM.
fn pem(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    BASE64_STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
}

/// Whose the host is. What no cluster can be called must not pass for nobody's.
fn owner(answers: &Answers<'_>) -> Result<Option<Owner>, ParseError> {
    let Some(told) = answers.always.get("owner") else { return Ok(None) };
    ClusterName::check(told).map_err(|_| ParseError::Missing { what: "whose it is" })?;
    Ok(Some(Owner(ClusterName::new(*told))))
}

/// How far cloud-init is: in a word, or by the file with what went wrong.
fn cloud_init(told: &str) -> CloudInit {
    let result = BASE64_STANDARD.decode(told).ok();
    let result: serde_json::Value = result.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    let errors = result["v1"]["errors"].as_array().into_iter().flatten().filter_map(|error| error.as_str());
    let plain = |error: &str| error.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect::<String>();
    match (told, errors.map(plain).collect::<Vec<_>>()) {
        ("works", _) => CloudInit::AtWork,
        ("lost", _) => CloudInit::Failed("the host has booted, and it has not ended".into()),
        (_, errors) if errors.is_empty() => CloudInit::Failed("its result cannot be read".into()),
        (_, errors) => CloudInit::Failed(errors.join("; ")),
    }
}

/// What we have touched, by names in which nothing parts a path.
fn ours(answers: &Answers<'_>) -> Result<BTreeMap<String, Before>, ParseError> {
    let read = |line: &&str| match line.split_once('/') {
        Some(("absent", name)) => Ok((plain(name), Before::Absent)),
        Some(("there", name)) => Ok((plain(name), Before::There)),
        _ => Err(ParseError::Denied { resource: "what we have touched".into() }),
    };
    answers.ours.iter().map(read).collect()
}

fn plain(name: &str) -> String {
    name.replace("%2f", "/").replace("%25", "%")
}

/// How far a clock goes wrong, beyond what the way there and back may explain.
fn skew(clock: i64, meanwhile: &RangeInclusive<u64>) -> i64 {
    let ours = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    let (asked, answered) = (ours(*meanwhile.start()), ours(*meanwhile.end()));
    clock.saturating_sub(clock.clamp(asked, answered.max(asked)))
}

/// `Debian 12`, `Ubuntu 24.04`, `Rocky Linux 9.4`; a Proxmox node names itself, not the Debian below it.
fn os(answers: &Answers<'_>) -> String {
    let proxmox = answers.packages.iter().find_map(|line| line.strip_prefix("installed pve-manager "));
    if let Some(version) = proxmox.and_then(|line| line.split_whitespace().nth(1)) {
        return format!("Proxmox VE {}", version.split('.').next().unwrap_or(version));
    }
    let field = |name: &str| {
        let value = answers.release.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.map(settings::unquoted).unwrap_or_default()
    };
    let name = match field("ID") {
        "debian" => "Debian",
        "fedora" => "Fedora",
        _ => field("NAME"),
    };
    let name = if name.is_empty() { "Linux" } else { name };
    format!("{name} {}", field("VERSION_ID")).trim_end().to_string()
}

/// Everything else that is always asked for.
pub(super) fn facts(answers: &Answers<'_>) -> Result<HostFacts, ParseError> {
    let told = |what: &str| answers.always.get(what).copied();
    let text = |what: &str| told(what).map(str::to_string);
    let sources = answers.sources.iter().map(|(source, why)| (*source, (!why.is_empty()).then_some(*why)));
    Ok(HostFacts {
        login: text("login"),
        kernel: text("kernel"),
        cpus: told("cpus").and_then(cpus),
        memory_mib: told("memory").and_then(|line| Some(number(line.split_whitespace().nth(1)?)? / 1024)),
        free_disk_mib: told("disk").and_then(free),
        virtualisation: match (told("container"), told("virtual")) {
            (Some(kind), _) | (None, Some(kind)) => Some(virtualisation(kind)),
            (None, None) => None,
        },
        machine_id: text("machine-id"),
        addresses: answers
            .addresses
            .iter()
            .filter_map(|(interface, address)| place(answers, interface, address))
            .collect(),
        default_route: told("route").map(|interface| interface != "none"),
        listening: listening(answers),
        cgroup: told("cgroup").and_then(|version| version.parse().ok()),
        kmsg: told("kmsg") == Some("yes"),
        proc_sys_writable: told("proc-sys") == Some("yes"),
        firewalld: told("firewalld") == Some("yes"),
        selinux: told("selinux")
            .map(|policies| policies.split(' ').filter(|it| *it != "none").map(String::from).collect()),
        package_manager: match answers.manager.ok_or(ParseError::Missing { what: "packages" })? {
            "dpkg" => Some(Packaging::Dpkg),
            "rpm" => Some(Packaging::Rpm),
            _ => None,
        },
        kubernetes: answers.programs.iter().map(|program| format!("/{program}")).collect(),
        flush_us: told("flush").and_then(number),
        sources: sources.map(|(source, why)| (source.to_string(), why.map(str::to_string))).collect(),
        lacks: BTreeMap::new(),
    })
}

/// A distribution that we know to tell more about: the one that is asked for, else the one that is there.
pub(super) fn kubernetes(
    resources: &[HostResource],
    answers: &Answers<'_>,
    seen: &HostSeen,
) -> Result<Option<KubernetesSeen>, ParseError> {
    let joined = match answers.always.get("joined") {
        Some(&"yes") => true,
        Some(&"no") => false,
        Some(_) => return Err(ParseError::Denied { resource: "the data of Kubernetes".into() }),
        None => return Err(ParseError::Missing { what: "joined" }),
    };
    let asked = |program: &Program| asked_for(resources, program).is_some();
    let mut there = Vec::new();
    for program in &PROGRAMS {
        match answers.ended.get(program.name) {
            // The program can be seen, where what we wrote down about it cannot.
            Some(Ended::Done | Ended::Denied) => there.push(program),
            Some(Ended::Absent) => {}
            None => return Err(ParseError::Unanswered { resource: program.name.into() }),
        }
    }
    let under_way = answers.always.contains_key("under-way");
    // A mark that nobody can read may be a server's.
    let may_vote = answers.always.get("under-way").is_some_and(|role| !["first", "agent"].contains(role));
    let Some(program) = there.iter().find(|program| asked(program)).or(there.first()) else {
        let seen = KubernetesSeen { joined, under_way, may_vote, ..KubernetesSeen::default() };
        return Ok((joined || under_way).then_some(seen));
    };
    // The name of what was asked for and is there, or of what we once put there and nobody touched.
    let wish = asked_for(resources, program).filter(|(resource, wish)| super::seen::holds(wish, resource, seen));
    let name =
        wish.map(|(_, wish)| wish.artifact.name.as_str()).or_else(|| Held::of(answers, program.name).map(|it| it.name));
    let version = name.and_then(|name| name.strip_prefix(program.name)?.strip_prefix(' ')?.parse().ok());
    // The kubelet of kubeadm is on agents too.
    let of_server = **program != KUBEADM;
    let starting = of_server && starting(answers, program)?;
    // Who was cut off while kubeadm made it a server has an etcd that runs, and is none.
    let serving =
        starting || of_server && runs(answers, program)? || (of_server || joined) && outlives(answers, program);
    let begins = answers.always.get("begins") == Some(&"yes");
    Ok(Some(KubernetesSeen { version, joined, serving, starting, begins, under_way, may_vote }))
}

/// The wish for a program.
fn asked_for<'r>(resources: &'r [HostResource], program: &Program) -> Option<(&'r HostResource, &'r DownloadWish)> {
    resources.iter().find_map(|resource| match resource {
        HostResource::Download(wish) if wish.path == program.path => Some((resource, wish)),
        _ => None,
    })
}

/// How the unit of a server of it is.
fn unit<'a>(answers: &'a Answers<'_>, program: &Program) -> Result<(&'a str, &'a str), ParseError> {
    let unit = answers.units.get(program.name).and_then(|units| units.first());
    let unit = unit.ok_or_else(|| ParseError::Unanswered { resource: format!("the unit of {}", program.name) })?;
    let shown = |name| unit.get(name).copied().unwrap_or_default();
    Ok((shown("ActiveState"), shown("SubState")))
}

fn runs(answers: &Answers<'_>, program: &Program) -> Result<bool, ParseError> {
    Ok(matches!(unit(answers, program)?, ("active" | "reloading", _)))
}

/// It starts, which it says is over only when its API server is ready. One that has ended and is to be tried again does
/// not run meanwhile.
fn starting(answers: &Answers<'_>, program: &Program) -> Result<bool, ParseError> {
    let (active, sub) = unit(answers, program)?;
    Ok(active == "activating" && !sub.starts_with("auto-restart"))
}

/// etcd of RKE2 and of kubeadm is in a container, and listens also where the unit that has started it has ended.
fn outlives(answers: &Answers<'_>, program: &Program) -> bool {
    const ETCD: u16 = 2379;
    [RKE2, KUBEADM].contains(program) && listening(answers).contains(&ETCD)
}

/// The ports on which something listens.
fn listening(answers: &Answers<'_>) -> BTreeSet<u16> {
    let lines = answers.found.iter().filter(|(file, _)| file.starts_with("proc/net/"));
    lines.filter_map(|(_, line)| listening_port(line)).collect()
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

/// `0-3,6`: ranges of processors.
fn cpus(online: &str) -> Option<u32> {
    online.split(',').try_fold(0_u32, |sum, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

/// Free blocks and their size.
fn free(line: &str) -> Option<u64> {
    let (blocks, size) = line.split_once(' ')?;
    Some(number(blocks)?.checked_mul(number(size)?)? / 1024 / 1024)
}

fn virtualisation(kind: &str) -> Virtualisation {
    match kind {
        "none" => Virtualisation::None,
        "vm" | "qemu" | "kvm" | "amazon" | "vmware" | "microsoft" | "oracle" | "xen" | "apple" | "google"
        | "parallels" | "bhyve" | "uml" | "zvm" | "powervm" => Virtualisation::Vm,
        "lxc" => Virtualisation::Lxc,
        other => Virtualisation::Container(other.to_string()),
    }
}

fn place(answers: &Answers<'_>, interface: &str, address: &str) -> Option<HostAddress> {
    let address = address.split('/').next()?.parse().ok()?;
    // `eth0@if12` is an interface whose other end is elsewhere.
    let interface = interface.split('@').next()?;
    // The loopback interface has one that is nobody's.
    let mac = answers.macs.get(interface).filter(|mac| **mac != "00:00:00:00:00:00").map(|mac| (*mac).to_string());
    Some(HostAddress { interface: interface.to_string(), mac, address })
}

/// `0: 00000000:0016 00000000:0000 0A …`: the port in hexadecimal, and the state of one who listens.
fn listening_port(line: &str) -> Option<u16> {
    let mut words = line.split_whitespace().skip(1);
    let (_, port) = words.next()?.rsplit_once(':')?;
    (words.nth(1)? == "0A").then_some(())?;
    u16::from_str_radix(port, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{plain, skew};

    #[test]
    fn a_key_is_read_as_it_was_written_down() {
        assert_eq!(plain("file %2fetc%2fa b%252f"), "file /etc/a b%2f");
    }

    #[test]
    fn a_slow_answer_is_no_wrong_clock() {
        assert_eq!(skew(105, &(100..=110)), 0);
        assert_eq!(skew(95, &(100..=110)), -5);
        assert_eq!(skew(120, &(100..=110)), 10);
        assert_eq!(skew(120, &std::ops::RangeInclusive::new(110, 100)), 10, "our own clock was set back meanwhile");
    }
}
