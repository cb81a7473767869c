//! The rows. One macro makes of each row a static of the variable's own name, so that code and environment cannot
//! disagree on a name, and puts it into its section, so that no row can be left out of the documentation.

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

const ALL: &[Process] = &Process::ALL;
const DAEMONS: &[Process] = &[Nexus, Keeper];
const PROGRAMS: &[Process] = &[Nexus, Keeper, Bootstrap, Pilot];
const CLIENTS: &[Process] = &[Nexus, Bootstrap, Pilot, Workload];
const CALLERS: &[Process] = &[Bootstrap, Pilot, Workload];
const NEXUS: &[Process] = &[Nexus];
const CEREMONY: &[Process] = &[Nexus, Bootstrap];
const BOOTSTRAP: &[Process] = &[Bootstrap];

/// The default of a telemetry listener, which depends on another variable.
const BESIDE_NEXUS: DefaultValue = Unset("`127.0.0.1` at the TLS port + 1000, so `127.0.0.1:9553`");
const BESIDE_KEEPER: DefaultValue =
    Unset("`127.0.0.1` at the TLS port + 1000, so `127.0.0.1:9443`");

const ANY_COUNT: Rule = Rule::Count { max: i64::MAX };

/// Every section, in the order of the documentation.
pub static SECTIONS: [&Section; 10] = [
    &IDENTITY,
    &LISTENERS,
    &KEY,
    &STORE,
    &DIRECTORIES,
    &SERVER,
    &CLIENT,
    &CEREMONY_SETTINGS,
    &LOGS,
    &SURROUNDINGS,
];

section! {
    IDENTITY, "Identity and trust",
    "Every process proves itself with an X.509-SVID from the SPIFFE Workload API, and recognises the others by their \
     SPIFFE IDs. A trust root is a trust domain, perhaps with a path (`example.org/team-a`); the ID of Nexus under it is \
     `spiffe://example.org/team-a/spike/nexus`, or anything below that. A list allows several roots. An empty element \
     (a stray comma) keeps the process from starting.";

    SPIFFE_ENDPOINT_SOCKET, Is("unix:///tmp/spire-agent/public/api.sock"), Rule::Endpoint, ALL,
        "Address of the SPIFFE Workload API.";
    SPIKE_SPIFFE_SOURCE_TIMEOUT, Is("30s"), Rule::Duration, ALL,
        "How long to wait for the first SVID. Commands fail when it has passed, and after 5s if it is not set and the agent \
         cannot be reached; daemons warn and go on trying.",
        upstream "Only Bootstrap and the SDK read it there; the others wait for ever, silently. 0 is refused.";
    SPIKE_SPIFFE_VISIBLE_WHEN_REFUSED, Is("true"), Rule::Flag, &[Nexus, Keeper, Bootstrap],
        "Whether a process that has its SVID lets others of its user look at it again, from one connection to the Workload \
         API to the first answer, after the agent has refused it. An agent that is not root needs this to attest it anew.";
    SPIKE_TRUST_ROOT, Unset("nothing"), Rule::Text, ALL,
        "No effect by itself: each component has its own variable below. Where it is the only one that is set, that \
         is reported, because it is a common slip.",
        upstream "Nexus logs it.";
    SPIKE_TRUST_ROOT_NEXUS, Is("spike.ist"), Rule::TrustRoots, ALL,
        "Where Nexus lives.";
    SPIKE_TRUST_ROOT_KEEPER, Is("spike.ist"), Rule::TrustRoots, &[Nexus, Keeper, Bootstrap],
        "Where Keepers live.";
    SPIKE_TRUST_ROOT_BOOTSTRAP, Is("spike.ist"), Rule::TrustRoots, &[Nexus, Keeper, Bootstrap],
        "Where Bootstrap lives.";
    SPIKE_TRUST_ROOT_PILOT, Is("spike.ist"), Rule::TrustRoots, &[Nexus, Pilot],
        "Where operators (superuser, recover, restore) live.";
    SPIKE_TRUST_ROOT_LITE_WORKLOAD, Is("spike.ist"), Rule::TrustRoots, NEXUS,
        "Where the workloads live that may use the cipher without a policy.";
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
    SPIKE_NEXUS_TELEMETRY_ADDR, BESIDE_NEXUS, Rule::ListenOrOff, NEXUS,
        "Where Nexus serves `/livez`, `/readyz`, `/healthz` and `/metrics` over plain HTTP. `off`: nowhere. An address \
         that is written must be free; where the default one is taken, Nexus warns and goes without.",
        upstream "New.";
    SPIKE_KEEPER_TELEMETRY_ADDR, BESIDE_KEEPER, Rule::ListenOrOff, &[Keeper],
        "The same for a Keeper.",
        upstream "New.";
    SPIKE_NEXUS_API_URL, Is("https://localhost:8553"), Rule::HttpsUrl, CALLERS,
        "Where to find Nexus. A path is kept before every route.",
        upstream "Not checked there before the first call.";
}

section! {
    KEY, "Root key and Keepers",
    "The root key is split into shares, one per Keeper; a threshold of them rebuilds it. Nexus and Bootstrap must be \
     given the same values, and they must stay the same for as long as the key lives: **the order of the Keepers decides \
     who holds which share**.";

    SPIKE_NEXUS_KEEPER_PEERS, Unset("none: it must be set, except on the `memory` backend"), Rule::KeeperPeers, CEREMONY,
        "The Keepers; the first holds share 1. There must be as many of them as shares.",
        upstream "That the number fits is checked there at the first push, minutes after the start.";
    SPIKE_NEXUS_SHAMIR_SHARES, Is("3"), ANY_COUNT, CEREMONY,
        "Into how many shares the root key is split. More than 1000 keep the process from starting.",
        upstream "No upper bound there.";
    SPIKE_NEXUS_SHAMIR_THRESHOLD, Is("2"), ANY_COUNT, CEREMONY,
        "How many shares rebuild the root key. A threshold above the number of shares keeps the process from starting.";
    SPIKE_NEXUS_SHAMIR_MAX_SHARE_COUNT, Is("1000"), Rule::Count { max: 65535 }, NEXUS,
        "The highest share index that `spike operator restore` may feed back.";
    SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL, Is("5m"), Rule::Duration, NEXUS,
        "How often Nexus gives the Keepers their shares again.",
        upstream "0 or less ends the process there.";
    SPIKE_NEXUS_RECOVERY_MAX_INTERVAL, Is("400ms"), Rule::Duration, NEXUS,
        "The longest pause between two questions to a Keeper for its share, while Nexus is sealed. Pauses begin at 50ms, \
         double as long as nothing changes, and begin again with any new answer of a Keeper and any share that an operator \
         feeds; each is drawn from half to one and a half times that. A longer one spares the Keepers, and Nexus then \
         notices later that one was given its share. Bootstrap does not wait for it: it has Nexus ask at once.",
        upstream "60s, without effect: the pause is always at most 60s there.";
}

section! {
    STORE, "Store",
    "What Nexus keeps, and how.";

    SPIKE_NEXUS_BACKEND_STORE, Is("sqlite"), Rule::Backend, CEREMONY,
        "`sqlite`: an encrypted database file. `memory`: nothing outlives the process, and Keepers are not used. `lite`: \
         no store, encryption as a service only.";
    SPIKE_NEXUS_RESERVED_PATHS, Is("pattern"), Rule::ReservedPaths, NEXUS,
        "Which policies open `spike/system/acl`, `spike/system/secret` and `spike/system/cipher/exec`. `pattern`: those whose \
         path pattern matches the whole of it, so that `^.*$` with `super` makes an administrator. `literal`: of these, \
         those whose path pattern names it letter for letter, as `^spike/system/acl$` does.",
        upstream "New; `pattern` there.";
    SPIKE_NEXUS_MAX_SECRET_VERSIONS, Is("10"), Rule::Count { max: 4_294_967_295 }, NEXUS,
        "How many versions of a secret are kept. It is stored with a secret when the secret is created.";
    SPIKE_NEXUS_CRYPTO_MAX_CIPHERTEXT_SIZE, Is("65536"), Rule::Count { max: 4_294_967_295 }, NEXUS,
        "The longest ciphertext of the cipher API, in bytes, its 16-byte tag included. \
         `SPIKE_HTTP_SERVER_MAX_BODY_SIZE` bounds it too; JSON makes bytes a third longer.";
    SPIKE_NEXUS_DB_JOURNAL_MODE, Is("WAL"), Rule::JournalMode, NEXUS,
        "How SQLite keeps a transaction whole across a crash. In any case of letters.",
        upstream "`MEMORY` and `OFF` are taken there; with any other value the backend does not open.";
    SPIKE_NEXUS_DB_BUSY_TIMEOUT_MS, Is("5000"), Rule::Count { max: 2_147_483_647 }, NEXUS,
        "How long to wait for a lock of another process on the database, in milliseconds.";
    SPIKE_NEXUS_DB_MAX_OPEN_CONNS, Is("10"), Rule::Count { max: 10_000 }, NEXUS,
        "How many connections to the database may be open.";
    SPIKE_NEXUS_DB_MAX_IDLE_CONNS, Is("5"), Rule::Count { max: 10_000 }, NEXUS,
        "Accepted and checked, without effect: connections stay open. Not more than may be open.",
        upstream "How many connections stay open unused. With more than may be open the backend does not open.";
    SPIKE_NEXUS_DB_CONN_MAX_LIFETIME, Is("1h"), Rule::TimeLimit, NEXUS,
        "Accepted and checked, without effect: connections stay open.",
        upstream "The age at which a connection is replaced.";
    SPIKE_NEXUS_DB_INITIALIZATION_TIMEOUT, Is("30s"), Rule::Duration, NEXUS,
        "Accepted and checked, without effect: opening takes as long as it must, and Nexus is not ready meanwhile.",
        upstream "With 0 or less the backend does not open.";
    SPIKE_NEXUS_DB_OPERATION_TIMEOUT, Is("15s"), Rule::TimeLimit, NEXUS,
        "How long one operation on the database may take.";
    SPIKE_NEXUS_DB_SKIP_SCHEMA_CREATION, Is("false"), Rule::GoBool, NEXUS,
        "Whether the tables must exist already.";
    SPIKE_NEXUS_ACCEPT_NEW_STORE, Is("false"), Rule::GoBool, NEXUS,
        "Whether a new, empty store is made where there is none, for a root key that Bootstrap has not just made: what was \
         stored before is given up. Without it Nexus stays sealed then and names the directory. For one start.",
        upstream "New; an empty store is made there without a word.";
    SPIKE_NEXUS_IMPORT_WITH_LOSSES, Is("false"), Rule::GoBool, NEXUS,
        "Whether a `spike.db` of upstream is imported although some of its rows do not open or have no place here, and are \
         left out. Without it Nexus stays sealed then and lists them.",
        upstream "New.";
    SPIKE_NEXUS_IMPORT_PRUNE_VERSIONS, Is("false"), Rule::GoBool, NEXUS,
        "Whether the limit on versions counts the versions that were imported too, so that a put erases those beyond it. \
         Without it they are all kept, as upstream kept them, and the limit counts the versions put since.",
        upstream "New; no version is ever erased there.";
    SPIKE_NEXUS_READ_CACHE_SIZE, Is("67108864"), Rule::Size { max: 1_099_511_627_776 }, NEXUS,
        "How many bytes of secrets that were read lately are kept in memory, encrypted as they are stored, on every backend \
         with a store (64 MiB). 0 keeps none.",
        upstream "New.";
}

section! {
    DIRECTORIES, "Directories",
    "**A subdirectory is appended, also to a directory that is configured**: the database is \
     `$SPIKE_NEXUS_DATA_DIR/data/nexus.db` (an upstream `spike.db` beside it is imported once and kept), recovery files go to `$SPIKE_PILOT_RECOVERY_DIR/recover`, the marker of Bootstrap \
     is `$SPIKE_BOOTSTRAP_STATE_DIR/bootstrap/bootstrap-completed.json`. Without the variable it is `$HOME/.spike/data` (or \
     `…/recover`, `…/bootstrap`), and without `HOME` `/tmp/.spike-$USER/data`. What is missing is created \
     with mode 0700. A configured directory must not be `/` nor lie in `/etc`, `/sys`, `/proc`, `/dev`, `/bin`, `/sbin`, \
     `/usr`, `/lib`, `/lib64` or `/boot`, except in `/usr/src` and `/usr/local/src`; if it is missing, its parent must exist; it \
     must be writable. The path of the database's directory may have 480 bytes.";

    SPIKE_NEXUS_DATA_DIR, Unset("`$HOME/.spike`"), Rule::Directory, NEXUS,
        "Where the database lives; read on the `sqlite` backend, and checked at start.",
        upstream "A directory that cannot be used is replaced by `$HOME/.spike` there, with a log line.";
    SPIKE_PILOT_RECOVERY_DIR, Unset("`$HOME/.spike`"), Rule::Directory, &[Pilot],
        "Where `spike operator recover` writes recovery files; read and checked by that command only.",
        upstream "A directory that cannot be used is replaced by `$HOME/.spike` there, with a log line.";
    SPIKE_KEEPER_BOOTSTRAP_NOTE, Unset("an empty Keeper is never ready"), Rule::Text, &[Keeper],
        "A file whose content is `true` once Bootstrap is done. While there is none, or it says something else, a Keeper \
         without a share is ready all the same. In Kubernetes: the key `bootstrap-completed` of Bootstrap's ConfigMap, \
         mounted as optional.",
        upstream "New.";
}

section! {
    SERVER, "Limits of the servers",
    "Bounds on everything that a caller controls, per listener. Over a limit a caller gets a clear answer (400, 413, 429, \
     431 or 503) or a closed connection.";

    SPIKE_HTTP_SERVER_READ_HEADER_TIMEOUT, Is("10s"), Rule::Duration, DAEMONS,
        "How long the TLS handshake may take, and then the head of a request, over HTTP/1.1 and HTTP/2. A new connection must \
         begin to speak as soon.",
        upstream "0 or less means no limit there.";
    SPIKE_HTTP_SERVER_READ_BODY_TIMEOUT, Is("30s"), Rule::Duration, DAEMONS,
        "How long the body of a request may take.",
        upstream "New; no limit there.";
    SPIKE_HTTP_SERVER_IDLE_TIMEOUT, Is("90s"), Rule::DurationOver(30), DAEMONS,
        "How long a connection may stay open between two requests. Clients give up an idle connection after 30s, and \
         the server must not do so before them.",
        upstream "New; no limit there.";
    SPIKE_HTTP_SERVER_MAX_BODY_SIZE, Is("4194304"), ANY_COUNT, DAEMONS,
        "The largest body of a request, in bytes (4 MiB).",
        upstream "New; no limit there.";
    SPIKE_HTTP_SERVER_STALL_TIMEOUT, Is("30s"), Rule::Duration, DAEMONS,
        "How long a peer may take nothing of an answer that is there for it, whatever else it asks for meanwhile: then its \
         connection is cut. A slow one that goes on taking it is not cut off.",
        upstream "New; no limit there.";
    SPIKE_HTTP_SERVER_MAX_CONNECTIONS, Is("4096"), Rule::Count { max: 1_000_000 }, DAEMONS,
        "How many connections may be open in all. A sixteenth of them is kept back for operators, Nexus and Bootstrap. Over \
         it, the SPIFFE ID with the most connections loses the one that was idle for the longest time.",
        upstream "New; no limit there.";
    SPIKE_HTTP_SERVER_MAX_CONNECTIONS_PER_ID, Is("1024"), Rule::Count { max: 1_000_000 }, DAEMONS,
        "How many connections of one SPIFFE ID may be open. Over it, the one that was idle for the longest time is closed; \
         only where all are busy the new one is refused.",
        upstream "New; no limit there.";
    SPIKE_HTTP_SERVER_MAX_REQUESTS, Is("4096"), Rule::Count { max: 1_000_000 }, DAEMONS,
        "How many requests may be in flight in all, from their heads to the last byte of their answers. An eighth of them is \
         kept back for operators, Nexus and Bootstrap. Over it the answer is 503.",
        upstream "New; no limit there.";
    SPIKE_HTTP_SERVER_MAX_REQUESTS_PER_ID, Is("1024"), Rule::Count { max: 1_000_000 }, DAEMONS,
        "How many requests of one SPIFFE ID may be in flight. Over it the answer is 429.",
        upstream "New; no limit there.";
    SPIKE_HTTP_SERVER_MAX_MEMORY, Is("100663296"), ANY_COUNT, DAEMONS,
        "How much memory the bodies of requests and answers may take in all, in bytes (96 MiB). Small ones, up to 16 KiB and \
         4 KiB, are not counted. An eighth is kept back for operators, Nexus and Bootstrap. Over it the answer is 503.",
        upstream "New; no limit there.";
    SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID, Is("33554432"), ANY_COUNT, DAEMONS,
        "How much of that one SPIFFE ID may take, in bytes (32 MiB); at least the largest body. Over it the answer is 429.",
        upstream "New; no limit there.";
    SPIKE_HTTP_SERVER_DENIALS_PER_SECOND, Is("50"), Rule::Size { max: 1_000_000 }, DAEMONS,
        "How many requests of one SPIFFE ID may be denied each second (401). Malformed requests, bodies that break \
         off, and what no handler takes (redirects, `OPTIONS *`, CONNECT) count as denials. Each 16 KiB of a body that was read for nothing \
         count as one more. What is above is answered 429 with `Retry-After`, a second later; meanwhile the connection is \
         not read, a new one of that SPIFFE ID waits as long, and no body of it above 1 KiB is kept: two at once are read \
         to their ends and thrown away, so that the client reads its answer, and others are cut off. 0: no limit.",
        upstream "New; no limit there.";
    SPIKE_HTTP_SERVER_DENIALS_BURST, Is("200"), Rule::Size { max: 1_000_000 }, DAEMONS,
        "How many requests of one SPIFFE ID may be denied at once after a pause. 0: no limit on denials at all.",
        upstream "New; no limit there.";
    SPIKE_HTTP_SERVER_DRAIN_TIMEOUT, Is("20s"), Rule::Duration, DAEMONS,
        "How long requests in flight may take to finish after SIGTERM. Keep it below the patience of the service manager \
         (systemd `TimeoutStopSec`, Kubernetes `terminationGracePeriodSeconds`).",
        upstream "New; requests in flight are cut off there.";
}

section! {
    CLIENT, "Limits of the clients",
    "They hold for every call that a process makes: Nexus to Keepers, Bootstrap to Keepers and Nexus, Pilot and workloads to \
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
        upstream "0 or less means for ever there.";
    SPIKE_HTTP_CLIENT_MAX_IDLE_CONNS_PER_HOST, Is("10"), Rule::Count { max: 1_000_000 }, CLIENTS,
        "How many unused connections are kept per server.";
    SPIKE_HTTP_CLIENT_MAX_IDLE_CONNS, Is("100"), ANY_COUNT, CLIENTS,
        "Accepted and checked, without effect: the number per server is the bound.",
        upstream "Unused connections to all servers together.";
    SPIKE_HTTP_CLIENT_MAX_CONNS_PER_HOST, Is("10"), ANY_COUNT, CLIENTS,
        "Accepted and checked, without effect.",
        upstream "Connections to one server; further calls wait.";
    SPIKE_HTTP_CLIENT_DIALER_KEEP_ALIVE, Is("30s"), Rule::KeepAlive, CLIENTS,
        "Accepted and checked, without effect: a call that gets no answer ends by its time limits.",
        upstream "The interval of TCP keep-alive.";
    SPIKE_HTTP_CLIENT_EXPECT_CONTINUE_TIMEOUT, Is("5s"), Rule::TimeLimit, CLIENTS,
        "Accepted and checked, without effect: no request asks to be continued.",
        upstream "The same in practice.";
}

section! {
    CEREMONY_SETTINGS, "Bootstrap",
    "Bootstrap also reads the backend, the Keepers and the Shamir values above; they must be those of Nexus.";

    SPIKE_BOOTSTRAP_TIMEOUT, Is("0"), Rule::TimeLimit, BOOTSTRAP,
        "How long the whole run may take.";
    SPIKE_BOOTSTRAP_KEEPER_TIMEOUT, Is("30s"), Rule::TimeLimit, BOOTSTRAP,
        "How long delivering one share may take, all attempts together.";
    SPIKE_BOOTSTRAP_KEEPER_MAX_RETRIES, Is("5"), Rule::Count { max: 4_294_967_295 }, BOOTSTRAP,
        "How many attempts are made per Keeper, the first included.";
    SPIKE_BOOTSTRAP_KEEPER_RETRY_INITIAL_INTERVAL, Is("2s"), Rule::Duration, BOOTSTRAP,
        "The first pause between two attempts. Each further pause is twice as long, give or take a half.";
    SPIKE_BOOTSTRAP_KEEPER_RETRY_MAX_INTERVAL, Is("30s"), Rule::Duration, BOOTSTRAP,
        "The longest pause between two attempts.";
    SPIKE_BOOTSTRAP_INIT_VERIFICATION_TIMEOUT, Is("30m"), Rule::TimeLimit, BOOTSTRAP,
        "How long to wait for Nexus to prove that it has the root key.";
    SPIKE_BOOTSTRAP_FORCE, Is("false"), Rule::ExactlyTrue, BOOTSTRAP,
        "Whether to make a new root key although one was made before. Nexus must be stopped, its data moved away, every Keeper \
         restarted, and Nexus started again, which is sealed then: Bootstrap refuses until all that is done. Data under the old key becomes unreadable.",
        upstream "Whatever there is, the shares of every Keeper are overwritten there.";
    SPIKE_BOOTSTRAP_CONFIGMAP_NAME, Is("spike-bootstrap-state"), Rule::ObjectName, BOOTSTRAP,
        "In Kubernetes: the ConfigMap that remembers that Bootstrap is done, and before that, which run is at it.",
        upstream "Not checked there.";
    SPIKE_BOOTSTRAP_STATE_DIR, Unset("`$HOME/.spike`; without `HOME` nothing is remembered"), Rule::Directory, BOOTSTRAP,
        "Outside of Kubernetes: where a file remembers that Bootstrap is done, see Directories.",
        upstream "New; nothing is remembered there, and every run makes a new root key.";
}

section! {
    LOGS, "Logs",
    "Logs are JSON, one object per line, on standard output; the audit log of a daemon is on standard error. See\n\
     [audit-log.md](audit-log.md) for its lines, and for rotation.";

    SPIKE_SYSTEM_LOG_LEVEL, Is("WARN"), Rule::Level, PROGRAMS,
        "The least severe messages that are logged. In any case of letters.";
    SPIKE_BANNER_ENABLED, Is("true"), Rule::Flag, DAEMONS,
        "Whether a few lines of plain text come before the first log line. Turn it off where a parser reads the log.";
    SPIKE_PILOT_SHOW_MEMORY_WARNING, Is("false"), Rule::Flag, &[Nexus, Keeper, Pilot],
        "Accepted and checked, without effect: a daemon whose memory cannot be locked against swapping always says so, in \
         its log and in `/healthz`.",
        upstream "Nexus and Keeper read it too, and are silent where it is false.";
    SPIKE_STACK_TRACES_ON_LOG_FATAL, Is("false"), Rule::Flag, PROGRAMS,
        "Accepted and checked, without effect: a fatal error is told with the whole chain of its causes.";
}

section! {
    SURROUNDINGS, "From the surroundings",
    "Set by the system, not by you.";

    HOME, Unset("`/tmp/.spike-$USER` is used"), Rule::Text, &[Nexus, Bootstrap, Pilot],
        "The home directory, see Directories.";
    USER, Is("spike"), Rule::Text, &[Nexus, Pilot],
        "The name of the user, see Directories.";
    HOSTNAME, Unset("nothing"), Rule::Text, BOOTSTRAP,
        "Written into the ConfigMap as the pod that did the work.";
    KUBERNETES_SERVICE_HOST, Unset("not in Kubernetes"), Rule::Text, BOOTSTRAP,
        "Together with the port: that Bootstrap runs in Kubernetes, and where its API is.";
    KUBERNETES_SERVICE_PORT, Unset("not in Kubernetes"), Rule::Text, BOOTSTRAP,
        "See `KUBERNETES_SERVICE_HOST`.";
    NOTIFY_SOCKET, Unset("nobody is told"), Rule::Text, DAEMONS,
        "Where systemd wants to hear that the daemon is ready (`Type=notify`).",
        upstream "New.";
    WATCHDOG_USEC, Unset("no watchdog"), Rule::Text, DAEMONS,
        "How often systemd wants to hear that the daemon lives, in microseconds (`WatchdogSec=`).",
        upstream "New.";
}
