//! Real scripts of recipes under real shells.

use kubewright_model::digest::Digest;
use kubewright_model::host::FileWish;
use kubewright_model::recipe::{Effect, Output, Recipe, RecipeStep};
use kubewright_model::secret::Secret;
use kubewright_model::text::Text;
use kubewright_model::units::Span;

use super::*;
use crate::change::tests::host::{Host, each};

fn recipe(steps: Vec<RecipeStep>, gives: Vec<Output>) -> Recipe {
    Recipe { title: "join".into(), effect: Effect::JoinServer, version: None, steps, gives }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn start(reads: &str) -> RecipeStep {
    RecipeStep::Start { unit: "k3s.service".into(), reads: Digest::of(reads) }
}

fn until(command: &[&str]) -> RecipeStep {
    RecipeStep::Until {
        command: words(command),
        what: "the API server is ready".into(),
        timeout: Span::from_secs(600),
        log: Some("k3s.service".into()),
    }
}

fn kubeconfig() -> Output {
    Output {
        hole: "cluster/kubeconfig".into(),
        file: "/etc/rancher/k3s/k3s.yaml".into(),
        replace: vec![("https://127.0.0.1:6443".into(), Text::known("https://").and_hole("cluster/endpoint"))],
        once: false,
    }
}

fn name() -> NodeName {
    "web-1".into()
}

fn holes() -> Holes {
    let values = [("cluster/server", "https://10.0.0.1:6443"), ("cluster/endpoint", "k.example:6443")];
    values.into_iter().map(|(hole, value)| (hole.into(), Secret::new(value.into()))).collect()
}

/// Runs a part that is done once.
fn once(host: &Host, recipe: &Recipe, part: &Part) -> Result<bool, HostError> {
    let Part::Once { body, steps } = part else { panic!("it waits: {part:?}") };
    ran(recipe, steps, &holes(), &name(), &host.run(body))
}

#[test]
fn a_server_joins_in_two_round_trips_and_gives_its_kubeconfig() {
    each(|host| {
        let text = Text::known("server: ").and_hole("cluster/server").and("\n");
        let membership = "/etc/rancher/k3s/config.yaml.d/50-kubewright-membership.yaml";
        let write = RecipeStep::Write(FileWish::new(membership, text, 0o600));
        let recipe = recipe(vec![write, start("one"), until(&["test", "-e", "ready file"])], vec![kubeconfig()]);
        let parts = steps(&recipe, &holes(), &name()).expect("they can be written");
        let [first, Part::Until(wait)] = parts.as_slice() else { panic!("{parts:?}") };
        host.write("etc/systemd/system/k3s.service", "");
        assert_eq!(once(host, &recipe, first), Ok(true));
        assert_eq!(host.read(membership), "server: https://10.0.0.1:6443\n");
        assert_eq!(host.read("var/lib/kubewright/units/k3s.service.reads"), format!("{}\n", Digest::of("one")));
        assert!(host.calls().contains(&"systemctl --no-block start k3s.service".to_string()));
        // Again, and nothing happens to what runs.
        assert_eq!(once(host, &recipe, first), Ok(false));

        // It comes up, fails, is lost, and is ready in the end.
        host.write("journal", "level=info msg=starting\nlevel=fatal msg=\"bad token\"\n");
        host.write("systemd/k3s.service.active", "activating\n");
        host.write("systemd/k3s.service.sub", "start\n");
        let look = looked(&host.run(&wait.look), &holes());
        assert_eq!((look.done, look.is_lost(), look.why().as_str()), (false, false, "the unit is activating"));
        assert!(look.log.is_empty());
        host.write("systemd/k3s.service.sub", "auto-restart\n");
        let look = looked(&host.run(&wait.look), &holes());
        assert_eq!(look.log, ["level=info msg=starting", "level=fatal msg=\"bad token\""]);
        assert_eq!(look.why(), "the unit ended and is being started again");
        host.write("systemd/k3s.service.sub", "start\n");
        let last = looked(&host.run(&wait.last_look), &holes());
        assert_eq!(last.log.len(), 2);
        let error = waited(wait, &name(), &last);
        assert_eq!(
            error.to_string(),
            "waiting until the API server is ready failed on web-1: not within 10m: the unit is activating"
        );
        host.write("systemd/k3s.service.active", "failed\n");
        assert!(looked(&host.run(&wait.look), &holes()).is_lost());
    });
}

#[test]
fn outputs_come_with_the_last_script_and_are_rewritten() {
    each(|host| {
        let recipe = recipe(vec![until(&["true"])], vec![kubeconfig()]);
        let parts = steps(&recipe, &holes(), &name()).expect("they can be written");
        let [Part::Until(wait)] = parts.as_slice() else { panic!("{parts:?}") };
        let missing = gave(&recipe, &holes(), &name(), &host.run(&wait.look)).expect_err("it is not there");
        assert_eq!(missing.to_string(), "reading /etc/rancher/k3s/k3s.yaml failed on web-1: there is no such file");
        host.write("etc/rancher/k3s/k3s.yaml", &format!("{}\nserver: https://127.0.0.1:6443\n", "# long ".repeat(40)));
        let answer = host.run(&wait.look);
        assert!(looked(&answer, &holes()).done);
        let gave = gave(&recipe, &holes(), &name(), &answer).expect("it is there");
        let value = gave.get("cluster/kubeconfig").expect("it was given");
        assert!(value.expose().ends_with("\nserver: https://k.example:6443\n"));
    });
}

#[test]
fn a_host_that_leaves_is_left_clean() {
    each(|host| {
        let shell = "awk '{ print $1 }' /dev/null; true";
        let recipe = recipe(
            vec![
                RecipeStep::Stop { unit: "k3s.service".into() },
                RecipeStep::Run(words(&["sh", "-c", shell])),
                RecipeStep::Remove("/var/lib/rancher/k3s".into()),
                RecipeStep::Remove("/usr/local/bin/k3s".into()),
                RecipeStep::Remove("/etc/systemd/system/k3s.service".into()),
            ],
            Vec::new(),
        );
        let memory = format!("var/lib/kubewright/downloads/{}", &Digest::of("/usr/local/bin/k3s").as_str()[..32]);
        let all = [
            "var/lib/rancher/k3s/a/b",
            "usr/local/bin/k3s",
            "etc/systemd/system/k3s.service",
            "var/lib/kubewright/units/k3s.service.reads",
            &memory,
        ];
        all.iter().for_each(|path| host.write(path, "x"));
        let parts = steps(&recipe, &holes(), &name()).expect("they can be written");
        let [only] = parts.as_slice() else { panic!("{parts:?}") };
        assert_eq!(once(host, &recipe, only), Ok(true));
        assert!(all.iter().all(|path| !host.at(path).exists()));
        assert!(host.at("var/lib/rancher").exists());
        assert!(host.calls().contains(&"systemctl stop k3s.service".to_string()));
        // Again, and there is nothing left that could be stopped.
        let stop = self::recipe(vec![RecipeStep::Stop { unit: "k3s.service".into() }], Vec::new());
        let parts = steps(&stop, &holes(), &name()).expect("they can be written");
        assert_eq!(once(host, &stop, &parts[0]), Ok(false));
        assert_eq!(host.calls(), ["systemctl show -p LoadState k3s.service"]);
    });
}

#[test]
fn what_fails_is_named_and_stops_the_recipe() {
    each(|host| {
        let program = ["sh", "-c", "echo \"$0\"; exit 3", "it's $(off)"];
        let recipe = recipe(
            vec![RecipeStep::Run(words(&program)), RecipeStep::Write(FileWish::new("/etc/after", "", 0o644))],
            Vec::new(),
        );
        let parts = steps(&recipe, &holes(), &name()).expect("they can be written");
        let error = once(host, &recipe, &parts[0]).expect_err("it failed");
        let HostError::Failed { what, why, log, .. } = &error else { panic!("{error:?}") };
        assert_eq!(
            (what.as_str(), why.as_str()),
            ("running `sh -c echo \"$0\"; exit 3 it's $(off)`", "it ended with 3")
        );
        assert_eq!(log, &["it's $(off)", "it ended with 3"]);
        assert!(!host.at("etc/after").exists());
    });
    for path in ["/", "/etc", "etc/x", "/etc/../x", "/etc/x/"] {
        let recipe = recipe(vec![RecipeStep::Remove(path.into())], Vec::new());
        assert!(steps(&recipe, &holes(), &name()).is_err(), "{path}");
    }
}

#[test]
fn a_unit_that_is_restarted_is_written_down_or_its_log_is_told() {
    each(|host| {
        let restart = RecipeStep::Restart { unit: "k3s.service".into(), reads: Digest::of("two") };
        let recipe = recipe(vec![restart], Vec::new());
        let parts = steps(&recipe, &holes(), &name()).expect("they can be written");
        host.write("systemd/k3s.service.fails", "");
        host.write("journal", "level=fatal msg=\"bad token\"\n");
        let error = once(host, &recipe, &parts[0]).expect_err("it failed");
        assert_eq!(error.to_string(), "restarting k3s.service failed on web-1: level=fatal msg=\"bad token\"");
        std::fs::remove_file(host.at("systemd/k3s.service.fails")).expect("it was there");
        assert_eq!(once(host, &recipe, &parts[0]), Ok(true));
        assert_eq!(host.read("var/lib/kubewright/units/k3s.service.reads"), format!("{}\n", Digest::of("two")));
    });
}
