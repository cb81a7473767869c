//! `spike cipher` (cli-config-deploy 1.10, wire-api N11 and N12).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use spike_wire::{DecryptRequest, EncryptRequest, Operation, SecretBytes, call};
use zeroize::Zeroizing;

use super::{empty_stdin, is_stdin, read_input, without_mark};
use crate::cli::{CipherCommand, DecryptArgs, EncryptArgs};
use crate::context::Context;
use crate::destination::{Destination, Readers};
use crate::error::Error;

pub(super) async fn run(command: CipherCommand, context: &mut Context<'_>) -> Result<(), Error> {
    match command {
        CipherCommand::Encrypt(arguments) => encrypt(arguments, context).await,
        CipherCommand::Decrypt(arguments) => decrypt(arguments, context).await,
    }
}

async fn encrypt(arguments: EncryptArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let EncryptArgs { file, out, plaintext, allow_empty, algorithm: _ } = arguments;
    let plaintext = if let Some(base64) = &plaintext {
        let bytes = from_base64("--plaintext", base64.expose_secret())?;
        Plaintext::Json(SecretBytes::from(bytes))
    } else {
        let bytes = read_input(file.as_deref(), context)?;
        if bytes.is_empty() && !allow_empty && is_stdin(file.as_deref()) {
            return Err(empty_stdin("was to be encrypted", " --allow-empty encrypts nothing"));
        }
        Plaintext::Stream(Bytes::from_owner(bytes))
    };
    let destination = destination(out.as_deref(), context).await?;
    let session = context.nexus_by_policy().await?;
    match plaintext {
        Plaintext::Stream(plaintext) => {
            let failed = session.failed(Operation::CipherEncrypt, "");
            let answer = session.nexus.encrypt_stream(plaintext).await.map_err(failed)?;
            destination.write(&[&answer], &mut context.streams)
        }
        Plaintext::Json(plaintext) => {
            let request = EncryptRequest { plaintext };
            let answer = session.call::<call::CipherEncrypt>(&request, "").await?;
            // Upstream writes the ciphertext alone, which cannot be decrypted (10.2 no. 4, F26).
            destination.write(&[&answer.encode(), b"\n"], &mut context.streams)
        }
    }
}

enum Plaintext {
    Stream(Bytes),
    Json(SecretBytes),
}

async fn decrypt(arguments: DecryptArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let DecryptArgs { file, out, json, version, nonce, ciphertext, algorithm: _ } = arguments;
    let parts = (version, nonce, ciphertext);
    let ciphertext = if let (Some(version), Some(nonce), Some(ciphertext)) = parts {
        let nonce = from_base64("--nonce", &nonce)?.to_vec();
        let ciphertext = from_base64("--ciphertext", &ciphertext)?.to_vec();
        Ciphertext::Json(DecryptRequest { version, nonce, ciphertext })
    } else {
        let bytes = read_input(file.as_deref(), context)?;
        if bytes.is_empty() {
            return Err(nothing_to_decrypt(file.as_deref()));
        }
        if json {
            Ciphertext::Json(from_json(&bytes)?)
        } else {
            Ciphertext::Stream(Bytes::from_owner(bytes))
        }
    };
    let destination = destination(out.as_deref(), context).await?;
    let session = context.nexus_by_policy().await?;
    match ciphertext {
        Ciphertext::Stream(ciphertext) => {
            let failed = session.failed(Operation::CipherDecrypt, "");
            let plaintext = session.nexus.decrypt_stream(ciphertext).await.map_err(failed)?;
            destination.show(&plaintext, &mut context.streams)
        }
        Ciphertext::Json(request) => {
            let answer = session.call::<call::CipherDecrypt>(&request, "").await?;
            destination.show(answer.plaintext.expose_secret(), &mut context.streams)
        }
    }
}

enum Ciphertext {
    Stream(Bytes),
    Json(DecryptRequest),
}

/// No ciphertext is empty: even the ciphertext of nothing has a nonce and a tag.
fn nothing_to_decrypt(file: Option<&Path>) -> Error {
    let purpose = "was to be decrypted";
    match file.filter(|file| !is_stdin(Some(file))) {
        None => empty_stdin(purpose, ""),
        Some(file) => Error::usage(format!("{} is empty, and {purpose}", file.display())),
    }
}

/// Standard base64. Line breaks are ignored, as in Go.
fn from_base64(flag: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut joined = Zeroizing::new(String::with_capacity(text.len()));
    text.split(['\r', '\n']).for_each(|line| joined.push_str(line));
    STANDARD.decode(joined.as_bytes()).map(Zeroizing::new).map_err(|_cause| {
        Error::usage(format!("the value of {flag} is not base64 (standard, padded)"))
    })
}

fn from_json(text: &[u8]) -> Result<DecryptRequest, Error> {
    let refuse = |why: &str| {
        Error::usage_hint(
            format!("the input is not what encrypt --plaintext prints: {why}"),
            "without --json the input is the binary form that encrypt writes from a file",
        )
    };
    let request =
        DecryptRequest::decode(without_mark(text)).map_err(|error| refuse(&error.to_string()))?;
    if request.nonce.is_empty() || request.ciphertext.is_empty() {
        return Err(refuse("nonce or ciphertext is missing"));
    }
    Ok(request)
}

/// Opens the destination, before the call.
async fn destination(out: Option<&Path>, context: &Context<'_>) -> Result<Destination, Error> {
    match out {
        Some(out) => Destination::prepare(out, Readers::Owner, &context.streams).await,
        None => Ok(Destination::Stdout),
    }
}

#[cfg(test)]
mod tests;
