//! Budgets that do not fit each other.

use std::sync::Arc;

use spike_mtls::budget::{Budget, Class};

use super::{nexus, warnings};

// They were raised or lowered in silence, and `--check-config` found nothing.
#[test]
fn a_budget_that_does_not_fit_another_one_is_a_warning_that_says_which_value_counts() {
    const MEMORY: &str = "SPIKE_HTTP_SERVER_MAX_MEMORY";
    const MEMORY_PER_ID: &str = "SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID";
    const REQUESTS: &str = "SPIKE_HTTP_SERVER_MAX_REQUESTS";
    const REQUESTS_PER_ID: &str = "SPIKE_HTTP_SERVER_MAX_REQUESTS_PER_ID";
    const CONNECTIONS: &str = "SPIKE_HTTP_SERVER_MAX_CONNECTIONS";
    const CONNECTIONS_PER_ID: &str = "SPIKE_HTTP_SERVER_MAX_CONNECTIONS_PER_ID";
    for (pairs, expected) in [
        (
            &[(MEMORY, "1000")][..],
            "SPIKE_HTTP_SERVER_MAX_MEMORY=\"1000\": expected at least four times SPIKE_HTTP_SERVER_MAX_BODY_SIZE, \
             which is 4194304; using 16777216",
        ),
        (
            &[(MEMORY_PER_ID, "1000")],
            "SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID=\"1000\": expected at least SPIKE_HTTP_SERVER_MAX_BODY_SIZE, \
             which is 4194304; using 4194304",
        ),
        (
            &[(MEMORY_PER_ID, "200000000")],
            "SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID=\"200000000\": expected at most 44040192, half of \
             SPIKE_HTTP_SERVER_MAX_MEMORY without its reserve: one SPIFFE ID gets no more, unless it is of an operator, Nexus or Bootstrap",
        ),
        (
            &[(REQUESTS, "100"), (REQUESTS_PER_ID, "45")],
            "SPIKE_HTTP_SERVER_MAX_REQUESTS_PER_ID=\"45\": expected at most 44, half of SPIKE_HTTP_SERVER_MAX_REQUESTS without \
             its reserve: one SPIFFE ID gets no more, unless it is of an operator, Nexus or Bootstrap",
        ),
        (
            &[(CONNECTIONS_PER_ID, "5000")],
            "SPIKE_HTTP_SERVER_MAX_CONNECTIONS_PER_ID=\"5000\": expected at most SPIKE_HTTP_SERVER_MAX_CONNECTIONS, \
             which is 4096; using 4096",
        ),
        (
            &[(REQUESTS, "7")],
            "SPIKE_HTTP_SERVER_MAX_REQUESTS=\"7\": expected at least 8, of which an eighth is reserved for operators, Nexus and \
             Bootstrap; of fewer none is",
        ),
        (
            &[(CONNECTIONS, "2")],
            "SPIKE_HTTP_SERVER_MAX_CONNECTIONS=\"2\": expected at least 16, of which a sixteenth is reserved for operators, \
             Nexus and Bootstrap; of fewer it is one, and of a single one none",
        ),
        (
            &[("SPIKE_NEXUS_CRYPTO_MAX_CIPHERTEXT_SIZE", "4194305")],
            "SPIKE_NEXUS_CRYPTO_MAX_CIPHERTEXT_SIZE=\"4194305\": expected at most SPIKE_HTTP_SERVER_MAX_BODY_SIZE, which is \
             4194304; using 4194304",
        ),
        (
            &[("SPIKE_NEXUS_DB_MAX_OPEN_CONNS", "1")],
            "SPIKE_NEXUS_DB_MAX_OPEN_CONNS=\"1\": expected at least 2: one that writes, and one that reads; using 2",
        ),
    ] {
        assert_eq!(warnings(pairs), [expected]);
    }
}

/// What is not set is not the mistake of the operator.
#[test]
fn a_default_gives_way_to_a_budget_that_is_set_without_a_warning() {
    let server = |pairs: &[(&str, &str)]| {
        let (settings, problems) = nexus(pairs).unwrap();
        assert_eq!(problems, []);
        settings.server
    };
    server(&[
        ("SPIKE_HTTP_SERVER_MAX_REQUESTS", "100"),
        ("SPIKE_HTTP_SERVER_MAX_CONNECTIONS", "100"),
        ("SPIKE_HTTP_SERVER_MAX_MEMORY", "20000000"),
    ]);
    let large = server(&[("SPIKE_HTTP_SERVER_MAX_BODY_SIZE", "67108864")]);
    assert_eq!((large.requests.memory.all, large.requests.memory.each), (268_435_456, 67_108_864));
}

/// Only a body whose length was declared did: one that grows gets no more than it leaves free.
#[test]
fn with_the_least_memory_a_largest_body_of_undeclared_length_fits_beside_another_one() {
    const LARGEST: u64 = 4_194_304;
    let (settings, _) = nexus(&[("SPIKE_HTTP_SERVER_MAX_MEMORY", "1")]).unwrap();
    let memory = Budget::fair(settings.server.requests.memory);
    let account = |id: &str| memory.account(&Arc::from(id), Class::Ordinary);
    let _declared = account("a").take(LARGEST).unwrap();
    let mut undeclared = account("b").take(16_384).unwrap();
    for _ in 1..LARGEST / 16_384 {
        assert_eq!(undeclared.grow(16_384), Ok(()), "at {}", account("b").used());
    }
    assert_eq!(account("b").used(), LARGEST);
}
