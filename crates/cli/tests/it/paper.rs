//! Documents as PDF, read by poppler and judged by qpdf.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const EXAMPLES: [&str; 5] = ["devboard", "keybuzz", "mlops", "valaskjalf", "vixens"];

fn kubewright(arguments: &[&str]) -> Output {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    Command::new(env!("CARGO_BIN_EXE_kubewright"))
        .args(arguments)
        .current_dir(examples)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

fn write(arguments: &[&str], out: &Path) {
    let ran = kubewright(&[arguments, &["--out", out.to_str().unwrap()]].concat());
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// What somebody reads who opens it; words that a line's end cut are whole again.
fn read(pdf: &Path) -> String {
    let judged = Command::new("qpdf").arg("--check").arg(pdf).output().unwrap();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
    let text = Command::new("pdftotext").arg(pdf).arg("-").output().unwrap();
    assert!(text.status.success(), "{}", String::from_utf8_lossy(&text.stderr));
    words(&String::from_utf8(text.stdout).unwrap())
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_examples_are_whole_on_paper_in_both_languages() {
    let folder = tempfile::tempdir().unwrap();
    for (name, language) in EXAMPLES.iter().flat_map(|name| [(name, "en"), (name, "fr")]) {
        let spec = format!("{name}/cluster.yaml");
        let pdf = folder.path().join(format!("{name}.{language}.pdf"));
        write(&["docs", &spec, "--lang", language], &pdf);
        let text = read(&pdf);
        let markdown = kubewright(&["docs", &spec, "--lang", language]);
        let markdown = String::from_utf8(markdown.stdout).unwrap();
        let headings: Vec<&str> = markdown
            .lines()
            .filter_map(|line| line.strip_prefix("# ").or(line.strip_prefix("## ")).or(line.strip_prefix("### ")))
            // Lines of commands may look like headings; these are in blocks of code, as the words of diagrams are.
            .filter(|heading| !heading.contains('`'))
            .collect();
        assert!(headings.len() > 15, "{name}: {headings:?}");
        for heading in headings {
            let heading = words(&heading.replace('\\', ""));
            assert!(text.contains(&heading), "{}: lacks {heading}", pdf.display());
        }
        for machine in machines(name) {
            assert!(text.contains(&machine), "{}: lacks {machine}", pdf.display());
        }
    }
}

/// The names of an example's machines: what stands first in each row below the heading.
fn machines(name: &str) -> Vec<String> {
    let page = String::from_utf8(kubewright(&["docs", &format!("{name}/cluster.yaml")]).stdout).unwrap();
    let (_, section) = page.split_once("\n## Machines\n").unwrap();
    let rows = section.lines().take_while(|line| !line.starts_with('#')).filter_map(|line| line.strip_prefix("|`"));
    let names: Vec<String> = rows.map(|row| row[..row.find('`').unwrap()].to_string()).collect();
    assert!(names.len() >= 3, "{name}: {names:?}");
    names
}

/// A spec whose description is full of what means something elsewhere.
fn described(folder: &Path, description: &str) -> PathBuf {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/devboard/cluster.yaml");
    let text = std::fs::read_to_string(spec).unwrap();
    let line = text.lines().find(|line| line.trim_start().starts_with("description:")).unwrap();
    let path = folder.join("cluster.yaml");
    let quoted = serde_json::to_string(description).unwrap();
    std::fs::write(&path, text.replace(line, &format!("  description: {quoted}"))).unwrap();
    path
}

#[test]
fn words_of_a_user_are_words_and_never_markup() {
    let folder = tempfile::tempdir().unwrap();
    let description = r##"a *b* _c_ $x^2$ #sys.version <l> @r `q` // no comment \ \u{41} = no heading"##;
    let spec = described(folder.path(), description);
    let pdf = folder.path().join("x.pdf");
    write(&["docs", spec.to_str().unwrap()], &pdf);
    let text = read(&pdf);
    assert!(text.contains(description), "{}", &text[..400]);
}

/// A table of few rows stays on one page, unless one of them is higher than that.
#[test]
fn what_is_higher_than_a_page_goes_on_on_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let spec = described(folder.path(), "many packages");
    let text = std::fs::read_to_string(&spec).unwrap();
    let names: Vec<String> = (1..=400).map(|number| format!("package-{number:03}")).collect();
    let many = text.replace("packages: [curl, iptables, apparmor]", &format!("packages: [{}]", names.join(", ")));
    assert_ne!(text, many);
    std::fs::write(&spec, many).unwrap();
    let pdf = folder.path().join("x.pdf");
    write(&["docs", spec.to_str().unwrap()], &pdf);
    let text = read(&pdf).replace(' ', "");
    let lacks: Vec<&String> = names.iter().filter(|name| !text.contains(*name)).collect();
    assert!(lacks.is_empty(), "{lacks:?}");
}

#[test]
fn the_same_file_gives_the_same_bytes_and_another_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let pdf = folder.path().join("x.pdf");
    write(&["docs", "devboard/cluster.yaml"], &pdf);
    let check = |spec: &str| {
        let ran = kubewright(&["docs", spec, "--check", "--out", pdf.to_str().unwrap()]);
        (ran.status.code(), String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap())
    };
    let (code, _, said) = check("devboard/cluster.yaml");
    assert_eq!(code, Some(0), "{said}");
    let (code, shown, said) = check("vixens/cluster.yaml");
    assert_eq!((code, shown.as_str()), (Some(4), ""), "{said}");
    assert!(said.contains("is not what would be written now"), "{said}");
}

#[test]
fn a_terminal_is_not_sent_a_pdf() {
    let line = format!("{} docs devboard/cluster.yaml --format pdf", env!("CARGO_BIN_EXE_kubewright"));
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let ran = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(examples)
        .output()
        .unwrap();
    let screen = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(ran.status.code(), Some(2), "{screen}");
    assert!(screen.contains("--out") && !screen.contains("%PDF"), "{screen}");
    let piped = kubewright(&["docs", "devboard/cluster.yaml", "--format", "pdf"]);
    assert!(piped.stdout.starts_with(b"%PDF-") && piped.status.success());
}

#[test]
fn reports_of_checks_runs_and_rehearsals_are_pdfs_where_their_name_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let ran = |arguments: &[&str]| {
        let ran = kubewright(arguments);
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    let (docs, checks, run) = (file("devboard.pdf"), file("checks.pdf"), file("run.pdf"));
    let paths = [&docs, &checks, &run].map(|path| path.to_str().unwrap());
    ran(&["rehearse", "devboard/cluster.yaml", "--docs", paths[0]]);
    let world = file("world");
    let simulated = ["--simulated", world.to_str().unwrap()];
    ran(&[&["apply", "devboard/cluster.yaml", "--yes"][..], &simulated].concat());
    ran(&[&["verify", "devboard/cluster.yaml", "--report", paths[1]][..], &simulated].concat());
    ran(&[&["history", "devboard/cluster.yaml", "--run", "last", "--report", paths[2]][..], &simulated].concat());
    for (pdf, words) in [
        (&docs, ["How it was built", "SIMULATED"]),
        (&checks, ["✓ Installed and validated", "✓ 2/2 Cluster and nodes"]),
        (&run, ["Slowest steps", "create machine k3s-server"]),
    ] {
        let text = read(pdf);
        for word in words {
            assert!(text.contains(word), "{}: lacks {word}: {text}", pdf.display());
        }
        // Every letter has a glyph, or it would not be claimed.
        let bytes = std::fs::read(pdf).unwrap();
        assert!(bytes.windows(7).any(|it| it == b"pdfuaid"), "{}", pdf.display());
    }
}
