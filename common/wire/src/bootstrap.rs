//! Bodies of the proof that Nexus has the root key (N15).

bodies! {
    /// A text that only a holder of the root key can decrypt (N15).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct VerifyRequest: Request {
        /// The nonce; its length is not checked yet.
        pub nonce: Vec<u8> = "nonce",
        /// Ciphertext and tag.
        pub ciphertext: Vec<u8> = "ciphertext",
    }

    /// The proof (N15).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct VerifyResponse: Reply {
        /// SHA-256 of the decrypted text, in lower-case hexadecimal.
        pub hash: String = "hash",
    }
}
