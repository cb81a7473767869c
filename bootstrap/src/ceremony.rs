//! The ceremony: a new key, its shares, and a ciphertext that only a holder of the key can decrypt. Nothing is sent or stored
//! here. The key is wiped at the end; only shares, a ciphertext and a hash leave this module.

use base16ct::lower;
use sha2::{Digest, Sha256};
use spike_crypto::{
    AssociatedData, Derivation, Fingerprint, Quorum, RandomError, RootCipher, RootKey, Share, split,
};
use spike_wire::VerifyRequest;
use zeroize::Zeroizing;

/// The results of a ceremony.
#[derive(Debug)]
pub(crate) struct Ceremony {
    /// One share for each Keeper, in their order.
    pub(crate) shares: Vec<Share>,
    /// The question that Nexus must answer to prove that it has the key.
    pub(crate) proof: Proof,
    /// The fingerprint of the key, which is safe to show.
    pub(crate) fingerprint: Fingerprint,
}

/// A question that only a holder of the root key can answer (crypto-and-storage 5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// A text encrypted under the root key.
    pub(crate) question: VerifyRequest,
    /// SHA-256 of the text, in lower-case hexadecimal.
    pub(crate) answer: String,
}

/// Makes a root key and splits it; the key is wiped before this returns. `text` is random and used once.
///
/// # Errors
/// [`RandomError`] when the operating system gives no random bytes.
pub(crate) fn perform(quorum: Quorum, text: &[u8; 32]) -> Result<Ceremony, RandomError> {
    let key = RootKey::generate()?;
    Ok(Ceremony {
        shares: split(&key, quorum, Derivation::Reject),
        proof: Proof::new(&key, text)?,
        fingerprint: key.fingerprint(),
    })
}

impl Proof {
    /// Encrypts the 64 hex digits of `text` under `key`.
    fn new(key: &RootKey, text: &[u8; 32]) -> Result<Self, RandomError> {
        let text = Zeroizing::new(lower::encode_string(text));
        let encrypted =
            RootCipher::new(key).aead().encrypt(text.as_bytes(), &AssociatedData::none())?;
        Ok(Self {
            question: VerifyRequest {
                nonce: encrypted.nonce.to_vec(),
                ciphertext: encrypted.ciphertext,
            },
            answer: lower::encode_string(&Sha256::digest(text.as_bytes())),
        })
    }
}

#[cfg(test)]
mod tests {
    use spike_crypto::combine;

    use super::*;

    fn ceremony() -> Ceremony {
        perform(Quorum::new(5, 3).unwrap(), &[7; 32]).unwrap()
    }

    /// What Nexus does with the question.
    fn answer(key: &RootKey, proof: &Proof) -> Option<String> {
        let nonce = proof.question.nonce.as_slice().try_into().unwrap();
        let aead = RootCipher::new(key);
        let text =
            aead.aead().decrypt(nonce, &proof.question.ciphertext, &AssociatedData::none()).ok()?;
        assert!(text.len() == 64 && text.iter().all(u8::is_ascii_hexdigit));
        Some(lower::encode_string(&Sha256::digest(&text)))
    }

    #[test]
    fn any_threshold_of_the_shares_rebuilds_the_key_that_answers_the_question() {
        let ceremony = ceremony();
        let numbers: Vec<u16> = ceremony.shares.iter().map(|share| share.index.get()).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
        for chosen in [[0, 1, 2], [4, 2, 0]] {
            let shares = chosen.map(|number: usize| &ceremony.shares[number]);
            let key = combine(&shares, 3).unwrap();
            assert_eq!(key.fingerprint(), ceremony.fingerprint);
            assert_eq!(answer(&key, &ceremony.proof).unwrap(), ceremony.proof.answer);
        }
    }

    #[test]
    fn another_key_cannot_answer() {
        let ceremony = ceremony();
        assert_eq!(answer(&RootKey::generate().unwrap(), &ceremony.proof), None);
    }

    #[test]
    fn the_hash_is_over_the_64_digits_and_not_over_the_32_bytes() {
        // Computed with Python: hashlib.sha256(("11" * 32).encode()).hexdigest()
        let proof = Proof::new(&RootKey::generate().unwrap(), &[0x11; 32]).unwrap();
        let expected = "3138bb9bc78df27c473ecfd1410f7bd45ebac1f59cf3ff9cfe4db77aab7aedd3";
        assert_eq!(proof.answer, expected);
    }

    #[test]
    fn every_ceremony_makes_another_key() {
        let (one, other) = (ceremony(), ceremony());
        assert_ne!(one.fingerprint, other.fingerprint);
        assert_ne!(one.proof.question, other.proof.question);
    }

    #[test]
    fn debug_output_shows_no_share() {
        let ceremony = ceremony();
        let shown = format!("{ceremony:?}");
        for share in &ceremony.shares {
            let bytes = share.value.expose_bytes();
            assert!(!shown.contains(&lower::encode_string(bytes)));
            let list = format!("{:?}", &bytes[..8]);
            assert!(!shown.contains(list.trim_matches(['[', ']'])), "{shown}");
        }
    }
}
