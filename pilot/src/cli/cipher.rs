//! `spike cipher`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Hidden;

/// What to do with the cipher.
#[derive(Debug, Subcommand)]
pub(crate) enum CipherCommand {
    /// Encrypt a file or standard input
    Encrypt(EncryptArgs),
    /// Decrypt the output of encrypt
    Decrypt(DecryptArgs),
}

/// Arguments of `cipher encrypt`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --plaintext the output is binary: a version byte, the nonce, and the ciphertext. With it the \
output is a JSON object of version, nonce and ciphertext, which `spike cipher decrypt --json` takes back.

Example:
  spike cipher encrypt -f plan.txt -o plan.enc")]
pub(crate) struct EncryptArgs {
    /// What to encrypt, instead of standard input, which - is too
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,
    /// Where to write it, instead of standard output, which - is too: a new file, which appears when it is complete, or an
    /// existing file, pipe or device
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// What to encrypt, in base64; prints JSON. Other users can see it in the process list
    #[arg(long, value_name = "BASE64", conflicts_with = "file")]
    pub(crate) plaintext: Option<Hidden>,
    /// Encrypt standard input even if it is empty
    #[arg(long)]
    pub(crate) allow_empty: bool,
    /// Accepted for scripts of earlier releases, without effect: it is always AES-256-GCM
    #[arg(long, hide = true)]
    pub(crate) algorithm: Option<String>,
}

/// Arguments of `cipher decrypt`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spike cipher decrypt -f plan.enc -o plan.txt
  spike cipher encrypt --plaintext aGk= | spike cipher decrypt --json")]
pub(crate) struct DecryptArgs {
    /// What to decrypt, instead of standard input, which - is too
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,
    /// Where to write it, instead of standard output, which - is too: a new file, which appears when it is complete, or an
    /// existing file, pipe or device
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The input is the JSON object that encrypt --plaintext prints
    #[arg(long)]
    pub(crate) json: bool,
    /// The version, with --nonce and --ciphertext instead of an input
    #[arg(long, value_name = "N", requires_all = ["nonce", "ciphertext"], conflicts_with_all = ["file", "json"])]
    pub(crate) version: Option<u8>,
    /// The nonce, in base64
    #[arg(long, value_name = "BASE64", requires_all = ["version", "ciphertext"])]
    pub(crate) nonce: Option<String>,
    /// The ciphertext, in base64
    #[arg(long, value_name = "BASE64", requires_all = ["version", "nonce"])]
    pub(crate) ciphertext: Option<String>,
    /// Accepted for scripts of earlier releases, without effect: it is always AES-256-GCM
    #[arg(long, hide = true)]
    pub(crate) algorithm: Option<String>,
}
