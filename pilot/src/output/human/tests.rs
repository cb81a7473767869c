use std::collections::BTreeMap;

use spike_wire::{SecretMetadata, VersionMetadata};
use time::macros::datetime;

use super::*;

fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn two_versions() -> SecretMetadataResponse {
    let first = datetime!(2026-07-25 20:02:04.123 UTC);
    let last = datetime!(2026-07-25 22:05:11 +2);
    let deleted = Some(datetime!(2026-07-25 20:04:00 UTC));
    SecretMetadataResponse {
        versions: BTreeMap::from([
            (2, VersionMetadata { created_time: last, version: 2, deleted_time: None }),
            (1, VersionMetadata { created_time: first, version: 1, deleted_time: deleted }),
        ]),
        metadata: SecretMetadata {
            current_version: 2,
            oldest_version: 1,
            created_time: first,
            updated_time: last,
            max_versions: 10,
        },
    }
}

#[test]
fn metadata_has_upstreams_layout_with_versions_in_order_and_times_in_utc() {
    insta::assert_snapshot!(written(|out| metadata(out, &two_versions(), false)), @"

    Metadata:
    --------------------------------------------------
    Current Version : 2
    Oldest Version  : 1
    Created Time    : 2026-07-25 20:02:04 UTC
    Last Updated    : 2026-07-25 20:05:11 UTC
    Max Versions    : 10
    --------------------------------------------------

    Secret Versions:
    --------------------------------------------------
    Version 1:
      Created: 2026-07-25 20:02:04 UTC
      Deleted: 2026-07-25 20:04:00 UTC
    --------------------------------------------------
    Version 2:
      Created: 2026-07-25 20:05:11 UTC
    --------------------------------------------------
    ");
}

#[test]
fn on_a_terminal_the_versions_are_a_table() {
    insta::assert_snapshot!(written(|out| metadata(out, &two_versions(), true)), @"

    Metadata:
    --------------------------------------------------
    Current Version : 2
    Oldest Version  : 1
    Created Time    : 2026-07-25T20:02:04Z
    Last Updated    : 2026-07-25T20:05:11Z
    Max Versions    : 10
    --------------------------------------------------

    Secret Versions:
    ┌─────────┬──────────────────────┬──────────────────────┐
    │ Version ┆ Created              ┆ Deleted              │
    ╞═════════╪══════════════════════╪══════════════════════╡
    │ 1       ┆ 2026-07-25T20:02:04Z ┆ 2026-07-25T20:04:00Z │
    │ 2       ┆ 2026-07-25T20:05:11Z ┆                      │
    └─────────┴──────────────────────┴──────────────────────┘
    ");
}

#[test]
fn on_a_terminal_names_of_policies_are_a_plain_list() {
    let names = ["a".to_owned(), "b\u{1b}[2J".to_owned()];
    assert_eq!(written(|out| policy_list(out, &names, true)), "- a\n- b\\u{1b}[2J\n");
}

#[test]
fn a_policy_that_was_never_updated_has_no_such_line() {
    // Older data of upstream's has no time of update.
    let shown = written(|out| policy(out, &Policy { name: "p".to_owned(), ..Policy::default() }));
    assert!(!shown.contains("Updated At"), "{shown}");
}
