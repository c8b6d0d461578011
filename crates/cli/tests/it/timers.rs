//! Units that have the program run again and again are such as systemd takes.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::lab::skipped;

const SPEC: &str = "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: { name: lab }\nspec:\n  \
    kubernetes: { distribution: k3s, version: v1.34.1+k3s1, datastore: etcd }\n  network: { cidr: 10.0.0.0/24 }\n  pools:\n    \
    server: { role: both, name: server, addresses: [10.0.0.1], existing: {} }\n  \
    maintenance: { drift: { every: 6h } }\n  notifications: [{ webhook: { url: { env: WEBHOOK } } }]\n  \
    backup:\n    schedule: \"0 */6 * * *\"\n    bundleSchedule: \"CRON\"\n    to: { folder: bundles }\n    \
    recipients: [age127ucp6anw2z8ydy9x845a25cv9de869g66ths8ldekylzu4zn5hsx26qtp]\n";

fn run(folder: &Path, words: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubewright"));
    command.current_dir(folder).args(words).env("HOME", folder).env("XDG_CONFIG_HOME", folder.join("config"));
    let ran = command.stdin(Stdio::null()).output().unwrap();
    assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// What systemd says of something, which it finds nothing wrong with.
fn judged(words: &[&str]) -> String {
    // A user's own systemd has a place for what runs, and nobody need be logged in here.
    let mut command = Command::new("systemd-analyze");
    let said = command.args(words).env("XDG_RUNTIME_DIR", std::env::temp_dir()).stdin(Stdio::null()).output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{words:?}: {told}");
    told
}

#[test]
fn systemd_takes_every_unit_and_knows_its_hours() {
    if Command::new("systemd-analyze").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skipped("this computer has no systemd-analyze");
    }
    // The folder's name is what systemd would fill in, divide and expand.
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("of 100%n $HOME");
    std::fs::create_dir(&folder).unwrap();
    for (cron, next) in [
        ("30 3 * * *", vec!["*-*-* 03:30:00"]),
        ("0 */6 * * mon-fri", vec!["Mon..Fri *-*-* 00,06,12,18:00:00"]),
        ("15 4 1,15 1,7 *", vec!["*-01,07-01,15 04:15:00"]),
        // Cron means either day.
        ("30 3 1 * 7", vec!["*-*-01 03:30:00", "Sun *-*-* 03:30:00"]),
        ("* * * * *", vec!["*-*-* *:*:00"]),
    ] {
        std::fs::write(folder.join("cluster.yaml"), SPEC.replace("CRON", cron)).unwrap();
        run(&folder, &["backup", "timer", "--install"]);
        run(&folder, &["drift-timer", "--install"]);
        let units = folder.join("config/systemd/user");
        for name in ["kubewright-backup-lab", "kubewright-drift-lab"] {
            let at = |ending: &str| units.join(format!("{name}.{ending}")).display().to_string();
            let said = judged(&["verify", "--user", &at("service"), &at("timer")]);
            // Others' units are judged too, and may be of a later systemd.
            let ours: Vec<&str> = said.lines().filter(|line| line.contains(name)).collect();
            assert!(ours.is_empty(), "{ours:?}");
        }
        let service = std::fs::read_to_string(units.join("kubewright-backup-lab.service")).unwrap();
        // systemd before 244 loads no unit that runs once and is tried again.
        assert!(!service.contains("Type=oneshot") && service.contains("\nRestart=on-failure\n"), "{service}");
        // A network that is not there yet ends it with one of these, and they are tried again, with an end.
        let stays = service.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus=")).unwrap();
        assert!(["1", "5", "6", "7"].iter().all(|code| !stays.split(' ').any(|it| it == *code)), "{stays}");
        assert!(service.contains("\nStartLimitBurst=4\n") && service.contains("network-online.target"), "{service}");
        let timer = std::fs::read_to_string(units.join("kubewright-backup-lab.timer")).unwrap();
        let events: Vec<&str> = timer.lines().filter_map(|line| line.strip_prefix("OnCalendar=")).collect();
        let normal: Vec<String> = events.iter().map(|event| normalised(&judged(&["calendar", event]))).collect();
        assert_eq!(normal, next, "{cron}");
    }
}

fn normalised(said: &str) -> String {
    said.lines().find_map(|line| line.trim().strip_prefix("Normalized form: ")).unwrap_or(said).to_string()
}
