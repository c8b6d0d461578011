//! Calls of the shell's functions, and the functions that they need.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::shell::quote;

/// The end of what a call reads. No base64 holds it.
const END: &str = "KW_END";

/// Functions that belong together. The order is that in which a script has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Library {
    Base,
    Before,
    Files,
    Packages,
    Repositories,
    Kernel,
    Units,
    Users,
    System,
    Download,
    Upload,
    Bring,
    Sshd,
    Steps,
    Back,
    Leave,
}

impl Library {
    fn text(self) -> &'static str {
        match self {
            Self::Base => include_str!("base.sh"),
            Self::Before => include_str!("before.sh"),
            Self::Files => include_str!("files.sh"),
            Self::Packages => include_str!("packages.sh"),
            Self::Repositories => include_str!("repositories.sh"),
            Self::Kernel => include_str!("kernel.sh"),
            Self::Units => include_str!("units.sh"),
            Self::Users => include_str!("users.sh"),
            Self::System => include_str!("system.sh"),
            Self::Download => include_str!("download.sh"),
            Self::Upload => include_str!("upload.sh"),
            Self::Bring => include_str!("bring.sh"),
            Self::Sshd => include_str!("sshd.sh"),
            Self::Steps => include_str!("steps.sh"),
            Self::Back => include_str!("back.sh"),
            Self::Leave => include_str!("leave.sh"),
        }
    }

    /// The libraries whose functions this one calls.
    fn needs(self) -> &'static [Self] {
        match self {
            Self::Base | Self::Before | Self::Files | Self::Packages | Self::Bring => &[],
            Self::Kernel | Self::Units | Self::Back => &[Self::Files],
            Self::Users | Self::System | Self::Sshd => &[Self::Files, Self::Packages],
            Self::Download | Self::Repositories => &[Self::Packages],
            Self::Upload => &[Self::Packages, Self::Download],
            Self::Steps => &[Self::Files, Self::Units],
            Self::Leave => &[Self::Files, Self::Packages, Self::Units, Self::Users, Self::Sshd, Self::Back],
        }
    }
}

/// A script in the making: calls in order.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    libraries: BTreeSet<Library>,
    body: String,
}

impl Calls {
    /// Calls a function of a library; a call that fails is the last one.
    pub(crate) fn call(&mut self, library: Library, call: &Call<'_>) {
        self.takes(library);
        let _ = write!(self.body, "{} {} {}", call.how, call.index, call.function);
        for word in &call.words {
            let _ = write!(self.body, " {}", quote(word));
        }
        // What the shell itself fills in.
        if let Some(variable) = &call.variable {
            let _ = write!(self.body, " \"{variable}\"");
        }
        if call.input.is_empty() {
            self.body.push_str(" || return 1\n");
            return;
        }
        let _ = writeln!(self.body, " <<'{END}' || return 1");
        for bytes in &call.input {
            // A line for each; one for nothing at all is a point, which no base64 is.
            let line = bytes.as_ref().map_or_else(|| ".".into(), |bytes| STANDARD.encode(bytes));
            self.body.push_str(&line);
            self.body.push('\n');
        }
        self.body.push_str(END);
        self.body.push('\n');
    }

    /// Calls a function that tells by itself.
    pub(crate) fn plain(&mut self, library: Library, function: &str, words: &[&str]) {
        self.takes(library);
        self.body.push_str(function);
        for word in words {
            let _ = write!(self.body, " {}", quote(word));
        }
        self.body.push_str(" || return 1\n");
    }

    /// A line of its own.
    pub(crate) fn line(&mut self, line: &str) {
        self.takes(Library::Base);
        self.body.push_str(line);
        self.body.push('\n');
    }

    /// What the calls from here on touch is written down first, as it was before us.
    pub(crate) fn noting(&mut self) {
        self.line("kw_notes=1");
    }

    /// The script has the functions of a library.
    pub(super) fn takes(&mut self, library: Library) {
        self.libraries.extend(library.needs());
        self.libraries.extend([Library::Base, Library::Before, library]);
    }

    /// The functions, without their comments, and the calls.
    pub(crate) fn script(self) -> String {
        let lines = self.libraries.iter().flat_map(|library| library.text().lines());
        let mut script: String = lines
            .filter(|line| !line.is_empty() && !line.trim_start().starts_with('#'))
            .flat_map(|line| [line, "\n"])
            .collect();
        script.push_str(&self.body);
        script
    }
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    how: &'static str,
    index: usize,
    function: &'static str,
    words: Vec<&'a str>,
    variable: Option<String>,
    input: Vec<Option<Vec<u8>>>,
}

impl<'a> Call<'a> {
    /// Does something and tells what came of it.
    pub(crate) fn tell(index: usize, function: &'static str, words: &[&'a str]) -> Self {
        Self { how: "kw_do", index, function, words: words.to_vec(), variable: None, input: Vec::new() }
    }

    /// Does something and tells only when it failed.
    pub(crate) fn quiet(index: usize, function: &'static str, words: &[&'a str]) -> Self {
        Self { how: "kw_try", ..Self::tell(index, function, words) }
    }

    /// With a last word that the shell fills in.
    pub(crate) fn and(mut self, variable: String) -> Self {
        self.variable = Some(variable);
        self
    }

    /// With bytes on standard input, in a line of their own.
    pub(crate) fn reading(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.reading_maybe(Some(bytes.into()))
    }

    /// With bytes on standard input, if there are any.
    pub(crate) fn reading_maybe(mut self, bytes: Option<Vec<u8>>) -> Self {
        self.input.push(bytes);
        self
    }
}
