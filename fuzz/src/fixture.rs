//! An identity without end, for targets that verify peers. Nothing trusts its authority.

use std::sync::LazyLock;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use spike_mtls::svid::Material;

/// The authority of trust domain `spike.ist` that signed the seeds.
pub(crate) const ROOT: &[u8] = include_bytes!("../fixtures/root.der");
const LEAF: &[u8] = include_bytes!("../fixtures/leaf.der");
const KEY: &[u8] = include_bytes!("../fixtures/key.der");

/// A time at which the fixture and the seeds are valid: 2027-01-01, in seconds since 1970.
pub(crate) const NOW: u64 = 1_798_761_600;

/// Nexus of `spike.ist`, which trusts its own authority only.
pub(crate) static MATERIAL: LazyLock<Material> = LazyLock::new(|| {
    let id = "spiffe://spike.ist/spike/nexus".parse().expect("a SPIFFE ID");
    let domain = "spike.ist".parse().expect("a trust domain");
    let key: PrivateKeyDer<'_> = PrivatePkcs8KeyDer::from(KEY).into();
    let chain = vec![CertificateDer::from(LEAF)];
    Material::from_der(id, chain, &key, [(domain, vec![ROOT.to_vec()])]).expect("the fixture")
});
