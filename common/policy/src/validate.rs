//! The rules that a policy must pass before it is stored, in upstream's order (wire-api 6.2 to 6.5, N7).
//!
//! Characters are checked byte by byte with code of our own: upstream's validating expressions mean something else in
//! Rust's dialect.

use time::OffsetDateTime;

use super::error::{Field, PolicyError, Refusal};
use super::pattern::Pattern;
use super::{Permission, Permissions, Policy, reserved};

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 250;

/// The longest path pattern, in bytes.
pub const MAX_PATH_PATTERN_BYTES: usize = 500;

/// The most places of one pattern that a search may have to follow at once. A path of 500 bytes then takes two
/// milliseconds at the worst. Lists of names, and pieces of a fixed length after an anchor, stay far below.
pub const MAX_WIDTH: u64 = 128;

/// The longest word that an error repeats, in characters.
const QUOTED: usize = 60;

impl Policy {
    /// A new policy, made and last changed `now`, if it passes every rule: name, SPIFFE ID pattern, path pattern,
    /// permissions, then that both patterns compile and are not too heavy, then the rule for reserved paths.
    ///
    /// # Errors
    /// [`PolicyError`] names the first field at fault, where and why.
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
    /// [`Refusal::Syntax`] for the first that does not compile. A stored policy of which this is true never matches.
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

/// Checks the name of a policy: 1 to 250 bytes of letters, digits, hyphen, underscore and space (wire-api 6.2).
///
/// # Errors
/// [`PolicyError`] on [`Field::Name`].
pub fn check_name(name: &str) -> Result<(), PolicyError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' ');
    check_length(Field::Name, name, MAX_NAME_BYTES)?;
    check_characters(Field::Name, name, 0, allowed)
}

/// Checks the text of a path pattern: 1 to 500 bytes of its alphabet (wire-api 6.4). That it compiles is another
/// matter.
///
/// # Errors
/// [`PolicyError`] on [`Field::PathPattern`].
pub fn check_path_pattern(text: &str) -> Result<(), PolicyError> {
    let allowed = |c: char| is_path_character(c) || matches!(c, '^' | '$');
    check_length(Field::PathPattern, text, MAX_PATH_PATTERN_BYTES)?;
    check_characters(Field::PathPattern, text, 0, allowed)
}

/// Checks the text of a SPIFFE ID pattern (wire-api 6.3). That it compiles is another matter.
///
/// Unlike upstream, an underscore may stand in the trust domain: peers of such trust domains are let in.
///
/// # Errors
/// [`PolicyError`] on [`Field::SpiffeIdPattern`].
pub fn check_spiffe_id_pattern(text: &str) -> Result<(), PolicyError> {
    let field = Field::SpiffeIdPattern;
    let refuse = |why| Err(PolicyError::new(field, why));
    if text.is_empty() {
        return refuse(Refusal::Empty);
    }
    let unanchored = text.strip_prefix('^').unwrap_or(text);
    let Some(rest) = unanchored.strip_prefix("spiffe://") else {
        return refuse(Refusal::NotSpiffeId);
    };
    let start = text.len() - rest.len();
    let body = rest.strip_suffix('$').unwrap_or(rest);
    let in_pattern = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '\\' | '.' | '_' | '-' | '*' | '(' | ')' | '+' | '?' | '[' | ']' | '/')
    };
    check_characters(field, body, start, in_pattern)?;
    let domain = body.split('/').next().unwrap_or_default();
    if domain.is_empty() {
        return refuse(Refusal::NotSpiffeId);
    }
    // After the trust domain come slashes and what they part, but not one slash alone.
    if body.len() == domain.len() + 1 {
        return refuse(Refusal::Character { found: '/', offset: start + domain.len() });
    }
    Ok(())
}

/// Whether `pattern` may be put into `field`, reserved paths aside.
pub(super) fn is_acceptable(field: Field, pattern: &str) -> bool {
    let checked = match field {
        Field::SpiffeIdPattern => check_spiffe_id_pattern(pattern),
        Field::PathPattern => check_path_pattern(pattern),
        Field::Name | Field::Permissions => return false,
    };
    checked.is_ok() && Pattern::new(pattern).is_ok_and(|p| p.width() <= MAX_WIDTH)
}

/// The characters of a secret path (wire-api 6.1).
pub(super) fn is_path_character(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(c, '.' | '_' | '-' | '/' | '(' | ')' | '?' | '+' | '*' | '|')
        || matches!(c, '[' | ']' | '{' | '}' | '\\')
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

fn check_length(field: Field, text: &str, limit: usize) -> Result<(), PolicyError> {
    match text.len() {
        0 => Err(PolicyError::new(field, Refusal::Empty)),
        length if length > limit => {
            Err(PolicyError::new(field, Refusal::TooLong { length, limit }))
        }
        _ => Ok(()),
    }
}

fn check_characters(
    field: Field,
    text: &str,
    start: usize,
    allowed: impl Fn(char) -> bool,
) -> Result<(), PolicyError> {
    match text.char_indices().find(|&(_, c)| !allowed(c)) {
        None => Ok(()),
        Some((at, found)) => {
            let offset = start + at;
            Err(PolicyError::new(field, Refusal::Character { found, offset }))
        }
    }
}
