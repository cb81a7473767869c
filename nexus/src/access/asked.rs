//! What a request asks for, in domain words, independent of the dialect.

pub use spike_wire::{Needs, Operation};

/// A request of the service. Its type determines the operation and the subject. The path that is authorized is taken from the
/// request by [`Self::SUBJECT`], and from nowhere else.
pub trait Asked: Send + Sync + Sized {
    /// The operation.
    const OPERATION: Operation;
    /// The subject of the request. A rule on the path of the request requires [`Subject::Path`], and no other rule accepts it.
    const SUBJECT: Subject<Self>;

    /// The subject, as the audit log names it.
    fn subject(&self) -> Option<String> {
        match Self::SUBJECT {
            Subject::Path(text) | Subject::Named(text) => Some(text(self).to_owned()),
            Subject::Share(index) => Some(format!("share {}", index(self))),
            Subject::Nothing => None,
        }
    }
}

/// The subject of a request of type `R`.
#[derive(Debug)]
pub enum Subject<R> {
    /// The path of a secret, on which the caller needs a permission.
    Path(fn(&R) -> &str),
    /// A name for the audit log. The permission that the caller needs does not depend on it.
    Named(fn(&R) -> &str),
    /// A recovery share, by its index.
    Share(fn(&R) -> i64),
    /// No subject that has a name.
    Nothing,
}
