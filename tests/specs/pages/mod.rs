//! Every fenced block of every page is run, compared with what programs print, checked in part, or says why not.

mod block;
mod reach;
mod run;
mod words;

use std::{collections::BTreeMap, fs, io, path::Path};

use self::block::{Block, Fate, blocks, of_every_block};
use crate::repository::{files, files_below, root, shown, text};

/// Pages of others, which are kept as they were found.
const OF_OTHERS: &str = "common/policy/tests/go_patterns/";

/// Every page of the repository: its path from the root, and its text.
fn pages() -> io::Result<BTreeMap<String, String>> {
    let mut pages = BTreeMap::new();
    for file in files("md")? {
        let path = shown(&file);
        if !path.starts_with(OF_OTHERS) {
            pages.insert(path, fs::read_to_string(&file)?);
        }
    }
    Ok(pages)
}

/// The fate of a block: its own comment; or what the page says of every block; or the `README.md` of its folder.
fn fate_of(block: &Block<'_>, path: &str, pages: &BTreeMap<String, String>) -> Option<Fate> {
    let of_folder = || {
        let readme = Path::new(path).with_file_name("README.md");
        of_every_block(pages.get(readme.to_str()?)?)
    };
    let of_page = || of_every_block(pages.get(path)?);
    block.fate.clone().or_else(of_page).or_else(of_folder)
}

/// What is wrong with a fate, if anything is.
fn fault(fate: &Fate, block: &Block<'_>, path: &str) -> Option<String> {
    let Some(file) = fate.file() else {
        let Fate::NotRun(reason) = fate else { return None };
        let is_a_reason = reason.split_whitespace().count() > 2;
        return (!is_a_reason).then(|| format!("no reason: {reason:?}"));
    };
    let Ok(text) = fs::read_to_string(root().join(file)) else {
        return Some(format!("there is no {file}"));
    };
    if matches!(fate, Fate::Run(_)) && ["text", "json", "yaml"].contains(&block.kind) {
        return Some(format!("a block of {} cannot be run", block.kind));
    }
    // Scripts take the commands under headings.
    let has_heading =
        || block.headings.iter().any(|heading| text.contains(&format!("\"{heading}\"")));
    if Path::new(file).extension().is_some_and(|end| end == "sh") && !has_heading() {
        return Some(format!("{file} names none of {:?}", block.headings));
    }
    (!names(&text, path)).then(|| format!("{file} does not name the page"))
}

/// Whether a test or a script names this page, its folder, or all pages: `run.rs` takes pages by their comments.
fn names(text: &str, path: &str) -> bool {
    let path = Path::new(path);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder = path.parent().and_then(Path::to_str).unwrap_or_default();
    text.contains(&path.display().to_string())
        || (name != "README.md" && text.contains(name))
        || (folder.contains('/') && text.contains(folder))
        || text.contains("every page of the repository")
}

#[test]
fn every_block_of_every_page_is_run_or_says_why_not() -> io::Result<()> {
    let pages = pages()?;
    let mut faults = Vec::new();
    let mut fates: BTreeMap<&str, usize> = BTreeMap::new();
    for (path, page) in &pages {
        for block in blocks(page) {
            let place = format!("{path}:{}", block.line);
            let Some(fate) = fate_of(&block, path, &pages) else {
                faults.push(format!("{place}: no comment before it says what becomes of it"));
                continue;
            };
            faults.extend(fault(&fate, &block, path).map(|fault| format!("{place}: {fault}")));
            let name = match fate {
                Fate::Run(_) => "run",
                Fate::Compared(_) => "compared",
                Fate::Checked(_) => "checked",
                Fate::NotRun(_) => "not run",
            };
            *fates.entry(name).or_default() += 1;
        }
    }
    assert_eq!(faults, Vec::<String>::new(), "CONTRIBUTING.md, \"Pages\", has the comments");
    assert!(fates.get("run").is_some_and(|run| *run > 50), "{fates:?}");
    Ok(())
}

#[test]
fn a_fate_that_rests_on_nothing_is_found() {
    let page = "## H\n```sh\nls\n```\n";
    let blocks = blocks(page);
    let fault = |fate| fault(&fate, &blocks[0], "docs/operations/drill.md");
    assert_eq!(fault(Fate::Run("tests/specs/drill.rs".to_owned())), None);
    assert!(fault(Fate::Run("tests/specs/gone.rs".to_owned())).is_some());
    assert!(fault(Fate::Checked("tests/specs/soak.rs".to_owned())).is_some());
    assert!(fault(Fate::Run(".ci/deploy.d/walk.sh".to_owned())).is_some());
    assert!(fault(Fate::NotRun("because".to_owned())).is_some());
}

/// The lines of an example, as they stand in a comment of the SDK.
fn is_in_the_sdk(line: &str, sources: &str) -> bool {
    let line = line.trim();
    line.is_empty()
        || sources.lines().any(|source| source.trim_start_matches(['/', '!', ' ']) == line)
}

// Examples in comments are compiled as tests of the SDK.
#[test]
fn every_line_of_rust_on_a_page_is_in_an_example_that_is_compiled() -> io::Result<()> {
    let mut sources = String::new();
    for file in files_below(root().join("sdk/src"), "rs")? {
        sources.push_str(&fs::read_to_string(file)?);
    }
    let (mut found, mut lost) = (0, Vec::new());
    for (path, page) in pages()? {
        for block in blocks(&page).into_iter().filter(|block| block.kind == "rust") {
            found += 1;
            let missing = block.lines.iter().filter(|line| !is_in_the_sdk(line, &sources));
            lost.extend(missing.map(|line| format!("{path}: {line}")));
        }
    }
    assert_eq!(lost, Vec::<String>::new());
    assert!(found > 1, "only {found} blocks of Rust");
    Ok(())
}

#[test]
fn what_a_page_calls_in_go_is_called_by_the_program_that_a_test_runs() -> io::Result<()> {
    let program = text("tests/interop/go-sdk/main.go")?;
    let page = text("docs/reading-secrets.md")?;
    let block = blocks(&page).into_iter().find(|block| block.kind == "go").unwrap();
    let shown = block.text();
    let called = shown.split('(').filter_map(|before| before.rsplit(['.', ' ']).next());
    let called: Vec<_> = called.filter(|name| name.starts_with(char::is_uppercase)).collect();
    assert_eq!(called, ["NewWithContext", "Close", "GetSecret"]);
    let missing: Vec<_> =
        called.iter().filter(|name| !program.contains(&format!(".{name}("))).collect();
    assert_eq!(missing, Vec::<&&str>::new());
    Ok(())
}

#[test]
fn the_page_of_the_sdk_depends_on_this_version_and_on_features_that_it_has() -> io::Result<()> {
    let page = text("docs/sdk.md")?;
    let block = blocks(&page).into_iter().find(|block| block.kind == "toml").unwrap();
    let shown = block.text();
    let tag = format!("tag = \"v{}\"", env!("CARGO_PKG_VERSION"));
    let of_sdk: Vec<_> = shown.lines().filter(|line| line.starts_with("spike-sdk")).collect();
    assert!(of_sdk.len() > 1 && of_sdk.iter().all(|line| line.contains(&tag)), "{shown}");
    let manifest = text("sdk/Cargo.toml")?;
    let (_, features) = manifest.split_once("[features]").unwrap_or_default();
    for line in of_sdk {
        let named = line.split_once("features = [").map_or("", |(_, rest)| rest);
        for feature in named.split('"').skip(1).step_by(2) {
            assert!(features.contains(&format!("\n{feature} = ")), "{feature}");
        }
    }
    Ok(())
}
