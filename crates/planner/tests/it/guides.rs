//! The pages for people keep what they promise: every spec in a guide is right, and every link leads somewhere.
//!
//! A `yaml` block in `docs/guide/` says in its first line what it is: `# whole spec` is a file as it stands, `# in spec`
//! is a part of one, put into a small spec in the place of the parts of the same name. Both must be free of errors.
//! A block of another first line is an error, so that none goes unread.

#![expect(clippy::disallowed_methods, reason = "the planner reads no files, its tests do")]

use std::fs;
use std::path::{Path, PathBuf};

use kubewright_model::diagnostic::{Diagnostic, Severity};
use kubewright_model::spec::load;
use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd};

const WHOLE: &str = "# whole spec";
const PART: &str = "# in spec";

/// What a part is put into.
const HEAD: &str = "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: { name: lab }\nspec:\n";
const PARTS: &[(&str, &str)] = &[
    ("kubernetes", "{ distribution: k3s, version: v1.31.4+k3s1 }"),
    ("network", "{ cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }"),
    ("pools", "{ server: { role: both, name: server, addresses: [10.0.0.10], existing: {} } }"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Markdown files of a folder, and of the folders in it if asked, in order.
fn pages(folder: &Path, deep: bool) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        if path.is_dir() && deep {
            found.extend(pages(&path, true));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The `yaml` blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for event in Parser::new(page) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(word))) if &*word == "yaml" => open = Some(String::new()),
            Event::Text(text) => open.iter_mut().for_each(|block| block.push_str(&text)),
            Event::End(TagEnd::CodeBlock) => found.extend(open.take()),
            _ => {}
        }
    }
    found
}

/// The part in a spec around it.
fn whole(part: &str) -> String {
    let given = |name: &str| part.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')));
    let own = PARTS.iter().filter(|(name, _)| !given(name)).map(|(name, value)| format!("  {name}: {value}\n"));
    let lines = part.lines().map(|line| format!("  {line}\n"));
    HEAD.chars().chain(own.chain(lines).collect::<String>().chars()).collect()
}

fn errors(text: &str) -> Vec<Diagnostic> {
    let found = match load(text) {
        Ok(loaded) => kubewright_planner::lower::lower(&loaded.file).1,
        Err(found) => found,
    };
    found.into_iter().filter(|diagnostic| diagnostic.severity == Severity::Error).collect()
}

#[test]
fn every_spec_in_a_guide_is_right() {
    let mut read = 0;
    for path in pages(&root().join("docs/guide"), true) {
        for block in blocks(&fs::read_to_string(&path).unwrap()) {
            let text = match block.lines().next() {
                Some(WHOLE) => block.clone(),
                Some(PART) => whole(&block),
                first => panic!("{}: a block begins with {first:?}, not with `{WHOLE}` or `{PART}`", path.display()),
            };
            let found = errors(&text);
            assert!(found.is_empty(), "{}:\n{text}\n{found:#?}", path.display());
            read += 1;
        }
    }
    assert!(read > 0, "no guide shows a spec");
}

#[test]
fn every_link_leads_somewhere() {
    let root = root();
    let mut pages_of_people = pages(&root, false);
    pages_of_people.extend(pages(&root.join("docs"), true));
    pages_of_people.extend(pages(&root.join("examples"), true));
    let mut broken = Vec::new();
    for path in pages_of_people {
        let page = fs::read_to_string(&path).unwrap();
        for event in Parser::new_ext(&page, Options::ENABLE_TABLES) {
            let (Event::Start(Tag::Link { dest_url, .. }) | Event::Start(Tag::Image { dest_url, .. })) = event else {
                continue;
            };
            if !leads(&path, &dest_url) {
                broken.push(format!("{}: {dest_url}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links lead nowhere:\n{}", broken.join("\n"));
}

/// Whether a relative link leads to a file; others are not looked at.
fn leads(page: &Path, link: &CowStr<'_>) -> bool {
    let file = link.split('#').next().unwrap_or_default();
    if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
        return true;
    }
    page.parent().is_some_and(|folder| folder.join(file).exists())
}
