//! Policies that allow more, or less, than they seem to.

use spike_domain::{ACL_PATH, CIPHER_PATH, RESERVED_PATHS, SECRET_PATH};

use super::super::error::{Field, ReservedCause};
use super::super::pattern::{Matcher, Pattern};
use super::super::reserved::{self, ReservedRule};
use super::super::{Permission, Permissions, Policy};
use super::super::{go_syntax, rewrite};
use super::{Code, Finding, Report, Severity};

/// SPIFFE IDs that have nothing in common. A pattern that matches them all is too broad.
const ANYBODY: [&str; 3] = ["spiffe://a", "spiffe://other.example/x/y", "spiffe://0-9.test/Z_z.-"];

/// Paths that have nothing in common.
const ANYWHERE: [&str; 3] = ["a", "zz/9/Q", "_.-"];

pub(super) fn check<E>(
    report: &mut Report<'_>,
    rule: ReservedRule,
    go_on: &impl Fn() -> Result<(), E>,
) -> Result<(), E> {
    go_on()?;
    permissions(report);
    let Ok((ids, paths)) = report.policy.patterns() else { return Ok(()) };
    let (ids, paths) = (ids.matcher(), paths.matcher());
    go_on()?;
    breadth(report, &ids, &paths);
    go_on()?;
    reserved_paths(report, &paths, rule);
    idle_execute(report, &paths);
    list_alone(report, &paths);
    Ok(())
}

pub(super) fn duplicate(first: &Policy, again: &Policy) -> Finding {
    let same = first.permissions.bits() == again.permissions.bits();
    let (message, fix) = if same {
        (format!("`{}` says the same", first.name), "delete one of the two".to_owned())
    } else {
        (
            format!("`{}` has the same patterns and other permissions", first.name),
            "put all permissions into one policy and delete the other".to_owned(),
        )
    };
    Finding {
        policy: again.name.clone(),
        code: Code::Duplicate,
        severity: if same { Severity::Warning } else { Severity::Notice },
        field: Field::Name,
        message,
        fix,
        replacement: None,
    }
}

fn permissions(report: &mut Report<'_>) {
    let permissions = &report.policy.permissions;
    let mut once: Vec<Permission> = Vec::new();
    for permission in permissions.iter() {
        if !once.contains(&permission) {
            once.push(permission);
        }
    }
    let has_super = once.contains(&Permission::Super);
    if once.len() < permissions.iter().len() {
        let message = "a permission is given twice";
        let better = Permissions::new(once).to_string();
        let field = Field::Permissions;
        report.add_replacing(Code::RepeatedPermission, Severity::Notice, field, message, better);
    }
    if has_super {
        report.add(
            Code::SuperPermission,
            Severity::Warning,
            Field::Permissions,
            "super includes every permission, on every path that the pattern finds",
            "name the permissions that are needed",
        );
    }
}

fn breadth(report: &mut Report<'_>, ids: &Matcher, paths: &Matcher) {
    if ANYBODY.iter().all(|id| ids.is_match(id)) {
        report.add(
            Code::OverBroad,
            Severity::Warning,
            Field::SpiffeIdPattern,
            "every workload of every trust domain matches",
            "name the trust domain and the path of the workload",
        );
    }
    if ANYWHERE.iter().all(|path| paths.is_match(path)) {
        report.add(
            Code::OverBroad,
            Severity::Warning,
            Field::PathPattern,
            "every path matches",
            "name the prefix that the workload needs, as in `^tenants/acme/`",
        );
    }
}

/// Reserved paths that the pattern matches although it does not name them.
fn reserved_paths(report: &mut Report<'_>, paths: &Matcher, rule: ReservedRule) {
    let policy = report.policy;
    for path in RESERVED_PATHS.into_iter().filter(|path| paths.is_match(path)) {
        if !reserved::is_described(&policy.path_pattern, path) {
            let cause = ReservedCause::PathNotDescribed;
            let message = format!("finds the reserved path `{path}` but {cause}: it is refused");
            let mut better = rewrite::anchored(&policy.path_pattern);
            if Pattern::new(&better).is_ok_and(|p| p.is_match(path)) {
                better = rewrite::exactly(path);
            }
            let field = Field::PathPattern;
            report.add_replacing(Code::ReservedPath, Severity::Error, field, message, better);
        } else if !reserved::is_precise(&policy.spiffe_id_pattern) {
            let cause = ReservedCause::IdentityNotPrecise;
            let message = format!("finds the reserved path `{path}`, but {cause}: it is refused");
            let better = rewrite::anchored(&policy.spiffe_id_pattern);
            let field = Field::SpiffeIdPattern;
            report.add_replacing(Code::ReservedPath, Severity::Error, field, message, better);
        } else if names(&policy.path_pattern, path) || rule == ReservedRule::Literal {
            // Intended, or without effect.
        } else if path == ACL_PATH && policy.permissions.allow(Permission::Write) {
            let message = format!(
                "makes an administrator of whoever matches: the pattern also opens `{path}`, and who may write \
                 policies may give anybody every right"
            );
            let fix = "name the paths that are meant, as in `^tenants/acme/`; for an administrator, make a policy \
                       with the path pattern `^spike/system/acl$`";
            report.add(Code::Administrator, Severity::Error, Field::PathPattern, message, fix);
        } else if has_effect(&policy.permissions, path) {
            let message = format!("the policy also opens `{path}`, which gates {}", gates(path));
            let fix = "name the paths that are meant, or say so in a policy of its own";
            let field = Field::PathPattern;
            report.add(Code::ReservedPath, Severity::Warning, field, message, fix);
        }
    }
}

/// Whether the author wrote the reserved path.
fn names(pattern: &str, path: &str) -> bool {
    go_syntax::parse(pattern).is_ok_and(|node| reserved::is_named(&node, path))
}

/// Whether any of the permissions has an effect on the reserved `path` (wire-api 5.3).
fn has_effect(permissions: &Permissions, path: &str) -> bool {
    let useful: &[Permission] = match path {
        ACL_PATH => &[Permission::Read, Permission::Write, Permission::List],
        SECRET_PATH => &[Permission::List],
        _ => &[Permission::Execute],
    };
    useful.iter().any(|&permission| permissions.allow(permission))
}

fn gates(path: &str) -> &'static str {
    match path {
        ACL_PATH => "the management of policies",
        SECRET_PATH => "the listing of all secrets",
        _ => "encryption and decryption",
    }
}

fn idle_execute(report: &mut Report<'_>, paths: &Matcher) {
    let has_execute = report.policy.permissions.iter().any(|p| p == Permission::Execute);
    if has_execute && !paths.is_match(CIPHER_PATH) {
        let message =
            format!("execute does something on `{CIPHER_PATH}` only, which is not matched");
        let better = rewrite::exactly(CIPHER_PATH);
        let fix = format!("take execute out, or give it a policy with the path pattern `{better}`");
        report.add(Code::IdlePermission, Severity::Warning, Field::Permissions, message, fix);
    }
}

/// A common mistake of readers: names are listed, but values are not readable.
fn list_alone(report: &mut Report<'_>, paths: &Matcher) {
    let permissions = &report.policy.permissions;
    let lists_only = permissions.allow(Permission::List)
        && !permissions.allow(Permission::Read)
        && !permissions.allow(Permission::Write);
    if lists_only && !RESERVED_PATHS.into_iter().any(|path| paths.is_match(path)) {
        let message = format!(
            "list shows the names that match, and no value; all names take list on `{SECRET_PATH}`"
        );
        let fix = format!(
            "add read if values are to be read; for all names make a policy with the path pattern `{}`",
            rewrite::exactly(SECRET_PATH)
        );
        report.add(Code::ListAlone, Severity::Notice, Field::Permissions, message, fix);
    }
}
