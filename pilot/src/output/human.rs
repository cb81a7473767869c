//! Text for people. In a pipe it has upstream's layout, which scripts search. On a terminal, lists of records are tables.

use std::io::{self, Write};

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use spike_mtls::clock::second;
use spike_wire::{Policy, SecretMetadataResponse, SecretValues, ZERO_TIME};
use time::OffsetDateTime;
use time::macros::format_description;

use super::{Lines, one_line, write_value};

/// `name: value` for each value.
pub(crate) fn secret(out: &mut dyn Write, values: &SecretValues) -> io::Result<()> {
    values.iter().try_for_each(|(name, value)| writeln!(out, "{name}: {}", value.expose_secret()))
}

/// The same for a terminal, each on one line, so that no value can look like another. Tells whether any was quoted.
pub(crate) fn secret_on_terminal(out: &mut dyn Write, values: &SecretValues) -> io::Result<bool> {
    let mut quoted = false;
    for (name, value) in values.iter() {
        write!(out, "{name}: ")?;
        quoted |= write_value(out, value.expose_secret(), Lines::One)?;
        writeln!(out)?;
    }
    Ok(quoted)
}

/// One value for a terminal, on as many lines as it has. Tells whether it was quoted.
pub(crate) fn value_on_terminal(out: &mut dyn Write, value: &str) -> io::Result<bool> {
    let quoted = write_value(out, value, Lines::All)?;
    writeln!(out)?;
    Ok(quoted)
}

/// One path per line.
pub(crate) fn secret_list(out: &mut dyn Write, paths: &[String]) -> io::Result<()> {
    if paths.is_empty() {
        return writeln!(out, "No secrets found.");
    }
    paths.iter().try_for_each(|path| writeln!(out, "- {}", one_line(path)))
}

/// The metadata of a secret; the versions as a table if `on_terminal`.
pub(crate) fn metadata(
    out: &mut dyn Write,
    answer: &SecretMetadataResponse,
    on_terminal: bool,
) -> io::Result<()> {
    let rule = "-".repeat(50);
    // One form of time for people; in a pipe the one that scripts of upstream's users know.
    let moment = if on_terminal { second } else { moment };
    let whole = &answer.metadata;
    writeln!(out, "\nMetadata:\n{rule}")?;
    writeln!(out, "Current Version : {}", whole.current_version)?;
    writeln!(out, "Oldest Version  : {}", whole.oldest_version)?;
    writeln!(out, "Created Time    : {}", moment(whole.created_time))?;
    writeln!(out, "Last Updated    : {}", moment(whole.updated_time))?;
    writeln!(out, "Max Versions    : {}\n{rule}", whole.max_versions)?;
    if answer.versions.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nSecret Versions:")?;
    if on_terminal {
        return writeln!(out, "{}", versions_table(answer));
    }
    writeln!(out, "{rule}")?;
    for (number, version) in &answer.versions {
        writeln!(out, "Version {number}:\n  Created: {}", moment(version.created_time))?;
        if let Some(deleted) = version.deleted_time {
            writeln!(out, "  Deleted: {}", moment(deleted))?;
        }
        writeln!(out, "{rule}")?;
    }
    Ok(())
}

fn versions_table(answer: &SecretMetadataResponse) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["Version", "Created", "Deleted"]);
    for (number, version) in &answer.versions {
        let deleted = version.deleted_time.map(second).unwrap_or_default();
        table.add_row([number.to_string(), second(version.created_time), deleted]);
    }
    table
}

/// The names of policies; a plain list if `on_terminal`.
pub(crate) fn policy_list(
    out: &mut dyn Write,
    names: &[String],
    on_terminal: bool,
) -> io::Result<()> {
    if names.is_empty() {
        return writeln!(out, "No policies found.");
    }
    if on_terminal {
        return names.iter().try_for_each(|name| writeln!(out, "- {}", one_line(name)));
    }
    writeln!(out, "POLICIES\n========\n")?;
    for name in names {
        writeln!(out, "Name: {}\n--------\n", one_line(name))?;
    }
    writeln!(out)
}

/// One policy.
pub(crate) fn policy(out: &mut dyn Write, policy: &Policy) -> io::Result<()> {
    writeln!(out, "POLICY DETAILS\n=============\n")?;
    writeln!(out, "Name: {}", one_line(&policy.name))?;
    writeln!(out, "SPIFFE ID Pattern: {}", one_line(&policy.spiffeid_pattern))?;
    writeln!(out, "Path Pattern: {}", one_line(&policy.path_pattern))?;
    writeln!(out, "Permissions: {}", one_line(&policy.permissions.join(", ")))?;
    writeln!(out, "Created At: {}", second(policy.created_at))?;
    if policy.updated_at != ZERO_TIME {
        writeln!(out, "Updated At: {}", second(policy.updated_at))?;
    }
    writeln!(out)
}

/// `2026-07-25 20:02:04 UTC`
fn moment(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    in_utc(time).format(format).unwrap_or_else(|_| time.to_string())
}

fn in_utc(time: OffsetDateTime) -> OffsetDateTime {
    time.checked_to_offset(time::UtcOffset::UTC).unwrap_or(time)
}

#[cfg(test)]
mod tests;
