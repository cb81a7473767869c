//! Fields of bytes and of secrets. They are read into buffers that are sized first and wiped later.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::super::shard::Shard;
use super::named::SecretValues;
use super::values::SecretBytes;
use super::{Field, JsonError, Reader, Writer};

/// A byte string: padded base64, a list of integers 0 to 255, or `null` for none.
impl Field for Vec<u8> {
    fn zero() -> Self {
        Self::new()
    }

    fn read(&mut self, from: &mut Reader<'_>) -> Result<(), JsonError> {
        *self = std::mem::take(&mut *read_bytes(from)?);
        Ok(())
    }

    fn write(&self, out: &mut Writer) {
        out.bytes(self);
    }
}

/// A byte string, in a buffer that is wiped.
impl Field for SecretBytes {
    fn zero() -> Self {
        Self::default()
    }

    fn read(&mut self, from: &mut Reader<'_>) -> Result<(), JsonError> {
        *self = Self::from(read_bytes(from)?);
        Ok(())
    }

    fn write(&self, out: &mut Writer) {
        out.bytes(self.expose_secret());
    }
}

/// The map of a secret. It is merged into the values of earlier fields of the same name. `null` empties it, and a
/// `null` value is the empty text.
impl Field for SecretValues {
    fn zero() -> Self {
        Self::default()
    }

    fn read(&mut self, from: &mut Reader<'_>) -> Result<(), JsonError> {
        // Measured first, so that no outgrown buffer is left.
        let (mut values, mut bytes) = (0, 0);
        let is_map = from.look_ahead(|ahead| {
            ahead.object(|name, value| {
                values += 1;
                bytes += name.decoded_len();
                if !value.null()? {
                    bytes += value.string()?.decoded_len();
                }
                Ok(())
            })
        })?;
        if !is_map {
            *self = Self::default();
            return from.null().map(drop);
        }
        let mut adding = self.adding(values, bytes).ok_or_else(|| from.error("too many values"))?;
        from.object(|name, value| {
            adding.name(|text| name.append_to(text));
            let value = if value.null()? { None } else { Some(value.string()?) };
            adding.value(|text| value.into_iter().for_each(|value| value.append_to(text)));
            Ok(())
        })
        .map(drop)
    }

    fn write(&self, out: &mut Writer) {
        out.object(|out| {
            for (name, value) in self.iter() {
                out.name(name).text(value.expose_secret());
            }
        });
    }
}

/// A share, read as Go reads a `*[32]byte`: missing elements are zero, surplus ones are ignored, and `null` is no
/// share. The number of elements is kept, for stricter callers.
impl Field for Shard {
    fn zero() -> Self {
        Self::default()
    }

    fn read(&mut self, from: &mut Reader<'_>) -> Result<(), JsonError> {
        let mut shard = Self::default();
        from.array(|element| match shard.next_element() {
            Some(slot) if !element.null()? => slot.read(element),
            Some(_) => {
                shard.note_null();
                Ok(())
            }
            None => element.skip(),
        })?;
        *self = shard;
        Ok(())
    }

    fn write(&self, out: &mut Writer) {
        out.byte_list(self.expose_secret());
    }
}

/// Standard alphabet, padding required. Go does not check that the unused bits at the end are zero.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

fn read_bytes(from: &mut Reader<'_>) -> Result<Zeroizing<Vec<u8>>, JsonError> {
    match from.peek() {
        Some(b'n') => from.literal(b"null").map(|()| Zeroizing::default()),
        Some(b'"') => read_base64(from),
        _ => read_byte_list(from),
    }
}

/// Line breaks inside are skipped. They must be escaped, because a JSON string has no control characters.
fn read_base64(from: &mut Reader<'_>) -> Result<Zeroizing<Vec<u8>>, JsonError> {
    let text = from.string()?;
    let decoded = if let Some(plain) = text.plain() {
        decode_base64(plain.as_bytes())
    } else {
        let mut text = text.decode_wiped();
        text.retain(|character| !matches!(character, '\r' | '\n'));
        decode_base64(text.as_bytes())
    };
    decoded.ok_or_else(|| from.error("expected padded standard base64"))
}

fn decode_base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let padding = text.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let len = (text.len() / 4 * 3).checked_sub(padding)?;
    let mut bytes = Zeroizing::new(vec![0; len]);
    let written = BASE64.decode_slice(text, &mut bytes).ok()?;
    (written == len).then_some(bytes)
}

/// Counts first and fills then, so that no outgrown buffer is left.
fn read_byte_list(from: &mut Reader<'_>) -> Result<Zeroizing<Vec<u8>>, JsonError> {
    let mut len = 0;
    from.look_ahead(|list| {
        list.array(|element| {
            len += 1;
            element.skip()
        })
    })?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(len));
    from.array(|element| {
        let mut byte = 0_u8;
        byte.read(element)?;
        bytes.push(byte);
        Ok(())
    })?;
    Ok(bytes)
}
