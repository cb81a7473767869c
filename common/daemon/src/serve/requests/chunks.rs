//! A body in chunks: where it ends. It has the states of the library's own decoder, and goes from one to the next for the same bytes.
//!
//! What the library bounds (the length of extensions and trailers, the number of trailers) and looks at later (the fields
//! among the trailers) is not repeated: it refuses more than is refused here.

use super::{next, skip};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the first digit of a size.
    Start,
    Size,
    /// Blanks behind the size.
    Blank,
    Extension,
    /// Between the CR and the LF behind the size.
    SizeEnd,
    Data,
    /// Before the CR behind the data, and before the LF behind that.
    DataReturn,
    DataEnd,
    /// Before a trailer, or the empty line that ends the body.
    TrailerStart,
    /// A LF alone does not end it.
    Trailer,
    TrailerEnd,
    /// Between the CR and the LF of the empty line.
    LastEnd,
    Ended,
    Refused,
}

/// Reads one body.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkReader {
    place: Place,
    /// The size of the chunk as far as it was read, and then how much of it is to come.
    size: u64,
}

impl ChunkReader {
    pub(super) const fn new() -> Self {
        Self { place: Place::Start, size: 0 }
    }

    pub(super) const fn has_ended(&self) -> bool {
        matches!(self.place, Place::Ended)
    }

    pub(super) const fn is_refused(&self) -> bool {
        matches!(self.place, Place::Refused)
    }

    /// Whether only trailers are to come. The library keeps all of them until the body ends.
    pub(super) const fn is_within_trailers(&self) -> bool {
        matches!(
            self.place,
            Place::TrailerStart | Place::Trailer | Place::TrailerEnd | Place::LastEnd
        )
    }

    /// Reads to the end of the body, or what there is of it.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) {
        while !self.has_ended() && !self.is_refused() {
            if self.place == Place::Data {
                self.size = skip(bytes, self.size);
                if self.size == 0 {
                    self.place = Place::DataReturn;
                }
            }
            let Some(byte) = next(bytes) else { return };
            self.place = self.after(byte);
        }
    }

    fn after(&mut self, byte: u8) -> Place {
        let only = |expected, place| if byte == expected { place } else { Place::Refused };
        match (self.place, byte) {
            (Place::Start | Place::Size, _) if byte.is_ascii_hexdigit() => self.with_digit(byte),
            (Place::Size | Place::Blank, b' ' | b'\t') => Place::Blank,
            (Place::Size | Place::Blank | Place::Extension, b'\r') => Place::SizeEnd,
            (Place::Size | Place::Blank, _) => only(b';', Place::Extension),
            (Place::Extension, _) if byte != b'\n' => Place::Extension,
            (Place::SizeEnd, _) if self.size == 0 => only(b'\n', Place::TrailerStart),
            (Place::SizeEnd, _) => only(b'\n', Place::Data),
            (Place::DataReturn, _) => only(b'\r', Place::DataEnd),
            (Place::DataEnd, _) => only(b'\n', Place::Start),
            (Place::TrailerStart, b'\r') => Place::LastEnd,
            (Place::Trailer, b'\r') => Place::TrailerEnd,
            (Place::TrailerStart | Place::Trailer, _) => Place::Trailer,
            (Place::TrailerEnd, _) => only(b'\n', Place::TrailerStart),
            (Place::LastEnd, _) => only(b'\n', Place::Ended),
            (Place::Start | Place::Extension | Place::Data | Place::Ended | Place::Refused, _) => {
                Place::Refused
            }
        }
    }

    fn with_digit(&mut self, byte: u8) -> Place {
        let digit = char::from(byte).to_digit(16).unwrap_or_default();
        let size = self.size.checked_mul(16).and_then(|size| size.checked_add(u64::from(digit)));
        self.size = size.unwrap_or_default();
        if size.is_some() { Place::Size } else { Place::Refused }
    }
}
