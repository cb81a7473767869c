//! A file of environment variables, read as systemd reads `EnvironmentFile=`.
//!
//! A line is NAME=VALUE. Empty lines and lines that begin with `#` or `;` say nothing. A value may be quoted: singly, without
//! any escape, or doubly, where a backslash takes the next `"`, `\`, `` ` `` or `$` for itself. Outside of quotes it takes any
//! character. A backslash at the end of a line continues it. Spaces at both ends of a value that are not quoted are dropped.

use std::collections::BTreeMap;

/// The byte order mark that editors put in front of a text.
pub(super) const MARK: char = '\u{feff}';

/// The variables, and the lines that are none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EnvironmentFile {
    pub(super) variables: Vec<(String, String)>,
    /// The number of each line that cannot be read, and why.
    pub(super) faults: Vec<(usize, &'static str)>,
    /// The number of each line that is read, and hardly as it was meant, and why. No value is told, because it may be secret.
    pub(super) doubts: Vec<(usize, String)>,
}

impl EnvironmentFile {
    pub(super) fn parse(text: &str) -> Self {
        let mut file = Self::default();
        let mut lines = BTreeMap::new();
        let mut reader = Characters { rest: text.chars().peekable(), line: 1, has_note: false };
        while reader.rest.peek().is_some() {
            file.assignment(&mut reader, &mut lines);
        }
        file
    }

    /// Reads a line; `lines` has the last line of each name.
    fn assignment(&mut self, reader: &mut Characters<'_>, lines: &mut BTreeMap<String, usize>) {
        reader.skip_spaces();
        let line = reader.line;
        match reader.rest.peek().copied() {
            None => return,
            Some('#' | ';') => return reader.skip_comment(),
            Some(MARK) if reader.is_marked_line_without_name() => return reader.skip_comment(),
            Some('\n') => {
                reader.next();
                return;
            }
            Some(_) => {}
        }
        let mut name = String::new();
        loop {
            match reader.next() {
                Some('=') => break,
                Some('\n') | None => {
                    return self.faults.push((line, "there is no = after the name"));
                }
                Some(c) => name.push(c),
            }
        }
        let Ok(value) = reader.value() else {
            return self.faults.push((line, "a quotation mark has no second one"));
        };
        let name = name.trim_end();
        if name.starts_with(MARK) {
            return self.faults.push((line, MARKED));
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.starts_with("export ") {
            self.faults.push((line, "export is of a shell; systemd does not know it"));
        } else if name.is_empty()
            || !name.chars().all(is_name)
            || name.starts_with(|c: char| c.is_ascii_digit())
        {
            self.faults.push((line, "what is before the = is not the name of a variable"));
        } else {
            if let Some(before) = lines.insert(name.to_owned(), line) {
                let text = format!("{name} is set in line {before} as well: the last one counts");
                self.doubts.push((line, text));
            }
            if reader.has_note {
                let text = format!(
                    "the value of {name} has a # in it: systemd knows no note after a value, and takes it for a part of it"
                );
                self.doubts.push((line, text));
            }
            self.variables.push((name.to_owned(), value));
        }
    }
}

/// Docker skips a byte order mark, systemd does not.
const MARKED: &str = "a byte order mark (U+FEFF), which no editor shows, stands before the name, and systemd takes it for a part of \
    the name: save the file as UTF-8 without it";

struct Characters<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    /// Whether the last value has what looks like a note: a space, and then a `#` that is not quoted.
    has_note: bool,
}

impl Characters<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn skip_spaces(&mut self) {
        while self.rest.next_if(|c| matches!(c, ' ' | '\t' | '\r')).is_some() {}
    }

    /// Whether the mark stands before a comment or an empty line, which systemd reads as a line without `=`, and leaves out.
    fn is_marked_line_without_name(&self) -> bool {
        let mut rest = self.rest.clone().skip(1);
        rest.find(|c| !matches!(c, ' ' | '\t' | '\r')).is_none_or(|c| matches!(c, '#' | ';' | '\n'))
    }

    /// A comment, which a backslash at its end continues.
    fn skip_comment(&mut self) {
        while let Some(c) = self.next() {
            match c {
                '\n' => return,
                '\\' => drop(self.next()),
                _ => {}
            }
        }
    }

    /// A value to the end of its line; an error if a quotation mark is never closed.
    fn value(&mut self) -> Result<String, ()> {
        self.skip_spaces();
        self.has_note = false;
        let mut value = String::new();
        // How much of it is quoted, so that its spaces count.
        let mut kept = 0;
        loop {
            match self.next() {
                None | Some('\n') => break,
                Some('\'') if value.len() == kept => {
                    self.quoted('\'', &mut value)?;
                    kept = value.len();
                }
                Some('"') if value.len() == kept => {
                    self.quoted('"', &mut value)?;
                    kept = value.len();
                }
                Some('\\') => match self.next() {
                    None => break,
                    Some('\n') => {}
                    Some(c) => {
                        value.push(c);
                        kept = value.len();
                    }
                },
                Some('\r') if matches!(self.rest.peek(), None | Some('\n')) => {}
                Some(c) => {
                    self.has_note |= c == '#' && value.ends_with([' ', '\t']);
                    value.push(c);
                }
            }
        }
        let end = kept.max(value.trim_end().len());
        value.truncate(end);
        Ok(value)
    }

    fn quoted(&mut self, mark: char, value: &mut String) -> Result<(), ()> {
        loop {
            match self.next().ok_or(())? {
                c if c == mark => return Ok(()),
                '\\' if mark == '"' => match self.next().ok_or(())? {
                    '\n' => {}
                    c @ ('"' | '\\' | '`' | '$') => value.push(c),
                    c => value.extend(['\\', c]),
                },
                c => value.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let file = EnvironmentFile::parse(&format!("A={text}\n"));
        assert_eq!(file.faults, [], "{text}");
        assert_eq!(file.variables.len(), 1, "{text}: {file:?}");
        file.variables[0].1.clone()
    }

    #[test]
    fn values_are_unquoted_as_systemd_does_it() {
        for (text, expected) in [
            ("plain", "plain"),
            ("  spaces at both ends  ", "spaces at both ends"),
            ("'single \\ quoted'", "single \\ quoted"),
            ("\"double \\\"quoted\\\" \\$x \\n\"", "double \"quoted\" $x \\n"),
            ("' kept '", " kept "),
            ("\"two\"'parts'", "twoparts"),
            ("a\\ b", "a b"),
            ("a # b", "a # b"),
            ("one \\\ntwo", "one two"),
            ("it's", "it's"),
            ("", ""),
            ("x\r", "x"),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
    }

    #[test]
    fn comments_and_empty_lines_say_nothing_and_the_order_is_kept() {
        let file = EnvironmentFile::parse("# a\n; b \\\nstill a comment\n\n  A=1\nB='2\n3'\nC=4");
        let expected = [("A", "1"), ("B", "2\n3"), ("C", "4")];
        assert_eq!(
            file.variables,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(file.faults, []);
    }

    #[test]
    fn a_line_that_is_no_assignment_is_named_by_its_number() {
        let file = EnvironmentFile::parse("A=1\nB\nexport C=2\n1D=3\nE='open\n");
        let lines: Vec<_> = file.faults.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 4, 5]);
        assert_eq!(file.variables, [("A".to_owned(), "1".to_owned())]);
    }

    /// It was told that the name was none, and looked right in every editor.
    #[test]
    fn a_byte_order_mark_before_a_name_is_named_and_one_before_a_comment_does_no_harm() {
        let file = EnvironmentFile::parse("\u{feff}A=1\r\nB=2\r\n");
        assert_eq!(file.faults, [(1, MARKED)]);
        assert_eq!(file.variables, [("B".to_owned(), "2".to_owned())]);
        for text in ["\u{feff}# note\r\nA=1\r\n", "\u{feff}\r\nA=1\r\n"] {
            let file = EnvironmentFile::parse(text);
            assert_eq!(file.faults, [], "{text:?}");
            assert_eq!(file.variables, [("A".to_owned(), "1".to_owned())], "{text:?}");
        }
    }

    /// Both were read in silence, and the process did something else than was written.
    #[test]
    fn a_name_that_is_set_twice_and_a_note_after_a_value_are_doubted_without_the_value() {
        let text = "A=1 # note\nB='x # y'\nC=a#b\nB=secret\nD=\"q\" # note\n";
        let file = EnvironmentFile::parse(text);
        let doubts: Vec<_> =
            file.doubts.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(doubts.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 4, 5]);
        assert!(doubts[1].1.starts_with("B is set in line 2 as well"), "{doubts:?}");
        assert!(doubts[0].1.contains("value of A has a # in it"), "{doubts:?}");
        assert!(!doubts.iter().any(|(_, text)| text.contains("secret")), "{doubts:?}");
        assert_eq!(file.faults, []);
    }

    #[test]
    fn every_short_text_is_read_to_its_end_and_no_name_is_made_up() {
        const ALPHABET: [char; 9] = ['A', '=', '\'', '"', '\\', '\n', ' ', '#', '\u{e9}'];
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            let longer =
                texts.iter().flat_map(|text| ALPHABET.iter().map(move |c| format!("{text}{c}")));
            texts = longer.collect();
            for text in &texts {
                let file = EnvironmentFile::parse(text);
                assert!(file.variables.iter().all(|(name, _)| text.contains(name)), "{text:?}");
                let lines = text.lines().count();
                assert!(file.faults.iter().all(|(line, _)| *line <= lines), "{text:?}: {file:?}");
            }
        }
    }
}
