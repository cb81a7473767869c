//! Every link in a document has a target, and every path of the repository that a document names exists.

use std::{fs, io};

use crate::repository::{files, root, shown, top_folders};

#[test]
fn every_link_from_one_document_to_another_leads_somewhere() -> io::Result<()> {
    let mut dead = Vec::new();
    for document in files("md")? {
        let text = fs::read_to_string(&document)?;
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let elsewhere = |target: &&str| !target.starts_with("http") && !target.starts_with('#');
        for target in targets.filter(elsewhere) {
            let file = target.split('#').next().unwrap_or_default();
            if !document.with_file_name("").join(file).exists() {
                dead.push(format!("{}: {target}", shown(&document)));
            }
        }
    }
    assert_eq!(dead, Vec::<String>::new());
    Ok(())
}

#[test]
fn every_path_in_backticks_that_begins_with_a_folder_of_the_repository_is_there() -> io::Result<()>
{
    let folders = top_folders()?;
    let is_ours = |path: &&str| {
        path.split_once('/').is_some_and(|(first, _)| folders.iter().any(|folder| folder == first))
    };
    let (mut missing, mut found) = (Vec::new(), 0);
    for document in files("md")? {
        let text = fs::read_to_string(&document)?;
        for path in named(&text).filter(is_ours) {
            found += 1;
            if !root().join(path).exists() {
                missing.push(format!("{}: {path}", shown(&document)));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new(), "documents name what is not there");
    assert!(found > 50, "only {found} paths were found");
    Ok(())
}

/// The first word of each text between backticks in prose, except patterns and `<placeholders>`.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let blocks = text.split("```").step_by(2);
    let spans = blocks.flat_map(|prose| prose.split("\n\n")).flat_map(|paragraph| {
        paragraph.split('`').skip(1).step_by(2).filter_map(|span| span.split_whitespace().next())
    });
    spans.filter(|word| !word.contains(['*', '{', '<', '…']))
}

#[test]
fn paths_are_read_from_prose_and_not_from_blocks() {
    let text = "See `a/b` and `c/d --option`, `e/*` or\n`f/<name>`.\n\n```sh\n`g/h`\n```\n\n| `i/j` | k |\n";
    assert_eq!(named(text).collect::<Vec<_>>(), ["a/b", "c/d", "i/j"]);
}
