//! The parser of the head of a backup, for its fuzz target.

/// How long the head is, if the bytes begin with one.
pub(in crate::store) fn head(bytes: &[u8]) -> Option<u64> {
    super::container::read_head(bytes).ok().map(|(_manifest, length)| length)
}
