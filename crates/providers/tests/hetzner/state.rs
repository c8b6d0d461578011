//! Everything that a project holds, and what all kinds of it have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Instant, SystemTime};

use serde_json::{Map, Value, json};

use super::actions::{Deed, Fate, Pace};
use super::catalog::Catalog;
use super::era::Era;
use super::problem::{Problem, text};
use super::selector::{Selector, is_key, is_value};

/// <https://docs.hetzner.com/cloud/placement-groups/overview#limits>.
const MOST_GROUPS: usize = 50;

/// Kinds of resources that a project owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Server,
    Network,
    LoadBalancer,
    Firewall,
    PlacementGroup,
    PrimaryIp,
    SshKey,
    Volume,
    Certificate,
    Image,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Server,
        Self::Network,
        Self::LoadBalancer,
        Self::Firewall,
        Self::PlacementGroup,
        Self::PrimaryIp,
        Self::SshKey,
        Self::Volume,
        Self::Certificate,
        Self::Image,
    ];

    pub(crate) fn singular(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Network => "network",
            Self::LoadBalancer => "load_balancer",
            Self::Firewall => "firewall",
            Self::PlacementGroup => "placement_group",
            Self::PrimaryIp => "primary_ip",
            Self::SshKey => "ssh_key",
            Self::Volume => "volume",
            Self::Certificate => "certificate",
            Self::Image => "image",
        }
    }

    pub(crate) fn plural(self) -> String {
        format!("{}s", self.singular())
    }

    pub(crate) fn of(plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == plural)
    }
}

/// An answer that is no refusal.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

pub(crate) type Answer = Result<Reply, Problem>;

pub(crate) fn ok(body: Value) -> Answer {
    Ok(Reply { status: 200, body })
}

pub(crate) fn created(body: Value) -> Answer {
    Ok(Reply { status: 201, body })
}

pub(crate) fn gone() -> Answer {
    Ok(Reply { status: 204, body: Value::Null })
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: String,
    /// Without `/v1`.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Ask {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.all(name).last().copied()
    }
}

/// A project. Fields of a record whose names begin with `_` are not shown.
pub(crate) struct State {
    pub(crate) era: Era,
    pub(crate) records: BTreeMap<(Kind, u64), Value>,
    pub(crate) catalog: Catalog,
    pub(crate) actions: BTreeMap<u64, Deed>,
    pub(crate) pace: Pace,
    /// How the next action ends.
    pub(crate) fate: Fate,
    /// Addresses in networks that running actions will give.
    pub(crate) reserved: BTreeMap<u64, Vec<(u64, Ipv4Addr)>>,
    /// How many of a kind the project may have.
    pub(crate) limits: BTreeMap<Kind, usize>,
    /// Servers that do not obey the button that asks them to shut down.
    pub(crate) deaf: BTreeSet<u64>,
    /// What a load balancer finds: by itself, the target (an identifier or an address) and the port.
    pub(crate) health: BTreeMap<(u64, String, u64), String>,
    /// Addresses of dedicated servers of the same owner.
    pub(crate) dedicated: BTreeSet<String>,
    last_id: u64,
    addresses: u32,
}

impl State {
    pub(crate) fn new(era: Era) -> Self {
        let mut state = Self {
            era,
            records: BTreeMap::new(),
            catalog: Catalog::new(era),
            actions: BTreeMap::new(),
            pace: Pace::Polls(2),
            fate: Fate::Succeeds,
            reserved: BTreeMap::new(),
            limits: BTreeMap::from([(Kind::PlacementGroup, MOST_GROUPS)]),
            deaf: BTreeSet::new(),
            health: BTreeMap::new(),
            dedicated: BTreeSet::new(),
            last_id: 47_110_000,
            addresses: 0,
        };
        for image in super::catalog::system_images() {
            state.put(Kind::Image, image);
        }
        state
    }

    /// No two resources have the same, of whatever kind: whoever takes one for the other is told.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The number that the next action will have.
    pub(crate) fn next_action(&self) -> u64 {
        self.last_id + 1
    }

    /// The next public addresses: of the networks for benchmarks (RFC 2544) and for documentation (RFC 3849).
    pub(crate) fn next_address(&mut self, version: &str) -> String {
        self.addresses += 1;
        match version {
            "ipv4" => Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + self.addresses).to_string(),
            _ => format!("2001:db8:{:x}:{:x}::/64", self.addresses >> 16, self.addresses & 0xffff),
        }
    }

    /// Keeps a new record, with an identifier if it has none; which one.
    pub(crate) fn put(&mut self, kind: Kind, mut record: Value) -> u64 {
        let id = record["id"].as_u64().unwrap_or_else(|| self.next_id());
        record["id"] = json!(id);
        if record["created"].is_null() {
            record["created"] = json!(now());
        }
        self.records.insert((kind, id), record);
        id
    }

    pub(crate) fn get(&self, kind: Kind, id: u64) -> Result<&Value, Problem> {
        self.records.get(&(kind, id)).ok_or_else(|| {
            Problem::new("not_found", format!("{} with ID '{id}' not found", kind.singular().replace('_', " ")))
        })
    }

    /// A record that is there; one that has gone meanwhile takes no harm.
    pub(crate) fn change(&mut self, kind: Kind, id: u64, change: impl FnOnce(&mut Value)) {
        if let Some(record) = self.records.get_mut(&(kind, id)) {
            change(record);
        }
    }

    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = (u64, &Value)> {
        self.records.range((kind, 0)..=(kind, u64::MAX)).map(|((_, id), record)| (*id, record))
    }

    /// The identifiers of records that are so.
    pub(crate) fn which(&self, kind: Kind, so: impl Fn(&Value) -> bool) -> Vec<u64> {
        self.of(kind).filter(|(_, record)| so(record)).map(|(id, _)| id).collect()
    }

    /// By number or by name, as the API lets one say it.
    pub(crate) fn by_id_or_name(&self, kind: Kind, text: &str) -> Option<u64> {
        let by_id = text.parse().ok().filter(|id| self.records.contains_key(&(kind, *id)));
        by_id.or_else(|| self.of(kind).find(|(_, record)| record["name"] == text).map(|(id, _)| id))
    }

    /// What is asked of everything new: a name that nobody has, labels in their form, and room for one more.
    pub(crate) fn fresh(&self, kind: Kind, body: &Value) -> Result<(), Problem> {
        self.is_free_name(kind, None, text(body, "name")?)?;
        check_labels(body)?;
        self.room_for(kind)
    }

    pub(crate) fn room_for(&self, kind: Kind) -> Result<(), Problem> {
        self.room_for_more(kind, 1)
    }

    pub(crate) fn room_for_more(&self, kind: Kind, more: usize) -> Result<(), Problem> {
        let full = self.limits.get(&kind).is_some_and(|limit| self.of(kind).count() + more > *limit);
        if full { Err(Problem::limit(&format!("{}_limit", kind.singular()))) } else { Ok(()) }
    }

    fn is_free_name(&self, kind: Kind, own: Option<u64>, name: &str) -> Result<(), Problem> {
        if name.is_empty() || name.len() > 253 {
            return Err(Problem::invalid("name", "has a length that is not allowed"));
        }
        if kind == Kind::Server && !is_hostname(name) {
            return Err(Problem::invalid("name", "must be a valid hostname"));
        }
        if self.of(kind).any(|(id, record)| record["name"] == name && Some(id) != own) {
            return Err(Problem::taken("name", &format!("{} name is already used", kind.singular())));
        }
        Ok(())
    }

    /// `PUT`: a name and labels; other fields are those of the kind.
    pub(crate) fn update(&mut self, kind: Kind, id: u64, body: &Value, more: &[&str]) -> Result<(), Problem> {
        self.get(kind, id)?;
        // A server's name and labels have nothing to do with what runs.
        if !matches!(kind, Kind::Server | Kind::Image | Kind::Volume | Kind::SshKey) {
            self.unlocked(kind, id)?;
        }
        if !body["name"].is_null() {
            self.is_free_name(kind, Some(id), text(body, "name")?)?;
        }
        check_labels(body)?;
        for field in ["name", "labels"].iter().chain(more) {
            if !body[*field].is_null() {
                self.change(kind, id, |record| record[*field] = body[*field].clone());
            }
        }
        Ok(())
    }

    /// Refuses what is protected against being deleted.
    pub(crate) fn unprotected(&self, kind: Kind, id: u64, against: &str) -> Result<(), Problem> {
        if self.get(kind, id)?["protection"][against] == true {
            let name = kind.singular().replace('_', " ");
            return Err(Problem::new("protected", format!("{name} {against} protection is enabled")));
        }
        Ok(())
    }

    /// `change_protection`, which all kinds have alike.
    pub(crate) fn protect(&mut self, kind: Kind, id: u64, body: &Value) -> Result<u64, Problem> {
        let new: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
        Ok(self.begin("change_protection", &[(kind, id)], move |state| {
            state.change(kind, id, |record| {
                for (against, whether) in new {
                    record["protection"][against] = whether;
                }
            });
        }))
    }
}

pub(crate) fn is_hostname(name: &str) -> bool {
    let label = |label: &str| {
        let letters = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        letters && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    name.split('.').all(label)
}

pub(crate) fn check_labels(body: &Value) -> Result<(), Problem> {
    for (key, value) in body["labels"].as_object().into_iter().flatten() {
        let value = value.as_str().ok_or_else(|| Problem::invalid("labels", "values must be strings"))?;
        if !is_key(key) || !is_value(value) {
            return Err(Problem::invalid("labels", &format!("{key}={value} is no label")));
        }
        if key.starts_with("hetzner.cloud/") {
            return Err(Problem::invalid("labels", "the prefix hetzner.cloud/ is reserved"));
        }
    }
    Ok(())
}

pub(crate) fn selector(text: &str, field: &str) -> Result<Selector, Problem> {
    Selector::read(text).map_err(|why| Problem::invalid(field, &why))
}

/// The time, as the API writes it.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// How many requests an hour are left.
pub(crate) struct Budget {
    pub(crate) limit: u32,
    pub(crate) left: f64,
    since: Instant,
}

impl Budget {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, left: f64::from(limit), since: Instant::now() }
    }

    /// Takes one, if there is one. They come back gradually, so many an hour.
    pub(crate) fn take(&mut self) -> bool {
        let rate = f64::from(self.limit) / 3600.0;
        self.left = (self.left + rate * self.since.elapsed().as_secs_f64()).min(f64::from(self.limit));
        self.since = Instant::now();
        let some = self.left >= 1.0;
        if some {
            self.left -= 1.0;
        }
        some
    }

    /// `RateLimit-Reset`: when all of them are there again.
    pub(crate) fn reset(&self) -> u64 {
        let missing = (f64::from(self.limit) - self.left) * 3600.0 / f64::from(self.limit.max(1));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        now + missing.ceil() as u64
    }
}
