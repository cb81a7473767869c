//! Memory for large bodies and answers, which goes back to the operating system when it is let go.
//!
//! What a general allocator frees it keeps for later, and where memory is locked it cannot even hand the pages back: after
//! a flood of large bodies the process would stay large. A mapping of its own is unmapped, and its pages are wiped before
//! anybody else gets them.

use std::io;

use bytes::{Bytes, BytesMut};
use memmap2::MmapMut;

use spike_mtls::budget::Taken;

/// Up to this many bytes the general allocator serves better.
const SMALL: usize = 64 * 1024;

/// Memory that is filled from its beginning.
#[derive(Debug)]
pub(super) enum Block {
    Allocated(BytesMut),
    Mapped { map: MmapMut, length: usize },
}

impl Block {
    /// Room for at least `capacity` bytes. A page takes memory once something is written to it.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        if capacity > SMALL {
            match MmapMut::map_anon(capacity) {
                Ok(map) => return Self::Mapped { map, length: 0 },
                Err(error) => not_mapped(&error),
            }
        }
        Self::Allocated(BytesMut::with_capacity(capacity))
    }

    /// How many bytes were written.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Allocated(bytes) => bytes.len(),
            Self::Mapped { length, .. } => *length,
        }
    }

    /// Adds `more`. Where it does not fit, all of it moves to a larger place.
    pub(super) fn extend(&mut self, more: &[u8]) {
        let end = self.len() + more.len();
        match self {
            Self::Allocated(bytes) if end <= SMALL || end <= bytes.capacity() => {
                bytes.extend_from_slice(more);
            }
            Self::Mapped { map, length } if end <= map.len() => {
                if let Some(room) = map.get_mut(*length..end) {
                    room.copy_from_slice(more);
                    *length = end;
                }
            }
            Self::Allocated(_) | Self::Mapped { .. } => {
                let mut larger = Self::with_capacity(end.saturating_mul(2));
                larger.extend(self.written());
                larger.extend(more);
                *self = larger;
            }
        }
    }

    /// What was written. `taken` is given back when the memory is.
    pub(super) fn into_bytes(self, taken: Option<Taken>) -> Bytes {
        Bytes::from_owner(Owner { block: self, _taken: taken })
    }

    fn written(&self) -> &[u8] {
        match self {
            Self::Allocated(bytes) => bytes,
            Self::Mapped { map, length } => map.get(..*length).unwrap_or_default(),
        }
    }
}

/// A block with what it takes of a budget.
struct Owner {
    block: Block,
    _taken: Option<Taken>,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.block.written()
    }
}

fn not_mapped(error: &io::Error) {
    tracing::debug!(reason = %error, "no mapping for a large body; the allocator serves it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_holds_what_was_written_whatever_its_size_and_however_it_grew() {
        for capacity in [0, 10, SMALL, SMALL + 1, 4 * SMALL] {
            for part in [1, 1000, SMALL, 3 * SMALL] {
                let mut block = Block::with_capacity(capacity);
                let mut expected = Vec::new();
                for number in 0..5_u8 {
                    block.extend(&vec![number; part]);
                    expected.extend(vec![number; part]);
                    assert_eq!(block.len(), expected.len());
                }
                assert_eq!(block.into_bytes(None), expected, "{capacity} {part}");
            }
        }
    }

    #[test]
    fn a_large_block_is_a_mapping_of_its_own() {
        assert!(matches!(Block::with_capacity(SMALL), Block::Allocated(_)));
        assert!(matches!(Block::with_capacity(SMALL + 1), Block::Mapped { .. }));
    }
}
