//! Characters that a person does not see, and that change what a person sees.

/// Whether the character hides itself or the order of the text around it: a log or a terminal must show it as an escape.
///
/// These are the characters that Unicode calls default-ignorable (`Default_Ignorable_Code_Point`, Unicode 16), the separators of
/// lines and paragraphs, and the marks of interlinear annotations. Control characters are not among them.
pub const fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tag characters, which can carry a whole text that nobody sees, were taken for harmless.
    #[test]
    fn characters_that_nobody_sees_are_hidden_and_letters_of_any_script_are_not() {
        for hidden in [
            '\u{e0041}',
            '\u{ad}',
            '\u{3164}',
            '\u{180e}',
            '\u{fe0f}',
            '\u{200b}',
            '\u{202e}',
            '\u{2028}',
        ] {
            assert!(is_hidden(hidden), "{hidden:?}");
        }
        for seen in "aé日本ग한ع🦀~ \u{a0}".chars() {
            assert!(!is_hidden(seen), "{seen:?}");
        }
    }
}
