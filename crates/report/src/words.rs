//! The fixed words of the documents, one table for each language.
//!
//! A table is a struct of texts, so a language in which a word is missing does not compile. Sentences with something
//! to put in hold its name in braces; [`fill`] puts it there as a piece of its own, so it is never read as words.

mod en;
mod fr;
mod manual;

use crate::page::{Line, Piece};
pub(crate) use manual::{COMPONENTS, Component, GLOSSARY, Manual, PROBLEMS, Pools, Procedures, REFERENCES, Topic};

/// The language of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
}

impl Language {
    /// What stands first on a page about a pretend world.
    pub fn pretended(self) -> &'static str {
        match self {
            Self::En => "SIMULATED: every state on this page is pretended.",
            Self::Fr => "SIMULÉ : tout état sur cette page est fictif.",
        }
    }

    /// All languages.
    pub const ALL: [Self; 2] = [Self::En, Self::Fr];

    /// The language's code as BCP 47 has it: `en`, `fr`.
    pub fn code(self) -> &'static str {
        self.words().code
    }

    /// The language with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::En => &en::WORDS,
            Self::Fr => &fr::WORDS,
        }
    }
}

/// Puts pieces into a sentence: `{name}` becomes the piece of that name. What has no piece stays as it is.
pub(crate) fn fill(sentence: &'static str, pieces: &[(&str, Piece)]) -> Line {
    let mut line = Line::default();
    let mut rest = sentence;
    while let Some((start, end, piece)) = next_hole(rest, pieces) {
        if start > 0 {
            line = line.and(Piece::Plain(rest[..start].into()));
        }
        line = line.and(piece.clone());
        rest = &rest[end..];
    }
    if rest.is_empty() { line } else { line.and(Piece::Plain(rest.into())) }
}

/// A sentence of ours in which code stands between backticks.
pub(crate) fn marked(sentence: &str) -> Line {
    let piece = |(at, text): (usize, &str)| {
        if at % 2 == 0 { Piece::Plain(text.into()) } else { Piece::Code(text.into()) }
    };
    Line(sentence.split('`').enumerate().filter(|(_, text)| !text.is_empty()).map(piece).collect())
}

fn next_hole<'p>(text: &str, pieces: &'p [(&str, Piece)]) -> Option<(usize, usize, &'p Piece)> {
    let found = pieces.iter().filter_map(|(name, piece)| {
        let start = text.find(&format!("{{{name}}}"))?;
        Some((start, start + name.len() + 2, piece))
    });
    found.min_by_key(|(start, ..)| *start)
}

/// Every fixed word, by where it stands.
pub(crate) struct Words {
    /// BCP 47.
    pub(crate) code: &'static str,
    /// The language's place in [`Language::ALL`].
    pub(crate) place: usize,
    /// What stands between a number's whole and its fraction.
    pub(crate) decimal: char,
    /// The list of sections, for those who hear the page.
    pub(crate) contents: &'static str,
    pub(crate) yes: &'static str,
    pub(crate) no: &'static str,
    pub(crate) sections: Sections,
    pub(crate) heads: Heads,
    pub(crate) terms: Terms,
    pub(crate) about: About,
    pub(crate) ports: Ports,
    pub(crate) access: Access,
    pub(crate) sources: Sources,
    pub(crate) conditions: Conditions,
    pub(crate) backups: Backups,
    pub(crate) daily: Daily,
    pub(crate) pools: &'static Pools,
    pub(crate) procedures: &'static Procedures,
    pub(crate) manual: &'static Manual,
    pub(crate) run: Run,
    pub(crate) validation: Validation,
}

/// The headings of the sections and their parts.
pub(crate) struct Sections {
    pub(crate) about: &'static str,
    pub(crate) architecture: &'static str,
    pub(crate) machines: &'static str,
    pub(crate) installation: &'static str,
    pub(crate) made: &'static str,
    pub(crate) set_up: &'static str,
    pub(crate) components: &'static str,
    pub(crate) versions: &'static str,
    pub(crate) procedures: &'static str,
    pub(crate) problems: &'static str,
    pub(crate) glossary: &'static str,
    pub(crate) references: &'static str,
    pub(crate) storage: &'static str,
    pub(crate) talos: &'static str,
    pub(crate) templates: &'static str,
    pub(crate) network: &'static str,
    pub(crate) ports: &'static str,
    pub(crate) balancers: &'static str,
    pub(crate) given: &'static str,
    pub(crate) access: &'static str,
    pub(crate) ssh: &'static str,
    pub(crate) kubeconfig: &'static str,
    pub(crate) urls: &'static str,
    pub(crate) services: &'static str,
    pub(crate) addons: &'static str,
    pub(crate) namespaces: &'static str,
    pub(crate) secrets: &'static str,
    pub(crate) checks: &'static str,
    pub(crate) backups: &'static str,
    pub(crate) daily: &'static str,
    pub(crate) limits: &'static str,
}

/// The heads of the tables.
pub(crate) struct Heads {
    pub(crate) property: &'static str,
    pub(crate) value: &'static str,
    pub(crate) name: &'static str,
    pub(crate) pool: &'static str,
    pub(crate) role: &'static str,
    pub(crate) number: &'static str,
    pub(crate) place: &'static str,
    pub(crate) address: &'static str,
    pub(crate) cores: &'static str,
    pub(crate) memory: &'static str,
    pub(crate) disk: &'static str,
    pub(crate) link: &'static str,
    pub(crate) gateway: &'static str,
    pub(crate) waits: &'static str,
    pub(crate) state: &'static str,
    pub(crate) range: &'static str,
    pub(crate) port: &'static str,
    pub(crate) on: &'static str,
    pub(crate) purpose: &'static str,
    pub(crate) targets: &'static str,
    pub(crate) leads_to: &'static str,
    pub(crate) release: &'static str,
    pub(crate) namespace: &'static str,
    pub(crate) chart: &'static str,
    pub(crate) version: &'static str,
    pub(crate) repository: &'static str,
    pub(crate) holds: &'static str,
    pub(crate) source: &'static str,
    pub(crate) used_by: &'static str,
    pub(crate) check: &'static str,
    pub(crate) must_hold: &'static str,
    pub(crate) result: &'static str,
    pub(crate) seen: &'static str,
    pub(crate) effect: &'static str,
    pub(crate) step: &'static str,
    pub(crate) stage: &'static str,
    pub(crate) duration: &'static str,
    pub(crate) waited: &'static str,
    pub(crate) attempt: &'static str,
    pub(crate) error: &'static str,
}

/// Words for roles and states.
pub(crate) struct Terms {
    pub(crate) server: &'static str,
    pub(crate) agent: &'static str,
    pub(crate) both: &'static str,
    pub(crate) load_balancer: &'static str,
    pub(crate) existing: &'static str,
    pub(crate) physical: &'static str,
    pub(crate) running: &'static str,
    pub(crate) stopped: &'static str,
    pub(crate) absent: &'static str,
    pub(crate) unknown: &'static str,
    pub(crate) ready: &'static str,
    pub(crate) not_ready: &'static str,
    pub(crate) cordoned: &'static str,
    pub(crate) current: &'static str,
    pub(crate) older: &'static str,
    pub(crate) unfinished: &'static str,
    pub(crate) gone: &'static str,
    pub(crate) holds: &'static str,
    pub(crate) fails: &'static str,
    pub(crate) all_nodes: &'static str,
    pub(crate) all_servers: &'static str,
    pub(crate) every_host: &'static str,
    pub(crate) people: &'static str,
    pub(crate) more: &'static str,
}

/// What the cluster is.
pub(crate) struct About {
    pub(crate) title: &'static str,
    pub(crate) intro: &'static str,
    pub(crate) cluster: &'static str,
    pub(crate) distribution: &'static str,
    pub(crate) extensions: &'static str,
    pub(crate) endpoint: &'static str,
    pub(crate) datastore: &'static str,
    pub(crate) servers: &'static str,
    pub(crate) agents: &'static str,
    pub(crate) mark: &'static str,
    pub(crate) protected: &'static str,
    pub(crate) pods: &'static str,
    pub(crate) services: &'static str,
    pub(crate) given: &'static str,
}

/// Why a port is open.
pub(crate) struct Ports {
    pub(crate) intro: &'static str,
    pub(crate) ssh: &'static str,
    pub(crate) api: &'static str,
    pub(crate) etcd: &'static str,
    pub(crate) supervisor: &'static str,
    pub(crate) kubelet: &'static str,
    pub(crate) talos: &'static str,
    pub(crate) trustd: &'static str,
    pub(crate) vxlan: &'static str,
    pub(crate) wireguard: &'static str,
    pub(crate) cilium_health: &'static str,
    pub(crate) ingress: &'static str,
    pub(crate) node_port: &'static str,
    pub(crate) haproxy: &'static str,
}

/// How people get in.
pub(crate) struct Access {
    pub(crate) kubeconfig: &'static str,
    pub(crate) talosconfig: &'static str,
    pub(crate) on_host: &'static str,
    pub(crate) names: &'static str,
    pub(crate) no_service_address: &'static str,
    pub(crate) no_address: &'static str,
    pub(crate) secrets: &'static str,
}

/// Where a secret comes from.
pub(crate) struct Sources {
    pub(crate) environment: &'static str,
    pub(crate) file: &'static str,
    pub(crate) command: &'static str,
    pub(crate) sops: &'static str,
    pub(crate) generated: &'static str,
    pub(crate) provider: &'static str,
}

/// What a check looks for.
pub(crate) struct Conditions {
    pub(crate) nodes: &'static str,
    pub(crate) system_pods: &'static str,
    pub(crate) api: &'static str,
    pub(crate) pods: &'static str,
    pub(crate) pods_per_node: &'static str,
    pub(crate) rolled_out: &'static str,
    pub(crate) done: &'static str,
    pub(crate) bound: &'static str,
    pub(crate) objects: &'static str,
    pub(crate) objects_ready: &'static str,
    pub(crate) address: &'static str,
    pub(crate) everywhere: &'static str,
    pub(crate) url: &'static str,
    pub(crate) url_for: &'static str,
    pub(crate) each_node: &'static str,
    pub(crate) service: &'static str,
    pub(crate) from: &'static str,
    pub(crate) node_ports: &'static str,
    pub(crate) certificates: &'static str,
    pub(crate) applications: &'static str,
    pub(crate) release: &'static str,
    pub(crate) route: &'static str,
    pub(crate) targets: &'static str,
    pub(crate) vault: &'static str,
    pub(crate) canary: &'static str,
}

/// What is backed up.
pub(crate) struct Backups {
    pub(crate) none: &'static str,
    pub(crate) schedule: &'static str,
    pub(crate) kept: &'static str,
    pub(crate) folder: &'static str,
    pub(crate) list: &'static str,
}

/// What is done day by day.
pub(crate) struct Daily {
    pub(crate) intro: &'static str,
    pub(crate) plan: &'static str,
    pub(crate) apply: &'static str,
    pub(crate) verify: &'static str,
    pub(crate) status: &'static str,
    pub(crate) rebuild: &'static str,
    pub(crate) destroy: &'static str,
    pub(crate) protected: &'static str,
}

/// What is handed over.
pub(crate) struct Validation {
    pub(crate) title: &'static str,
    pub(crate) good: &'static str,
    pub(crate) bad: &'static str,
    pub(crate) date: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) components: &'static str,
    pub(crate) members: &'static str,
    pub(crate) releases: &'static str,
    pub(crate) number: &'static str,
    pub(crate) api_only: &'static str,
    pub(crate) state: &'static str,
    pub(crate) access: &'static str,
    pub(crate) tests: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) cause: &'static str,
    pub(crate) balancers: &'static str,
    pub(crate) protocol: &'static str,
    pub(crate) health: &'static str,
    pub(crate) certificate: &'static str,
    pub(crate) tls_ends: &'static str,
    pub(crate) checklist: &'static str,
    /// In the order of the groups.
    pub(crate) groups: [&'static str; 7],
}

/// How a run went.
pub(crate) struct Run {
    pub(crate) title: &'static str,
    pub(crate) title_unknown: &'static str,
    pub(crate) simulated: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) steps: &'static str,
    pub(crate) phases: &'static str,
    pub(crate) phase: &'static str,
    pub(crate) total: &'static str,
    pub(crate) number: &'static str,
    /// In the order of [`crate::Phase::ALL`].
    pub(crate) phase_names: [&'static str; 9],
    pub(crate) slowest: &'static str,
    pub(crate) retries: &'static str,
    pub(crate) failures: &'static str,
    pub(crate) notes: &'static str,
    pub(crate) name: &'static str,
    pub(crate) asked: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) began: &'static str,
    pub(crate) planned: &'static str,
    pub(crate) counts: &'static str,
    pub(crate) count_text: &'static str,
    pub(crate) plan: &'static str,
    pub(crate) asks: [&'static str; 10],
    pub(crate) complete: &'static str,
    pub(crate) failed: &'static str,
    pub(crate) not_converged: &'static str,
    pub(crate) interrupted: &'static str,
    pub(crate) unfinished: &'static str,
    pub(crate) stages: [&'static str; 8],
    pub(crate) other_stage: &'static str,
    pub(crate) done: &'static str,
    pub(crate) already: &'static str,
    pub(crate) step_failed: &'static str,
    pub(crate) skipped: &'static str,
    pub(crate) cancelled: &'static str,
    pub(crate) never_ended: &'static str,
    pub(crate) not_started: &'static str,
    pub(crate) next_try: &'static str,
    pub(crate) log: &'static str,
    pub(crate) hint: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_found_by_their_codes() {
        assert_eq!(Language::ALL.map(Language::code), ["en", "fr"]);
        assert_eq!(Language::from_code("fr"), Some(Language::Fr));
        assert_eq!(Language::from_code("de"), None);
    }

    #[test]
    fn what_is_put_in_is_never_a_place_for_more() {
        let line = fill("{a} and {b}.", &[("b", Piece::Code("{a}".into())), ("a", Piece::Plain("{b}".into()))]);
        let plain = |text: &str| Piece::Plain(text.into());
        assert_eq!(line.0, [plain("{b}"), plain(" and "), Piece::Code("{a}".into()), plain(".")]);
        assert_eq!(fill("nothing {here}", &[]).0, [plain("nothing {here}")]);
    }

    #[test]
    fn what_stands_between_backticks_is_code() {
        let line = marked("the line `proc:rw` is `missing`");
        let plain = |text: &str| Piece::Plain(text.into());
        let code = |text: &str| Piece::Code(text.into());
        assert_eq!(line.0, [plain("the line "), code("proc:rw"), plain(" is "), code("missing")]);
    }

    #[test]
    fn a_sentence_has_the_same_places_in_every_language() {
        let places = |text: &str| {
            let mut places: Vec<String> =
                text.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0.to_string())).collect();
            places.sort();
            places
        };
        let (en, fr) = (Language::En.words(), Language::Fr.words());
        let sentences = |words: &'static Words| {
            let (says, from, run) = (&words.conditions, &words.sources, &words.run);
            [
                says.nodes,
                says.system_pods,
                says.api,
                says.pods,
                says.pods_per_node,
                says.url,
                says.url_for,
                says.each_node,
                says.service,
                says.from,
                says.node_ports,
                says.certificates,
                says.applications,
                says.release,
                says.route,
                says.targets,
                says.canary,
                from.environment,
                from.file,
                from.command,
                from.sops,
                run.title,
                run.count_text,
                run.skipped,
                words.ports.node_port,
                words.access.on_host,
                words.access.no_address,
                words.terms.more,
                words.about.title,
                words.about.given,
                words.validation.title,
                words.validation.date,
                words.manual.intro,
                words.procedures.upgrade_text,
                words.procedures.scale_text,
                words.procedures.quorum,
            ]
        };
        for (one, other) in sentences(en).into_iter().zip(sentences(fr)) {
            assert_eq!(places(one), places(other), "{one} / {other}");
        }
    }
}
