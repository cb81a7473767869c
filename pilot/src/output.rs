//! The formats of data. Each format writes directly to a stream, so no buffer holds a whole answer. The allocator of this
//! program wipes what libraries copy.
//!
//! Layouts are upstream's (cli-config-deploy 1.7 to 1.9), because scripts read them. Names are sorted by their bytes; upstream's
//! order is sometimes random.

pub(crate) mod answers;
pub(crate) mod human;
mod json;
mod node;
mod visible;
mod yaml;

use std::borrow::Cow;

use spike_domain::is_hidden;

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

/// An argument that cannot be used, in quotes. A long one is cut, so that what is wrong with it is still seen.
pub(crate) fn quoted(text: &str) -> String {
    let short = shortened(text, LONGEST_ARGUMENT);
    format!("{short:?}")
}

/// The longest argument that a message repeats whole, in characters. It is more than any path that is valid in practice.
pub(crate) const LONGEST_ARGUMENT: usize = 200;

/// At most `longest` characters of a text, with a mark where it was cut.
pub(crate) fn shortened(text: &str, longest: usize) -> Cow<'_, str> {
    match text.char_indices().nth(longest) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
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
    c == '\n' || c == '\t' || !(c.is_control() || is_hidden(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_the_network_cannot_command_the_terminal() {
        assert_eq!(printable("plain, größer\nnext"), "plain, größer\nnext");
        assert_eq!(printable("\x1b[2Jgone\r"), "\\u{1b}[2Jgone\\r");
        assert_eq!(printable("a\u{202e}b\u{9b}c\u{e0041}"), "a\\u{202e}b\\u{9b}c\\u{e0041}");
    }

    #[test]
    fn what_is_part_of_a_line_begins_no_other() {
        assert_eq!(one_line("a\nb: forged\t\x1b"), "a\\nb: forged\t\\u{1b}");
    }
}
