//! Every `spike` command in the blocks of every page of the repository can be read.

use std::path::{Path, PathBuf};

use super::parse;

/// Folders without pages of ours. The reference shows what upstream's program is called with.
const LEFT_OUT: [&str; 4] = ["target", ".git", "reference", "go_patterns"];

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_left_out = LEFT_OUT.iter().any(|name| path.ends_with(name));
        if path.is_dir() && !is_left_out {
            pages(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
}

/// The lines of the blocks that hold commands: those of `console` without their output, and those that go on in the next line
/// in one.
fn lines(page: &str) -> Vec<String> {
    let (mut lines, mut kind, mut goes_on): (Vec<String>, _, _) = (Vec::new(), None, false);
    for line in page.lines().map(str::trim_start) {
        if let Some(fence) = line.strip_prefix("```") {
            kind = kind.is_none().then_some(fence);
            goes_on = false;
            continue;
        }
        let command = match kind {
            Some("sh") => Some(line),
            Some("console") if goes_on => line.strip_prefix("> "),
            Some("console") => line.strip_prefix("$ "),
            _ => None,
        };
        let Some(command) = command else { continue };
        let (text, next) = command.strip_suffix('\\').map_or((command, false), |text| (text, true));
        match lines.last_mut().filter(|_| goes_on) {
            Some(last) => last.push_str(text),
            None => lines.push(text.to_owned()),
        }
        goes_on = next;
    }
    lines
}

/// The words of a line, as a shell separates them. An operator is a word of its own; a comment is none.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            (None, '|' | ';' | '&' | '<' | '>' | '(' | ')') => {
                words.extend(word.take());
                words.push(c.to_string());
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The arguments of each `spike` in a line; also in one that another program is given as a single word.
fn commands(line: &str) -> Vec<Vec<String>> {
    let words = words(line);
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if word.starts_with("spike ") {
            found.extend(commands(word));
        }
        let before = at.checked_sub(1).and_then(|before| words.get(before)).map_or("", |word| word);
        let begins = ["", "|", ";", "&", "(", "--", "do"].contains(&before);
        let is_run = ["run", "exec"].iter().any(|verb| words.iter().take(at).any(|w| w == verb));
        if word != "spike" || !(begins || (is_run && before == "--rm")) {
            continue;
        }
        let ends = |word: &&String| ["|", ";", "&", "<", ">", ")"].contains(&word.as_str());
        found.push(words.iter().skip(at + 1).take_while(|word| !ends(word)).cloned().collect());
    }
    found
}

#[test]
fn every_command_on_every_page_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut files, mut found, mut refused) = (Vec::new(), 0, Vec::new());
    pages(root, &mut files);
    for file in files {
        for line in lines(&std::fs::read_to_string(&file).unwrap()) {
            for arguments in commands(&line) {
                found += 1;
                let words = ["spike".to_owned()].into_iter().chain(arguments);
                if let Err(error) = parse(words.map(Into::into)) {
                    let kind = error.kind();
                    refused.push(format!("{}: {line}: {kind:?}", file.display()));
                }
            }
        }
    }
    assert_eq!(refused, Vec::<String>::new());
    assert!(found > 70, "only {found} commands were found");
}

#[test]
fn commands_are_found_behind_pipes_in_loops_and_in_quotes() {
    let found = |line: &str| commands(line).iter().map(|words| words.join(" ")).collect::<Vec<_>>();
    assert_eq!(found("su - alice -c 'spike status'   # now"), ["status"]);
    assert_eq!(found("for v in 1; do spike secret put a b=c; done"), ["secret put a b=c"]);
    assert_eq!(found("zcat -f x | spike audit verify - > y"), ["audit verify -"]);
    assert_eq!(found("kubectl -n spike exec x -- spike secret list"), ["secret list"]);
    assert_eq!(found("helm -n spike upgrade spike deploy/helm/spike"), [""; 0]);
    let page = "```console\n$ spike a \\\n> --b\nspike c\n```\n\n```text\nspike d\n```\n";
    assert_eq!(lines(page), ["spike a --b"]);
}
