//! The rows. A macro makes each row a static with the name of its variable, so that the name is written once, and adds it
//! to its section, so that the documentation has every row.

use super::{
    DefaultValue::{self, Is, Unset},
    Process::{self, Bootstrap, Keeper, Nexus, Pilot, Workload},
    Rule, Section, Variable,
};

macro_rules! section {
    (
        $section:ident, $title:literal, $about:literal;
        $($name:ident, $default:expr, $rule:expr, $readers:expr, $effect:literal $(, upstream $note:literal)?;)*
    ) => {
        $(
            #[doc = $effect]
            pub static $name: Variable = Variable {
                name: stringify!($name),
                default: $default,
                rule: $rule,
                readers: $readers,
                effect: $effect,
                upstream: note!($($note)?),
            };
        )*
        #[doc = $title]
        pub static $section: Section =
            Section { title: $title, about: $about, variables: &[$(&$name),*] };
    };
}

macro_rules! note {
    () => {
        None
    };
    ($note:literal) => {
        Some($note)
    };
}

mod logs;
mod sdk;

pub use logs::*;
pub use sdk::*;

const ALL: &[Process] = &Process::ALL;
const DAEMONS: &[Process] = &[Nexus, Keeper];
const PROGRAMS: &[Process] = &[Nexus, Keeper, Bootstrap, Pilot];
const CLIENTS: &[Process] = &[Nexus, Bootstrap, Pilot, Workload];
const CALLERS: &[Process] = &[Bootstrap, Pilot, Workload];
const NEXUS: &[Process] = &[Nexus];
const CEREMONY: &[Process] = &[Nexus, Bootstrap];
const BOOTSTRAP: &[Process] = &[Bootstrap];

/// The default of a telemetry listener, which depends on another variable.
const NEXUS_TELEMETRY: DefaultValue =
    Unset("`127.0.0.1` at the TLS port + 1000, so `127.0.0.1:9553`");
const KEEPER_TELEMETRY: DefaultValue =
    Unset("`127.0.0.1` at the TLS port + 1000, so `127.0.0.1:9443`");

const ANY_COUNT: Rule = Rule::Count { max: i64::MAX };

/// Every section, in the order of the documentation.
pub static SECTIONS: [&Section; 12] = [
    &IDENTITY,
    &LISTENERS,
    &KEY,
    &STORE,
    &DIRECTORIES,
    &SERVER,
    &CLIENT,
    &SDK,
    &CEREMONY_SETTINGS,
    &LOGS,
    &AUDIT,
    &SYSTEM,
];

section! {
    IDENTITY, "Identity and trust",
    "Every process proves itself with an X.509-SVID from the SPIFFE Workload API, and recognises the others by their \
     SPIFFE IDs. A trust root is a trust domain, perhaps with a path (`example.org/team-a`); the ID of Nexus under it is \
     `spiffe://example.org/team-a/spike/nexus`, or anything below that. A list allows several roots. An empty element \
     (a stray comma) is an error: the process does not start.";

    SPIFFE_ENDPOINT_SOCKET, Is("unix:///tmp/spire-agent/public/api.sock"), Rule::Endpoint, ALL,
        "Address of the SPIFFE Workload API.";
    SPIKE_SPIFFE_SOURCE_TIMEOUT, Is("30s"), Rule::Duration, ALL,
        "How long to wait for the first SVID. After it, commands fail. If it is not set and the agent cannot be \
         reached, commands fail after 5s. Daemons log a warning and keep trying.",
        upstream "Only Bootstrap and the SDK read it; the others wait without limit and without a message. 0 is \
                  refused.";
    SPIKE_SPIFFE_VISIBLE_WHEN_REFUSED, Is("true"), Rule::Flag, &[Nexus, Keeper, Bootstrap],
        "Whether a process that has its SVID lets other processes of its user inspect it for one try after the agent has \
         refused it. Only an agent that is not root needs this, to attest the process again.";
    SPIKE_TRUST_ROOT, Unset("nothing"), Rule::Text, ALL,
        "No effect by itself: each component has its own variable below. If you set only this variable, SPIKE reports \
         it. This is a common mistake.",
        upstream "Nexus logs it.";
    SPIKE_TRUST_ROOT_NEXUS, Is("spike.ist"), Rule::TrustRoots, ALL,
        "The trust roots of Nexus.";
    SPIKE_TRUST_ROOT_KEEPER, Is("spike.ist"), Rule::TrustRoots, &[Nexus, Keeper, Bootstrap],
        "The trust roots of Keepers.";
    SPIKE_TRUST_ROOT_BOOTSTRAP, Is("spike.ist"), Rule::TrustRoots, &[Nexus, Keeper, Bootstrap],
        "The trust roots of Bootstrap.";
    SPIKE_TRUST_ROOT_PILOT, Is("spike.ist"), Rule::TrustRoots, &[Nexus, Pilot],
        "The trust roots of operators (superuser, recover, restore).";
    SPIKE_TRUST_ROOT_LITE_WORKLOAD, Is("spike.ist"), Rule::TrustRoots, NEXUS,
        "The trust roots of lite workloads, whose SPIFFE IDs are `/spike/workload/role/lite` or below: they may use the \
         cipher without a policy.";
}

section! {
    LISTENERS, "Addresses",
    "A listen address is `host:port`. Without a host (`:8553`) it means all interfaces, IPv4 and IPv6. Port 0 lets the \
     operating system choose. A bare port number is refused, as it is upstream. (A TLS port above 64535 has its default \
     telemetry port 1000 below, not above.)";

    SPIKE_NEXUS_TLS_PORT, Is(":8553"), Rule::Listen, NEXUS,
        "Where Nexus serves its API (mTLS).";
    SPIKE_KEEPER_TLS_PORT, Is(":8443"), Rule::Listen, &[Keeper],
        "Where a Keeper serves its API (mTLS).";
    SPIKE_NEXUS_TELEMETRY_ADDR, NEXUS_TELEMETRY, Rule::ListenOrOff, NEXUS,
        "Where Nexus serves `/livez`, `/readyz`, `/healthz` and `/metrics` over plain HTTP. `off`: nowhere. A \
         configured address must be free; if the default one is in use, Nexus logs a warning and starts without \
         telemetry.",
        upstream "New.";
    SPIKE_KEEPER_TELEMETRY_ADDR, KEEPER_TELEMETRY, Rule::ListenOrOff, &[Keeper],
        "As `SPIKE_NEXUS_TELEMETRY_ADDR`, for a Keeper.",
        upstream "New.";
    SPIKE_METRICS_SPIFFE_IDS, Unset("nobody"), Rule::SpiffeIds, DAEMONS,
        "Who may read `/metrics` over mTLS, on the port of the API: SPIFFE IDs, each with those below it. For everybody \
         else there is no such route. See [metrics.md](metrics.md).",
        upstream "New.";
    SPIKE_NEXUS_API_URL, Is("https://localhost:8553"), Rule::HttpsUrl, CALLERS,
        "The URL of Nexus. Its path, if any, precedes every route.",
        upstream "Not checked before the first call.";
}

section! {
    KEY, "Root key and Keepers",
    "The root key is split into shares, one per Keeper; a threshold of them rebuilds it. Nexus and Bootstrap need \
     the same values, and the values must not change during the life of the key: **the order of the Keepers decides which \
     share each of them holds**.";

    SPIKE_NEXUS_KEEPER_PEERS, Unset("none: it must be set, except on the `memory` backend"), Rule::KeeperPeers, CEREMONY,
        "The Keepers; the first holds share 1. There must be one for each share.",
        upstream "The number is checked only at the first push, minutes after the start.";
    SPIKE_NEXUS_SHAMIR_SHARES, Is("3"), ANY_COUNT, CEREMONY,
        "The number of shares of the root key. With more than 1000 the process does not start.",
        upstream "No upper limit.";
    SPIKE_NEXUS_SHAMIR_THRESHOLD, Is("2"), ANY_COUNT, CEREMONY,
        "The number of shares that rebuild the root key. If it is above the number of shares, the process does not \
         start.";
    SPIKE_NEXUS_SHAMIR_MAX_SHARE_COUNT, Is("1000"), Rule::Count { max: 65535 }, NEXUS,
        "The highest share index that `spike operator restore` accepts.";
    SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL, Is("5m"), Rule::Duration, NEXUS,
        "How often Nexus sends the Keepers their shares again.",
        upstream "0 or less ends the process.";
    SPIKE_NEXUS_RECOVERY_MAX_INTERVAL, Is("400ms"), Rule::Duration, NEXUS,
        "The longest pause between two requests to a Keeper for its share, while Nexus is sealed. Pauses begin at 50ms \
         and double while nothing changes. They begin again after any new answer of a Keeper and any share from an \
         operator. Each pause is drawn from half to one and a half times that. A longer maximum spares the Keepers, and \
         Nexus notices a new share later. Bootstrap does not wait for it: it makes Nexus ask at once.",
        upstream "60s, without effect: the longest pause is always 60s.";
}

section! {
    STORE, "Store",
    "Where and how Nexus stores its data.";

    SPIKE_NEXUS_BACKEND_STORE, Is("sqlite"), Rule::Backend, CEREMONY,
        "`sqlite`: an encrypted database file. `memory`: nothing outlives the process, and Keepers are not used. `lite`: \
         no store, encryption as a service only.";
    SPIKE_NEXUS_RESERVED_PATHS, Is("pattern"), Rule::ReservedPaths, NEXUS,
        "Which policies open `spike/system/acl`, `spike/system/secret` and `spike/system/cipher/exec`. `pattern`: those whose \
         path pattern matches the whole path, so that `^.*$` with `super` makes an administrator. `literal`: only those of \
         them whose path pattern is the literal path, such as `^spike/system/acl$`.",
        upstream "New; upstream behaves like `pattern`.";
    SPIKE_NEXUS_MAX_SECRET_VERSIONS, Is("10"), Rule::Count { max: 4_294_967_295 }, NEXUS,
        "The number of versions of a secret that are kept. It is stored with a secret when the secret is created.";
    SPIKE_NEXUS_CRYPTO_MAX_CIPHERTEXT_SIZE, Is("65536"), Rule::Count { max: 4_294_967_295 }, NEXUS,
        "The longest ciphertext of the cipher API, in bytes, including its 16-byte tag. \
         `SPIKE_HTTP_SERVER_MAX_BODY_SIZE` limits it too; in JSON, bytes take a third more.";
    SPIKE_NEXUS_DB_JOURNAL_MODE, Is("WAL"), Rule::JournalMode, NEXUS,
        "How SQLite keeps a transaction atomic across a crash. Upper or lower case.",
        upstream "`MEMORY` and `OFF` are accepted; with any other value the backend fails to open.";
    SPIKE_NEXUS_DB_BUSY_TIMEOUT_MS, Is("5000"), Rule::Count { max: 2_147_483_647 }, NEXUS,
        "How long to wait for a lock of another process on the database, in milliseconds.";
    SPIKE_NEXUS_DB_MAX_OPEN_CONNS, Is("10"), Rule::Count { max: 10_000 }, NEXUS,
        "The most open connections to the database; at least 2.";
    SPIKE_NEXUS_DB_MAX_IDLE_CONNS, Is("5"), Rule::Count { max: 10_000 }, NEXUS,
        "Accepted and checked, without effect: connections stay open. It must not be larger than \
         `SPIKE_NEXUS_DB_MAX_OPEN_CONNS`.",
        upstream "The number of idle connections. If it is larger than `SPIKE_NEXUS_DB_MAX_OPEN_CONNS`, the backend \
                  fails to open.";
    SPIKE_NEXUS_DB_CONN_MAX_LIFETIME, Is("1h"), Rule::TimeLimit, NEXUS,
        "Accepted and checked, without effect: connections stay open.",
        upstream "The age at which a connection is replaced.";
    SPIKE_NEXUS_DB_INITIALIZATION_TIMEOUT, Is("30s"), Rule::Duration, NEXUS,
        "Accepted and checked, without effect: opening has no time limit, and Nexus is not ready meanwhile.",
        upstream "With 0 or less the backend fails to open.";
    SPIKE_NEXUS_DB_OPERATION_TIMEOUT, Is("15s"), Rule::TimeLimit, NEXUS,
        "How long one operation on the database may take.";
    SPIKE_NEXUS_DB_SKIP_SCHEMA_CREATION, Is("false"), Rule::GoBool, NEXUS,
        "Whether the tables must exist already.";
    SPIKE_NEXUS_ACCEPT_NEW_STORE, Is("false"), Rule::GoBool, NEXUS,
        "Whether to create an empty store if there is none, for a root key that Bootstrap has not just made. This gives \
         up all data stored before. Otherwise Nexus stays sealed in this case, and names the directory. On lite: whether \
         to take a restored key although Keepers do not answer that may hold another. Set it for one start only.",
        upstream "New; upstream creates an empty store without a message.";
    SPIKE_NEXUS_IMPORT_WITH_LOSSES, Is("false"), Rule::GoBool, NEXUS,
        "Whether to import an upstream `spike.db` although some rows cannot be decrypted or stored, and are left out. \
         Otherwise Nexus stays sealed in this case, and lists them.",
        upstream "New.";
    SPIKE_NEXUS_IMPORT_PRUNE_VERSIONS, Is("false"), Rule::GoBool, NEXUS,
        "Whether the limit on versions counts imported versions too, so that a put erases those beyond it. Otherwise \
         all of them are kept, as upstream kept them, and the limit counts only versions put after the import.",
        upstream "New; upstream never erases a version.";
    SPIKE_NEXUS_READ_CACHE_SIZE, Is("67108864"), Rule::Size { max: 1_099_511_627_776 }, NEXUS,
        "How many bytes of recently read secrets are kept in memory, encrypted as they are stored, with every backend \
         that has a store (64 MiB). 0 keeps none.",
        upstream "New.";
}

section! {
    DIRECTORIES, "Directories",
    "**A subdirectory is appended even to a configured directory.** The database is `$SPIKE_NEXUS_DATA_DIR/data/nexus.db`; an \
     upstream `spike.db` beside it is imported once and kept. Recovery files are in `$SPIKE_PILOT_RECOVERY_DIR/recover`. The \
     file of Bootstrap is `$SPIKE_BOOTSTRAP_STATE_DIR/bootstrap/bootstrap-completed.json`. Without the variable the directory \
     is `$HOME/.spike/data` (or `…/recover`, `…/bootstrap`), and without `HOME` `/tmp/.spike-$USER/data`, which \
     must be a directory of this user that nobody else can write. Missing directories \
     are created with mode 0700. A configured directory must not be `/` nor below `/etc`, `/sys`, `/proc`, `/dev`, `/bin`, \
     `/sbin`, `/usr`, `/lib`, `/lib64` or `/boot`, except below `/usr/src` and `/usr/local/src`. It must be writable; if it \
     does not exist, its parent must. The path of the database's directory may have 480 bytes.";

    SPIKE_NEXUS_DATA_DIR, Unset("`$HOME/.spike`"), Rule::Directory, NEXUS,
        "The directory of the database. The `sqlite` backend opens it, and checks it at start; any other only looks whether a database is there, which \
         it says, since Bootstrap must make no root key beside it.",
        upstream "A directory that cannot be used is replaced by `$HOME/.spike`, with a log line.";
    SPIKE_PILOT_RECOVERY_DIR, Unset("`$HOME/.spike`"), Rule::Directory, &[Pilot],
        "Where `spike operator recover` writes recovery files. Only that command reads and checks it.",
        upstream "A directory that cannot be used is replaced by `$HOME/.spike`, with a log line.";
    SPIKE_KEEPER_BOOTSTRAP_NOTE, Unset("an empty Keeper is never ready"), Rule::Text, &[Keeper],
        "A file whose content is `true` once Bootstrap is done. While there is none, or it says something else, a Keeper \
         without a share is ready all the same. In Kubernetes: the key `bootstrap-completed` of Bootstrap's ConfigMap, \
         mounted as optional.",
        upstream "New.";
}

section! {
    SERVER, "Limits of the servers",
    "Limits on what callers may do, for each listener. Over a limit a caller gets an error (400, 413, 429, 431 or 503) or a \
     closed connection. If a limit that is set does not fit another one (*at least*, *at most*), a warning at the start says which \
     value counts, and for `--check-config` it is an error.";

    SPIKE_HTTP_SERVER_READ_HEADER_TIMEOUT, Is("10s"), Rule::Duration, DAEMONS,
        "How long the TLS handshake may take, and then the head of a request, over HTTP/1.1 and HTTP/2. A new \
         connection must send its first byte within the same time.",
        upstream "0 or less means no limit.";
    SPIKE_HTTP_SERVER_READ_BODY_TIMEOUT, Is("30s"), Rule::Duration, DAEMONS,
        "How long the body of a request may take.",
        upstream "New; upstream has no limit.";
    SPIKE_HTTP_SERVER_IDLE_TIMEOUT, Is("90s"), Rule::DurationOver(30), DAEMONS,
        "How long a connection may stay open between two requests. Clients close an idle connection after 30s, and the \
         server must not close it earlier.",
        upstream "New; upstream has no limit.";
    SPIKE_HTTP_SERVER_MAX_BODY_SIZE, Is("4194304"), ANY_COUNT, DAEMONS,
        "The largest body of a request, in bytes (4 MiB).",
        upstream "New; upstream has no limit.";
    SPIKE_HTTP_SERVER_STALL_TIMEOUT, Is("30s"), Rule::Duration, DAEMONS,
        "How long a peer may read nothing of a waiting answer, whatever it requests meanwhile. Then its connection is \
         cut. A slow peer that keeps reading is not cut.",
        upstream "New; upstream has no limit.";
    SPIKE_HTTP_SERVER_MAX_CONNECTIONS, Is("4096"), Rule::Count { max: 1_000_000 }, DAEMONS,
        "The most open connections in all. A sixteenth of them is reserved for operators, Nexus and Bootstrap: with fewer \
         than 16 there is a warning. Over the limit, the SPIFFE ID with the most connections loses its longest-idle one. Beside \
         them an eighth of their number may be in the handshake: at least 16, at most 512 for Nexus and 128 for a Keeper.",
        upstream "New; upstream has no limit.";
    SPIKE_HTTP_SERVER_MAX_CONNECTIONS_PER_ID, Is("1024"), Rule::Count { max: 1_000_000 }, DAEMONS,
        "The most open connections of one SPIFFE ID; at most those in all. Over the limit, its longest-idle one is closed; if all are busy, \
         the new one is refused.",
        upstream "New; upstream has no limit.";
    SPIKE_HTTP_SERVER_MAX_REQUESTS, Is("4096"), Rule::Count { max: 1_000_000 }, DAEMONS,
        "The most requests in flight in all, from their heads to the last byte of their answers. An eighth of them is \
         reserved for operators, Nexus and Bootstrap: with fewer than 8 there is a warning. Over the limit the answer is 503.",
        upstream "New; upstream has no limit.";
    SPIKE_HTTP_SERVER_MAX_REQUESTS_PER_ID, Is("1024"), Rule::Count { max: 1_000_000 }, DAEMONS,
        "The most requests of one SPIFFE ID in flight; never more than it leaves free, which is half of those in all without \
         their reserve. Over the limit the answer is 429.",
        upstream "New; upstream has no limit.";
    SPIKE_HTTP_SERVER_MAX_MEMORY, Is("100663296"), ANY_COUNT, DAEMONS,
        "The most memory for the bodies of requests and answers in all, in bytes (96 MiB); at least four of the largest body. Small ones, up to 16 KiB and \
         4 KiB, are not counted. An eighth is reserved for operators, Nexus and Bootstrap. Over the limit the answer is 503.",
        upstream "New; upstream has no limit.";
    SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID, Is("33554432"), ANY_COUNT, DAEMONS,
        "The part of that memory that one SPIFFE ID may use, in bytes (32 MiB); at least the largest body, and \
         never more than it leaves free, which is half of that memory without its reserve. Over the limit the answer is 429.",
        upstream "New; upstream has no limit.";
    SPIKE_HTTP_SERVER_DENIALS_PER_SECOND, Is("50"), Rule::Size { max: 1_000_000 }, DAEMONS,
        "How many requests of one SPIFFE ID may be denied each second (401). Malformed requests, bodies that break off, \
         and requests that no handler takes (redirects, `OPTIONS *`, CONNECT) count as denials. Each 16 KiB of a body \
         that was read for nothing counts as one more. Over the limit the answer is 429 with `Retry-After`, one second \
         later. Meanwhile the connection is not read, a new one of that SPIFFE ID waits as long, and none of its bodies \
         above 1 KiB is kept. Two of its bodies at a time are read to the end and dropped, so that the client reads its \
         answer; the others are cut off. 0: no limit.",
        upstream "New; upstream has no limit.";
    SPIKE_HTTP_SERVER_DENIALS_BURST, Is("200"), Rule::Size { max: 1_000_000 }, DAEMONS,
        "How many requests of one SPIFFE ID may be denied at once after a pause. 0: no limit on denials.",
        upstream "New; upstream has no limit.";
    SPIKE_HTTP_SERVER_DRAIN_TIMEOUT, Is("20s"), Rule::Duration, DAEMONS,
        "How long requests in flight may take to finish after SIGTERM, to the last byte of their answers. A body of which nothing \
         arrives for a second is answered 503, and an answer of which nothing is taken for three to five seconds is cut. Keep it \
         below the stop timeout of the service manager (systemd `TimeoutStopSec`, Kubernetes `terminationGracePeriodSeconds`).",
        upstream "New; upstream cuts requests in flight.";
}

section! {
    CLIENT, "Limits of the clients",
    "These limits apply to every call of a process: Nexus to Keepers, Bootstrap to Keepers and Nexus, Pilot and workloads to \
     Nexus. There is no proxy support: `HTTPS_PROXY` is ignored.";

    SPIKE_HTTP_CLIENT_TIMEOUT, Is("60s"), Rule::TimeLimit, CLIENTS,
        "How long a call may take in all.";
    SPIKE_HTTP_CLIENT_DIALER_TIMEOUT, Is("30s"), Rule::TimeLimit, CLIENTS,
        "How long the TCP connection may take.";
    SPIKE_HTTP_CLIENT_TLS_HANDSHAKE_TIMEOUT, Is("10s"), Rule::TimeLimit, CLIENTS,
        "How long the TLS handshake may take.";
    SPIKE_HTTP_CLIENT_RESPONSE_HEADER_TIMEOUT, Is("10s"), Rule::TimeLimit, CLIENTS,
        "How long the head of the answer may take once the request is sent.";
    SPIKE_HTTP_CLIENT_IDLE_CONN_TIMEOUT, Is("30s"), Rule::Duration, CLIENTS,
        "How long an unused connection is kept.",
        upstream "0 or less means no limit.";
    SPIKE_HTTP_CLIENT_MAX_IDLE_CONNS_PER_HOST, Is("10"), Rule::Count { max: 1_000_000 }, CLIENTS,
        "The most unused connections to one server.";
    SPIKE_HTTP_CLIENT_MAX_IDLE_CONNS, Is("100"), ANY_COUNT, CLIENTS,
        "Accepted and checked, without effect: only the number for each server is limited.",
        upstream "The most unused connections to all servers together.";
    SPIKE_HTTP_CLIENT_MAX_CONNS_PER_HOST, Is("10"), ANY_COUNT, CLIENTS,
        "Accepted and checked, without effect.",
        upstream "The most connections to one server; further calls wait.";
    SPIKE_HTTP_CLIENT_DIALER_KEEP_ALIVE, Is("30s"), Rule::KeepAlive, CLIENTS,
        "Accepted and checked, without effect: the other time limits end a call without an answer.",
        upstream "The interval of TCP keep-alive.";
    SPIKE_HTTP_CLIENT_EXPECT_CONTINUE_TIMEOUT, Is("5s"), Rule::TimeLimit, CLIENTS,
        "Accepted and checked, without effect: no request has `Expect: 100-continue`.",
        upstream "No effect in practice.";
}

section! {
    CEREMONY_SETTINGS, "Bootstrap",
    "Bootstrap also reads the backend, the Keepers and the Shamir values above; they must be those of Nexus.";

    SPIKE_BOOTSTRAP_TIMEOUT, Is("0"), Rule::TimeLimit, BOOTSTRAP,
        "How long the whole run may take.";
    SPIKE_BOOTSTRAP_KEEPER_TIMEOUT, Is("30s"), Rule::TimeLimit, BOOTSTRAP,
        "How long delivering one share may take, all attempts together.";
    SPIKE_BOOTSTRAP_KEEPER_MAX_RETRIES, Is("5"), Rule::Count { max: 4_294_967_295 }, BOOTSTRAP,
        "The number of attempts for each Keeper, including the first.";
    SPIKE_BOOTSTRAP_KEEPER_RETRY_INITIAL_INTERVAL, Is("2s"), Rule::Duration, BOOTSTRAP,
        "The first pause between two attempts. Each further pause is twice as long; each varies by half.";
    SPIKE_BOOTSTRAP_KEEPER_RETRY_MAX_INTERVAL, Is("30s"), Rule::Duration, BOOTSTRAP,
        "The longest pause between two attempts.";
    SPIKE_BOOTSTRAP_INIT_VERIFICATION_TIMEOUT, Is("30m"), Rule::TimeLimit, BOOTSTRAP,
        "How long to wait for Nexus to prove that it has the root key.";
    SPIKE_BOOTSTRAP_FORCE, Is("false"), Rule::ExactlyTrue, BOOTSTRAP,
        "Whether to make a new root key although one was made before. Data under the old key becomes unreadable. First \
         stop Nexus, move its data away, restart every Keeper, and start Nexus again, which is then sealed; Bootstrap \
         refuses until all this is done.",
        upstream "The shares of every Keeper are overwritten in any case.";
    SPIKE_BOOTSTRAP_CONFIGMAP_NAME, Is("spike-bootstrap-state"), Rule::ObjectName, BOOTSTRAP,
        "In Kubernetes: the ConfigMap that records that Bootstrap is done, and until then which run is in progress.",
        upstream "Not checked.";
    SPIKE_BOOTSTRAP_STATE_DIR, Unset("`$HOME/.spike`; without `HOME` nothing is recorded"), Rule::Directory, BOOTSTRAP,
        "Outside of Kubernetes: the directory of the file that records that Bootstrap is done, see Directories.",
        upstream "New; nothing is recorded, and every run makes a new root key.";
}

section! {
    SYSTEM, "From the environment",
    "Set by the system, not by you.";

    HOME, Unset("`/tmp/.spike-$USER` is used"), Rule::Text, &[Nexus, Bootstrap, Pilot],
        "The home directory, see Directories.";
    USER, Is("spike"), Rule::Text, &[Nexus, Pilot],
        "The name of the user, see Directories.";
    HOSTNAME, Unset("nothing"), Rule::Text, BOOTSTRAP,
        "Written into the ConfigMap as the pod that did the work.";
    KUBERNETES_SERVICE_HOST, Unset("not in Kubernetes"), Rule::Text, BOOTSTRAP,
        "Set together with the port if Bootstrap runs in Kubernetes: the address of the Kubernetes API.";
    KUBERNETES_SERVICE_PORT, Unset("not in Kubernetes"), Rule::Text, BOOTSTRAP,
        "See `KUBERNETES_SERVICE_HOST`.";
    NOTIFY_SOCKET, Unset("no notification"), Rule::Text, DAEMONS,
        "Where to notify systemd that the daemon is ready (`Type=notify`).",
        upstream "New.";
    WATCHDOG_USEC, Unset("no watchdog"), Rule::Text, DAEMONS,
        "How often to notify systemd that the daemon is alive, in microseconds (`WatchdogSec=`).",
        upstream "New.";
}
