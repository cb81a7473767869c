//! Lines of labels and words, broken between words where a terminal has no more room.

use super::Screen;
use crate::output::one_line;

/// The width of a label, with the space after it.
const LABEL: usize = 11;

/// The narrowest terminal that lines are broken for.
const NARROWEST: usize = 40;

/// How a word looks, if there is colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Good,
    Warn,
    Bad,
    /// What is not known.
    Dim,
    Heading,
}

impl Style {
    /// The codes of the terminal (ECMA-48, SGR).
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "1;31",
            Self::Dim => "2",
            Self::Heading => "1",
        }
    }
}

/// A screen that is being written.
pub(super) struct Lines {
    text: String,
    columns: Option<usize>,
    colour: bool,
    compact: bool,
}

impl Lines {
    pub(super) fn new(screen: &Screen) -> Self {
        let columns = screen.columns.map(|columns| columns.max(NARROWEST));
        Self { text: String::new(), columns, colour: screen.colour, compact: screen.compact }
    }

    /// Whether what can be left out is left out.
    pub(super) const fn is_compact(&self) -> bool {
        self.compact
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// The width of a bar: a quarter of a terminal.
    pub(super) fn bar_width(&self) -> usize {
        (self.columns.unwrap_or(80) / 4).clamp(10, 60)
    }

    /// A line that begins a group.
    pub(super) fn heading(&mut self, text: &str) {
        self.broken(0, 0, &[(Style::Heading, text)]);
    }

    /// An empty line, if there is room.
    pub(super) fn gap(&mut self) {
        if !self.compact {
            self.text.push('\n');
        }
    }

    /// A line of a label and texts, with a space between them.
    pub(super) fn put(&mut self, label: &str, texts: &[(Style, &str)]) {
        let label = format!("{label:<width$} ", width = LABEL - 1);
        self.text.push_str(&label);
        self.broken(label.chars().count(), LABEL, texts);
    }

    /// Writes texts from column `used` on, and further lines from column `indent` on.
    fn broken(&mut self, used: usize, indent: usize, texts: &[(Style, &str)]) {
        let room = self.columns.map(|columns| columns - indent);
        let mut used = used;
        let mut is_first = true;
        for (style, text) in texts {
            let text = one_line(text);
            for word in text.split(' ').flat_map(|word| pieces(word, room)) {
                let length = word.chars().count();
                let space = usize::from(!is_first);
                if !is_first && self.columns.is_some_and(|columns| used + space + length > columns)
                {
                    let kept = self.text.trim_end_matches(' ').len();
                    self.text.truncate(kept);
                    self.text.push('\n');
                    self.text.push_str(&" ".repeat(indent));
                    used = indent;
                } else if !is_first {
                    self.text.push(' ');
                    used += 1;
                }
                self.word(*style, &word);
                used += length;
                is_first = false;
            }
        }
        let kept = self.text.trim_end_matches(' ').len();
        self.text.truncate(kept);
        self.text.push('\n');
    }

    fn word(&mut self, style: Style, word: &str) {
        if !self.colour || style == Style::Plain || word.is_empty() {
            return self.text.push_str(word);
        }
        self.text.push_str("\x1b[");
        self.text.push_str(style.code());
        self.text.push('m');
        self.text.push_str(word);
        self.text.push_str("\x1b[0m");
    }
}

/// A word that is longer than a line of a terminal, in pieces: a terminal that breaks lines by itself spoils the screen.
fn pieces(word: &str, room: Option<usize>) -> Vec<String> {
    let characters: Vec<char> = word.chars().collect();
    match room {
        Some(room) if characters.len() > room => {
            characters.chunks(room).map(|piece| piece.iter().collect()).collect()
        }
        Some(_) | None => vec![word.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(columns: Option<usize>, text: &str) -> String {
        let mut lines = Lines::new(&Screen { columns, colour: false, compact: false });
        lines.put("Label", &[(Style::Plain, text)]);
        lines.finish()
    }

    #[test]
    fn a_terminal_gets_no_longer_line_than_it_has_room_for() {
        let text = format!("{} {} end", "word ".repeat(20).trim(), "x".repeat(100));
        let shown = put(Some(50), &text);
        assert!(shown.lines().all(|line| line.chars().count() <= 50), "{shown}");
        assert!(shown.lines().skip(1).all(|line| line.starts_with("           ")), "{shown}");
        assert_eq!(shown.matches('x').count(), 100);
    }

    #[test]
    fn a_pipe_gets_each_fact_on_one_line() {
        let text = "word ".repeat(60);
        assert_eq!(put(None, text.trim()).lines().count(), 1);
    }

    #[test]
    fn text_of_others_begins_no_line_and_commands_no_terminal() {
        let shown = put(Some(80), "x\nNexus      ready \x1b[2J");
        assert_eq!(
            shown,
            "Label      x\\nNexus ready \\u{1b}[2J\n".replace("Nexus ready", "Nexus      ready")
        );
    }
}
