//! What the image factory makes an image from: a text whose digest is its name.
//!
//! The factory marshals what it is given before it takes the digest, so the text is written as it would write it.
//! <https://github.com/siderolabs/image-factory/blob/main/pkg/schematic/schematic.go>

use crate::digest::Digest;

/// The text of an image with these system extensions, in this order.
pub fn text(extensions: &[String]) -> String {
    if extensions.is_empty() {
        return "customization: {}\n".into();
    }
    let list: String = extensions.iter().map(|name| format!("            - {name}\n")).collect();
    format!("customization:\n    systemExtensions:\n        officialExtensions:\n{list}")
}

/// The id by which the factory knows a text.
pub fn id(text: &str) -> String {
    Digest::of(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_that_the_factory_gives() {
        let of = |names: &[&str]| id(&text(&names.iter().map(ToString::to_string).collect::<Vec<_>>()));
        // <https://www.talos.dev/v1.11/learn-more/image-factory/>, and Longhorn's own page about Talos.
        assert_eq!(of(&[]), "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba");
        assert_eq!(
            of(&["siderolabs/iscsi-tools", "siderolabs/util-linux-tools"]),
            "613e1592b2da41ae5e265e8789429f22e121aab91cb4deb6bc3c0b6262961245"
        );
    }
}
