//! How data looks. Each format writes straight to a stream, piece by piece, so that no copy of a secret comes to lie in a
//! buffer of its own.
//!
//! Layouts are upstream's (cli-config-deploy 1.7 to 1.9): what its scripts read stays readable. Order is always that of
//! the names' bytes, where upstream's is sometimes random.

pub(crate) mod answers;
pub(crate) mod human;
mod json;
mod node;
mod yaml;

use std::borrow::Cow;

pub(crate) use json::write_json;
pub(crate) use node::{Name, Node};
pub(crate) use yaml::write_yaml;

/// `text` with its control characters made visible, except for newlines: fit for a terminal, whoever wrote it.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| c == '\n' || c == '\t' || !(c.is_control() || is_format(c));
    if text.chars().all(harmless) {
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

/// Characters that reorder or hide what stands around them.
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
}
