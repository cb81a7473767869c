use std::path::Path;

use clap::error::ErrorKind;

use super::*;

fn parsed(arguments: &[&str]) -> Result<Command, ErrorKind> {
    let arguments = std::iter::once("spike").chain(arguments.iter().copied());
    parse(arguments.map(Into::into)).map_err(|error| error.kind())
}

#[test]
fn the_tree_is_sound() {
    tree().debug_assert();
}

#[test]
fn the_help_of_every_command_is_as_it_was() {
    // A changed text is a changed interface: review the snapshot, then accept it.
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../tests/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| {
        let mut tree = tree().term_width(100);
        tree.build();
        insta::assert_snapshot!("help", tree.render_long_help().to_string());
        for group in tree.get_subcommands_mut().filter(|command| command.get_name() != "help") {
            insta::assert_snapshot!(format!("help-{}", group.get_name()), help_of_all(group));
        }
    });
}

/// The help of a command and of all commands below it.
fn help_of_all(command: &mut clap::Command) -> String {
    let mut text = command.render_long_help().to_string();
    for sub in command.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        let rule = "-".repeat(100);
        text = format!("{text}\n{rule}\n{}", help_of_all(sub));
    }
    text
}

/// The words of every command that does something.
fn words_of_commands(command: &clap::Command, before: &[String], into: &mut Vec<Vec<String>>) {
    for sub in command.get_subcommands() {
        let words = [before, &[sub.get_name().to_owned()]].concat();
        if sub.has_subcommands() {
            words_of_commands(sub, &words, into);
        } else {
            into.push(words);
        }
    }
}

/// The tests of this crate, without this file.
fn tests_below(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, text);
        } else if !path.ends_with("cli/tests.rs") && path.to_string_lossy().contains("/tests") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

// A command whose output no test had looked at went unnoticed.
#[test]
fn every_command_is_run_by_a_test() {
    let (mut commands, mut tests) = (Vec::new(), String::new());
    words_of_commands(&tree(), &[], &mut commands);
    tests_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut tests);
    assert!(commands.len() > 20, "{commands:?}");
    commands.retain(|words| {
        let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
        !tests.contains(&format!("[{}", quoted.join(", ")))
    });
    assert_eq!(commands, Vec::<Vec<String>>::new());
}

#[test]
fn a_format_has_upstreams_names_and_letters() {
    // cli-config-deploy 1.7: case counts, and the empty string is a name too.
    let format = |name: &str| match parsed(&["secret", "get", "p", "--format", name]) {
        Ok(Command::Secret(SecretCommand::Get(arguments))) => Some(arguments.format),
        _ => None,
    };
    for name in ["human", "h", "plain", "p", ""] {
        assert_eq!(format(name), Some(Format::Human), "{name:?}");
    }
    for name in ["json", "j"] {
        assert_eq!(format(name), Some(Format::Json), "{name:?}");
    }
    for name in ["yaml", "y"] {
        assert_eq!(format(name), Some(Format::Yaml), "{name:?}");
    }
    for name in ["JSON", "Human", "xml", " json"] {
        assert_eq!(format(name), None, "{name:?}");
    }
}

#[test]
fn every_command_line_of_upstreams_is_understood() {
    for line in [
        "secret put a/b user=app pass=s3cr3t",
        "secret get a/b",
        "secret get a/b key -v 2 -f json",
        "secret get a/b --version=2 --format=yaml",
        "secret list -f j",
        "secret delete a/b -v 1,2",
        "secret delete a/b --versions 1",
        "secret undelete a/b",
        "secret metadata get a/b -v 1 -f y",
        "policy create --name n --path-pattern p --spiffeid-pattern s --permissions read",
        "policy apply --name n --path-pattern p --spiffeid-pattern s --permissions read",
        "policy apply --file policy.yaml",
        "policy list --path-pattern p",
        "policy list --spiffeid-pattern s --format json",
        "policy get n",
        "policy get --name n -f yaml",
        "policy get n --name other",
        "policy delete n",
        "policy delete --name n",
        "cipher encrypt -f in -o out",
        "cipher encrypt --plaintext aGk= --algorithm AES",
        "cipher decrypt --file in --out out",
        "cipher decrypt --version 1 --nonce bg== --ciphertext Yw==",
        "operator recover",
        "operator restore",
        "completion bash",
        "completion powershell",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        assert!(parsed(&arguments).is_ok(), "{line}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_its_kind() {
    use ErrorKind::{
        ArgumentConflict, InvalidSubcommand, InvalidValue, MissingRequiredArgument,
        UnknownArgument, ValueValidation,
    };
    for (line, kind) in [
        ("foo", InvalidSubcommand),
        ("secret foo", InvalidSubcommand),
        ("secret metadata foo", InvalidSubcommand),
        ("secret put a/b", MissingRequiredArgument),
        ("secret get", MissingRequiredArgument),
        ("secret get a --nope", UnknownArgument),
        ("secret get a -v -1", UnknownArgument),
        ("secret get a -v x", ValueValidation),
        ("secret get a --raw", MissingRequiredArgument),
        ("secret get a k --raw -f json", ArgumentConflict),
        ("secret get a -f xml", InvalidValue),
        ("secret list --limit 0", ValueValidation),
        ("secret delete a -v 1,,2", ValueValidation),
        ("secret delete a -v ,", ValueValidation),
        ("policy create --name n", MissingRequiredArgument),
        ("policy create n", UnknownArgument),
        ("policy apply", MissingRequiredArgument),
        ("policy apply --name n", MissingRequiredArgument),
        ("policy apply --file f --name n", ArgumentConflict),
        ("policy list --path-pattern p --spiffeid-pattern s", ArgumentConflict),
        ("policy list n", UnknownArgument),
        ("policy get", MissingRequiredArgument),
        ("cipher encrypt -f a --plaintext aGk=", ArgumentConflict),
        ("cipher decrypt --version 1", MissingRequiredArgument),
        ("cipher decrypt --version 256 --nonce a --ciphertext b", ValueValidation),
        ("cipher decrypt --version 1 --nonce a --ciphertext b --json", ArgumentConflict),
        ("operator recover --out d --stdout", ArgumentConflict),
        ("policy apply -f policy.yaml --format json", MissingRequiredArgument),
        ("completion tcsh", InvalidValue),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        assert_eq!(parsed(&arguments).map(|_| ()), Err(kind), "{line}");
    }
}

// In one command it was a file, in another the format.
#[test]
fn the_short_f_is_the_file_wherever_a_command_reads_one() {
    for line in [
        "policy apply -f policy.yaml",
        "policy apply --dry-run -f policy.yaml --format json",
        "policy lint -f policy.yaml -f other.json --format yaml",
        "operator restore -f spike.recovery.1.txt -f spike.recovery.3.txt",
        "cipher encrypt -f plan.txt",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        assert!(parsed(&arguments).is_ok(), "{line}");
    }
}

#[test]
fn the_name_of_a_policy_as_an_argument_wins_over_the_flag() {
    let name = |arguments: &[&str]| match parsed(arguments) {
        Ok(Command::Policy(PolicyCommand::Get { name, .. })) => name.get().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(name(&["policy", "get", "a", "--name", "b"]), "a");
    assert_eq!(name(&["policy", "get", "--name", "b"]), "b");
}

#[test]
fn debug_output_of_arguments_shows_no_secret() {
    let put = parsed(&["secret", "put", "a", "pass=hunter2"]).unwrap();
    let encrypt = parsed(&["cipher", "encrypt", "--plaintext", "aHVudGVyMg=="]).unwrap();
    let shown = format!("{put:?} {encrypt:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
}
