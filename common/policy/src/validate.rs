//! The rules for a new policy, in upstream's order (wire-api 6.2 to 6.5, N7).
//!
//! `spike-domain` defines the characters and lengths of fields.

use spike_domain::rules;
use time::OffsetDateTime;

use super::error::{Field, PolicyError, Refusal};
use super::pattern::Pattern;
use super::{Permission, Permissions, Policy, reserved};

/// The largest width of one pattern. A path of 500 bytes then takes at most two milliseconds. Lists of names, and parts
/// of a fixed length after an anchor, are far below.
pub const MAX_WIDTH: u64 = 128;

/// The longest word that an error repeats, in characters.
const QUOTED: usize = 60;

impl Policy {
    /// A new policy, created `now`, if it passes every rule: name, SPIFFE ID pattern, path pattern, permissions, then
    /// that both patterns compile and are not too expensive, then the rule for reserved paths.
    ///
    /// # Errors
    /// [`PolicyError`] names the first field at fault, the position and the reason.
    pub fn validate_new(
        name: &str,
        spiffe_id_pattern: &str,
        path_pattern: &str,
        permissions: &[impl AsRef<str>],
        now: OffsetDateTime,
    ) -> Result<Self, PolicyError> {
        check_name(name)?;
        check_spiffe_id_pattern(spiffe_id_pattern)?;
        check_path_pattern(path_pattern)?;
        let permissions = parse_permissions(permissions)?;
        let policy = Self {
            name: name.into(),
            spiffe_id_pattern: spiffe_id_pattern.into(),
            path_pattern: path_pattern.into(),
            permissions,
            created_at: now,
            updated_at: now,
        };
        let (ids, paths) = policy.patterns()?;
        check_width(Field::SpiffeIdPattern, &ids)?;
        check_width(Field::PathPattern, &paths)?;
        reserved::check(spiffe_id_pattern, path_pattern, &paths.matcher())?;
        Ok(policy)
    }

    /// Both patterns, the SPIFFE ID's first.
    ///
    /// # Errors
    /// [`Refusal::Syntax`] for the first that does not compile. Such a stored policy never matches.
    pub fn patterns(&self) -> Result<(Pattern, Pattern), PolicyError> {
        let read = |text: &str, field| {
            Pattern::new(text).map_err(|error| PolicyError::new(field, error.into()))
        };
        Ok((
            read(&self.spiffe_id_pattern, Field::SpiffeIdPattern)?,
            read(&self.path_pattern, Field::PathPattern)?,
        ))
    }
}

/// Checks the name of a policy.
///
/// # Errors
/// [`PolicyError`] on [`Field::Name`].
pub fn check_name(name: &str) -> Result<(), PolicyError> {
    rules::check_name(name).map_err(|fault| PolicyError::new(Field::Name, fault.into()))
}

/// Checks the text of a path pattern, but not that it compiles.
///
/// # Errors
/// [`PolicyError`] on [`Field::PathPattern`].
pub fn check_path_pattern(text: &str) -> Result<(), PolicyError> {
    rules::check_path_pattern(text)
        .map_err(|fault| PolicyError::new(Field::PathPattern, fault.into()))
}

/// Checks the text of a SPIFFE ID pattern, but not that it compiles.
///
/// # Errors
/// [`PolicyError`] on [`Field::SpiffeIdPattern`].
pub fn check_spiffe_id_pattern(text: &str) -> Result<(), PolicyError> {
    rules::check_spiffe_id_pattern(text)
        .map_err(|fault| PolicyError::new(Field::SpiffeIdPattern, fault.into()))
}

/// Whether `pattern` is valid in `field`, apart from the rule for reserved paths.
pub(super) fn is_acceptable(field: Field, pattern: &str) -> bool {
    let checked = match field {
        Field::SpiffeIdPattern => check_spiffe_id_pattern(pattern),
        Field::PathPattern => check_path_pattern(pattern),
        Field::Name | Field::Permissions => return false,
    };
    checked.is_ok() && Pattern::new(pattern).is_ok_and(|p| p.width() <= MAX_WIDTH)
}

fn parse_permissions(words: &[impl AsRef<str>]) -> Result<Permissions, PolicyError> {
    let refuse = |why| PolicyError::new(Field::Permissions, why);
    if words.is_empty() {
        return Err(refuse(Refusal::Empty));
    }
    words
        .iter()
        .map(|word| {
            let word = word.as_ref();
            Permission::from_word(word).ok_or_else(|| {
                refuse(Refusal::UnknownPermission { word: word.chars().take(QUOTED).collect() })
            })
        })
        .collect()
}

fn check_width(field: Field, pattern: &Pattern) -> Result<(), PolicyError> {
    match pattern.width() {
        0..=MAX_WIDTH => Ok(()),
        width => Err(PolicyError::new(field, Refusal::TooComplex { width, limit: MAX_WIDTH })),
    }
}
