//! Memory for large bodies and answers that is returned to the operating system when it is freed.
//!
//! A general allocator keeps freed memory, and cannot return locked pages at all: the process would stay large after
//! many large bodies. So each large block is its own mapping. It is unmapped, and the kernel wipes its pages before it
//! reuses them.

use std::io;

use bytes::{Bytes, BytesMut};
use memmap2::MmapMut;

use spike_mtls::budget::Taken;

/// Larger bodies and answers, in bytes, are kept in mappings of their own, and larger values are read off the threads that
/// serve requests. For smaller ones the general allocator is better.
pub const LARGE: usize = 64 * 1024;

/// Memory that is filled from the start.
#[derive(Debug)]
pub(super) enum Block {
    Allocated(BytesMut),
    Mapped { map: MmapMut, length: usize },
}

impl Block {
    /// Memory for at least `capacity` bytes. A page is used only once something is written to it.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        if capacity > LARGE {
            match MmapMut::map_anon(capacity) {
                Ok(map) => return Self::Mapped { map, length: 0 },
                Err(error) => not_mapped(&error),
            }
        }
        Self::Allocated(BytesMut::with_capacity(capacity))
    }

    /// The number of bytes written.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Allocated(bytes) => bytes.len(),
            Self::Mapped { length, .. } => *length,
        }
    }

    /// Appends `more`. If it does not fit, everything moves to a larger block.
    pub(super) fn extend(&mut self, more: &[u8]) {
        let end = self.len() + more.len();
        match self {
            Self::Allocated(bytes) if end <= LARGE || end <= bytes.capacity() => {
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

    /// Appends `length` bytes that `fill` writes. If it fails, they are part of the block all the same.
    ///
    /// # Errors
    /// The error of `fill`.
    pub(super) fn extend_with<E>(
        &mut self,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.len();
        let end = start + length;
        match self {
            Self::Mapped { map, length } if end <= map.len() => {
                *length = end;
                fill(map.get_mut(start..end).unwrap_or_default())
            }
            Self::Allocated(bytes) if end <= bytes.capacity() => {
                bytes.resize(end, 0);
                fill(bytes.get_mut(start..end).unwrap_or_default())
            }
            Self::Allocated(_) | Self::Mapped { .. } => {
                let mut larger = Self::with_capacity(end);
                larger.extend(self.written());
                *self = larger;
                self.extend_with(length, fill)
            }
        }
    }

    /// The bytes written. `taken` is returned to the budget when they are freed.
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

/// A block, and what it has taken from a budget.
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
        for capacity in [0, 10, LARGE, LARGE + 1, 4 * LARGE] {
            for part in [1, 1000, LARGE, 3 * LARGE] {
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
    fn what_is_written_in_place_is_appended_whatever_room_there_was() {
        for capacity in [0, 10, LARGE, LARGE + 10, 3 * LARGE] {
            let mut block = Block::with_capacity(capacity);
            block.extend(b"before");
            for length in [0, 5, 2 * LARGE] {
                let fill = |place: &mut [u8]| {
                    place.fill(b'x');
                    Ok::<_, ()>(())
                };
                block.extend_with(length, fill).unwrap();
            }
            block.extend(b"after");
            let expected = [b"before".as_slice(), &vec![b'x'; 2 * LARGE + 5], b"after"].concat();
            assert_eq!(block.into_bytes(None), expected, "{capacity}");
        }
        assert_eq!(Block::with_capacity(0).extend_with(1, |_| Err("refused")), Err("refused"));
    }

    #[test]
    fn a_large_block_is_a_mapping_of_its_own() {
        assert!(matches!(Block::with_capacity(LARGE), Block::Allocated(_)));
        assert!(matches!(Block::with_capacity(LARGE + 1), Block::Mapped { .. }));
    }
}
