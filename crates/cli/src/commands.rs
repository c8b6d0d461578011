//! One file for each command.

mod airgap;
mod backup;
mod change;
mod doctor;
mod documents;
mod drift;
mod enter;
mod explain;
mod history;
mod hours;
mod import;
mod init;
mod kubeconfig;
mod look;
mod notify;
mod outdated;
mod plan;
mod rebuild;
mod rehearse;
mod restore;
mod secrets;
mod serve;
mod shell;
mod take;
mod talosconfig;
mod timer;
mod top;
mod validate;
mod verify;

use kubewright_model::change::Subject;
use kubewright_model::plan::{Plan, Weight};

pub(crate) use self::backup::PRETEND as PRETEND_BUNDLES;
use crate::arguments::{Arguments, Command};
use crate::problem::{Done, Problem};

/// What whoever is refused by the real world may do all the same.
const TRY_OUT: &str = "to try it out meanwhile, add `--simulated DIR` for a pretend data centre";

/// Whether a plan is blocked before anything was reached: a token that nobody has given, a provider that does not answer.
/// What is wrong with a single host, or what a provider that answers does not allow, is better mended than tried elsewhere.
fn nothing_reached(plan: &Plan) -> bool {
    let mut blocks = plan.notes.iter().filter(|note| note.weight == Weight::Blocks).peekable();
    plan.is_empty() && blocks.peek().is_some() && blocks.all(|note| note.subject == Subject::Cluster)
}

/// Refuses a pace where nothing is pretended, and one that is none.
fn paced(arguments: &Arguments, pace: f64) -> Result<(), Problem> {
    if !arguments.pretends() {
        return Err(Problem::new(Done::Usage, "only a pretend world has a pace").hint("add `--simulated DIR`"));
    }
    if pace.is_finite() && pace > 0.0 {
        return Ok(());
    }
    Err(Problem::new(Done::Usage, "a pace is a number above 0").hint("`--pace 60`: a minute in a second"))
}

/// Runs the command that was asked for.
pub(crate) fn run(arguments: &Arguments) -> Result<Done, Problem> {
    if let Some(pace) = arguments.pace() {
        paced(arguments, pace)?;
    }
    match &arguments.command {
        Command::Init(init) => init::run(init),
        Command::Import(import) => import::run(import),
        Command::Validate(validate) => validate::run(arguments, validate),
        Command::Plan(plan) => plan::run(arguments, plan),
        Command::Apply(apply) => change::apply(arguments, apply),
        Command::Destroy(destroy) => change::destroy(arguments, destroy),
        Command::Rebuild(rebuild) => change::rebuild(arguments, rebuild),
        Command::Restore(restore) => change::restore(arguments, restore),
        Command::Rotate(rotate) => change::rotate(arguments, rotate),
        Command::Replace(replace) => change::replace(arguments, replace),
        Command::Backup(backup) => backup::run(arguments, backup),
        Command::Bundle(bundle) => airgap::run(arguments, bundle),
        Command::Kubeconfig(kubeconfig) => kubeconfig::run(arguments, kubeconfig),
        Command::Ssh(ssh) => enter::ssh::run(arguments, ssh),
        Command::Exec(exec) => enter::exec::run(arguments, exec),
        Command::Logs(logs) => enter::logs::run(arguments, logs),
        Command::Reboot(reboot) => change::reboot(arguments, reboot),
        Command::UpdateOs(update) => change::update_os(arguments, update),
        Command::Outdated(asked) => outdated::run(arguments, asked),
        Command::Images { wish } => enter::images::run(arguments, wish),
        Command::Talosconfig(talosconfig) => talosconfig::run(arguments, talosconfig),
        Command::Status(look) if look.drift => drift::look(arguments, look),
        Command::Status(look) => look::status(arguments, look),
        Command::DriftTimer(timer) => drift::timer(arguments, timer),
        Command::Notify(wish) => notify::run(arguments, wish),
        Command::Serve(wish) => serve::run(arguments, wish),
        Command::Top(wish) => top::run(arguments, wish),
        Command::Doctor(doctor) => doctor::run(arguments, doctor),
        Command::SupportBundle(bundle) => doctor::bundle(arguments, bundle),
        Command::Verify(verify) => verify::verify(arguments, verify),
        Command::Secrets { wish } => secrets::run(arguments.environment.as_deref(), wish),
        Command::History(history) => history::run(arguments, history),
        Command::Explain { code } => explain::run(code.as_deref()),
        Command::Schema => documents::schema(),
        Command::Docs(docs) => documents::cluster(arguments, docs),
        Command::Rehearse(rehearse) => rehearse::run(arguments, rehearse),
        Command::Completions { shell } => shell::completions(*shell),
        Command::Man { out } => shell::man(out.as_deref()),
    }
}

/// Prints a value as JSON.
fn print_json(value: &impl serde::Serialize) -> Result<(), Problem> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Problem::new(Done::Bug, "the answer has no JSON form").because(error.to_string()))?;
    crate::screen::hand!("{text}");
    Ok(())
}

/// Prints a value that has fields as JSON, and says in it when it comes from a pretend world.
fn print_json_of(simulated: bool, value: &impl serde::Serialize) -> Result<(), Problem> {
    let mut json = serde_json::to_value(value)
        .map_err(|error| Problem::new(Done::Bug, "the answer has no JSON form").because(error.to_string()))?;
    if let (true, Some(fields)) = (simulated, json.as_object_mut()) {
        fields.insert("simulated".into(), true.into());
    }
    print_json(&json)
}

/// Writes a file, and says so.
fn write(path: &std::path::Path, page: impl AsRef<[u8]>) -> Result<(), Problem> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = folder.map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, page)).map_err(|error| {
        Problem::new(Done::Usage, format!("cannot write {}", path.display())).because(error.to_string())
    })?;
    crate::screen::remark!("wrote {}", path.display());
    Ok(())
}
