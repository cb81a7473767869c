use spike_config::Environment;

use super::*;
use crate::Streams;

fn read_pairs(arguments: &[&str], stdin: &'static [u8]) -> Result<SecretValues, Error> {
    read_all(arguments, stdin, false)
}

fn read_all(
    arguments: &[&str],
    stdin: &'static [u8],
    allow_empty: bool,
) -> Result<SecretValues, Error> {
    let environment = Environment::default();
    let streams = Streams::new(stdin, std::io::sink(), std::io::sink());
    let mut context = Context::new(&environment, streams);
    let arguments: Vec<Hidden> = arguments.iter().map(|text| text.to_string().into()).collect();
    read(&arguments, allow_empty, &mut context)
}

#[test]
fn a_pair_splits_at_the_first_equals_sign() {
    for (argument, key, value) in [
        ("user=app", "user", "app"),
        ("k=", "k", ""),
        ("k=a=b==", "k", "a=b=="),
        ("my key_1-x=v", "my key_1-x", "v"),
        ("k=@@", "k", "@"),
        ("k=@@file", "k", "@file"),
        ("k=@@@x", "k", "@@x"),
        ("k=a@b", "k", "a@b"),
        ("k=--", "k", "--"),
        ("k= -", "k", " -"),
        ("k=größer\n", "k", "größer\n"),
    ] {
        let values = read_pairs(&[argument], b"").unwrap();
        assert_eq!(
            values.get(key).map(spike_wire::SecretStr::expose_secret),
            Some(value),
            "{argument:?}"
        );
    }
}

#[test]
fn a_dash_is_standard_input_byte_for_byte() {
    for stdin in [&b"x"[..], b"x\n", b"\n", b"-----BEGIN-----\r\n\0\n\n"] {
        let values = read_pairs(&["k=-"], stdin).unwrap();
        assert_eq!(values.get("k").unwrap().expose_secret().as_bytes(), stdin);
    }
}

#[test]
fn an_empty_standard_input_is_no_value_unless_it_is_allowed() {
    // As after a pipe whose first command failed.
    let error = read_pairs(&["user=app", "pass=-"], b"").unwrap_err();
    assert_eq!(error.exit(), crate::Exit::Usage);
    insta::assert_snapshot!(error, @r#"standard input is empty, and the value of "pass" was to come from it"#);
    let values = read_all(&["pass=-"], b"", true).unwrap();
    assert_eq!(values.get("pass").unwrap().expose_secret(), "");
}

#[test]
fn an_empty_file_is_no_value_unless_it_is_allowed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let argument = format!("pass=@{}", file.path().display());
    let error = read_pairs(&[&argument], b"").unwrap_err();
    assert_eq!(error.exit(), crate::Exit::Usage);
    assert!(error.to_string().contains("is empty, and the value of \"pass\""), "{error}");
    let values = read_all(&[&argument], b"", true).unwrap();
    assert_eq!(values.get("pass").unwrap().expose_secret(), "");
}

#[test]
fn two_values_for_one_key_are_refused_since_one_would_be_lost() {
    let error = read_pairs(&["k=1", "j=x", "k=2"], b"").unwrap_err();
    insta::assert_snapshot!(error, @r#"values 1 and 3 have the same key "k""#);
    assert!(read_pairs(&["k=1", "k=1"], b"").is_err());
}

#[test]
fn spaces_around_the_equals_sign_do_not_make_another_key() {
    for argument in ["user = hunter2", "user =hunter2", " user=hunter2"] {
        let error = read_pairs(&[argument], b"").unwrap_err().to_string();
        assert_eq!(error, "the key of value 1 begins or ends with a space", "{argument}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_bad_usage() {
    let error = read_pairs(&["a=@/does/not/exist"], b"").unwrap_err();
    assert_eq!(error.exit(), crate::Exit::Usage);
}

#[test]
fn each_way_to_be_no_pair_is_refused_without_quoting_it() {
    for (arguments, message) in [
        (vec!["hunter2"], "value 1 is not of the form key=value"),
        (vec!["a=b", "hunter2"], "value 2 is not of the form key=value"),
        (vec!["=hunter2"], "the key of value 1 is not a name"),
        (vec!["a.b=hunter2"], "the key of value 1 is not a name"),
        (vec!["größe=hunter2"], "the key of value 1 is not a name"),
        (vec!["a=@"], "value 1 names no file"),
        (vec!["a=@-"], "value 1 names the file -"),
        (vec!["a=-", "b=-"], "standard input (key=-) can be the value of one key only"),
        (vec!["a=@/does/not/exist"], "cannot read /does/not/exist"),
        (vec!["a=@/"], "cannot read /"),
    ] {
        let error = read_pairs(&arguments, b"").unwrap_err().to_string();
        assert!(error.starts_with(message), "{arguments:?}: {error}");
        assert!(!error.contains("hunter2"), "{arguments:?}: {error}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_with_a_way_to_store_them() {
    let error = read_pairs(&["cert=-"], b"ab\xff\xfe").unwrap_err();
    insta::assert_snapshot!(error, @r#"the value of "cert" from standard input is not UTF-8 text (byte 2)"#);
    insta::assert_debug_snapshot!(crate::hint::hints(&error), @r#"
    [
        "store it in base64: base64 < FILE | spike secret put PATH cert=-",
    ]
    "#);
}
