//! Data on a terminal: what would command it is shown instead.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use super::is_harmless;

/// How many lines of a terminal a value may take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// One: it stands behind a name.
    One,
    /// As many as it has: it stands alone.
    All,
}

/// A value as a terminal shows it: as it is, or in double quotes with the escapes of JSON. Quoted is what would command the
/// terminal, what has more lines than it may have, and what begins with a double quote itself. So a reader can tell a
/// backslash of the value from one that begins an escape.
pub(crate) fn quoted_where_needed(value: &str, lines: Lines) -> Cow<'_, str> {
    let is_plain = |c| is_harmless(c) && (c != '\n' || lines == Lines::All);
    if !value.starts_with('"') && value.chars().all(is_plain) {
        return Cow::Borrowed(value);
    }
    // As large as it can get, since a buffer that grows leaves its content behind.
    let mut quoted = String::with_capacity(value.len() * LONGEST_ESCAPE + 2);
    quoted.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if is_harmless(c) => quoted.push(c),
            // Nothing that is escaped lies beyond the basic plane. Writing to a string cannot fail.
            c => write!(quoted, "\\u{:04x}", u32::from(c)).unwrap_or_default(),
        }
    }
    quoted.push('"');
    Cow::Owned(quoted)
}

/// The bytes of `\u001b`, which stands for one byte.
const LONGEST_ESCAPE: usize = 6;

/// A terminal to which only text gets: other characters are written as `\uXXXX`, which JSON and YAML read back.
/// Newlines pass; who writes lines sees to it that a value begins none.
pub(crate) struct Visible<'a> {
    terminal: &'a mut dyn Write,
    replaced: bool,
}

impl<'a> Visible<'a> {
    pub(crate) fn new(terminal: &'a mut dyn Write) -> Self {
        Self { terminal, replaced: false }
    }

    /// Whether anything was not written as it is.
    pub(crate) const fn has_replaced(&self) -> bool {
        self.replaced
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        let mut rest = text;
        while let Some(at) = rest.find(|c| !is_harmless(c)) {
            let (plain, special) = rest.split_at(at);
            self.terminal.write_all(plain.as_bytes())?;
            let mut characters = special.chars();
            if let Some(c) = characters.next() {
                self.replaced = true;
                write!(self.terminal, "\\u{:04x}", u32::from(c))?;
            }
            rest = characters.as_str();
        }
        self.terminal.write_all(rest.as_bytes())
    }
}

impl Write for Visible<'_> {
    /// Each piece is whole: no character is cut in two by those who write.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for chunk in bytes.utf8_chunks() {
            self.text(chunk.valid())?;
            for byte in chunk.invalid() {
                self.replaced = true;
                write!(self.terminal, "\\x{byte:02x}")?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.terminal.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> (String, bool) {
        let mut out = Vec::new();
        let mut visible = Visible::new(&mut out);
        visible.write_all(bytes).unwrap();
        let replaced = visible.has_replaced();
        (String::from_utf8(out).unwrap(), replaced)
    }

    // A backslash and an n were shown as the end of a line was.
    #[test]
    fn an_escape_is_told_from_a_backslash() {
        let one = |value| quoted_where_needed(value, Lines::One);
        assert_eq!(one(r"C:\new\u001b"), r"C:\new\u001b");
        assert_eq!(one("C:\new\u{1b}"), r#""C:\new\u001b""#);
        assert_eq!(one("C:\\new\n\t\r\u{202e}"), r#""C:\\new\n\t\r\u202e""#);
        assert_eq!(one(r#""a\n""#), r#""\"a\\n\"""#);
        assert_eq!(one("größer\t🔑"), "größer\t🔑");
        assert_eq!(quoted_where_needed("a\nb", Lines::All), "a\nb");
        assert_eq!(quoted_where_needed("a\nb\r", Lines::All), r#""a\nb\r""#);
    }

    #[test]
    fn whatever_is_quoted_is_read_back_as_json() {
        for c in (0..=0xffff).filter_map(char::from_u32) {
            let value = format!("\"{c}\\");
            let quoted = quoted_where_needed(&value, Lines::All);
            assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), value);
            assert!(quoted.chars().all(|c| c != '\n' && is_harmless(c)), "{quoted:?}");
        }
    }

    #[test]
    fn text_passes_and_what_commands_a_terminal_is_shown() {
        assert_eq!(shown("größer\tthan\n".as_bytes()), ("größer\tthan\n".to_owned(), false));
        let (text, replaced) = shown("\x1b[2J\r\u{9b}1m\u{202e}\x7f".as_bytes());
        assert_eq!(text, "\\u001b[2J\\u000d\\u009b1m\\u202e\\u007f");
        assert!(replaced);
        assert_eq!(shown(b"a\xffb\x9b").0, "a\\xffb\\x9b");
    }
}
