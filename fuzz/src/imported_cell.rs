//! Cells of upstream's database: times in any form, and names of rows. The first byte is the type of the cell.

use rusqlite::types::ValueRef;
use spike_nexus::store::fuzzing::{imported_name, imported_time};
use time::OffsetDateTime;

/// See the module. Accepts a time.
pub fn check(data: &[u8]) -> bool {
    let Some((kind, bytes)) = data.split_first() else { return false };
    let number = bytes.first_chunk().map_or(0, |number| i64::from_le_bytes(*number));
    let cell = match kind {
        b't' => ValueRef::Text(bytes),
        b'i' => ValueRef::Integer(number),
        b'r' => ValueRef::Real(f64::from_bits(number.cast_unsigned())),
        b'b' => ValueRef::Blob(bytes),
        _ => ValueRef::Null,
    };
    if let (ValueRef::Text(text), Ok(own)) = (cell, std::str::from_utf8(bytes)) {
        assert_eq!(imported_name(ValueRef::Text(text)), own, "a name that is text stays as it is");
    }
    drop(imported_name(cell));

    let Some(nanos) = imported_time(cell) else { return false };
    assert!(matches!(cell, ValueRef::Text(_) | ValueRef::Integer(_)), "{cell:?} is no time");
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos.into()).expect("a time of ours");
    let written = format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:09}+00:00",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.nanosecond()
    );
    let again = imported_time(ValueRef::Text(written.as_bytes()));
    assert_eq!(again, Some(nanos), "{written}: as upstream's driver writes it");
    true
}
