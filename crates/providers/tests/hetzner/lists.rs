//! Lists: filters, the order, and pages.

use serde_json::{Value, json};

use super::problem::Problem;
use super::state::{Answer, Ask, Kind, State, ok, selector};

/// <https://docs.hetzner.cloud/reference/cloud#pagination>.
const MOST_PER_PAGE: u64 = 50;
const PER_PAGE: u64 = 25;

impl State {
    /// `GET /servers` and its like.
    pub(crate) fn list(&mut self, kind: Kind, ask: &Ask) -> Answer {
        // What is asked for by its status is looked at before it is chosen: it may be there by now.
        if ask.one("status").is_some() {
            let all: Vec<u64> = self.of(kind).map(|(id, _)| id).collect();
            all.into_iter().for_each(|id| self.look_at(kind, id));
        }
        let labels = ask.one("label_selector").map(|text| selector(text, "label_selector")).transpose()?;
        let mut found: Vec<(u64, &Value)> = self
            .of(kind)
            .filter(|(_, record)| labels.as_ref().is_none_or(|labels| labels.picks(&record["labels"])))
            .filter(|(_, record)| filtered(kind, record, ask))
            .collect();
        sort(&mut found, &ask.all("sort"))?;
        let found: Vec<u64> = found.into_iter().map(|(id, _)| id).collect();
        let (page, meta) = page(&found, ask)?;
        for id in page {
            self.look_at(kind, *id);
        }
        // What has just ended to be deleted is not there any more.
        let shown: Vec<Value> =
            page.iter().filter(|id| self.records.contains_key(&(kind, **id))).map(|id| self.show(kind, *id)).collect();
        ok(json!({kind.plural(): shown, "meta": meta}))
    }

    /// `GET /server_types` and its like: what everybody can have.
    pub(crate) fn list_catalog(&self, name: &str, ask: &Ask) -> Answer {
        let all = self.catalog.of(name);
        let wanted = |entry: &&Value| ask.one("name").is_none_or(|name| entry["name"] == name);
        let architecture = ask.all("architecture");
        let fits =
            |entry: &&Value| architecture.is_empty() || architecture.iter().any(|one| entry["architecture"] == *one);
        let mut found: Vec<(u64, &Value)> =
            all.iter().filter(wanted).filter(fits).map(|entry| (entry["id"].as_u64().unwrap(), entry)).collect();
        sort(&mut found, &ask.all("sort"))?;
        let found: Vec<Value> = found.into_iter().map(|(_, entry)| entry.clone()).collect();
        let (page, meta) = page(&found, ask)?;
        let mut body = json!({name: page, "meta": meta});
        if name == "datacenters" {
            body["recommendation"] = all[0]["id"].clone();
        }
        ok(body)
    }

    /// `GET /servers/actions`, `GET /servers/{id}/actions` and their like.
    pub(crate) fn list_actions(&mut self, kind: Kind, resource: Option<u64>, ask: &Ask) -> Answer {
        if let Some(id) = resource {
            self.get(kind, id)?;
        }
        let ids = ask.all("id");
        let statuses = ask.all("status");
        let found = self.actions_of(kind, resource);
        let mut shown = Vec::new();
        for id in found.into_iter().filter(|id| ids.is_empty() || ids.contains(&id.to_string().as_str())) {
            self.look_at_action(id);
            let action = self.show_action(id);
            if statuses.is_empty() || statuses.iter().any(|status| action["status"] == *status) {
                shown.push((id, action));
            }
        }
        let mut sorted: Vec<(u64, &Value)> = shown.iter().map(|(id, action)| (*id, action)).collect();
        sort(&mut sorted, &ask.all("sort"))?;
        let sorted: Vec<Value> = sorted.into_iter().map(|(_, action)| action.clone()).collect();
        let (page, meta) = page(&sorted, ask)?;
        ok(json!({"actions": page, "meta": meta}))
    }

    /// `GET /actions`, which only tells of actions that are named.
    pub(crate) fn named_actions(&mut self, ask: &Ask) -> Answer {
        let ids = ask.all("id");
        if ids.is_empty() {
            return Err(Problem::new("deprecated_api_endpoint", "listing all actions was removed"));
        }
        let known = ids.iter().filter_map(|id| id.parse().ok()).filter(|id| self.has_action(*id));
        // One page is all there is: hcloud-go 2 asks for 25 at a time (`action_waiter.go`).
        let known: Vec<u64> = known.take(PER_PAGE as usize).collect();
        known.iter().for_each(|id| self.look_at_action(*id));
        let shown: Vec<Value> = known.iter().map(|id| self.show_action(*id)).collect();
        ok(json!({ "actions": shown }))
    }
}

/// Whether the filters that are fields of the record let it through.
fn filtered(kind: Kind, record: &Value, ask: &Ask) -> bool {
    let among = |name: &str, value: &Value| {
        let wanted = ask.all(name);
        wanted.is_empty()
            || wanted.iter().any(|one| value == *one || value.as_u64().is_some_and(|own| one.parse() == Ok(own)))
    };
    let deprecated = kind != Kind::Image
        || record["deprecated"].is_null()
        || ask.one("include_deprecated") == Some("true")
        || !ask.all("name").is_empty();
    let plain = ["name", "status", "type", "fingerprint", "ip", "architecture", "bound_to"];
    deprecated && plain.iter().all(|name| among(name, &record[*name]))
}

fn sort(found: &mut [(u64, &Value)], orders: &[&str]) -> Result<(), Problem> {
    // The first one said weighs most, and sorting is stable.
    for order in orders.iter().rev() {
        let (field, down) = match order.split_once(':') {
            None | Some((_, "asc")) => (order.split(':').next().unwrap(), false),
            Some((field, "desc")) => (field, true),
            Some(_) => return Err(Problem::invalid("sort", "must end in :asc or :desc")),
        };
        found.sort_by(|(_, a), (_, b)| {
            let (a, b) = (&a[field], &b[field]);
            let order = a.as_u64().cmp(&b.as_u64()).then_with(|| a.as_str().cmp(&b.as_str()));
            if down { order.reverse() } else { order }
        });
    }
    Ok(())
}

fn page<'a, T>(found: &'a [T], ask: &Ask) -> Result<(&'a [T], Value), Problem> {
    let number = |name: &str, otherwise: u64| match ask.one(name) {
        None => Ok(otherwise),
        Some(text) => {
            text.parse().ok().filter(|n| *n >= 1).ok_or_else(|| Problem::invalid(name, "must be a positive number"))
        }
    };
    let (page, per_page) = (number("page", 1)?, number("per_page", PER_PAGE)?);
    if per_page > MOST_PER_PAGE {
        return Err(Problem::invalid("per_page", "must be at most 50"));
    }
    let total = found.len() as u64;
    let last = total.div_ceil(per_page).max(1);
    let from = ((page - 1) * per_page).min(total) as usize;
    let to = (page * per_page).min(total) as usize;
    let meta = json!({"pagination": {
        "page": page,
        "per_page": per_page,
        "previous_page": (page > 1).then(|| page - 1),
        "next_page": (page < last).then(|| page + 1),
        "last_page": last,
        "total_entries": total,
    }});
    Ok((&found[from..to], meta))
}
