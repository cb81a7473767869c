//! Makes text from a peer harmless: short, without characters that control a terminal or deceive a reader.

use std::{borrow::Cow, fmt::Write};

use spike_domain::is_hidden;

/// The most bytes of one text that are written to a log, once it is escaped.
pub(crate) const MAX_TEXT: usize = 512;

/// The bytes of an escape: `\u` and four digits. A character above U+FFFF takes two of them. No character has more bytes per byte
/// of its text.
const ESCAPED: usize = 6;

/// A number with the word for it: `one` thing or `many`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The beginning of `text` that is at most [`MAX_TEXT`] bytes once it is written as JSON, and how many bytes were left out.
/// No character is split.
pub(crate) fn clip(text: &str) -> (&str, usize) {
    clip_to(MAX_TEXT, text)
}

/// As [`clip`], to another length.
pub(crate) fn clip_to(most: usize, text: &str) -> (&str, usize) {
    // Nearly every text.
    if text.len() <= most / ESCAPED {
        return (text, 0);
    }
    let mut written = 0;
    let end = text.char_indices().find_map(|(at, character)| {
        written += written_len(character);
        (written > most).then_some(at)
    });
    let (kept, rest) = end.and_then(|end| text.split_at_checked(end)).unwrap_or((text, ""));
    (kept, rest.len())
}

/// How many bytes the character takes in JSON, after [`escape_controls`].
const fn written_len(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..' ' => ESCAPED,
        _ if is_dangerous(character) => ESCAPED * character.len_utf16(),
        _ => character.len_utf8(),
    }
}

/// Escapes every control character in valid JSON, also those that serde does not (DEL, C1), and characters that nobody sees. In
/// JSON these occur only in strings.
pub(crate) fn escape_controls(json: &str) -> Cow<'_, str> {
    // All of them are DEL or not ASCII, and nearly no text contains one.
    if json.bytes().all(|byte| byte < 0x7f) || !json.chars().any(is_dangerous) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_dangerous(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                write!(escaped, "\\u{unit:04x}").ok();
            }
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Whether the character could control a terminal or deceive a reader.
const fn is_dangerous(character: char) -> bool {
    matches!(character, '\u{7f}'..='\u{9f}') || is_hidden(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        for text in ["", "plain", "\"quoted\\n\"", "Größe 日本 🦀"] {
            assert!(matches!(escape_controls(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn what_a_terminal_obeys_or_a_reader_does_not_see_is_escaped_and_reads_back_the_same() {
        for code in (0..=0x9f).chain([0xad, 0x61c, 0x200e, 0x2028, 0x202e, 0x2069, 0xfeff, 0xe0041])
        {
            let text = format!("a{}b", char::from_u32(code).unwrap());
            let json = serde_json::to_string(&text).unwrap();
            let escaped = escape_controls(&json);
            assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
            if !(0x20..0x7f).contains(&code) {
                assert!(escaped.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{escaped:?}");
            }
        }
    }

    #[test]
    fn text_is_clipped_to_its_length_in_the_log_where_an_escape_is_longer_than_its_character() {
        for character in ['\u{1b}', '\u{9b}', '\u{202e}', '"', '\n', 'é', '\u{feff}', '\u{e0041}']
        {
            let text = character.to_string().repeat(1024);
            let (kept, left_out) = clip(&text);
            let json = serde_json::to_string(kept).unwrap();
            let written = escape_controls(&json).len() - 2;
            assert!(
                (MAX_TEXT - 2 * ESCAPED..=MAX_TEXT).contains(&written),
                "{character:?}: {written}"
            );
            assert_eq!(kept.len() + left_out, text.len());
            assert_eq!(clip(kept), (kept, 0), "what was clipped is not clipped again");
        }
    }

    #[test]
    fn text_is_clipped_between_characters() {
        assert_eq!(clip("short"), ("short", 0));
        assert_eq!(clip(&"x".repeat(512)), ("x".repeat(512).as_str(), 0));
        assert_eq!(clip(&"x".repeat(4608)), ("x".repeat(512).as_str(), 4096));
        let wide = "€".repeat(200);
        let (kept, left_out) = clip(&wide);
        assert_eq!((kept.len(), left_out), (510, 90));
    }
}
