//! Whether policies let a workload do something, and whether policies look like mistakes.

use spike_mtls::client::NexusClient;
use spike_policy::ASK_FOR;
use spike_wire::{ExplainRequest, ExplainResponse, LintResponse};

use super::check::{Check, Group};
use crate::cli::{Action, Question};
use crate::exit::Exit;
use crate::output::one_line;

const ACCESS: &str = "access";
const LINT: &str = "lint";
/// How many findings are shown.
const SHOWN: usize = 10;

/// Answers the question by the policies of Nexus.
pub(super) async fn access(nexus: &NexusClient, question: &Question) -> Check {
    let Question { spiffe_id, action: Action { path, permission } } = question;
    let request = ExplainRequest {
        spiffe_id: spiffe_id.clone(),
        path: path.clone(),
        permission: permission.as_str().to_owned(),
    };
    match nexus.explain(&request).await {
        Ok(answer) => judge_access(question, &answer),
        Err(error) => unanswered(ACCESS, &error.to_string()),
    }
}

/// The question cannot be asked.
pub(super) fn not_asked(question: Option<&Question>, because: &str) -> Option<Check> {
    question.map(|_| Check::skipped(Group::Policies, ACCESS, because))
}

fn unanswered(name: &str, error: &str) -> Check {
    Check::skipped(
        Group::Policies,
        name,
        format!("skipped: SPIKE Nexus does not answer it: {}", one_line(error)),
    )
}

fn judge_access(question: &Question, answer: &ExplainResponse) -> Check {
    let Question { spiffe_id, action: Action { path, permission } } = question;
    if let Some(domain) = &answer.no_bundle_of {
        let evidence = format!("{spiffe_id} cannot connect, whatever policies allow");
        let cause = format!(
            "SPIKE Nexus holds no trust bundle of {}, so it refuses this SVID in the handshake",
            one_line(domain)
        );
        let next = "federate the trust domains: docs/federation.md";
        return Check::failed(Group::Policies, ACCESS, Exit::Denied, evidence, (cause, next))
            .page("docs/federation.md");
    }
    if answer.allowed {
        let by = match (&answer.role, &answer.policy) {
            (Some(role), _) => format!("its role {}", one_line(role)),
            (None, Some(policy)) => format!("the policy {}", one_line(policy)),
            (None, None) => "SPIKE Nexus".to_owned(),
        };
        let evidence = format!("{spiffe_id} may {permission} {path}, by {by}");
        return Check::ok(Group::Policies, ACCESS, evidence);
    }
    let question = format!("{spiffe_id} may not {permission} {path}");
    let Some(nearest) = answer.near_misses.first() else {
        let cause = match answer.policies {
            0 => "there is no policy".to_owned(),
            count => format!("none of {count} policies is near to it"),
        };
        let next = "create a policy (`spike policy create`)";
        return Check::failed(Group::Policies, ACCESS, Exit::Denied, question, (cause, next));
    };
    let misses = answer.near_misses.iter().map(|miss| {
        format!("policy {}: {}", one_line(&miss.name), one_line(&miss.failed.join("; ")))
    });
    let evidence = std::iter::once(question).chain(misses).collect::<Vec<_>>().join("\n");
    let (name, failed) =
        (one_line(&nearest.name), one_line(&nearest.failed.join("; ")).into_owned());
    let is_slash = nearest.suggestions.iter().any(|text| text.starts_with(ASK_FOR));
    let cause = if is_slash {
        format!(
            "no policy allows it: the path begins with a slash, and the nearest policy, {name}, matches it only without"
        )
    } else {
        format!("no policy allows it. In the nearest one, {name}, this fails: {failed}")
    };
    let next = match nearest.suggestions.as_slice() {
        [] => "`spike policy explain` says more".to_owned(),
        suggestions => format!("if it should be allowed: {}", one_line(&suggestions.join("; "))),
    };
    Check::failed(Group::Policies, ACCESS, Exit::Denied, evidence, (cause, next))
}

/// Looks for probable mistakes.
pub(super) async fn lint(nexus: &NexusClient) -> Check {
    match nexus.lint_policies().await {
        Ok(answer) => judge_lint(&answer),
        Err(error) => unanswered(LINT, &error.to_string()),
    }
}

fn judge_lint(answer: &LintResponse) -> Check {
    let count = answer.policies;
    let of = if count == 1 { "1 policy".to_owned() } else { format!("{count} policies") };
    let serious = answer.findings.iter().filter(|finding| finding.severity != "notice");
    let mut lines: Vec<_> = serious
        .map(|finding| {
            let (policy, message) = (one_line(&finding.policy), one_line(&finding.message));
            format!("policy {policy}, {}: {message}", one_line(&finding.field))
        })
        .collect();
    if lines.is_empty() {
        return Check::ok(Group::Policies, LINT, format!("no finding in {of}"));
    }
    let found = lines.len();
    lines.truncate(SHOWN);
    let evidence = format!("{found} findings in {of}\n{}", lines.join("\n"));
    let cause = "policies look like mistakes";
    let next = "`spike policy lint` lists all findings, each with a fix";
    Check::warning(Group::Policies, LINT, evidence, (cause, next))
}

#[cfg(test)]
mod tests {
    use spike_policy::Permission;
    use spike_wire::{LintFinding, NearMiss};

    use super::super::check::Outcome;
    use super::*;

    fn question() -> Question {
        let action = Action { path: "a/b".to_owned(), permission: Permission::Read };
        Question { spiffe_id: "spiffe://example.org/app".to_owned(), action }
    }

    #[test]
    fn a_slash_before_the_path_is_told_as_the_cause() {
        let miss = NearMiss {
            name: "acme".to_owned(),
            failed: vec!["the path pattern ^a/b does not match /a/b".to_owned()],
            suggestions: vec![format!("{ASK_FOR} `a/b`: the request has a slash before it")],
            ..NearMiss::default()
        };
        let answer =
            ExplainResponse { near_misses: vec![miss], policies: 1, ..ExplainResponse::default() };
        let action = Action { path: "/a/b".to_owned(), permission: Permission::Read };
        let found = judge_access(&Question { action, ..question() }, &answer);
        assert!(found.cause.unwrap().contains("begins with a slash"));
        assert!(found.next.unwrap().contains("ask for the path `a/b`"));
    }

    #[test]
    fn a_denial_names_the_nearest_policy_what_fails_in_it_and_the_change() {
        let miss = NearMiss {
            name: "acme".to_owned(),
            failed: vec!["the path pattern ^c does not match".to_owned()],
            suggestions: vec!["set it to ^a".to_owned()],
            ..NearMiss::default()
        };
        let denied =
            ExplainResponse { near_misses: vec![miss], policies: 1, ..ExplainResponse::default() };
        let found = judge_access(&question(), &denied);
        assert_eq!(found.outcome, Outcome::Failed(Exit::Denied));
        assert!(
            found.cause.unwrap().ends_with("acme, this fails: the path pattern ^c does not match")
        );
        assert!(found.next.unwrap().ends_with("set it to ^a"));
        let none = judge_access(&question(), &ExplainResponse::default());
        assert_eq!(none.cause.as_deref(), Some("there is no policy"));
    }

    #[test]
    fn an_id_of_a_trust_domain_without_a_bundle_has_no_access_whatever_policies_allow() {
        let answer = ExplainResponse {
            allowed: true,
            no_bundle_of: Some("partner.org".to_owned()),
            ..ExplainResponse::default()
        };
        let found = judge_access(&question(), &answer);
        assert_eq!(found.outcome, Outcome::Failed(Exit::Denied));
        assert!(found.cause.unwrap().contains("no trust bundle of partner.org"));
    }

    #[test]
    fn a_grant_names_the_policy_or_the_role() {
        let by = |role: Option<&str>, policy: Option<&str>| {
            let (role, policy) = (role.map(str::to_owned), policy.map(str::to_owned));
            judge_access(
                &question(),
                &ExplainResponse { allowed: true, role, policy, ..ExplainResponse::default() },
            )
        };
        assert!(by(None, Some("acme")).evidence.ends_with("by the policy acme"));
        assert!(by(Some("superuser"), None).evidence.ends_with("by its role superuser"));
        assert_eq!(by(None, None).outcome, Outcome::Ok);
    }

    #[test]
    fn notices_are_no_warning_and_only_some_findings_are_shown() {
        let finding = |severity: &str| LintFinding {
            severity: severity.to_owned(),
            ..LintFinding::default()
        };
        let answer = |findings| LintResponse { findings, policies: 2 };
        assert_eq!(judge_lint(&answer(vec![finding("notice")])).outcome, Outcome::Ok);
        let many = judge_lint(&answer(vec![finding("warning"); 12]));
        assert_eq!((many.outcome, many.evidence.lines().count()), (Outcome::Warning, SHOWN + 1));
        assert!(many.evidence.starts_with("12 findings in 2 policies"));
    }
}
