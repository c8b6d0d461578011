//! The page about a cluster, read back.

use std::time::Duration;

use kubewright_model::checked::{Checked, Group};
use kubewright_model::condition::Condition;
use kubewright_model::observed::{ClusterSeen, Inventory, MachineSeen, NodeSeen, Power};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::{Value, json};

use super::*;

/// DevBoard as the planner understands it, without its recipes.
const DEVBOARD: &str = include_str!("tests/devboard.json");

fn devboard() -> Desired {
    serde_json::from_str(DEVBOARD).unwrap()
}

/// DevBoard with some values changed, by JSON pointer.
fn devboard_with(changes: &[(&str, Value)]) -> Desired {
    let mut value: Value = serde_json::from_str(DEVBOARD).unwrap();
    for (pointer, new) in changes {
        *value.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")) = new.clone();
    }
    serde_json::from_value(value).unwrap()
}

fn both(desired: &Desired) -> [Document; 2] {
    Language::ALL.map(|language| document(desired, None, &[], language))
}

#[test]
fn devboard_in_english() {
    let page = document(&devboard(), None, &[], Language::En).with_lead("DevBoard, three K3s nodes");
    insta::assert_snapshot!(page.markdown());
}

#[test]
fn devboard_in_french_as_observed_and_checked() {
    let desired = devboard();
    let (observed, checks) = (observed(&desired), checks());
    let page = document(&desired, Some(&observed), &checks, Language::Fr);
    insta::assert_snapshot!(page.markdown());
}

#[test]
fn devboard_as_a_page() {
    insta::assert_snapshot!(document(&devboard(), None, &[], Language::En).html());
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
        let page = document(&hostile(name), None, &[], Language::En).with_lead(name);
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
        let html = document(&hostile(name), None, &[], Language::En).with_lead(name).html();
        assert!(!html.contains("<script"), "{name:?}");
        assert!(!html.contains("<b>"), "{name:?}");
        assert!(!html.contains('\u{1b}'), "{name:?}");
        assert!(!html.contains("<img") && !html.contains("href=\"javascript"), "{name:?}");
    }
    let title = devboard_with(&[("/cluster", json!("</title><script>"))]);
    let html = document(&title, None, &[], Language::En).html();
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
    let page = document(&bare, None, &[], Language::En).markdown();
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
    let page = document(&desired, None, &[], Language::En).markdown();
    assert!(page.contains("\"agents<br/>999 machines<br/>k3s-agent-1 … k3s-agent-999<br/>worker\""));
}
