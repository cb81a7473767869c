//! The formats of data. Each format writes directly to a stream, so no buffer holds a whole answer. The allocator of this
//! program wipes what libraries copy.
//!
//! Layouts are upstream's (cli-config-deploy 1.7 to 1.9), because scripts read them. Names are sorted by their bytes; upstream's
//! order is sometimes random.

pub(crate) mod answers;
pub(crate) mod findings;
pub(crate) mod human;
mod json;
mod node;
mod visible;
mod yaml;

use std::borrow::Cow;

pub(crate) use json::write_json;
pub(crate) use node::{Name, Node};
pub(crate) use visible::{Lines, Visible, write_value};
pub(crate) use yaml::write_yaml;

/// `text` with escapes for control characters, except newlines: safe on a terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmless)
}

/// The same for text within a line, such as a name: newlines are escaped too.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_harmless(c))
}

fn escaped(text: &str, harmless: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(&harmless) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if harmless(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal only shows the character, or begins a line or a column.
fn is_harmless(c: char) -> bool {
    c == '\n' || c == '\t' || !(c.is_control() || is_format(c))
}

/// Characters that reorder or hide the text around them.
const fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_the_network_cannot_command_the_terminal() {
        assert_eq!(printable("plain, größer\nnext"), "plain, größer\nnext");
        assert_eq!(printable("\x1b[2Jgone\r"), "\\u{1b}[2Jgone\\r");
        assert_eq!(printable("a\u{202e}b\u{9b}c"), "a\\u{202e}b\\u{9b}c");
    }

    #[test]
    fn what_is_part_of_a_line_begins_no_other() {
        assert_eq!(one_line("a\nb: forged\t\x1b"), "a\\nb: forged\t\\u{1b}");
    }
}
