//! Settings in a file, checked offline: a file of environment variables, or a manifest of Kubernetes.

use std::path::Path;

use spike_config::Environment;

use super::check::{Check, Group, Report};
use super::environment_file::{EnvironmentFile, MARK};
use super::{manifest, settings};
use crate::cli::Program;
use crate::command::{input_name, read_input};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// What is found in the file.
pub(super) fn examine(
    path: &Path,
    program: Option<Program>,
    context: &mut Context<'_>,
) -> Result<Report, Error> {
    let bytes = read_input(Some(path), context)?;
    let shown = input_name(path);
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Err(Error::usage(format!("{shown} is not a text file: it is not UTF-8")));
    };
    let unmarked = text.strip_prefix(MARK).unwrap_or(text);
    if manifest::is_manifest(unmarked) {
        return containers(unmarked, &shown, program);
    }
    let Some(program) = program else {
        return Err(Error::usage_hint(
            format!("which program is {shown} for? It is no manifest that says it"),
            "use --program nexus, keeper, bootstrap or spike",
        ));
    };
    Ok(variables(text, &shown, program))
}

fn variables(text: &str, shown: &str, program: Program) -> Report {
    let EnvironmentFile { variables, faults, doubts } = EnvironmentFile::parse(text);
    let mut report = Report::new();
    for (line, why) in faults {
        let evidence = format!("{shown}, line {line}");
        let words = (format!("line {line} of {shown} is ignored: {why}"), "write NAME=VALUE");
        report.push(Check::failed(Group::Machine, "file", Exit::Usage, evidence, words));
    }
    for (line, why) in doubts {
        let evidence = format!("{shown}, line {line}");
        let words = (
            format!("line {line} of {shown}: {why}"),
            "keep one line for each, and put notes in lines of their own",
        );
        report.push(Check::warning(Group::Machine, "file", evidence, words));
    }
    let environment = Environment::from_pairs(variables);
    settings::examine_for(program.process(), &environment, &mut report);
    report
}

fn containers(text: &str, shown: &str, wanted: Option<Program>) -> Result<Report, Error> {
    let found = manifest::read(text)
        .map_err(|problem| Error::usage(format!("{shown} cannot be read: {problem}")))?;
    let mut report = Report::new();
    let mut is_checked = false;
    for container in &found {
        let program = match (container.program, wanted) {
            (Some(program), Some(wanted)) if program != wanted => continue,
            (Some(program), _) | (None, Some(program)) => program,
            (None, None) => {
                let because = format!(
                    "{}: it does not say which program it runs; --program does",
                    container.place
                );
                report.push(Check::skipped(Group::Machine, "settings", because));
                continue;
            }
        };
        is_checked = true;
        settings::examine_container(program.process(), container, &mut report);
    }
    if is_checked {
        return Ok(report);
    }
    let what = wanted.map_or("a program of SPIKE", Program::name);
    Err(Error::usage_hint(
        format!("{shown} has no container that runs {what}"),
        "render the chart (helm template), and give the whole output",
    ))
}

#[cfg(test)]
mod tests;
