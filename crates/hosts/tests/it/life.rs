//! What hands do on a host that does as it should.

use kubewright_model::digest::Digest;
use kubewright_model::host::{HostsEntry, UnitRun, UnitWish, UserWish};
use kubewright_model::recipe::{Effect, Output, Recipe, RecipeStep};
use kubewright_model::text::Text;
use kubewright_model::units::Span;

use super::*;

/// Much of what a cluster wants of a host, as far as a host without systemd can have it.
fn wishes() -> Vec<HostResource> {
    let entry = HostsEntry { address: "10.0.0.9".parse().expect("an address"), names: vec!["db".into()] };
    let user = UserWish {
        name: "deploy".into(),
        authorized_keys: vec!["ssh-ed25519 AAAAC3Nz deploy@here".into()],
        sudo: true,
        groups: vec!["adm".into()],
        shell: "/bin/sh".into(),
        password_hash: None,
    };
    vec![
        HostResource::Package("coreutils".into()),
        file("/etc/kubewright.d/ünï cödé's.conf", "one\n'two' $(three)\n"),
        HostResource::Block { path: "/etc/profile".into(), lines: vec!["# ours".into()] },
        HostResource::Link { path: "/opt/now".into(), target: "/etc/kubewright.d".into() },
        HostResource::HostsEntries(vec![entry].into()),
        HostResource::User(user),
        HostResource::Timezone("Europe/Paris".into()),
    ]
}

/// A look, a change, a look that finds it done, and a change that has nothing to do: over one connection.
async fn whole(host: &LabHost, way: &Way) {
    let home = tempfile::tempdir().expect("a folder");
    let hands = hands(home.path());
    let resources = wishes();
    let Seen::Present(before) = look(&hands, host, way, &resources).await else { panic!("it was not seen") };
    assert!(before.files.is_empty() && before.users.is_empty(), "{before:?}");
    assert!(before.packages.contains("coreutils"));
    let report = make(&hands, host, way, &resources).await.unwrap_or_else(|error| panic!("{error:?}"));
    assert!(report.changed);
    assert_eq!(host.sh("cat \"/etc/kubewright.d/ünï cödé's.conf\""), "one\n'two' $(three)\n");
    assert!(host.sh("cat /etc/hosts").contains("10.0.0.9 db"));
    assert!(host.sh("cat /etc/passwd").contains("deploy:"));
    let Seen::Present(after) = look(&hands, host, way, &resources).await else { panic!("it was not seen") };
    assert_eq!(after.files.len(), 1);
    assert_eq!(after.links["/opt/now"], "/etc/kubewright.d");
    assert_eq!(after.settings["time zone"], "Europe/Paris");
    let again = make(&hands, host, way, &resources).await.expect("it is done already");
    assert!(!again.changed);
    assert_eq!(host.log().matches("Accepted publickey").count(), 1, "{}", host.log());
}

#[tokio::test]
async fn root_makes_a_host_what_it_should_be() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    whole(&host, &way(&host, "root")).await;
}

#[tokio::test]
async fn sudo_without_a_password_does_the_same() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    whole(&host, &way(&host, "admin")).await;
}

#[tokio::test]
async fn profiles_that_print_and_other_shells_change_nothing() {
    let Some(lab) = Lab::open() else { return };
    let noise = "printf 'echo Welcome to the machine; echo kw begin; cat /etc/issue\\n' >>/etc/profile
        printf 'echo noise\\necho more >&2\\n' | tee /root/.bashrc >/root/.profile
        printf 'Banner /etc/issue\\nPrintMotd yes\\n' >>/etc/ssh/sshd_config
        sed -i 's|^root:.*|root:x:0:0::/root:/bin/bash|; s|^admin:\\(.*\\):/bin/sh|admin:\\1:/usr/local/bin/odd|' /etc/passwd
        printf '#!/bin/sh\\necho This is no shell that you know.\\n[ \"$1\" = -c ] && exec sh -c \"$2\"\\n' >/usr/local/bin/odd
        chmod 755 /usr/local/bin/odd";
    for user in ["root", "admin"] {
        let host = lab.prepared("noisy", noise);
        whole(&host, &way(&host, user)).await;
    }
}

#[tokio::test]
async fn people_have_login_shells_of_many_kinds() {
    let Some(lab) = Lab::open() else { return };
    for shell in ["dash", "bash", "fish", "tcsh"] {
        let other = format!(
            "test -x /usr/bin/{shell}; sed -i 's|^admin:\\(.*\\):/bin/sh|admin:\\1:/usr/bin/{shell}|' /etc/passwd"
        );
        let host = lab.prepared("one", &other);
        assert_eq!(host.sh("grep '^admin:' /etc/passwd | cut -d: -f7").trim(), format!("/usr/bin/{shell}"));
        whole(&host, &way(&host, "admin")).await;
    }
}

#[tokio::test]
async fn numbers_of_the_kernel_are_read_whole() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()), way(&host, "root"));
    // Of many digits, of several words, and a text.
    let keys = ["kernel.pid_max", "net.ipv4.ip_local_port_range", "kernel.ostype"];
    let told = host.sh("cd /proc/sys && cat kernel/pid_max net/ipv4/ip_local_port_range kernel/ostype");
    let values = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    for (key, value) in keys.into_iter().zip(values) {
        let wish = HostResource::Sysctl { key: key.into(), value: value.clone() };
        let seen = look(&hands, &host, &way, std::slice::from_ref(&wish)).await;
        let now = &seen.present().expect("it answers").sysctls[key];
        assert_eq!(now.trim_end_matches(" until the next start"), value);
        // /proc/sys cannot be written there, so this would fail if it were not so already.
        assert!(make(&hands, &host, &way, std::slice::from_ref(&wish)).await.expect("only the file").changed);
        let seen = look(&hands, &host, &way, &[wish]).await;
        assert_eq!(seen.present().expect("it answers").sysctls[key], value);
    }
}

#[tokio::test]
async fn a_unit_where_systemd_is_absent_is_an_error_that_says_so() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.prepared("one", "rm -f /usr/bin/systemctl /bin/systemctl /usr/local/sbin/systemctl");
    let home = tempfile::tempdir().expect("a folder");
    let hands = hands(home.path());
    let unit = HostResource::Unit(UnitWish {
        name: "one.service".into(),
        content: Some("[Service]\nExecStart=/bin/true\n".into()),
        enabled: true,
        run: UnitRun::Running,
        reads: Digest::of("one"),
    });
    let error = make(&hands, &host, &way(&host, "root"), &[unit]).await.expect_err("there is no systemd");
    assert!(error.to_string().contains("systemd"), "{error}");
    assert!(!error.may_pass());
}

#[tokio::test]
async fn a_recipe_waits_tells_and_gives() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let hands = hands(home.path());
    let run = |script: &str| RecipeStep::Run(vec!["sh".into(), "-c".into(), script.into()]);
    let until = RecipeStep::Until {
        command: vec!["test".into(), "-e".into(), "/run/ready".into()],
        what: "it is ready".into(),
        timeout: Span::from_secs(60),
        log: None,
    };
    let recipe = Recipe {
        title: "begin".into(),
        effect: Effect::Init,
        version: None,
        steps: vec![run("(sleep 3; : >/run/ready) >/dev/null 2>&1 &"), until, run("echo address: inside >/run/config")],
        gives: vec![Output {
            hole: "cluster/config".into(),
            file: "/run/config".into(),
            replace: vec![("inside".into(), Text::known("outside"))],
            once: false,
        }],
    };
    let told = std::sync::Mutex::new(Vec::new());
    let tell = |what: String| told.lock().expect("one at a time").push(what);
    let report = hands.run(&host.name, &way(&host, "root"), &recipe, &Holes::new(), &tell).await.expect("it runs");
    assert!(report.changed);
    assert_eq!(report.gave.get("cluster/config").expect("it is given").expose(), "address: outside\n");
    assert_eq!(*told.lock().expect("one at a time"), ["waiting until it is ready on one: not yet"]);
}

#[tokio::test]
async fn fifty_hosts_are_looked_at_and_changed_together() {
    let Some(lab) = Lab::open() else { return };
    let hosts: Vec<LabHost> = (1..=50).map(|number| lab.host(&format!("host-{number}"))).collect();
    let home = tempfile::tempdir().expect("a folder");
    let trusted = std::fs::read_to_string(hosts[0].at("user.pub")).expect("a key");
    for host in &hosts {
        host.sh(&format!("echo '{}' >>/etc/ssh/lab_keys", trusted.trim()));
    }
    let hands = hands(home.path());
    let key_file: Option<std::sync::Arc<str>> = way(&hosts[0], "admin").key_file;
    let way = |host: &LabHost| Way { key_file: key_file.clone(), ..way(host, "admin") };
    let resources = wishes();
    let missing = |seen: &Seen<HostSeen>| seen.present().map(|seen| seen.users.is_empty());
    for blank in [true, false] {
        let looks = hosts.iter().map(|host| async { look(&hands, host, &way(host), &resources).await });
        let seen = futures::future::join_all(looks).await;
        assert!(seen.iter().all(|seen| missing(seen) == Some(blank)), "{seen:?}");
        if blank {
            let changes = hosts.iter().map(|host| async { make(&hands, host, &way(host), &resources).await });
            for report in futures::future::join_all(changes).await {
                assert!(report.expect("it is done").changed);
            }
        }
    }
    for host in &hosts {
        assert_eq!(host.log().matches("Accepted publickey").count(), 1, "{}", host.log());
    }
}
