//! One piece of text in YAML: plain, in single or double quotes, or as a block of lines.

use std::io::{self, Write};

/// Writes a text and a newline. The lines of a block are indented by `indent`.
pub(super) fn write(out: &mut dyn Write, text: &str, indent: usize) -> io::Result<()> {
    match Style::of(text) {
        Style::Block => block(out, text, indent),
        style => {
            inline(out, text, style)?;
            out.write_all(b"\n")
        }
    }
}

/// Writes the name of a field, always on one line.
pub(super) fn write_name(out: &mut dyn Write, name: &str) -> io::Result<()> {
    match Style::of(name) {
        Style::Block => double_quoted(out, name),
        style => inline(out, name, style),
    }
}

fn inline(out: &mut dyn Write, text: &str, style: Style) -> io::Result<()> {
    match style {
        Style::Plain => out.write_all(text.as_bytes()),
        Style::Single => {
            out.write_all(b"'")?;
            for (position, part) in text.split('\'').enumerate() {
                out.write_all(if position == 0 { b"" } else { b"''" })?;
                out.write_all(part.as_bytes())?;
            }
            out.write_all(b"'")
        }
        Style::Double | Style::Block => double_quoted(out, text),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Block,
}

impl Style {
    fn of(text: &str) -> Self {
        // That library puts U+2028 and U+2029 into single quotes, where it then reads them back as spaces.
        let special = |c: char| c != '\n' && c != '\t' && (!is_printable(c) || is_break(c));
        let has_controls = text.chars().any(special);
        let space_before_break = text.contains(" \n");
        if text.contains('\n') {
            let fits = !has_controls && !space_before_break && !text.ends_with(' ');
            return if fits { Self::Block } else { Self::Double };
        }
        if has_controls || text.contains('\t') || reads_as_another_type(text) {
            return Self::Double;
        }
        let edges = text.starts_with(' ') || text.ends_with(' ');
        if edges || has_indicators(text) { Self::Single } else { Self::Plain }
    }
}

/// Line breaks of YAML 1.1 besides the newline.
const fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What the emitter writes as it is. It escapes everything beyond the basic plane.
const fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && c != '\u{feff}'
}

/// Whether a part of the text would be taken for structure.
fn has_indicators(text: &str) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return true;
    }
    let mut characters = text.chars();
    let Some(first) = characters.next() else { return false };
    let alone = characters.as_str().starts_with(' ') || characters.as_str().is_empty();
    let at_first = match first {
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
        | '@' | '`' => true,
        '?' | ':' | '-' => alone,
        _ => false,
    };
    at_first || text.contains(": ") || text.ends_with(':') || text.contains(" #")
}

/// Whether the text, written plainly, is read as something else than text, by YAML 1.1 or 1.2.
fn reads_as_another_type(text: &str) -> bool {
    matches!(
        text,
        "" | "~"
            | "null"
            | "Null"
            | "NULL"
            | "true"
            | "True"
            | "TRUE"
            | "false"
            | "False"
            | "FALSE"
            | "y"
            | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
            | ".nan"
            | ".NaN"
            | ".NAN"
    ) || is_infinity(text)
        || is_number(text)
        || is_base_60(text)
        || is_date(text)
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

fn is_infinity(text: &str) -> bool {
    matches!(unsigned(text), ".inf" | ".Inf" | ".INF")
}

/// Integers in the bases of Go, and decimal fractions; `_` between digits does not count.
fn is_number(text: &str) -> bool {
    let starts = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.');
    if !text.starts_with(starts) {
        return false;
    }
    let digits = unsigned(text).replace('_', "");
    let in_base = |prefix: &[&str], base: u32| {
        prefix
            .iter()
            .find_map(|prefix| digits.strip_prefix(prefix))
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(base)))
    };
    in_base(&["0x", "0X"], 16)
        || in_base(&["0o", "0O"], 8)
        || in_base(&["0b", "0B"], 2)
        || is_decimal(&digits)
}

fn is_decimal(digits: &str) -> bool {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, unsigned(exponent)),
        None => (digits, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let numeric = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let complete = !exponent.is_empty() && (!whole.is_empty() || !fraction.is_empty());
    complete && [whole, fraction, exponent].into_iter().all(numeric)
}

/// `12:30:45`, which YAML 1.1 reads as a number of base 60.
fn is_base_60(text: &str) -> bool {
    let mut parts = unsigned(text).split(':');
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let first = parts.next().unwrap_or_default();
    let mut rest = parts.peekable();
    if rest.peek().is_none() || !first.starts_with(|c: char| c.is_ascii_digit()) || !digits(first) {
        return false;
    }
    let mut last_was_fraction = false;
    for part in rest {
        let (sixtieths, fraction) = part.split_once('.').unwrap_or((part, ""));
        let small = sixtieths.len() <= 2 && sixtieths.parse::<u8>().is_ok_and(|part| part < 60);
        if last_was_fraction || !small || !digits(fraction) {
            return false;
        }
        last_was_fraction = part.contains('.');
    }
    true
}

/// A date, alone or with a time behind it.
fn is_date(text: &str) -> bool {
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, "0"));
    let mut parts = date.splitn(3, '-');
    let mut number = |lengths: std::ops::RangeInclusive<usize>| {
        parts.next().is_some_and(|part| {
            lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    number(4..=4)
        && number(1..=2)
        && number(1..=2)
        && time.starts_with(|c: char| c.is_ascii_digit() || c == ' ')
}

fn double_quoted(out: &mut dyn Write, text: &str) -> io::Result<()> {
    out.write_all(b"\"")?;
    let mut rest = text;
    let special = |c: char| matches!(c, '"' | '\\' | '\n') || !is_printable(c) || is_break(c);
    while let Some(at) = rest.find(special) {
        let (plain, from) = rest.split_at(at);
        out.write_all(plain.as_bytes())?;
        let mut characters = from.chars();
        if let Some(c) = characters.next() {
            escaped(out, c)?;
        }
        rest = characters.as_str();
    }
    out.write_all(rest.as_bytes())?;
    out.write_all(b"\"")
}

fn escaped(out: &mut dyn Write, c: char) -> io::Result<()> {
    let letter = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' | '\\' => c,
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(c);
            return match code {
                0..=0xff => write!(out, "\\x{code:02X}"),
                0x100..=0xffff => write!(out, "\\u{code:04X}"),
                _ => write!(out, "\\U{code:08X}"),
            };
        }
    };
    write!(out, "\\{letter}")
}

/// A block keeps lines as they are; its head says how it begins and how it ends.
fn block(out: &mut dyn Write, text: &str, indent: usize) -> io::Result<()> {
    out.write_all(b"|")?;
    if text.starts_with([' ', '\n']) {
        // Otherwise the indentation would be guessed from the first line.
        write!(out, "{INDENTATION_HINT}")?;
    }
    let body = match text.strip_suffix('\n') {
        None => {
            out.write_all(b"-\n")?;
            text
        }
        Some(body) if body.is_empty() || body.ends_with('\n') => {
            out.write_all(b"+\n")?;
            body
        }
        Some(body) => {
            out.write_all(b"\n")?;
            body
        }
    };
    for line in body.split('\n') {
        if !line.is_empty() {
            write!(out, "{:indent$}{line}", "")?;
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

const INDENTATION_HINT: usize = super::INDENT;
