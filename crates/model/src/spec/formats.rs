//! Text formats of the spec: each is a newtype whose syntax the schema names by `format` and the validator checks.
//!
//! A format decides only whether a text is well-formed. Whether its value fits the rest of the file is the planner's.

use crate::spec::forms;

/// A text with a syntax of its own.
pub trait Format {
    /// The name under which the JSON Schema knows it.
    const NAME: &'static str;
    /// One well-formed text, shown in hints and in the reference.
    const EXAMPLE: &'static str;

    /// Tells what is wrong with a text, in words for the person who wrote it.
    ///
    /// # Errors
    ///
    /// A fragment that reads well after "is not …: ".
    fn check(text: &str) -> Result<(), String>;
}

/// A format as the validator keeps it: name, example, check.
#[derive(Clone, Copy)]
pub struct KnownFormat {
    /// See [`Format::NAME`].
    pub name: &'static str,
    /// See [`Format::EXAMPLE`].
    pub example: &'static str,
    /// See [`Format::check`].
    pub check: fn(&str) -> Result<(), String>,
}

const fn known<F: Format>() -> KnownFormat {
    KnownFormat { name: F::NAME, example: F::EXAMPLE, check: F::check }
}

/// Every format that may stand in the spec.
pub static FORMATS: &[KnownFormat] = &[
    known::<crate::ids::ClusterName>(),
    known::<crate::ids::PoolName>(),
    known::<crate::ids::ProviderName>(),
    known::<crate::ids::NodeName>(),
    known::<crate::ids::Namespace>(),
    known::<crate::ids::ObjectName>(),
    known::<crate::ids::ReleaseName>(),
    known::<crate::names::NamePattern>(),
    known::<crate::net::AddressRange>(),
    known::<crate::net::Cidr>(),
    known::<crate::net::HostPort>(),
    known::<crate::net::ServiceRef>(),
    known::<crate::net::NumberRange>(),
    known::<crate::units::Size>(),
    known::<crate::units::Span>(),
    known::<crate::units::Balloon>(),
    known::<crate::version::Version>(),
    known::<crate::object::ObjectKey>(),
    known::<forms::LoginName>(),
    known::<forms::HostAlias>(),
    known::<forms::Interface>(),
    known::<forms::Bridge>(),
    known::<forms::ProxmoxNode>(),
    known::<forms::Storage>(),
    known::<forms::ProxmoxPool>(),
    known::<forms::ProxmoxTag>(),
    known::<forms::TokenId>(),
    known::<forms::ProxmoxUser>(),
    known::<forms::ContainerTemplate>(),
    known::<forms::LxcLine>(),
    known::<forms::CpuType>(),
    known::<forms::Fingerprint>(),
    known::<forms::HetznerName>(),
    known::<forms::Email>(),
    known::<forms::Revision>(),
    known::<forms::IngressClass>(),
    known::<forms::Bucket>(),
    known::<forms::Region>(),
    known::<forms::TalosExtension>(),
    known::<forms::SecretName>(),
    known::<forms::Sha256>(),
    known::<forms::Address>(),
    known::<forms::Host>(),
    known::<forms::Domain>(),
    known::<forms::HttpsAddress>(),
    known::<forms::WebAddress>(),
    known::<forms::Mirror>(),
    known::<forms::HostKey>(),
    known::<forms::CheckedAddress>(),
    known::<forms::Repository>(),
    known::<forms::RepositoryFolder>(),
    known::<forms::FilePath>(),
    known::<forms::Shell>(),
    known::<forms::Device>(),
    known::<forms::UrlPath>(),
];

/// The format with this name.
pub fn format_named(name: &str) -> Option<&'static KnownFormat> {
    FORMATS.iter().find(|format| format.name == name)
}

/// Gives a [`Format`] type its place in the JSON Schema: a string with a `format` and an example.
macro_rules! schema_for_format {
    ($name:ident) => {
        impl ::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::json_schema!({
                    "type": "string",
                    "format": <$name as $crate::spec::formats::Format>::NAME,
                    "examples": [<$name as $crate::spec::formats::Format>::EXAMPLE],
                })
            }
        }
    };
}
pub(crate) use schema_for_format;

/// A DNS label as RFC 1123 has it and Kubernetes wants it: 1 to 63 of `a-z`, `0-9`, `-`, not at the ends.
///
/// # Errors
///
/// What is wrong, in words.
pub fn dns_label(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.len() > 63 {
        return Err(format!("it has {} characters, at most 63 are allowed", text.len()));
    }
    if let Some(bad) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return Err(format!("`{}` is not allowed, only a-z, 0-9 and `-`", bad.escape_debug()));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err("it must start and end with a letter or a digit".into());
    }
    Ok(())
}

/// DNS labels joined by dots, up to 253 characters.
///
/// # Errors
///
/// What is wrong, in words.
pub fn dns_subdomain(text: &str) -> Result<(), String> {
    if text.len() > 253 {
        return Err(format!("it has {} characters, at most 253 are allowed", text.len()));
    }
    text.split('.').try_for_each(dns_label)
}
