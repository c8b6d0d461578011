//! Files of variables beside an inventory: `group_vars/NAME`, `group_vars/NAME.yml`, `group_vars/NAME/*.yml`, and the same
//! of hosts. <https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html#organizing-host-and-group-variables>

use kubewright_model::codes;
use kubewright_model::diagnostic::{Place, SpecPath};
use kubewright_model::source::read_foreign;
use serde_json::Value;

use super::{Inventory, Var, Vars};
use crate::import::{Beside, FORM, Reading, Spot, sounds_secret};

/// What files may end in; without an ending they are read too.
const ENDINGS: &[&str] = &["yml", "yaml", "json"];
/// How a file begins that is encrypted as a whole.
const VAULT: &str = "$ANSIBLE_VAULT;";

/// Reads what stands beside an inventory, in the order in which Ansible does.
pub(super) fn beside(inventory: &mut Inventory, files: &[Beside], reading: &mut Reading) {
    let mut files: Vec<&Beside> = files.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    for file in files {
        let Some((folder, name)) = whose(&file.path) else { continue };
        let known = match folder {
            "group_vars" => inventory.groups.contains_key(name),
            _ => inventory.hosts.contains_key(name),
        };
        if !known {
            continue;
        }
        if file.text.trim_start().starts_with(VAULT) {
            reading.tell(format!("{} is encrypted and was not read", file.name));
            continue;
        }
        let vars = vars(file, reading);
        let place = match folder {
            "group_vars" => inventory.groups.get_mut(name).map(|group| &mut group.files),
            _ => inventory.hosts.get_mut(name).map(|entry| &mut entry.files),
        };
        if let Some(place) = place {
            place.extend(vars);
        }
    }
}

/// Which folder a file is of, and whose variables it has. What begins with a point or ends in `~` is passed by.
fn whose(path: &str) -> Option<(&str, &str)> {
    let (folder, rest) = path.split_once('/')?;
    let hidden = |name: &str| name.starts_with('.') || name.ends_with('~');
    let ending = |name: &str| name.rsplit_once('.').is_none_or(|(_, ending)| ENDINGS.contains(&ending));
    let last = rest.rsplit('/').next()?;
    if !matches!(folder, "group_vars" | "host_vars") || rest.split('/').any(hidden) {
        return None;
    }
    match rest.split_once('/') {
        Some((owner, _)) => ending(last).then_some((folder, owner)),
        None => {
            let bare = rest.rsplit_once('.').filter(|(_, ending)| ENDINGS.contains(ending)).map(|(bare, _)| bare);
            Some((folder, bare.unwrap_or(rest)))
        }
    }
}

fn vars(file: &Beside, reading: &mut Reading) -> Vars {
    let index = reading.text(&file.name, &file.text);
    let start = Place { file: 0, line: 1, column: 1, length: 1 };
    let (value, places) = match read_foreign(&file.text) {
        Ok(read) => read,
        // A file that holds only comments has no variables.
        Err(found) if found.iter().all(|found| found.code == codes::EMPTY) => return Vars::new(),
        Err(found) => {
            reading.found.extend(found.into_iter().map(|found| (index, found)));
            return Vars::new();
        }
    };
    match value {
        Value::Null => Vars::new(),
        Value::Object(map) => {
            let var = |(name, value): (String, Value)| {
                let at = places.place(&SpecPath::root().then(&name)).unwrap_or(start);
                (name, Var { value, spot: Spot { text: index, at } })
            };
            let vars: Vars = map.into_iter().map(var).collect();
            let secrets = vars.iter().filter(|(name, _)| sounds_secret(name)).map(|(_, var)| var.spot);
            reading.secrets.extend(secrets);
            vars
        }
        _ => {
            let spot = Spot { text: index, at: start };
            reading.wrong(spot, FORM, "this file holds no variables", "write them as NAME: VALUE");
            Vars::new()
        }
    }
}
