//! The certificate of a peer, verified as in a handshake.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use spiffe::SpiffeId;
use spike_mtls::fuzzing::judge;

use crate::fixture::{MATERIAL, NOW};

/// The longest SPIFFE ID (SPIFFE-ID 2.3), in bytes.
const LONGEST_ID: usize = 2048;

/// See the module.
pub fn check(data: &[u8]) -> bool {
    let leaf = CertificateDer::from(data);
    let judged = judge(&MATERIAL, &leaf, UnixTime::since_unix_epoch(Duration::from_secs(NOW)));
    let peer = match judged {
        Ok(peer) => peer,
        Err(error) => {
            let text = error.to_string();
            assert!(!text.chars().any(char::is_control), "{text:?} goes to a log");
            return false;
        }
    };
    let id: SpiffeId = peer.id().parse().expect("a peer has a SPIFFE ID");
    assert_eq!(id.trust_domain_name(), "spike.ist", "another's ID by our authority");
    assert_eq!(id.to_string(), peer.id(), "one peer has one name");
    assert!(peer.id().len() <= LONGEST_ID);
    assert!(peer.not_after().unix_timestamp() >= i64::try_from(NOW).expect("a small number"));
    // Whichever of its bytes are not signed, the identity is the same.
    let later = UnixTime::since_unix_epoch(Duration::from_secs(NOW * 2));
    assert!(judge(&MATERIAL, &leaf, later).is_err(), "a certificate without end");
    true
}
