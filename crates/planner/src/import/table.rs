//! Tables of servers: a line for each, columns by their headings or by what they hold.

use std::net::IpAddr;

use csv::{ReaderBuilder, StringRecord};
use kubewright_model::codes;
use kubewright_model::diagnostic::{Place, nearest};
use kubewright_model::spec::formats::dns_subdomain;

use super::hints::Told;
use super::{FORM, Foreign, Host, Mark, Reading, Spot, Way, address, sounds_secret};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Name,
    Domain,
    Private,
    Tunnel,
    Address,
    Public,
    Role,
    Environment,
    System,
    User,
    Port,
    Key,
}

/// Headings, without accents, in small letters and with `_` between words.
const HEADINGS: &[(Column, &[&str])] = &[
    (
        Column::Name,
        &["name", "hostname", "host", "host_name", "server", "server_name", "nom", "machine", "node", "vm", "serveur"],
    ),
    (Column::Domain, &["fqdn", "dns", "dns_name", "domain_name"]),
    (
        Column::Private,
        &[
            "private_ip",
            "ip_private",
            "ip_privee",
            "ip_priv",
            "privateip",
            "internal_ip",
            "ip_interne",
            "ip_internal",
            "lan_ip",
            "adresse_privee",
            "private_address",
            "ip_lan",
        ],
    ),
    (Column::Tunnel, &["ip_wireguard", "wireguard_ip", "wg_ip", "ip_wg", "vpn_ip", "ip_vpn"]),
    (Column::Address, &["ip", "address", "adresse", "adresse_ip", "ip_address", "ipv4", "ansible_host"]),
    (
        Column::Public,
        &[
            "public_ip",
            "ip_public",
            "ip_publique",
            "ip_pub",
            "adresse_publique",
            "public_address",
            "external_ip",
            "ip_externe",
        ],
    ),
    (
        Column::Role,
        &[
            "role",
            "roles",
            "subrole",
            "sub_role",
            "sous_role",
            "groupe",
            "group",
            "groups",
            "pool",
            "type",
            "function",
            "fonction",
            "usage",
        ],
    ),
    (Column::Environment, &["environment", "env", "environnement"]),
    (Column::System, &["os", "system", "systeme", "operating_system", "image"]),
    (Column::User, &["user", "ssh_user", "user_ssh", "utilisateur", "ansible_user"]),
    (Column::Port, &["ssh_port", "port_ssh", "port", "ansible_port"]),
    (Column::Key, &["ssh_key", "key_file", "ssh_key_file", "cle", "cle_ssh"]),
];
/// Columns with addresses, the best first: nodes speak to each other over the private one.
const ADDRESSES: [Column; 4] = [Column::Private, Column::Address, Column::Tunnel, Column::Public];

/// A table, with its columns known.
struct Table<'a> {
    text: usize,
    lines: Vec<&'a str>,
    separator: char,
    columns: Vec<Option<Column>>,
    rows: Vec<StringRecord>,
}

pub(super) fn read(file: &Foreign, reading: &mut Reading) {
    let content = file.text.trim_start_matches('\u{feff}');
    let text = reading.text(&file.name, content);
    let separator = separator(&file.name, content);
    let mut rows = Vec::new();
    let mut reader = ReaderBuilder::new()
        .delimiter(separator as u8)
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(content.as_bytes());
    for record in reader.records() {
        match record {
            Ok(row) => rows.push(row),
            Err(error) => {
                let line = error.position().map_or(1, |position| usize::try_from(position.line()).unwrap_or(1));
                let spot = Spot { text, at: Place { file: 0, line, column: 1, length: 1 } };
                reading.wrong(spot, FORM, "this line is no line of a table", "look for a quote that is not closed");
            }
        }
    }
    rows.retain(|row| row.iter().any(|field| !field.is_empty()));
    let start = Spot { text, at: Place { file: 0, line: 1, column: 1, length: 1 } };
    let Some(first) = rows.first().cloned() else {
        return reading.wrong(
            start,
            FORM,
            "the table has no lines",
            "write a line for each server, with its name and its address",
        );
    };
    let headed = !first.iter().any(|field| address(field).is_some());
    let columns = if headed { headings(&first) } else { held(&rows) };
    let lines = content.lines().collect();
    let mut table = Table { text, lines, separator, columns, rows };
    if headed {
        table.hide(&first, reading);
        table.rows.remove(0);
    }
    if !table.complete(&first, headed, reading) {
        return;
    }
    for row in &table.rows {
        if headed && row.len() > first.len() {
            let (has, said) = (row.len(), first.len());
            let help = "put fields with a separator in them into quotes";
            reading.wrong(
                table.spot(row, said),
                FORM,
                format!("the line has {has} fields, and the first line has {said}"),
                help,
            );
            continue;
        }
        table.host(row, reading);
    }
}

/// What stands between fields: by the file's ending, or what the first line has most of.
fn separator(name: &str, text: &str) -> char {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#')).unwrap_or_default();
    let most = |signs: &[char]| signs.iter().copied().max_by_key(|sign| first.matches(*sign).count());
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("tsv" | "tab") => '\t',
        Some("csv") => most(&[',', ';']).unwrap_or(','),
        _ => most(&[',', ';', '\t']).unwrap_or('\t'),
    }
}

/// A heading as the list has it: `Adresse privée` is `adresse_privee`.
fn plain(heading: &str) -> String {
    let lower = heading.trim().to_lowercase();
    let bare = lower.chars().map(|c| match c {
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'à' | 'â' => 'a',
        'ô' => 'o',
        'ç' => 'c',
        c if c.is_alphanumeric() => c,
        _ => '_',
    });
    bare.collect::<String>().trim_matches('_').to_string()
}

fn headings(first: &StringRecord) -> Vec<Option<Column>> {
    let known = |heading: &str| HEADINGS.iter().find(|(_, words)| words.contains(&heading)).map(|(column, _)| *column);
    first.iter().map(|heading| known(&plain(heading))).collect()
}

/// Columns by what they hold, where no line names them: addresses, names that are each another, words.
fn held(rows: &[StringRecord]) -> Vec<Option<Column>> {
    let width = rows.iter().map(StringRecord::len).max().unwrap_or(0);
    let mut columns: Vec<Option<Column>> = Vec::new();
    for index in 0..width {
        let fields: Vec<&str> =
            rows.iter().filter_map(|row| row.get(index)).filter(|field| !field.is_empty()).collect();
        let all = |test: &dyn Fn(&str) -> bool| !fields.is_empty() && fields.iter().all(|field| test(field));
        let distinct = fields.iter().collect::<std::collections::BTreeSet<_>>().len() == fields.len();
        let word = |field: &str| dns_subdomain(&field.to_lowercase().replace('_', "-")).is_ok();
        let named = columns.contains(&Some(Column::Name));
        columns.push(match () {
            () if all(&|field| address(field).is_some_and(|it| !public(it))) => Some(Column::Private),
            () if all(&|field| address(field).is_some()) => Some(Column::Public),
            () if all(&|field| field.parse::<u32>().is_ok()) => None,
            () if !named && distinct && fields.len() == rows.len() && all(&word) => Some(Column::Name),
            () if all(&word) => Some(Column::Role),
            () => None,
        });
    }
    columns
}

/// Whether an address is one of the whole world.
fn public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_private(),
        IpAddr::V6(v6) => !v6.is_unique_local(),
    }
}

impl Table<'_> {
    /// Notes where secrets stand.
    fn hide(&self, first: &StringRecord, reading: &mut Reading) {
        for (index, heading) in first.iter().enumerate().filter(|(_, heading)| sounds_secret(&plain(heading))) {
            let spots: Vec<Spot> = self.rows.iter().skip(1).map(|row| self.spot(row, index)).collect();
            reading.secrets.extend(spots);
            reading.tell(format!("the column `{heading}` holds secrets and was not read"));
        }
    }

    /// Whether there are names and addresses.
    fn complete(&self, first: &StringRecord, headed: bool, reading: &mut Reading) -> bool {
        let has = |column: Column| self.columns.contains(&Some(column));
        let named = has(Column::Name) || has(Column::Domain);
        let addressed = ADDRESSES.iter().any(|column| has(*column));
        let names = [Column::Name, Column::Domain];
        let wanted =
            [(named, "names", "hostname", names.as_slice()), (addressed, "addresses", "ip", ADDRESSES.as_slice())];
        for (_, what, example, columns) in wanted.into_iter().filter(|(there, ..)| !there) {
            let known =
                HEADINGS.iter().filter(|(column, _)| columns.contains(column)).flat_map(|(_, words)| words.iter());
            let near = |heading: &str| nearest(&plain(heading), known.clone().copied());
            let close = first
                .iter()
                .enumerate()
                .filter(|_| headed)
                .find_map(|(at, heading)| Some((at, heading, near(heading)?)));
            let (at, help) = match close {
                Some((at, heading, near)) => (at, format!("if `{heading}` is that column, call it `{near}`")),
                None => (0, format!("name the columns in a first line, for example `{example}`")),
            };
            let message = format!("no column holds the hosts' {what}");
            reading.wrong(self.spot(first, at), codes::FOREIGN_COLUMNS, message, help);
        }
        named && addressed
    }

    fn host(&self, row: &StringRecord, reading: &mut Reading) {
        let name = self.field(row, Column::Name).or_else(|| self.field(row, Column::Domain));
        let Some((at, name)) = name else {
            let help = "write its name, or take the line out";
            return reading.wrong(self.spot(row, 0), FORM, "the line names no host", help);
        };
        let spot = self.spot(row, at);
        if let Some((_, environment)) = self.field(row, Column::Environment) {
            let first = || Told { value: environment.to_string(), by: String::new() };
            let told = reading.hints.environment.get_or_insert_with(first);
            // Hosts of two environments are hardly one cluster, and nothing is said of it then.
            if told.value != environment {
                told.value.clear();
            }
        }
        let columns = self.columns.iter().zip(row.iter());
        let roles = columns.filter(|(column, text)| **column == Some(Column::Role) && !text.is_empty());
        let marks = vec![Mark::Columns(roles.map(|(_, text)| text.to_string()).collect())];
        let text = |column: Column| self.field(row, column).map(|(_, text)| text.to_string());
        let (address, port) = (self.address(row, reading), self.port(row, reading));
        let way = Way { user: text(Column::User), port, key: text(Column::Key), ..Way::default() };
        let os = text(Column::System);
        reading.hosts.push(Host { spot, name: name.to_string(), address, marks, way, os, tainted: false, about: None });
    }

    /// What a row has in a column, and where.
    fn field<'r>(&self, row: &'r StringRecord, wanted: Column) -> Option<(usize, &'r str)> {
        let at = self.columns.iter().position(|column| *column == Some(wanted))?;
        Some((at, row.get(at)?)).filter(|(_, text)| !text.is_empty() && *text != "-")
    }

    /// The best of a row's addresses.
    fn address(&self, row: &StringRecord, reading: &mut Reading) -> Option<IpAddr> {
        let mut found = None;
        for (at, text) in ADDRESSES.iter().filter_map(|column| self.field(row, *column)) {
            match address(text) {
                Some(address) => found = found.or(Some(address)),
                None => {
                    let message = format!("`{text}` is no address");
                    reading.wrong(self.spot(row, at), codes::FOREIGN_VALUE, message, "write an IP address");
                }
            }
        }
        found
    }

    fn port(&self, row: &StringRecord, reading: &mut Reading) -> Option<u16> {
        let (at, text) = self.field(row, Column::Port)?;
        let port = text.parse().ok().filter(|port: &u16| *port > 0);
        if port.is_none() {
            let message = format!("`{text}` is no port");
            reading.wrong(self.spot(row, at), codes::FOREIGN_VALUE, message, "write a number from 1 to 65535");
        }
        port
    }

    /// Where a field of a row stands: the line is walked once more, with its quotes.
    fn spot(&self, row: &StringRecord, index: usize) -> Spot {
        let number = row.position().map_or(1, |position| usize::try_from(position.line()).unwrap_or(1));
        // Comments and empty lines before a row are counted to it.
        let passed = |line: &&&str| line.trim().is_empty() || line.starts_with('#');
        let number = number + self.lines.iter().skip(number - 1).take_while(passed).count();
        let line = self.lines.get(number - 1).copied().unwrap_or_default();
        let (mut field, mut quoted, mut start) = (0, false, 0);
        for (at, sign) in line.chars().enumerate() {
            match sign {
                _ if field == index => break,
                '"' => quoted = !quoted,
                sign if sign == self.separator && !quoted => (field, start) = (field + 1, at + 1),
                _ => {}
            }
        }
        let blank = line.chars().skip(start).take_while(|c| *c == ' ' || *c == '"').count();
        let length = row.get(index).map_or(1, |text| text.chars().count());
        Spot { text: self.text, at: Place { file: 0, line: number, column: start + blank + 1, length: length.max(1) } }
    }
}
