//! Fields: each method reads one value of a known type, as Go would into a struct field of that type.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::super::shard::Shard;
use super::super::timestamp::{ZERO_TIME, parse_timestamp};
use super::super::values::{SecretBytes, SecretText, SecretValues};
use super::{JsonError, Reader};

/// Standard alphabet, padding demanded. Go does not check that the unused bits at the end are zero.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

impl Reader<'_> {
    /// Reads a string; `null` leaves `into` as it is.
    pub(in crate::wire) fn text(&mut self, into: &mut String) -> Result<(), JsonError> {
        if !self.null()? {
            *into = self.string()?.decode().into_owned();
        }
        Ok(())
    }

    /// Reads an integer without fraction or exponent that fits; `null` leaves `into` as it is.
    pub(in crate::wire) fn integer<T: TryFrom<i64>>(
        &mut self,
        into: &mut T,
    ) -> Result<(), JsonError> {
        if !self.null()? {
            // Go takes `-0` for a signed field only.
            let unsigned = T::try_from(-1).is_err();
            let number = std::str::from_utf8(self.number()?).ok();
            *into = number
                .filter(|digits| !(unsigned && digits.starts_with('-')))
                .and_then(|digits| digits.parse::<i64>().ok())
                .and_then(|value| T::try_from(value).ok())
                .ok_or_else(|| self.error("expected an integer in range"))?;
        }
        Ok(())
    }

    /// Reads `true` or `false`; `null` leaves `into` as it is.
    pub(in crate::wire) fn boolean(&mut self, into: &mut bool) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'n') => return self.literal(b"null"),
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => {
                self.literal(b"false")?;
                *into = false;
                return Ok(());
            }
            _ => return Err(self.error("expected true or false")),
        }
        *into = true;
        Ok(())
    }

    /// Reads a list of strings; `null` empties it, a `null` element is `""`.
    pub(in crate::wire) fn texts(&mut self, into: &mut Vec<String>) -> Result<(), JsonError> {
        into.clear();
        self.array(|element| {
            let mut text = String::new();
            element.text(&mut text)?;
            into.push(text);
            Ok(())
        })?;
        Ok(())
    }

    /// Reads a list of integers; `null` empties it, a `null` element is 0.
    pub(in crate::wire) fn integers(&mut self, into: &mut Vec<i64>) -> Result<(), JsonError> {
        into.clear();
        self.array(|element| {
            let mut number = 0;
            element.integer(&mut number)?;
            into.push(number);
            Ok(())
        })?;
        Ok(())
    }

    /// Reads an RFC 3339 time; `null` leaves `into` as it is.
    pub(in crate::wire) fn time(&mut self, into: &mut OffsetDateTime) -> Result<(), JsonError> {
        if !self.null()? {
            let text = self.string()?.decode();
            *into =
                parse_timestamp(&text).ok_or_else(|| self.error("expected an RFC 3339 time"))?;
        }
        Ok(())
    }

    /// Reads an RFC 3339 time, or `null` for none.
    pub(in crate::wire) fn optional_time(
        &mut self,
        into: &mut Option<OffsetDateTime>,
    ) -> Result<(), JsonError> {
        if self.null()? {
            *into = None;
            return Ok(());
        }
        self.time(into.get_or_insert(ZERO_TIME))
    }

    /// Reads a byte string: padded base64, a list of integers 0 to 255, or `null` for none.
    pub(in crate::wire) fn bytes(&mut self, into: &mut Vec<u8>) -> Result<(), JsonError> {
        *into = std::mem::take(&mut *self.wiped_bytes()?);
        Ok(())
    }

    /// As [`Reader::bytes`], into a buffer that is wiped.
    pub(in crate::wire) fn secret_bytes(
        &mut self,
        into: &mut SecretBytes,
    ) -> Result<(), JsonError> {
        *into = SecretBytes::from(self.wiped_bytes()?);
        Ok(())
    }

    /// Reads the map of a secret into what earlier fields of the same name left; `null` empties it.
    pub(in crate::wire) fn secret_values(
        &mut self,
        into: &mut SecretValues,
    ) -> Result<bool, JsonError> {
        let present = self.object(|name, value| {
            let text = value.secret_text()?;
            into.insert(name.as_str().to_owned(), text);
            Ok(())
        })?;
        if !present {
            *into = SecretValues::default();
        }
        Ok(present)
    }

    /// Reads a share as Go reads a `*[32]byte`: missing elements are zero, surplus ones are passed over, `null` is no
    /// share. How many there were stays known, for callers that are stricter.
    pub(in crate::wire) fn shard(&mut self) -> Result<Shard, JsonError> {
        let mut shard = Shard::default();
        self.array(|element| match shard.next_element() {
            Some(slot) if !element.null()? => element.integer(slot),
            Some(_) => {
                shard.note_null();
                Ok(())
            }
            None => element.skip(),
        })?;
        Ok(shard)
    }

    fn secret_text(&mut self) -> Result<SecretText, JsonError> {
        if self.null()? {
            return Ok(SecretText::default());
        }
        Ok(self.string()?.decode_secret())
    }

    fn wiped_bytes(&mut self) -> Result<Zeroizing<Vec<u8>>, JsonError> {
        match self.peek() {
            Some(b'n') => self.literal(b"null").map(|()| Zeroizing::default()),
            Some(b'"') => self.base64(),
            _ => self.byte_list(),
        }
    }

    /// Line breaks inside are passed over. They can only stand there escaped, as control characters are not allowed in
    /// a JSON string.
    fn base64(&mut self) -> Result<Zeroizing<Vec<u8>>, JsonError> {
        let text = self.string()?;
        let decoded = if let Some(plain) = text.plain() {
            decode_base64(plain.as_bytes())
        } else {
            let mut text = text.decode_wiped();
            text.retain(|character| !matches!(character, '\r' | '\n'));
            decode_base64(text.as_bytes())
        };
        decoded.ok_or_else(|| self.error("expected padded standard base64"))
    }

    /// Counts first, then fills, so that no outgrown buffer stays behind.
    fn byte_list(&mut self) -> Result<Zeroizing<Vec<u8>>, JsonError> {
        let mut len = 0;
        self.look_ahead(|list| {
            list.array(|element| {
                len += 1;
                element.skip()
            })
        })?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(len));
        self.array(|element| {
            let mut byte = 0_u8;
            element.integer(&mut byte)?;
            bytes.push(byte);
            Ok(())
        })?;
        Ok(bytes)
    }
}

fn decode_base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let padding = text.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let len = (text.len() / 4 * 3).checked_sub(padding)?;
    let mut bytes = Zeroizing::new(vec![0; len]);
    let written = BASE64.decode_slice(text, &mut bytes).ok()?;
    (written == len).then_some(bytes)
}
