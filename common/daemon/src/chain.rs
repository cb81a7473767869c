//! The chain of audit lines: each line bears a number, and the hash of the line before it.
//!
//! The chain shows that a line was changed, removed, repeated, moved or put in, to everyone who has the lines. It has no
//! key: who can write to the file can make all hashes anew from the place of a change on. That shows only against a
//! [`Head`] that was noted elsewhere.
//!
//! This module owns how a line bears its place in the chain. The outputs of lines say which chain a line continues, and
//! `spike audit verify` what a broken one means.

use std::{fmt, io::Write, str::FromStr};

use sha2::{Digest as _, Sha256};

use crate::unique::sixteen_digits;

const BEFORE_ID: &[u8] = br#","chain":{"id":""#;
const BEFORE_NUMBER: &[u8] = br#"","seq":"#;
const BEFORE_PREVIOUS: &[u8] = br#","prev":""#;
const END: &[u8] = br#""}}"#;

/// The SHA-256 of a line, without its newline.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LineHash([u8; 32]);

impl LineHash {
    /// What the first line of a chain has in place of the hash of a line before it.
    pub const NONE: Self = Self([0; 32]);

    /// The hash of `line`. A newline at its end does not count.
    pub fn of(line: &[u8]) -> Self {
        Self(Sha256::digest(line.strip_suffix(b"\n").unwrap_or(line)).into())
    }

    const fn digits(self) -> [u8; 64] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 64];
        let mut at = 0;
        while at < 32 {
            #[expect(
                clippy::indexing_slicing,
                reason = "32 bytes are 64 digits, and a nibble is below 16"
            )]
            {
                let byte = self.0[at] as usize;
                digits[2 * at] = DIGITS[byte >> 4];
                digits[2 * at + 1] = DIGITS[byte & 15];
            }
            at += 1;
        }
        digits
    }

    fn parse(digits: &[u8]) -> Option<Self> {
        let mut hash = [0; 32];
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(lower_hex(pair)?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Digits are ASCII.
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl fmt::Debug for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LineHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes()).ok_or("expected 64 hexadecimal digits in lower case")
    }
}

/// The random name of a chain: 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainId([u8; 16]);

impl ChainId {
    fn generate() -> Self {
        Self(sixteen_digits())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // Digits are ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a line says of its place in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The chain.
    pub chain: ChainId,
    /// The number of the line, from 1.
    pub number: u64,
    /// The hash of the line before it; [`LineHash::NONE`] in the first line.
    pub previous: LineHash,
}

impl Mark {
    /// The mark of `line`, with or without its newline. `None`: it has none, so it is no whole audit line.
    ///
    /// A mark is the last thing in a line. Nothing that a peer chooses can look like one: its quotation marks are escaped.
    pub fn of(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let rest = line.strip_suffix(END)?;
        let (rest, previous) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
        let rest = rest.strip_suffix(BEFORE_PREVIOUS)?;
        let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (rest, number) = rest.split_at_checked(rest.len() - digits)?;
        let rest = rest.strip_suffix(BEFORE_NUMBER)?;
        let (rest, id) = rest.split_at_checked(rest.len().checked_sub(16)?)?;
        rest.strip_suffix(BEFORE_ID)?;
        lower_hex(id)?;
        // As it is written: no zero in front, and not more digits than a number has.
        let number = std::str::from_utf8(number).ok().filter(|text| !text.starts_with('0'))?;
        Some(Self {
            chain: ChainId(id.try_into().ok()?),
            number: number.parse().ok()?,
            previous: LineHash::parse(previous)?,
        })
    }
}

/// The digits, if they are hexadecimal and in lower case.
fn lower_hex(digits: &[u8]) -> Option<&str> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(is_digit))
}

/// The last line of a chain. Who keeps it elsewhere can later see that no line up to it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The chain.
    pub chain: ChainId,
    /// The number of the line; 0 if there is none yet.
    pub number: u64,
    /// The hash of the line.
    pub hash: LineHash,
}

/// A chain, and the line that it ends with now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain(Head);

impl Chain {
    /// The most bytes that a mark adds to a line.
    pub(crate) const LONGEST_MARK: usize =
        BEFORE_ID.len() + 16 + BEFORE_NUMBER.len() + 20 + BEFORE_PREVIOUS.len() + 64 + END.len();

    /// A new chain.
    pub(crate) fn begin() -> Self {
        Self(Head { chain: ChainId::generate(), number: 0, hash: LineHash::NONE })
    }

    /// The chain of the lines at the end of a file, to go on with, if the last of these lines that has a mark is not far
    /// back. What comes behind it without a mark, such as a line that was cut off, is counted and hashed like a line.
    pub(crate) fn at_end_of(text: &[u8]) -> Option<Self> {
        let last = LineHash::of(text.split_inclusive(|byte| *byte == b'\n').next_back()?);
        let behind_first = text.split_inclusive(|byte| *byte == b'\n').rev();
        let (unmarked, mark) = (0..)
            .zip(behind_first)
            .find_map(|(unmarked, line)| Some((unmarked, Mark::of(line)?)))?;
        // No daemon comes that far: somebody wrote that number. A chain must be able to go on.
        let number = mark.number.checked_add(unmarked).filter(|number| *number < u64::MAX / 2)?;
        Some(Self(Head { chain: mark.chain, number, hash: last }))
    }

    pub(crate) const fn head(&self) -> Head {
        self.0
    }

    /// Appends `line`, a JSON object with its newline, to `out`, as the next line of this chain.
    pub(crate) fn append(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let Head { chain, number, hash } = &mut self.0;
        let start = out.len();
        *number += 1;
        out.extend_from_slice(line.strip_suffix(b"}\n").unwrap_or(line));
        out.extend_from_slice(BEFORE_ID);
        out.extend_from_slice(&chain.0);
        out.extend_from_slice(BEFORE_NUMBER);
        // Writing to a `Vec` never fails.
        write!(out, "{number}").ok();
        out.extend_from_slice(BEFORE_PREVIOUS);
        out.extend_from_slice(&hash.digits());
        out.extend_from_slice(END);
        *hash = LineHash::of(out.get(start..).unwrap_or_default());
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chained(chain: &mut Chain, lines: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in lines {
            chain.append(format!("{line}\n").as_bytes(), &mut out);
        }
        out
    }

    #[test]
    fn each_line_has_the_next_number_and_the_sha_256_of_the_line_before_it() {
        let mut chain = Chain::begin();
        let text = chained(&mut chain, &[r#"{"a":1}"#, r#"{"b":{}}"#]);
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        let [first, second, b""] = lines[..] else { panic!("{lines:?}") };
        let (one, two) = (Mark::of(first).unwrap(), Mark::of(second).unwrap());
        assert_eq!((one.number, one.previous), (1, LineHash::NONE));
        assert_eq!((two.number, two.previous, two.chain), (2, LineHash::of(first), one.chain));
        assert_eq!(chain.head().hash, LineHash::of(second));
        let value: serde_json::Value = serde_json::from_slice(second).unwrap();
        assert_eq!(value["chain"]["prev"], LineHash::of(first).to_string());
        assert_eq!(value["chain"]["seq"], 2);
    }

    #[test]
    fn the_hash_is_sha_256_as_others_have_it() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(LineHash::of(b"abc\n").to_string(), expected);
        assert_eq!(expected.parse(), Ok(LineHash::of(b"abc")));
    }

    #[test]
    fn only_a_whole_mark_at_the_end_is_one() {
        let whole = String::from_utf8(chained(&mut Chain::begin(), &["{}"])).unwrap();
        let whole = whole.trim_end();
        assert!(Mark::of(whole.as_bytes()).is_some());
        for cut in 1..whole.len() {
            assert_eq!(Mark::of(&whole.as_bytes()[..cut]), None, "{cut}");
        }
        for (from, to) in [
            ("\"seq\":1", "\"seq\":01"),
            ("\"seq\":1", "\"seq\":"),
            ("\"seq\":1", "\"seq\":99999999999999999999"),
            ("000\"}}", "00A\"}}"),
            ("\"}}", "\"}} "),
        ] {
            let changed = whole.replacen(from, to, 1);
            assert_ne!(changed, whole);
            assert_eq!(Mark::of(changed.as_bytes()), None, "{changed}");
        }
    }

    #[test]
    fn a_chain_goes_on_behind_the_end_of_a_file_and_behind_a_line_that_was_cut_off() {
        let mut chain = Chain::begin();
        let mut text = chained(&mut chain, &["{}", "{}"]);
        assert_eq!(Chain::at_end_of(&text), Some(chain));
        text.extend_from_slice(b"{\"time\":");
        let after = Chain::at_end_of(&text).unwrap().head();
        assert_eq!((after.number, after.hash), (3, LineHash::of(b"{\"time\":")));
        assert_eq!(after.chain, chain.head().chain);
        text.push(b'\n');
        assert_eq!(Chain::at_end_of(&text).unwrap().head(), after, "a newline changes nothing");
        assert_eq!(Chain::at_end_of(b""), None);
        assert_eq!(Chain::at_end_of(b"no line of ours\n"), None);
        let mut last = Chain(Head { number: u64::MAX - 1, ..chain.head() });
        let text = chained(&mut last, &["{}"]);
        assert_eq!(Chain::at_end_of(&text), None, "it could not go on");
    }

    #[test]
    fn a_mark_is_never_longer_than_its_bound() {
        let mut chain = Chain(Head { number: u64::MAX - 1, ..Chain::begin().head() });
        let text = chained(&mut chain, &["{}"]);
        assert_eq!(text.len(), "{".len() + Chain::LONGEST_MARK + "\n".len());
    }
}
