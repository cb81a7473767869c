//! How the bodies of our own routes are read and written. Nothing in them is a secret, and nobody but our own programs
//! sends them, so that they are plain serde types.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::go_json::{self, Reader};
use super::{JsonError, ReplyError};

/// Reads a request. It nests no deeper than other bodies may: serde alone would pass over an unknown field of any depth.
pub(super) fn request<T: DeserializeOwned>(body: &[u8]) -> Result<T, JsonError> {
    go_json::decode(body, Reader::skip)?;
    serde_json::from_slice(body).map_err(|error| JsonError::elsewhere(error.column()))
}

/// Reads the body of a 200.
pub(super) fn reply<T: DeserializeOwned>(body: &[u8]) -> Result<T, ReplyError> {
    Ok(request(body)?)
}

/// The body to send. These types hold text and numbers only, which always serialize.
pub(super) fn encode<T: Serialize>(body: &T) -> Bytes {
    serde_json::to_vec(body).map_or_else(|_| Bytes::new(), Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::super::{MAX_DEPTH, StatusResponse, WhoCanRequest};

    #[test]
    fn an_unknown_field_may_not_nest_deeper_than_in_other_bodies() {
        let body = |lists: usize| {
            let (open, close) = ("[".repeat(lists), "]".repeat(lists));
            format!(r#"{{"path":"p","permission":"read","x":{open}{close}}}"#)
        };
        let deepest = body(MAX_DEPTH - 1);
        assert!(WhoCanRequest::decode(deepest.as_bytes()).is_ok());
        assert!(StatusResponse::decode(deepest.as_bytes()).is_ok());
        let too_deep = body(MAX_DEPTH);
        assert!(WhoCanRequest::decode(too_deep.as_bytes()).is_err());
        assert!(StatusResponse::decode(too_deep.as_bytes()).is_err());
    }
}
