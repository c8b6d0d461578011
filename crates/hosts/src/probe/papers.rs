//! What doctor reads of a host: the script, and what came of it.

use kubewright_model::doctor::{Paper, Papers};

/// The body of the script that shows all papers of a host.
pub(crate) fn script() -> String {
    let lines = include_str!("papers.sh").lines().map(str::trim_start);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).fold(String::new(), |body, line| body + line + "\n")
}

/// What the script has printed. `now` is this computer's clock, at the moment of the answer: the script asks for the host's
/// clock last.
pub(crate) fn parse(printed: &str, now: u64) -> Papers {
    let mut papers = Papers { asked: now, ..Papers::default() };
    let mut open: Option<String> = None;
    for line in printed.lines() {
        if let Some(head) = line.strip_prefix('=') {
            let Some((name, status)) = head.split_once(' ') else { continue };
            let paper = match status.parse() {
                Ok(status) => Paper::Text { text: String::new(), status },
                Err(_) if status == "late" => Paper::Late,
                Err(_) => Paper::NotThere,
            };
            papers.papers.insert(name.into(), paper);
            open = Some(name.into());
        } else if let (Some(line), Some(name)) = (line.strip_prefix('|'), &open)
            && let Some(Paper::Text { text, .. }) = papers.papers.get_mut(name)
        {
            text.push_str(line);
            text.push('\n');
        }
    }
    papers
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_paper_is_a_text_or_is_not_there_and_noise_is_neither() {
        let papers =
            parse("noise\n=df 0\n|Filesystem\n|=swap 1\n=chrony -\n|lost\n=units 1\n|Failed\n=dpkg-audit late\n", 7);
        assert_eq!(papers.text("df"), Some("Filesystem\n=swap 1\n"));
        assert!(papers.lacks("chrony") && !papers.lacks("df") && papers.text("chrony").is_none());
        assert_eq!((papers.status("units"), papers.asked, papers.papers.len()), (Some(1), 7, 4));
        assert!(papers.is_late("dpkg-audit") && !papers.lacks("dpkg-audit") && papers.text("dpkg-audit").is_none());
    }

    #[test]
    fn this_computer_shows_its_papers() {
        let body = format!("kw_main() {{\n{}\n}}\nkw_main </dev/null", script());
        let output = Command::new("sh").args(["-c", &body]).output().expect("there is a shell");
        let papers = parse(&String::from_utf8_lossy(&output.stdout), 0);
        assert!(papers.text("df").is_some_and(|text| text.starts_with("Filesystem")), "{papers:?}");
        assert!(papers.text("clock").is_some_and(|text| text.trim().parse::<u64>().is_ok()));
        assert!(papers.text("swaps").is_some_and(|text| text.starts_with("Filename")));
        assert!(papers.lacks("manifests"), "this computer is no server of kubeadm");
        // Whatever is missing here says so: no paper is forgotten.
        for name in ["units", "timesync", "chrony", "iptables", "log", "certificates", "etcd-health", "resolv", "kmsg"]
        {
            assert!(papers.papers.contains_key(name), "{name}");
        }
    }

    #[test]
    fn who_does_not_answer_in_time_has_said_nothing() {
        let root = std::env::temp_dir().join(format!("kubewright-late-{}", std::process::id()));
        std::fs::create_dir_all(&root).expect("it is made");
        let body = script().lines().take_while(|line| !line.starts_with("kw_settings")).collect::<Vec<_>>().join("\n");
        let asked = "kw_paper df 9 sh -c 'echo half; exit 124'\nkw_paper dpkg-audit 9 sh -c 'echo warning >&2'";
        let body = format!("kw_main() {{\n{body}\n{asked}\n}}\nkw_main </dev/null");
        let output = Command::new("sh").args(["-c", &body]).env("KW_ROOT", &root).output().expect("there is a shell");
        std::fs::remove_dir_all(&root).expect("it is there");
        let papers = parse(&String::from_utf8_lossy(&output.stdout), 0);
        assert!(papers.is_late("df"), "{papers:?}");
        assert_eq!(papers.text("dpkg-audit"), Some(""), "complaints are no answer");
    }

    #[test]
    fn what_parts_of_kubeadm_come_in_with_is_read_without_its_key() {
        use base64::Engine as _;
        let root = std::env::temp_dir().join(format!("kubewright-conf-{}", std::process::id()));
        std::fs::create_dir_all(root.join("etc/kubernetes")).expect("it is made");
        let pack = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let pem = pack("-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n");
        let conf =
            format!("users:\n- user:\n    client-certificate-data: {pem}\n    client-key-data: {}\n", pack("PLANTED"));
        std::fs::write(root.join("etc/kubernetes/admin.conf"), conf).expect("it is written");
        let body = format!("kw_main() {{\n{}\n}}\nkw_main </dev/null", script());
        let output = Command::new("sh").args(["-c", &body]).env("KW_ROOT", &root).output().expect("there is a shell");
        std::fs::remove_dir_all(&root).expect("it is there");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("|# /etc/kubernetes/admin.conf\n|-----BEGIN CERTIFICATE-----\n|MIIC"), "{printed}");
        assert!(!printed.contains("PLANTED") && !printed.contains(&pack("PLANTED")), "{printed}");
    }

    #[test]
    fn keys_beside_certificates_stay_where_they_are() {
        let root = std::env::temp_dir().join(format!("kubewright-papers-{}", std::process::id()));
        let folder = root.join("var/lib/kubelet/pki");
        std::fs::create_dir_all(&folder).expect("it is made");
        let key = "-----BEGIN EC PRIVATE KEY-----\nPLANTEDKEY\n-----END EC PRIVATE KEY-----\n";
        let pem = format!("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n{key}");
        std::fs::write(folder.join("kubelet-client-current.pem"), pem).expect("it is written");
        let config = "SystemdCgroup = true\n[auth]\npassword = \"planted-password\"\n";
        std::fs::create_dir_all(root.join("etc/containerd")).expect("it is made");
        std::fs::write(root.join("etc/containerd/config.toml"), config).expect("it is written");
        let body = format!("kw_main() {{\n{}\n}}\nkw_main </dev/null", script());
        let output = Command::new("sh").args(["-c", &body]).env("KW_ROOT", &root).output().expect("there is a shell");
        std::fs::remove_dir_all(&root).expect("it is there");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("|MIIB") && printed.contains("SystemdCgroup = true"), "{printed}");
        assert!(!printed.contains("PLANTEDKEY") && !printed.contains("planted-password"), "{printed}");
    }
}
