//! A cluster that lives goes over to another token or key: wherever it is cut, it ends with one new one that everybody goes by.
//! The scripts are run by a real shell, beside programs that do as K3s does.

use kubewright_engine::sim;
use kubewright_engine::store::Store as _;
use kubewright_model::desired::Desired;
use kubewright_model::digest::Digest;
use kubewright_model::ids::NodeName;
use kubewright_model::plan::{Ask, Plan, Weight};
use kubewright_model::recipe::Recipe;
use kubewright_model::rotation::Rotation;

use crate::rotates::Host;
use crate::yard::{Cut, Yard, desired};

const SPEC: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: fleet }
spec:
  kubernetes: { distribution: k3s, version: v1.34.1+k3s1, encryptSecrets: true, endpoint: { host: 10.0.0.11 } }
  pools:
    plane: { role: both, names: [red, green, blue], addresses: [10.0.0.11-13], existing: {} }
    work: { role: agent, names: [one, two], addresses: [10.0.0.21-22], existing: {} }
"#;

const JOIN_TOKEN: Ask = Ask::Rotate(Rotation::JoinToken);
const TOKEN_FILE: &str = "/etc/rancher/k3s/token";

async fn lives() -> Yard {
    let yard = Yard::new(desired(SPEC), 7);
    assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
    yard
}

fn kept(yard: &Yard, name: &str) -> Option<String> {
    yard.store.secret(&yard.desired.cluster, name).unwrap().map(|secret| secret.expose().clone())
}

fn blocks(plan: &Plan) -> Vec<&str> {
    plan.notes.iter().filter(|note| note.weight == Weight::Blocks).map(|note| note.message.as_str()).collect()
}

/// The digests of what is in the tokens' files.
fn tokens(yard: &Yard) -> Vec<Digest> {
    let state = yard.centre.snapshot();
    let machines = state.machines.values().flat_map(|all| all.values());
    machines.map(|machine| machine.host.files[TOKEN_FILE].digest.clone()).collect()
}

#[test]
fn one_new_token_is_everybodys_wherever_it_is_cut() {
    sim::run(async {
        let yard = lives().await;
        let old = kept(&yard, "join-token").unwrap();
        let (_, plan) = yard.plan(&JOIN_TOKEN, &[]).await;
        for cut in (1..plan.steps.len()).flat_map(|many| [Cut::Started(many), Cut::Ended(many)]) {
            let twin = yard.twin();
            // What is written down last takes no time, so a cut right before it may come too late.
            if twin.run_until(cut, &JOIN_TOKEN, &[]).await {
                // Whoever comes to apply meanwhile would write the old one, or wait for who is not let in.
                let (_, apply) = twin.plan(&Ask::Apply, &[]).await;
                let said = blocks(&apply).iter().any(|it| it.contains("another join-token is on its way"));
                assert!(said, "{cut:?}: {:#?}", apply.notes);
                assert_eq!(twin.run_to_the_end(&JOIN_TOKEN, &[], 2).await.last().unwrap(), "complete", "{cut:?}");
            } else {
                assert!(matches!(cut, Cut::Ended(many) if many + 1 == plan.steps.len()), "{cut:?}");
            }
            let new = kept(&twin, "join-token").unwrap();
            assert_ne!(new, old, "{cut:?}");
            assert_eq!(kept(&twin, "join-token.before").as_ref(), Some(&old), "{cut:?}");
            assert_eq!(kept(&twin, "join-token.next"), None, "{cut:?}");
            assert_eq!(tokens(&twin), [(); 5].map(|()| Digest::of(&new)), "{cut:?}");
            assert_eq!(twin.centre.snapshot().turned(Rotation::JoinToken), 1, "{cut:?}");
            assert_eq!(twin.complaints(&Ask::Apply, &[]).await, [""; 0], "{cut:?}");
        }
    })
    .unwrap();
}

#[test]
fn each_rotation_makes_another_token() {
    sim::run(async {
        let yard = lives().await;
        let mut seen = vec![kept(&yard, "join-token")];
        for _ in 0..2 {
            assert_eq!(yard.run_to_the_end(&JOIN_TOKEN, &[], 1).await, ["complete"]);
            assert_eq!(kept(&yard, "join-token.before"), *seen.last().unwrap());
            assert!(!seen.contains(&kept(&yard, "join-token")));
            seen.push(kept(&yard, "join-token"));
        }
    })
    .unwrap();
}

/// What was saved before opens with the token of then, which is put back first.
#[test]
fn a_cluster_goes_back_to_what_was_saved_with_the_old_token() {
    sim::run(async {
        let yard = lives().await;
        assert_eq!(yard.run_to_the_end(&Ask::Backup, &[], 1).await, ["complete"]);
        let saved = kept(&yard, "snapshot").unwrap();
        let old = kept(&yard, "join-token").unwrap();
        assert_eq!(yard.run_to_the_end(&JOIN_TOKEN, &[], 1).await, ["complete"]);
        for (name, value) in [("join-token", &old), ("snapshot", &saved)] {
            let secret = kubewright_model::secret::Secret::new(value.clone());
            yard.store.keep_secret(&yard.desired.cluster, name, &secret).unwrap();
        }
        // In a cluster that lives it stays another one.
        let (_, apply) = yard.plan(&Ask::Apply, &[]).await;
        assert!(blocks(&apply)[0].contains("begun with another join token"), "{:#?}", apply.notes);
        let (_, restore) = yard.plan(&Ask::Restore, &[]).await;
        assert!(!blocks(&restore).iter().any(|it| it.contains("join token")), "{:#?}", restore.notes);
    })
    .unwrap();
}

/// Who has the old token in its file is refused from then on, as a server and as an agent.
#[test]
fn who_has_the_old_token_is_not_let_in() {
    sim::run(async {
        let yard = lives().await;
        let old = Digest::of(kept(&yard, "join-token").unwrap());
        assert_eq!(yard.run_to_the_end(&JOIN_TOKEN, &[], 1).await, ["complete"]);
        for (name, why) in [("one", "not authorized: invalid token"), ("green", "encrypted with different token")] {
            let twin = yard.twin();
            twin.centre.alter(|state| {
                let machine = state.machine_mut(&NodeName::from(name)).unwrap();
                machine.host.files.get_mut(TOKEN_FILE).unwrap().digest = old.clone();
            });
            let told = twin.run_to_the_end(&Ask::Rotate(Rotation::Certificates), &[], 1).await.join("; ");
            assert!(told.starts_with("failed") && told.contains(name), "{why}: {told}");
        }
    })
    .unwrap();
}

#[test]
fn keys_become_others_once_wherever_it_is_cut() {
    sim::run(async {
        let yard = lives().await;
        for what in [Rotation::EncryptionKeys, Rotation::ServiceAccountKeys] {
            let ask = Ask::Rotate(what);
            let (_, plan) = yard.plan(&ask, &[]).await;
            assert_eq!(blocks(&plan), [""; 0]);
            for cut in (1..plan.steps.len()).flat_map(|many| [Cut::Started(many), Cut::Ended(many)]) {
                let twin = yard.twin();
                assert!(twin.run_until(cut, &ask, &[]).await, "{cut:?}");
                assert_eq!(twin.run_to_the_end(&ask, &[], 2).await.last().unwrap(), "complete", "{what} {cut:?}");
                assert_eq!(twin.centre.snapshot().turned(what), 1, "{what} {cut:?}");
                assert_eq!(twin.complaints(&Ask::Apply, &[]).await, [""; 0], "{what} {cut:?}");
            }
        }
    })
    .unwrap();
}

/// No server ever starts with keys by which it could not read what another one has locked: the pretend world sees to that.
#[test]
fn secrets_of_kubeadm_are_locked_with_one_new_key_wherever_it_is_cut() {
    const FILE: &str = "/etc/kubernetes/kubewright/encryption.yaml";
    let kubeadm = SPEC.replace("k3s, version: v1.34.1+k3s1", "kubeadm, version: v1.34.1, cni: { flannel: {} }");
    let files = |yard: &Yard| {
        let state = yard.centre.snapshot();
        let machines = state.machines.values().flat_map(|all| all.values());
        machines.filter_map(|machine| Some(machine.host.files.get(FILE)?.digest.clone())).collect::<Vec<Digest>>()
    };
    let ask = Ask::Rotate(Rotation::EncryptionKeys);
    sim::run(async {
        let yard = Yard::new(desired(&kubeadm), 7);
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        let (old, before) = (kept(&yard, "encryption-key").unwrap(), files(&yard));
        let (_, plan) = yard.plan(&ask, &[]).await;
        assert_eq!(blocks(&plan), [""; 0]);
        for cut in (1..plan.steps.len()).flat_map(|many| [Cut::Started(many), Cut::Ended(many)]) {
            let twin = yard.twin();
            // What is written down last takes no time, so a cut right before it may come too late.
            if !twin.run_until(cut, &ask, &[]).await {
                assert!(matches!(cut, Cut::Ended(many) if many + 1 == plan.steps.len()), "{cut:?}");
            } else {
                assert_eq!(twin.run_to_the_end(&ask, &[], 2).await.last().unwrap(), "complete", "{cut:?}");
            }
            assert_ne!(kept(&twin, "encryption-key").unwrap(), old, "{cut:?}");
            assert_eq!(kept(&twin, "encryption-key.before").as_ref(), Some(&old), "{cut:?}");
            assert_eq!(kept(&twin, "encryption-key.next"), None, "{cut:?}");
            let after = files(&twin);
            assert!(after.len() == 3 && after.iter().all(|file| *file == after[0] && *file != before[0]), "{cut:?}");
            assert_eq!(twin.centre.breaches(), [], "{cut:?}");
            assert_eq!(twin.complaints(&Ask::Apply, &[]).await, [""; 0], "{cut:?}");
        }
    })
    .unwrap();
}

/// Every Secret is written as it is, again where somebody else was quicker, and none may be left under the old name.
#[test]
fn every_secret_of_kubeadm_is_written_once_more() {
    let desired =
        desired(&SPEC.replace("k3s, version: v1.34.1+k3s1", "kubeadm, version: v1.34.1, cni: { flannel: {} }"));
    let writes = round(&desired, Rotation::EncryptionKeys, 2);
    let (host, etcd) = (Host::new(), "k8s:enc:secretbox:v1:interim:");
    let left = host.at("/left");
    let crictl = format!(
        "case $* in\nps*) echo id ;;\n*'get /registry/secrets/ --prefix'*) printf '%s\\001\\n' '{etcd}'; cat '{}' 2>/dev/null || : ;;\n*) exit 2 ;;\nesac",
        left.display()
    );
    host.program("/usr/local/bin/crictl", &crictl);
    let (tried, kept) = (host.at("/tried"), host.at("/kept"));
    let kubectl = format!(
        "case $* in\n*'get secrets'*) echo '{{\"items\":[]}}' ;;\n*replace*) cat >'{}'\n\
         [ -e '{}' ] || {{ touch '{}'; echo 'Error from server (Conflict)' >&2; exit 1; }} ;;\nesac",
        kept.display(),
        tried.display(),
        tried.display()
    );
    host.program("/usr/local/bin/kubectl", &kubectl);
    host.write(
        "/etc/kubernetes/manifests/etcd.yaml",
        "kubeadm.kubernetes.io/etcd.advertise-client-urls: https://10.0.0.11:2379\n",
    );
    let (well, said) = host.runs(writes, "");
    assert!(well, "{said}");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "{\"items\":[]}\n");
    let replaced = host.asked().into_iter().filter(|it| it.contains("replace")).count();
    assert_eq!(replaced, 2, "once more after the conflict");

    host.write("/left", "k8s:enc:secretbox:v1:kubewright:\u{1}");
    let (well, said) = host.runs(writes, "");
    assert!(!well && said.contains("1 Secrets are not locked with the new key yet"), "{said}");
}

#[test]
fn a_token_that_the_spec_names_is_another_one_when_somebody_has_put_it_there() {
    let named = desired(&SPEC.replace("encryptSecrets: true", "joinToken: { env: JOIN_TOKEN }"));
    sim::run(async {
        let yard = Yard::new(named, 7);
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        let (_, plan) = yard.plan(&JOIN_TOKEN, &[]).await;
        assert!(plan.steps.is_empty() && blocks(&plan)[0].contains("JOIN_TOKEN"), "{:#?}", plan.notes);
        // Somebody puts another one there.
        let secret = kubewright_model::secret::Secret::new("another".into());
        yard.store.keep_secret(&yard.desired.cluster, "join-token", &secret).unwrap();
        let (_, apply) = yard.plan(&Ask::Apply, &[]).await;
        assert!(blocks(&apply)[0].contains("begun with another join token"), "{:#?}", apply.notes);
        let (_, plan) = yard.plan(&JOIN_TOKEN, &[]).await;
        assert_eq!(blocks(&plan), [""; 0]);
        let recipes = plan.steps.iter().map(|step| serde_json::to_string(&step.action).unwrap());
        assert!(recipes.into_iter().all(|text| !text.contains("join-token.next")));
    })
    .unwrap();
}

/// What a server of the spec runs in one round.
fn round(desired: &Desired, what: Rotation, at: usize) -> &Recipe {
    let red = desired.members.iter().find(|member| member.name.as_str() == "red").expect("it is there");
    red.recipes.turnovers[&what][at].recipe().expect("a server does something")
}

const SERVER: &str = "/var/lib/rancher/k3s/server";

#[test]
fn the_token_goes_to_the_server_by_files_alone_and_once() {
    let desired = desired(SPEC);
    let turns = round(&desired, Rotation::JoinToken, 0);
    let host = Host::new();
    host.program("/bin/sleep", "");
    host.write(&format!("{SERVER}/token"), "K10aa11::server:o\"l\\d\n");
    // The body's file is the last word.
    let k3s = format!(
        "for body; do :; done\nconfig=$3\n\
         [ \"$1 $4 $5 $6\" = 'kubectl replace --raw /v1-k3s/token' ] || exit 3\n\
         grep -qF 'password: \"o\\\"l\\\\d\"' \"$config\" && grep -qF 'server: '\\''https://127.0.0.1:6443' \"$config\" || exit 4\n\
         printf 'K10aa11::server:%s\\n' \"$(sed -n 's/^{{\"newToken\":\"\\(.*\\)\"}}$/\\1/p' \"$body\")\" >\"$root{SERVER}/token\""
    );
    host.program("/usr/local/bin/k3s", &k3s);
    for _ in 0..2 {
        let (well, said) = host.runs(turns, "new");
        assert!(well, "{said}");
    }
    assert_eq!(std::fs::read_to_string(host.at(&format!("{SERVER}/token"))).unwrap(), "K10aa11::server:new\n");
    let asked = host.asked().join("\n");
    assert_eq!(asked.matches("k3s kubectl").count(), 1, "{asked}");
    assert!(!asked.contains("new") && !asked.contains("l\\d"), "{asked}");
    let left = ["/etc/rancher/k3s/token.next", "/run/kubewright-turns.yaml", "/run/kubewright-turns.json"];
    assert!(left.iter().all(|path| !host.at(path).exists()));
}

#[test]
fn a_server_that_takes_no_token_fails_the_step() {
    let desired = desired(SPEC);
    let host = Host::new();
    host.program("/bin/sleep", "");
    host.write(&format!("{SERVER}/token"), "K10aa11::server:old\n");
    host.program("/usr/local/bin/k3s", "");
    let (well, said) = host.runs(round(&desired, Rotation::JoinToken, 0), "new");
    assert!(!well && said.contains("has not taken the new join token"), "{said}");
}

/// What K3s says of its keys, as its documentation shows it; `rotate-keys` does what the file `does` says.
const LOCKS: &str = "state=$root/state\nread -r stage key hash <$state\ncase $2 in\n\
    status)\nprintf 'Encryption Status: Enabled\\nCurrent Rotation Stage: %s\\nServer Encryption Hashes: %s\\n\\n' \"$stage\" \"$hash\"\n\
    printf 'Active  Key Type  Name\\n------  --------  ----\\n *      AES-CBC   %s\\n' \"$key\"\n\
    [ \"$stage\" != reencrypt_active ] || echo \"reencrypt_finished $key does not match\" >$state ;;\n\
    rotate-keys) cp $root/does $state ;;\n*) exit 3 ;;\nesac";

#[test]
fn secrets_are_locked_anew_once_and_waited_for() {
    let desired = desired(SPEC);
    let locks = round(&desired, Rotation::EncryptionKeys, 0);
    let told = |before: &str, does: &str| {
        let host = Host::new();
        host.program("/bin/sleep", "");
        host.program("/usr/local/bin/k3s", LOCKS);
        host.write("/state", before);
        host.write("/does", does);
        let (well, said) = host.runs(locks, "");
        let times = host.asked().iter().filter(|it| it.contains("rotate-keys")).count();
        (well, times, said)
    };
    let matches = "start aescbckey All hashes match\n";
    let (well, times, said) = told(matches, "reencrypt_active second does not match\n");
    assert!(well && times == 1, "{said}");
    let (well, times, said) =
        told("reencrypt_finished first All hashes match\n", "reencrypt_finished second does not match\n");
    assert!(well && times == 1, "{said}");
    // It was cut behind that: the others have not started again.
    let (well, times, said) = told("reencrypt_finished second does not match\n", matches);
    assert!(well && times == 0, "{said}");
    // And while it goes on.
    let (well, times, said) = told("reencrypt_active second does not match\n", matches);
    assert!(well && times == 0, "{said}");
    // The server has refused.
    let (well, _, said) =
        told("reencrypt_finished first All hashes match\n", "reencrypt_finished first All hashes match\n");
    assert!(!well && said.contains("reencrypt_finished"), "{said}");
    let (well, times, said) = told("prepare first All hashes match\n", matches);
    assert!(!well && times == 0 && said.contains("end that first"), "{said}");
}

/// openssl itself makes the key; the one that signs now stands behind it, and older ones are gone.
#[test]
fn a_new_key_signs_and_the_last_one_is_believed() {
    let desired = desired(SPEC);
    let signs = round(&desired, Rotation::ServiceAccountKeys, 0);
    let host = Host::new();
    let key = |word: &str| format!("-----BEGIN RSA PRIVATE KEY-----\n{word}\n-----END RSA PRIVATE KEY-----\n");
    host.write(&format!("{SERVER}/tls/service.key"), &(key("current") + &key("older")));
    let k3s = "[ \"$1 $2\" = 'certificate rotate-ca' ] || exit 3\ncp \"${3#--path=}/tls/service.key\" $root/given";
    host.program("/usr/local/bin/k3s", k3s);
    for _ in 0..2 {
        let (well, said) = host.runs(signs, "");
        assert!(well, "{said}");
    }
    let given = std::fs::read_to_string(host.at("/given")).unwrap();
    assert_eq!(given.matches("-----BEGIN RSA PRIVATE KEY-----").count(), 2, "{given}");
    assert!(given.ends_with(&key("current")) && !given.contains("older"));
    assert_eq!(host.asked().len(), 1, "who comes twice makes no second one");
    assert!(!host.at("/run/kubewright-turns").exists());
}

/// The new key is believed beside the one that signs, and the other servers are given both halves.
#[test]
fn servers_of_kubeadm_believe_both_keys_before_they_sign_with_the_new_one() {
    let desired =
        desired(&SPEC.replace("k3s, version: v1.34.1+k3s1", "kubeadm, version: v1.34.1, cni: { flannel: {} }"));
    let host = Host::new();
    host.program("/usr/local/bin/crictl", "case $* in\nps*) echo \"id-${*##*=}\" ;;\nstop*) ;;\n*) exit 2 ;;\nesac");
    let public = |word: &str| format!("-----BEGIN PUBLIC KEY-----\n{word}\n-----END PUBLIC KEY-----\n");
    host.write("/etc/kubernetes/pki/sa.pub", &(public("current") + &public("older")));
    host.write("/etc/kubernetes/pki/sa.key", "current");
    let believes = round(&desired, Rotation::ServiceAccountKeys, 1);
    let signs = round(&desired, Rotation::ServiceAccountKeys, 2);
    // What is waited for behind the scripts, nobody is here to answer.
    let parts = |recipe: &Recipe| Recipe { steps: recipe.steps[..2].to_vec(), ..recipe.clone() };
    for _ in 0..2 {
        let (well, said) = host.runs(&parts(believes), &public("new"));
        assert!(well, "{said}");
        let believed = std::fs::read_to_string(host.at("/etc/kubernetes/pki/sa.pub")).unwrap();
        assert_eq!(believed, public("new") + &public("current"));
    }
    assert_eq!(std::fs::read_to_string(host.at("/etc/kubernetes/pki/sa.key")).unwrap(), "current");
    let (well, said) = host.runs(&parts(signs), "new");
    assert!(well, "{said}");
    assert_eq!(std::fs::read_to_string(host.at("/etc/kubernetes/pki/sa.key")).unwrap(), "new");
    let stopped: Vec<String> = host.asked().into_iter().filter(|it| it.starts_with("crictl stop")).collect();
    let of = |name: &str| format!("crictl stop --timeout 30 id-{name}");
    assert_eq!(stopped, ["kube-apiserver", "kube-apiserver", "kube-apiserver", "kube-controller-manager"].map(of));
}

/// Tokens of others stay.
#[test]
fn tokens_of_ours_end_on_kubeadm() {
    let desired =
        desired(&SPEC.replace("k3s, version: v1.34.1+k3s1", "kubeadm, version: v1.34.1, cni: { flannel: {} }"));
    let host = Host::new();
    let lists = "case $* in *'get secrets'*)\nprintf '%s %s\\n' bootstrap-token-aaaaaa \"$(printf 'kubewright lets nodes in' | base64)\"\n\
                 printf '%s %s\\n' bootstrap-token-bbbbbb \"$(printf 'of somebody' | base64)\"\necho bootstrap-token-cccccc ;;\nesac";
    host.program("/usr/local/bin/kubectl", lists);
    let (well, said) = host.runs(round(&desired, Rotation::JoinToken, 0), "");
    assert!(well, "{said}");
    let deleted: Vec<String> = host.asked().into_iter().filter(|it| it.contains("delete")).collect();
    assert_eq!(deleted.len(), 2, "{deleted:?}");
    assert!(deleted[0].contains("bootstrap-token-aaaaaa") && deleted[1].contains("kubeadm-certs"), "{deleted:?}");
}
