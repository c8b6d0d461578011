//! Hosts that start again, when they are asked to and when nobody expects it.

use kubewright_model::digest::Digest;
use kubewright_model::host::{HostsEntry, UnitRun, UnitWish, UserWish};
use kubewright_model::recipe::{Effect, Recipe, RecipeStep};
use kubewright_model::units::Span;

use super::*;

fn unit(name: &str, run: UnitRun, service: &str) -> HostResource {
    let content = format!("[Service]\n{service}\n[Install]\nWantedBy=multi-user.target\n");
    let reads = Digest::of(&content);
    HostResource::Unit(UnitWish { name: name.into(), content: Some(content.into()), enabled: true, run, reads })
}

fn recipe(steps: Vec<RecipeStep>) -> Recipe {
    Recipe { title: "begin".into(), effect: Effect::Init, version: None, steps, gives: Vec::new() }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_string).collect()
}

/// Much of what a cluster wants of a host.
fn wishes() -> Vec<HostResource> {
    let entry = HostsEntry { address: "10.0.0.9".parse().expect("an address"), names: vec!["db".into()] };
    let user = UserWish {
        name: "deploy".into(),
        authorized_keys: vec!["ssh-ed25519 AAAAC3Nz deploy@here".into()],
        sudo: true,
        groups: vec!["adm".into(), "made-for-it".into()],
        shell: "/bin/bash".into(),
        password_hash: Some("$6$salt$hash".into()),
    };
    vec![
        HostResource::Package("figlet".into()),
        HostResource::Module("overlay".into()),
        HostResource::Sysctl { key: "net.ipv4.ip_forward".into(), value: "1".into() },
        HostResource::Sysctl { key: "net.ipv4.ip_local_port_range".into(), value: "20000 50000".into() },
        HostResource::Hostname("another".into()),
        HostResource::HostsEntries(vec![entry].into()),
        HostResource::Timezone("Europe/Paris".into()),
        HostResource::Locale("fr_FR.UTF-8".into()),
        HostResource::TimeSync,
        HostResource::SwapOff,
        HostResource::User(user),
        file("/etc/one.conf", "1\n"),
        unit("daemon.service", UnitRun::Running, "ExecStart=sleep infinity"),
        unit("once.service", UnitRun::Oneshot, "Type=oneshot\nExecStart=sh -c 'echo done >>/var/lib/once'"),
    ]
}

/// What is the same as long as nobody changes it.
fn steady(seen: &Seen<HostSeen>) -> HostSeen {
    let seen = seen.present().unwrap_or_else(|| panic!("{seen:?}"));
    HostSeen { clock_skew: 0, facts: None, boot: None, at: None, ..seen.clone() }
}

#[test]
fn what_was_made_true_is_true_after_the_next_boot() {
    world(|| {
        block_on(async {
            let host = BootedHost::prepared("one", "");
            let home = tempfile::tempdir().expect("a folder");
            let (hands, way, wishes) = (hands(home.path()), way(&host, "admin"), wishes());
            let report = make(&hands, &host, &way, &wishes).await.unwrap_or_else(|error| panic!("{error:?}"));
            assert!(report.changed);
            assert_eq!(host.sh("figlet -I 2; cat /var/lib/once"), "/usr/share/figlet\ndone\n");
            let before = steady(&look(&hands, &host, &way, &wishes).await);
            for wish in &wishes {
                if let Some(setting) = wish.setting() {
                    assert_eq!(before.settings.get(&wish.key()), Some(&setting));
                }
            }
            assert!(!make(&hands, &host, &way, &wishes).await.expect("it is so").changed);

            let reboot = recipe(vec![RecipeStep::Run(words("systemctl reboot"))]);
            let said = hands.run(&host.name, &way, &reboot, &Holes::new(), &|_| {}).await;
            host.is_up(2);
            if let Err(error) = said {
                assert!(error.may_pass(), "{error}");
            }
            // The same hands go in again, and find nothing to do.
            assert_eq!(steady(&look(&hands, &host, &way, &wishes).await), before);
            assert!(!make(&hands, &host, &way, &wishes).await.expect("it is so").changed);
            // As systemd and the kernel themselves say.
            assert_eq!(host.sh("hostname; hostnamectl --static"), "another\nanother\n");
            assert_eq!(host.sh("timedatectl show -p Timezone --value"), "Europe/Paris\n");
            assert!(host.sh("localectl status").contains("LANG=fr_FR.UTF-8"));
            assert_eq!(host.sh("cat /proc/sys/net/ipv4/ip_forward"), "1\n");
            assert_eq!(host.sh("sysctl -n net.ipv4.ip_local_port_range"), "20000\t50000\n");
            assert_eq!(host.sh("systemctl is-active daemon; cat /var/lib/once"), "active\ndone\ndone\n");
            assert_eq!(
                host.sh("su - deploy -c 'sudo -n id -un; id -nG; echo $LANG'"),
                "root\ndeploy adm made-for-it\nfr_FR.UTF-8\n"
            );
        });
    });
}

/// Changes a host and lets something happen to it meanwhile, which needs `began` first; returns what the user reads.
async fn hit(hands: &RealHosts, host: &BootedHost, wishes: &[HostResource], began: &str, by: &str) -> HostError {
    let way = way(host, "admin");
    let meanwhile = async {
        while host.sh(&format!("test -e {began} && echo yes || echo no")) != "yes\n" {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        host.sh(by);
    };
    let (made, ()) = tokio::join!(make(hands, host, &way, wishes), meanwhile);
    made.expect_err("it was hit")
}

#[test]
fn a_host_that_reboots_in_the_middle_of_a_change_is_finished_by_the_next_run() {
    world(|| {
        block_on(async {
            let host = BootedHost::prepared("one", "");
            let home = tempfile::tempdir().expect("a folder");
            let (hands, way) = (hands(home.path()), way(&host, "admin"));
            let slow =
                "Type=oneshot\nRemainAfterExit=yes\nExecStart=sh -c 'touch /run/began; test -e /etc/quick || sleep 20'";
            let wishes = [
                file("/etc/one.conf", "1\n"),
                unit("slow.service", UnitRun::Running, slow),
                file("/etc/two.conf", "2\n"),
            ];
            let error = hit(&hands, &host, &wishes, "/run/began", "touch /etc/quick; systemctl reboot").await;
            assert_eq!(error.to_string(), "systemd on one is busy: this host is shutting down");
            // Until it is back, everything that anybody reads is something that passes.
            let mut read = Vec::new();
            loop {
                match make(&hands, &host, &way, &wishes).await {
                    Ok(report) => break assert!(report.changed),
                    Err(error) => read.push(error),
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            assert!(host.boots() == 2 && read.iter().all(HostError::may_pass), "{read:#?}");
            host.is_up(2);
            assert!(!make(&hands, &host, &way, &wishes).await.expect("it is done").changed);
            assert_eq!(host.sh("cat /etc/one.conf /etc/two.conf; systemctl is-active slow"), "1\n2\nactive\n");
        });
    });
}

#[test]
fn a_host_that_reboots_while_a_recipe_waits_is_waited_for_by_the_next_run() {
    world(|| {
        block_on(async {
            let host = BootedHost::prepared("one", "");
            let home = tempfile::tempdir().expect("a folder");
            let (hands, way) = (hands(home.path()), way(&host, "admin"));
            // What is waited for needs a boot, and nobody has said so.
            let ready = unit(
                "ready.service",
                UnitRun::ByRecipe,
                "ExecStart=sh -c '[ ! -e /etc/again ] || touch /run/ready; exec sleep infinity'",
            );
            assert!(make(&hands, &host, &way, std::slice::from_ref(&ready)).await.expect("it is written").changed);
            assert_eq!(host.sh("systemctl is-enabled ready || true"), "disabled\n", "it is the recipe's to start");
            let reads = Digest::of("one");
            let recipe = recipe(vec![
                RecipeStep::Start { unit: "ready.service".into(), reads },
                RecipeStep::Until {
                    command: words("test -e /run/ready"),
                    what: "it is ready".into(),
                    timeout: Span::from_secs(60),
                    log: Some("ready.service".into()),
                },
            ]);
            let told = std::sync::Mutex::new(Vec::new());
            let tell = |line| {
                told.lock().expect("one at a time").push(line);
                host.sh("touch /etc/again; systemctl reboot");
            };
            let said = hands.run(&host.name, &way, &recipe, &Holes::new(), &tell).await;
            assert!(said.as_ref().err().is_none_or(HostError::may_pass), "{said:?}");
            host.is_up(2);
            assert_eq!(host.sh("systemctl is-active ready"), "active\n", "it was enabled when it was started");
            hands.run(&host.name, &way, &recipe, &Holes::new(), &|_| {}).await.expect("it is ready");
        });
    });
}

#[test]
fn what_fails_while_a_host_goes_down_is_not_lost() {
    world(|| {
        block_on(async {
            let host = BootedHost::prepared("one", "");
            let home = tempfile::tempdir().expect("a folder");
            let (hands, way) = (hands(home.path()), way(&host, "admin"));
            // One ends badly, as many a program does that is told to end; the other one takes its time.
            let wishes = [
                unit(
                    "bad.service",
                    UnitRun::ByRecipe,
                    "ExecStart=sh -c 'trap \"exit 1\" TERM; while :; do sleep 0.1; done'",
                ),
                unit("slow.service", UnitRun::Running, "ExecStart=sleep infinity\nExecStop=sleep 6"),
            ];
            assert!(make(&hands, &host, &way, &wishes).await.expect("it is written").changed);
            let recipe = recipe(vec![
                RecipeStep::Start { unit: "bad.service".into(), reads: Digest::of("one") },
                RecipeStep::Until {
                    command: words("test -e /etc/ready"),
                    what: "it is ready".into(),
                    timeout: Span::from_secs(120),
                    log: Some("bad.service".into()),
                },
            ]);
            let told = std::sync::Mutex::new(Vec::new());
            let tell = |line: String| {
                let mut told = told.lock().expect("one at a time");
                if told.is_empty() {
                    host.sh("systemctl reboot --no-block");
                }
                told.push(line);
            };
            let ready = async {
                while host.boots() < 2 {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
                host.is_up(2);
                host.sh("touch /etc/ready");
            };
            let no_holes = Holes::new();
            let (said, ()) = tokio::join!(hands.run(&host.name, &way, &recipe, &no_holes, &tell), ready);
            let told = told.into_inner().expect("nobody holds it");
            assert!(told.iter().any(|line| line.ends_with("the unit is deactivating")), "{told:?}");
            // Between two looks it is waited for; in the middle of one the connection is cut, which passes.
            assert!(said.as_ref().err().is_none_or(HostError::may_pass), "{said:?} {told:?}");
        });
    });
}

#[test]
fn a_host_whose_power_is_cut_is_finished_when_it_is_back() {
    world(|| {
        block_on(async {
            let mut host = BootedHost::prepared("one", "");
            let home = tempfile::tempdir().expect("a folder");
            let (hands, way) = (hands(home.path()), way(&host, "admin"));
            let wishes =
                [file("/etc/one.conf", "1\n"), unit("daemon.service", UnitRun::Running, "ExecStart=sleep infinity")];
            assert!(make(&hands, &host, &way, &wishes).await.expect("it is done").changed);
            host.power_off();
            let seen = look(&hands, &host, &way, &wishes).await;
            assert!(seen.why_unknown().is_some_and(|why| why.to_string().contains("(TCP)")), "{seen:?}");
            host.power_on();
            let seen = look(&hands, &host, &way, &wishes).await;
            assert!(seen.present().is_some_and(|seen| seen.units["daemon.service"].active), "{seen:?}");
            assert!(!make(&hands, &host, &way, &wishes).await.expect("it is so").changed);
        });
    });
}

#[test]
fn a_host_is_told_to_start_again_and_tells_another_start() {
    world(|| {
        let host = BootedHost::prepared("again", "");
        let home = tempfile::tempdir().expect("a folder");
        block_on(async {
            let (hands, way) = (hands(home.path()), way(&host, "admin"));
            host.sh("mkdir -p /run && echo linux-image-6.1 >/run/reboot-required.pkgs && touch /run/reboot-required");
            let before = steady_boot(&look(&hands, &host, &way, &[]).await);
            assert_eq!(before.wanted.as_deref(), Some("linux-image-6.1 upgraded"));
            let again = steady_boot(&look(&hands, &host, &way, &[]).await);
            assert_eq!(before, again, "it is the same as long as it runs");
            let boots = host.boots();
            hands.reboot(&host.name, &way).await.expect("it goes");
            host.is_up(boots + 1);
            let after = steady_boot(&look(&hands, &host, &way, &[]).await);
            assert_ne!(before.id, after.id);
            assert_eq!(after.wanted, None, "what was in memory is gone");
        });
    });
}

fn steady_boot(seen: &Seen<HostSeen>) -> kubewright_model::facts::Boot {
    seen.present().and_then(|seen| seen.boot.clone()).unwrap_or_else(|| panic!("{seen:?}"))
}
