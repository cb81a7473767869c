//! Decodes percent escapes as Go does: one malformed escape makes the whole text invalid. `percent-encoding` alone
//! would keep it.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// Decodes percent escapes; `None` if a `%` is not followed by two hexadecimal digits.
pub fn percent_decoded(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let is_escape = |after: &[u8]| {
        after.first_chunk::<2>().is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let well_formed = text.split(|&byte| byte == b'%').skip(1).all(is_escape);
    well_formed.then(|| percent_decode(text).into())
}
