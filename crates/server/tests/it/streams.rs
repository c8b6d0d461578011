//! What is told as it happens: nobody misses anything, wherever he begins, however slow he is.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kubewright_engine::site::{Place, Site, SiteError, Voices, holder, run_id};
use kubewright_engine::{Engine, Request, Stop};
use kubewright_model::event::Record;
use kubewright_model::plan::Ask;
use reqwest::Method;
use serde_json::Value;

use crate::house::{House, VIEWER, example, talk};

/// One event of a stream.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    id: Option<u64>,
    kind: String,
    data: String,
}

/// The events of a stream until its end, or so many of them.
async fn hear(house: &House, path: &str, last: Option<u64>, most: usize) -> Vec<Heard> {
    let request = house.asks(Method::GET, path, VIEWER);
    let request = last.iter().fold(request, |request, last| request.header("last-event-id", last.to_string()));
    let mut pieces = request.send().await.unwrap().bytes_stream();
    let (mut text, mut events) = (String::new(), Vec::new());
    while let Some(piece) = pieces.next().await {
        text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
        while let Some((event, rest)) = text.split_once("\n\n") {
            let mut heard = Heard::default();
            for line in event.lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => heard.id = Some(id.parse().unwrap()),
                    Some(("event", kind)) => heard.kind = kind.into(),
                    Some(("data", data)) => heard.data.push_str(data),
                    _ => {}
                }
            }
            text = rest.to_string();
            if !heard.kind.is_empty() {
                events.push(heard);
            }
            if events.len() == most || events.last().is_some_and(|event| event.kind == "end") {
                return events;
            }
        }
    }
    events
}

/// Whether each follows the one before it, up to the end.
fn whole(events: &[Heard], from: u64) {
    let (end, records) = events.split_last().unwrap();
    assert_eq!(end.kind, "end");
    for (event, place) in records.iter().zip(from..) {
        assert_eq!((event.id, event.kind.as_str()), (Some(place), "record"));
        let begins = format!("{{\"format\":1,\"seq\":{place},");
        assert!(event.data.starts_with(&begins), "the record is the one that its place says: {}", event.data);
    }
}

#[test]
fn who_comes_back_goes_on_where_he_was_and_history_is_the_same_stream() {
    let house = House::of(&example("devboard"), Some(100.0));
    talk(async {
        let plan = house.plans("devboard", "apply").await;
        let (_, begun) = house.approves("devboard", &plan, None).await;
        let path = format!("/api/v1/clusters/devboard/runs/{}/events", begun["run"].as_str().unwrap());
        let first = hear(&house, &path, None, 10).await;
        assert_eq!(first.len(), 10);
        let rest = hear(&house, &path, Some(9), usize::MAX).await;
        whole(&rest, 10);
        let again = hear(&house, &path, None, usize::MAX).await;
        whole(&again, 0);
        assert_eq!(again.len(), first.len() + rest.len());
        assert!(hear(&house, &path, Some(u64::MAX - 1), 1).await[0].kind == "end", "nothing comes after the end");
        // Another program's run, out of its journal: this one's, seen by a dashboard that begins now.
        let replayed = house.get(&path.replace("/events", "")).await;
        assert_eq!(replayed["summary"]["end"], "complete");
        assert!(replayed["critical"].as_array().is_some_and(|chain| !chain.is_empty()), "its plan is known");
    });
}

#[test]
fn a_line_of_a_log_that_holds_html_stays_text() {
    let evil = "<img src=x onerror=alert(1)>";
    let spec = example("devboard").replace("DevBoard, three", &format!("{evil} DevBoard, three"));
    let house = House::of(&spec, None);
    talk(async {
        let answer = house.asks(Method::GET, "/api/v1/clusters", VIEWER).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let all: Value = answer.json().await.unwrap();
        assert!(all["clusters"][0]["description"].as_str().unwrap().starts_with(evil), "as it is, in JSON");
        let page = house.asks(Method::GET, "/api/v1/clusters/devboard/documents/en", VIEWER).send().await.unwrap();
        let html = page.text().await.unwrap();
        assert!(!html.contains(evil), "the document has it escaped");
        assert!(html.contains("&lt;img src=x"), "{html}");
    });
}

#[test]
fn clusters_are_told_when_they_change() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        house.until("/api/v1/clusters", "the first look", |all| all["clusters"][0]["lookedAt"].is_u64()).await;
        let all = hear(&house, "/api/v1/events", None, 6);
        let runs = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            house.carries_out("devboard", "apply").await;
            for _ in 0..6 {
                house.asks(Method::POST, "/api/v1/clusters/devboard/look", VIEWER).send().await.unwrap();
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
        };
        let (events, ()) = tokio::join!(all, runs);
        let ready =
            events.iter().map(|event| serde_json::from_str::<Value>(&event.data).unwrap()["nodesReady"].clone());
        let ready: Vec<Value> = ready.collect();
        assert_eq!((ready.first(), ready.last()), (Some(&0.into()), Some(&3.into())), "{ready:?}");
    });
}

/// Carries a spec out as a terminal does, each record as late as this says.
fn in_a_terminal(place: &Place, late: Duration) -> String {
    let text = std::fs::read_to_string(&place.spec).unwrap();
    let loadout = Engine::load_in(place.folder(), &text).unwrap();
    let run = run_id();
    let voices =
        Voices { prompt: Arc::new(|_| Err("nobody".into())), learns: Arc::new(|_| {}), waits: Arc::new(|_| {}) };
    let ran: Result<(), SiteError> = Site::open(place, &loadout.desired, true, voices, async |site| {
        let (desired, ask, only) = (&loadout.desired, Ask::Apply, &[][..]);
        let request = Request { desired, ask, only, approved: None, run: run.clone(), holder: holder("apply") };
        let mut sink = |_: &Record| std::thread::sleep(late);
        site.engine.apply(&request, &Stop::default(), &mut sink).await.unwrap();
        Ok(())
    });
    ran.unwrap();
    run.to_string()
}

#[test]
fn runs_of_a_terminal_are_followed_and_short_ones_are_not_missed() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        house.until("/api/v1/clusters", "the first look", |all| all["clusters"][0]["lookedAt"].is_u64()).await;
        let place = house.place();
        let terminal = tokio::task::spawn_blocking(move || in_a_terminal(&place, Duration::from_millis(60)));
        let page = "/api/v1/clusters/devboard";
        let seen = house.until(page, "a run of another program", |it| it["summary"]["running"].is_string()).await;
        let running = seen["summary"]["running"].as_str().unwrap().to_string();
        let path = format!("{page}/runs/{running}/events");
        whole(&hear(&house, &path, None, usize::MAX).await, 0);
        assert_eq!(terminal.await.unwrap(), running);
        let (status, _) = house.post(&format!("{page}/runs/{running}/cancel"), &serde_json::json!({})).await;
        assert_eq!(status.as_u16(), 409, "only who carries it out stops it");
        let ready = |it: &Value| it["summary"]["nodesReady"] == 3 && it["summary"]["running"].is_null();
        house.until(page, "a look after it", ready).await;
        // One that is over before anybody looks.
        let place = house.place();
        let short = tokio::task::spawn_blocking(move || in_a_terminal(&place, Duration::ZERO)).await.unwrap();
        let last = |it: &Value| it["summary"]["lastRun"]["run"] == short.as_str();
        let seen = house.until(page, "the short run", last).await;
        assert_eq!(seen["summary"]["lastRun"]["end"], "complete");
        let told = house.get(&format!("{page}/runs/{running}")).await;
        assert!(told["critical"].is_null(), "journals do not say what a step needs: {}", told["critical"]);
    });
}

#[test]
fn the_page_of_a_cluster_moves_while_a_run_goes_on() {
    let house = House::of(&example("devboard"), Some(20.0));
    talk(async {
        let page = "/api/v1/clusters/devboard";
        house.until(page, "the first look", |it| it["summary"]["lookedAt"].is_u64()).await;
        let plan = house.plans("devboard", "apply").await;
        house.approves("devboard", &plan, None).await;
        let moves = |it: &Value| it["summary"]["running"].is_string() && it["summary"]["nodesReady"].as_u64() > Some(0);
        let is = |it: &Value| moves(it) || (it["summary"]["running"].is_null() && it["summary"]["lastRun"].is_object());
        let seen = house.until(page, "nodes that are Ready before the run ends", is).await;
        assert!(moves(&seen), "the run is over, and nobody looked: {:#}", seen["summary"]);
        let over = |it: &Value| it["summary"]["running"].is_null() && it["summary"]["nodesReady"] == 3;
        let seen = house.until(page, "a look after it", over).await;
        assert_eq!(seen["summary"]["lastRun"]["end"], "complete");
    });
}

#[test]
fn a_line_that_is_no_record_takes_no_other_with_it_and_is_told_once() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        house.until("/api/v1/clusters", "the first look", |all| all["clusters"][0]["lookedAt"].is_u64()).await;
        let place = house.place();
        let run = tokio::task::spawn_blocking(move || in_a_terminal(&place, Duration::ZERO)).await.unwrap();
        let page = "/api/v1/clusters/devboard";
        let last = |it: &Value, run: &str| it["summary"]["lastRun"]["run"] == run && it["summary"]["running"].is_null();
        house.until(page, "the run", |it| last(it, &run) && it["summary"]["lastRun"]["end"] == "complete").await;
        // The same, as another run of which one line was lost.
        let (other, journals) = (format!("{run}-2"), house.place().kept().join("devboard/journals"));
        let text = std::fs::read_to_string(journals.join(format!("{run}.jsonl"))).unwrap().replace(&run, &other);
        let many = text.lines().count();
        let lines = text.lines().enumerate().map(|(i, line)| if i == 4 { "{no record" } else { line });
        std::fs::write(
            journals.join(format!("{other}.jsonl")),
            lines.map(|line| format!("{line}\n")).collect::<String>(),
        )
        .unwrap();
        house.until(page, "the other run", |it| last(it, &other)).await;
        let path = format!("{page}/runs/{other}");
        let told = house.get(&path).await;
        assert_eq!(told["summary"]["end"], "complete");
        let notes = told["notes"].as_array().unwrap();
        assert!(notes.len() == 1 && notes[0].as_str().unwrap().contains("line 5"), "{notes:?}");
        let events = hear(&house, &format!("{path}/events"), None, usize::MAX).await;
        assert_eq!(events.len(), many, "all records but one, and the end");
    });
}

/// A spec with a thousand nodes.
fn thousand() -> String {
    let pools = (0..4).map(|pool| {
        format!(
            "    agents{pool}: {{ role: agent, name: \"agent-{pool}-{{n}}\", addresses: [10.0.{}.1-249], cores: 2, memory: 4Gi, disk: 20Gi, \
             proxmox: {{ vmids: [{}-{}], lxc: {{ template: \"local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst\" }} }} }}\n",
            pool + 1,
            1000 * (pool + 1),
            1000 * (pool + 1) + 248,
        )
    });
    format!(
        "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: thousand }}
spec:
  kubernetes: {{ distribution: k3s, version: v1.31.4+k3s1, podNetwork: 10.96.0.0/12 }}
  providers:
    proxmox: {{ endpoint: \"https://pve:8006\", tokenId: root@pam!kw, tokenSecret: {{ env: TOKEN }}, node: pve, ssh: {{ keyFile: ~/.ssh/id_ed25519 }} }}
  network: {{ cidr: 10.0.0.0/16, gateway: 10.0.0.1, nameservers: [10.0.0.1] }}
  hosts: {{ ssh: {{ keyFile: ~/.ssh/id_ed25519 }} }}
  pools:
    server: {{ role: both, name: server, addresses: [10.0.0.10], cores: 4, memory: 8Gi, disk: 40Gi, \
         proxmox: {{ vmids: [400], lxc: {{ template: \"local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst\" }} }} }}
{}",
        pools.collect::<String>()
    )
}

/// Bytes of memory that this process has.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn two_hundred_viewers_of_a_thousand_nodes_miss_nothing() {
    let house = House::of(&thousand(), None);
    talk(async {
        let plan = house.plans("thousand", "apply").await;
        let (status, begun) = house.approves("thousand", &plan, None).await;
        assert!(status.is_success(), "{begun:#}");
        let path = format!("/api/v1/clusters/thousand/runs/{}/events", begun["run"].as_str().unwrap());
        let before = memory();
        // Each counts and throws away; one in ten is slow, and comes back twice.
        let viewers = (0..200).map(|viewer| {
            let (house, path) = (&house, &path);
            async move {
                let mut last = None;
                if viewer % 10 == 0 {
                    for _ in 0..2 {
                        let heard = hear(house, path, last, 200).await;
                        last = heard.last().and_then(|event| event.id).or(last);
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                }
                let heard = hear(house, path, last, usize::MAX).await;
                whole(&heard, last.map_or(0, |last| last + 1));
                last.map_or(0, |last| last + 1) + heard.len() as u64 - 1
            }
        });
        let heard = futures::future::join_all(viewers).await;
        let run = house.get(&path.replace("/events", "")).await;
        assert_eq!(run["summary"]["end"], "complete", "{:#}", run["summary"]);
        assert_eq!(run["summary"]["done"].as_u64().unwrap() as usize, plan["steps"].as_array().unwrap().len());
        assert!(heard[0] > 5000 && heard.iter().all(|many| *many == heard[0]), "{heard:?}");
        // What viewers themselves keep here is in it, too: all events of all of them would be some gigabytes.
        let grown = memory().saturating_sub(before);
        assert!(grown < 1_500_000_000, "{grown} bytes for {} records", heard[0]);
    });
}
