//! The documents: the README's two commands are what it says, its tour prints what it shows, every route is in the
//! reference, and every link leads somewhere.
//!
//! The tour is every fenced block marked `console`. A line that begins with `$ ` is a command, `> ` continues it, and what
//! follows is its output, in which `<word>` stands for any text in one line. A word that the output of an earlier command
//! has filled in can be used by a later command. Usual ports in the text are replaced by those that this run got.

use std::{
    collections::HashMap,
    fmt::Write,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use spike_common::wire::{KeeperOperation, Operation};
use spike_tests::{PATIENCE, eventually};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The first command of the tour: what it starts here is the binary that `cargo run` would build.
const FIRST: &str = "cargo run";
/// What no shell command prints, followed by the status of the last one.
const END: &str = "-- end of a command of the README:";
/// How long the whole tour may take.
const LIMIT: Duration = Duration::from_mins(3);

#[tokio::test]
async fn each_command_of_the_tour_prints_what_the_readme_shows() -> Result<()> {
    let text = std::fs::read_to_string(root().join("README.md"))?;
    let tour = steps(&text)?;
    let dir = tempfile::Builder::new().prefix("readme-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (first, rest) = tour.split_first().context("no tour")?;
    ensure!(first.command == FIRST, "the tour begins with {}", first.command);
    let (mut cluster, shown) = Up::start(&dir).await?;

    let moves = ports(&first.output).zip(ports(&shown)).collect::<Vec<_>>();
    let here =
        |text: &str| moves.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    let mut words = HashMap::new();
    compare(FIRST, &here(&first.output), &shown, &mut words)?;

    // The one program of the tour that a fresh machine may lack.
    let curl = Command::new("curl").arg("--version").output().await.is_ok();
    if !curl {
        println!("skipped: there is no curl on PATH, so no command with curl was run");
    }
    let rest: Vec<Step> = rest
        .iter()
        .filter(|step| curl || !step.command.starts_with("curl "))
        .map(|step| {
            let (command, output) = (here(&step.command), here(&step.output));
            Step { command: filled(&command, &words), output }
        })
        .collect();
    let printed = in_one_shell(&dir, &rest).await?;
    for (step, printed) in rest.iter().zip(&printed) {
        compare(&step.command, &step.output, printed, &mut words)?;
    }
    ensure!(printed.len() == rest.len(), "the shell ended after {}", printed.join("\n"));
    cluster.end().await
}

#[tokio::test]
async fn the_first_command_needs_no_argument_to_find_the_program_that_is_everything() -> Result<()>
{
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .await?;
    ensure!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let members = metadata["workspace_default_members"].as_array().context("no members")?;
    let names: Vec<_> = metadata["packages"]
        .as_array()
        .context("no packages")?
        .iter()
        .filter(|package| members.contains(&package["id"]))
        .map(|package| package["name"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(names, ["spike-dev"]);
    Ok(())
}

#[test]
fn every_route_is_in_the_reference_of_the_wire() -> Result<()> {
    let text = std::fs::read_to_string(root().join("docs/wire-api.md"))?;
    let nexus = Operation::ALL.iter().map(|operation| operation.path_and_query());
    let keeper = KeeperOperation::ALL.iter().map(|operation| operation.path_and_query());
    let missing: Vec<_> =
        nexus.chain(keeper).filter(|route| !text.contains(&format!("`POST {route}`"))).collect();
    assert_eq!(missing, Vec::<&str>::new());
    Ok(())
}

#[test]
fn every_link_from_one_document_to_another_leads_somewhere() -> Result<()> {
    let mut documents = Vec::new();
    for folder in
        ["", "docs", "docs/decisions", "docs/operations", "deploy/docker", "deploy/systemd"]
    {
        for entry in std::fs::read_dir(root().join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(path);
            }
        }
    }
    ensure!(documents.len() > 10, "only {documents:?}");
    let mut dead = Vec::new();
    for document in documents {
        let text = std::fs::read_to_string(&document)?;
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let elsewhere = |target: &&str| !target.starts_with("http") && !target.starts_with('#');
        for target in targets.filter(elsewhere) {
            let file = target.split('#').next().unwrap_or_default();
            if !document.with_file_name("").join(file).exists() {
                dead.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert_eq!(dead, Vec::<String>::new());
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// One command of the tour and what it prints.
#[derive(Debug)]
struct Step {
    command: String,
    output: String,
}

fn steps(text: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(kind) => inside = !inside && kind == "console",
            None if !inside => {}
            None => {
                if let Some(command) = line.strip_prefix("$ ") {
                    steps.push(Step { command: command.to_owned(), output: String::new() });
                    continue;
                }
                let step = steps.last_mut().context("output before the first command")?;
                let (text, line) = match line.strip_prefix("> ") {
                    Some(more) if step.output.is_empty() => (&mut step.command, more),
                    _ => (&mut step.output, line),
                };
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(line);
            }
        }
    }
    ensure!(!steps.is_empty(), "no block is marked `console`");
    Ok(steps)
}

/// What stands for a port in the lines of the first command's output: `localhost:8553`, `127.0.0.1:9553` and so on.
fn ports(output: &str) -> impl Iterator<Item = String> {
    output.split(['/', ' ']).filter_map(|part| {
        let (host, port) = part.split_once(':')?;
        let known = ["localhost", "127.0.0.1"].contains(&host);
        (known && port.parse::<u16>().is_ok()).then(|| part.to_owned())
    })
}

/// Holds what was printed against what is shown, and takes the words that stand for something.
fn compare(
    command: &str,
    shown: &str,
    printed: &str,
    words: &mut HashMap<String, String>,
) -> Result<()> {
    let (shown, printed) = (shown.trim(), printed.trim());
    let lines = || shown.lines().zip(printed.lines());
    let same = shown.lines().count() == printed.lines().count()
        && lines().all(|(shown, printed)| line_matches(shown, printed, words));
    ensure!(same, "$ {command}\n{printed}\n\nThe README shows:\n{shown}");
    Ok(())
}

fn line_matches(shown: &str, printed: &str, words: &mut HashMap<String, String>) -> bool {
    let Some((before, rest)) = shown.split_once('<') else { return shown == printed };
    let Some((word, after)) = rest.split_once('>') else { return shown == printed };
    let Some(printed) = printed.strip_prefix(before) else { return false };
    let literal = after.split('<').next().unwrap_or_default();
    let end = if literal.is_empty() { Some(printed.len()) } else { printed.find(literal) };
    let Some((value, remaining)) = end.and_then(|end| printed.split_at_checked(end)) else {
        return false;
    };
    words.insert(format!("<{word}>"), value.to_owned());
    !value.is_empty() && line_matches(after, remaining, words)
}

fn filled(command: &str, words: &HashMap<String, String>) -> String {
    words.iter().fold(command.to_owned(), |command, (word, value)| command.replace(word, value))
}

/// What each command prints, in one shell, as in one terminal.
async fn in_one_shell(dir: &TempDir, steps: &[Step]) -> Result<Vec<String>> {
    let mut script = String::new();
    for step in steps {
        let command = &step.command;
        writeln!(script, "{{ {command}\n}} 2>&1\nprintf '\\n%s%s\\n' '{END}' \"$?\"")?;
    }
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
    let ended =
        tokio::time::timeout(LIMIT, shell.output()).await.context("the tour does not end")??;
    let text = String::from_utf8(ended.stdout)?;
    let mut printed: Vec<&str> = text.split(END).collect();
    // What the last command printed comes before its own end; after it there is only the status.
    let mut outputs = Vec::new();
    let mut output = printed.remove(0).to_owned();
    for (step, part) in steps.iter().zip(printed) {
        let (status, next) = part.split_once('\n').context("a status")?;
        ensure!(status == "0", "$ {}\n{output}\nended with {status}", step.command);
        outputs.push(std::mem::replace(&mut output, next.to_owned()));
    }
    Ok(outputs)
}

/// The last line that says that all is there.
const LAST_LINE: &str = "Ctrl-C ends everything.";

/// What `cargo run` starts, in a directory of its own.
struct Up(Child);

impl Up {
    /// Gives back what it printed until all was up, too.
    async fn start(dir: &TempDir) -> Result<(Self, String)> {
        let log = std::fs::File::create(dir.path().join("up.log"))?;
        let child = Command::new(env!("CARGO_BIN_EXE_spike-programs"))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let mut up = Self(child);
        let file = dir.path().join("up.log");
        let printed = eventually("spike-dev is up", PATIENCE, async || {
            let text = std::fs::read_to_string(&file)?;
            if let Some(status) = up.0.try_wait()? {
                bail!("it ended with {status}: {text}");
            }
            Ok(text.contains(LAST_LINE).then_some(text))
        })
        .await?;
        Ok((up, printed))
    }

    /// Ctrl-C.
    async fn end(&mut self) -> Result<()> {
        let pid = self.0.id().context("it ended by itself")?;
        let told = Command::new("sh").arg("-c").arg(format!("kill -INT {pid}")).status().await?;
        ensure!(told.success(), "it cannot be interrupted");
        let status = tokio::time::timeout(PATIENCE, self.0.wait()).await??;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }
}
