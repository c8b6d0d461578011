//! Pictures of a cluster that is made up here, on terminals of several sizes, and what keys do.

use kubewright_server::shapes::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;

/// A moment at which everything here is looked at.
const NOW: u64 = 1_795_000_000;

fn machine(name: &str, role: &str, address: &str, state: State, words: &str) -> Machine {
    Machine {
        name: name.into(),
        role: role.into(),
        kind: "container",
        address: Some(address.into()),
        number: Some(110),
        cpus: Some(4),
        memory: Some("8 GiB".into()),
        disk: Some("40 GiB".into()),
        state,
        words: words.into(),
    }
}

fn step(id: &str, stage: &str, title: &str, state: &'static str, from: u64, to: Option<u64>, tells: &str) -> RunStep {
    let tells = if tells.is_empty() { Vec::new() } else { vec![Told { at: from, message: tells.into() }] };
    RunStep {
        id: id.into(),
        stage: stage.into(),
        title: title.into(),
        state,
        from: Some(from),
        to,
        tells,
        ..RunStep::default()
    }
}

fn summary() -> RunSummary {
    RunSummary {
        run: "20261118-103000-001".into(),
        ask: "apply".into(),
        wall: NOW - 90,
        took: 80_000,
        steps: 24,
        done: 2,
        ..RunSummary::default()
    }
}

fn model() -> Model {
    let layer = |name, state, words: &str| Layer { name, state, words: words.into() };
    let layers = vec![
        layer("machines", State::Good, "3 of 3 run"),
        layer("hosts", State::Good, "3 of 3 answer"),
        layer("members", State::Bad, "2 of 3 nodes Ready"),
        layer("addons", State::Care, "2 of 3 deployed"),
    ];
    let over =
        RunSummary { run: "20261117-080000-001".into(), end: Some("failed".into()), done: 20, failed: 1, ..summary() };
    let machines = vec![
        machine("k3s-server", "server", "192.168.1.40", State::Good, "Ready · v1.33.5+k3s1"),
        machine("k3s-agent-1", "agent", "192.168.1.41", State::Bad, "NotReady · v1.33.5+k3s1"),
        machine("k3s-agent-2", "agent", "192.168.1.42", State::Good, "Ready · v1.33.5+k3s1"),
    ];
    let places = vec![Spot { name: "pve".into(), machines }];
    let providers = vec![Provider { name: "home".into(), kind: "proxmox".into(), places }];
    let field = Field { path: "cores".into(), from: Some("4".into()), to: Some("8".into()) };
    let addon = |name: &str, seen: Option<&str>, state, words: &str| Addon {
        name: name.into(),
        namespace: "monitoring".into(),
        chart: format!("charts/{name}"),
        version: Some("2.10.2".into()),
        seen: seen.map(Into::into),
        state,
        words: words.into(),
    };
    let cluster = Cluster {
        summary: Summary {
            name: "devboard".into(),
            description: String::new(),
            distribution: "k3s".into(),
            version: "v1.33.5+k3s1".into(),
            simulated: true,
            environment: None,
            nodes: 3,
            nodes_ready: 2,
            layers,
            running: Some(summary().run),
            last_run: Some(summary()),
            drift: Some(1),
            certificate_until: Some(NOW + 9 * 86_400),
            backup_at: None,
            looked_at: Some(NOW - 12),
            looking: false,
            fault: None,
        },
        topology: Topology { providers, ..Topology::default() },
        addons: vec![
            addon("loki", Some("2.10.2"), State::Good, "deployed"),
            addon("prometheus", None, State::Bad, "not there"),
        ],
        certificates: vec![Certificate {
            node: "k3s-server".into(),
            name: "/var/lib/rancher/k3s/server/tls/client-admin.crt".into(),
            until: NOW + 9 * 86_400,
            state: State::Care,
        }],
        backups: Vec::new(),
        drift: Some(vec![Change {
            subject: "machine k3s-agent-1".into(),
            fields: vec![field],
            words: "change machine k3s-agent-1: it differs from the spec".into(),
        }]),
        runs: vec![summary(), over],
        findings: vec!["k3s-agent-1: the disk is nearly full (kubewright doctor tells more)".into()],
    };
    let mut failed = step("create/web", "machines", "create machine k3s-agent-2", "failed", 5_000, Some(9_000), "");
    failed.failure =
        Some(Failed { causes: vec!["no room on pve".into()], log: Vec::new(), hint: Some("make room".into()) });
    let steps = vec![
        step("create/a", "machines", "create machine k3s-server", "done", 1_000, Some(15_000), ""),
        failed,
        step("setup/a", "hosts", "set up host k3s-server (12 things)", "running", 15_000, None, "waiting for apt"),
    ];
    let run = Run { summary: summary(), steps, critical: None, verify: None, notes: Vec::new() };
    Model { cluster, run: Some(run), now: NOW, frame: 0, colour: true }
}

fn picture(model: &Model, screen: &Screen, (columns, rows): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(frame, model, screen)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let lines = buffer.content.chunks(usize::from(columns));
    let lines = lines.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_string());
    lines.collect::<Vec<_>>().join("\n")
}

fn pressed(keys: &str) -> Screen {
    let (mut screen, model) = (Screen::default(), model());
    for key in keys.chars() {
        let code = match key {
            '\t' => KeyCode::Tab,
            '\n' => KeyCode::Enter,
            letter => KeyCode::Char(letter),
        };
        screen.press(KeyEvent::from(code), &model);
    }
    screen
}

#[test]
fn every_view_on_a_small_terminal() {
    let pictures: Vec<String> =
        ('1'..='8').map(|key| picture(&model(), &pressed(&key.to_string()), (60, 20))).collect();
    insta::assert_snapshot!(pictures.join("\n════════\n"));
}

#[test]
fn views_on_larger_terminals() {
    let screens = [(80, 24, "1"), (80, 24, "8"), (140, 40, "2"), (140, 40, "8")];
    let pictures = screens.map(|(columns, rows, keys)| picture(&model(), &pressed(keys), (columns, rows)));
    insta::assert_snapshot!(pictures.join("\n════════\n"));
}

#[test]
fn help_filter_and_a_terminal_that_is_too_small() {
    let pictures = [
        picture(&model(), &pressed("?"), (60, 20)),
        picture(&model(), &pressed("2/agent-2\n"), (60, 20)),
        picture(&model(), &pressed("/nowhere"), (60, 20)),
        picture(&model(), &pressed(""), (50, 10)),
    ];
    insta::assert_snapshot!(pictures.join("\n════════\n"));
}

#[test]
fn keys_move_and_end() {
    let model = model();
    let mut screen = pressed("2jj");
    assert_eq!((screen.tab, screen.row(3)), (Tab::Machines, 2));
    screen.press(KeyEvent::from(KeyCode::Char('j')), &model);
    assert_eq!(screen.row(3), 2);
    assert_eq!(pressed("8\t").tab, Tab::Overview);
    assert_eq!(pressed("h").tab, Tab::Runs);
    assert_eq!(screen.press(KeyEvent::from(KeyCode::Char('r')), &model), Wish::Look);
    assert_eq!(screen.press(KeyEvent::from(KeyCode::Char('q')), &model), Wish::Quit);
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(pressed("/x").press(ctrl_c, &model), Wish::Quit);
    // What is typed is no command.
    assert_eq!(pressed("/q").filter, "q");
}

#[test]
fn the_run_that_is_chosen_is_the_one_that_is_asked_for() {
    let cluster = model().cluster;
    assert_eq!(pressed("").run(&cluster).as_deref(), Some("20261118-103000-001"));
    assert_eq!(pressed("8j").run(&cluster).as_deref(), Some("20261117-080000-001"));
    assert_eq!(pressed("8/nowhere").run(&cluster), None);
}

#[test]
fn no_size_breaks_a_picture() {
    let mut unseen = model();
    unseen.cluster = Cluster { topology: Topology::default(), drift: None, ..unseen.cluster };
    unseen.cluster.summary.fault = Some("the spec is not there".into());
    for (columns, rows) in [(1, 1), (10, 3), (59, 20), (60, 20), (61, 21), (80, 24), (200, 60)] {
        for key in ('1'..='8').chain(['?']) {
            picture(&model(), &pressed(&key.to_string()), (columns, rows));
            picture(&unseen, &pressed(&key.to_string()), (columns, rows));
        }
    }
}
