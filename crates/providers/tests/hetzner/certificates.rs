//! Certificates: uploaded ones, which OpenSSL reads for us, and managed ones.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::problem::{Problem, labels, list, text};
use super::state::{Answer, Kind, State, created, gone, now, ok};

pub(crate) fn create(state: &mut State, body: &Value) -> Answer {
    state.fresh(Kind::Certificate, body)?;
    let managed = body["type"] == "managed";
    let mut record = json!({
        "id": null, "name": body["name"], "labels": labels(body), "created": null,
        "type": if managed { "managed" } else { "uploaded" }, "certificate": null, "fingerprint": null,
        "not_valid_before": null, "not_valid_after": null, "domain_names": [], "status": null,
    });
    if !managed {
        upload(&mut record, text(body, "certificate")?, text(body, "private_key")?)?;
        let id = state.put(Kind::Certificate, record);
        return created(json!({"certificate": state.show(Kind::Certificate, id), "action": null}));
    }
    let names: Vec<&Value> = list(body, "domain_names").collect();
    if names.is_empty() {
        return Err(Problem::invalid("domain_names", "must be given"));
    }
    record["domain_names"] = json!(names);
    record["status"] = json!({"issuance": "pending", "renewal": "unavailable", "error": null});
    let id = state.put(Kind::Certificate, record);
    let fails = matches!(state.fate, super::actions::Fate::Fails(_));
    let action = issue(state, id);
    if fails {
        state.change(Kind::Certificate, id, |own| own["status"]["issuance"] = json!("failed"));
    }
    created(json!({"certificate": state.show(Kind::Certificate, id), "action": state.show_action(action)}))
}

fn issue(state: &mut State, id: u64) -> u64 {
    state.begin("issue_certificate", &[(Kind::Certificate, id)], move |state| {
        state.change(Kind::Certificate, id, |own| {
            own["status"] = json!({"issuance": "completed", "renewal": "scheduled", "error": null});
            own["certificate"] = json!("-----BEGIN CERTIFICATE-----\nof the fake\n-----END CERTIFICATE-----\n");
            own["fingerprint"] = json!("03:c7:55:9b:2a:d1:04:17:09:f6:d0:7f:18:34:63:d4:3e:5f");
            own["not_valid_before"] = json!(now());
            own["not_valid_after"] = json!("2099-01-01T00:00:00Z");
        });
    })
}

pub(crate) fn update(state: &mut State, id: u64, body: &Value) -> Answer {
    state.update(Kind::Certificate, id, body, &[])?;
    ok(json!({"certificate": state.show(Kind::Certificate, id)}))
}

pub(crate) fn delete(state: &mut State, id: u64) -> Answer {
    state.unlocked(Kind::Certificate, id)?;
    state.get(Kind::Certificate, id)?;
    if !users(state, id).is_empty() {
        return Err(Problem::new("resource_in_use", "certificate is still in use"));
    }
    state.records.remove(&(Kind::Certificate, id));
    gone()
}

pub(crate) fn act(state: &mut State, id: u64, word: &str) -> Result<u64, Problem> {
    let record = state.get(Kind::Certificate, id)?;
    if word != "retry" {
        return Err(Problem::new("not_found", "there is no such action"));
    }
    let failed = record["status"]["issuance"] == "failed" || record["status"]["renewal"] == "failed";
    if record["type"] != "managed" || !failed {
        return Err(Problem::new("unsupported_error", "only a managed certificate that has failed is tried again"));
    }
    state.unlocked(Kind::Certificate, id)?;
    Ok(issue(state, id))
}

fn users(state: &State, id: u64) -> Vec<u64> {
    let uses = |balancer: &Value| {
        let mut services = list(balancer, "services");
        services.any(|service| list(&service["http"], "certificates").any(|own| *own == id))
    };
    state.which(Kind::LoadBalancer, uses)
}

pub(crate) fn show(state: &State, record: &mut Value) {
    let id = record["id"].as_u64().unwrap_or_default();
    let users = users(state, id).into_iter().map(|user| json!({"id": user, "type": "load_balancer"}));
    record["used_by"] = json!(users.collect::<Vec<_>>());
}

/// What OpenSSL says of a text.
fn openssl(arguments: &[&str], text: &str) -> Option<String> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl starts");
    // A program that does not read to the end has said what it wants.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    let output = child.wait_with_output().unwrap();
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn upload(record: &mut Value, certificate: &str, key: &str) -> Result<(), Problem> {
    let wrong = || Problem::invalid("certificate", "is no certificate in PEM format");
    let public = openssl(&["x509", "-noout", "-pubkey"], certificate).ok_or_else(wrong)?;
    if openssl(&["pkey", "-pubout"], key).as_deref() != Some(&public) {
        return Err(Problem::invalid("private_key", "does not belong to the certificate"));
    }
    let arguments =
        ["x509", "-noout", "-fingerprint", "-sha256", "-dates", "-dateopt", "iso_8601", "-ext", "subjectAltName"];
    let said = openssl(&arguments, certificate).ok_or_else(wrong)?;
    let after = |start: &str| said.lines().find_map(|line| line.split_once(start).map(|(_, rest)| rest.to_string()));
    let time = |start: &str| after(start).map(|time| time.replace(' ', "T"));
    record["certificate"] = json!(certificate);
    record["fingerprint"] = json!(after("Fingerprint=").unwrap_or_default().to_lowercase());
    record["not_valid_before"] = json!(time("notBefore="));
    record["not_valid_after"] = json!(time("notAfter="));
    let names = said.lines().flat_map(|line| line.split(", ")).filter_map(|name| name.trim().strip_prefix("DNS:"));
    record["domain_names"] = json!(names.collect::<Vec<_>>());
    Ok(())
}
