//! The table of operations, as reviewers and readers see it. Both texts are made from it, and a test holds them:
//! `UPDATE_DOCS=1 cargo test -p spike-wire` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use super::super::{ErrorCode, KeeperOperation, Needs, Operation, Rule};
use spike_domain::Role;

const BEGIN: &str = "<!-- made from the table of operations -->\n";
const END: &str = "<!-- end -->\n";

/// What both kinds of operation have.
struct Shown {
    name: String,
    summary: &'static str,
    rule: Rule,
    needs: Option<Needs>,
    changes: bool,
    target: &'static str,
    audit: (&'static str, &'static str),
    error: String,
}

macro_rules! shown {
    ($operation:expr, $needs:expr) => {{
        let operation = $operation;
        let error = operation.error_body(ErrorCode::ApiNotFound);
        Shown {
            name: operation.label().to_owned(),
            summary: operation.summary(),
            rule: operation.rule(),
            needs: $needs(operation.needs()),
            changes: operation.changes(),
            target: operation.path_and_query(),
            audit: (operation.audit_component(), operation.audit_action()),
            error: String::from_utf8(error.to_vec()).unwrap(),
        }
    }};
}

fn all() -> Vec<Shown> {
    let nexus = Operation::ALL.iter().map(|operation| shown!(operation, Some));
    // A Keeper has no backends, and is never sealed.
    let keeper = KeeperOperation::ALL.iter().map(|operation| shown!(operation, |_| None));
    nexus.chain(keeper).collect()
}

/// Every row with all that it says.
fn golden() -> String {
    let mut text = String::new();
    for row in all() {
        let Shown { name, summary, rule, needs, changes, target, audit, error } = row;
        let needs = needs.map_or_else(String::new, |needs| format!("\n  needs   {needs:?}"));
        let (component, action) = audit;
        write!(
            text,
            "{name}: {summary}\n  target  {target}\n  rule    {rule:?}{needs}\n  changes {changes}\n  \
             audit   {component} {action}\n  error   {error}\n\n"
        )
        .unwrap();
    }
    text
}

/// The table of the reference.
fn who_may() -> String {
    let mut text = String::from(
        "| operation | superuser | lite workload | anybody else | backends | while sealed |\n|---|---|---|---|---|---|\n",
    );
    for row in all() {
        let yes = |is: bool| if is { "yes" } else { "no" };
        let has = |role| matches!(row.rule, Rule::Roles(roles) if roles.contains(&role));
        let superuser = !matches!(row.rule, Rule::Roles(_)) || has(Role::PilotSuperuser);
        let lite = matches!(row.rule, Rule::Cipher(..)) || has(Role::LiteWorkload);
        let (backends, sealed) = match row.needs {
            Some(Needs::Store) => ("`sqlite`, `memory`", "503"),
            Some(Needs::RootKey) => ("all", "503"),
            Some(Needs::Nothing) => ("all", "answered"),
            None => ("–", "–"),
        };
        let what =
            row.summary.trim_end_matches('.').replace("Ours, unknown upstream:", "**Ours**:");
        writeln!(
            text,
            "| {what} | {} | {} | {} | {backends} | {sealed} |",
            yes(superuser),
            yes(lite),
            anybody(row.rule)
        )
        .unwrap();
    }
    text
}

fn anybody(rule: Rule) -> String {
    match rule {
        Rule::OnThePath(word) => format!("policy: `{word}` on the path"),
        Rule::OnSystemPath(word, path) | Rule::Cipher(word, path) => {
            format!("policy: `{word}` on `{path}`")
        }
        Rule::Names(word, path) => format!(
            "policy: `{word}` on `{path}`: all names. **Ours**: without it, the names on which a policy gives `{word}`"
        ),
        Rule::Roles(roles) => {
            let others = roles.iter().filter(|role| **role != Role::PilotSuperuser);
            let names: Vec<String> = others.map(ToString::to_string).collect();
            format!("only {}", names.join(", "))
        }
    }
}

#[track_caller]
fn holds(path: &Path, made: &str) {
    #[expect(clippy::disallowed_methods, reason = "this asks the developer, not the operator")]
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    if update {
        std::fs::write(path, made).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    let how = "write it anew: UPDATE_DOCS=1 cargo test -p spike-wire";
    assert!(written == made, "{} is not what the table says; {how}", path.display());
}

#[test]
fn the_golden_table_says_what_the_table_of_operations_says() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    holds(&here.join("src/tests/operations.golden"), &golden());
}

#[test]
fn the_reference_says_who_may_as_the_table_of_operations_says() {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let path = above.map(|up| up.join("docs/wire-api.md")).find(|path| path.exists()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    holds(&path, &format!("{before}{BEGIN}{}{END}{after}", who_may()));
}
