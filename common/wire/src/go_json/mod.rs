//! JSON as Go's `encoding/json` reads and writes it (wire-api 4.2), in one pass and without a value tree, so that no
//! second copy of a secret exists.
//!
//! Reading is lenient where Go is: unknown keys are skipped; keys match without regard to case; the last of several
//! equal keys wins (maps merge); `null` does not change a field, and empties a map or a list; invalid UTF-8 and lone
//! surrogates become U+FFFD. It is strict where Go is: plain integers only, nothing after the value, no byte order
//! mark.
//!
//! There are a few intended differences. Nesting is limited to [`MAX_DEPTH`], because no body of this API needs more than
//! four levels. So are lists in requests, and the number of maps that are merged: no client needs more, and what is read
//! must not take much more memory than its body. And a `null` element of a repeated list is zero; Go keeps the element
//! of the earlier list.
//!
//! Nothing here knows a route. The other files declare the fields of bodies, with the macro of `body`.

mod confidential;
#[cfg(any(test, feature = "fuzzing"))]
mod example;
mod field;
mod named;
mod reader;
#[cfg(any(test, feature = "fuzzing"))]
mod same;
mod text;
mod values;
mod writer;

#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "fuzzing"))]
pub(super) use example::Example;
pub(super) use field::{Adapter, AtMost, Field, Object, OmitZero, Plain};
pub use named::{SecretStr, SecretValues};
pub(super) use reader::{Reader, decode, decode_object};
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use same::Same;
pub(super) use text::Key;
pub use values::{SecretBytes, SecretText};
pub(super) use writer::{Writer, body, secret_json};

/// The deepest nesting of objects and arrays, including the outermost. Upstream allows 10,000.
pub const MAX_DEPTH: usize = 64;

/// A body is not valid JSON of its form. Names the position, never the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed JSON at byte {offset}: {problem}")]
pub struct JsonError {
    offset: usize,
    problem: &'static str,
}
