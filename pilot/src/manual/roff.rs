//! The language of manual pages, man(7), as far as these pages use it.

use std::fmt::Write as _;

/// A page that is being written.
pub(super) struct Roff(String);

impl Roff {
    pub(super) fn new(name: &str, section: u8, date: &str, program: &str) -> Self {
        let name = escaped(&name.to_uppercase());
        Self(format!(".TH \"{name}\" \"{section}\" \"{date}\" \"{program}\" \"SPIKE\"\n"))
    }

    pub(super) fn section(&mut self, heading: &str) {
        self.push(format_args!(".SH {}\n", escaped(&heading.to_uppercase())));
    }

    /// A line of text that begins no paragraph.
    pub(super) fn line(&mut self, text: &str) {
        self.push(format_args!("{}\n", filled(text)));
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        // One behind a heading would be an empty one.
        if self.0.lines().last().is_none_or(|last| !last.starts_with(".SH")) {
            self.0.push_str(".PP\n");
        }
        self.line(text);
    }

    /// Lines as they are, in a type of one width.
    pub(super) fn as_written(&mut self, block: &str) {
        let shift = block.lines().filter(|line| !line.trim().is_empty());
        let shift = shift.map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
        self.0.push_str(".RS 4\n.EX\n");
        for line in block.lines() {
            let line = line.get(shift..).unwrap_or_default().trim_end();
            self.push(format_args!("{}\n", protected(&escaped(line))));
        }
        self.0.push_str(".EE\n.RE\n");
    }

    /// A term and what it means.
    pub(super) fn item(&mut self, term: &str, meaning: &str) {
        self.push(format_args!(".TP\n\\fB{}\\fR\n{}\n", escaped(term), filled(meaning)));
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        self.0.write_fmt(text).ok();
    }
}

/// Text whose lines are filled.
fn filled(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    protected(&escaped(&words.join(" ")))
}

/// Each hyphen as one that can be searched for and copied; and backslashes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

/// A line that begins with a dot or an apostrophe would be a request.
fn protected(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_a_request_or_an_escape() {
        let mut page = Roff::new("a-b", 1, "2026-01-01", "p");
        page.section("Name");
        page.paragraph(".so /etc/passwd\n'x \\fBy");
        page.as_written("  .de\n    'b - c\n");
        assert_eq!(
            page.finish(),
            ".TH \"A\\-B\" \"1\" \"2026-01-01\" \"p\" \"SPIKE\"\n.SH NAME\n\\&.so /etc/passwd 'x \\efBy\n\
             .RS 4\n.EX\n\\&.de\n  'b \\- c\n.EE\n.RE\n"
        );
    }
}
