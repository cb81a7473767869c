//! Ciphertext of upstream's Go code, read with [`RootCipher`] (crypto-and-storage, appendix A). Upstream binds
//! nothing, so the associated data is empty (crypto-and-storage 7.3, 9).
#![cfg(test)] // for clippy: helpers are test code too

use spike_crypto::{AssociatedData, DecryptError, NONCE_LEN, Nonce, RootCipher, RootKey};
use zeroize::Zeroizing;

fn bytes(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn nonce(digits: &str) -> Nonce {
    bytes(digits).try_into().unwrap()
}

/// Under the root key 01 02 … 20 of the appendix.
fn decrypt(nonce: &Nonce, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let key: Vec<u8> = (1..=32).collect();
    let cipher = RootCipher::new(&RootKey::from_bytes(&key.try_into().unwrap()).unwrap());
    cipher.aead().decrypt(nonce, ciphertext, &AssociatedData::none())
}

fn text(nonce: &Nonce, ciphertext: &[u8]) -> String {
    String::from_utf8(decrypt(nonce, ciphertext).unwrap().to_vec()).unwrap()
}

#[test]
fn secrets_of_upstream_decrypt() {
    let rows = [
        (
            "06e7c50c4da1fa5f56008759",
            "55eabed6665354dbfc467fa17f6cd1e43405447fbaf63df5eb59b76963c676b7ff6b251e07c955c7692cef9a\
             52b6d599cc8e89cd4894467ab249894f39349d77f335",
            r#"{"password":"p\u003c1\u003e\u0026","user":"admin"}"#,
        ),
        (
            "e7caadb91c84b925a5eeae12",
            "a258e324bc1c3ef4c2377b100f1338cd27d13d6654ff47716365cb9da93c52391a1ff7c118a8e062dd5a733a\
             96a9616d2f",
            r#"{"password":"two","user":"admin"}"#,
        ),
    ];
    for (row_nonce, ciphertext, plaintext) in rows {
        assert_eq!(text(&nonce(row_nonce), &bytes(ciphertext)), plaintext);
    }
}

/// Each column has the row's nonce XOR a salt of its own (K5).
#[test]
fn metadata_of_upstream_decrypts_under_salted_nonces() {
    let base = nonce("94bf98584decb6f714d3fca2");
    let columns = [
        (b"current_ver_", "c5045110bd7d305397fc119599a8bb40ac", "2"),
        (b"oldest_ver__", "7df57841a5085dbbdcf738222207baf352", "2"),
        (b"created_tim_", "83db9a229363ef54797b8bc896006f720141fb89b0fe8419d0b5", "1795318459"),
        (b"updated_tim_", "fb25af805a2b62f8da7252993ba8a6b428af90275ec2f0d073b2", "1795318459"),
        (b"max_versions", "383de28bbb4e6c0248a42138a00a8d17c1a5", "10"),
    ];
    for (salt, ciphertext, plaintext) in columns {
        let salted: Nonce = std::array::from_fn(|at| base[at] ^ salt[at]);
        assert_eq!(text(&salted, &bytes(ciphertext)), plaintext);
        assert!(decrypt(&base, &bytes(ciphertext)).is_err(), "{plaintext} without its salt");
    }
}

/// One nonce for all three columns (K5; fixed in our own format, F13).
#[test]
fn policies_of_upstream_decrypt() {
    let row_nonce = nonce("e41de000996e27c645367ad7");
    let columns = [
        (
            "78677183a5693553a3180e46696587fa941d82ca580e509bbcb9b85375cc84dfc4982bcc1f74b19f24235b",
            r"^spiffe://example\.org/web$",
        ),
        ("7875719aec217a4d3590649ca2982788e9cfcf280b3cf270", "^app/.*$"),
        ("5471608eef63391af80d48128e3f16b66920b4780c5dbb91d7", "read,list"),
    ];
    for (ciphertext, plaintext) in columns {
        assert_eq!(text(&row_nonce, &bytes(ciphertext)), plaintext);
    }
}

/// Version byte, nonce, ciphertext with tag.
#[test]
fn a_cipher_stream_of_upstream_decrypts() {
    let stream =
        bytes("0141f6e337de1725db5642edfb25ba59f9601e8829393622ceb4c8731bd6a0df2ee71c8f9b05a978b7");
    let (nonce, ciphertext) = stream[1..].split_first_chunk::<NONCE_LEN>().unwrap();
    assert_eq!(stream[0], 1);
    assert_eq!(text(nonce, ciphertext), "hello, spike");
}

/// The Base64 fields of the JSON answer, in hex.
#[test]
fn a_cipher_answer_of_upstream_decrypts() {
    let nonce = nonce("5fc338465e465cbe0c9ce51d");
    let ciphertext = bytes("27576db59c10290ec2d57e5353800af7f9b009863167ba937feb172d");
    assert_eq!(text(&nonce, &ciphertext), "hello, spike");
}
