//! Trees of every kind of block. What stands on the pages, the program's own tests read.

use serde_json::{Value, json};

use super::set;

fn document(body: &Value) -> Value {
    json!({"title": "T", "lead": null, "language": "en", "contents": "Contents", "body": body})
}

#[test]
fn every_kind_of_block_is_set_and_is_accessible() {
    let words = json!([
        {"text": "words "}, {"code": "a/b-c"}, {"strong": [{"text": "first"}]},
        {"link": "https://example.com/", "body": [{"text": "https://example.com/"}]},
    ]);
    let at = json!({"x": 10, "y": 10, "width": 80, "height": 40});
    let body = json!([
        {"heading": words, "level": 2},
        {"heading": [{"text": "part"}], "level": 3},
        {"paragraph": words},
        {"paragraph": [{"text": "✅ ❌ ⚠️ ⚠ ✓ ✗ → … é Ω Ж"}]},
        {"list": [words, words], "numbered": true},
        {"list": [words], "numbered": false},
        {"code": "one\ntwo", "language": "sh"},
        {"heads": [words, [{"text": "head"}]], "rows": [[words, []], [[], words]]},
        {"title": "drawn", "drawing": {
            "width": 1200, "height": 900, "slant": 12, "step": 17,
            "frames": [{"at": at, "label": "frame"}], "groups": [{"at": at, "label": ""}],
            "boxes": [
                {"at": at, "shape": "box", "lines": ["a", "b"]},
                {"at": at, "shape": "round", "lines": []},
                {"at": at, "shape": "gate", "lines": ["g"]},
            ],
            "arrows": [{"points": [[1, 1], [1, 5], [9, 5], [9, 30]], "label": "HTTP", "at": at}],
        }},
    ]);
    let pdf = set(&document(&body)).unwrap();
    assert!(pdf.starts_with(b"%PDF-1.7"));
    assert!(claims_accessibility(&pdf));
    assert_eq!(pdf, set(&document(&body)).unwrap(), "same document, other bytes");
}

#[test]
fn a_document_without_blocks_is_a_title() {
    assert!(set(&document(&json!([]))).unwrap().starts_with(b"%PDF-"));
}

#[test]
fn what_no_font_has_is_set_and_claims_nothing() {
    let pdf = set(&document(&json!([{"paragraph": [{"text": "クラスタ"}]}]))).unwrap();
    assert!(!claims_accessibility(&pdf));
}

/// Whether the metadata, which are never packed, name PDF/UA.
fn claims_accessibility(pdf: &[u8]) -> bool {
    pdf.windows(7).any(|bytes| bytes == b"pdfuaid")
}
