use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

use super::*;

/// Reads with `read` as Nexus does. Returns the result, and the problems as text.
fn read<T>(pairs: &[(&str, &str)], read: impl FnOnce(&mut Reader<'_>) -> T) -> (T, Vec<String>) {
    let environment = Environment::from_pairs(pairs.iter().copied());
    let mut reader = Reader::new(&environment, Process::Nexus);
    let value = read(&mut reader);
    (value, reader.problems.iter().map(ToString::to_string).collect())
}

#[test]
fn a_valid_value_is_read_without_a_problem() {
    let pairs = [("SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL", "1h30m")];
    let (interval, problems) =
        read(&pairs, |reader| reader.duration(&table::SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL));
    assert_eq!(interval, Duration::from_mins(90));
    assert_eq!(problems, [""; 0]);
}

#[test]
fn an_unset_and_an_empty_variable_have_the_default_without_a_problem() {
    for pairs in [&[][..], &[("SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL", "")]] {
        let (interval, problems) =
            read(pairs, |reader| reader.duration(&table::SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL));
        assert_eq!(interval, Duration::from_mins(5));
        assert_eq!(problems, [""; 0]);
    }
}

#[test]
fn a_bad_duration_falls_back_as_upstream_does_but_is_reported() {
    for (text, why) in [
        ("30", ": the unit is missing"),
        ("soon", ": not a number with a unit"),
        // Upstream panics at these two (F17).
        ("0", ""),
        ("-5m", ""),
    ] {
        let pairs = [("SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL", text)];
        let (interval, problems) =
            read(&pairs, |reader| reader.duration(&table::SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL));
        assert_eq!(interval, Duration::from_mins(5));
        let expected = format!(
            "SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL={text:?}: expected a duration above 0, such as 30s \
             or 1h30m{why}; using 5m"
        );
        assert_eq!(problems, [expected]);
    }
}

#[test]
fn zero_and_less_mean_no_time_limit_where_upstream_has_it_so() {
    let limit = |text: &str| {
        let pairs = [("SPIKE_NEXUS_DB_OPERATION_TIMEOUT", text)];
        read(&pairs, |reader| reader.time_limit(&table::SPIKE_NEXUS_DB_OPERATION_TIMEOUT))
    };
    assert_eq!(limit("0"), (None, vec![]));
    assert_eq!(limit("-1s"), (None, vec![]));
    assert_eq!(limit("2s"), (Some(Duration::from_secs(2)), vec![]));
}

#[test]
fn the_idle_time_limit_must_be_above_that_of_the_clients() {
    let idle = |text: &str| {
        let pairs = [("SPIKE_HTTP_SERVER_IDLE_TIMEOUT", text)];
        read(&pairs, |reader| reader.duration(&table::SPIKE_HTTP_SERVER_IDLE_TIMEOUT))
    };
    assert_eq!(idle("31s"), (Duration::from_secs(31), vec![]));
    let (used, problems) = idle("30s");
    assert_eq!(used, Duration::from_secs(90));
    let expected =
        r#"SPIKE_HTTP_SERVER_IDLE_TIMEOUT="30s": expected a duration above 30s; using 90s"#;
    assert_eq!(problems, [expected]);
}

#[test]
fn a_count_is_what_go_reads_as_a_number_above_zero() {
    let count = |text: &str| {
        let pairs = [("SPIKE_NEXUS_MAX_SECRET_VERSIONS", text)];
        let (count, problems) =
            read(&pairs, |reader| reader.count::<u32>(&table::SPIKE_NEXUS_MAX_SECRET_VERSIONS));
        (count, problems.len())
    };
    for (text, expected) in [("1", 1), ("007", 7), ("+5", 5), ("4294967295", u32::MAX)] {
        assert_eq!(count(text), (expected, 0), "{text}");
    }
    for text in
        ["0", "-3", " 5", "5 ", "0x10", "1_000", "ten", "4294967296", "99999999999999999999"]
    {
        assert_eq!(count(text), (10, 1), "{text}");
    }
}

#[test]
fn a_flag_is_true_in_any_case_and_white_space_and_everything_else_is_false() {
    let flag = |text: &str| {
        let pairs = [("SPIKE_BANNER_ENABLED", text)];
        let (flag, problems) = read(&pairs, |reader| reader.flag(&table::SPIKE_BANNER_ENABLED));
        (flag, problems)
    };
    assert_eq!(flag(" TRUE "), (true, vec![]));
    assert_eq!(flag("False"), (false, vec![]));
    assert_eq!(flag(""), (true, vec![]));
    // Not the default, which is true: upstream treats every other word as false.
    let expected = r#"SPIKE_BANNER_ENABLED="yes": expected true or false; using false"#;
    assert_eq!(flag("yes"), (false, vec![expected.to_owned()]));
    assert!(!flag(" ").0);
}

#[test]
fn skipping_the_schema_is_written_as_for_gos_parse_bool() {
    let skip = |text: &str| {
        let pairs = [("SPIKE_NEXUS_DB_SKIP_SCHEMA_CREATION", text)];
        let (flag, problems) =
            read(&pairs, |reader| reader.flag(&table::SPIKE_NEXUS_DB_SKIP_SCHEMA_CREATION));
        (flag, problems.len())
    };
    for text in ["1", "t", "T", "TRUE", "true", "True"] {
        assert_eq!(skip(text), (true, 0), "{text}");
    }
    for text in ["0", "f", "F", "FALSE", "false", "False"] {
        assert_eq!(skip(text), (false, 0), "{text}");
    }
    for text in ["yes", "tRUE", " true"] {
        assert_eq!(skip(text), (false, 1), "{text}");
    }
}

#[test]
fn forcing_a_new_key_takes_the_exact_word() {
    let force = |text: &str| {
        let environment = Environment::from_pairs([("SPIKE_BOOTSTRAP_FORCE", text)]);
        let mut reader = Reader::new(&environment, Process::Bootstrap);
        (reader.flag(&table::SPIKE_BOOTSTRAP_FORCE), reader.problems.len())
    };
    assert_eq!(force("true"), (true, 0));
    assert_eq!(force("false"), (false, 0));
    assert_eq!(force("TRUE"), (false, 1));
    assert_eq!(force("1"), (false, 1));
}

#[test]
fn a_bare_port_is_fatal_with_the_right_forms() {
    let pairs = [("SPIKE_NEXUS_TLS_PORT", "8553")];
    let (_, problems) = read(&pairs, |reader| reader.listen(&table::SPIKE_NEXUS_TLS_PORT));
    let expected = "SPIKE_NEXUS_TLS_PORT=\"8553\": expected a listen address such as :8553 or \
                    127.0.0.1:8553";
    assert_eq!(problems, [expected]);
}

#[test]
fn the_reason_is_named_where_the_rule_does_not_say_it_all() {
    let pairs = [
        ("SPIKE_TRUST_ROOT_NEXUS", "a.example,"),
        ("SPIKE_NEXUS_KEEPER_PEERS", "https://k1,http://k2"),
        ("SPIFFE_ENDPOINT_SOCKET", "/run/agent.sock"),
    ];
    let ((), problems) = read(&pairs, |reader| {
        reader.trust_roots(&table::SPIKE_TRUST_ROOT_NEXUS);
        reader.keeper_peers(&table::SPIKE_NEXUS_KEEPER_PEERS);
        reader.endpoint(&table::SPIFFE_ENDPOINT_SOCKET);
    });
    let ends = [
        ": element 2 of the list is empty (a stray comma?)",
        ": element 2 of the list: the scheme is not https",
        ": it must begin with unix: or tcp:",
    ];
    assert_eq!(problems.len(), ends.len());
    for (problem, end) in problems.iter().zip(ends) {
        assert!(problem.ends_with(end), "{problem}");
    }
}

#[test]
fn a_value_that_is_not_utf8_is_refused() {
    let bytes = |text: &[u8]| OsString::from_vec(text.to_vec());
    let pairs = [(bytes(b"SPIFFE_ENDPOINT_SOCKET"), bytes(b"unix:///run/\xff.sock"))];
    let environment = Environment::from_pairs(pairs);
    let mut reader = Reader::new(&environment, Process::Keeper);
    reader.endpoint(&table::SPIFFE_ENDPOINT_SOCKET);
    let error = reader.finish().unwrap_err();
    assert!(error.to_string().ends_with(": not UTF-8"), "{error}");
}

#[test]
fn a_password_in_a_url_is_not_repeated() {
    let environment =
        Environment::from_pairs([("SPIKE_NEXUS_API_URL", "https://ann:hunter2@nexus")]);
    let mut reader = Reader::new(&environment, Process::Pilot);
    reader.url(&table::SPIKE_NEXUS_API_URL);
    let error = reader.finish().unwrap_err().to_string();
    assert!(error.contains("https://***@nexus") && !error.contains("hunter2"), "{error}");
}

#[test]
fn a_variable_of_another_process_reads_as_unset() {
    // A Keeper must not stop for a bad setting of Pilot in a shared file.
    let environment = Environment::from_pairs([("SPIKE_TRUST_ROOT_PILOT", ",")]);
    let mut reader = Reader::new(&environment, Process::Keeper);
    assert_eq!(reader.trust_roots(&table::SPIKE_TRUST_ROOT_PILOT), TrustRoots::default());
    assert_eq!(reader.finish(), Ok(vec![]));
}

#[test]
fn harmless_problems_come_out_as_warnings() {
    let environment =
        Environment::from_pairs([("SPIKE_NEXUS_MAX_SECRET_VERSIONS", "many"), ("SPIKE_XYZ", "1")]);
    let mut reader = Reader::new(&environment, Process::Nexus);
    reader.count::<u32>(&table::SPIKE_NEXUS_MAX_SECRET_VERSIONS);
    let outcomes: Vec<_> =
        reader.finish().unwrap().into_iter().map(|problem| problem.outcome).collect();
    assert_eq!(outcomes, [Outcome::FellBackTo("10".to_owned()), Outcome::Ignored]);
}

#[test]
fn one_fatal_problem_brings_out_all_of_them_the_fatal_ones_first() {
    let environment = Environment::from_pairs([
        ("SPIKE_NEXUS_MAX_SECRET_VERSIONS", "many"),
        ("SPIKE_NEXUS_TLS_PORT", "8553"),
        ("SPIKE_XYZ", "1"),
    ]);
    let mut reader = Reader::new(&environment, Process::Nexus);
    reader.count::<u32>(&table::SPIKE_NEXUS_MAX_SECRET_VERSIONS);
    reader.listen(&table::SPIKE_NEXUS_TLS_PORT);
    let error = reader.finish().unwrap_err();
    let names: Vec<_> = error.problems().iter().map(|problem| problem.variable.as_str()).collect();
    assert_eq!(names, ["SPIKE_NEXUS_TLS_PORT", "SPIKE_NEXUS_MAX_SECRET_VERSIONS", "SPIKE_XYZ"]);
}

// The newline of a setting that was read from a file named another file.
#[test]
fn a_file_whose_name_has_a_control_character_or_a_blank_at_its_end_is_refused() {
    for value in ["/var/log/audit\n", "/var/log/audit ", "/var/log/au\tdit", "audit", "/var/log/"] {
        let (file, problems) =
            read(&[("SPIKE_AUDIT_FILE", value)], |reader| reader.file(&table::SPIKE_AUDIT_FILE));
        assert_eq!(file, None, "{value:?}");
        assert_eq!(problems.len(), 1, "{value:?}: {problems:?}");
    }
    let (file, problems) = read(&[("SPIKE_AUDIT_FILE", "/var/log/my audit")], |reader| {
        reader.file(&table::SPIKE_AUDIT_FILE)
    });
    assert_eq!((file, problems), (Some("/var/log/my audit".into()), Vec::new()));
}
