//! The part of HPACK (RFC 7541) that a client without a dynamic table needs.
//!
//! It writes literals without Huffman coding and without an index. It reads the static table and literals. Of the Huffman code
//! it knows only the codes of up to seven bits, which are letters, digits and little else. A field with any other character is
//! left out of the result.

/// The static table (RFC 7541, appendix A): names, and values where there are any.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// The Huffman codes of up to seven bits (RFC 7541, appendix B): five, six and seven bits long, each list in the order of
/// its codes, the first of which is given.
const HUFFMAN: [(u8, u32, &[u8]); 3] = [
    (5, 0b0_0000, b"012aceiost"),
    (6, 0b01_0100, b" %-./3456789=A_bdfghlmnpru"),
    (7, 0b101_1100, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
];

/// A header block of literals.
pub fn encode<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

fn text(block: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    if length < 0x7f {
        block.push(u8::try_from(length).unwrap_or_default());
    } else {
        block.push(0x7f);
        length -= 0x7f;
        while length >= 0x80 {
            block.push(u8::try_from(length % 0x80).unwrap_or_default() | 0x80);
            length /= 0x80;
        }
        block.push(u8::try_from(length).unwrap_or_default());
    }
    block.extend_from_slice(text.as_bytes());
}

/// A small header block that expands to `count` fields of `size` bytes each. The first is put into the dynamic table, the
/// others name its index.
pub fn unfolding(size: usize, count: usize) -> Vec<u8> {
    /// An indexed field with the first entry of the dynamic table, which is 62 (RFC 7541, sections 2.3.3 and 6.1).
    const FIRST_DYNAMIC: u8 = 0xbe;
    let mut block = vec![0x40];
    text(&mut block, "x-large");
    text(&mut block, &"x".repeat(size));
    block.resize(block.len() + count, FIRST_DYNAMIC);
    block
}

/// The readable fields of a header block. `None` if the block is malformed or needs a dynamic table.
pub fn decode(block: &[u8]) -> Option<Vec<(String, String)>> {
    let mut block = Block(block);
    let mut fields = Vec::new();
    while let Some(first) = block.0.first().copied() {
        if first & 0x80 != 0 {
            let (name, value) = entry(block.number(7)?)?;
            fields.push((name.to_owned(), value.to_owned()));
            continue;
        }
        if first & 0xe0 == 0x20 {
            block.number(5)?;
            continue;
        }
        let index = block.number(if first & 0x40 == 0 { 4 } else { 6 })?;
        let name = match index {
            0 => block.text()?.read(),
            _ => Some(entry(index)?.0.to_owned()),
        };
        if let (Some(name), Some(value)) = (name, block.text()?.read()) {
            fields.push((name, value));
        }
    }
    Some(fields)
}

fn entry(index: usize) -> Option<(&'static str, &'static str)> {
    STATIC.get(index.checked_sub(1)?).copied()
}

/// The rest of a header block.
struct Block<'a>(&'a [u8]);

impl<'a> Block<'a> {
    /// A number whose first bits are the last `prefix` ones of the next byte.
    fn number(&mut self, prefix: u8) -> Option<usize> {
        let most = (1_usize << prefix) - 1;
        let mut number = usize::from(self.byte()?) & most;
        if number < most {
            return Some(number);
        }
        for shift in (0..28).step_by(7) {
            let byte = usize::from(self.byte()?);
            number += (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<Text<'a>> {
        let coded = self.0.first()? & 0x80 != 0;
        let length = self.number(7)?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Text { coded, bytes })
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

/// A text as it is on the wire.
struct Text<'a> {
    coded: bool,
    bytes: &'a [u8],
}

impl Text<'_> {
    /// `None` if it has characters that are not known here.
    fn read(&self) -> Option<String> {
        if self.coded { huffman(self.bytes) } else { String::from_utf8(self.bytes.to_vec()).ok() }
    }
}

fn huffman(bytes: &[u8]) -> Option<String> {
    let bits =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| u32::from((byte >> at) & 1)));
    let (mut code, mut length) = (0, 0);
    let mut text = String::new();
    for bit in bits {
        code = (code << 1) | bit;
        length += 1;
        let list = HUFFMAN.iter().find(|(bits, ..)| *bits == length);
        let found = list.and_then(|(_, first, characters)| {
            characters.get(usize::try_from(code.checked_sub(*first)?).ok()?)
        });
        if let Some(character) = found {
            text.push(char::from(*character));
            (code, length) = (0, 0);
        }
        if length > 7 {
            return None;
        }
    }
    // The rest is padding: the beginning of a code of ones.
    (code == (1 << length) - 1).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let long = "v".repeat(40_000);
        let fields = [(":status", "200"), ("x-long", &long), ("", "")];
        let read = decode(&encode(fields)).unwrap();
        let read: Vec<_> =
            read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(read, fields);
    }

    // RFC 7541, C.4.1 and C.6.1 have these texts.
    #[test]
    fn the_short_codes_of_huffman_are_read() {
        assert_eq!(huffman(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]).as_deref(), Some("no-cache"));
        assert_eq!(huffman(&[0x64, 0x02]).as_deref(), Some("302"));
        assert_eq!(
            huffman(&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f]).as_deref(),
            Some("custom-key")
        );
        assert_eq!(huffman(&[0xae, 0xc3, 0x77, 0x1a, 0x4b]).as_deref(), Some("private"));
    }

    #[test]
    fn an_index_and_a_literal_give_a_status() {
        let status = |block: &[u8]| decode(block).unwrap()[0].clone();
        assert_eq!(status(&[0x88]), (":status".to_owned(), "200".to_owned()));
        assert_eq!(
            status(&[0x20, 0x48, 0x82, 0x64, 0x02]),
            (":status".to_owned(), "302".to_owned())
        );
    }
}
