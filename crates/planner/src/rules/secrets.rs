//! 07xx: references to secrets, and secrets where a reference belongs. No message here repeats a value.

use bech32::{FromBase32 as _, Variant};
use kubewright_model::codes::{self, Code};
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::SecretRef;

use super::{Facts, at, clear, settings};

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (reference, path, given) in references(facts) {
        judge(facts, reference, &path, given, found);
    }
    recipients(facts, found);
    keys(facts, found);
    clear::rules(facts, found);
}

/// Whether somebody outside gives the secret out, so that a new random value would be of no use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    Outside,
    Anywhere,
}

use Given::{Anywhere, Outside};

pub(super) type Reference<'a> = (&'a SecretRef, SpecPath, Given);

/// Where a reference may be.
type Place<'a> = (Option<&'a SecretRef>, SpecPath, Given);

/// Every reference of the file.
pub(super) fn references<'a>(facts: &Facts<'a>) -> Vec<Reference<'a>> {
    let places = [of_machines(facts), of_hosts(facts), of_addons(facts), of_the_rest(facts)];
    let given = |(reference, path, given): Place<'a>| Some((reference?, path, given));
    places.into_iter().flatten().filter_map(given).collect()
}

/// What makes machines, and what makes a cluster of them.
fn of_machines<'a>(facts: &Facts<'a>) -> Vec<Place<'a>> {
    let spec = facts.spec;
    let mut all: Vec<Place<'a>> = Vec::new();
    for (name, proxmox) in spec.providers.proxmox_clusters() {
        let path = super::proxmox::place(&name);
        all.push((proxmox.token_secret.as_ref(), path.then("tokenSecret"), Outside));
        all.push((proxmox.password.as_ref(), path.then("password"), Outside));
    }
    all.push((spec.providers.hetzner.as_ref().map(|it| &it.token), at("providers/hetzner/token"), Outside));
    let certificates = spec.providers.hetzner.iter().flat_map(|hetzner| &hetzner.certificates);
    for (name, certificate) in certificates {
        let path = at("providers/hetzner/certificates").then(name);
        all.push((certificate.certificate.as_ref(), path.then("certificate"), Outside));
        all.push((certificate.private_key.as_ref(), path.then("privateKey"), Outside));
    }
    all.push((spec.kubernetes.join_token.as_ref(), at("kubernetes/joinToken"), Anywhere));
    all.push((spec.kubernetes.agent_token.as_ref(), at("kubernetes/agentToken"), Anywhere));
    let talos = spec.kubernetes.talos.as_ref();
    all.push((talos.and_then(|talos| talos.secrets.as_ref()), at("kubernetes/talos/secrets"), Outside));
    for (name, registry) in &spec.kubernetes.registries {
        let path = at("kubernetes/registries").then(name).then("login").then("password");
        all.push((registry.login.as_ref().map(|login| &login.password), path, Outside));
    }
    for (name, balancer) in &spec.load_balancers {
        let path = at("loadBalancers").then(name).then("statistics").then("password");
        all.push((balancer.statistics.as_ref().map(|page| &page.password), path, Anywhere));
    }
    for (name, pool) in &spec.pools {
        let vm = pool.proxmox.as_ref().and_then(|machines| machines.vm.as_ref());
        let path = at("pools").then(name).then("proxmox").then("vm").then("passwordHash");
        all.push((vm.and_then(|vm| vm.password_hash.as_ref()), path, Outside));
    }
    all
}

/// What hosts are set up with, all of them and those of a pool.
fn of_hosts<'a>(facts: &Facts<'a>) -> Vec<Place<'a>> {
    let mut all: Vec<Place<'a>> = Vec::new();
    for (path, settings) in settings(facts) {
        let ssh = settings.ssh.as_ref();
        let (first, sudo) = (path.then("ssh").then("firstPassword"), path.then("ssh").then("sudoPassword"));
        all.push((ssh.and_then(|ssh| ssh.first_password.as_ref()), first, Outside));
        all.push((ssh.and_then(|ssh| ssh.sudo_password.as_ref()), sudo, Outside));
        for (name, file) in &settings.files {
            all.push((file.from.as_ref(), path.then("files").then(name).then("from"), Anywhere));
        }
        for (name, user) in &settings.users {
            all.push((user.password_hash.as_ref(), path.then("users").then(name).then("passwordHash"), Outside));
        }
    }
    all
}

fn of_addons<'a>(facts: &Facts<'a>) -> Vec<Place<'a>> {
    let addons = &facts.spec.addons;
    let synology = addons.storage.synology.as_ref();
    let smb = synology.and_then(|it| it.smb.as_ref()).map(|smb| &smb.password);
    let grafana = addons.monitoring.as_ref().and_then(|it| it.grafana_password.as_ref());
    let elastic = addons.elasticsearch.as_ref().and_then(|it| it.password.as_ref());
    let argocd = addons.argocd.as_ref();
    let admin = argocd.and_then(|it| it.admin_password.as_ref());
    let root = argocd.and_then(|it| it.root.as_ref()?.credentials.as_ref());
    let mut all: Vec<Place<'a>> = vec![
        (synology.and_then(|it| it.password.as_ref()), at("addons/storage/synology/password"), Outside),
        (smb, at("addons/storage/synology/smb/password"), Outside),
        (grafana, at("addons/monitoring/grafanaPassword"), Anywhere),
        (elastic, at("addons/elasticsearch/password"), Anywhere),
        (admin, at("addons/argocd/adminPassword"), Anywhere),
        (root, at("addons/argocd/root/credentials"), Outside),
    ];
    for (index, nas) in synology.iter().flat_map(|it| &it.others).enumerate() {
        let path = at("addons/storage/synology/others").then(index).then("password");
        all.push((Some(&nas.password), path, Outside));
    }
    for (name, repository) in argocd.iter().flat_map(|it| &it.repositories) {
        let path = at("addons/argocd/repositories").then(name);
        all.push((repository.password.as_ref(), path.then("password"), Outside));
        all.push((repository.ssh_key.as_ref(), path.then("sshKey"), Outside));
    }
    let sops = argocd.and_then(|it| it.sops.as_ref());
    all.push((sops.map(|sops| &sops.age_key), at("addons/argocd/sops/ageKey"), Outside));
    let sealed = addons.sealed_secrets.as_ref();
    all.push((sealed.and_then(|it| it.key.as_ref()), at("addons/sealedSecrets/key"), Outside));
    all.push((sealed.and_then(|it| it.certificate.as_ref()), at("addons/sealedSecrets/certificate"), Outside));
    for (name, chart) in &addons.charts {
        let path = at("addons/charts").then(name).then("secretValues");
        all.extend(chart.secret_values.iter().map(|(key, value)| (Some(value), path.then(key), Anywhere)));
    }
    all
}

/// Objects of Kubernetes, backups, and who is told of what.
fn of_the_rest<'a>(facts: &Facts<'a>) -> Vec<Place<'a>> {
    let spec = facts.spec;
    let mut all: Vec<Place<'a>> = Vec::new();
    for (place, maps) in [("objects", &spec.secrets.objects), ("configMaps", &spec.secrets.config_maps)] {
        for (name, map) in maps {
            let path = at("secrets").then(place).then(name);
            all.extend(map.iter().map(|(key, value)| (Some(value), path.then(key), Anywhere)));
        }
    }
    let s3 = spec.backup.as_ref().and_then(|backup| backup.to.as_ref()?.s3.as_ref());
    all.push((s3.map(|s3| &s3.access_key), at("backup/to/s3/accessKey"), Outside));
    all.push((s3.map(|s3| &s3.secret_key), at("backup/to/s3/secretKey"), Outside));
    let sftp = spec.backup.as_ref().and_then(|backup| backup.to.as_ref()?.sftp.as_ref());
    all.push((sftp.and_then(|sftp| sftp.key.as_ref()), at("backup/to/sftp/key"), Outside));
    for (index, wish) in spec.notifications.iter().enumerate() {
        let path = at("notifications").then(index);
        let (webhook, slack) = (wish.webhook.as_ref(), wish.slack.as_ref());
        let secrets = [
            (webhook.map(|it| &it.url), "webhook", "url"),
            (webhook.and_then(|it| it.key.as_ref()), "webhook", "key"),
            (slack.map(|it| &it.url), "slack", "url"),
            (wish.matrix.as_ref().map(|it| &it.token), "matrix", "token"),
            (wish.email.as_ref().and_then(|it| it.password.as_ref()), "email", "password"),
        ];
        all.extend(secrets.map(|(secret, way, what)| (secret, path.then(way).then(what), Outside)));
    }
    all
}

fn judge(facts: &Facts<'_>, reference: &SecretRef, path: &SpecPath, given: Given, found: &mut Vec<Diagnostic>) {
    let mut say = |code: Code, path: SpecPath, message: String, help: &str| {
        found.push(Diagnostic::new(code, path, message).help(help));
    };
    match reference.ways() {
        1 => {}
        ways => {
            let what = if ways == 0 { "no place".to_string() } else { format!("{ways} places") };
            let help = "write exactly one of `env`, `file`, `command`, `sops` and `generate`";
            say(codes::SECRET_WAYS, path.clone(), format!("`{path}` names {what} for its secret"), help);
            return;
        }
    }
    if reference.sops.is_some() && facts.spec.secrets.sops_file.is_none() {
        let help = "write `secrets.sopsFile`";
        say(codes::SOPS_FILE_MISSING, path.then("sops"), "nothing says which SOPS file it is".into(), help);
    }
    if let Some(name) = &reference.env {
        let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !word || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            let help = "write its name alone, for example `PROXMOX_TOKEN`";
            // What stands here may be the secret itself.
            let message = "this is no name of an environment variable".to_string();
            let mut diagnostic = Diagnostic::new(codes::ENV_FORM, path.then("env"), message).help(help);
            diagnostic.secret = true;
            found.push(diagnostic);
        }
    } else if reference.generate.is_some() && given == Given::Outside {
        let help = "write where it is kept: `env`, `file`, `command` or `sops`";
        let message = format!("nobody else would know the new value of `{path}`");
        say(codes::GENERATED_ELSEWHERE, path.then("generate"), message, help);
    }
}

fn recipients(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let backup = facts.spec.backup.as_ref();
    let lists = [
        (at("secrets/recipients"), Some(&facts.spec.secrets.recipients)),
        (at("backup/recipients"), backup.map(|backup| &backup.recipients)),
    ];
    for (path, list) in lists {
        for (index, recipient) in list.into_iter().flatten().enumerate() {
            if !is_public_key(recipient) {
                let help = "write the public key as `age-keygen` prints it: `age1…`";
                let message = match recipient.starts_with("age1") {
                    true => "this is no age public key: a character is wrong, missing or too many",
                    false => "this is no age public key",
                };
                let mut diagnostic = Diagnostic::new(codes::RECIPIENT_FORM, path.then(index), message).help(help);
                diagnostic.secret = recipient.contains("SECRET");
                found.push(diagnostic);
            }
        }
    }
}

/// Whether it is a native recipient of age: 32 bytes in Bech32, whose checksum finds what was mistyped. Before anything is built,
/// and not at the first backup. <https://github.com/C2SP/C2SP/blob/main/age.md>
fn is_public_key(recipient: &str) -> bool {
    // Bech32 has a form in capitals, which age does not take.
    let lower = !recipient.chars().any(|c| c.is_ascii_uppercase());
    bech32::decode(recipient).is_ok_and(|(kind, words, form)| {
        let key = Vec::<u8>::from_base32(&words);
        lower && kind == "age" && form == Variant::Bech32 && key.is_ok_and(|key| key.len() == 32)
    })
}

/// The names of ConfigMaps and Secrets and of what they hold.
fn keys(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let secrets = &facts.spec.secrets;
    for name in secrets.config_maps.keys().filter(|name| facts.spec.config_maps.contains_key(*name)) {
        let message = format!("the ConfigMap `{name}` stands under `configMaps` too");
        let path = at("secrets/configMaps").then(name);
        found.push(Diagnostic::new(codes::CONFIG_MAP_TWICE, path, message).help("put all its keys in one of the two"));
    }
    let maps = [(at("secrets/objects"), &secrets.objects), (at("secrets/configMaps"), &secrets.config_maps)];
    let references = maps.iter().flat_map(|(path, maps)| {
        maps.iter().flat_map(move |(name, map)| map.keys().map(move |key| (path.then(name).then(key), key)))
    });
    let plain = facts.spec.config_maps.iter();
    let plain = plain.flat_map(|(name, map)| map.keys().map(move |key| (at("configMaps").then(name).then(key), key)));
    for (path, key) in references.chain(plain) {
        let word = key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if key.is_empty() || key.len() > 253 || !word || key == "." || key == ".." {
            let message = format!("`{key}` cannot be a key");
            let help = "use letters, digits, `-`, `_` and `.`";
            found.push(Diagnostic::new(codes::DATA_KEY_FORM, path, message).help(help));
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_place_of_a_secret_is_known() {
        let schema = kubewright_model::spec::schema::json_schema().to_string();
        let places = schema.matches("#/$defs/SecretRef").count();
        assert_eq!(places, 38, "a field for a secret came or went: correct `references`, then this number");
    }
}
