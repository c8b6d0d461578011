//! Real scripts under real shells, in a folder that is a host.

mod failures;
mod files;
pub(crate) mod host;
mod leave;
mod repositories;
mod system;
mod upgrade;

/// One script has many rooms' words in it, and the last of two functions of a name would be meant by both.
#[test]
fn no_two_functions_have_one_name() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/change");
    let files = std::fs::read_dir(folder).expect("it is there").flatten().map(|entry| entry.path());
    let mut seen = std::collections::BTreeMap::new();
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "sh")) {
        let text = std::fs::read_to_string(&file).expect("it is text");
        for name in text.lines().filter_map(|line| line.strip_suffix("() {")) {
            let other = seen.insert(name.to_string(), file.clone());
            assert_eq!(other, None, "{name} in {}", file.display());
        }
    }
    assert!(seen.len() > 50, "{seen:?}");
}
