use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

use spike_wire::{DecryptResponse, EncryptResponse, ErrorCode};

use super::*;
use crate::Exit;
use crate::testing::{Answer, FakeNexus, error};

/// A cipher for tests: it reverses the bytes. It tells stream and JSON mode apart by the input, as Nexus does.
fn reversing(operation: Operation, body: &[u8]) -> Answer {
    let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>();
    let nonce = b"twelve bytes".to_vec();
    match operation {
        Operation::CipherEncrypt if body.starts_with(b"{\"plaintext\"") => {
            let plaintext = EncryptRequest::decode(body).unwrap().plaintext;
            let ciphertext = reversed(plaintext.expose_secret());
            (200, EncryptResponse { version: 1, nonce, ciphertext }.encode())
        }
        Operation::CipherEncrypt => (200, [b"\x01", &nonce[..], &reversed(body)].concat().into()),
        Operation::CipherDecrypt if body.starts_with(b"{\"version\"") => {
            let request = DecryptRequest::decode(body).unwrap();
            assert_eq!((request.version, request.nonce), (1, nonce));
            let plaintext = SecretBytes::from(reversed(&request.ciphertext).as_slice());
            (200, DecryptResponse { plaintext }.encode())
        }
        _ => (200, reversed(&body[13..]).into()),
    }
}

// Escape sequences in a plaintext reached the terminal.
#[test]
fn a_plaintext_with_escape_sequences_does_not_reach_the_terminal_as_it_is() {
    let nexus = FakeNexus::start(|_, _| (200, b"\x1b[31mred".as_slice().into()));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c");
    std::fs::write(&file, "ciphertext").unwrap();
    let arguments = ["cipher", "decrypt", "-f", file.to_str().unwrap()];
    assert_eq!(nexus.run_on_terminal(&arguments).stdout, "\\u001b[31mred");
    assert_eq!(nexus.run(&arguments).stdout, "\x1b[31mred");
}

#[test]
fn what_is_encrypted_through_pipes_comes_back() {
    let nexus = FakeNexus::start(reversing);
    let encrypted = nexus.run_with(&["cipher", "encrypt"], "hi\n").stdout;
    assert_eq!(encrypted, "\x01twelve bytes\nih");
    assert_eq!(nexus.run_with(&["cipher", "decrypt"], &encrypted).stdout, "hi\n");
}

#[test]
fn what_is_encrypted_from_an_argument_is_json_that_decrypts() {
    // cli-config-deploy 10.2 no. 4, F26: upstream prints the ciphertext alone.
    let nexus = FakeNexus::start(reversing);
    let encrypted = nexus.run(&["cipher", "encrypt", "--plaintext", "aGkK"]).stdout;
    assert_eq!(
        encrypted,
        "{\"version\":1,\"nonce\":\"dHdlbHZlIGJ5dGVz\",\"ciphertext\":\"Cmlo\"}\n"
    );
    assert_eq!(nexus.run_with(&["cipher", "decrypt", "--json"], &encrypted).stdout, "hi\n");
    let fields = ["--version", "1", "--nonce", "dHdlbHZlIGJ5dGVz", "--ciphertext", "Cm\r\nlo"];
    assert_eq!(nexus.run(&[&["cipher", "decrypt"], &fields[..]].concat()).stdout, "hi\n");
}

#[test]
fn what_is_no_base64_or_json_is_refused_before_nexus_is_asked() {
    let nexus = FakeNexus::start(reversing);
    for (arguments, stdin) in [
        (vec!["cipher", "encrypt", "--plaintext", "aGk"], ""),
        (vec!["cipher", "encrypt", "--plaintext", "a-_="], ""),
        (vec!["cipher", "decrypt", "--version", "1", "--nonce", "!", "--ciphertext", "Cmlo"], ""),
        (vec!["cipher", "decrypt", "--json"], ""),
        (vec!["cipher", "decrypt", "--json"], "{}"),
        (
            vec!["cipher", "decrypt", "--json"],
            "{\"version\":300,\"nonce\":\"bg==\",\"ciphertext\":\"Yw==\"}",
        ),
        (vec!["cipher", "decrypt", "--json"], "\x01twelve bytes"),
    ] {
        let ran = nexus.run_with(&arguments, stdin);
        assert_eq!(ran.exit, Exit::Usage, "{arguments:?} {stdin:?}");
    }
    assert_eq!(nexus.asked(), []);
}

// A pipe that brought nothing was encrypted.
#[test]
fn a_pipe_that_brings_nothing_is_not_encrypted_unless_that_is_meant() {
    let nexus = FakeNexus::start(reversing);
    for arguments in [&["cipher", "encrypt"][..], &["cipher", "encrypt", "-f", "-"]] {
        let ran = nexus.run_with(arguments, "");
        assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::Usage, ""));
        assert!(ran.stderr.contains("--allow-empty"), "{ran}");
    }
    assert_eq!(nexus.asked(), []);
    let encrypted = nexus.run_with(&["cipher", "encrypt", "--allow-empty"], "").stdout;
    assert_eq!(encrypted, "\x01twelve bytes");
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty").display().to_string();
    std::fs::write(&empty, "").unwrap();
    assert_eq!(nexus.run(&["cipher", "encrypt", "-f", &empty]).stdout, "\x01twelve bytes");
}

// It was sent, and reported as damaged, with status 1.
#[test]
fn a_pipe_or_a_file_that_brings_nothing_is_not_sent_to_be_decrypted() {
    let nexus = FakeNexus::start(reversing);
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty").display().to_string();
    std::fs::write(&empty, "").unwrap();
    for (arguments, what) in [
        (&["cipher", "decrypt"][..], "standard input"),
        (&["cipher", "decrypt", "-f", "-"], "standard input"),
        (&["cipher", "decrypt", "--json"], "standard input"),
        (&["cipher", "decrypt", "-f", &empty], empty.as_str()),
    ] {
        let ran = nexus.run_with(arguments, "");
        assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::Usage, ""));
        let told = format!("Error: {what} is empty, and was to be decrypted");
        assert!(ran.stderr.starts_with(&told), "{ran}");
    }
    assert_eq!(nexus.asked(), []);
}

#[test]
fn a_file_appears_whole_and_for_its_owner_alone() {
    let nexus = FakeNexus::start(reversing);
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("plan"), "a plan").unwrap();
    assert_eq!(
        nexus.run(&["cipher", "encrypt", "-f", &path("plan"), "-o", &path("enc")]).stdout,
        ""
    );
    assert_eq!(
        nexus.run(&["cipher", "decrypt", "-f", &path("enc"), "-o", &path("dec")]).stdout,
        ""
    );
    assert_eq!(std::fs::read_to_string(path("dec")).unwrap(), "a plan");
    assert_eq!(std::fs::metadata(path("dec")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_failed_call_leaves_the_file_that_was_there_and_no_other() {
    // cli-config-deploy 10.2 no. 6: upstream empties it first.
    let nexus = FakeNexus::start(|operation, _| error(operation, ErrorCode::ApiBadRequest));
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    std::fs::write(&out, "precious").unwrap();
    let ran = nexus.run_with(&["cipher", "decrypt", "-o", out.to_str().unwrap()], "\x01damaged");
    assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::Failure, ""));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "precious");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_place_that_cannot_be_written_is_found_before_nexus_is_asked() {
    let nexus = FakeNexus::start(reversing);
    for out in ["/does/not/exist/out", "/"] {
        let ran = nexus.run_with(&["cipher", "encrypt", "-o", out], "x");
        assert_eq!(ran.exit, Exit::Failure, "{out}");
        assert!(ran.stderr.contains(&format!("cannot write {out}: ")), "{}", ran.stderr);
    }
    assert_eq!(nexus.asked(), []);
}

// A file with the name `-` was written, and the pipe got nothing.
#[test]
fn an_output_named_minus_is_standard_output() {
    let nexus = FakeNexus::start(reversing);
    let encrypted = nexus.run_with(&["cipher", "encrypt", "-f", "-", "-o", "-"], "hi\n").stdout;
    assert_eq!(encrypted, "\x01twelve bytes\nih");
    let decrypted = nexus.run_with(&["cipher", "decrypt", "--out", "-"], &encrypted).stdout;
    assert_eq!(decrypted, "hi\n");
    assert!(!Path::new("-").exists());
}

#[test]
fn a_device_is_written_to_and_not_replaced() {
    let nexus = FakeNexus::start(reversing);
    assert_eq!(nexus.run_with(&["cipher", "encrypt", "-o", "/dev/null"], "x").exit, Exit::Success);
    assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn a_symbolic_link_stays_one() {
    let nexus = FakeNexus::start(reversing);
    let directory = tempfile::tempdir().unwrap();
    let (link, file) = (directory.path().join("link"), directory.path().join("file"));
    std::fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink("file", &link).unwrap();
    let ran = nexus.run_with(&["cipher", "encrypt", "-o", link.to_str().unwrap()], "x");
    assert_eq!(ran.exit, Exit::Success);
    assert!(link.is_symlink());
    assert_eq!(std::fs::read(&file).unwrap(), b"\x01twelve bytesx");
}
