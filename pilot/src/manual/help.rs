//! Help texts of the command tree, taken apart.

/// A part of a text.
pub(super) enum Part {
    /// A paragraph.
    Filled(String),
    /// Lines that are indented: an example, a table, a list.
    AsWritten(String),
}

/// The parts of a text, in order.
pub(super) fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
        for lines in
            block.split('\n').collect::<Vec<_>>().chunk_by(|a, b| is_indented(a) == is_indented(b))
        {
            let is_written = lines.first().is_some_and(|line| is_indented(line));
            let text = lines.join("\n");
            parts.push(if is_written { Part::AsWritten(text) } else { Part::Filled(text) });
        }
    }
    parts
}

/// The words of a text, and its sections: a line such as `Examples:` with indented lines below it.
pub(super) fn split(text: &str) -> (String, Vec<(String, String)>) {
    let (mut words, mut sections) = (String::new(), Vec::<(String, String)>::new());
    let mut lines = text.lines().peekable();
    let mut inside = false;
    while let Some(line) = lines.next() {
        let next_is_indented = lines.peek().is_some_and(|next| is_indented(next));
        if let Some(heading) =
            line.strip_suffix(':').filter(|_| !is_indented(line) && next_is_indented)
        {
            let heading = if heading == "Example" { "Examples" } else { heading };
            sections.push((heading.to_owned(), String::new()));
            inside = true;
            continue;
        }
        inside &= is_indented(line) || line.is_empty();
        let place = match sections.last_mut() {
            Some((_, block)) if inside => block,
            Some(_) | None => &mut words,
        };
        place.push_str(line);
        place.push('\n');
    }
    for (_, block) in &mut sections {
        block.truncate(block.trim_end().len());
    }
    (words, sections)
}

fn is_indented(line: &str) -> bool {
    line.starts_with(' ')
}

/// The columns of a synopsis, so that it fits into the narrowest terminal.
const SYNOPSIS_WIDTH: usize = 52;

/// How the command is called, with a break wherever a line would be too long.
pub(super) fn usage(command: &clap::Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let forms = usage.trim_start_matches("Usage: ").lines().map(str::trim);
    forms.filter(|form| !form.is_empty()).map(broken).collect::<Vec<_>>().join("\n")
}

/// One form of a command, in lines that fit.
fn broken(form: &str) -> String {
    let mut broken = String::new();
    let mut column = 0;
    // An option stays with its value.
    for word in form.replace(" <", "\u{a0}<").split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > SYNOPSIS_WIDTH {
            broken.push_str("\n    ");
            column = 4;
        } else if column > 0 {
            broken.push(' ');
            column += 1;
        }
        broken.push_str(word);
        column += length;
    }
    broken.replace('\u{a0}', " ")
}

/// An option or operand with its value: `-f, --file <FILE>`.
pub(super) fn term(argument: &clap::Arg) -> String {
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let names: Vec<_> = short.into_iter().chain(long).collect();
    let values = argument.get_value_names().unwrap_or_default();
    let value = values.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ");
    if !argument.get_action().takes_values() || value.is_empty() {
        return names.join(", ");
    }
    if names.is_empty() { value } else { format!("{} {value}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Both forms stood in one line, as if they were one.
    #[test]
    fn a_command_with_two_forms_has_two_lines_and_each_is_broken_by_itself() {
        let command = clap::Command::new("x").override_usage("x [--a]\n       x --b <B>");
        assert_eq!(usage(&command), "x [--a]\nx --b <B>");
        let long = format!("x {}--last <VALUE>", "--some-option ".repeat(6));
        let shown = usage(&clap::Command::new("x").override_usage(long));
        assert!(shown.lines().count() > 1, "{shown}");
        assert!(shown.lines().skip(1).all(|line| line.starts_with("    --")), "{shown}");
    }

    #[test]
    fn sections_of_a_help_text_are_found_and_all_other_words_stay() {
        let text =
            "First words.\n\nValues:\n  a  one\n  b  two\n\nMore words.\n\nExample:\n  spike x\n";
        let (words, sections) = split(text);
        assert_eq!(
            words.split_whitespace().collect::<Vec<_>>().join(" "),
            "First words. More words."
        );
        let found: Vec<_> =
            sections.iter().map(|(heading, block)| (heading.as_str(), block.as_str())).collect();
        assert_eq!(found, [("Values", "  a  one\n  b  two"), ("Examples", "  spike x")]);
    }
}
