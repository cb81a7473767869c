//! A store in SQLite, in a file or in memory.
//!
//! One thread writes, and commits all waiting writes in one transaction ([`writer`]); readers have their own connections
//! ([`readers`]). The file is created atomically ([`create`], [`make`]), is private ([`private`]) and is not trusted ([`open`],
//! [`length`], [`schema`]). A file of an older schema is migrated when it is opened ([`migrate`]). A log of commits beside it reveals lost
//! commits ([`commits`]). Files that somebody else moves or writes to while they are open are noticed ([`place`], [`log`],
//! [`database`], [`overwritten`]).

pub(super) mod commits;
pub(super) mod create;
mod database;
mod index;
mod length;
mod log;
mod make;
mod message;
mod migrate;
pub(super) mod open;
pub(super) mod overwritten;
pub(super) mod place;
pub(super) mod policy_rows;
pub(super) mod private;
pub(super) mod queue;
pub(super) mod readers;
pub(super) mod rows;
pub(super) mod schema;
pub(super) mod shown;
pub(super) mod transaction;
pub(super) mod unit;
pub(super) mod wal;
pub(super) mod writer;
