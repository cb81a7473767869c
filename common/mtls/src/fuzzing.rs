//! The judgement of a peer's certificate, for the fuzz target that puts any bytes to it.

use rustls::pki_types::{CertificateDer, UnixTime};

use super::{
    peer::{self, Peer, PeerRule},
    peer_error::PeerError,
};
use crate::svid::Material;

/// Judges a leaf as a handshake does, and reads the peer from it.
///
/// # Errors
/// [`PeerError`] says which rule was broken.
pub fn judge(
    material: &Material,
    leaf: &CertificateDer<'_>,
    now: UnixTime,
) -> Result<Peer, PeerError> {
    peer::verify(material, leaf, &[], now, &PeerRule::AnySvid)?;
    Peer::of_leaf(leaf)
}
