//! Those whom the spec names are told: what is due, once; and `kubewright notify --test`.

use std::path::{Path, PathBuf};

use kubewright_engine::notify::{Finding, Message, Told, hears};
use kubewright_model::desired::Desired;
use kubewright_model::spec::notifications::Occasion;

use crate::arguments::drift::Notify;
use crate::arguments::{Arguments, Output};
use crate::problem::{Done, Problem};
use crate::screen::{BAD, GOOD, paint, remark, say};
use crate::source::{self, Reading};
use crate::world::{Site, now};

/// The file that says what was told last of something, in the cluster's folder of the store.
pub(super) fn memory(arguments: &Arguments, spec: &Path, desired: &Desired, about: Occasion) -> PathBuf {
    Site::kept(arguments, spec).join(desired.cluster.as_str()).join(format!("{about}.json"))
}

/// Fails where nobody is named who hears of any of these.
pub(super) fn somebody_hears(desired: &Desired, any: &[Occasion]) -> Result<(), Problem> {
    if hears(desired, any) {
        return Ok(());
    }
    let words: Vec<String> = any.iter().map(|it| format!("`{it}`")).collect();
    let problem = Problem::new(Done::Usage, format!("nobody is named who hears of {}", words.join(" or ")));
    Err(problem.hint("`notifications` of the spec names who is told: Slack, Matrix, a webhook or an e-mail address"))
}

/// Tells what is due, and remembers who has heard it; returns whether everybody has.
pub(super) async fn tell(
    site: &Site<'_>,
    desired: &Desired,
    finding: &Finding,
    memory: &Path,
) -> Result<bool, Problem> {
    let before: Option<Told> = std::fs::read_to_string(memory).ok().and_then(|text| serde_json::from_str(&text).ok());
    if !hears(desired, &[finding.about]) {
        return Ok(true);
    }
    let Some(notice) = finding.due(before.as_ref(), now()) else { return Ok(true) };
    let mut missed = Vec::new();
    if site.engine.simulated() {
        remark!("simulated, nobody is told:\n{}", notice.message.text);
    } else {
        for (at, heard) in site.engine.notify(desired, &notice.message, &notice.to).await {
            match heard {
                Ok(who) => remark!("{} told {who}", paint(GOOD, "✓")),
                // Who did not hear it hears it the next time.
                Err(why) => {
                    remark!("{} could not tell {why}", paint(BAD, "✗"));
                    missed.push(at);
                }
            }
        }
    }
    let all = missed.is_empty();
    let cannot = |error: std::io::Error| {
        Problem::new(Done::Unfinished, format!("cannot write {}", memory.display())).because(error.to_string())
    };
    match notice.told(before, missed) {
        None => match std::fs::remove_file(memory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(cannot(error)),
            _ => Ok(all),
        },
        Some(told) => {
            let text = serde_json::to_string(&told)
                .map_err(|error| Problem::new(Done::Bug, "it has no JSON form").because(error.to_string()))?;
            let folder = memory.parent().map_or(Ok(()), std::fs::create_dir_all);
            folder.and_then(|()| std::fs::write(memory, text)).map_err(cannot)?;
            Ok(all)
        }
    }
}

/// `kubewright notify`: who is told of what; with `--test`, each gets a message that says that it is one.
pub(super) fn run(arguments: &Arguments, wish: &Notify) -> Result<Done, Problem> {
    let reading = Reading { asks_hosts: false, ..Reading::of(arguments, Output::Text) };
    let desired = source::read(&wish.file, reading)?.desired;
    if desired.notifications.is_empty() {
        let problem = Problem::new(Done::Usage, "the spec names nobody who would be told");
        return Err(problem.hint("write them into `notifications`: Slack, Matrix, a webhook or an e-mail address"));
    }
    if !wish.test {
        for notification in &desired.notifications {
            let on: Vec<String> = notification.on.iter().map(ToString::to_string).collect();
            say!("{}: {}", notification.to, on.join(", "));
        }
        return Ok(Done::Well);
    }
    Site::look(arguments, &wish.file, &desired, async |site| {
        let mut well = true;
        for notification in &desired.notifications {
            let event = notification.on.first().copied().unwrap_or(Occasion::RunEnd);
            let message = Message::test(&desired.cluster, event, now());
            if site.engine.simulated() {
                say!("{}: simulated, nobody is told: {}", notification.to, message.text);
                continue;
            }
            match site.engine.notify_one(&desired, notification, &message).await {
                Ok(who) => say!("{} told {who}", paint(GOOD, "✓")),
                Err(why) => {
                    well = false;
                    say!("{} could not tell {why}", paint(BAD, "✗"));
                }
            }
        }
        Ok(if well { Done::Well } else { Done::Unfinished })
    })
}
