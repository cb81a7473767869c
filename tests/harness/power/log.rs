//! Reads the log of strace: `4393  1795332514.257481 pwrite64(12</path>, "\x53…", 4096, 0) = 4096`, paths in hexadecimal
//! too, and calls that another thread came between in two lines.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use super::{Change, Event};

/// Reads the log of strace. `None` if it lacks bytes.
pub(super) fn parse(log: &str, data: &Path) -> Result<Option<Vec<Event>>> {
    let mut events = Vec::new();
    // Syncs that have begun, by thread: the file, and how much they cover.
    let mut begun: HashMap<&str, (String, usize)> = HashMap::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((at, call)) = rest.trim_start().split_once(' ') else { continue };
        let at = nanos(at)?;
        if call.starts_with("<... fsync resumed>") || call.starts_with("<... fdatasync resumed>") {
            if let Some((file, covers)) = begun.remove(thread)
                && has_synced(call)?
            {
                events.push(Event { at, file, change: Change::Sync { covers } });
            }
            continue;
        }
        let Some((name, rest)) = call.split_once('(') else { continue };
        let Some(file) = file_of(rest, data) else { continue };
        // The index of the WAL: it is never synced and made anew after a crash.
        if file.ends_with("-shm") {
            continue;
        }
        let mut arguments = rest.split(", ").skip(1);
        match name {
            "fsync" | "fdatasync" if call.contains("<unfinished") => {
                begun.insert(thread, (file, events.len()));
            }
            "fsync" | "fdatasync" => {
                let change = Change::Sync { covers: events.len() };
                if has_synced(call)? {
                    events.push(Event { at, file, change });
                }
            }
            "ftruncate" => {
                let length = number(arguments.next())?;
                events.push(Event { at, file, change: Change::Truncate(length) });
            }
            "pwrite64" => {
                let Some(bytes) = bytes(arguments.next().unwrap_or_default()) else {
                    return Ok(None);
                };
                let (length, offset) = (number(arguments.next())?, number(arguments.next())?);
                ensure!(bytes.len() == length, "{length} bytes written and {} seen", bytes.len());
                events.push(Event { at, file, change: Change::Write { offset, bytes } });
            }
            other => bail!("{other} of {file}: that is not understood"),
        }
    }
    Ok(Some(events))
}

/// Whether a sync has ended. `?` means that the process ended before.
fn has_synced(call: &str) -> Result<bool> {
    ensure!(call.ends_with("= 0") || call.ends_with("= ?"), "a sync failed: {call}");
    Ok(call.ends_with("= 0"))
}

/// The name of the file of a call's first argument, `12</path>` in hexadecimal, where it is in the data directory; empty
/// for the directory itself.
fn file_of(arguments: &str, data: &Path) -> Option<String> {
    let path = arguments.split_once('<')?.1.split_once('>')?.0;
    let path = PathBuf::from(String::from_utf8(hexadecimal(path)?).ok()?);
    let name = path.strip_prefix(data).ok()?;
    Some(name.to_string_lossy().into_owned())
}

/// `"\x01\x02"`.
fn bytes(text: &str) -> Option<Vec<u8>> {
    hexadecimal(text.strip_prefix('"')?.strip_suffix('"')?)
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let mut digits = text.split("\\x");
    digits.next().filter(|before| before.is_empty())?;
    digits.map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

/// The number at the beginning.
fn number(text: Option<&str>) -> Result<usize> {
    let text = text.context("an argument is missing")?;
    let digits = text.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().with_context(|| format!("not a number: {text}"))
}

/// `1795332514.257481`, exactly.
fn nanos(text: &str) -> Result<i64> {
    let (seconds, micros) = text.split_once('.').context("not a time")?;
    Ok(seconds.parse::<i64>()? * 1_000_000_000 + micros.parse::<i64>()? * 1000)
}
