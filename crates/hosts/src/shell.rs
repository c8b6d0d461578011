//! Scripts for a host's POSIX shell, and the frame around them.
//!
//! A script goes to `sh -s` on standard input, so nothing of it is ever an argument that others on the host can read. The
//! frame prints a word of ours before and after: what profiles and banners print before it is noise, and an answer
//! without its end was cut off. The body is a function that is called in the script's last line, so a script that
//! arrives in part does nothing at all.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Where programs are looked for on a host.
pub(crate) const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A text as one word of the shell.
pub(crate) fn quote(text: &str) -> Cow<'_, str> {
    // The only text that cannot be a word holds a zero byte, which no path and no name can hold either.
    shlex::try_quote(text).unwrap_or(Cow::Borrowed("''"))
}

/// A whole script around a body. `nonce` is a word that nobody else prints.
pub(crate) fn framed(body: &str, nonce: &str) -> String {
    let mut script = String::with_capacity(body.len() + 512);
    let _ = write!(
        script,
        "LC_ALL=C; export LC_ALL\n\
         {PATH}; export PATH\n\
         umask 022\n\
         kw_main() {{\n{body}\n}}\n\
         kw_all() {{\n\
         printf '\\n%s begin\\n' '{nonce}'\n\
         kw_main </dev/null\n\
         printf '\\n%s end %s\\n' '{nonce}' \"$?\"\n\
         exit 0\n\
         }}\n\
         kw_all\n"
    );
    script
}

/// What a script answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What its body printed.
    pub(crate) printed: String,
    /// How its body ended.
    pub(crate) status: i32,
}

/// Takes a script's answer out of everything that came back; none when it was cut off.
pub(crate) fn answer(output: &[u8], nonce: &str) -> Option<Answer> {
    let text = String::from_utf8_lossy(output);
    let (_, after) = text.split_once(&format!("\n{nonce} begin\n"))?;
    let (printed, end) = after.rsplit_once(&format!("\n{nonce} end "))?;
    let status = end.lines().next()?.trim().parse().ok()?;
    Some(Answer { printed: printed.to_string(), status })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    fn run(script: &str) -> Vec<u8> {
        let mut child = Command::new("sh")
            .arg("-s")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        child.stdin.take().expect("it is piped").write_all(script.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends").stdout
    }

    #[test]
    fn an_answer_comes_out_of_the_noise() {
        let noisy = format!("echo 'Welcome!'\n{}", framed("echo one; echo two; return 3", "n0nce"));
        let answer = answer(&run(&noisy), "n0nce").expect("it was whole");
        assert_eq!((answer.printed.as_str(), answer.status), ("one\ntwo\n", 3));
    }

    #[test]
    fn a_script_that_arrives_in_part_does_nothing() {
        let script = framed("echo done", "n0nce");
        for cut in 0..script.len() - "\n".len() {
            let output = run(&script[..cut]);
            assert!(!String::from_utf8_lossy(&output).contains("done"), "cut at {cut}");
        }
    }

    #[test]
    fn words_stay_words() {
        for word in ["", "a b", "$(reboot)", "it's", "`x`", "-n", "ü\u{a0}", "a\nb"] {
            let output = run(&format!("printf '%s' {}", quote(word)));
            assert_eq!(String::from_utf8_lossy(&output), word);
        }
    }
}
