//! Counts the fields of an HTTP/2 header block as it arrives.
//!
//! A field can be as short as one byte on the wire, and takes a hundred times as much memory once the HTTP/2 library has
//! decoded it. So a block with too many fields is noticed here before the library has it. Only the structure of HPACK
//! (RFC 7541, section 6) is read: no text is decoded, and nothing is kept.

/// Flags of a HEADERS frame whose payload has more than the block (RFC 9113, section 6.2).
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The bytes of a priority.
const PRIORITY_LEN: usize = 5;

/// A header block, over any number of frames.
#[derive(Debug)]
pub(super) struct HeaderBlock {
    /// The length of the padding of the current frame is the next byte.
    has_padding: bool,
    /// Bytes before the block in the current frame.
    before: usize,
    /// Bytes of the block in the current frame.
    left: usize,
    next: Next,
    fields: usize,
}

/// What the next byte of a block is.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// The first byte of a field, or of a change of the table.
    Field,
    /// More of an index. So many texts follow it.
    Index { texts: u8 },
    /// The first byte of the length of a text, with which so many texts end the field.
    TextLength { texts: u8 },
    /// More of that length.
    MoreLength { texts: u8, length: usize, shift: u32 },
    /// A text.
    Text { texts: u8, left: usize },
}

impl HeaderBlock {
    pub(super) const fn new() -> Self {
        Self { has_padding: false, before: 0, left: 0, next: Next::Field, fields: 0 }
    }

    /// A HEADERS frame of `length` bytes begins a block.
    pub(super) const fn begin(&mut self, flags: u8, length: usize) {
        *self = Self::new();
        self.has_padding = flags & PADDED != 0;
        self.before = if flags & PRIORITY == 0 { 0 } else { PRIORITY_LEN };
        self.left = length.saturating_sub(self.before + if self.has_padding { 1 } else { 0 });
    }

    /// A CONTINUATION frame of `length` bytes continues it.
    pub(super) const fn resume(&mut self, length: usize) {
        (self.has_padding, self.before, self.left) = (false, 0, length);
    }

    /// The number of fields that have begun.
    pub(super) const fn fields(&self) -> usize {
        self.fields
    }

    /// Reads the next bytes of the payload.
    pub(super) fn take(&mut self, mut payload: &[u8]) {
        if self.has_padding {
            let Some(padding) = payload.split_off_first() else { return };
            self.left = self.left.saturating_sub(usize::from(*padding));
            self.has_padding = false;
        }
        let before = self.before.min(payload.len());
        self.before -= before;
        let payload = payload.get(before..).unwrap_or_default();
        // What is behind it is padding.
        let block = payload.get(..self.left.min(payload.len())).unwrap_or_default();
        self.left -= block.len();
        self.read(block);
    }

    fn read(&mut self, mut block: &[u8]) {
        while !block.is_empty() {
            if let Next::Text { texts, left } = self.next {
                let read = left.min(block.len());
                block = block.get(read..).unwrap_or_default();
                self.next = in_text(texts, left - read);
            } else if let Some(byte) = block.split_off_first() {
                self.next = self.after(*byte);
            }
        }
    }

    /// What follows this byte, which is none of a text.
    fn after(&mut self, byte: u8) -> Next {
        match self.next {
            Next::Field => self.after_first(byte),
            Next::Index { .. } if byte & 0x80 != 0 => self.next,
            Next::Index { texts } => before_text(texts),
            Next::TextLength { texts } => match usize::from(byte & 0x7f) {
                0x7f => Next::MoreLength { texts, length: 0x7f, shift: 0 },
                length => in_text(texts, length),
            },
            Next::MoreLength { texts, length, shift } => {
                let more = usize::from(byte & 0x7f).checked_shl(shift).unwrap_or(usize::MAX);
                let length = length.saturating_add(more);
                if byte & 0x80 == 0 {
                    in_text(texts, length)
                } else {
                    Next::MoreLength { texts, length, shift: shift.saturating_add(7) }
                }
            }
            Next::Text { .. } => self.next,
        }
    }

    /// What follows the first byte of a field. Its highest bits say what it is, and the others are an index, or the
    /// beginning of a larger one if all of them are set.
    const fn after_first(&mut self, byte: u8) -> Next {
        let (prefix, texts) = match byte {
            0x80.. => (0x7f, 0),
            0x40 => (0x3f, 2),
            0x41..0x80 => (0x3f, 1),
            // It is no field: the table changes its size.
            0x20..0x40 => {
                return if byte & 0x1f == 0x1f { Next::Index { texts: 0 } } else { Next::Field };
            }
            0x00 | 0x10 => (0x0f, 2),
            0x01..0x10 | 0x11..0x20 => (0x0f, 1),
        };
        self.fields += 1;
        if byte & prefix == prefix { Next::Index { texts } } else { before_text(texts) }
    }
}

const fn before_text(texts: u8) -> Next {
    if texts == 0 { Next::Field } else { Next::TextLength { texts } }
}

/// Within a text of which `left` bytes follow.
const fn in_text(texts: u8, left: usize) -> Next {
    if left == 0 { before_text(texts - 1) } else { Next::Text { texts, left } }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every representation once (RFC 7541, sections 6.1 to 6.3), and how many fields these are.
    fn all() -> (Vec<u8>, usize) {
        let long = [&[0x7f, 0x81, 0x01][..], &[0x82; 0x7f + 0x81]].concat();
        let block = [
            // Indexed, with a small and a large index.
            &[0x82, 0xff, 0x80, 0x01][..],
            // Into the table: with an index, with a large one, and with a name.
            &[0x41, 1, 0x82],
            &[0x7f, 0x01, 0],
            &[0x40, 2, 0x82, 0x82, 1, 0x82],
            // Not into the table, and never.
            &[0x04, 0],
            &[0x0f, 0x80, 0x00, 1, 0x82],
            &[0x00, 0, 1, 0x82],
            &[0x10, 1, 0x82, 0x81, 0x82],
            &[0x1f, 0x07, 0],
            // Sizes of the table.
            &[0x20, 0x3f, 0xe1, 0x1f],
            // A long text.
            &[0x04],
            &long,
            &[0x82],
        ];
        (block.concat(), 12)
    }

    #[test]
    fn every_kind_of_field_is_counted_once_wherever_the_bytes_are_cut() {
        let (payload, fields) = all();
        for length in 1..=payload.len() {
            let mut block = HeaderBlock::new();
            block.begin(0, payload.len());
            payload.chunks(length).for_each(|part| block.take(part));
            assert_eq!(block.fields(), fields, "in parts of {length} bytes");
        }
    }

    #[test]
    fn padding_and_priority_are_no_fields_and_a_block_goes_on_in_the_next_frame() {
        let (payload, fields) = all();
        let (first, second) = payload.split_at(9);
        let frame = [&[3][..], &[0x82; 5], first, &[0x82; 3]].concat();
        for length in 1..=frame.len() {
            let mut block = HeaderBlock::new();
            block.begin(PADDED | PRIORITY, frame.len());
            frame.chunks(length).for_each(|part| block.take(part));
            block.resume(second.len());
            second.chunks(length).for_each(|part| block.take(part));
            assert_eq!(block.fields(), fields, "in parts of {length} bytes");
        }
    }

    #[test]
    fn nonsense_ends_in_no_panic() {
        for byte in 0..=u8::MAX {
            let mut block = HeaderBlock::new();
            block.begin(byte, 40);
            block.take(&[byte; 80]);
            block.resume(40);
            block.take(&[0xff; 40]);
            assert!(block.fields() <= 80);
        }
    }
}
