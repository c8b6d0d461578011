//! Keys for SSH.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::problem::{Problem, labels, text};
use super::state::{Answer, Kind, State, created, gone, ok};

pub(crate) fn create(state: &mut State, body: &Value) -> Answer {
    state.fresh(Kind::SshKey, body)?;
    let key = text(body, "public_key")?.trim();
    let fingerprint = fingerprint(key).ok_or_else(|| Problem::invalid("public_key", "is not a valid SSH key"))?;
    if state.of(Kind::SshKey).any(|(_, own)| own["fingerprint"] == fingerprint) {
        return Err(Problem::taken("public_key", "SSH key with the same fingerprint already exists"));
    }
    let id = state.put(
        Kind::SshKey,
        json!({
            "id": null, "name": body["name"], "fingerprint": fingerprint, "public_key": key,
            "labels": labels(body), "created": null,
        }),
    );
    created(json!({"ssh_key": state.show(Kind::SshKey, id)}))
}

pub(crate) fn delete(state: &mut State, id: u64) -> Answer {
    state.get(Kind::SshKey, id)?;
    state.records.remove(&(Kind::SshKey, id));
    gone()
}

pub(crate) fn update(state: &mut State, id: u64, body: &Value) -> Answer {
    state.update(Kind::SshKey, id, body, &[])?;
    ok(json!({"ssh_key": state.show(Kind::SshKey, id)}))
}

/// As `ssh-keygen -E md5 -l` says it, which is how the API does; none when it is no key.
pub(crate) fn fingerprint(key: &str) -> Option<String> {
    let (kind, rest) = key.split_once(' ')?;
    let blob = BASE64_STANDARD.decode(rest.split(' ').next()?).ok()?;
    // The blob begins with the length and the name of its own kind (RFC 4253, 6.6).
    let length = u32::from_be_bytes(blob.get(..4)?.try_into().ok()?) as usize;
    if blob.get(4..4 + length)? != kind.as_bytes() {
        return None;
    }
    let pairs: Vec<String> = md5(&blob).iter().map(|byte| format!("{byte:02x}")).collect();
    Some(pairs.join(":"))
}

/// RFC 1321. It only names keys here, and nothing else of the workspace has it.
fn md5(message: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64), 0);
    let end = padded.len() - 8;
    padded[end..].copy_from_slice(&(message.len() as u64 * 8).to_le_bytes());
    for block in padded.chunks_exact(64) {
        let words: Vec<u32> = block.chunks_exact(4).map(|w| u32::from_le_bytes(w.try_into().unwrap())).collect();
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64 {
            let (mixed, word) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((d & b) | (!d & c), (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), (7 * step) % 16),
            };
            let constant = (f64::from(step as u32 + 1).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mixed).wrapping_add(constant).wrapping_add(words[word]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[step / 16][step % 4]));
        }
        for (own, new) in state.iter_mut().zip([a, b, c, d]) {
            *own = own.wrapping_add(new);
        }
    }
    let bytes: Vec<u8> = state.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.try_into().unwrap()
}
