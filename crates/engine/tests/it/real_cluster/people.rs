//! Ways in of one's own: a real API server lets whoever has one in, lets them do what their group may, and no longer than
//! the certificate or the ServiceAccount lasts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use kubewright_engine::cluster::{Bound, ClusterApi as _, RealCluster};
use kubewright_engine::kubeconfig::of_user;
use kubewright_engine::{Question, good_until};
use kubewright_model::ids::{Namespace, ObjectName};
use kubewright_model::secret::Secret;
use serde_json::{Value, json};

use crate::plane::Plane;

/// What is asked for: Kubernetes gives nothing for less.
const SECONDS: u32 = 600;

/// Whoever has a kubeconfig, with a kubectl.
struct Person<'p> {
    plane: &'p Plane,
    kubeconfig: PathBuf,
}

impl<'p> Person<'p> {
    fn new(plane: &'p Plane, folder: &Path, name: &str, own: Value) -> Self {
        let way_in = of_user(&Secret::new(plane.kubeconfig.clone()), name, own).unwrap();
        assert!(!way_in.expose().contains("the-token"), "the administrator's own way in is not handed on");
        let kubeconfig = folder.join(name);
        std::fs::write(&kubeconfig, way_in.expose()).unwrap();
        Self { plane, kubeconfig }
    }

    fn tries(&self, words: &[&str]) -> Result<String, String> {
        let mut kubectl = Command::new(self.plane.programs().join("kubectl"));
        let output = kubectl.arg("--kubeconfig").arg(&self.kubeconfig).args(words).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Who the API server takes it for.
    fn is(&self) -> (String, Vec<String>) {
        let answer = self.tries(&["auth", "whoami", "-o", "json"]).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let info = &answer["status"]["userInfo"];
        let groups = info["groups"].as_array().into_iter().flatten().filter_map(Value::as_str);
        (info["username"].as_str().unwrap().to_string(), groups.map(str::to_string).collect())
    }

    fn may(&self, words: &[&str]) {
        assert!(self.tries(words).is_ok(), "{words:?}: {:?}", self.tries(words));
    }

    fn may_not(&self, words: &[&str]) {
        let error = self.tries(words).unwrap_err();
        assert!(error.contains("is forbidden: User"), "{words:?}: {error}");
    }

    /// Waits until nobody knows it any more; the API server remembers a token for some seconds.
    fn is_out(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match self.tries(&["auth", "whoami"]) {
                Err(error) if error.contains("Unauthorized") || error.contains("provide credentials") => return,
                other => assert!(Instant::now() < deadline, "{other:?}"),
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Somebody gets in by a certificate, does what the group may, and is out when it has ended.
pub(super) async fn a_user_gets_in_until_the_certificate_ends(plane: &Plane, hands: &RealCluster, folder: &Path) {
    plane.kubectl(&["create", "namespace", "team"]);
    plane.kubectl(&["create", "clusterrole", "looker", "--verb=get,list", "--resource=configmaps"]);
    plane.kubectl(&["create", "rolebinding", "lookers", "-n", "team", "--clusterrole=looker", "--group=lookers"]);
    let groups = ["lookers".to_string()];
    let question = Question::of_user("ann", &groups).unwrap();
    let signed = hands.certificate("ann", &question, SECONDS).await.unwrap();
    assert_eq!(
        plane.kubectl(&["get", "certificatesigningrequests", "-o", "name"]),
        "",
        "nothing is left of the question"
    );
    assert_eq!(hands.bound(&Bound::User("ann", &groups)).await.unwrap(), ["ClusterRole looker in team"]);
    let pem = |text: &str| BASE64_STANDARD.encode(text);
    let own = json!({ "client-certificate-data": pem(&signed), "client-key-data": pem(question.key.expose()) });
    let ann = Person::new(plane, folder, "ann", own);
    let (name, groups) = ann.is();
    assert!(name == "ann" && groups.contains(&"lookers".to_string()), "{name} of {groups:?}");
    ann.may(&["get", "configmaps", "-n", "team"]);
    ann.may_not(&["get", "secrets", "-n", "team"]);
    ann.may_not(&["create", "configmap", "mine", "-n", "team"]);
    ann.may_not(&["get", "configmaps", "-n", "default"]);
    // The controller manager here signs for less than was asked: the certificate says so, and not the wish.
    let body = signed.lines().filter(|line| !line.starts_with("-----")).collect::<String>();
    let until = good_until(&BASE64_STANDARD.decode(body).unwrap()).unwrap();
    assert!(until < now() + u64::from(SECONDS) / 2, "good for {} s", until.saturating_sub(now()));
    tokio::time::sleep(Duration::from_secs((until + 1).saturating_sub(now()))).await;
    ann.is_out();
}

/// For the group that may do everything nothing is signed.
pub(super) async fn nobody_becomes_a_master(plane: &Plane, hands: &RealCluster) {
    let question = Question::of_user("eve", &["system:masters".to_string()]).unwrap();
    let refused = hands.certificate("eve", &question, SECONDS).await.unwrap_err().to_string();
    assert!(refused.contains("system:masters"), "{refused}");
    assert_eq!(plane.kubectl(&["get", "certificatesigningrequests", "-o", "name"]), "");
}

/// A program gets in by a token, which ends with its ServiceAccount, and by itself.
pub(super) async fn a_token_ends_with_its_account(plane: &Plane, hands: &RealCluster, folder: &Path) {
    plane.kubectl(&["create", "serviceaccount", "robot", "-n", "team"]);
    let words = ["create", "rolebinding", "robot", "-n", "team", "--clusterrole=looker", "--serviceaccount=team:robot"];
    plane.kubectl(&words);
    let of = (Namespace::new("team"), ObjectName::new("robot"));
    let (token, until) = hands.token(&of, SECONDS).await.unwrap();
    let bound = hands.bound(&Bound::Account(&of.0, &of.1)).await.unwrap();
    assert_eq!(bound, ["ClusterRole looker in team"]);
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.expose().split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let ends = claims["exp"].as_u64().unwrap();
    assert!((now() + 1..=now() + u64::from(SECONDS)).contains(&ends), "{claims}, and it was told: {until}");
    let robot = Person::new(plane, folder, "robot", json!({ "token": token.expose() }));
    assert_eq!(robot.is().0, "system:serviceaccount:team:robot");
    robot.may(&["get", "configmaps", "-n", "team"]);
    robot.may_not(&["get", "secrets", "-n", "team"]);
    plane.kubectl(&["delete", "serviceaccount", "robot", "-n", "team"]);
    robot.is_out();
}
