//! A host that lies, babbles or floods.

use std::time::{Duration, Instant};

use kubewright_model::programs::{KUBEADM_UNDER_WAY, KUBELET_CONFIG, PROGRAMS};
use proptest::prelude::*;

use super::super::{ParseError, parse, script};
use super::recorded::{recorded, resources};

/// Words that begin lines, so that babble gets far.
const WORDS: &str = "(release|kernel|arch|clock|cpus|memory|disk|done|absent|denied|stat|record|text|value|link|\
                     hostname|zone|locale|swap|sshd|sums|sums done|units|units done|search|search done|packages|\
                     package installed|provides installed|always done|joined|2:|Names=|ActiveState=)";

fn line() -> impl Strategy<Value = String> {
    proptest::string::string_regex(&format!("{WORDS}( [0-9k.-]{{1,3}})?( [ -~é]{{0,20}})?")).expect("it is right")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let _ = parse(&resources(), &String::from_utf8_lossy(&bytes), 0..=0);
    }

    #[test]
    fn babble(lines in proptest::collection::vec(line(), 0..200)) {
        let _ = parse(&resources(), &lines.join("\n"), 0..=0);
    }

    /// Lines that go, come twice, change places, are cut, or have another byte.
    #[test]
    fn mutations(
        which in 0_usize..7,
        edits in proptest::collection::vec((0_u8..5, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut lines: Vec<Vec<u8>> = recorded()[which].1.lines().map(|line| line.as_bytes().to_vec()).collect();
        for (kind, first, second, byte) in edits {
            let (at, to) = (first.index(lines.len()), second.index(lines.len()));
            match kind {
                0 => drop(lines.remove(at)),
                1 => { let line = lines[at].clone(); lines.insert(to, line); }
                2 => lines.swap(at, to),
                3 => { let length = second.index(lines[at].len() + 1); lines[at].truncate(length); }
                _ => { let length = lines[at].len(); if let Some(there) = lines[at].get_mut(second.index(length.max(1))) { *there = byte; } }
            }
        }
        let _ = parse(&resources(), &String::from_utf8_lossy(&lines.join(&b'\n')), u64::MAX..=u64::MAX);
    }
}

#[test]
fn a_flood_is_an_error_and_soon() {
    let good = &recorded()[0].1;
    assert!(matches!(parse(&resources(), &"x".repeat(9_000_000), 0..=0), Err(ParseError::TooMuch { .. })));
    let long = format!("{good}\nkernel {}", "x".repeat(100_000));
    assert!(matches!(parse(&resources(), &long, 0..=0), Err(ParseError::Line { line, .. }) if line.len() <= 120));
    let floods = [
        "text 5 x",
        "value 3 1",
        "release ID=x",
        "package installed a b c",
        "provides installed a,a,a,a,a,a,a,a",
        "swap 12 now",
        "sshd 14 port 1",
        "locale 11 LANG=x",
        "hostname 9 now x",
        "program x",
        "2: a inet 10.0.0.1/8",
        "record 15 a b c d",
    ];
    for flood in floods {
        let started = Instant::now();
        let printed = format!("{good}{}", format!("{flood}\n").repeat(2_000_000 / (flood.len() + 1)));
        let _ = parse(&resources(), &printed, 0..=0);
        // It takes some hundred milliseconds without optimisation; what is not linear would take many minutes.
        assert!(started.elapsed() < Duration::from_secs(10), "{flood}");
    }
    for flood in ["etc/sysctl.d/a.conf:a.b=c\n", "proc/net/tcp: 0: 0:16 0:0 0A\n"] {
        let flooded = format!("search\n{}", flood.repeat(2_000_000 / flood.len() - 1000));
        let started = Instant::now();
        parse(&resources(), &good.replace("search\n", &flooded), 0..=0).expect("it is long and true");
        assert!(started.elapsed() < Duration::from_secs(10), "{flood}");
    }
}

#[test]
fn an_unknown_line_is_named() {
    let (_, good) = &recorded()[0];
    let printed = good.replacen("always done", "sudo: unable to resolve host\nalways done", 1);
    let error = parse(&resources(), &printed, 0..=0).expect_err("it is none of ours");
    let number = printed.lines().position(|line| line.starts_with("sudo")).expect("it is there") + 1;
    assert_eq!(error, ParseError::Line { number, line: "sudo: unable to resolve host".into() });
    assert_eq!(
        error.to_string(),
        format!("line {number} of the host's answer is none that was asked for: \"sudo: unable to resolve host\"")
    );
}

#[test]
fn a_missing_answer_names_its_resource() {
    let (_, good) = &recorded()[0];
    let without = good.replace("done 4\n", "");
    let error = parse(&resources(), &without, 0..=0).expect_err("one is missing");
    assert_eq!(error.to_string(), "the host did not answer for file /etc/motd");
    let denied = good.replace("done 4\n", "denied 4\n");
    let error = parse(&resources(), &denied, 0..=0).expect_err("one is closed");
    assert_eq!(error.to_string(), "file /etc/motd cannot be looked at: permission denied");
}

#[test]
fn a_program_that_tells_half_is_not_believed() {
    let (_, good) = &recorded()[0];
    let lost = format!("{}  ./etc/motd\n", "d".repeat(64));
    let error = parse(&resources(), &good.replace(&lost, ""), 0..=0).expect_err("a digest is missing");
    assert_eq!(error.to_string(), "the host did not tell all digests");
    let start = good.find("Names=chrony").expect("it is there");
    let end = good.find("Names=ntpsec").expect("it is there");
    let error =
        parse(&resources(), &format!("{}{}", &good[..start], &good[end..]), 0..=0).expect_err("units are missing");
    assert_eq!(error.to_string(), "the host did not tell the state of its units (does systemd run there?)");
}

#[test]
fn the_script_calls_programs_as_everybody_does() {
    let whole = script(&[], false, false);
    let names = PROGRAMS.iter().flat_map(|program| [program.path, program.units[0]]);
    let members = ["k3s/agent/kubelet.kubeconfig", "rke2/agent/kubelet.kubeconfig", KUBELET_CONFIG, KUBEADM_UNDER_WAY];
    for word in names.chain(members).map(|word| word.trim_start_matches('/')) {
        assert!(whole.contains(word), "{word}");
    }
}
