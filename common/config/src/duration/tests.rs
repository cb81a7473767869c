//! The cases of Go's own tests (`time_test.go` of Go 1.26: `parseDurationTests`, `parseDurationErrorTests`,
//! `durationTests`), and more with the results of Go 1.26. Go's cases of invalid UTF-8 are omitted: a `str` cannot
//! hold them, and `Reader` refuses such a value earlier.

use proptest::prelude::*;

use super::*;

const MS: i64 = 1_000_000;
const S: i64 = 1_000 * MS;
const M: i64 = 60 * S;
const H: i64 = 60 * M;

fn parse(text: &str) -> Result<i64, DurationError> {
    text.parse::<GoDuration>().map(GoDuration::nanos)
}

#[test]
fn reads_every_duration_of_the_go_tests() {
    let cases = [
        ("0", 0),
        ("5s", 5 * S),
        ("30s", 30 * S),
        ("1478s", 1478 * S),
        ("-5s", -5 * S),
        ("+5s", 5 * S),
        ("-0", 0),
        ("+0", 0),
        ("5.0s", 5 * S),
        ("5.6s", 5 * S + 600 * MS),
        ("5.s", 5 * S),
        (".5s", 500 * MS),
        ("1.0s", S),
        ("1.00s", S),
        ("1.004s", S + 4 * MS),
        ("1.0040s", S + 4 * MS),
        ("100.00100s", 100 * S + MS),
        ("10ns", 10),
        ("11us", 11_000),
        ("12\u{b5}s", 12_000),
        ("12\u{3bc}s", 12_000),
        ("13ms", 13 * MS),
        ("14s", 14 * S),
        ("15m", 15 * M),
        ("16h", 16 * H),
        ("3h30m", 3 * H + 30 * M),
        ("10.5s4m", 4 * M + 10 * S + 500 * MS),
        ("-2m3.4s", -(2 * M + 3 * S + 400 * MS)),
        ("1h2m3s4ms5us6ns", H + 2 * M + 3 * S + 4 * MS + 5_006),
        ("39h9m14.425s", 39 * H + 9 * M + 14 * S + 425 * MS),
        ("52763797000ns", 52_763_797_000),
        ("0.3333333333333333333h", 20 * M),
        ("9007199254740993ns", (1 << 53) + 1),
        ("9223372036854775807ns", i64::MAX),
        ("9223372036854775.807us", i64::MAX),
        ("9223372036s854ms775us807ns", i64::MAX),
        ("-9223372036854775808ns", i64::MIN),
        ("-9223372036854775.808us", i64::MIN),
        ("-9223372036s854ms775us808ns", i64::MIN),
        ("-2562047h47m16.854775808s", i64::MIN),
        ("0.100000000000000000000h", 6 * M),
        ("0.830103483285477580700h", 49 * M + 48 * S + 372_539_827),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }
}

#[test]
fn reads_more_as_a_run_of_go_does() {
    let cases = [
        ("1h30m0s", 5_400_000_000_000),
        ("-1.5h", -5_400_000_000_000),
        ("-.5s", -500_000_000),
        ("00001s", 1_000_000_000),
        ("1.1ns", 1),
        ("1.9ns", 1),
        ("0.0000000001s", 0),
        ("9223372036.854775807s", i64::MAX),
        ("2562047h47m16.854775807s", i64::MAX),
        ("0h", 0),
        ("0.999999999999999999999999s", 1_000_000_000),
        ("2562047.788015215h", 9_223_372_036_854_774_000),
        ("1h0.5m", 3_630_000_000_000),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }
}

#[test]
fn refuses_what_go_refuses_and_says_why() {
    use DurationError::{Invalid, MissingUnit, TooLong, UnknownUnit};
    let unknown = |unit: &str| UnknownUnit(unit.to_owned());
    let cases = [
        // Go's own cases.
        ("", Invalid),
        ("3", MissingUnit),
        ("-", Invalid),
        ("s", Invalid),
        (".", Invalid),
        ("-.", Invalid),
        (".s", Invalid),
        ("+.s", Invalid),
        ("1d", unknown("d")),
        ("\u{fffd}", Invalid),
        ("\u{fffd} hello \u{fffd} world", Invalid),
        ("9223372036854775810ns", TooLong),
        ("9223372036854775808ns", TooLong),
        ("-9223372036854775809ns", TooLong),
        ("9223372036854776us", TooLong),
        ("3000000h", TooLong),
        ("9223372036854775.808us", TooLong),
        ("9223372036854ms775us808ns", TooLong),
        // More, with Go's results.
        ("30", MissingUnit),
        (" 30s", Invalid),
        ("30s ", unknown("s ")),
        ("1e3s", unknown("e")),
        ("1H", unknown("H")),
        ("9223372036.854775808s", TooLong),
        ("--5s", Invalid),
        ("+-5s", Invalid),
        ("5s-3s", unknown("s-")),
        ("5s 3s", unknown("s ")),
        ("0.", MissingUnit),
        ("-0.", MissingUnit),
        ("00", MissingUnit),
        ("1.2.3s", MissingUnit),
        ("999999999999999999999s", TooLong),
        ("1\u{b5}", unknown("\u{b5}")),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text), Err(expected), "{text:?}");
    }
}

#[test]
fn prints_as_go_prints() {
    let cases = [
        ("0s", 0),
        ("1ns", 1),
        ("1.1\u{b5}s", 1_100),
        ("2.2ms", 2_200_000),
        ("3.3s", 3_300 * MS),
        ("4m5s", 4 * M + 5 * S),
        ("4m5.001s", 4 * M + 5_001 * MS),
        ("5h6m7.001s", 5 * H + 6 * M + 7_001 * MS),
        ("8m0.000000001s", 8 * M + 1),
        ("1h30m0s", H + 30 * M),
        ("-1.5s", -1_500 * MS),
        ("2562047h47m16.854775807s", i64::MAX),
        ("-2562047h47m16.854775808s", i64::MIN),
    ];
    for (expected, nanos) in cases {
        assert_eq!(GoDuration::from_nanos(nanos).to_string(), expected);
    }
}

#[test]
fn only_a_duration_above_zero_is_positive() {
    let positive = |text: &str| text.parse::<GoDuration>().unwrap().positive();
    assert_eq!(positive("1.5s"), Some(Duration::from_millis(1500)));
    assert_eq!(positive("0"), None);
    assert_eq!(positive("-1ns"), None);
}

proptest! {
    #[test]
    fn whole_milliseconds_survive_printing_and_reading(ms in -(1_i64 << 40)..(1_i64 << 40)) {
        let duration = GoDuration::from_nanos(ms * MS);
        prop_assert_eq!(duration.to_string().parse(), Ok(duration));
    }

    #[test]
    fn any_text_is_refused_or_means_a_duration_that_can_be_printed(
        text in "[-+]?([0-9]{0,25}(\\.[0-9]{0,25})?(ns|us|µs|ms|s|m|h|.)){0,4}",
    ) {
        if let Ok(duration) = text.parse::<GoDuration>() {
            prop_assert!(duration.to_string().parse::<GoDuration>().is_ok(), "{duration}");
        }
    }
}
