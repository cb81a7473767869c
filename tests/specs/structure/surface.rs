//! What belongs to each operation of Nexus, and what neither the compiler nor another test asks for: the list in CONTRIBUTING.md.

use std::{collections::BTreeMap, fs, io};

use spike_wire::{Operation, Rule};

use crate::repository::{files_below, root, text};

/// How the text of a program asks for an operation: by its call, or by a method of the client that makes the call.
struct Names(BTreeMap<String, String>);

impl Names {
    fn read() -> io::Result<Self> {
        let client = text("common/mtls/src/client/nexus.rs")?;
        let methods = client.split("pub async fn ").skip(1).filter_map(|method| {
            let (name, body) = method.split_once(['(', '<'])?;
            Some((format!(".{name}("), body.to_owned()))
        });
        Ok(Self(methods.collect()))
    }

    fn of(&self, operation: Operation) -> Vec<String> {
        let mut names = vec![format!("call::{operation:?}>")];
        let in_raw_mode = format!("(Operation::{operation:?},");
        // A method may use another that is named here already, or comes to be.
        while let Some((name, _)) = self.0.iter().find(|(name, body)| {
            let asks =
                body.contains(&in_raw_mode) || names.iter().any(|known| body.contains(known));
            asks && !names.contains(name)
        }) {
            names.push(name.clone());
        }
        names
    }
}

/// The sources below a folder, as one text, without those of the folder `but_not`.
fn sources(folder: &str, but_not: &str) -> io::Result<String> {
    let mut all = String::new();
    for file in files_below(root().join(folder), "rs")? {
        let is_left_out = file.iter().any(|part| part == but_not || part == "tests.rs");
        if !is_left_out {
            all.push_str(&fs::read_to_string(file)?);
        }
    }
    Ok(all)
}

/// The operations that are `wanted` and that the text does not ask for.
fn missing(names: &Names, text: &str, wanted: impl Fn(Operation) -> bool) -> Vec<Operation> {
    let asks = |operation| names.of(operation).iter().any(|name| text.contains(name));
    Operation::ALL.iter().copied().filter(|one| wanted(*one) && !asks(*one)).collect()
}

#[test]
fn every_operation_is_asked_for_by_a_program_of_ours() -> io::Result<()> {
    let programs = sources("pilot/src", "tests")? + &sources("bootstrap/src", "tests")?;
    assert_eq!(missing(&Names::read()?, &programs, |_| true), []);
    Ok(())
}

#[test]
fn what_policies_grant_is_in_the_sdk() -> io::Result<()> {
    let sdk = sources("sdk/src", "tests")?;
    let is_granted = |operation: Operation| !matches!(operation.rule(), Rule::Roles(_));
    assert_eq!(missing(&Names::read()?, &sdk, is_granted), []);
    Ok(())
}

// Those of one role are asked for by its program, which specifications run.
#[test]
fn every_operation_that_policies_grant_has_a_specification() -> io::Result<()> {
    let specs = sources("tests/specs", "structure")?;
    let is_granted = |operation: Operation| !matches!(operation.rule(), Rule::Roles(_));
    assert_eq!(missing(&Names::read()?, &specs, is_granted), []);
    Ok(())
}

#[test]
fn every_operation_has_its_section_in_the_wire_api() -> io::Result<()> {
    let page = text("docs/wire-api.md")?;
    let (_, sections) = page.split_once("\n## Fields").unwrap_or_default();
    let is_described = |operation: &&Operation| {
        sections.contains(&format!("`POST {}`", operation.path_and_query()))
    };
    let missing: Vec<_> = Operation::ALL.iter().filter(|one| !is_described(one)).collect();
    assert_eq!(missing, [&Operation::SecretPut; 0]);
    Ok(())
}

#[test]
fn every_operation_of_ours_is_in_the_changelog() -> io::Result<()> {
    let changelog = text("CHANGELOG.md")?;
    for operation in Operation::ALL {
        let is_ours = operation.summary().starts_with("Ours");
        let route = format!("`{}`", operation.path_and_query());
        assert!(!is_ours || changelog.contains(&route), "CHANGELOG.md does not name {route}");
    }
    Ok(())
}

/// Each public item of the SDK whose line contains `kind`, with the comment above it.
fn items_of_the_sdk(kind: &str) -> io::Result<Vec<(String, String)>> {
    let text = sources("sdk/src", "tests")?;
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_comment = |line: &&&str| line.starts_with("///") || line.starts_with("#[");
    let commented = |(at, line): (usize, &&str)| {
        let above = lines.iter().take(at).rev().take_while(is_comment).copied();
        let above: Vec<_> = above.collect();
        ((*line).to_owned(), above.join("\n"))
    };
    Ok(lines.iter().enumerate().filter(|(_, line)| line.starts_with(kind)).map(commented).collect())
}

#[test]
fn every_future_of_the_sdk_says_whether_it_is_cancel_safe_and_is_dropped_by_a_test()
-> io::Result<()> {
    // Those of a client, and those that make one.
    let dropped = text("sdk/src/tests/every_call.rs")? + &text("sdk/src/tests/dropped.rs")?;
    let futures = items_of_the_sdk("pub async fn ")?;
    assert!(futures.len() > 20, "{futures:?}");
    for (line, comment) in futures {
        assert!(comment.contains("Cancel safety: "), "{line}");
        let name = line.trim_start_matches("pub async fn ").split(['(', '<']).next();
        let name = name.unwrap_or_default();
        assert!(
            dropped.contains(&format!("{name}(")),
            "{name} is not in sdk/src/tests/every_call.rs, so no test drops it, or compares the fake with Nexus"
        );
    }
    Ok(())
}

#[test]
fn every_public_item_of_the_sdk_has_an_example() -> io::Result<()> {
    let mut checked = 0;
    for kind in ["pub fn ", "pub async fn ", "pub const fn ", "pub struct ", "pub enum "] {
        for (line, comment) in items_of_the_sdk(kind)? {
            checked += 1;
            assert!(comment.contains("# Examples"), "{line}\n{comment}");
        }
    }
    assert!(checked > 80, "only {checked}");
    Ok(())
}

#[test]
fn a_method_that_uses_another_asks_for_the_same_operation() -> io::Result<()> {
    let names = Names::read()?.of(Operation::SecretMetadata);
    assert_eq!(names, ["call::SecretMetadata>", ".any_secret_metadata(", ".secret_metadata("]);
    assert_eq!(Names::read()?.of(Operation::CipherEncrypt).len(), 3);
    Ok(())
}
