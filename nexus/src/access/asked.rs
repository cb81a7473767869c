//! What a request asks for, in domain words, whatever dialect it was written in.

pub use spike_wire::{Needs, Operation};

/// A request of the service. Its type says which operation it asks for, and what of it the request is about; the path on which
/// the caller needs a permission is taken from it and from nowhere else.
pub trait Asked: Send + Sync + Sized {
    /// What is to be done.
    const OPERATION: Operation;
    /// What of the request it is about. A rule on the path of the request wants [`Subject::Path`], and no other rule allows it.
    const SUBJECT: Subject<Self>;

    /// What the audit log says of it.
    fn told(&self) -> Option<String> {
        match Self::SUBJECT {
            Subject::Path(text) | Subject::Named(text) => Some(text(self).to_owned()),
            Subject::Share(index) => Some(format!("share {}", index(self))),
            Subject::Nothing => None,
        }
    }
}

/// What a request of type `R` is about.
#[derive(Debug)]
pub enum Subject<R> {
    /// The path of a secret, on which the caller needs a permission.
    Path(fn(&R) -> &str),
    /// A name for the audit log. The permission that the caller needs has nothing to do with it.
    Named(fn(&R) -> &str),
    /// A recovery share, by its index.
    Share(fn(&R) -> i64),
    /// Nothing that has a name.
    Nothing,
}
