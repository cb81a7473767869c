//! Reads the shares of a restore from files, a pipe, or a person. All are checked before the first is sent.

use std::path::PathBuf;

use spike_crypto::{Share, ShareError};
use zeroize::Zeroizing;

use crate::command::{STDIN, is_stdin, read_file, read_stdin, refuse_stdin_twice};
use crate::context::{Context, ask_hidden};
use crate::error::Error;

/// The shares in the order given, each with its origin.
pub(super) fn read(
    files: &[PathBuf],
    context: &mut Context<'_>,
) -> Result<Vec<(String, Share)>, Error> {
    refuse_stdin_twice(files)?;
    let mut shares = Vec::new();
    if files.is_empty() {
        shares.extend(from_stdin(context)?);
    }
    for file in files {
        if is_stdin(Some(file)) {
            shares.extend(from_stdin(context)?);
        } else {
            shares.extend(lines(&file.display().to_string(), &read_file(file)?)?);
        }
    }
    refuse_conflicts(&shares)?;
    Ok(shares)
}

/// The shares that a person types, or that a pipe brings.
fn from_stdin(context: &mut Context<'_>) -> Result<Vec<(String, Share)>, Error> {
    if !context.streams.stdin_is_terminal() {
        return lines(STDIN, &read_stdin(context)?);
    }
    let typed = ask(context)?;
    shares_in(&typed).into_iter().map(|share| parse("the terminal", share)).collect()
}

/// A recovery file holds one share. A pipe may bring several, one a line or joined.
fn lines(origin: &str, bytes: &[u8]) -> Result<Vec<(String, Share)>, Error> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(Error::BadShare { origin: origin.to_owned(), error: ShareError::NotText });
    };
    let lines: Vec<&str> = text.lines().filter(|line| !is_blank(line)).collect();
    let each: Vec<&str> = lines.iter().flat_map(|line| shares_in(line)).collect();
    let kind = if each.len() == lines.len() { "line" } else { "share" };
    match each.as_slice() {
        [] => Err(Error::usage(format!("there is no recovery share in {origin}"))),
        [line] => Ok(vec![parse(origin, line)?]),
        several => (1..)
            .zip(several)
            .map(|(number, share)| parse(&format!("{origin}, {kind} {number}"), share))
            .collect(),
    }
}

/// The shares of one line. Recovery files end without a newline, so `cat` joins them. Each begins with `spike:`, which no
/// other part of a share contains.
fn shares_in(line: &str) -> Vec<&str> {
    let begins = line.match_indices("spike:").map(|(at, _)| at).filter(|at| *at > 0);
    let mut shares = Vec::new();
    let mut begin = 0;
    for end in begins.chain([line.len()]) {
        // Only the text before the first share can be blank.
        shares.extend(line.get(begin..end).filter(|share| begin > 0 || !is_blank(share)));
        begin = end;
    }
    if shares.is_empty() { vec![line] } else { shares }
}

fn is_blank(text: &str) -> bool {
    text.chars().all(Share::is_blank)
}

fn parse(origin: &str, line: &str) -> Result<(String, Share), Error> {
    match Share::from_recovery_text(line) {
        Ok(share) => Ok((origin.to_owned(), share)),
        Err(error) => Err(Error::BadShare { origin: origin.to_owned(), error }),
    }
}

/// Refuses two different shares with one number. One of them is of another key, and it is unknown which.
fn refuse_conflicts(shares: &[(String, Share)]) -> Result<(), Error> {
    for (position, (origin, share)) in shares.iter().enumerate() {
        let earlier = shares.iter().take(position);
        let twin = earlier
            .filter(|(_, other)| other.index == share.index)
            .find(|(_, other)| !other.value.ct_eq(&share.value));
        if let Some((other, _)) = twin {
            return Err(Error::usage_hint(
                format!(
                    "{other} and {origin} hold different shares with the number {}",
                    share.index
                ),
                "they are from two exports of different keys; use the files of one export",
            ));
        }
    }
    Ok(())
}

fn ask(context: &mut Context<'_>) -> Result<Zeroizing<String>, Error> {
    context.streams.notice("(your input will be hidden as you paste/type it)\n");
    ask_hidden("Enter recovery shard: ")
}

#[cfg(test)]
mod tests;
