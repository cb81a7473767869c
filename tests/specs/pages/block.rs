//! Fenced blocks of pages, and the comment before each that says what becomes of it. CONTRIBUTING.md has the vocabulary.

/// What becomes of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// This file runs it.
    Run(String),
    /// It is output, and this file compares it with what a program prints.
    Compared(String),
    /// Nothing runs it. This file holds its words against the programs.
    Checked(String),
    /// Nothing runs it, for this reason.
    NotRun(String),
}

impl Fate {
    /// Reads what stands between `<!-- ` and ` -->`.
    fn read(words: &str) -> Option<Self> {
        let (kind, rest) = words.split_once(": ")?;
        let rest = rest.trim().to_owned();
        match kind {
            "run by" => Some(Self::Run(rest)),
            "compared by" => Some(Self::Compared(rest)),
            "checked by" => Some(Self::Checked(rest)),
            "not run" => Some(Self::NotRun(rest)),
            _ => None,
        }
    }

    /// The file that the fate rests on.
    pub(super) fn file(&self) -> Option<&str> {
        match self {
            Self::Run(file) | Self::Compared(file) | Self::Checked(file) => Some(file),
            Self::NotRun(_) => None,
        }
    }
}

/// A fenced block.
#[derive(Debug)]
pub(super) struct Block<'p> {
    /// The line of its fence, from 1.
    pub(super) line: usize,
    /// What stands behind the fence: `sh`, `console`, `text`.
    pub(super) kind: &'p str,
    /// Its lines, without the indent of the fence.
    pub(super) lines: Vec<&'p str>,
    /// The headings that it is under.
    pub(super) headings: Vec<&'p str>,
    /// The comment before it.
    pub(super) fate: Option<Fate>,
}

impl Block<'_> {
    pub(super) fn text(&self) -> String {
        self.lines.join("\n")
    }
}

/// Every block of a page, in its order.
pub(super) fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut found: Vec<Block<'_>> = Vec::new();
    let (mut headings, mut fate): (Vec<&str>, _) = (Vec::new(), None);
    let mut inside = None;
    for (at, line) in page.lines().enumerate() {
        let bare = line.trim_start();
        match (inside, bare.strip_prefix("```")) {
            (None, Some(kind)) => {
                inside = Some(line.len() - bare.len());
                let (headings, fate) = (headings.clone(), fate.take());
                found.push(Block { line: at + 1, kind, lines: Vec::new(), headings, fate });
            }
            (Some(_), Some("")) => inside = None,
            (Some(indent), _) => {
                if let Some(block) = found.last_mut() {
                    block.lines.push(line.get(indent..).unwrap_or_default());
                }
            }
            (None, None) => {
                if !bare.is_empty() {
                    fate = comment(bare).and_then(Fate::read);
                }
                let level = bare.bytes().take_while(|byte| *byte == b'#').count();
                if level > 0 && bare.get(level..).is_some_and(|rest| rest.starts_with(' ')) {
                    headings.retain(|heading| marks(heading) < level);
                    headings.push(bare);
                }
            }
        }
    }
    found
}

fn marks(heading: &str) -> usize {
    heading.bytes().take_while(|byte| *byte == b'#').count()
}

/// What `<!-- every block: … -->` says of the blocks of a page, or of all pages of a folder, that have no comment of their own.
pub(super) fn of_every_block(page: &str) -> Option<Fate> {
    page.lines().find_map(|line| Fate::read(comment(line)?.strip_prefix("every block: ")?))
}

fn comment(line: &str) -> Option<&str> {
    line.trim().strip_prefix("<!-- ")?.strip_suffix(" -->")
}

#[test]
fn a_block_has_the_comment_right_before_it_and_the_headings_above() {
    let page = "# A\n## B\n<!-- not run: why not -->\n\n  ```sh\n  one\n    two\n  ```\n\n## C\n<!-- run by: x -->\nwords\n```\n# three\n```\n";
    let blocks = blocks(page);
    let [one, two] = blocks.as_slice() else { panic!("{blocks:?}") };
    assert_eq!((one.line, one.kind, one.text().as_str()), (5, "sh", "one\n  two"));
    assert_eq!(one.fate, Some(Fate::NotRun("why not".to_owned())));
    assert_eq!(one.headings, ["# A", "## B"]);
    assert_eq!((two.fate.as_ref(), two.text().as_str()), (None, "# three"));
    assert_eq!(two.headings, ["# A", "## C"]);
}

#[test]
fn a_word_that_is_none_of_the_vocabulary_is_no_fate() {
    assert_eq!(Fate::read("ran by: x"), None);
    assert_eq!(of_every_block("<!-- every block: checked by: x -->").unwrap().file(), Some("x"));
    assert_eq!(of_every_block("<!-- every block: x -->"), None);
}
