//! The page about a cluster, read back.

use std::time::Duration;

use kubewright_model::checked::{Checked, Group, Part};
use kubewright_model::condition::Condition;
use kubewright_model::observed::{ClusterSeen, Inventory, MachineSeen, NodeSeen, Power};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::{Value, json};

use super::*;

/// DevBoard as the planner understands it, without its recipes.
const DEVBOARD: &str = include_str!("tests/devboard.json");

pub(super) fn devboard() -> Desired {
    devboard_with(&[])
}

/// No page tells of recipes.
fn without_recipes(desired: &mut Value) {
    let recipe = json!({ "title": "", "effect": "look", "version": null, "steps": [], "gives": [] });
    desired["leaving"] = json!({ "server": recipe, "agent": recipe });
    for member in desired["members"].as_array_mut().unwrap() {
        let renewal = json!({ "renew": recipe, "settle": recipe });
        member["recipes"] = json!({ "join": recipe, "upgrade": recipe, "leave": recipe, "renewal": renewal });
    }
}

/// DevBoard with some values changed, by JSON pointer.
fn devboard_with(changes: &[(&str, Value)]) -> Desired {
    let mut value: Value = serde_json::from_str(DEVBOARD).unwrap();
    without_recipes(&mut value);
    for (pointer, new) in changes {
        *value.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")) = new.clone();
    }
    serde_json::from_value(value).unwrap()
}

fn both(desired: &Desired) -> [Document; 2] {
    Language::ALL.map(|language| document(desired, &Looked::default(), language, "FILE"))
}

#[test]
fn devboard_in_english() {
    let page = document(&devboard(), &Looked::default(), Language::En, "FILE").with_lead("DevBoard, three K3s nodes");
    insta::assert_snapshot!(page.markdown());
}

#[test]
fn devboard_in_french_as_observed_and_checked() {
    let desired = devboard();
    let (observed, checks) = (observed(&desired), checks());
    let page =
        document(&desired, &Looked { observed: Some(&observed), checks: &checks, built: None }, Language::Fr, "FILE");
    insta::assert_snapshot!(page.markdown());
}

#[test]
fn devboard_as_a_page() {
    insta::assert_snapshot!(document(&devboard(), &Looked::default(), Language::En, "FILE").html());
}

/// The server runs and is Ready, the first agent is stopped, the second is gone.
fn observed(desired: &Desired) -> Observed {
    let machines = desired.machines.iter().take(2).map(|machine| {
        let seen = MachineSeen {
            public: None,
            owner: desired.owner.clone(),
            place: machine.place.clone(),
            vmid: machine.vmid,
            power: if machine.vmid.is_some_and(|vmid| vmid.0 == 400) { Power::Running } else { Power::Stopped },
            address: machine.address,
            settings: machine.settings(),
            protected: false,
            pending: false,
            template: None,
            ha_of_ours: false,
        };
        (machine.name.clone(), seen)
    });
    let inventory = Inventory { machines: machines.collect(), ..Inventory::default() };
    let node = |ready| NodeSeen {
        ready,
        cordoned: !ready,
        version: desired.kubernetes.version.clone(),
        labels: Default::default(),
        taints: Vec::new(),
        given: Default::default(),
        server: ready,
        address: None,
    };
    let nodes = [("k3s-server".into(), node(true)), ("k3s-agent-1".into(), node(false))].into();
    Observed {
        providers: [("proxmox".into(), kubewright_model::observed::Seen::Present(inventory))].into(),
        cluster: Some(kubewright_model::observed::Seen::Present(ClusterSeen { nodes, ..ClusterSeen::default() })),
        ..Observed::default()
    }
}

fn checks() -> Vec<CheckResult> {
    let line = |name: &str, holds, saw: &str, hint: Option<&str>| CheckResult {
        name: name.into(),
        group: Group::Nodes,
        condition: Condition::SystemPods,
        checked: Checked { holds, saw: saw.into(), hint: hint.map(String::from), ..Checked::default() },
        took: Duration::ZERO,
    };
    vec![
        line("API", true, "it answers", None),
        line("nodes", false, "1 of 3 nodes Ready", Some("start k3s-agent-1")),
        line("of another cluster", true, "no", None),
    ]
}

/// The checks of a validation: one that holds and is slow, and one that does not, with its nodes and its log.
fn results(name: &str) -> Vec<CheckResult> {
    let [good, bad] = [true, false].map(|holds| Part {
        name: if holds { "k3s-server".into() } else { name.into() },
        address: "192.168.1.40".into(),
        holds,
        saw: if holds { "Ready".into() } else { name.into() },
        milliseconds: holds.then_some(3),
    });
    let nodes = Checked {
        saw: format!("1 of 2 nodes Ready; {name}"),
        parts: vec![good, bad],
        log: vec![name.to_string()],
        hint: Some("start k3s-agent-1".into()),
        ..Checked::default()
    };
    let redis = Checked {
        holds: true,
        saw: "Redis 7.0.15, from k3s-server 1200 ms".into(),
        warning: Some("slow: k3s-server needs 1200 ms".into()),
        ..Checked::default()
    };
    let condition = Condition::NodesReady { nodes: vec!["k3s-server".into(), "k3s-agent-1".into()], at_least: 2 };
    let service = Condition::Service {
        at: kubewright_model::net::HostPort::new("192.168.1.5", 6379),
        protocol: kubewright_model::spec::verify::ServiceProtocol::Redis,
        from: vec!["k3s-server".into()],
        tls: true,
    };
    let result = |name: &str, group, condition, checked| {
        let took = Duration::from_millis(30);
        CheckResult { name: name.into(), group, condition, checked, took }
    };
    vec![result("redis", Group::Services, service, redis), result("nodes", Group::Nodes, condition, nodes)]
}

#[test]
fn a_validation_in_english_and_in_french() {
    let desired = devboard();
    let at = Some(kubewright_model::units::Moment(1_763_640_000));
    for language in Language::ALL {
        let page = validation(&desired, Some(&observed(&desired)), &results("it sleeps"), at, language);
        insta::assert_snapshot!(format!("validation_{}", language.code()), page.markdown());
    }
    let good: Vec<_> = results("").into_iter().filter(|result| result.checked.holds).collect();
    let page = validation(&desired, None, &good, None, Language::En).html();
    assert!(page.contains("Installed and validated") && !page.contains("Not validated"), "{page}");
}

#[test]
fn what_servers_say_is_no_markup_in_a_validation() {
    for name in HOSTILE {
        let page = validation(&hostile(name), None, &results(name), None, Language::Fr);
        let html = page.html();
        assert!(!html.contains("<script") && !html.contains("javascript:y\""), "{name}: {html}");
        let rows = Parser::new_ext(&page.markdown(), Options::ENABLE_TABLES)
            .filter(|event| matches!(event, Event::Start(Tag::TableRow)))
            .count();
        assert_eq!(rows, {
            let plain = validation(&hostile("plain"), None, &results("plain"), None, Language::Fr);
            Parser::new_ext(&plain.markdown(), Options::ENABLE_TABLES)
                .filter(|event| matches!(event, Event::Start(Tag::TableRow)))
                .count()
        });
    }
}

/// Names that mean something in Markdown, HTML, Mermaid or a shell.
const HOSTILE: [&str; 9] = [
    "a|b",
    "*bold* _it_ ~~no~~",
    "<script>alert(1)</script>",
    "`tick` ``two``",
    "&lt;b&gt; &amp;",
    "[x](javascript:y) ![i](z)",
    "- 1. # +",
    "\"quoted\" 'single' \\ \\|",
    "line\nfeed\u{1b}[31m",
];

/// DevBoard with a hostile name wherever a name of the user's comes in.
fn hostile(name: &str) -> Desired {
    devboard_with(&[
        ("/machines/1/pool", json!(name)),
        ("/machines/1/place", json!(name)),
        ("/machines/2/name", json!(name)),
        ("/hosts/2/name", json!(name)),
        ("/releases/0/chart", json!(name)),
        ("/releases/1/name", json!(name)),
        ("/checks/3/name", json!(name)),
        ("/missing", json!([{ "what": name, "effect": name, "blocks": true }])),
        ("/secrets/proxmox-token/env", json!(name)),
        ("/objects/1/manifests/0/spec/rules/0/host", json!(name)),
    ])
}

/// The text of every event of one kind of place, as a reader of Markdown has it.
fn cells(markdown: &str) -> Vec<String> {
    let dialect = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_GFM;
    let mut cells = Vec::new();
    let mut open = false;
    for event in Parser::new_ext(markdown, dialect) {
        match event {
            Event::Start(Tag::TableCell) => {
                open = true;
                cells.push(String::new());
            }
            Event::End(TagEnd::TableCell) => open = false,
            Event::Text(text) | Event::Code(text) if open => cells.last_mut().unwrap().push_str(&text),
            Event::Html(html) | Event::InlineHtml(html) => panic!("HTML in Markdown: {html}"),
            Event::Start(Tag::Strikethrough | Tag::Emphasis | Tag::Image { .. }) => panic!("a name became syntax"),
            _ => {}
        }
    }
    cells
}

#[test]
fn a_name_is_never_markdown() {
    for name in HOSTILE {
        let page = document(&hostile(name), &Looked::default(), Language::En, "FILE").with_lead(name);
        let shown: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let cells = cells(&page.markdown());
        let times = cells.iter().filter(|cell| **cell == shown).count();
        // Machine, pool, release, chart, check, both columns of the limits; the rest stands in longer cells.
        assert!(times >= 7, "{name:?} stands {times} times in {cells:#?}");
        assert!(cells.contains(&format!("proxmox · {shown}")), "{name:?}");
        assert!(cells.contains(&format!("http://{shown}")), "{name:?}");
    }
}

#[test]
fn a_name_is_never_html() {
    for name in HOSTILE {
        let html = document(&hostile(name), &Looked::default(), Language::En, "FILE").with_lead(name).html();
        assert!(!html.contains("<script"), "{name:?}");
        assert!(!html.contains("<b>"), "{name:?}");
        assert!(!html.contains('\u{1b}'), "{name:?}");
        assert!(!html.contains("<img") && !html.contains("href=\"javascript"), "{name:?}");
    }
    let title = devboard_with(&[("/cluster", json!("</title><script>"))]);
    let html = document(&title, &Looked::default(), Language::En, "FILE").html();
    assert!(html.contains("<title>Cluster &lt;/title&gt;&lt;script&gt;</title>"), "{html}");
    assert_eq!(html.matches("<script").count(), 0);
}

#[test]
fn a_page_asks_for_nothing_from_elsewhere() {
    for page in both(&devboard()) {
        let html = page.html();
        for word in ["<script", "<link", "<img", "@import", "url(", "src="] {
            assert!(!html.contains(word), "{word}");
        }
        assert!(html.contains(" role=\"img\" width=") && !html.contains("flowchart TB"));
        assert!(page.markdown().contains("```mermaid\nflowchart TB\n"));
    }
}

#[test]
fn no_value_of_a_secret_is_shown() {
    let leak = "hunter2";
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "db", "namespace": "default", "annotations": { "note": leak } },
        "stringData": { "password": leak },
    });
    let desired = devboard_with(&[
        ("/objects/0/manifests/0", secret),
        ("/releases/0/values", json!({ "grafana": { "adminPassword": leak, "again": "‹hole:secret/kept›" } })),
        ("/secrets/proxmox-token", json!({ "command": ["pass", "show", leak] })),
        (
            "/hosts/0/resources/0",
            json!({ "file": {
            "path": "/etc/secret", "content": [{ "known": leak }, { "hole": "secret/in-a-file" }], "mode": 384, "owner": "root:root",
        } }),
        ),
    ]);
    for page in both(&desired) {
        let (markdown, html) = (page.markdown(), page.html());
        assert!(!markdown.contains(leak), "{markdown}");
        assert!(!html.contains(leak));
        for name in ["kept", "in-a-file", "pass"] {
            assert!(markdown.contains(&format!("`{name}`")), "{name}");
        }
    }
}

#[test]
fn the_same_values_give_the_same_bytes() {
    for (one, other) in both(&devboard()).into_iter().zip(both(&devboard())) {
        assert_eq!(one.markdown(), other.markdown());
        assert_eq!(one.html(), other.html());
    }
}

#[test]
fn what_is_empty_is_left_out() {
    let bare = devboard_with(&[
        ("/releases", json!([])),
        ("/objects", json!([])),
        ("/secrets", json!({})),
        ("/checks", json!([])),
        ("/hosts", json!([])),
    ]);
    let page = document(&bare, &Looked::default(), Language::En, "FILE").markdown();
    for section in ["## Add-ons", "## Namespaces", "## Secrets", "## What is checked", "### SSH", "## Known limits"] {
        assert!(!page.contains(section), "{section}\n{page}");
    }
    assert!(page.contains("## Machines"));
}

#[test]
fn a_big_pool_is_one_box() {
    let mut desired = devboard();
    let agent = desired.machines[1].clone();
    for n in 3..1000 {
        let name = kubewright_model::ids::NodeName::from(format!("k3s-agent-{n}"));
        desired.machines.push(kubewright_model::desired::DesiredMachine { name: name.clone(), ..agent.clone() });
        let member = desired.members[1].clone();
        desired.members.push(kubewright_model::desired::DesiredMember { name, ..member });
    }
    let page = document(&desired, &Looked::default(), Language::En, "FILE").markdown();
    assert!(page.contains("\"agents<br/>999 machines<br/>k3s-agent-1 … k3s-agent-999<br/>worker\""));
}
