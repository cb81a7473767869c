-- Schema 2 of the store. "IF NOT EXISTS" is for a database of schema 1 that is being migrated.
-- Every row ends in key_number, nonce and ciphertext: the ciphertext is
-- AES-256-GCM under that data key, bound to the table and to every other column (format/row.rs).
-- Times are Unix nanoseconds. No table is written except through the format.

-- One row: which root key this store belongs to, how it is split, and the counters. generation: which root key of this
-- store it is. The plaintext holds the nonce of each list of policies.
CREATE TABLE IF NOT EXISTS store (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    root_key_fingerprint BLOB NOT NULL,
    generation INTEGER NOT NULL,
    shares INTEGER,
    threshold INTEGER,
    active_key INTEGER NOT NULL,
    policy_epoch INTEGER NOT NULL,
    created INTEGER NOT NULL,
    imported INTEGER,
    last_export INTEGER,
    key_number INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    ciphertext BLOB NOT NULL
) STRICT;

-- The data keys, wrapped by the keyring key. reserved: encryptions spoken for, never too low.
-- The plaintext is empty; key_number is the row's own number.
CREATE TABLE IF NOT EXISTS keyring (
    number INTEGER PRIMARY KEY,
    created INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    wrapped_nonce BLOB NOT NULL,
    wrapped BLOB NOT NULL,
    key_number INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    ciphertext BLOB NOT NULL
) STRICT;

-- One row per path. The plaintext lists its versions: number, times, and the nonce of the row (format/listed.rs).
CREATE TABLE IF NOT EXISTS secrets (
    path TEXT PRIMARY KEY NOT NULL,
    last_version INTEGER NOT NULL,
    max_versions INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    key_number INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    ciphertext BLOB NOT NULL
) STRICT;

-- One row per version. The plaintext is the value.
CREATE TABLE IF NOT EXISTS versions (
    path TEXT NOT NULL,
    version INTEGER NOT NULL,
    created INTEGER NOT NULL,
    deleted INTEGER,
    key_number INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    ciphertext BLOB NOT NULL,
    PRIMARY KEY (path, version)
) STRICT;

-- One row per policy. The plaintext holds both patterns and the permissions.
CREATE TABLE IF NOT EXISTS policies (
    name TEXT PRIMARY KEY NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    key_number INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    ciphertext BLOB NOT NULL
) STRICT;

-- Up to 256 rows: by the first byte of the SHA-256 of a name, the names of the policies that there are. The plaintext
-- holds each name with the nonce of its row.
CREATE TABLE IF NOT EXISTS policy_lists (
    number INTEGER PRIMARY KEY,
    key_number INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    ciphertext BLOB NOT NULL
) STRICT;

-- At most one row: the database of upstream that was taken in. The plaintext is empty.
CREATE TABLE IF NOT EXISTS imports (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    file TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    imported INTEGER NOT NULL,
    secrets INTEGER NOT NULL,
    versions INTEGER NOT NULL,
    policies INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    key_number INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    ciphertext BLOB NOT NULL
) STRICT;
