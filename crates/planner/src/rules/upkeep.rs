//! 08xx, the part about backups and maintenance.

use croner::parser::{CronParser, Seconds, Year};
use kubewright_model::codes::{self, Code};
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::Backup;
use kubewright_model::spec::backup::{Destination, Unreachable};
use kubewright_model::spec::kubernetes::{Datastore, Distribution};

use super::{Facts, at};

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let mut say = |code: Code, path: SpecPath, message: String, help: &str| {
        found.push(Diagnostic::new(code, path, message).help(help));
    };
    let backup = facts.spec.backup.as_ref();
    let maintenance = &facts.spec.maintenance;
    let schedules = [
        ("backup/schedule", backup.map(|backup| &backup.schedule)),
        ("backup/bundleSchedule", backup.and_then(|backup| backup.bundle_schedule.as_ref())),
        ("backup/machines/schedule", backup.and_then(|it| it.machines.as_ref()).map(|machines| &machines.schedule)),
        ("maintenance/window", maintenance.window.as_ref()),
    ];
    for (place, schedule) in schedules {
        if let Some(schedule) = schedule
            && let Err(why) = cron(schedule)
        {
            let message = format!("`{schedule}` is no schedule: {why}");
            let help = "write minute, hour, day, month and day of the week: `0 3 * * *`";
            say(codes::SCHEDULE_FORM, at(place), message, help);
        }
    }
    if let Some(backup) = backup {
        backup_rules(facts, backup, &mut say);
    }
    match (&maintenance.window, &maintenance.window_length) {
        (Some(_), None) => {
            let message = "nothing says how long the window stays open".to_string();
            say(codes::WINDOW_LENGTH, at("maintenance/window"), message, "write for example `windowLength: 2h`");
        }
        (None, Some(_)) => {
            let message = "nothing says when the window opens".to_string();
            say(codes::WINDOW_LENGTH, at("maintenance/windowLength"), message, "write for example `window: 0 3 * * 6`");
        }
        _ => {}
    }
    if maintenance.snapshots.is_some() && !facts.spec.pools.values().any(|pool| pool.proxmox.is_some()) {
        let message = "no pool has machines at Proxmox, and nobody else takes snapshots of machines".to_string();
        say(codes::SNAPSHOTS, at("maintenance/snapshots"), message, "remove it");
    }
    if maintenance.unreachable == Unreachable::Fence {
        let agents = facts.spec.pools.iter().filter(|(_, pool)| pool.role.is_node() && !pool.role.is_server());
        let existing: Vec<&str> =
            agents.filter(|(_, pool)| pool.existing.is_some()).map(|(name, _)| name.as_str()).collect();
        if !existing.is_empty() {
            let message = format!("hosts of {} exist already, and no provider can shut them off", existing.join(", "));
            let help = "they are skipped all the same; where there are no other agents, write `unreachable: skip`";
            say(codes::FENCE_WITHOUT_PROVIDER, at("maintenance/unreachable"), message, help);
        }
    }
}

/// Five fields as every cron knows them. K3s' and RKE2's own scheduler reads them too, and that one has none of the
/// later signs: no `L`, no `W`, no `#`.
fn cron(schedule: &str) -> Result<(), String> {
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != 5 {
        return Err(format!("it has {} fields, not five", fields.len()));
    }
    let later = |field: &str| {
        let letters = field.contains(|c: char| c.is_ascii_alphabetic());
        field.contains(['#', '+'])
            || (letters && field.contains(|c: char| c.is_ascii_digit()))
            || matches!(field, "L" | "l")
    };
    if let Some(field) = fields.iter().find(|field| later(field)) {
        return Err(format!("`{field}` has signs that not every cron knows"));
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    // The parser's words come in layers: what is wrong stands last.
    let why = |error: croner::errors::CronError| {
        let text = error.to_string();
        text.rsplit(": ").next().unwrap_or(&text).trim_end_matches('.').to_lowercase()
    };
    parser.parse(schedule).map(drop).map_err(why)
}

fn destination(to: &Destination, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let places = [("folder", to.folder.is_some()), ("s3", to.s3.is_some()), ("sftp", to.sftp.is_some())];
    let named: Vec<String> = places.iter().filter(|(_, there)| *there).map(|(name, _)| format!("`{name}`")).collect();
    if named.len() != 1 {
        let what = if named.is_empty() { "no place".into() } else { named.join(" and ") };
        let message = format!("the backup's destination has {what}");
        say(codes::BACKUP_DESTINATION, at("backup/to"), message, "write exactly one of `folder`, `s3` and `sftp`");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/ -".contains(c);
    let folder = to.s3.as_ref().and_then(|s3| s3.folder.as_ref());
    if let Some(folder) = folder.filter(|folder| folder.trim() != folder.as_str() || !folder.chars().all(plain)) {
        let message = format!("`{folder}` is no folder that every client of S3 writes alike");
        let help = "write letters, digits, `-`, `_`, `.`, `/` and blanks in between";
        say(codes::BACKUP_DESTINATION, at("backup/to/s3/folder"), message, help);
    }
    let Some(sftp) = &to.sftp else { return };
    if sftp.key.is_some() && sftp.key_file.is_some() {
        let message = "two keys are named for the SFTP server".to_string();
        say(codes::SFTP_KEYS, at("backup/to/sftp"), message, "write one of `key` and `keyFile`");
    }
    let steps = sftp.folder.split('/').filter(|step| *step == "..").count();
    if steps > 0 || ["~", "~/", "."].contains(&sftp.folder.as_str()) {
        let message = format!("`{}` is no folder of the bundles' own", sftp.folder);
        let help = "name a folder that holds nothing else: `backups/lab`, or `/srv/backups/lab`";
        say(codes::SFTP_FOLDER, at("backup/to/sftp/folder"), message, help);
    }
}

/// What servers make bundles of, whom for, and where to.
fn on_servers(facts: &Facts<'_>, backup: &Backup, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let kubernetes = &facts.spec.kubernetes;
    let lacks = [
        (
            kubernetes.distribution == Distribution::Talos,
            "Talos runs no program of ours",
            "remove it: `kubewright backup timer` has this computer make bundles",
        ),
        (
            kubernetes.datastore != Datastore::Etcd || !backup.datastore,
            "the servers save no etcd that could be in a bundle",
            "remove it; `kubewright backup` saves objects and keys",
        ),
        (
            backup.to.as_ref().is_none_or(|to| to.s3.is_none()),
            "servers put bundles into a bucket, and none is named",
            "write `to: { s3: … }`; or remove it, and `kubewright backup timer` has this computer make them",
        ),
        (
            backup.recipients.is_empty(),
            "nobody is named who could open what the servers make",
            "write public keys of age in `recipients`: servers know no others",
        ),
    ];
    if let Some((_, why, help)) = lacks.into_iter().find(|(lacks, ..)| *lacks) {
        say(codes::BACKUP_ON_SERVERS, at("backup/onServers"), why.into(), help);
    }
}

fn backup_rules(facts: &Facts<'_>, backup: &Backup, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    if let Some(to) = &backup.to {
        destination(to, say);
    }
    let prunes = matches!(facts.spec.kubernetes.distribution, Distribution::K3s | Distribution::Rke2);
    let name = facts.file.metadata.name.as_str();
    if prunes && backup.to.as_ref().is_some_and(|to| to.s3.is_some()) && name.starts_with("kubewright") {
        let message = format!("the servers would prune the bundles of `{name}` as snapshots of theirs");
        let help = "they go by how a name begins, and theirs begin with `kubewright`: call the cluster something else, or take another place";
        say(codes::BACKUP_DESTINATION, at("backup/to/s3"), message, help);
    }
    if backup.on_servers {
        on_servers(facts, backup, say);
    }
    if !backup.datastore && !backup.objects && backup.machines.is_none() {
        let message = "nothing would be saved".to_string();
        let help = "switch on `datastore` or `objects`, or remove `backup`";
        say(codes::BACKUP_OF_NOTHING, at("backup"), message, help);
    }
    if let Some(machines) = &backup.machines
        && cron(&machines.schedule).is_ok()
        && crate::lower::calendar(&machines.schedule).is_none()
    {
        let message = format!("`{}` runs on either of two days, and Proxmox on none but both", machines.schedule);
        let help = "write `*` for the day of the month or for the day of the week";
        say(codes::SCHEDULE_FORM, at("backup/machines/schedule"), message, help);
    }
    if backup.machines.is_some() && !facts.spec.pools.values().any(|pool| pool.proxmox.is_some()) {
        let message = "no pool has machines at Proxmox, and nobody else saves whole machines".to_string();
        say(codes::BACKUP_MACHINES, at("backup/machines"), message, "remove it");
    }
}
