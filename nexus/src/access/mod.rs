//! Who may do what.
//!
//! Owned here: the principal of a request ([`Principal`]), what the type of a request declares ([`Asked`]), the decision
//! ([`Access`]), and the only constructor of a [`Grant`]. Every method that reads or changes anything takes the grant of its
//! request by value, so an operation that is not authorized does not compile.
//!
//! Left to others: the rule of each operation, which is in the table of operations; the verification of the peer
//! (`spike-mtls`); the use of the grant (`service`).

pub(crate) mod asked;
mod decide;
mod decisions;
pub(crate) mod grant;
mod principal;

pub(crate) use self::decisions::DecisionMetrics;
pub use self::{
    asked::{Asked, Needs, Operation, Subject},
    decide::Access,
    grant::{Grant, UnreadGrant},
    principal::Principal,
};

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The source of every file that takes part in carrying out requests.
    fn sources(directory: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                sources(&path, found);
            } else if path.is_file() {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.display().to_string(), text));
            }
        }
    }

    #[test]
    fn nothing_that_carries_out_a_request_reaches_the_keys_as_a_task_of_the_daemon() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        for directory in ["serve", "service"] {
            sources(&root.join(directory), &mut found);
        }
        assert!(found.len() > 10, "{found:?}");
        for (path, text) in found {
            assert!(!text.contains("OwnTask"), "{path}: only a grant leads to the keys here");
        }
    }
}
