//! What a row is, what it binds, and how it is encrypted. Nothing here knows SQL: an engine hands in the columns that it
//! has read, and takes the columns that it is to write.
//!
//! * [`row`]: clear columns, associated data, encryption. The only way to make a row that can be written.
//! * [`keys`], [`keyring`]: the data keys, and the rows that hold them wrapped.
//! * [`identity`]: the one row about the store itself.
//! * [`head`]: the row of a path with the list of its versions, and the rows of the versions.
//! * [`policy`]: the rows of policies.
//! * [`import`]: the row that remembers an import.

pub(super) mod error;
pub(super) mod head;
pub(super) mod identity;
pub(super) mod import;
pub(super) mod keyring;
pub(super) mod keys;
pub(super) mod policy;
pub(super) mod row;
