//! The values of `secret put`: where each comes from. All are read before anything is written.
//!
//! No message here quotes an argument: an argument without `=` may be a value without its key.

use std::collections::HashMap;
use std::path::PathBuf;

use spike_domain::rules;
use spike_wire::{SecretText, SecretValues};
use zeroize::{Zeroize, Zeroizing};

use crate::cli::Hidden;
use crate::command::{STDIN, empty_stdin, read_file, read_stdin};
use crate::context::{Context, ask_hidden};
use crate::error::Error;

/// All values, byte for byte. Three things are errors here because they are mostly mistakes: two values with one key, spaces
/// around a key, and an empty pipe. Upstream takes the last value, cuts the spaces, and stores the empty value.
pub(super) fn read(
    arguments: &[Hidden],
    allow_empty: bool,
    context: &mut Context<'_>,
) -> Result<SecretValues, Error> {
    let parsed: Vec<Pair<'_>> = (1..)
        .zip(arguments)
        .map(|(position, argument)| Pair::parse(position, argument.expose_secret()))
        .collect::<Result<_, _>>()?;
    if parsed.iter().filter(|pair| pair.source == Source::Stdin).count() > 1 {
        return Err(Error::usage(format!("{STDIN} (key=-) can be the value of one key only")));
    }
    refuse_equal_keys(&parsed)?;
    parsed.into_iter().map(|pair| pair.value(allow_empty, context)).collect()
}

fn refuse_equal_keys(pairs: &[Pair<'_>]) -> Result<(), Error> {
    let mut seen = HashMap::new();
    for (position, pair) in (1..).zip(pairs) {
        if let Some(first) = seen.insert(pair.key, position) {
            let key = pair.key;
            return Err(Error::usage(format!(
                "values {first} and {position} have the same key {key:?}"
            )));
        }
    }
    Ok(())
}

struct Pair<'a> {
    key: &'a str,
    source: Source<'a>,
}

#[derive(PartialEq, Eq)]
enum Source<'a> {
    Text(&'a str),
    File(PathBuf),
    Stdin,
}

impl<'a> Pair<'a> {
    fn parse(position: usize, argument: &'a str) -> Result<Self, Error> {
        let Some((key, value)) = argument.split_once('=') else {
            return Err(Error::usage(format!("value {position} is not of the form key=value")));
        };
        if !rules::is_name(key) {
            return Err(Error::usage(format!(
                "the key of value {position} is not a name: expected 1 to {} letters, digits, '-', '_' and spaces",
                rules::MAX_NAME_BYTES
            )));
        }
        if key.trim_matches(' ') != key {
            return Err(Error::usage_hint(
                format!("the key of value {position} begins or ends with a space"),
                "write key=value without spaces around the =",
            ));
        }
        let source = match (value, value.strip_prefix('@')) {
            ("-", _) => Source::Stdin,
            (_, Some("-")) => {
                return Err(Error::usage_hint(
                    format!("value {position} names the file -"),
                    "key=- reads standard input; key=@./- reads a file of that name",
                ));
            }
            (_, Some("")) => {
                return Err(Error::usage_hint(
                    format!("value {position} names no file"),
                    "key=@FILE reads FILE; key=@@ is the text \"@\"",
                ));
            }
            (_, Some(literal)) if literal.starts_with('@') => Source::Text(literal),
            (_, Some(file)) => Source::File(file.into()),
            (text, None) => Source::Text(text),
        };
        Ok(Self { key, source })
    }

    fn value(
        self,
        allow_empty: bool,
        context: &mut Context<'_>,
    ) -> Result<(String, SecretText), Error> {
        let key = self.key.to_owned();
        let value = match self.source {
            Source::Text(text) => SecretText::from(text),
            Source::File(file) => {
                let shown = file.display().to_string();
                let bytes = read_file(&file)?;
                // What was to fill it may have failed.
                if bytes.is_empty() && !allow_empty {
                    return Err(Error::usage_hint(
                        format!("{shown} is empty, and the value of {key:?} was to come from it"),
                        "--allow-empty stores an empty value",
                    ));
                }
                text_of(bytes, &key, &shown)?
            }
            Source::Stdin if context.streams.stdin_is_terminal() => {
                SecretText::from(ask_hidden(&format!("Value of {key} (not shown): "))?.as_str())
            }
            Source::Stdin => {
                let bytes = read_stdin(context)?;
                if bytes.is_empty() && !allow_empty {
                    let purpose = format!("the value of {key:?} was to come from it");
                    return Err(empty_stdin(&purpose, " --allow-empty stores an empty value"));
                }
                text_of(bytes, &key, STDIN)?
            }
        };
        Ok((key, value))
    }
}

/// JSON carries text, so a value that is not UTF-8 would not come back byte for byte.
fn text_of(mut bytes: Zeroizing<Vec<u8>>, key: &str, origin: &str) -> Result<SecretText, Error> {
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(SecretText::from(text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            error.into_bytes().zeroize();
            Err(Error::usage_hint(
                format!("the value of {key:?} from {origin} is not UTF-8 text (byte {at})"),
                format!("store it in base64: base64 < FILE | spike secret put PATH {key}=-"),
            ))
        }
    }
}

#[cfg(test)]
mod tests;
