//! Hosts as an inventory names them: with a port behind them, and with ranges: `web[01:05]`, `db-[a:f].example.org`.
//! <https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html#adding-ranges-of-hosts>

use kubewright_model::spec::formats::dns_subdomain;

/// More hosts than any cluster has: a range that is longer is a mistake.
const MOST: usize = 20_000;

/// The hosts of a pattern, and the port that it names.
///
/// # Errors
///
/// What is wrong with it, in words.
pub(super) fn hosts(pattern: &str) -> Result<(Vec<String>, Option<u16>), String> {
    let (name, port) = parted(pattern)?;
    if name.is_empty() || name.ends_with(':') || name == "---" {
        return Err(format!("`{pattern}` names no host"));
    }
    let hosts = expanded(name)?;
    Ok((hosts, port))
}

/// `host:22`, `[fd00::1]:22`. What is left of an address of the sixth version without brackets is no port.
fn parted(pattern: &str) -> Result<(&str, Option<u16>), String> {
    let Some((left, right)) = pattern.rsplit_once(':') else { return Ok((pattern, None)) };
    let digits = !right.is_empty() && right.bytes().all(|b| b.is_ascii_digit());
    let open = left.matches('[').count() != left.matches(']').count();
    if !digits || open {
        return Ok((pattern, None));
    }
    let bracketed = left.strip_prefix('[').and_then(|left| left.strip_suffix(']'));
    let outside = outside_of_ranges(left);
    let (name, found) = match bracketed {
        Some(inner) if inner.contains(':') && !inner.contains('[') && inner.parse::<std::net::IpAddr>().is_ok() => {
            (inner, true)
        }
        _ => (left, !outside.contains(':')),
    };
    if !found {
        return Ok((pattern, None));
    }
    let port = right.parse().ok().filter(|port| *port != 0).ok_or_else(|| format!("`{right}` is no port"))?;
    Ok((name, Some(port)))
}

fn outside_of_ranges(text: &str) -> String {
    let mut inside = false;
    text.chars()
        .filter(|c| {
            inside = match c {
                '[' => true,
                ']' => false,
                _ => inside,
            };
            !inside
        })
        .collect()
}

fn expanded(name: &str) -> Result<Vec<String>, String> {
    let Some((head, rest)) = name.split_once('[') else { return Ok(vec![name.to_string()]) };
    let Some((range, tail)) = rest.split_once(']') else { return Err(format!("the range of `{name}` has no end")) };
    let words = words(range)?;
    let tails = expanded(tail)?;
    if words.len().saturating_mul(tails.len()) > MOST {
        return Err(format!("`{name}` names more than {MOST} hosts"));
    }
    Ok(words.iter().flat_map(|word| tails.iter().map(move |tail| format!("{head}{word}{tail}"))).collect())
}

/// The words of a range: `01:05`, `1:9:2`, `a:f`.
fn words(range: &str) -> Result<Vec<String>, String> {
    let bounds: Vec<&str> = range.split(':').collect();
    let (first, last, step) = match bounds.as_slice() {
        [first, last] => (*first, *last, "1"),
        [first, last, step] => (*first, *last, *step),
        _ => return Err(format!("`[{range}]` is no range: it is `[FIRST:LAST]` or `[FIRST:LAST:STEP]`")),
    };
    let step: usize = step.parse().ok().filter(|step| *step > 0).ok_or_else(|| format!("`{step}` is no step"))?;
    let first = if first.is_empty() { "0" } else { first };
    let letter = |text: &str| Some(text.chars().next()?).filter(|c| text.len() == 1 && c.is_ascii_alphabetic());
    if let (Some(first), Some(last)) = (letter(first), letter(last)) {
        // Ansible's letters are those of Python's `string.ascii_letters`: the small ones come first.
        let all: Vec<char> = ('a'..='z').chain('A'..='Z').collect();
        let at = |c: char| all.iter().position(|letter| *letter == c).unwrap_or(0);
        if at(first) > at(last) {
            return Err(format!("`[{range}]` ends before it begins"));
        }
        return Ok(all[at(first)..=at(last)].iter().step_by(step).map(char::to_string).collect());
    }
    let number = |text: &str| text.parse::<usize>().map_err(|_| format!("`{text}` is no number"));
    let (from, to) = (number(first)?, number(last)?);
    let width = if first.len() > 1 && first.starts_with('0') { first.len() } else { 0 };
    if width > 0 && width != last.len() {
        return Err(format!("`{first}` and `{last}` have to be equally long"));
    }
    if to.saturating_sub(from) / step > MOST {
        return Err(format!("`[{range}]` names more than {MOST} hosts"));
    }
    Ok((from..=to).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

/// Whether a word could be a host's name or a group's: what is not is probably another kind of file.
pub(super) fn plausible(name: &str) -> bool {
    name.parse::<std::net::IpAddr>().is_ok() || dns_subdomain(&name.to_lowercase().replace('_', "-")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pattern: &str) -> (String, Option<u16>) {
        let (hosts, port) = hosts(pattern).unwrap();
        (hosts.join(" "), port)
    }

    #[test]
    fn ranges_count_as_ansible_counts() {
        assert_eq!(named("web[01:03].x:2222"), ("web01.x web02.x web03.x".into(), Some(2222)));
        assert_eq!(named("db-[a:c]"), ("db-a db-b db-c".into(), None));
        assert_eq!(named("n[1:5:2]-[1:2]").0, "n1-1 n1-2 n3-1 n3-2 n5-1 n5-2");
        assert_eq!(named("10.0.0.[9:11]").0, "10.0.0.9 10.0.0.10 10.0.0.11");
        assert_eq!(named("fd00::1"), ("fd00::1".into(), None));
        assert_eq!(named("[fd00::1]:22"), ("fd00::1".into(), Some(22)));
        assert_eq!(named("a[:2]").0, "a0 a1 a2");
    }

    #[test]
    fn what_is_no_range_is_told() {
        for (pattern, why) in [
            ("web[01:5]", "equally long"),
            ("web[1:5", "no end"),
            ("web[c:a]", "before it begins"),
            ("web[1:2:3:4]", "no range"),
            ("web[1:9999999]", "more than"),
            ("web:0", "no port"),
        ] {
            let told = hosts(pattern).unwrap_err();
            assert!(told.contains(why), "{pattern}: {told}");
        }
    }
}
