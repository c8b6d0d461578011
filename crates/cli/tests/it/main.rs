//! The program as people use it: in the real world, and in transcripts.
//!
//! Transcripts: what each command prints, for right and wrong input, in a folder of its own.
//!
//! `cargo xtask transcripts` writes them anew; look at the difference before it is committed.

#![cfg(test)]

mod airgap;
mod complete;
mod documents;
mod faults;
#[path = "../../../hosts/tests/it/lab.rs"]
mod lab;
mod markup;
mod paper;
mod real;
mod secrets;
mod serve;
mod terminal;
mod timers;
mod ways;

#[test]
fn transcripts() {
    // Whoever is shown has the keys that the specs name.
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".ssh")).unwrap();
    std::fs::write(home.path().join(".ssh/id_rsa.pub"), "").unwrap();
    let cases = trycmd::TestCases::new();
    cases
        .default_bin_path(env!("CARGO_BIN_EXE_kubewright"))
        .env("NO_COLOR", "1")
        // However wide the terminal is in which tests run.
        .env("COLUMNS", "")
        .env("HOME", home.path().to_str().unwrap())
        .env("USER", "somebody")
        .env("RUST_BACKTRACE", "0")
        .case("tests/transcripts/*.trycmd")
        .case("tests/transcripts/*.toml");
    cases.run();
}

#[test]
fn a_shell_that_allows_few_open_files_is_asked_for_all_that_may_be() {
    let mut child = std::process::Command::new("sh")
        .args(["-c", "ulimit -Sn 64 && exec \"$0\" validate -", env!("CARGO_BIN_EXE_kubewright")])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // It waits for the spec; until it does, the shell may still be there.
    let limits = format!("/proc/{}/limits", child.id());
    let open_files = || {
        let limits = std::fs::read_to_string(&limits).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let numbers: Vec<String> = line.split_whitespace().take(2).map(str::to_string).collect();
        (numbers[0].clone(), numbers[1].clone())
    };
    let asked = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        let (soft, hard) = open_files();
        soft == hard
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(asked, "it made do with 64");
}
