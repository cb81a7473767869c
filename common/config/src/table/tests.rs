use std::collections::HashSet;

use super::*;

#[test]
fn no_name_is_twice_in_the_table() {
    let mut seen = HashSet::new();
    for variable in variables() {
        assert!(seen.insert(variable.name), "{}", variable.name);
        assert!(DEAD.iter().all(|(dead, _)| *dead != variable.name), "{}", variable.name);
    }
}

#[test]
fn every_row_has_a_reader_and_a_sentence() {
    for variable in variables() {
        assert!(!variable.readers.is_empty(), "{}", variable.name);
        assert!(variable.effect.ends_with('.'), "{}", variable.name);
        assert!(variable.upstream.is_none_or(|note| note.ends_with('.')), "{}", variable.name);
    }
}

#[test]
fn a_value_that_can_be_replaced_has_something_to_replace_it_with() {
    for variable in variables() {
        let replaceable = variable.rule.is_fatal() || variable.default.text().is_some();
        assert!(replaceable || variable.rule == Rule::Text, "{}", variable.name);
    }
}

#[test]
fn every_variable_of_upstream_is_here_with_its_default() {
    // cli-config-deploy 2.2. SPIKE_TRUST_ROOT is omitted: its default has no effect. That of
    // SPIKE_NEXUS_RECOVERY_MAX_INTERVAL has no effect upstream, and would be too long here.
    let upstream = [
        ("SPIFFE_ENDPOINT_SOCKET", Some("unix:///tmp/spire-agent/public/api.sock")),
        ("SPIKE_SPIFFE_SOURCE_TIMEOUT", Some("30s")),
        ("SPIKE_SYSTEM_LOG_LEVEL", Some("WARN")),
        ("SPIKE_STACK_TRACES_ON_LOG_FATAL", Some("false")),
        ("SPIKE_BANNER_ENABLED", Some("true")),
        ("SPIKE_PILOT_SHOW_MEMORY_WARNING", Some("false")),
        ("SPIKE_TRUST_ROOT_NEXUS", Some("spike.ist")),
        ("SPIKE_TRUST_ROOT_KEEPER", Some("spike.ist")),
        ("SPIKE_TRUST_ROOT_BOOTSTRAP", Some("spike.ist")),
        ("SPIKE_TRUST_ROOT_PILOT", Some("spike.ist")),
        ("SPIKE_TRUST_ROOT_LITE_WORKLOAD", Some("spike.ist")),
        ("SPIKE_NEXUS_API_URL", Some("https://localhost:8553")),
        ("SPIKE_NEXUS_TLS_PORT", Some(":8553")),
        ("SPIKE_KEEPER_TLS_PORT", Some(":8443")),
        ("SPIKE_NEXUS_KEEPER_PEERS", None),
        ("SPIKE_NEXUS_SHAMIR_SHARES", Some("3")),
        ("SPIKE_NEXUS_SHAMIR_THRESHOLD", Some("2")),
        ("SPIKE_NEXUS_SHAMIR_MAX_SHARE_COUNT", Some("1000")),
        ("SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL", Some("5m")),
        ("SPIKE_NEXUS_RECOVERY_MAX_INTERVAL", Some("400ms")),
        ("SPIKE_NEXUS_BACKEND_STORE", Some("sqlite")),
        ("SPIKE_NEXUS_DATA_DIR", None),
        ("SPIKE_NEXUS_DB_JOURNAL_MODE", Some("WAL")),
        ("SPIKE_NEXUS_DB_BUSY_TIMEOUT_MS", Some("5000")),
        ("SPIKE_NEXUS_DB_MAX_OPEN_CONNS", Some("10")),
        ("SPIKE_NEXUS_DB_MAX_IDLE_CONNS", Some("5")),
        ("SPIKE_NEXUS_DB_CONN_MAX_LIFETIME", Some("1h")),
        ("SPIKE_NEXUS_DB_INITIALIZATION_TIMEOUT", Some("30s")),
        ("SPIKE_NEXUS_DB_OPERATION_TIMEOUT", Some("15s")),
        ("SPIKE_NEXUS_DB_SKIP_SCHEMA_CREATION", Some("false")),
        ("SPIKE_NEXUS_MAX_SECRET_VERSIONS", Some("10")),
        ("SPIKE_NEXUS_CRYPTO_MAX_CIPHERTEXT_SIZE", Some("65536")),
        ("SPIKE_PILOT_RECOVERY_DIR", None),
        ("SPIKE_BOOTSTRAP_CONFIGMAP_NAME", Some("spike-bootstrap-state")),
        ("SPIKE_BOOTSTRAP_FORCE", Some("false")),
        ("SPIKE_BOOTSTRAP_TIMEOUT", Some("0")),
        ("SPIKE_BOOTSTRAP_KEEPER_TIMEOUT", Some("30s")),
        ("SPIKE_BOOTSTRAP_KEEPER_MAX_RETRIES", Some("5")),
        ("SPIKE_BOOTSTRAP_KEEPER_RETRY_INITIAL_INTERVAL", Some("2s")),
        ("SPIKE_BOOTSTRAP_KEEPER_RETRY_MAX_INTERVAL", Some("30s")),
        ("SPIKE_BOOTSTRAP_INIT_VERIFICATION_TIMEOUT", Some("30m")),
        ("SPIKE_HTTP_CLIENT_TIMEOUT", Some("60s")),
        ("SPIKE_HTTP_CLIENT_DIALER_TIMEOUT", Some("30s")),
        ("SPIKE_HTTP_CLIENT_DIALER_KEEP_ALIVE", Some("30s")),
        ("SPIKE_HTTP_CLIENT_TLS_HANDSHAKE_TIMEOUT", Some("10s")),
        ("SPIKE_HTTP_CLIENT_RESPONSE_HEADER_TIMEOUT", Some("10s")),
        ("SPIKE_HTTP_CLIENT_EXPECT_CONTINUE_TIMEOUT", Some("5s")),
        ("SPIKE_HTTP_CLIENT_IDLE_CONN_TIMEOUT", Some("30s")),
        ("SPIKE_HTTP_CLIENT_MAX_CONNS_PER_HOST", Some("10")),
        ("SPIKE_HTTP_CLIENT_MAX_IDLE_CONNS", Some("100")),
        ("SPIKE_HTTP_CLIENT_MAX_IDLE_CONNS_PER_HOST", Some("10")),
        ("SPIKE_HTTP_SERVER_READ_HEADER_TIMEOUT", Some("10s")),
    ];
    for (name, default) in upstream {
        let variable = find(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(variable.default.text(), default, "{name}");
    }
}
