//! The pages in a real browser: Chromium, driven by Playwright, judged by axe.

use std::path::Path;
use std::process::Command;

use crate::house::{House, OPERATOR, VIEWER, example};

/// Ends with what a program has printed where it failed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}:\n{text}", output.status);
    text
}

#[test]
fn pages_are_driven_by_mouse_and_keyboard_and_judged_for_everybody() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    std::fs::create_dir_all(&home).unwrap();
    for file in std::fs::read_dir(&sources).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), home.join(file.file_name())).unwrap();
        }
    }
    let npm = ["install", "--ignore-scripts", "--no-audit", "--no-fund"];
    run(Command::new("npm").args(npm).current_dir(&home));
    let house = House::of(&example("devboard"), Some(20.0));
    let mut drives = Command::new("node");
    drives.arg("all.mjs").current_dir(&home);
    drives.env("KUBEWRIGHT_DASHBOARD", house.url("")).env("KUBEWRIGHT_CLUSTER", "devboard");
    drives.env("KUBEWRIGHT_OPERATOR_TOKEN", OPERATOR).env("KUBEWRIGHT_VIEWER_TOKEN", VIEWER);
    let told = run(&mut drives);
    assert!(told.lines().count() > 30 && told.contains("all held"), "{told}");
}
