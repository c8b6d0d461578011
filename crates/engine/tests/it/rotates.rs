//! Certificates are made anew in a cluster that lives, and in one whose certificates have expired; where it is cut, it goes
//! on. The scripts are run by a real shell, beside kubeadm itself and programs that do as systemd, K3s and crictl do.

use std::path::{Path, PathBuf};
use std::process::Command;

use kubewright_engine::sim;
use kubewright_model::desired::{Desired, MemberRecipes};
use kubewright_model::observed::Seen;
use kubewright_model::plan::{Ask, Plan, Stage, Weight};
use kubewright_model::recipe::{Recipe, RecipeStep};
use kubewright_model::rotation::Rotation;

use crate::lab::skipped;
use crate::yard::{Cut, Yard, desired};

const K3S: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: fleet }
spec:
  kubernetes: { distribution: k3s, version: v1.34.1+k3s1, endpoint: { host: 10.0.0.11 } }
  pools:
    plane: { role: both, names: [red, green, blue], addresses: [10.0.0.11-13], existing: {} }
    work: { role: agent, names: [one, two], addresses: [10.0.0.21-22], existing: {} }
"#;

const TALOS: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: fleet }
spec:
  kubernetes:
    distribution: talos
    version: v1.34.0
    talos: { version: v1.11.5 }
    endpoint: { virtualIp: { address: 10.0.0.5 } }
    cni: { cilium: { version: 1.18.3 } }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  pools:
    plane: { role: server, names: [red, green, blue], addresses: [10.0.0.11-13], existing: {} }
    work: { role: agent, names: [one, two], addresses: [10.0.0.21-22], existing: {} }
"#;

const CERTIFICATES: Ask = Ask::Rotate(Rotation::Certificates);

fn of(words: &str) -> String {
    K3S.replace("distribution: k3s, version: v1.34.1+k3s1", words)
}

fn kubeadm() -> String {
    of("distribution: kubeadm, version: v1.34.1, encryptSecrets: true, cni: { flannel: {} }")
}

/// One cluster of each distribution, whose machines were there before us.
fn all() -> [String; 4] {
    [K3S.into(), of("distribution: rke2, version: v1.34.1+rke2r1"), kubeadm(), TALOS.into()]
}

/// A cluster that lives, and whose certificates end at this moment of its data centre.
async fn ends(spec: &str, at: u64) -> Yard {
    let yard = Yard::new(desired(spec), 7);
    assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
    yard.centre.alter(|state| {
        let machines = state.machines.values_mut().flat_map(|all| all.values_mut());
        machines.for_each(|machine| machine.certificates = Some(at));
    });
    yard
}

/// Ten days after everything was made.
const SOON: u64 = 10 * 86_400_000;

fn old_ones(yard: &Yard) -> Vec<String> {
    let state = yard.centre.snapshot();
    let machines = state.machines.values().flatten();
    machines
        .filter(|(_, it)| it.certificates.is_none_or(|until| until <= SOON))
        .map(|(name, _)| name.to_string())
        .collect()
}

fn blocks(plan: &Plan) -> Vec<&str> {
    plan.notes.iter().filter(|note| note.weight == Weight::Blocks).map(|note| note.message.as_str()).collect()
}

/// Cut at every step and taken up again, it ends with new certificates everywhere and nothing else changed.
async fn comes_to_its_end_wherever_it_is_cut(yard: &Yard) {
    let (_, plan) = yard.plan(&CERTIFICATES, &[]).await;
    assert_eq!(blocks(&plan), [""; 0]);
    assert!(plan.steps.len() > 9, "{:#?}", plan.notes);
    for cut in (1..=plan.steps.len()).flat_map(|many| [Cut::Started(many), Cut::Ended(many)]) {
        let twin = yard.twin();
        let told = format!("{:?} {cut:?}", yard.desired.kubernetes.distribution);
        if twin.run_until(cut, &CERTIFICATES, &[]).await {
            let ended = twin.run_to_the_end(&CERTIFICATES, &[], 3).await;
            assert_eq!(ended.last().map(String::as_str), Some("complete"), "{told}: {ended:?}");
        }
        assert_eq!(old_ones(&twin), [""; 0], "{told}");
        assert_eq!(twin.complaints(&CERTIFICATES, &[]).await, [""; 0], "{told}");
    }
}

#[test]
fn certificates_are_made_anew_wherever_it_is_cut() {
    for spec in all() {
        sim::run(async {
            let yard = ends(&spec, SOON).await;
            let (_, plan) = yard.plan(&CERTIFICATES, &[]).await;
            assert_eq!(plan.steps[0].stage, Stage::Backup, "what is there is saved first");
            comes_to_its_end_wherever_it_is_cut(&yard).await;
        })
        .unwrap();
    }
}

#[test]
fn expired_certificates_are_made_anew_without_the_api_wherever_it_is_cut() {
    for spec in &all()[..3] {
        sim::run(async {
            let yard = ends(spec, 0).await;
            let (observed, plan) = yard.plan(&CERTIFICATES, &[]).await;
            assert!(matches!(observed.cluster, Some(Seen::Unknown(_))), "nobody answers: {:?}", observed.cluster);
            assert!(plan.steps.iter().all(|step| step.stage != Stage::Backup), "nothing answers that could be saved");
            let said = plan.notes.iter().any(|note| note.message.contains("over the hosts alone"));
            assert!(said, "{:#?}", plan.notes);
            comes_to_its_end_wherever_it_is_cut(&yard).await;
        })
        .unwrap();
    }
}

/// Talos' control plane makes its own; kubelets that nobody let start again for a year are let in no more.
#[test]
fn kubelets_of_talos_are_let_in_again() {
    sim::run(async {
        let yard = ends(TALOS, 0).await;
        comes_to_its_end_wherever_it_is_cut(&yard).await;
    })
    .unwrap();
}

#[test]
fn a_rotation_that_was_cut_does_not_make_anew_what_it_has_made() {
    sim::run(async {
        let yard = ends(K3S, SOON).await;
        let (_, plan) = yard.plan(&CERTIFICATES, &[]).await;
        let renews = |plan: &Plan| plan.steps.iter().filter(|step| step.id.as_str().starts_with("renew/")).count();
        assert_eq!(renews(&plan), 5);
        // It was saved, and the first server has new ones and is back.
        assert!(yard.run_until(Cut::Ended(4), &CERTIFICATES, &[]).await);
        let (_, plan) = yard.plan(&CERTIFICATES, &[]).await;
        assert_eq!(renews(&plan), 4);
        assert!(plan.notes.iter().any(|note| note.message.contains("1 of 5 members")), "{:#?}", plan.notes);
        assert_eq!(yard.run_to_the_end(&CERTIFICATES, &[], 1).await, ["complete"]);
        let (_, plan) = yard.plan(&CERTIFICATES, &[]).await;
        assert_eq!(renews(&plan), 5, "one that is complete is gone on with no more");
    })
    .unwrap();
}

/// A host as a folder, with programs as scripts that write down what they were called with.
pub(crate) struct Host(tempfile::TempDir);

impl Host {
    pub(crate) fn new() -> Self {
        let host = Self(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir_all(host.at("/run")).expect("it is made");
        host
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
        std::fs::write(path, text).expect("it is written");
    }

    pub(crate) fn program(&self, path: &str, script: &str) {
        let name = path.rsplit('/').next().unwrap_or_default();
        let root = self.0.path().display();
        let text = format!("#!/bin/sh\nroot={root}\necho \"{name} $*\" >>\"$root/asked\"\n{script}\n");
        self.write(path, &text);
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(self.at(path), closed).expect("it is a program");
    }

    /// Runs a recipe's files and scripts with the same paths in this folder; says how it ended, and what was printed.
    pub(crate) fn runs(&self, recipe: &Recipe, token: &str) -> (bool, String) {
        let mut said = String::new();
        for step in &recipe.steps {
            match step {
                RecipeStep::Write(file) => {
                    let text = file.content.fill(|_| Some(token)).expect("it has no other holes");
                    self.write(&file.path, &self.here(&text));
                }
                RecipeStep::Run(words) => {
                    let path = format!("{}:/usr/bin:/bin", self.at("/bin").display());
                    let script = self.here(words.last().expect("a script"));
                    let output = Command::new("sh").env("PATH", path).args(["-c", &script]).output().expect("a shell");
                    said += &String::from_utf8_lossy(&output.stderr);
                    if !output.status.success() {
                        return (false, said);
                    }
                }
                other => panic!("nobody does that here: {other:?}"),
            }
        }
        (true, said)
    }

    fn here(&self, script: &str) -> String {
        let root = self.0.path().display().to_string();
        let folders = ["/var/lib/", "/usr/local/bin", "/etc/kubernetes", "/etc/rancher", "/run/kubewright"];
        folders.iter().fold(script.to_string(), |text, folder| text.replace(folder, &format!("{root}{folder}")))
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = std::fs::read_to_string(self.at("/asked")).unwrap_or_default();
        asked.lines().map(str::to_string).collect()
    }
}

fn recipes<'d>(desired: &'d Desired, name: &str) -> &'d MemberRecipes {
    &desired.members.iter().find(|member| member.name.as_str() == name).expect("it is there").recipes
}

/// systemd, as far as units are stopped and started.
const SYSTEMCTL: &str =
    "case $1 in\nstop) : >\"$root/stopped\" ;;\nstart | restart) rm -f \"$root/stopped\" ;;\n*) exit 4 ;;\nesac";

#[test]
fn certificates_of_k3s_are_put_aside_while_it_is_stopped_and_it_always_starts_again() {
    let desired = desired(K3S);
    for (name, unit) in [("red", "k3s.service"), ("one", "k3s-agent.service")] {
        for well in [true, false] {
            let host = Host::new();
            host.program("/bin/systemctl", SYSTEMCTL);
            let ends = if well { "exit 0" } else { "echo 'level=fatal msg=\"permission denied\"' >&2; exit 1" };
            let k3s = format!("[ \"$*\" = 'certificate rotate' ] && [ -e \"$root/stopped\" ] || exit 3\n{ends}");
            host.program("/usr/local/bin/k3s", &k3s);
            let (ended, said) = host.runs(&recipes(&desired, name).renewal.renew, "");
            assert_eq!(ended, well, "{said}");
            let stop = format!("systemctl stop {unit}");
            let start = format!("systemctl start --no-block {unit}");
            assert_eq!(host.asked(), [stop.as_str(), "k3s certificate rotate", start.as_str()]);
        }
    }
}

/// kubeadm itself makes the authorities of a pretend server and then its certificates anew.
#[test]
fn certificates_of_a_server_of_kubeadm_are_made_by_kubeadm_and_its_containers_start_again() {
    let program = std::env::var_os("KUBEBUILDER_ASSETS").map(|folder| Path::new(&folder).join("kubeadm"));
    let Some(program) = program.filter(|program| program.exists()) else {
        return skipped("there is no kubeadm in the folder that KUBEBUILDER_ASSETS names");
    };
    // It takes files for its own version and the one before.
    let version = Command::new(&program).args(["version", "-o", "short"]).output().expect("it is a program").stdout;
    let version = String::from_utf8_lossy(&version).trim().to_string();
    let desired = desired(&kubeadm().replace("v1.34.1", &version));
    let renew = &recipes(&desired, "red").renewal.renew;
    let host = Host::new();
    host.program("/bin/systemctl", SYSTEMCTL);
    // One container of each.
    let listed = "case $* in\nps*) echo \"id-${*##*=}\" ;;\nstop*) ;;\n*) exit 2 ;;\nesac";
    host.program("/usr/local/bin/crictl", listed);
    let pki = host.at("/etc/kubernetes/pki");
    let real = format!(
        "case $* in *--config*) sed -i '/^certificatesDir/d; s#^kind: ClusterConfiguration#&\\ncertificatesDir: {}#' \
         \"$root/etc/kubernetes/kubewright/renew.yaml\" ;; esac\nexec {} \"$@\"",
        pki.display(),
        program.display()
    );
    host.program("/usr/local/bin/kubeadm", &real);
    let made = Command::new(&program).args(["init", "phase", "certs", "all", "--cert-dir"]).arg(&pki).output();
    assert!(made.expect("it is a program").status.success());
    host.write("/var/lib/kubelet/pki/kubelet-client-old.pem", "old");
    let current = host.at("/var/lib/kubelet/pki/kubelet-client-current.pem");
    std::os::unix::fs::symlink(host.at("/var/lib/kubelet/pki/kubelet-client-old.pem"), &current).expect("a link");
    let before = std::fs::read(pki.join("apiserver.crt")).expect("it is there");
    let (well, said) = host.runs(renew, "");
    assert!(well, "{said}");
    assert_ne!(before, std::fs::read(pki.join("apiserver.crt")).expect("it is there"));
    let pem = std::fs::read_to_string(&current).expect("it is there");
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----") && pem.matches("-----BEGIN ").count() == 2, "{pem}");
    let subject = Command::new("openssl").args(["x509", "-noout", "-subject", "-in"]).arg(&current).output();
    if let Ok(subject) = subject {
        let subject = String::from_utf8_lossy(&subject.stdout).replace(' ', "");
        assert!(subject.contains("O=system:nodes") && subject.contains("CN=system:node:red"), "{subject}");
    }
    assert!(!host.at("/etc/kubernetes/kubewright/renew.yaml").exists());
    let stopped: Vec<String> = host.asked().into_iter().filter(|it| it.starts_with("crictl stop")).collect();
    let of = |name: &str| format!("crictl stop --timeout 30 id-{name}");
    assert_eq!(stopped, ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"].map(of));
}

const CURRENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// A kubelet that starts without a certificate asks with what lies at its place, and only then.
#[test]
fn a_kubelet_of_an_agent_asks_with_a_token_and_has_its_old_certificate_where_nobody_gives_one() {
    let desired = desired(&kubeadm());
    let renew = &recipes(&desired, "one").renewal.renew;
    let asks = "case $1 in restart) ;; *) exit 4 ;; esac\n\
                pki=$root/var/lib/kubelet/pki conf=$root/etc/kubernetes/bootstrap-kubelet.conf\n\
                [ -e $pki/kubelet-client-current.pem ] || { grep -q 'token: \"abcdef' $conf && echo new >$pki/kubelet-client-new.pem && \
                ln -s $pki/kubelet-client-new.pem $pki/kubelet-client-current.pem; }";
    let silent = "[ \"$1\" = restart ]";
    for (kubelet, has) in [(asks, "new\n"), (silent, "old")] {
        let host = Host::new();
        host.program("/bin/systemctl", kubelet);
        // Nobody waits here.
        host.program("/bin/sleep", "");
        host.write("/var/lib/kubelet/pki/kubelet-client-old.pem", "old");
        std::os::unix::fs::symlink(host.at("/var/lib/kubelet/pki/kubelet-client-old.pem"), host.at(CURRENT))
            .expect("a link");
        let (well, said) = host.runs(renew, "abcdef.0123456789abcdef");
        assert_eq!(well, has == "new\n", "{said}");
        assert_eq!(std::fs::read_to_string(host.at(CURRENT)).expect("it is there"), has, "{said}");
        for gone in ["/etc/kubernetes/bootstrap-kubelet.conf", "/etc/kubernetes/kubewright/renew.yaml"] {
            assert!(!host.at(gone).exists(), "{gone} holds a token");
        }
    }
}
