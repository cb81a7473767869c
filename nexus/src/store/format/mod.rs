//! Rows: what they contain, what they bind, and how they are encrypted. This module contains no SQL: an engine passes the
//! columns that it has read, and gets the columns to write.
//!
//! * [`row`]: clear columns, associated data, encryption. The only way to make a row that can be written.
//! * [`keys`], [`keyring`]: the data keys, and the rows with the wrapped keys.
//! * [`identity`]: the one row about the store itself.
//! * [`head`], [`listed`]: the row of a path with the list of its versions, and the rows of the versions.
//! * [`policy`], [`policy_list`]: the rows of policies, and the lists of existing policies.
//! * [`import`]: the record of an import.
//! * [`schema_1`]: the differences of an older database.

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
