//! The fields that a policy would change, for `policy apply --dry-run`.

use std::io::{self, Write};

use spike_wire::{Policy, PolicyPutRequest};

use crate::output::one_line;

/// Writes one line with `create`, `replace` or `unchanged`, and lines for each field that would change.
pub(super) fn write(
    out: &mut dyn Write,
    wanted: &PolicyPutRequest,
    stored: Option<&Policy>,
) -> io::Result<()> {
    let name = &wanted.name;
    let fields = differences(wanted, stored);
    match stored {
        None => writeln!(out, "create     {name}")?,
        Some(_) if fields.is_empty() => writeln!(out, "unchanged  {name}")?,
        Some(_) => writeln!(out, "replace    {name}")?,
    }
    for Difference { field, before, after } in fields {
        match before.as_deref().map(one_line) {
            Some(before) => writeln!(out, "  {field}:\n    - {before}\n    + {after}")?,
            None => writeln!(out, "  {field}:\n    + {after}")?,
        }
    }
    Ok(())
}

/// A field that would change.
pub(super) struct Difference {
    pub(super) field: &'static str,
    pub(super) before: Option<String>,
    pub(super) after: String,
}

/// The fields that would change; all of them if nothing is stored.
pub(super) fn differences(wanted: &PolicyPutRequest, stored: Option<&Policy>) -> Vec<Difference> {
    let fields = [
        (
            "spiffeidPattern",
            stored.map(|policy| policy.spiffeid_pattern.clone()),
            wanted.spiffeid_pattern.clone(),
        ),
        (
            "pathPattern",
            stored.map(|policy| policy.path_pattern.clone()),
            wanted.path_pattern.clone(),
        ),
        (
            "permissions",
            stored.map(|policy| in_order(&policy.permissions)),
            in_order(&wanted.permissions),
        ),
    ];
    fields
        .into_iter()
        .filter(|(_, before, after)| before.as_ref() != Some(after))
        .map(|(field, before, after)| Difference { field, before, after })
        .collect()
}

/// The permissions as a sorted set: neither order nor repetition means anything.
pub(super) fn in_order(permissions: &[String]) -> String {
    let mut words: Vec<_> = permissions.iter().map(String::as_str).collect();
    words.sort_unstable();
    words.dedup();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(permissions: &[&str]) -> PolicyPutRequest {
        PolicyPutRequest {
            name: "acme-db".to_owned(),
            spiffeid_pattern: r"^spiffe://example\.org/acme/.*$".to_owned(),
            path_pattern: "^tenants/acme/db/.*$".to_owned(),
            permissions: permissions.iter().map(ToString::to_string).collect(),
            create_only: false,
        }
    }

    fn stored(path_pattern: &str, permissions: &[&str]) -> Policy {
        let PolicyPutRequest { name, spiffeid_pattern, permissions, .. } = wanted(permissions);
        let path_pattern = path_pattern.to_owned();
        Policy { name, spiffeid_pattern, path_pattern, permissions, ..Policy::default() }
    }

    fn shown(wanted: &PolicyPutRequest, stored: Option<&Policy>) -> String {
        let mut out = Vec::new();
        write(&mut out, wanted, stored).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_new_policy_is_shown_whole() {
        insta::assert_snapshot!(shown(&wanted(&["read", "write"]), None), @r"
        create     acme-db
          spiffeidPattern:
            + ^spiffe://example\.org/acme/.*$
          pathPattern:
            + ^tenants/acme/db/.*$
          permissions:
            + read, write
        ");
    }

    #[test]
    fn of_a_policy_that_is_replaced_only_what_changes_is_shown() {
        let stored = stored("^tenants/acme/.*$", &["read"]);
        insta::assert_snapshot!(shown(&wanted(&["write", "read"]), Some(&stored)), @r"
        replace    acme-db
          pathPattern:
            - ^tenants/acme/.*$
            + ^tenants/acme/db/.*$
          permissions:
            - read
            + read, write
        ");
    }

    #[test]
    fn the_order_of_permissions_is_no_change() {
        let stored = stored("^tenants/acme/db/.*$", &["write", "read"]);
        let shown = shown(&wanted(&["read", "write", "read"]), Some(&stored));
        assert_eq!(shown, "unchanged  acme-db\n");
    }
}
