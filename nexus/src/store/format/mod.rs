//! What a row is, what it binds, and how it is encrypted. Nothing here knows SQL: an engine hands in the columns that it
//! has read, and takes the columns that it is to write.
//!
//! * [`row`]: clear columns, associated data, encryption. The only way to make a row that can be written.
//! * [`keys`], [`keyring`]: the data keys, and the rows that hold them wrapped.
//! * [`identity`]: the one row about the store itself.
//! * [`head`], [`listed`]: the row of a path with the list of its versions, and the rows of the versions.
//! * [`policy`], [`policy_list`]: the rows of policies, and the lists of those that there are.
//! * [`import`]: the row that remembers an import.
//! * [`schema_1`]: what is different in an older database.

pub(super) mod error;
pub(super) mod head;
pub(super) mod identity;
pub(super) mod import;
pub(super) mod keyring;
pub(super) mod keys;
pub(super) mod listed;
pub(super) mod policy;
pub(super) mod policy_list;
pub(super) mod row;
pub(super) mod schema_1;
