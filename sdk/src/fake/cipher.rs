//! What stands for the cipher of Nexus: it can be undone, and notices changes. It hides nothing.

use spike_wire::{DecryptRequest, EncryptResponse, NONCE_LEN, WRITTEN_VERSION};

const TAG_LEN: usize = 16;
const MASK: u8 = 0xa5;

/// "Encrypts". `number` makes the result differ from any other.
pub(super) fn encrypt(number: u64, plaintext: &[u8]) -> EncryptResponse {
    let mut nonce = vec![0; NONCE_LEN];
    nonce.iter_mut().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
    let mut ciphertext = masked(plaintext);
    ciphertext.extend_from_slice(&tag(&nonce, plaintext));
    EncryptResponse { version: WRITTEN_VERSION, nonce, ciphertext }
}

/// What was "encrypted"; `None` if it was changed.
pub(super) fn decrypt(request: &DecryptRequest) -> Option<Vec<u8>> {
    let split = request.ciphertext.len().checked_sub(TAG_LEN)?;
    let (hidden, found) = request.ciphertext.split_at(split);
    let plaintext = masked(hidden);
    (tag(&request.nonce, &plaintext) == found).then_some(plaintext)
}

fn masked(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ MASK).collect()
}

/// FNV-1a over nonce and text, twice as long as usual.
fn tag(nonce: &[u8], plaintext: &[u8]) -> [u8; TAG_LEN] {
    let step = |sum: u128, byte: &u8| {
        (sum ^ u128::from(*byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
    };
    let sum = nonce.iter().chain(plaintext).fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, step);
    sum.to_le_bytes()
}
