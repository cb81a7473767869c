//! Runs the blocks that need no more than a cluster on this machine, in the order of their page. The comments before them say which:
//! this file takes every page of the repository. A page that speaks of a machine with systemd is taken to the place of the cluster first.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Block, Fate, blocks, pages};
use crate::tour::{Place, Step, Up, compare, in_one_shell, moved, steps};

/// This file, as the comments name it.
const HERE: &str = "tests/specs/pages/run.rs";

/// The page whose block [`problems_of_settings`] compares.
const SETTINGS: &str = "docs/configuration.md";

/// What a page names, and what it is here.
const PLACES: [(&str, &str); 8] = [
    // There is one file: nothing was rotated.
    ("/var/log/spike-nexus/audit.log.1 ", ""),
    ("/var/log/spike-nexus/audit.log", ".spike-dev/logs/nexus-audit.log"),
    ("/var/lib/spike-nexus", ".spike-dev"),
    ("/var/backups/spike", "backups"),
    ("/media/recovery", "recovery"),
    ("-o spike-nexus -g spike-nexus ", ""),
    ("runuser -u spike-nexus -- ", ""),
    (" monday.backup", " backups/monday.backup"),
];

/// What a reader has done before.
const BEFORE: &str = "\
. .spike-dev/env
spike secret put tenants/acme/db user=app pass=s3cr3t
spike secret put tenants/acme/db user=app pass=s3cr3t
spike-dev as /spike/pilot/role/recover -- spike operator recover --out recovery
echo hi | spike cipher encrypt -o encrypted
mkdir settings
cp \"$PAGES\"/deploy/systemd/*.env.example settings";

/// What is compared of an output: words with a digit differ from run to run.
fn without_numbers(text: &str) -> String {
    let of_line = |line: &str| {
        let words = line.split(' ').map(|word| {
            if word.contains(|c: char| c.is_ascii_digit()) && !word.contains('/') {
                "#"
            } else {
                word
            }
        });
        words.collect::<Vec<_>>().join(" ")
    };
    text.trim().lines().map(of_line).collect::<Vec<_>>().join("\n")
}

/// The commands of a page that this file runs. Each output is with the block that it must equal, `None` if nobody compares it.
fn steps_of(page: &str) -> Result<Vec<(Step, Option<String>)>> {
    let mut found: Vec<(Step, Option<String>)> = Vec::new();
    let here = |fate: &Fate| fate.file() == Some(HERE);
    for block in blocks(page) {
        match &block.fate {
            Some(fate @ Fate::Compared(_)) if here(fate) && block.kind == "text" => {
                let last = found.last_mut().context("an output before the first command")?;
                last.1 = Some(block.text());
            }
            Some(fate @ Fate::Run(_)) if here(fate) && block.kind == "console" => {
                for step in steps(&format!("```console\n{}\n```", block.text()))? {
                    found.push((step, None));
                }
            }
            Some(fate @ Fate::Run(_)) if here(fate) => {
                let command = format!("( set -e\n{}\n)", block.text());
                found.push((Step { command, output: String::new() }, None));
            }
            _ => {}
        }
    }
    Ok(found)
}

#[tokio::test]
async fn the_blocks_that_a_cluster_is_enough_for_run_as_their_pages_say() -> Result<()> {
    let dir = tempfile::Builder::new().prefix("pages-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let place = Place::new(dir.path());
    let pages = pages()?;
    let tour = steps(&pages["README.md"])?;
    let cluster = Up::start(&place).await?;
    let moves = cluster.moves(&tour.first().context("no tour")?.output);
    let before = BEFORE.replace("\"$PAGES\"", &crate::repository::root().display().to_string());
    let (status, said) = place.run(&format!("set -e\n{before}")).await?;
    ensure!(status.success(), "{said}");

    let mut run = 0;
    for (path, page) in pages.iter().filter(|(path, _)| *path != SETTINGS) {
        let mut steps = steps_of(page)?;
        if steps.is_empty() {
            continue;
        }
        let here = |text: &str| {
            PLACES.iter().fold(moved(text, &moves), |text, (from, to)| text.replace(from, to))
        };
        for (step, _) in &mut steps {
            *step = Step { command: here(&step.command), output: here(&step.output) };
        }
        let (mut steps, shown): (Vec<Step>, Vec<_>) = steps.into_iter().unzip();
        steps.insert(0, Step { command: ". .spike-dev/env".to_owned(), output: String::new() });
        let printed = in_one_shell(&place, &steps).await.with_context(|| path.clone())?;
        run += shown.len();
        let mut words = HashMap::new();
        for ((step, printed), shown) in steps.iter().zip(&printed).skip(1).zip(shown) {
            if let Some(shown) = shown {
                let (shown, printed) = (without_numbers(&here(&shown)), without_numbers(printed));
                ensure!(shown == printed, "{path}: $ {}\n{printed}", step.command);
            } else if !step.command.starts_with("( set -e") {
                compare(&step.command, &step.output, printed, &mut words).context(path.clone())?;
            }
        }
    }
    ensure!(run > 10, "only {run} commands were run");
    questions_of_runbooks(&place, &pages, &moves).await?;
    problems_of_settings(&place, &pages[SETTINGS]).await?;
    problems_are_on_standard_error(&place).await?;
    examples_of_settings(&place).await?;
    bodies(&place, &pages["docs/wire-api.md"]).await?;
    cluster.end().await
}

/// What a runbook looks for in metrics is there, whatever the value is: an expression that matches nothing would look like good news.
async fn questions_of_runbooks(
    place: &Place,
    pages: &BTreeMap<String, String>,
    moves: &[(String, String)],
) -> Result<()> {
    let mut found = 0;
    for (path, page) in pages.iter().filter(|(path, _)| path.starts_with("docs/runbooks/")) {
        let lines = blocks(page).into_iter().flat_map(|block| block.lines);
        for line in lines.filter_map(|line| line.strip_prefix("$ curl -s ")) {
            let Some((url, expression)) = line.split_once(" | grep ") else { continue };
            // Nothing has failed here.
            if !url.ends_with("/metrics") || expression.contains("status=\"5") {
                continue;
            }
            let expression = expression.trim_start_matches("-E ").split(" | ").next();
            let expression = expression.unwrap_or_default().trim_matches('\'');
            // A value that is looked for is that of trouble.
            let expression = expression.trim_end_matches('$').trim_end_matches(" 0");
            let alternatives: Vec<_> = if expression.contains('(') {
                vec![expression]
            } else {
                expression.split('|').collect()
            };
            for one in alternatives {
                found += 1;
                let script = moved(&format!("curl -s {url} | grep -E '{one}'"), moves);
                let (status, said) = place.run(&script).await?;
                ensure!(status.success() && !said.is_empty(), "{path}: nothing matches {one}");
            }
        }
    }
    ensure!(found > 10, "only {found} expressions");
    Ok(())
}

/// The problems that a page shows are those that Nexus has with such settings.
async fn problems_of_settings(place: &Place, page: &str) -> Result<()> {
    let shown = blocks(page).into_iter().find(|block| block.text().contains("TLS_PROT:"));
    let shown = shown.context("no block with problems")?;
    let script = ". .spike-dev/env; export SPIKE_NEXUS_TLS_PORT=8553 SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL=5 SPIKE_NEXUS_TLS_PROT=1
        nexus --check-config";
    let (_, said) = place.run(script).await?;
    for line in shown.lines {
        ensure!(said.contains(line), "{line}\nis not in\n{said}");
    }
    Ok(())
}

/// What `docs/operations/logging.md` says of problems: where they go, and that `audit verify` calls them foreign.
async fn problems_are_on_standard_error(place: &Place) -> Result<()> {
    let script = ". .spike-dev/env
        (set -a; . settings/nexus.env.example; SPIKE_NEXUS_TLS_PORT=8553 nexus >problems.out 2>problems.err)
        echo $? $(wc -c <problems.out)
        spike audit verify problems.err";
    let (_, said) = place.run(script).await?;
    ensure!(said.starts_with("78 0\n") && said.contains("problems.err:1: foreign"), "{said}");
    Ok(())
}

/// The examples of settings are valid for the programs that they are for.
async fn examples_of_settings(place: &Place) -> Result<()> {
    for program in ["nexus", "keeper", "bootstrap"] {
        let script = format!(
            ". .spike-dev/env; set -e
             env -i PATH=\"$PATH\" sh -c 'set -a; . settings/{program}.env.example; exec {program} --check-config'"
        );
        let (status, said) = place.run(&script).await?;
        ensure!(status.success() && said.contains("every setting is valid"), "{said}");
    }
    let script = ". .spike-dev/env
        spike doctor --config settings/pilot.env.example --program spike";
    let (status, said) = place.run(script).await?;
    ensure!(status.success() && said.contains("all valid"), "{said}");
    Ok(())
}

/// What an answer on the page is the answer to, and who asks.
const ANSWERS: [(&str, &str, &str); 4] = [
    (
        "/v1/store/secrets/metadata?action=get",
        r#"{"path":"tenants/acme/db"}"#,
        "/spike/pilot/role/superuser",
    ),
    ("/v1/acl/policy?action=delete", r#"{"id":"app1"}"#, "/spike/pilot/role/superuser"),
    ("/v1/operator/status", "{}", "/spike/pilot/role/superuser"),
    ("/v1/bootstrap/survey", "{}", "/spike/bootstrap"),
];

/// The bodies in the reference of the wire: Nexus takes each request, and each answer has only fields that Nexus sends.
async fn bodies(place: &Place, page: &str) -> Result<()> {
    let mut requests = 0;
    for block in blocks(page).into_iter().filter(|block| block.kind == "json") {
        if matches!(block.fate, Some(Fate::NotRun(_))) {
            continue;
        }
        let route = route_above(page, &block).with_context(|| format!("line {}", block.line))?;
        let shown: Value = serde_json::from_str(&block.text())
            .with_context(|| format!("line {}: {}", block.line, block.text()))?;
        let Some((_, request, role)) = ANSWERS.iter().find(|(of, ..)| *of == route) else {
            let answer = asked(place, route, &block.text(), "/spike/pilot/role/superuser").await?;
            // What was not deleted cannot be undeleted.
            let err = answer.get("err").and_then(Value::as_str).unwrap_or("api_not_found");
            ensure!(err == "api_not_found", "line {}: {answer}", block.line);
            requests += 1;
            continue;
        };
        // The page shows the policy where it speaks of reading and of deleting it.
        let route = route.replace("policy?action=delete", "policy?action=get");
        let answer = asked(place, &route, request, role).await?;
        let unknown = fields_of(&shown, &answer);
        // A sealed Nexus says why; this one is not sealed, and asks nobody.
        let optional = ["reason", "keepers", "directory", "data"];
        let unknown: Vec<_> =
            unknown.iter().filter(|name| !optional.contains(&name.as_str())).collect();
        ensure!(unknown.is_empty(), "line {}: {unknown:?} not in {answer}", block.line);
    }
    ensure!(requests >= 5, "only {requests} requests");
    Ok(())
}

/// The fields that one object has and the other has not.
fn fields_of(shown: &Value, answer: &Value) -> Vec<String> {
    let names = shown.as_object().into_iter().flatten().map(|(name, _)| name);
    names.filter(|name| answer.get(name).is_none()).cloned().collect()
}

/// The last route that the page names before a block.
fn route_above<'p>(page: &'p str, block: &Block<'_>) -> Option<&'p str> {
    let above = page.lines().take(block.line);
    let routes = above.flat_map(|line| line.split("`POST ").skip(1));
    routes.filter_map(|rest| rest.split('`').next()).last()
}

async fn asked(place: &Place, route: &str, body: &str, role: &str) -> Result<Value> {
    fs::write(place.dir.join("body.json"), body)?;
    let name = Path::new(role).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let script = format!(
        ". .spike-dev/env; spike-dev svid {role} --out {name} >/dev/null
         exec curl -s --cacert {name}/bundle.pem --cert {name}/svid.pem --key {name}/svid.key \
           -d @body.json \"$SPIKE_NEXUS_API_URL{route}\""
    );
    let (_, said) = place.run(&script).await?;
    serde_json::from_str(&said).with_context(|| format!("{route}: {said}"))
}

#[test]
fn words_with_digits_are_not_compared() {
    assert_eq!(without_numbers("a  2026-11-28T11:02:07Z b\n"), "a  # b");
}
