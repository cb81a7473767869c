//! Lists of SPIFFE IDs that a setting names one by one.

/// A list of SPIFFE IDs from a setting. Each covers itself and the IDs below it. The empty list covers none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoveredIds(Vec<String>);

/// What is wrong with a list of SPIFFE IDs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoveredIdsError {
    /// An element is empty: a trailing or a double comma.
    #[error("element {0} of the list is empty (a stray comma?)")]
    Empty(usize),
    /// An element is no SPIFFE ID as a certificate has it.
    #[error("{0:?} is not a SPIFFE ID, such as spiffe://example.org/prometheus")]
    NotASpiffeId(String),
    /// It would cover every workload of the trust domain.
    #[error("{0:?} has no path: it would be everybody of the trust domain")]
    NoPath(String),
}

impl CoveredIds {
    /// Reads a comma-separated list. White space around an element is ignored.
    ///
    /// # Errors
    /// [`CoveredIdsError`] for an empty element, and for one that is not the SPIFFE ID of a workload.
    pub fn parse(list: &str) -> Result<Self, CoveredIdsError> {
        let ids = list.split(',').enumerate().map(|(position, element)| {
            let element = element.trim();
            if element.is_empty() {
                return Err(CoveredIdsError::Empty(position + 1));
            }
            match spiffe::SpiffeId::new(element) {
                // The parser lowers capitals, so an ID with capitals would never match.
                Ok(id) if id.to_string() != element => {
                    Err(CoveredIdsError::NotASpiffeId(element.to_owned()))
                }
                Ok(id) if id.path().is_empty() => Err(CoveredIdsError::NoPath(element.to_owned())),
                Ok(_) => Ok(element.to_owned()),
                Err(_) => Err(CoveredIdsError::NotASpiffeId(element.to_owned())),
            }
        });
        ids.collect::<Result<_, _>>().map(Self)
    }

    /// Whether `id` is on the list, or below one that is.
    ///
    /// The bytes are compared, without wildcards: `…/prometheus` covers `…/prometheus/0`, and not `…/prometheus2`.
    pub fn cover(&self, id: &str) -> bool {
        self.0.iter().any(|covered| {
            id.strip_prefix(covered.as_str())
                .is_some_and(|below| below.is_empty() || below.starts_with('/'))
        })
    }

    /// Whether it covers none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The IDs as they were written.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_covers_itself_and_what_is_below_it_and_nothing_else() {
        let list = "spiffe://a.org/prometheus, spiffe://b.org/x/y";
        let covered = CoveredIds::parse(list).unwrap();
        for (id, expected) in [
            ("spiffe://a.org/prometheus", true),
            ("spiffe://a.org/prometheus/0", true),
            ("spiffe://b.org/x/y", true),
            ("spiffe://a.org/prometheus2", false),
            ("spiffe://a.org/prometheu", false),
            ("spiffe://a.org/x/prometheus", false),
            ("spiffe://b.org/x", false),
            ("spiffe://b.org/prometheus", false),
            ("", false),
        ] {
            assert_eq!(covered.cover(id), expected, "{id}");
        }
        assert!(!CoveredIds::default().cover("spiffe://a.org/prometheus"));
    }

    #[test]
    fn what_is_no_id_of_a_workload_is_refused_with_its_reason() {
        use CoveredIdsError::{Empty, NoPath, NotASpiffeId};
        let not = |text: &str| NotASpiffeId(text.to_owned());
        for (list, error) in [
            ("", Empty(1)),
            ("spiffe://a.org/x,", Empty(2)),
            ("a.org/x", not("a.org/x")),
            ("https://a.org/x", not("https://a.org/x")),
            ("spiffe://A.org/x", not("spiffe://A.org/x")),
            ("spiffe://a.org/x/", not("spiffe://a.org/x/")),
            ("spiffe://a.org/*", not("spiffe://a.org/*")),
            ("spiffe://a.org", NoPath("spiffe://a.org".to_owned())),
        ] {
            assert_eq!(CoveredIds::parse(list), Err(error), "{list:?}");
        }
    }
}
