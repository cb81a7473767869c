use spike_config::Environment;

use super::*;
use crate::Streams;

fn share(index: u8, byte: &str) -> String {
    format!("spike:{index}:{}", byte.repeat(32))
}

fn from_stdin(text: &str) -> Result<Vec<(String, u16)>, String> {
    let environment = Environment::default();
    let stdin = std::io::Cursor::new(text.to_owned());
    let streams = Streams::new(stdin, std::io::sink(), std::io::sink());
    let shares = read(&[], &mut Context::new(&environment, streams));
    let numbered = |(origin, share): (String, Share)| (origin, share.index.get());
    shares
        .map(|shares| shares.into_iter().map(numbered).collect())
        .map_err(|error| error.to_string())
}

#[test]
fn a_recovery_file_is_one_share_with_or_without_a_newline() {
    for text in
        [share(7, "ab"), format!("{}\n", share(7, "AB")), format!("\n  {}\r\n\n", share(7, "ab"))]
    {
        assert_eq!(from_stdin(&text), Ok(vec![("standard input".to_owned(), 7)]), "{text:?}");
    }
}

// A byte order mark was refused without a word about it.
#[test]
fn files_that_an_editor_saved_with_a_byte_order_mark_are_read_alone_and_joined() {
    let marked = |index, byte| format!("\u{feff}{}", share(index, byte));
    let joined = [marked(1, "11"), marked(2, "22")].concat();
    let with_lines =
        [marked(1, "11"), "\r\n".to_owned(), marked(2, "22"), "\r\n".to_owned()].concat();
    let numbers = |text: &str| {
        from_stdin(text)
            .map(|shares| shares.into_iter().map(|(_, number)| number).collect::<Vec<_>>())
    };
    assert_eq!(numbers(&marked(7, "ab")), Ok(vec![7]));
    assert_eq!(numbers(&joined), Ok(vec![1, 2]));
    assert_eq!(numbers(&with_lines), Ok(vec![1, 2]));
    insta::assert_snapshot!(from_stdin("\u{feff}\r\n").unwrap_err(), @"there is no recovery share in standard input");
}

// `-` was the name of a file.
#[test]
fn a_file_named_minus_is_standard_input_and_is_read_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("share");
    std::fs::write(&file, share(2, "22")).unwrap();
    let from = |files: &[PathBuf]| {
        let environment = Environment::default();
        let stdin = std::io::Cursor::new(share(1, "11"));
        let streams = Streams::new(stdin, std::io::sink(), std::io::sink());
        let shares = read(files, &mut Context::new(&environment, streams));
        shares
            .map(|shares| shares.into_iter().map(|(from, _)| from).collect::<Vec<_>>())
            .map_err(|error| error.to_string())
    };
    let origins = from(&["-".into(), file.clone()]);
    assert_eq!(origins, Ok(vec!["standard input".to_owned(), file.display().to_string()]));
    insta::assert_snapshot!(from(&["-".into(), "-".into()]).unwrap_err(), @"standard input can be read only once");
}

#[test]
fn each_of_several_lines_is_named() {
    let text = format!("{}\n{}\nnonsense", share(1, "11"), share(2, "22"));
    insta::assert_snapshot!(from_stdin(&text).unwrap_err(), @"standard input, line 3: a recovery share has the form spike:<index>:<64 hex digits>");
}

#[test]
fn the_same_share_twice_is_no_harm_but_two_values_for_one_number_are() {
    let twice = format!("{}\n{}", share(1, "11"), share(1, "11"));
    assert_eq!(from_stdin(&twice).map(|shares| shares.len()), Ok(2));
    let differing = format!("{}\n{}", share(1, "11"), share(1, "12"));
    insta::assert_snapshot!(from_stdin(&differing).unwrap_err(), @"standard input, line 1 and standard input, line 2 hold different shares with the number 1");
}

// Recovery files have no final newline, and `cat` of several was refused.
#[test]
fn files_that_cat_has_joined_are_as_many_shares() {
    let joined =
        format!("{}{}\n {}{}", share(2, "22"), share(3, "33"), share(4, "44"), share(5, "55"));
    let numbers = |text: &str| {
        from_stdin(text)
            .map(|shares| shares.into_iter().map(|(_, number)| number).collect::<Vec<_>>())
    };
    assert_eq!(numbers(&joined), Ok(vec![2, 3, 4, 5]));
    let cut = format!("{}{}", &share(2, "22")[..60], share(3, "33"));
    insta::assert_snapshot!(from_stdin(&cut).unwrap_err(), @"standard input, share 1: the share value has 52 characters: expected 64 hex digits");
    let stray = format!("{}{}x", share(2, "22"), share(3, "33"));
    assert!(from_stdin(&stray).unwrap_err().starts_with("standard input, share 2: "));
    assert!(from_stdin(&format!("x{}", share(2, "22"))).is_err());
}

#[test]
fn nothing_at_all_is_no_share() {
    insta::assert_snapshot!(from_stdin(" \n\n").unwrap_err(), @"there is no recovery share in standard input");
}
