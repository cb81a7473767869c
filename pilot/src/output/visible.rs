//! Data on a terminal: what would command it is shown instead.

use std::io::{self, Write};

use super::is_harmless;

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

    #[test]
    fn text_passes_and_what_commands_a_terminal_is_shown() {
        assert_eq!(shown("größer\tthan\n".as_bytes()), ("größer\tthan\n".to_owned(), false));
        let (text, replaced) = shown("\x1b[2J\r\u{9b}1m\u{202e}\x7f".as_bytes());
        assert_eq!(text, "\\u001b[2J\\u000d\\u009b1m\\u202e\\u007f");
        assert!(replaced);
        assert_eq!(shown(b"a\xffb\x9b").0, "a\\xffb\\x9b");
    }
}
