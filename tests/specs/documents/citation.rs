//! The codes in a comment: which page of `docs/reference/` each means, and which anchor there.
//!
//! `docs/reference/README.md` lists the forms. Numbers go on after "and", "to" and a comma: "wire-api 2.1, 5.1",
//! "rows 17 to 19 and 22".

/// The pages of the reference.
pub(super) const PAGES: [&str; 5] = [WIRE, CRYPTO, CLI, QUIRKS, DESIGN];

const WIRE: &str = "wire-api.md";
const CRYPTO: &str = "crypto-and-storage.md";
const CLI: &str = "cli-config-deploy.md";
const QUIRKS: &str = "quirks.md";
const DESIGN: &str = "design.md";

/// The anchor of one code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Citation {
    pub(super) page: &'static str,
    pub(super) anchor: String,
}

/// The meaning of the next number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Series {
    /// Nothing.
    None,
    /// Sections of this page.
    Sections(&'static str),
    /// Rows of the conformance table.
    Rows,
    /// Sections of the design.
    Design,
}

/// Blocks of comment, each with the number of its first line.
pub(super) fn comments(source: &str) -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (1..).zip(source.lines()) {
        let line = line.trim_start();
        let (whole, text) = match line.strip_prefix("//") {
            Some(text) => (true, Some(text)),
            None => (false, line.split_once(" // ").map(|(_code, text)| text)),
        };
        if let Some(text) = text {
            let text = text.trim_start_matches(['/', '!']);
            match blocks.last_mut() {
                Some((_number, block)) if goes_on && whole => {
                    block.push(' ');
                    block.push_str(text);
                }
                _ => blocks.push((number, text.to_owned())),
            }
        }
        goes_on = whole;
    }
    blocks
}

/// Every code of one comment, in its order.
pub(super) fn all(comment: &str) -> Vec<Citation> {
    let mut found = Vec::new();
    let mut series = Series::None;
    let mut words = comment.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let text = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let numbered = words.peek() == Some(&"no.");
        series = match text {
            "wire-api" => Series::Sections(WIRE),
            "crypto-and-storage" => Series::Sections(CRYPTO),
            "cli-config-deploy" | "cli" => Series::Sections(CLI),
            "row" | "rows" | "Row" | "Rows" => Series::Rows,
            "design" => Series::Design,
            "and" | "to" => series,
            "appendix" => {
                if let (Series::Sections(page), Some(letter)) = (series, words.next()) {
                    let letter = letter.trim_matches(|c: char| !c.is_ascii_alphanumeric());
                    let anchor = format!("appendix-{}", letter.to_ascii_lowercase());
                    found.push(Citation { page, anchor });
                }
                Series::None
            }
            // A quotation, such as "503 after a restart".
            _ if word.starts_with('"') => Series::None,
            // "10.2 no. 4", with or without the name of its page before it.
            _ if is_section(text) && numbered => {
                words.next();
                let item = words.next().unwrap_or_default();
                let item = item.trim_matches(|c: char| !c.is_ascii_alphanumeric());
                let page = if let Series::Sections(page) = series { page } else { CLI };
                let anchor = format!("s{}-no-{item}", text.replace('.', "-"));
                found.push(Citation { page, anchor });
                Series::None
            }
            _ if is_section(text) => {
                found.extend(series.number(text));
                if word.ends_with(text) || word.ends_with(',') { series } else { Series::None }
            }
            _ => {
                let before = found.len();
                found.extend(codes(word));
                let is_listed = found.len() > before && word.ends_with(',');
                let is_code = found.len() > before && word.ends_with(text);
                if is_listed || is_code { series } else { Series::None }
            }
        };
    }
    found
}

impl Series {
    fn number(self, text: &str) -> Option<Citation> {
        let (page, anchor) = match self {
            Self::None => return None,
            Self::Sections(page) => (page, format!("s{}", text.replace('.', "-"))),
            Self::Rows => (WIRE, format!("row-{text}")),
            Self::Design => (DESIGN, format!("design-{text}")),
        };
        Some(Citation { page, anchor })
    }
}

/// "4" or "4.3".
fn is_section(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        Some((chapter, section)) => is_number(chapter) && is_number(section),
        None => is_number(text),
    }
}

/// The codes that say by themselves what they are: Q-43, F24, N7, K2.
fn codes(word: &str) -> impl Iterator<Item = Citation> {
    let parts = word.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')));
    parts.filter_map(|part| {
        let (letter, digits) = part.split_at_checked(1)?;
        let digits = if letter == "Q" { digits.strip_prefix('-')? } else { digits };
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || digits.is_empty() || digits.len() > 2 || digits.starts_with('0') {
            return None;
        }
        let page = match (letter, digits) {
            ("K", "1" | "2") | ("N", _) => WIRE,
            ("Q" | "F" | "K", _) => QUIRKS,
            _ => return None,
        };
        Some(Citation { page, anchor: part.to_ascii_lowercase() })
    })
}

#[test]
fn citations_are_read_in_every_form_that_comments_use() {
    for (comment, expected) in [
        ("As upstream (wire-api 4.3).", "wire-api.md#s4-3"),
        ("wire-api 1.1, 3.1, 10.2.", "wire-api.md#s1-1 wire-api.md#s3-1 wire-api.md#s10-2"),
        (
            "(wire-api 5 and 6, rows 20 to 26)",
            "wire-api.md#s5 wire-api.md#s6 wire-api.md#row-20 wire-api.md#row-26",
        ),
        ("Rows 17 to 19 and 22, and", "wire-api.md#row-17 wire-api.md#row-19 wire-api.md#row-22"),
        ("(wire-api N11, N12).", "wire-api.md#n11 wire-api.md#n12"),
        ("(wire-api K2, row 37 of 15)", "wire-api.md#k2 wire-api.md#row-37"),
        ("(wire-api, appendix A)", "wire-api.md#appendix-a"),
        ("(crypto-and-storage 7.3, 9)", "crypto-and-storage.md#s7-3 crypto-and-storage.md#s9"),
        (
            "crypto-and-storage 6, with F6 and Q-37",
            "crypto-and-storage.md#s6 quirks.md#f6 quirks.md#q-37",
        ),
        ("cli-config-deploy 10.2 no. 9)", "cli-config-deploy.md#s10-2-no-9"),
        ("(10.2 no. 4, F26)", "cli-config-deploy.md#s10-2-no-4 quirks.md#f26"),
        ("cli 7.3: upstream", "cli-config-deploy.md#s7-3"),
        ("(K5; F13)", "quirks.md#k5 quirks.md#f13"),
        ("(design 5 and 6)", "design.md#design-5 design.md#design-6"),
        ("(design §5).", "design.md#design-5"),
        ("cli-config-deploy 7.3, \"503 after\" it", "cli-config-deploy.md#s7-3"),
        ("in 5 and 6 rows, after 7.3, of a row, by design", ""),
        ("F0, F123, FF, P-256, N, 1..N-1, SP 800-38D 8.3", ""),
    ] {
        let read: Vec<String> = all(comment)
            .into_iter()
            .map(|found| format!("{}#{}", found.page, found.anchor))
            .collect();
        assert_eq!(read.join(" "), expected, "{comment}");
    }
}

#[test]
fn a_comment_goes_on_in_the_next_line_and_ends_with_code() {
    let source = "//! rows 1\n//! to 16\nfn a() {} // F1\n    // Q-2\nlet url = \"https://x\";\n";
    let expected = [(1, " rows 1  to 16"), (3, "F1"), (4, " Q-2")];
    let expected: Vec<_> = expected.map(|(line, text)| (line, text.to_owned())).into();
    assert_eq!(comments(source), expected);
}
