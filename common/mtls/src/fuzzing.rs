//! The verification of a peer's certificate, for its fuzz target.

use rustls::pki_types::{CertificateDer, UnixTime};

use super::{
    peer::{self, Peer, PeerRule},
    peer_error::PeerError,
};
use crate::svid::Material;

/// Verifies a leaf as a handshake does, and reads the peer from it.
///
/// # Errors
/// [`PeerError`] names the broken rule.
pub fn judge(
    material: &Material,
    leaf: &CertificateDer<'_>,
    now: UnixTime,
) -> Result<Peer, PeerError> {
    peer::verify(material, leaf, &[], now, &PeerRule::AnySvid)?;
    Peer::of_leaf(leaf)
}
