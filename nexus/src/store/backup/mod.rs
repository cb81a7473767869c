//! Backups: one checked file with a consistent copy of the database, made while Nexus serves and writes.
//!
//! A backup holds the rows as they are stored, so it holds no key, and whoever makes one needs none. It is made from the
//! files in the data directory, by the user that owns them. The file has three parts:
//!
//! ```text
//! head      3 lines: "SPIKE backup 1", the manifest (JSON), the SHA-256 of these two lines (hex)
//! database  a SQLite database of the schema that the manifest names
//! digests   the SHA-256 of every 4096 bytes of the database, 32 bytes each
//! ```
//!
//! Every byte is under one of the checksums, and the length of each part is known from the head. So a file that was cut,
//! continued or changed is refused, with the place. Checksums find accidents. A person who can write the file can write
//! checksums too: what such a person changed is found with the recovery shares, which open the rows.

mod container;
mod error;
mod examine;
#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing;
mod make;
mod note;
mod restore;
mod shares;
mod verify;
mod walk;

pub use self::container::{Contents, Manifest};
pub use self::error::BackupError;
pub use self::make::back_up;
pub(super) use self::note::last_verified;
pub use self::note::note_verified;
pub use self::restore::restore;
pub use self::verify::{Proof, Report, verify};

#[cfg(test)]
mod tests;
