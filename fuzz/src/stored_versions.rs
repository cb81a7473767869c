//! The list of versions in the decrypted row of a path.

use std::num::NonZeroU32;

use spike_domain::History;
use spike_nexus::store::fuzzing::versions;

/// See the module. Accepts a list that is a valid history.
pub fn check(data: &[u8]) -> bool {
    let Some((listed, written)) = versions(data) else { return false };
    assert_eq!(written.len(), data.len(), "nothing is lost");
    let (again, settled) = versions(&written).expect("what is written reads");
    assert_eq!((&again, &settled), (&listed, &written));

    let last = listed.iter().map(|version| version.number).max().unwrap_or_default();
    let limit = const { NonZeroU32::new(3).unwrap() };
    let Ok(mut history) = History::from_parts(listed.clone(), last, limit, 1, 2) else {
        return false;
    };
    assert!(listed.is_sorted_by(|one, other| one.number < other.number));
    let Ok(put) = history.put(9, None) else {
        assert_eq!(last, i64::MAX, "numbers are used up before they are");
        return true;
    };
    assert_eq!(put.number, last + 1, "no number is given out twice");
    assert_eq!(history.versions().len(), (listed.len() + 1).min(3));
    assert_eq!(put.pruned.len(), (listed.len() + 1).saturating_sub(3));
    true
}
