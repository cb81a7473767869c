//! The encoding of the encrypted part of the row of a path.
//!
//! ```text
//! head    = 2 (one byte)  change (u64)  length (u32)  metadata (length bytes)  version*
//! version = number (i64)  created (i64)  flags (one byte)  [deleted (i64)]  nonce (12 bytes)
//! ```
//!
//! Numbers are big-endian. `change` is the number of the last change of the path, or 0 if changes are not numbered. `metadata`
//! is the custom metadata of the path. Both are kept unchanged. Flag 1 says that `deleted` follows. Flags 2 (an expiry follows)
//! and 4 (the value is destroyed) are reserved: no program of this schema writes them, so a list with one of them is refused.

use spike_crypto::Nonce;

use spike_domain::Version;

/// The number of this encoding.
const ENCODING: u8 = 2;
/// The version is deleted, and the time follows.
const DELETED: u8 = 1;
/// The most bytes of a version.
const ENTRY: usize = 8 + 8 + 1 + 8 + size_of::<Nonce>();

/// The decrypted content of the row of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Listed {
    /// The number of the last change; 0: not numbered.
    pub(in crate::store) change: u64,
    /// Custom metadata; empty: none.
    pub(in crate::store) metadata: Vec<u8>,
    /// Each version with the nonce of its row.
    pub(in crate::store) versions: Vec<(Version, Nonce)>,
}

impl Listed {
    /// `None` for 4 GiB of metadata or more.
    pub(in crate::store) fn encode(&self) -> Option<Vec<u8>> {
        let capacity = 13 + self.metadata.len() + self.versions.len() * ENTRY;
        let mut bytes = Vec::with_capacity(capacity);
        bytes.push(ENCODING);
        bytes.extend_from_slice(&self.change.to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(self.metadata.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(&self.metadata);
        for (version, nonce) in &self.versions {
            bytes.extend_from_slice(&version.number.to_be_bytes());
            bytes.extend_from_slice(&version.created.to_be_bytes());
            bytes.push(if version.deleted.is_some() { DELETED } else { 0 });
            if let Some(deleted) = version.deleted {
                bytes.extend_from_slice(&deleted.to_be_bytes());
            }
            bytes.extend_from_slice(nonce);
        }
        Some(bytes)
    }

    /// `None` for bytes that [`encode`](Self::encode) does not produce.
    pub(in crate::store) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&ENCODING, bytes) = bytes.split_first()? else { return None };
        let (change, bytes) = bytes.split_first_chunk()?;
        let (length, bytes) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (metadata, mut bytes) = bytes.split_at_checked(length)?;
        let mut versions = Vec::with_capacity(bytes.len() / ENTRY + 1);
        while !bytes.is_empty() {
            let (entry, rest) = version(bytes)?;
            versions.push(entry);
            bytes = rest;
        }
        Some(Self { change: u64::from_be_bytes(*change), metadata: metadata.to_vec(), versions })
    }
}

fn version(bytes: &[u8]) -> Option<((Version, Nonce), &[u8])> {
    let (number, bytes) = bytes.split_first_chunk()?;
    let (created, bytes) = bytes.split_first_chunk()?;
    let (flags, bytes) = bytes.split_first()?;
    let (deleted, bytes) = match *flags {
        0 => (None, bytes),
        DELETED => {
            let (deleted, bytes) = bytes.split_first_chunk()?;
            (Some(i64::from_be_bytes(*deleted)), bytes)
        }
        _reserved => return None,
    };
    let (nonce, bytes) = bytes.split_first_chunk()?;
    let (number, created) = (i64::from_be_bytes(*number), i64::from_be_bytes(*created));
    Some(((Version { number, created, deleted }, *nonce), bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn listed() -> impl Strategy<Value = Listed> {
        let version = (any::<i64>(), any::<i64>(), any::<Option<i64>>(), any::<Nonce>());
        let versions = proptest::collection::vec(version, 0..6);
        let metadata = proptest::collection::vec(any::<u8>(), 0..40);
        (any::<u64>(), metadata, versions).prop_map(|(change, metadata, versions)| Listed {
            change,
            metadata,
            versions: versions
                .into_iter()
                .map(|(number, created, deleted, nonce)| {
                    (Version { number, created, deleted }, nonce)
                })
                .collect(),
        })
    }

    proptest! {
        #[test]
        fn a_list_comes_back_as_it_was_written(listed in listed()) {
            let bytes = listed.encode().unwrap();
            prop_assert_eq!(Listed::decode(&bytes), Some(listed));
        }

        #[test]
        fn what_is_read_is_what_would_be_written(bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            let bytes = [vec![ENCODING, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], bytes].concat();
            if let Some(listed) = Listed::decode(&bytes) {
                prop_assert_eq!(listed.encode().unwrap(), bytes);
            }
        }
    }

    // Known bytes, so that the encoding cannot change unnoticed.
    #[test]
    fn the_bytes_of_a_list_are_these() {
        let live = Version { number: 3, created: 0x0102, deleted: None };
        let deleted = Version { number: 4, created: 5, deleted: Some(6) };
        let listed = Listed {
            change: 9,
            metadata: b"m".to_vec(),
            versions: vec![(live, [0xaa; 12]), (deleted, [0xbb; 12])],
        };
        let expected = [
            &[2][..],
            &[0, 0, 0, 0, 0, 0, 0, 9],
            &[0, 0, 0, 1],
            b"m",
            &[0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1, 2, 0],
            &[0xaa; 12],
            &[0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0, 0, 0, 0, 0, 0, 6],
            &[0xbb; 12],
        ];
        assert_eq!(listed.encode().unwrap(), expected.concat());
    }

    #[test]
    fn a_later_encoding_and_a_reserved_flag_are_refused() {
        let version = Version { number: 1, created: 1, deleted: None };
        let listed = Listed { change: 0, metadata: vec![], versions: vec![(version, [1; 12])] };
        let bytes = listed.encode().unwrap();
        for (at, value) in [(0, 1), (0, 3), (29, 2), (29, 4), (29, 3), (29, 0xff)] {
            let mut changed = bytes.clone();
            changed[at] = value;
            assert_eq!(Listed::decode(&changed), None, "byte {at} = {value}");
        }
    }
}
