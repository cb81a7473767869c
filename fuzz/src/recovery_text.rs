//! The text of a recovery share.

use spike_crypto::{Share, ShareIndex, ShareValue};

/// See the module.
pub fn check(data: &[u8]) -> bool {
    whole_value(data);
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(share) = Share::from_recovery_text(text) else { return false };

    let written = share.to_recovery_text();
    let typed = text.trim_matches(Share::is_blank);
    let digits = typed.rsplit(':').next().expect("split yields a part").to_lowercase();
    assert_eq!(*written, format!("spike:{}:{digits}", share.index), "another share than was typed");
    assert_reads_back(&share);
    true
}

/// A share with the first 32 bytes as value and the next two as index, if they are valid.
fn whole_value(data: &[u8]) {
    let Some((value, rest)) = data.split_first_chunk() else { return };
    let Some(index) = rest.first_chunk() else { return };
    let value = ShareValue::from_bytes(value);
    let index = ShareIndex::new(u16::from_be_bytes(*index));
    if let (Ok(index), Ok(value)) = (index, value) {
        assert_reads_back(&Share { index, value });
    }
}

fn assert_reads_back(share: &Share) {
    let again =
        Share::from_recovery_text(&share.to_recovery_text()).expect("what is written reads");
    assert_eq!(again.index, share.index);
    assert!(again.value.ct_eq(&share.value));
}
