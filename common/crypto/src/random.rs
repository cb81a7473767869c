//! Random bytes of the operating system: the only source of keys and nonces, and of choices that nobody may foresee.

/// The operating system's random source failed, so no key or nonce could be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random source failed")]
pub struct RandomError(#[source] getrandom::Error);

/// Fills `bytes`.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(bytes).map_err(RandomError)
}

/// A number below `bound`, which is far below 2^32, so that each is as probable as the others; `None` if the source failed.
pub(crate) fn below(bound: usize) -> Option<usize> {
    usize::try_from(getrandom::u32().ok()?).ok()?.checked_rem(bound)
}
