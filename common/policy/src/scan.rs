//! The tokens of a pattern, without meaning. For hints about patterns that may not even parse.

/// One token of a pattern: an escape with its letter, a whole class, or one other character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'p> {
    /// Its offset in bytes.
    pub(super) at: usize,
    pub(super) text: &'p str,
}

impl Token<'_> {
    pub(super) fn is_class(self) -> bool {
        self.text.starts_with('[') && self.text.len() > 1
            || matches!(self.text, r"\w" | r"\W" | r"\d" | r"\D" | r"\s" | r"\S" | r"\p" | r"\P")
    }

    /// The character that the token matches, if it is a literal.
    pub(super) fn literal(self) -> Option<char> {
        let mut chars = self.text.chars();
        match (chars.next()?, chars.next()) {
            ('\\', Some(c)) => (!c.is_ascii_alphanumeric()).then_some(c),
            ('.' | '*' | '+' | '?' | '(' | ')' | '|' | '^' | '$' | '[' | '\\', None)
            | (_, Some(_)) => None,
            (c, None) => Some(c),
        }
    }
}

/// The tokens of `pattern`, in order.
pub(super) fn tokens(pattern: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = pattern.get(at..)
        && let Some(first) = rest.chars().next()
    {
        let length = match first {
            '\\' => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
            '[' => class_length(rest),
            c => c.len_utf8(),
        };
        found.push(Token { at, text: rest.get(..length).unwrap_or(rest) });
        at += length;
    }
    found
}

/// The length of the class at the start of `text`; a bracket that is never closed is a token of its own.
fn class_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        let is_first = at == 1 || (at == 2 && text.starts_with("[^"));
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' if !is_first => return at + 1,
            _ => {}
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_escapes_are_one_piece() {
        let texts: Vec<&str> = tokens(r"^a\.[]*]*[^]x]\\[b").iter().map(|t| t.text).collect();
        assert_eq!(texts, ["^", "a", r"\.", "[]*]", "*", "[^]x]", r"\\", "[", "b"]);
    }
}
