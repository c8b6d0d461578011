//! The dashboard as a process: what a signal does to it. What it shows and refuses is judged beside it, in `crates/server`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

const TOKEN: &str = "an-operators-token-that-is-long";

/// A dashboard of DevBoard in a pretend world, so slow that a run goes on until it is ended.
struct Dashboard {
    child: Child,
    says: mpsc::Receiver<String>,
    url: String,
}

impl Dashboard {
    fn begun(folder: &Path) -> Self {
        let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/devboard/cluster.yaml");
        std::fs::copy(spec, folder.join("cluster.yaml")).unwrap();
        std::fs::write(folder.join("tokens"), TOKEN).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_kubewright"));
        program.args(["--simulated", "dc", "serve", "--pace", "20", "--listen", "127.0.0.1:0"]);
        program.args(["--operator-token-file", "tokens", "cluster.yaml"]);
        let piped = program.current_dir(folder).env("HOME", folder).env("NO_COLOR", "1").stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tells, says) = mpsc::channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| tells.send(line)));
        let mut begun = Self { child, says, url: String::new() };
        let line = begun.says("dashboard of");
        begun.url = line.split_whitespace().last().unwrap().trim_end_matches('/').to_string();
        begun
    }

    /// The next line that holds these words.
    fn says(&self, words: &str) -> String {
        loop {
            let line = self.says.recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| panic!("it never says `{words}`"));
            if line.contains(words) {
                return line;
            }
        }
    }

    /// What is answered, and with which status.
    fn asked(&self, path: &str, body: Option<&str>) -> (u16, serde_json::Value) {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "60", "-H", &format!("Authorization: Bearer {TOKEN}"), "-w", "\n%{http_code}"]);
        curl.args(body.into_iter().flat_map(|body| ["-H", "Content-Type: application/json", "-d", body]));
        let told = curl.arg(format!("{}/api/v1/{path}", self.url)).output().unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        let text = String::from_utf8(told.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    fn hears(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_signal_lets_no_new_run_begin_a_second_asks_and_a_third_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut dashboard = Dashboard::begun(folder.path());
    let (status, plan) = dashboard.asked("clusters/devboard/plans", Some(r#"{"ask":"apply"}"#));
    assert_eq!(status, 201, "{plan:#}");
    let wish = serde_json::json!({ "plan": plan["id"], "fingerprint": plan["fingerprint"] }).to_string();
    let (status, begun) = dashboard.asked("clusters/devboard/runs", Some(&wish));
    assert_eq!(status, 202, "{begun:#}");
    dashboard.hears(Signal::TERM);
    dashboard.says("a run of devboard is waited for; once more asks it to stop");
    let (status, refused) = dashboard.asked("clusters/devboard/runs", Some(&wish));
    assert_eq!((status, refused["error"]["code"].as_str()), (503, Some("ending")), "{refused:#}");
    assert!(dashboard.child.try_wait().unwrap().is_none(), "the run goes on");
    dashboard.hears(Signal::INT);
    dashboard.says("devboard starts nothing new; once more ends at once");
    dashboard.hears(Signal::INT);
    // What had begun may have come to its end in between, and then nothing was cut.
    let code = dashboard.child.wait().unwrap().code();
    assert!(matches!(code, Some(0 | 130)), "{code:?}");
}

#[test]
fn a_dashboard_without_a_run_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut dashboard = Dashboard::begun(folder.path());
    dashboard.hears(Signal::INT);
    assert_eq!(dashboard.child.wait().unwrap().code(), Some(0));
}
