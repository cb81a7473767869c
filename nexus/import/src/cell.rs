//! Single cells of upstream's tables: decryption and parsing (crypto-and-storage 7.3, 7.4).

use rusqlite::types::ValueRef;
use spike_crypto::{AssociatedData, NONCE_LEN, Nonce, RootCipher};
use spike_domain::UnixNanos;
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};
use zeroize::Zeroizing;

use crate::report::Reason;

/// What makes the nonces of the cells of one row different (K5).
pub(crate) type Salt = [u8; NONCE_LEN];

/// Versions and policies use the nonce unchanged, even for several cells (F13).
pub(crate) const UNSALTED: Salt = [0; NONCE_LEN];

/// Decrypts the cells of one row.
#[derive(Debug)]
pub(crate) struct Opener<'a> {
    cipher: &'a RootCipher,
    nonce: Nonce,
}

impl<'a> Opener<'a> {
    pub(crate) fn new(cipher: &'a RootCipher, nonce: ValueRef<'_>) -> Result<Self, Reason> {
        let nonce = nonce.as_blob().ok().and_then(<[u8]>::as_array::<NONCE_LEN>);
        Ok(Self { cipher, nonce: *nonce.ok_or(Reason::Nonce)? })
    }

    pub(crate) fn open(
        &self,
        cell: ValueRef<'_>,
        salt: &Salt,
    ) -> Result<Zeroizing<Vec<u8>>, Reason> {
        let mut nonce = self.nonce;
        nonce.iter_mut().zip(salt).for_each(|(byte, salt)| *byte ^= salt);
        let ciphertext = cell.as_blob().map_err(|_not_bytes| Reason::Undecryptable)?;
        // Upstream does not bind its rows (F14).
        let opened = self.cipher.aead().decrypt(&nonce, ciphertext, &AssociatedData::none());
        opened.map_err(|_opaque| Reason::Undecryptable)
    }

    /// Decrypts a text that is no secret.
    pub(crate) fn text(&self, cell: ValueRef<'_>, salt: &Salt) -> Result<String, Reason> {
        let plaintext = self.open(cell, salt)?;
        String::from_utf8(plaintext.to_vec()).map_err(|_not_utf8| Reason::Content)
    }
}

/// A row is named in the log even if its name is not text.
pub(crate) fn name(cell: ValueRef<'_>) -> String {
    match cell {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Blob(bytes) => bytes.escape_ascii().to_string(),
    }
}

/// Parses a time: text as upstream's driver writes and reads it, or a number of seconds or milliseconds. `None` for anything
/// else, and outside of 1677 to 2262.
pub(crate) fn time(cell: ValueRef<'_>) -> Option<UnixNanos> {
    match cell {
        ValueRef::Integer(millis) if millis.unsigned_abs() > 1_000_000_000_000 => {
            millis.checked_mul(1_000_000)
        }
        ValueRef::Integer(seconds) => from_seconds(seconds),
        ValueRef::Text(text) => from_text(std::str::from_utf8(text).ok()?),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => None,
    }
}

pub(crate) fn from_seconds(seconds: i64) -> Option<UnixNanos> {
    seconds.checked_mul(1_000_000_000)
}

/// `YYYY-MM-DD`, then a blank or `T` and `HH:MM`, then `:SS` and a fraction, then an offset. The default is UTC.
fn from_text(text: &str) -> Option<UnixNanos> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, rest) = text.split_at_checked(10)?;
    let date = date_of(date)?;
    if rest.is_empty() {
        return nanos(date, Time::MIDNIGHT, UtcOffset::UTC);
    }
    let rest = rest.strip_prefix([' ', 'T'])?;
    let (clock, rest) = rest.split_at_checked(5)?;
    let (hour, minute) = pair(clock)?;
    let Some(rest) = rest.strip_prefix(':') else {
        let time = Time::from_hms(hour, minute, 0).ok()?;
        return if rest.is_empty() { nanos(date, time, UtcOffset::UTC) } else { None };
    };
    let (seconds, offset) = rest.split_at(rest.find(['+', '-']).unwrap_or(rest.len()));
    let (second, nano) = match seconds.split_once('.') {
        Some((second, fraction)) => (second, nano_of(fraction)?),
        None => (seconds, 0),
    };
    let time = Time::from_hms_nano(hour, minute, two(second)?, nano).ok()?;
    nanos(date, time, offset_of(offset)?)
}

fn date_of(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let year = parts.next().filter(|year| year.len() == 4 && is_digits(year))?;
    let month = Month::try_from(two(parts.next()?)?).ok()?;
    Date::from_calendar_date(year.parse().ok()?, month, two(parts.next()?)?).ok()
}

/// Nanoseconds; digits beyond the ninth are dropped.
fn nano_of(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || !is_digits(fraction) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    Some(digits.fold(0, |nano, digit| nano * 10 + u32::from(digit - b'0')))
}

fn offset_of(text: &str) -> Option<UtcOffset> {
    let sign = match text.as_bytes().first() {
        None => return Some(UtcOffset::UTC),
        Some(b'-') => -1,
        Some(_plus) => 1,
    };
    let (hours, minutes) = pair(text.get(1..)?)?;
    let minutes = i32::from(hours) * 60 + i32::from(minutes);
    UtcOffset::from_whole_seconds(sign * minutes * 60).ok()
}

/// `12:34`.
fn pair(text: &str) -> Option<(u8, u8)> {
    let (first, second) = text.split_once(':')?;
    Some((two(first)?, two(second)?))
}

fn two(text: &str) -> Option<u8> {
    if text.len() == 2 && is_digits(text) { text.parse().ok() } else { None }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn nanos(date: Date, time: Time, offset: UtcOffset) -> Option<UnixNanos> {
    let at = OffsetDateTime::new_in_offset(date, time, offset);
    at.unix_timestamp_nanos().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<UnixNanos> {
        time(ValueRef::Text(text.as_bytes()))
    }

    // crypto-and-storage 7.4, appendix A.
    #[test]
    fn a_time_is_read_in_every_form_that_the_driver_reads() {
        let second = 1_795_318_459_000_000_000;
        for (text, expected) in [
            ("2026-11-22 06:34:19.018713996+03:00", second + 18_713_996),
            ("2026-11-22T06:34:19.018713996+03:00", second + 18_713_996),
            ("2026-11-22 03:34:19.018713996", second + 18_713_996),
            ("2026-11-22T03:34:19.018713996Z", second + 18_713_996),
            ("2026-11-21 22:04:19.5-05:30", second + 500_000_000),
            ("2026-11-22 03:34:19+00:00", second),
            ("2026-11-22 03:34:19", second),
            ("2026-11-22T03:34:19Z", second),
            ("2026-11-22 03:34", second - 19_000_000_000),
            ("2026-11-22T03:34", second - 19_000_000_000),
            ("2026-11-22", 1_795_305_600_000_000_000),
            ("1969-12-31 23:59:59.999999999+00:00", -1),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_number_is_seconds_or_when_it_is_large_milliseconds() {
        let number = |number| time(ValueRef::Integer(number));
        assert_eq!(number(1_795_318_459), Some(1_795_318_459_000_000_000));
        assert_eq!(number(1_795_318_459_018), Some(1_795_318_459_018_000_000));
        assert_eq!(number(-1), Some(-1_000_000_000));
        assert_eq!(number(i64::MAX), None);
        assert_eq!(number(i64::MIN), None);
    }

    #[test]
    fn what_is_no_time_is_none_and_never_a_panic() {
        for text in [
            "",
            "now",
            "2026",
            "2026-11-2",
            "2026-13-01",
            "2026-02-30",
            "2026-11-22 ",
            "2026-11-22 6:34:19",
            "2026-11-22 24:00:00",
            "2026-11-22 03:34:60",
            "2026-11-22 03:34:19.",
            "2026-11-22 03:34:19.x",
            "2026-11-22 03:34:19+03",
            "2026-11-22 03:34:19+99:99",
            "2026-11-22 03:34+03:00",
            "2026-11-22x03:34:19",
            "+026-11-22",
            "0001-01-01 00:00:00+00:00",
            "9999-12-31 00:00:00+00:00",
            "2026-11-2\u{e9}",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(time(ValueRef::Null), None);
        assert_eq!(time(ValueRef::Real(1.5)), None);
        assert_eq!(time(ValueRef::Blob(b"2026-11-22")), None);
    }
}
