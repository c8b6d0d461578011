//! The index itself. 00xx form · 01xx names and nodes · 02xx network · 03xx machines · 04xx Kubernetes · 05xx load
//! balancers and ingress · 06xx add-ons · 07xx secrets · 08xx verification, backup, maintenance.

use super::{Code, Entry};
use crate::diagnostic::Severity;

codes! {
    1 Error SYNTAX = "not YAML",
        "The file cannot be read as YAML. The parser stops at the first such place, so mend it and look again. Most often it is \
         the indentation, a tab, a missing `:` or an open quote.";
    2 Error DUPLICATE_KEY = "a key twice",
        "The same key stands twice in one mapping. Other programs silently keep one of the two; here it is an error, because one \
         of the two wishes would be lost.";
    3 Error TOO_LARGE = "too large",
        "The file, with its aliases followed, is larger than any cluster needs. Use ranges (`192.168.1.41-42`) and pools instead \
         of one block for each node.";
    4 Error TOO_DEEP = "nested too deep",
        "The file is nested deeper than 64 levels.";
    5 Error ALIAS = "an alias that cannot be followed",
        "A YAML alias repeats something that contains the alias itself, or stands where a key belongs.";
    6 Error SECOND_DOCUMENT = "a second document",
        "A `---` starts a second document. One file describes one cluster.";
    7 Error EMPTY = "nothing there",
        "The file is empty or holds only comments. `kubewright init` writes a first file.";
    8 Error TAG = "a YAML tag that does not fit",
        "A value has a tag such as `!!int` and is not that.";
    9 Error KEY = "a key that is not text",
        "A key is a list or a mapping. Keys are plain text.";
    10 Error UNKNOWN_FIELD = "unknown field",
        "The language has no such field here. Look at the suggested word, or at the reference page for the fields that are known \
         in this place.";
    11 Error MISSING_FIELD = "a field is missing",
        "A field without which the rest means nothing is not there.";
    12 Error WRONG_TYPE = "a value of the wrong type",
        "The value is of another type than the field wants, for example a text where a list is wanted. A field that is there but \
         empty has no type: write `{}` for an empty mapping, or remove the line.";
    13 Error UNKNOWN_WORD = "not one of the known words",
        "The field knows only a few words, and this is none of them.";
    14 Error FORMAT = "text that is not in its form",
        "The text has a form of its own (an address, a range, a network, a size, a version, a name), and is not in that form.";
    15 Error OUT_OF_RANGE = "a number or text outside of its limits",
        "The value is too small, too large, too short, too long, or of another pattern than the field allows.";
    16 Error SCHEMA = "not as the schema wants it",
        "The value breaks a rule of the schema that has no words of its own here.";
    701 Error SECRET_IN_CLEAR = "a secret in clear text",
        "A value stands where a reference to a secret belongs. This file lives in Git, and what was once in Git is no secret \
         any more: change the secret, keep it in an environment variable, a file, a command or the SOPS file, and write only \
         where it is.";
}
