//! Bodies of the proof that Nexus can use the root key: N15.

bodies! {
    /// N15: a text that only a holder of the root key can read.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct VerifyRequest: Request {
        /// The nonce, of any length so far.
        pub nonce: Vec<u8> = "nonce",
        /// Ciphertext and tag.
        pub ciphertext: Vec<u8> = "ciphertext",
    }

    /// N15: the proof.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct VerifyResponse: Reply {
        /// SHA-256 of the decrypted text, in lower-case hexadecimal.
        pub hash: String = "hash",
    }
}
