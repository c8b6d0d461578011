//! The pages for people keep what they promise: every spec in a guide is right, and every link leads somewhere.
//!
//! A `yaml` block in `docs/guide/` says in its first line what it is: `# whole spec` is a file as it stands, `# in spec`
//! is a part of one, put into a small spec in the place of the parts of the same name. Both must be free of errors.
//! A block of another first line is an error, so that none goes unread. Commands are compared with the reference page of
//! the command line, which is generated from the program.

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

/// Whether a relative link leads to a file, and to a heading in it when it names one; others are not looked at.
fn leads(page: &Path, link: &CowStr<'_>) -> bool {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    if file.contains("://") || file.starts_with("mailto:") {
        return true;
    }
    let target = match file {
        "" => page.to_path_buf(),
        file => page.with_file_name(file),
    };
    let headed = || headings(&fs::read_to_string(&target).unwrap()).iter().any(|there| there == heading);
    target.exists() && (heading.is_empty() || headed())
}

/// The headings of a page as links name them: small letters, digits, `-` for a space, nothing else.
fn headings(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for event in Parser::new(page) {
        match event {
            Event::Start(Tag::Heading { .. }) => open = Some(String::new()),
            Event::Text(text) | Event::Code(text) => open.iter_mut().for_each(|heading| heading.push_str(&text)),
            Event::End(TagEnd::Heading(_)) => found.extend(open.take()),
            _ => {}
        }
    }
    let kept = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let slug = |heading: String| heading.to_lowercase().chars().filter(|c| kept(*c)).collect::<String>();
    found.into_iter().map(|heading| slug(heading).replace(' ', "-")).collect()
}

/// The commands of a page, in blocks and in the text.
fn commands(page: &str) -> Vec<String> {
    let mut in_block = false;
    let texts = Parser::new_ext(page, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Start(Tag::CodeBlock(_)) | Event::End(TagEnd::CodeBlock) => {
            in_block = !in_block;
            None
        }
        Event::Text(text) if in_block => Some(text.to_string()),
        Event::Code(text) => Some(text.to_string()),
        _ => None,
    });
    let lines = texts.flat_map(|text| text.lines().map(str::to_string).collect::<Vec<_>>());
    let parts = lines.flat_map(|line| line.split("&&").map(|part| part.trim().to_string()).collect::<Vec<_>>());
    parts.filter_map(|part| part.trim_start_matches("$ ").strip_prefix("kubewright ").map(str::to_string)).collect()
}

/// What the reference does not know of a command.
fn unknown(reference: &str, command: &str) -> Option<String> {
    let command = command.split([';', '#', '>', '|', ':']).next().unwrap_or_default();
    let words: Vec<&str> = command.split_whitespace().collect();
    let name = match words.as_slice() {
        ["--simulated", _, name, ..] | [name, ..] => *name,
        [] => return None,
    };
    let page = match name.starts_with('-') {
        true => reference,
        false => reference.split("\n## kubewright ").find(|page| page.lines().next() == Some(name))?,
    };
    // What stands behind `--` is another program's.
    let flags = words.iter().take_while(|word| **word != "--").filter(|word| word.starts_with("--"));
    let mut strange = flags.filter(|flag| !page.split_whitespace().any(|word| word.trim_end_matches(',') == **flag));
    strange.next().map(|flag| format!("kubewright {name} has no {flag}"))
}

#[test]
fn every_command_in_a_guide_exists() {
    let reference = fs::read_to_string(root().join("docs/reference/cli.md")).unwrap();
    let known = |name: &str| name.starts_with('-') || reference.contains(&format!("\n## kubewright {name}\n"));
    let mut wrong = Vec::new();
    let mut read = 0;
    for path in pages(&root().join("docs/guide"), true).into_iter().chain(pages(&root(), false)) {
        for command in commands(&fs::read_to_string(&path).unwrap()) {
            let first = command.split_whitespace().next().unwrap_or_default();
            if !known(first) {
                wrong.push(format!("{}: there is no kubewright {first}", path.display()));
            }
            wrong.extend(unknown(&reference, &command).map(|why| format!("{}: {why}", path.display())));
            read += 1;
        }
    }
    assert!(read > 50, "only {read} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
