//! What checks came to as JUnit's XML, which CI systems read: a suite for each group, a case for each check.
//!
//! JUnit itself has no schema; this keeps to what Jenkins takes, the strictest of the readers.
//! <https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd>

use std::fmt::Write as _;
use std::io;

use kubewright_model::checked::{CheckResult, Part, grouped, holding};
use kubewright_model::ids::ClusterName;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::page::flat;

/// The checks of a cluster as JUnit's XML.
pub fn junit(cluster: &ClusterName, results: &[CheckResult]) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Everything is written into memory, which fails never.
    let _ = suites(&mut writer, cluster, results);
    let mut text = String::from_utf8(writer.into_inner()).unwrap_or_default();
    text.push('\n');
    text
}

fn suites(writer: &mut Writer<Vec<u8>>, cluster: &ClusterName, results: &[CheckResult]) -> io::Result<()> {
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all: Vec<&CheckResult> = results.iter().collect();
    let (tests, failures, time) = counts(&all);
    let name = clean(&format!("kubewright verify {cluster}"));
    let element = writer.create_element("testsuites").with_attributes([
        ("name", name.as_str()),
        ("tests", &tests),
        ("failures", &failures),
        ("errors", "0"),
        ("time", &time),
    ]);
    element.write_inner_content(|writer| {
        for (group, all) in grouped(results) {
            let (tests, failures, time) = counts(&all);
            let name = group.to_string();
            let element = writer.create_element("testsuite").with_attributes([
                ("name", name.as_str()),
                ("tests", &tests),
                ("failures", &failures),
                ("errors", "0"),
                ("skipped", "0"),
                ("time", &time),
            ]);
            element.write_inner_content(|writer| all.iter().try_for_each(|result| case(writer, cluster, result)))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// How many there are, how many of them fail, and the seconds that they took.
fn counts(results: &[&CheckResult]) -> (String, String, String) {
    let took = results.iter().map(|result| result.milliseconds()).sum();
    (results.len().to_string(), (results.len() - holding(results)).to_string(), seconds(took))
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

fn case(writer: &mut Writer<Vec<u8>>, cluster: &ClusterName, result: &CheckResult) -> io::Result<()> {
    let checked = &result.checked;
    let (name, class) = (clean(&result.name), clean(&format!("{cluster}.{}", result.group)));
    let time = seconds(result.milliseconds());
    let element = writer.create_element("testcase").with_attributes([
        ("name", name.as_str()),
        ("classname", &class),
        ("time", &time),
    ]);
    element.write_inner_content(|writer| {
        if !checked.holds {
            let message = clean(&checked.saw);
            let failure = writer.create_element("failure");
            let failure = failure.with_attributes([("message", message.as_str()), ("type", "check")]);
            failure.write_text_content(BytesText::new(&why(result)))?;
        }
        writer.create_element("system-out").write_text_content(BytesText::new(&told(result)))?;
        Ok(())
    })?;
    Ok(())
}

/// What was expected, the cause, and what to do.
fn why(result: &CheckResult) -> String {
    let mut text =
        format!("expected: {}\nseen: {}\n", clean(&result.condition.to_string()), clean(&result.checked.saw));
    for line in &result.checked.log {
        let _ = writeln!(text, "log: {}", clean(line));
    }
    if let Some(hint) = &result.checked.hint {
        let _ = writeln!(text, "what to do: {}", clean(hint));
    }
    text
}

/// What was seen, of each part too.
fn told(result: &CheckResult) -> String {
    let mut text = format!("{}\n", clean(&result.checked.saw));
    if let Some(warning) = &result.checked.warning {
        let _ = writeln!(text, "warning: {}", clean(warning));
    }
    for Part { name, address, holds, saw, milliseconds } in &result.checked.parts {
        let word = if *holds { "ok" } else { "NOT OK" };
        let took = milliseconds.map(|took| format!(" ({took} ms)")).unwrap_or_default();
        let _ = writeln!(text, "{word} {} {}: {}{took}", clean(name), clean(address), clean(saw));
    }
    text
}

/// Text of others without what no XML can hold, however it is escaped: <https://www.w3.org/TR/xml/#charsets>.
fn clean(text: &str) -> String {
    flat(text).chars().filter(|c| !matches!(c, '\u{FFFE}' | '\u{FFFF}')).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kubewright_model::checked::{Checked, Group};
    use kubewright_model::condition::Condition;
    use quick_xml::Reader;

    use super::*;

    fn result(name: &str, group: Group, checked: Checked) -> CheckResult {
        CheckResult {
            name: name.into(),
            group,
            condition: Condition::SystemPods,
            checked,
            took: Duration::from_millis(1234),
        }
    }

    #[test]
    fn each_group_is_a_suite_and_each_check_a_case() {
        let good = Checked { holds: true, saw: "7 pods run".into(), ..Checked::default() };
        let part = Part { name: "one".into(), address: "10.0.0.1".into(), saw: "<refused>".into(), ..Part::default() };
        let bad = Checked {
            saw: "a < b & \"c\"\u{1b}[31m".into(),
            log: vec!["line ]]> one".into()],
            hint: Some("look".into()),
            parts: vec![part],
            ..Checked::default()
        };
        let results = [result("pods", Group::AddOns, good), result("redis \u{FFFF}", Group::Services, bad)];
        let xml = junit(&"lab".into(), &results);
        insta::assert_snapshot!(xml);
        let mut reader = Reader::from_str(&xml);
        while !matches!(reader.read_event().unwrap(), Event::Eof) {}
    }
}
