//! Mistakes within one pattern.

use super::super::error::{Field, Refusal};
use super::super::rewrite;
use super::super::scan::tokens;
use super::super::validate::is_acceptable;
use super::super::{Permission, Policy, go_syntax};
use super::reach::{self, Language};
use super::{Code, Report, Severity, repair};

pub(super) fn check<E>(
    report: &mut Report<'_>,
    go_on: &impl Fn() -> Result<(), E>,
) -> Result<(), E> {
    let policy = report.policy;
    go_on()?;
    rules(report);
    for (field, text) in [
        (Field::SpiffeIdPattern, policy.spiffe_id_pattern.as_str()),
        (Field::PathPattern, policy.path_pattern.as_str()),
    ] {
        misread_syntax(report, field, text);
        anchors(report, field, text);
        never(report, field, text, go_on)?;
    }
    trust_domain_dots(report, &policy.spiffe_id_pattern);
    leading_slash(report, &policy.path_pattern);
    Ok(())
}

/// The rules for new policies, except for reserved paths, which are checked separately.
fn rules(report: &mut Report<'_>) {
    let policy = report.policy;
    let words: Vec<&str> = policy.permissions.iter().map(Permission::as_str).collect();
    let refused = Policy::validate_new(
        &policy.name,
        &policy.spiffe_id_pattern,
        &policy.path_pattern,
        &words,
        policy.updated_at,
    );
    let Err(error) = refused else { return };
    let fix = match &error.why {
        Refusal::ReservedPath { .. } => return,
        Refusal::Syntax(_) => "correct the pattern; it follows the syntax of Go's regexp package",
        Refusal::NotSpiffeId => "begin with `^spiffe://` and the trust domain",
        Refusal::Empty => "fill the field in",
        Refusal::TooLong { .. } => "shorten the field",
        Refusal::TooComplex { .. } => "shorten the pattern, or ask for fewer repetitions",
        // Only a set knows its limit, and nothing is added to one here.
        Refusal::TooManyLoose { .. } => "begin the pattern with ^ and a text",
        Refusal::Character { .. } => "take the character out",
        Refusal::UnknownPermission { .. } => "use read, write, list, execute or super",
    };
    report.add(Code::Invalid, Severity::Error, error.field, error.why.to_string(), fix);
}

/// Globs, templates, and doubled backslashes.
fn misread_syntax(report: &mut Report<'_>, field: Field, text: &str) {
    if let Some(star) = rewrite::glob_stars(&tokens(text)).first()
        && let Some(better) = rewrite::globs_spelled_out(text)
    {
        let message = format!(
            "`*` at byte {} repeats the character before it; this is no glob but a regular expression",
            star.at
        );
        report.add_replacing(Code::Glob, Severity::Warning, field, message, better);
    }
    if field == Field::PathPattern
        && let Some(better) = rewrite::placeholders_spelled_out(text)
    {
        let message = "a name in braces stands for itself, braces and all";
        report.add_replacing(Code::Placeholder, Severity::Warning, field, message, better);
    }
    if let Some(better) = rewrite::halved_backslashes(text) {
        let message = "two backslashes ask for a backslash in the text; \
                       in YAML, single quotes or none leave one backslash as it is";
        report.add_replacing(Code::DoubleEscape, Severity::Warning, field, message, better);
    }
}

fn anchors(report: &mut Report<'_>, field: Field, text: &str) {
    if let Some(better) = repair::start_anchored(text) {
        // A SPIFFE ID has its scheme only at the start, so this matters for reserved paths only.
        let (severity, message) = if field == Field::SpiffeIdPattern {
            (Severity::Notice, "without `^`, the policy cannot act on reserved paths".to_owned())
        } else {
            (Severity::Warning, format!("without `^`, `before/{}` matches too", example(text)))
        };
        report.add_replacing(Code::MissingAnchor, severity, field, message, better);
    }
    if let Some(better) = repair::end_anchored(text) {
        let message = format!("without `$`, `{}-and-more` matches too", example(text));
        report.add_replacing(Code::MissingAnchor, Severity::Warning, field, message, better);
    }
}

/// The pattern as plain text, for a message.
fn example(pattern: &str) -> String {
    let literals = tokens(pattern).into_iter();
    literals
        .filter_map(|token| match token.text {
            "^" | "$" => None,
            text => Some(token.literal().map_or_else(|| text.to_owned(), String::from)),
        })
        .collect()
}

fn never<E>(
    report: &mut Report<'_>,
    field: Field,
    text: &str,
    go_on: &impl Fn() -> Result<(), E>,
) -> Result<(), E> {
    let Ok(node) = go_syntax::parse(text) else { return Ok(()) };
    let (language, what) = match field {
        Field::SpiffeIdPattern => (Language::SpiffeId, "SPIFFE ID"),
        Field::PathPattern => (Language::Path, "path"),
        Field::Name | Field::Permissions => return Ok(()),
    };
    if reach::can_match(&node, language, go_on)? {
        return Ok(());
    }
    // A change that makes the pattern match something is better than no hint.
    let revives = |pattern: &str| match go_syntax::parse(pattern) {
        Ok(node) => Ok(reach::can_match(&node, language, go_on)? && is_acceptable(field, pattern)),
        Err(_) => Ok(false),
    };
    let mut better = None;
    for candidate in rewrite::rewrites(field, text) {
        if revives(&candidate.pattern)? {
            better = Some(candidate);
            break;
        }
    }
    let message = match (field, rewrite::trust_domain_in_lower_case(text)) {
        (Field::SpiffeIdPattern, Some(_)) => {
            "no SPIFFE ID can match this: trust domains are written in lower case".to_owned()
        }
        _ => format!("no {what} can match this"),
    };
    match better {
        Some(found) => report.add_replacing(
            Code::NeverMatches,
            Severity::Error,
            field,
            message,
            found.pattern,
        ),
        None => report.add(
            Code::NeverMatches,
            Severity::Error,
            field,
            message,
            format!("write what a {what} can look like: nothing follows `$` or comes before `^`, and every \
                     character is one that a {what} may have"),
        ),
    }
    Ok(())
}

/// Dots in the trust domain that are neither escaped nor repeated.
fn trust_domain_dots(report: &mut Report<'_>, text: &str) {
    let Some((first, better)) = repair::dots_escaped(text) else { return };
    let lookalike: String =
        text.char_indices().map(|(at, c)| if at == first { 'x' } else { c }).collect();
    let message = format!(
        "`.` at byte {first} matches any character: `{}` passes as well",
        example(&lookalike)
    );
    let field = Field::SpiffeIdPattern;
    report.add_replacing(Code::UnescapedDot, Severity::Warning, field, message, better);
}

fn leading_slash(report: &mut Report<'_>, text: &str) {
    if !text.starts_with('/') && !text.starts_with("^/") {
        return;
    }
    let Some(better) = repair::without_leading_slash(text) else { return };
    let message = "paths are names without a slash at the start: `/a` and `a` are two secrets";
    let field = Field::PathPattern;
    report.add_replacing(Code::LeadingSlash, Severity::Warning, field, message, better);
}
