//! HTTP/1.1, and S3 on top of it.

use kubewright_model::net::HostPort;

use super::wire::Wire;
use super::{Failed, Greeted, Unmet, line};

/// The beginning of a page says enough.
const ENOUGH: usize = 16 * 1024;

/// An answer.
pub(in crate::verify) struct Answer {
    pub(in crate::verify) status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// What stands in a header, whatever the case of its name.
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find_map(|(key, value)| key.trim().eq_ignore_ascii_case(name).then_some(value.trim()))
    }

    /// Who answers, as it says.
    pub(in crate::verify) fn server(&self) -> Option<&str> {
        self.header("server").filter(|server| !server.is_empty())
    }

    /// What stands between `<NAME>` and `</NAME>`.
    fn element(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0)
    }
}

/// Asks for a path.
pub(in crate::verify) async fn get(wire: &mut Wire, host: &str, path: &str) -> Result<Answer, Failed> {
    // In the words of HTTP/1.1 that every server wants, RFC 9112, 3.2.
    let words = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: kubewright\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    wire.say(words.as_bytes()).await?;
    if wire.hear(5).await? != b"HTTP/" {
        return Err(Failed::Strange);
    }
    let heard = wire.hear_all(|heard| heard.len() > ENOUGH || whole(heard)).await;
    let text = String::from_utf8_lossy(heard).into_owned();
    if wants_tls(&text) {
        return Err(Failed::Strange);
    }
    let status = text.split_whitespace().nth(1).and_then(|word| word.parse().ok()).ok_or(Failed::Strange)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Ok(Answer { status, head: head.into(), body: body.into() })
}

/// Whether an answer has all that it says it has.
fn whole(heard: &[u8]) -> bool {
    let text = String::from_utf8_lossy(heard);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().filter_map(|line| line.split_once(':'));
    let mut length = length.filter(|(key, _)| key.trim().eq_ignore_ascii_case("content-length"));
    length.next().and_then(|(_, value)| value.trim().parse().ok()).is_some_and(|length: usize| body.len() >= length)
}

/// Whether a server says that it wants TLS: Go's `net/http`, nginx, and Apache, each in its own words.
pub(in crate::verify) fn wants_tls(text: &str) -> bool {
    let said = ["HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port", "plain HTTP to an SSL"];
    said.iter().any(|words| text.contains(words))
}

/// Every answer is a greeting.
pub(super) async fn greet(wire: &mut Wire, at: &HostPort) -> Result<Greeted, Failed> {
    let answer = get(wire, &at.to_string(), "/").await?;
    Ok(Greeted::new(format!("HTTP {}", answer.status)).with_server(answer.server()))
}

/// Whoever is not logged in gets an error of S3's own, or the list of his buckets: as XML, and with the number of the
/// request.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#RESTErrorResponses>,
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonResponseHeaders.html>
pub(super) async fn greet_s3(wire: &mut Wire, at: &HostPort) -> Result<Greeted, Failed> {
    let answer = get(wire, &at.to_string(), "/").await?;
    let numbered = answer.header("x-amz-request-id").is_some();
    let lists = answer.body.contains("<ListAllMyBucketsResult");
    let code = answer.element("Code").filter(|_| answer.body.contains("<Error")).map(|code| line(code.as_bytes()));
    match (&code, answer.status) {
        _ if code.is_none() && !lists && !numbered => {
            let hint = "look at what listens there: it answers HTTP, and not S3";
            Err(Unmet::refuses(format!("it speaks HTTP and no S3 (status {})", answer.status), hint).into())
        }
        (_, 500..) => {
            let code = code.unwrap_or_default();
            let hint = "it is S3, and cannot work: its log and its disks tell why";
            Err(Unmet::refuses(format!("S3 answers {} {code}", answer.status), hint).into())
        }
        (Some(code), _) => Ok(Greeted::new(format!("S3 {code}")).with_server(answer.server())),
        (None, _) => Ok(Greeted::new("S3").with("open to everybody").with_server(answer.server())),
    }
}

impl Greeted {
    fn with_server(self, server: Option<&str>) -> Self {
        match server {
            Some(server) => self.with(line(server.as_bytes())),
            None => self,
        }
    }
}
