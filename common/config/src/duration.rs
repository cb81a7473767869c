//! Durations as Go reads and prints them (`time.ParseDuration`, `Duration.String`), exact to the nanosecond.

use std::{fmt, str::FromStr, time::Duration};

const NANOSECOND: u64 = 1;
const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// The magnitude of the most negative duration, in nanoseconds: one more than that of the most positive.
const LIMIT: u64 = 1 << 63;

/// A signed duration in nanoseconds: about 292 years either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(i64);

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not the form `[+-]<number><unit>…`.
    #[error("not a number with a unit")]
    Invalid,
    /// A number without a unit: only `0` may stand alone.
    #[error("the unit is missing")]
    MissingUnit,
    /// A unit other than `ns`, `us`, `µs`, `ms`, `s`, `m` or `h`.
    #[error("{0:?} is not one of the units ns, us, ms, s, m, h")]
    UnknownUnit(String),
    /// More than about 292 years.
    #[error("longer than 292 years")]
    TooLong,
}

impl GoDuration {
    /// A duration of `nanos` nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The nanoseconds.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The duration, if it is above zero.
    pub fn positive(self) -> Option<Duration> {
        u64::try_from(self.0).ok().filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    }
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(DurationError::Invalid);
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let part;
            (part, rest) = leading_part(rest)?;
            total = total
                .checked_add(part)
                .filter(|total| *total <= LIMIT)
                .ok_or(DurationError::TooLong)?;
        }
        let signed =
            if negative { 0_i64.checked_sub_unsigned(total) } else { total.try_into().ok() };
        signed.map(Self).ok_or(DurationError::TooLong)
    }
}

/// Reads one number with its unit. Returns its nanoseconds and the rest.
fn leading_part(text: &str) -> Result<(u64, &str), DurationError> {
    let (whole, after_whole) = leading_integer(text)?;
    let (fraction, scale, after_number) = match after_whole.strip_prefix('.') {
        Some(digits) => leading_fraction(digits),
        None => (0, 1.0, after_whole),
    };
    // At least one digit before or after the point: `.s` is not a number.
    let digits = text.len() - after_number.len() - usize::from(after_whole.starts_with('.'));
    if digits == 0 {
        return Err(DurationError::Invalid);
    }
    let end =
        after_number.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after_number.len());
    let (name, rest) = after_number.split_at(end);
    let unit = match name {
        "" => return Err(DurationError::MissingUnit),
        "ns" => NANOSECOND,
        "us" | "\u{b5}s" | "\u{3bc}s" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return Err(DurationError::UnknownUnit(name.to_owned())),
    };
    let nanos = whole
        .checked_mul(unit)
        .and_then(|nanos| nanos.checked_add(fraction_of(unit, fraction, scale)))
        .filter(|nanos| *nanos <= LIMIT)
        .ok_or(DurationError::TooLong)?;
    Ok((nanos, rest))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Go computes fractions in float64 and cuts off; agreeing to the last nanosecond means doing the same"
)]
fn fraction_of(unit: u64, fraction: u64, scale: f64) -> u64 {
    (fraction as f64 * (unit as f64 / scale)) as u64
}

fn leading_integer(text: &str) -> Result<(u64, &str), DurationError> {
    let (digits, rest) = split_digits(text);
    let number = digits
        .bytes()
        .try_fold(0_u64, |number, digit| {
            number
                .checked_mul(10)?
                .checked_add(u64::from(digit - b'0'))
                .filter(|number| *number <= LIMIT)
        })
        .ok_or(DurationError::TooLong)?;
    Ok((number, rest))
}

/// The digits after a point as `number / scale`. Digits beyond 63 bits are dropped.
fn leading_fraction(text: &str) -> (u64, f64, &str) {
    let (digits, rest) = split_digits(text);
    let (mut number, mut scale) = (0_u64, 1.0_f64);
    for digit in digits.bytes() {
        if number > (LIMIT - 1) / 10 {
            break;
        }
        let longer = number * 10 + u64::from(digit - b'0');
        if longer > LIMIT {
            break;
        }
        number = longer;
        scale *= 10.0;
    }
    (number, scale, rest)
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// As Go prints it: `1h30m0s`, `4m5.001s`, `2.2ms`, `0s`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        match nanos {
            0 => f.write_str("0s"),
            1..MICROSECOND => write!(f, "{nanos}ns"),
            MICROSECOND..MILLISECOND => write!(f, "{}\u{b5}s", Decimal(nanos, MICROSECOND)),
            MILLISECOND..SECOND => write!(f, "{}ms", Decimal(nanos, MILLISECOND)),
            SECOND.. => {
                let minutes = nanos / SECOND / 60;
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                write!(f, "{}s", Decimal(nanos % (60 * SECOND), SECOND))
            }
        }
    }
}

/// A number of nanoseconds in a larger unit, without trailing zeros.
struct Decimal(u64, u64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(nanos, unit) = *self;
        write!(f, "{}", nanos / unit)?;
        let width = unit.ilog10() as usize;
        let fraction = format!("{:0width$}", nanos % unit);
        match fraction.trim_end_matches('0') {
            "" => Ok(()),
            digits => write!(f, ".{digits}"),
        }
    }
}

#[cfg(test)]
mod tests;
