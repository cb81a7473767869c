//! The file of a backup: how it is written, and how each of its bytes is checked. What the database holds is left to others.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use spike_daemon::{
    open_regular,
    progress::{Amount, Progress},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::error::BackupError;

/// The first line. The number is that of the format.
const FIRST_LINE: &[u8] = b"SPIKE backup 1\n";
/// Bytes of the database under one digest: a page of it, so that a changed byte leads to one table.
const BLOCK: usize = 4096;
/// Bytes that are read or written at once.
const BUFFER: usize = 256 * 1024;
/// Bytes of a digest.
const DIGEST: usize = 32;
/// Bytes of the longest version.
const MOST_OF_A_VERSION: usize = 64;
/// More than any head has.
const MOST_OF_A_HEAD: u64 = 16 * 1024;

/// What a backup says of itself. Checked against the database by [`verify`](super::verify).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// When the copy began, RFC 3339. Every write that was answered before is in it.
    pub created: String,
    /// The version of the program that made it.
    pub version: String,
    /// What the database holds.
    #[serde(flatten)]
    pub contents: Contents,
    /// Bytes of the database.
    pub bytes: u64,
    /// The SHA-256 of the database, hex.
    pub sha256: String,
    /// The SHA-256 of the digests at the end of the file, hex.
    pub digests_sha256: String,
}

/// What a database holds, as far as that can be told without a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// The schema of the database.
    pub schema: i64,
    /// The fingerprint of the root key.
    pub root_key: String,
    /// Which root key of the store it is, from 1 on.
    pub generation: u32,
    /// How many shares the root key has; 0 where that is not recorded.
    pub shares: u16,
    /// How many of them rebuild it; 0 where that is not recorded.
    pub threshold: u16,
    /// The number of the last change of a policy.
    pub policy_epoch: u64,
    /// Data keys.
    pub data_keys: u64,
    /// Paths of secrets, fully deleted ones too.
    pub secrets: u64,
    /// Versions of all secrets, deleted ones too.
    pub versions: u64,
    /// Policies.
    pub policies: u64,
}

impl Manifest {
    /// The texts are shown to people, and whoever can write a file can give it any: each must be what it is to be.
    fn check_texts(&self) -> Result<(), String> {
        let is_version = |text: &str| {
            !text.is_empty()
                && text.len() <= MOST_OF_A_VERSION
                && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+-".contains(c))
        };
        let is_hex = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let Self { created, version, contents, .. } = self;
        if OffsetDateTime::parse(created, &Rfc3339).is_err() {
            return Err(format!(
                "its manifest says that it was made at {created:?}, which is no time"
            ));
        }
        if !is_version(version) {
            return Err(format!("its manifest names {version:?}, which is no version"));
        }
        if !is_hex(&contents.root_key) {
            let key = &contents.root_key;
            return Err(format!(
                "its manifest names {key:?}, which is no fingerprint of a root key"
            ));
        }
        Ok(())
    }
}

impl Contents {
    /// What differs from `found`, in words.
    pub(super) fn differences(&self, found: &Self) -> String {
        let Self { schema, generation, shares, threshold, policy_epoch, .. } = self;
        let numbers = [
            ("schema", *schema, found.schema),
            ("generation of the root key", i64::from(*generation), i64::from(found.generation)),
            ("shares", i64::from(*shares), i64::from(found.shares)),
            ("threshold", i64::from(*threshold), i64::from(found.threshold)),
            (
                "last change of a policy",
                policy_epoch.cast_signed(),
                found.policy_epoch.cast_signed(),
            ),
            ("data keys", self.data_keys.cast_signed(), found.data_keys.cast_signed()),
            ("secrets", self.secrets.cast_signed(), found.secrets.cast_signed()),
            ("versions", self.versions.cast_signed(), found.versions.cast_signed()),
            ("policies", self.policies.cast_signed(), found.policies.cast_signed()),
        ];
        let differ = numbers.into_iter().filter(|(_, told, found)| told != found);
        let mut words: Vec<_> =
            differ.map(|(name, told, found)| format!("{name} {told} and not {found}")).collect();
        if self.root_key != found.root_key {
            words.push(format!("root key {} and not {}", self.root_key, found.root_key));
        }
        words.join(", ")
    }
}

/// The opened file of a backup, whose head and length are as they were written.
#[derive(Debug)]
pub(super) struct Container {
    path: PathBuf,
    manifest: Manifest,
    /// Where the database begins.
    start: u64,
}

/// What is wrong with a head.
pub(super) enum BadHead {
    Foreign(String),
    Damaged(String),
}

/// A part of a database that is not as it was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Damage {
    /// The first bytes of the database that are not: from, to.
    pub(super) first: (u64, u64),
    /// How many more parts of this size there are.
    pub(super) more: u64,
}

/// Writes a backup of `database` to `out`, in three passes over it, so that no memory grows with the database.
pub(super) fn write(
    out: &mut File,
    database: &Path,
    (contents, created): (Contents, String),
    progress: &Progress,
) -> io::Result<Manifest> {
    let length = File::open(database)?.metadata()?.len();
    progress.begin("writing the backup", Amount::Bytes(length.saturating_mul(3)));
    let for_each_block = |database: &Path, then: &mut dyn FnMut(&[u8]) -> io::Result<()>| {
        for_each_block(database, |block| {
            progress.add(block.len() as u64);
            then(block)
        })
    };
    let (mut whole, mut digests, mut bytes) = (Sha256::new(), Sha256::new(), 0);
    for_each_block(database, &mut |block| {
        digests.update(Sha256::digest(block));
        whole.update(block);
        bytes += block.len() as u64;
        Ok(())
    })?;
    let manifest = Manifest {
        created,
        version: spike_daemon::VERSION.to_owned(),
        contents,
        bytes,
        sha256: hex(whole.finalize().as_slice()),
        digests_sha256: hex(digests.finalize().as_slice()),
    };
    let mut head = FIRST_LINE.to_vec();
    head.extend(serde_json::to_vec(&manifest)?);
    head.push(b'\n');
    let digest = hex(Sha256::digest(&head).as_slice());
    head.extend_from_slice(digest.as_bytes());
    head.push(b'\n');
    let mut out = BufWriter::with_capacity(BUFFER, out);
    out.write_all(&head)?;
    for_each_block(database, &mut |block| out.write_all(block))?;
    for_each_block(database, &mut |block| out.write_all(Sha256::digest(block).as_slice()))?;
    out.flush()?;
    Ok(manifest)
}

fn for_each_block(
    database: &Path,
    mut then: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = BufReader::with_capacity(BUFFER, File::open(database)?);
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        block.clear();
        Read::by_ref(&mut file).take(BLOCK as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(());
        }
        then(&block)?;
    }
}

impl Container {
    /// Opens a backup and checks its head and its length.
    pub(super) fn open(path: &Path) -> Result<Self, BackupError> {
        let unusable = BackupError::unusable(path);
        let file = open_regular(path).map_err(&unusable)?;
        let length = file.metadata().map_err(&unusable)?.len();
        let mut head = Vec::new();
        Read::by_ref(&mut &file).take(MOST_OF_A_HEAD).read_to_end(&mut head).map_err(&unusable)?;
        let (manifest, start) = read_head(&head).map_err(|bad| match bad {
            BadHead::Foreign(what) => BackupError::Foreign { path: path.to_owned(), what },
            BadHead::Damaged(what) => BackupError::damaged(path, what),
        })?;
        let digests = manifest.bytes.div_ceil(BLOCK as u64).saturating_mul(DIGEST as u64);
        let expected = start.saturating_add(manifest.bytes).saturating_add(digests);
        if length != expected {
            let how = if length < expected { "it was cut" } else { "its end is not its own" };
            let what = format!("it has {length} bytes and should have {expected}: {how}");
            return Err(BackupError::damaged(path, what));
        }
        Ok(Self { path: path.to_owned(), manifest, start })
    }

    pub(super) const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where in the file a byte of the database is.
    pub(super) const fn place_of(&self, byte: u64) -> u64 {
        self.start + byte
    }

    /// Writes the database to `out` and checks each of its bytes. `Some`: the checksums of the database are there, and not all
    /// of it is as it was written; it is written to `out` as it is.
    ///
    /// `beside` is the directory that an error of writing names.
    pub(super) fn extract(
        &self,
        (out, beside): (&mut File, &Path),
        progress: &Progress,
    ) -> Result<Option<Damage>, BackupError> {
        self.check_digests()?;
        progress.begin("checking every byte", Amount::Bytes(self.manifest.bytes));
        self.check_blocks((out, beside), progress)
    }

    fn check_blocks(
        &self,
        (out, beside): (&mut File, &Path),
        progress: &Progress,
    ) -> Result<Option<Damage>, BackupError> {
        let unreadable = BackupError::unusable(&self.path);
        let full = BackupError::unusable(beside);
        let mut database = self.from(self.start).map_err(&unreadable)?;
        let mut digests = self.from(self.place_of(self.manifest.bytes)).map_err(&unreadable)?;
        let mut out = BufWriter::with_capacity(BUFFER, out);
        let (mut whole, mut damage) = (Sha256::new(), None::<Damage>);
        let (mut buffer, mut digest) = (vec![0; BLOCK], [0; DIGEST]);
        let mut at = 0;
        while at < self.manifest.bytes {
            let end = self.manifest.bytes.min(at + BLOCK as u64);
            buffer.resize(usize::try_from(end - at).unwrap_or(BLOCK), 0);
            database.read_exact(&mut buffer).map_err(&unreadable)?;
            digests.read_exact(&mut digest).map_err(&unreadable)?;
            if Sha256::digest(&buffer).as_slice() != digest {
                let first = damage.map_or((at, end), |damage| damage.first);
                damage = Some(Damage { first, more: damage.map_or(0, |damage| damage.more + 1) });
            }
            whole.update(&buffer);
            out.write_all(&buffer).map_err(&full)?;
            progress.add(end - at);
            at = end;
        }
        out.flush().map_err(&full)?;
        if damage.is_none() && hex(whole.finalize().as_slice()) != self.manifest.sha256 {
            damage = Some(Damage { first: (0, self.manifest.bytes), more: 0 });
        }
        Ok(damage)
    }

    /// Reads the file from a place on, on its own.
    fn from(&self, start: u64) -> io::Result<BufReader<File>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(start))?;
        Ok(BufReader::with_capacity(BUFFER, file))
    }

    fn check_digests(&self) -> Result<(), BackupError> {
        let start = self.place_of(self.manifest.bytes);
        let mut found = Sha256::new();
        let mut digest = [0; DIGEST];
        let mut read = || {
            let mut digests = self.from(start)?;
            for _ in 0..self.manifest.bytes.div_ceil(BLOCK as u64) {
                digests.read_exact(&mut digest)?;
                found.update(digest);
            }
            Ok(())
        };
        read().map_err(BackupError::unusable(&self.path))?;
        if hex(found.finalize().as_slice()) == self.manifest.digests_sha256 {
            return Ok(());
        }
        let what = format!(
            "the list of checksums, from byte {start} of the file to its end, is not as it was written"
        );
        Err(BackupError::damaged(&self.path, what))
    }
}

/// The manifest, and how many bytes the head has.
pub(super) fn read_head(bytes: &[u8]) -> Result<(Manifest, u64), BadHead> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    if lines.next() != Some(FIRST_LINE) {
        let what = "its first line is not \"SPIKE backup 1\"".to_owned();
        return Err(BadHead::Foreign(what));
    }
    let (line, digest) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let length = FIRST_LINE.len() + line.len();
    let found =
        hex(Sha256::new().chain_update(FIRST_LINE).chain_update(line).finalize().as_slice());
    if digest.strip_suffix(b"\n") != Some(found.as_bytes()) {
        return Err(BadHead::Damaged(format!(
            "the manifest, bytes 0 to {length} of the file, does not have the checksum in the line after it"
        )));
    }
    let manifest: Manifest = serde_json::from_slice(line)
        .map_err(|error| BadHead::Foreign(format!("its manifest cannot be read: {error}")))?;
    manifest.check_texts().map_err(BadHead::Foreign)?;
    Ok((manifest, (length + digest.len()) as u64))
}

fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_a_head_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let head = [FIRST_LINE, bytes.as_slice()].concat();
            prop_assert!(read_head(&bytes).is_err());
            prop_assert!(read_head(&head).is_err());
        }
    }
}
