//! Quorums, share indexes and recovery text.
#![cfg(test)] // for clippy: helpers are test code too

use spike_crypto::{Quorum, QuorumError, Share, ShareError, ShareIndex, ShareValue};

const DIGITS: &str = "630ecf2c6ac9396d991b5e53c7bf695f0423b6af8742c8dfc3dad27337f42efc";

#[test]
fn a_quorum_needs_at_least_one_share_and_at_most_all() {
    let table = [
        ((1, 1), Ok(())),
        ((3, 1), Ok(())),
        ((3, 2), Ok(())),
        ((1000, 1000), Ok(())),
        ((3, 0), Err(QuorumError::ThresholdZero)),
        ((0, 0), Err(QuorumError::ThresholdZero)),
        ((0, 1), Err(QuorumError::ThresholdAboveShares { shares: 0, threshold: 1 })),
        ((3, 4), Err(QuorumError::ThresholdAboveShares { shares: 3, threshold: 4 })),
        ((1001, 2), Err(QuorumError::TooManyShares { shares: 1001 })),
    ];
    for ((shares, threshold), expected) in table {
        let quorum = Quorum::new(shares, threshold);
        assert_eq!(quorum.map(|_| ()), expected, "{threshold} of {shares}");
        if let Ok(quorum) = quorum {
            assert_eq!((quorum.shares(), quorum.threshold()), (shares, threshold));
        }
    }
}

#[test]
fn a_quorum_that_is_refused_says_what_was_expected() {
    let message = |shares, threshold| Quorum::new(shares, threshold).unwrap_err().to_string();
    assert_eq!(message(3, 0), "a threshold of 0 shares: expected at least 1");
    assert_eq!(message(3, 5), "a threshold of 5 with 3 shares: expected at most 3");
    assert_eq!(message(1001, 5), "1001 shares: expected at most 1000");
}

#[test]
fn a_share_index_is_1_to_65535() {
    for index in [1, 2, 1000, 65535] {
        assert_eq!(ShareIndex::try_from(index).unwrap().to_string(), index.to_string());
    }
    for index in [0, -1, 65536, i64::MIN, i64::MAX] {
        assert_eq!(ShareIndex::try_from(index), Err(ShareError::IndexOutOfRange { index }));
    }
    assert_eq!(ShareIndex::new(0), Err(ShareError::IndexOutOfRange { index: 0 }));
}

#[test]
fn share_values_compare_by_content() {
    let value = |byte| ShareValue::from_bytes(&[byte; 32]).unwrap();
    assert!(value(7).ct_eq(&value(7)));
    assert!(!value(7).ct_eq(&value(8)));
}

#[test]
fn recovery_text_as_people_hand_it_over_is_read() {
    let table = [
        format!("spike:2:{DIGITS}"),
        format!("spike:2:{DIGITS}\n"),
        format!("  spike:2:{DIGITS}\r\n"),
        // Editors save a file with a byte order mark; `cat` of two such files leaves the second mark at the end of the first.
        format!("\u{feff}spike:2:{DIGITS}\r\n"),
        format!("spike:2:{DIGITS}\u{feff}"),
        format!("spike:2:{}", DIGITS.to_uppercase()),
        format!("spike:+2:{DIGITS}"),
        format!("spike:002:{DIGITS}"),
    ];
    for text in table {
        let share = Share::from_recovery_text(&text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(*share.to_recovery_text(), format!("spike:2:{DIGITS}"), "{text:?}");
    }
}

#[test]
fn recovery_text_in_utf_16_is_told_as_no_utf_8() {
    let text = format!("\u{feff}spike:2:{DIGITS}");
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(Share::from_recovery_bytes(&bytes).unwrap_err(), ShareError::NotText);
    assert!(Share::from_recovery_bytes(text.as_bytes()).is_ok());
}

#[test]
fn the_longest_recovery_text_is_written_whole() {
    let value = ShareValue::from_bytes(&[0xab; 32]).unwrap();
    let share = Share { index: ShareIndex::new(65535).unwrap(), value };
    assert_eq!(*share.to_recovery_text(), format!("spike:65535:{}", "ab".repeat(32)));
}

#[test]
fn each_fault_of_a_recovery_text_has_its_own_error() {
    let table = [
        (String::new(), ShareError::NotThreeParts),
        (DIGITS.to_owned(), ShareError::NotThreeParts),
        (format!("spike:{DIGITS}"), ShareError::NotThreeParts),
        (format!("Spike:1:{DIGITS}"), ShareError::WrongPrefix),
        (format!("vault:1:{DIGITS}"), ShareError::WrongPrefix),
        (format!("spike:1:{}", &DIGITS[1..]), ShareError::WrongLength { length: 63 }),
        (format!("spike:1:{DIGITS}:"), ShareError::WrongLength { length: 65 }),
        ("spike:1:".to_owned(), ShareError::WrongLength { length: 0 }),
        (format!("spike:1:{}g", &DIGITS[1..]), ShareError::NotHex),
        (format!("spike:1:é{}", &DIGITS[2..]), ShareError::NotHex),
        (format!("spike:one:{DIGITS}"), ShareError::IndexNotANumber),
        (format!("spike::{DIGITS}"), ShareError::IndexNotANumber),
        (format!("spike:1_0:{DIGITS}"), ShareError::IndexNotANumber),
        (format!("spike:0:{DIGITS}"), ShareError::IndexOutOfRange { index: 0 }),
        (format!("spike:-1:{DIGITS}"), ShareError::IndexOutOfRange { index: -1 }),
        (format!("spike:65536:{DIGITS}"), ShareError::IndexOutOfRange { index: 65536 }),
        (format!("spike:1:{}", "0".repeat(64)), ShareError::ValueZero),
        (format!("spike:1:{}", "f".repeat(64)), ShareError::ValueNotBelowOrder),
    ];
    for (text, expected) in table {
        assert_eq!(Share::from_recovery_text(&text).unwrap_err(), expected, "{text:?}");
    }
}

/// A secret in the wrong place must not reach a log through the error.
#[test]
fn errors_do_not_quote_the_text() {
    for text in [format!("{DIGITS}:1:spike"), format!("spike:{DIGITS}:{DIGITS}")] {
        let error = Share::from_recovery_text(&text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&DIGITS[..8]), "{error}");
    }
}
