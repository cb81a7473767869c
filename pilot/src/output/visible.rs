//! Data on a terminal: control characters are shown as escapes.

use std::io::{self, Write};

use super::is_harmless;

/// How many lines a value may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// One, after a name.
    One,
    /// Any number, for a value alone.
    All,
}

/// Writes a value as a terminal shows it: as it is, or in double quotes with the escapes of JSON. Tells whether it was
/// quoted.
///
/// Three kinds of values are quoted: those with characters that a terminal obeys, those with more lines than `lines` permits,
/// and those that begin with a double quote. So a reader can tell a backslash of the value from the begin of an escape.
pub(crate) fn write_value(out: &mut dyn Write, value: &str, lines: Lines) -> io::Result<bool> {
    let is_plain = |c| is_harmless(c) && (c != '\n' || lines == Lines::All);
    if !value.starts_with('"') && value.chars().all(is_plain) {
        out.write_all(value.as_bytes())?;
        return Ok(false);
    }
    // Written piece by piece, so that no buffer holds a second copy of the value.
    serde_json::to_writer(Visible::new(out), value)?;
    Ok(true)
}

/// A filter before a terminal: control and hidden characters are written as `\uXXXX`, which JSON reads back, and YAML up to U+FFFF. Newlines pass, so a
/// caller must escape newlines in names and values.
pub(crate) struct Visible<'a> {
    terminal: &'a mut dyn Write,
    replaced: bool,
}

impl<'a> Visible<'a> {
    pub(crate) fn new(terminal: &'a mut dyn Write) -> Self {
        Self { terminal, replaced: false }
    }

    /// Whether any character was escaped.
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
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(self.terminal, "\\u{unit:04x}")?;
                }
            }
            rest = characters.as_str();
        }
        self.terminal.write_all(rest.as_bytes())
    }
}

impl Write for Visible<'_> {
    /// Each piece has whole characters; the callers never split one.
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

    fn value_shown(value: &str, lines: Lines) -> String {
        let mut out = Vec::new();
        let is_quoted = write_value(&mut out, value, lines).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(is_quoted, shown != value);
        shown
    }

    // A backslash and an n were shown as the end of a line was.
    #[test]
    fn an_escape_is_told_from_a_backslash() {
        let one = |value| value_shown(value, Lines::One);
        assert_eq!(one(r"C:\new\u001b"), r"C:\new\u001b");
        assert_eq!(one("C:\new\u{1b}"), r#""C:\new\u001b""#);
        assert_eq!(one("C:\\new\n\t\r\u{202e}"), r#""C:\\new\n\t\r\u202e""#);
        assert_eq!(one(r#""a\n""#), r#""\"a\\n\"""#);
        assert_eq!(one("größer\t🔑"), "größer\t🔑");
        assert_eq!(value_shown("a\nb", Lines::All), "a\nb");
        assert_eq!(value_shown("a\nb\r", Lines::All), r#""a\nb\r""#);
    }

    #[test]
    fn whatever_is_quoted_is_read_back_as_json() {
        for c in (0..=0xffff).filter_map(char::from_u32) {
            let value = format!("\"{c}\\");
            let quoted = value_shown(&value, Lines::All);
            assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), value);
            assert!(quoted.chars().all(|c| c != '\n' && is_harmless(c)), "{quoted:?}");
        }
    }

    #[test]
    fn text_passes_and_what_commands_a_terminal_is_shown() {
        assert_eq!(shown("größer\tthan\n".as_bytes()), ("größer\tthan\n".to_owned(), false));
        let (text, replaced) = shown("\x1b[2J\r\u{9b}1m\u{202e}\x7f\u{e0041}".as_bytes());
        assert_eq!(text, "\\u001b[2J\\u000d\\u009b1m\\u202e\\u007f\\udb40\\udc41");
        assert!(replaced);
        assert_eq!(shown(b"a\xffb\x9b").0, "a\\xffb\\x9b");
    }
}
