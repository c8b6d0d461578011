//! What kind of failure it is, from the code that the API gives. The status tells nothing beside it: a 403 is a missing
//! permission, a protected server or a limit of the project, and only the code says which.
//!
//! The codes are those of the API's reference and of hcloud-go 2.9 (`hcloud/error.go`). What failed as an action has the
//! same ones. <https://docs.hetzner.cloud/reference/cloud#errors>

use crate::{ErrorKind, ProviderError};

/// Codes, and what they mean.
const CODES: &[(&str, ErrorKind)] = &[
    // Somebody else is at it, or too much was asked.
    ("locked", ErrorKind::Busy),
    ("conflict", ErrorKind::Busy),
    ("rate_limit_exceeded", ErrorKind::Busy),
    // The API itself.
    ("service_error", ErrorKind::Transient),
    ("server_error", ErrorKind::Transient),
    ("unknown_error", ErrorKind::Transient),
    ("maintenance", ErrorKind::Transient),
    ("unavailable", ErrorKind::Transient),
    ("robot_unavailable", ErrorKind::Transient),
    ("bad_gateway", ErrorKind::Transient),
    ("timeout", ErrorKind::Transient),
    // Right after a network or a subnet was made. One that is full says the same, and trying again ends.
    ("no_subnet_available", ErrorKind::Transient),
    // What an action says that ended without a better word.
    ("action_failed", ErrorKind::Transient),
    // We may not.
    ("unauthorized", ErrorKind::Denied),
    ("forbidden", ErrorKind::Denied),
    ("token_readonly", ErrorKind::Denied),
    ("protected", ErrorKind::Denied),
    ("resource_locked", ErrorKind::Denied),
    // There is no room: of the project, or at Hetzner.
    ("resource_limit_exceeded", ErrorKind::Quota),
    ("resource_unavailable", ErrorKind::Quota),
    ("placement_error", ErrorKind::Quota),
    ("no_space_left_in_location", ErrorKind::Quota),
    ("not_found", ErrorKind::NotFound),
    ("firewall_resource_not_found", ErrorKind::NotFound),
    // Limits of Let's Encrypt: who asks again makes them last longer.
    ("ca_too_many_authorizations_failed_recently", ErrorKind::Quota),
    ("ca_too_many_certificates_issued_for_registered_domain", ErrorKind::Quota),
    ("ca_too_many_duplicate_certificates", ErrorKind::Quota),
    // Something else is there.
    ("uniqueness_error", ErrorKind::Conflict),
    ("ip_not_available", ErrorKind::Conflict),
    ("networks_overlap", ErrorKind::Conflict),
    ("resource_in_use", ErrorKind::Conflict),
    ("must_be_unassigned", ErrorKind::Conflict),
    ("server_already_added", ErrorKind::Conflict),
    ("server_already_attached", ErrorKind::Conflict),
    ("load_balancer_already_attached", ErrorKind::Conflict),
    ("firewall_already_applied", ErrorKind::Conflict),
    ("target_already_defined", ErrorKind::Conflict),
    ("source_port_already_used", ErrorKind::Conflict),
    ("primary_ip_assigned", ErrorKind::Conflict),
    ("primary_ip_already_assigned", ErrorKind::Conflict),
    ("server_has_ipv4", ErrorKind::Conflict),
    ("server_has_ipv6", ErrorKind::Conflict),
    ("server_not_stopped", ErrorKind::Conflict),
    // The wish cannot be had.
    ("invalid_input", ErrorKind::Invalid),
    ("unsupported_error", ErrorKind::Invalid),
    ("deprecated_api_endpoint", ErrorKind::Invalid),
    ("invalid_server_type", ErrorKind::Invalid),
    ("invalid_load_balancer_type", ErrorKind::Invalid),
    ("incompatible_network_type", ErrorKind::Invalid),
    ("private_net_only_server", ErrorKind::Invalid),
    ("primary_ip_datacenter_mismatch", ErrorKind::Invalid),
    ("primary_ip_version_mismatch", ErrorKind::Invalid),
    ("server_not_attached_to_network", ErrorKind::Invalid),
    ("load_balancer_not_attached_to_network", ErrorKind::Invalid),
    ("load_balancer_public_interface_disabled", ErrorKind::Invalid),
    ("targets_without_use_private_ip", ErrorKind::Invalid),
    ("cloud_resource_ip_not_allowed", ErrorKind::Invalid),
    ("ip_not_owned", ErrorKind::Invalid),
    ("missing_ipv4", ErrorKind::Invalid),
    ("caa_record_does_not_allow_ca", ErrorKind::Invalid),
    ("ca_dns_validation_failed", ErrorKind::Invalid),
    ("could_not_verify_domain_delegated_to_zone", ErrorKind::Invalid),
    ("dns_zone_not_found", ErrorKind::Invalid),
    ("dns_zone_is_secondary_zone", ErrorKind::Invalid),
    // What is sent is ours to write.
    ("json_error", ErrorKind::Bug),
    ("method_not_allowed", ErrorKind::Bug),
];

/// What helps where a code alone helps nobody.
const HELP: &[(&str, &str)] = &[
    ("unauthorized", "the token is unknown: make one in the Hetzner Console, in the project's Security, API tokens"),
    (
        "token_readonly",
        "the token may only read: make one that may read and write, in the project's Security, API tokens",
    ),
    (
        "resource_limit_exceeded",
        "the project is at a limit of its own: the Hetzner Console shows it in the project's Limits, and takes a request \
         for more",
    ),
    (
        "resource_unavailable",
        "Hetzner has none left there at the moment: write `fallbackTypes` or `fallbackLocations`, or try again later",
    ),
    (
        "placement_error",
        "a placement group holds 10 servers at most, each on a machine of its own: look at Hetzner's status page",
    ),
    ("protected", "it is protected: the plan lifts that from what it deletes, or take it off in the Hetzner Console"),
    ("ip_not_available", "another server or load balancer has that address, or it is the network's own"),
    ("no_subnet_available", "the network has no subnet in that zone, or its subnet is full"),
    ("maintenance", "Hetzner's status page tells for how long: https://status.hetzner.com"),
    ("server_not_stopped", "it is changed only while it is off"),
    (
        "ip_not_owned",
        "a load balancer sends to addresses of dedicated servers of the same customer, and to servers of the project by name",
    ),
];

/// What kind of failure a code is; without one that is known, what the status says.
pub(super) fn kind(status: u16, code: &str) -> ErrorKind {
    let known = CODES.iter().find(|(known, _)| *known == code).map(|(_, kind)| *kind);
    known.unwrap_or(match status {
        401 | 403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        405 | 501 => ErrorKind::Bug,
        409 => ErrorKind::Conflict,
        408 | 500..=599 => ErrorKind::Transient,
        423 | 429 => ErrorKind::Busy,
        _ => ErrorKind::Invalid,
    })
}

/// What an action's code is. One that nobody knows may pass.
pub(super) fn of_action(code: &str) -> ErrorKind {
    CODES.iter().find(|(known, _)| *known == code).map_or(ErrorKind::Transient, |(_, kind)| *kind)
}

/// What to do about a code, where that is known.
pub(super) fn help(code: &str) -> Option<&'static str> {
    HELP.iter().find(|(known, _)| *known == code).map(|(_, help)| *help)
}

/// The code that an error was made from, as it stands in its words: `409 uniqueness_error: …`.
pub(super) fn code(error: &ProviderError) -> Option<&str> {
    let (head, _) = error.message.split_once(": ")?;
    head.rsplit(' ').next()
}

/// What deleting a thing failed with. Servers that were deleted a moment ago still hold what they were in or behind: their
/// network, firewall and addresses are free a while later, and terraform-provider-hcloud tries again for that
/// (`internal/firewall/resource.go`).
pub(super) fn of_deleting(failed: ProviderError) -> ProviderError {
    let held = is(&failed, "resource_in_use") || is(&failed, "must_be_unassigned");
    if held { ProviderError { kind: ErrorKind::Busy, ..failed } } else { failed }
}

/// Whether a server is not to be had as it was asked for, and may be as another type or elsewhere. A type that is not offered
/// at a location has no code of its own.
pub(super) fn is_not_there(error: &ProviderError) -> bool {
    is(error, "resource_unavailable")
        || is(error, "placement_error")
        || is(error, "invalid_input") && error.message.contains("unsupported location for server type")
}

/// Whether an error has this code.
pub(super) fn is(error: &ProviderError, wanted: &str) -> bool {
    code(error) == Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hetzner::client::error;

    #[test]
    fn the_code_decides_and_not_the_status() {
        let cases = [
            (403, "forbidden", ErrorKind::Denied),
            (403, "resource_limit_exceeded", ErrorKind::Quota),
            (403, "protected", ErrorKind::Denied),
            (403, "rate_limit_exceeded", ErrorKind::Busy),
            (412, "resource_unavailable", ErrorKind::Quota),
            (409, "conflict", ErrorKind::Busy),
            (409, "uniqueness_error", ErrorKind::Conflict),
            (422, "invalid_input", ErrorKind::Invalid),
            (422, "ip_not_available", ErrorKind::Conflict),
            (423, "locked", ErrorKind::Busy),
            (422, "no_subnet_available", ErrorKind::Transient),
            (502, "", ErrorKind::Transient),
            (503, "unavailable", ErrorKind::Transient),
            (400, "json_error", ErrorKind::Bug),
            (418, "something_new", ErrorKind::Invalid),
        ];
        for (status, code, wanted) in cases {
            assert_eq!(kind(status, code), wanted, "{status} {code}");
        }
        assert_eq!(of_action("something_new"), ErrorKind::Transient);
    }

    #[test]
    fn what_is_in_use_is_held_while_it_is_deleted_and_else_a_conflict() {
        for code in ["resource_in_use", "must_be_unassigned"] {
            let failed = error(kind(422, code), format!("422 {code}: it is in use"));
            assert_eq!(failed.kind, ErrorKind::Conflict);
            assert_eq!(of_deleting(failed).kind, ErrorKind::Busy, "{code}");
        }
        assert_eq!(of_deleting(error(ErrorKind::Denied, "423 protected: it is")).kind, ErrorKind::Denied);
    }

    #[test]
    fn the_code_is_read_back() {
        assert!(is(
            &error(ErrorKind::Conflict, "409 uniqueness_error: server name is already used"),
            "uniqueness_error"
        ));
        assert!(is(
            &error(ErrorKind::Quota, "create_server failed, resource_unavailable: none: left"),
            "resource_unavailable"
        ));
        assert!(!is(&error(ErrorKind::Transient, "no answer"), "answer"));
    }
}
