//! Texts that others wrote: where one of them is wrong, and no piece of it. What is in a file of values, of objects or of users is
//! often secret, and a parser's own message quotes the line that it stumbled over.

/// Why a text is no YAML that is of use, by its place alone.
pub(crate) fn no_yaml(error: &serde_saphyr::Error) -> String {
    match error.location() {
        Some(at) => format!("line {}, column {} is not YAML", at.line(), at.column()),
        None => "it is not YAML".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_text_is_wrong_is_told_and_no_piece_of_it() {
        let text = "password: hunter2\nother: [hunter3\nlast: }hunter4\n";
        let error = serde_saphyr::from_str::<serde_json::Value>(text).unwrap_err();
        assert!(error.to_string().contains("hunter"), "the parser quotes nothing any more: {error}");
        let told = no_yaml(&error);
        assert!(told.starts_with("line 3, column ") && !told.contains("hunter"), "{told}");
    }
}
