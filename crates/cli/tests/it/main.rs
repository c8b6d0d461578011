//! The program as people use it: in the real world, and in transcripts.
//!
//! Transcripts: what each command prints, for right and wrong input, in a folder of its own.
//!
//! `cargo xtask transcripts` writes them anew; look at the difference before it is committed.

#![cfg(test)]

#[path = "../../../hosts/tests/it/lab.rs"]
mod lab;
mod real;

#[test]
fn transcripts() {
    let cases = trycmd::TestCases::new();
    cases
        .default_bin_path(env!("CARGO_BIN_EXE_kubewright"))
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .env("USER", "somebody")
        .env("RUST_BACKTRACE", "0")
        .case("tests/transcripts/*.trycmd")
        .case("tests/transcripts/*.toml");
    cases.run();
}
