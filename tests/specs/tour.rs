//! Tours, such as that of the README: their commands are run, and what they print is compared with what the page shows.
//!
//! A tour is every fenced block marked `console`. A line that begins with `$ ` is a command, `> ` continues it, and what
//! follows is its output, in which `<word>` stands for any text in one line. A word that the output of an earlier command
//! has filled in can be used by a later command. Usual ports in the text are replaced by those that this run got.

use std::{
    collections::HashMap,
    fmt::Write,
    fs::File,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use spike_tests::{PATIENCE, eventually, skipped};
use tokio::{
    process::{Child, Command},
    sync::{Mutex, MutexGuard},
};

use crate::repository::text;

/// The first command of the tour. Here it starts the binary that `cargo run` would build.
const FIRST: &str = "cargo run";
/// A text that no command prints, followed by the status of the last command.
const END: &str = "-- end of a command of the page:";
/// How long the whole tour may take.
const LIMIT: Duration = Duration::from_mins(3);

/// The surroundings of a tour: directory, program and user.
#[derive(Debug)]
pub(crate) struct Place {
    /// The current directory of both terminals, and the home of the user.
    pub(crate) dir: PathBuf,
    /// The program that is `spike-dev`.
    pub(crate) program: PathBuf,
    /// A command that the shells of both terminals run first.
    pub(crate) shell: &'static str,
    /// Whether standard output of the first terminal is closed. Then the second terminal leaves out the commands that need that
    /// output.
    pub(crate) silent: bool,
    /// The user, if it is another than that of the tests.
    pub(crate) user: Option<u32>,
}

impl Place {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            program: PathBuf::from(env!("CARGO_BIN_EXE_spike-programs")),
            shell: "",
            silent: false,
            user: None,
        }
    }

    /// A shell that runs `script`, with the program as its `$0`.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("{} {script}", self.shell))
            .arg(&self.program)
            .current_dir(&self.dir)
            .env("HOME", &self.dir)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs a script to its end, in a second terminal: its status, and everything that it printed.
    pub(crate) async fn run(&self, script: &str) -> Result<(ExitStatus, String)> {
        let output = self.shell(&format!("exec 2>&1; {script}")).output();
        let output = tokio::time::timeout(LIMIT, output)
            .await
            .with_context(|| format!("it does not end: {script}"))??;
        Ok((output.status, String::from_utf8(output.stdout)?))
    }
}

/// Runs the whole tour of the README.
///
/// # Errors
/// As [`tour_of`].
pub(crate) async fn tour(place: &Place) -> Result<()> {
    tour_of(place, "README.md").await
}

/// Runs the whole tour of a page.
///
/// # Errors
/// The command whose output differs from the page, with its output.
pub(crate) async fn tour_of(place: &Place, page: &str) -> Result<()> {
    let text = text(page)?;
    let steps = steps(&text)?;
    let (first, rest) = steps.split_first().context("no tour")?;
    ensure!(first.command == FIRST, "the tour begins with {}", first.command);
    let cluster = Up::start(place).await?;
    let mut words = HashMap::new();
    let moves = if place.silent { Vec::new() } else { cluster.moves(&first.output) };
    let here = |text: &str| moved(text, &moves);
    if !place.silent {
        compare(FIRST, &here(&first.output), &cluster.shown, &mut words)?;
    }

    // The only program of the tour that a fresh machine may lack.
    let curl = Command::new("curl").arg("--version").output().await.is_ok();
    if !curl {
        skipped("there is no curl on PATH, so no command with curl was run")?;
    }
    let rest: Vec<Step> = rest
        .iter()
        .filter(|step| curl || !step.command.starts_with("curl "))
        .filter(|step| !(place.silent && step.needs_what_is_shown()))
        .map(|step| {
            let (command, output) = (here(&step.command), here(&step.output));
            Step { command: filled(&command, &words), output }
        })
        .collect();
    ensure!(rest.len() > 10, "only {} commands of the tour are left", rest.len());
    let printed = in_one_shell(place, &rest).await?;
    for (step, printed) in rest.iter().zip(&printed) {
        // The README tells of this line, which depends on the user and the system.
        let unlocked =
            |line: &&str| line.starts_with("Trouble") && line.contains("memory is not locked");
        let printed = printed.lines().filter(|line| !unlocked(line)).collect::<Vec<_>>().join("\n");
        compare(&step.command, &step.output, &printed, &mut words)?;
    }
    ensure!(printed.len() == rest.len(), "the shell ended after {}", printed.join("\n"));
    cluster.end().await
}

/// One command of the tour and what it prints.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) command: String,
    pub(crate) output: String,
}

impl Step {
    /// Whether it names or prints a process or a port of this run.
    fn needs_what_is_shown(&self) -> bool {
        let of_this_run = ["<pid>", "https://localhost:", "http://127.0.0.1:"];
        of_this_run.iter().any(|part| self.command.contains(part) || self.output.contains(part))
    }
}

/// The steps in the blocks of a text that are marked `console`.
pub(crate) fn steps(text: &str) -> Result<Vec<Step>> {
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

/// The texts with a port in the output of the first command: `localhost:8553`, `127.0.0.1:9553` and so on.
fn ports(output: &str) -> impl Iterator<Item = String> {
    output.split(['/', ' ']).filter_map(|part| {
        let (host, port) = part.split_once(':')?;
        let known = ["localhost", "127.0.0.1"].contains(&host);
        (known && port.parse::<u16>().is_ok()).then(|| part.to_owned())
    })
}

/// The text with the ports of this run.
pub(crate) fn moved(text: &str, moves: &[(String, String)]) -> String {
    moves.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Compares the output with the page, and collects the texts for its `<word>`s.
pub(crate) fn compare(
    command: &str,
    shown: &str,
    printed: &str,
    words: &mut HashMap<String, String>,
) -> Result<()> {
    let (shown, printed) = (shown.trim(), printed.trim());
    let lines = || shown.lines().zip(printed.lines());
    let same = shown.lines().count() == printed.lines().count()
        && lines().all(|(shown, printed)| line_matches(shown, printed, words));
    ensure!(same, "$ {command}\n{printed}\n\nThe page shows:\n{shown}");
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

/// The output of each command. All run in one shell, as in one terminal.
pub(crate) async fn in_one_shell(place: &Place, steps: &[Step]) -> Result<Vec<String>> {
    let mut script = String::new();
    for step in steps {
        let command = &step.command;
        writeln!(script, "{{ {command}\n}} 2>&1\nprintf '\\n%s%s\\n' '{END}' \"$?\"")?;
    }
    let (_, text) = place.run(&script).await?;
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

/// The last line of the output of a cluster that is up.
const LAST_LINE: &str = "Ctrl-C ends everything.";

/// One cluster at a time has the usual ports. A daemon that is killed and started again could find that another cluster has
/// taken its port meanwhile, and clients would reach that one.
static USUAL_PORTS: Mutex<()> = Mutex::const_new(());

/// A cluster that `cargo run` started.
#[derive(Debug)]
pub(crate) struct Up {
    _usual_ports: MutexGuard<'static, ()>,
    child: Child,
    /// Its output until everything was up.
    shown: String,
    log: PathBuf,
}

impl Up {
    /// Starts it, and waits until everything is up.
    ///
    /// # Errors
    /// Its output, if it ends.
    pub(crate) async fn start(place: &Place) -> Result<Self> {
        let usual_ports = USUAL_PORTS.lock().await;
        let log = place.dir.join("up.log");
        let file = File::create(&log)?;
        let closed = if place.silent { ">&-" } else { "" };
        let child = place
            .shell(&format!("exec \"$0\" {closed}"))
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        let mut up = Self { _usual_ports: usual_ports, child, shown: String::new(), log };
        let env = place.dir.join(".spike-dev/env");
        let shown = eventually("spike-dev is up", PATIENCE, async || {
            let text = up.printed()?;
            if let Some(status) = up.child.try_wait()? {
                bail!("it ended with {status}: {text}");
            }
            let is_up = if place.silent { env.exists() } else { text.contains(LAST_LINE) };
            Ok(is_up.then_some(text))
        })
        .await?;
        up.shown = shown;
        Ok(up)
    }

    /// The ports in the output of `cargo run` on a page, each with the one that this cluster has.
    pub(crate) fn moves(&self, on_page: &str) -> Vec<(String, String)> {
        ports(on_page).zip(ports(&self.shown)).collect()
    }

    /// Its output so far.
    pub(crate) fn printed(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    pub(crate) fn pid(&self) -> Result<u32> {
        self.child.id().context("it ended by itself")
    }

    /// Ctrl-C.
    ///
    /// # Errors
    /// If it ends with a failure.
    pub(crate) async fn end(mut self) -> Result<()> {
        let pid = self.pid()?;
        let told = Command::new("sh").arg("-c").arg(format!("kill -INT {pid}")).status().await?;
        ensure!(told.success(), "it cannot be interrupted");
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await??;
        ensure!(status.success(), "it ended with {status}: {}", self.printed()?);
        Ok(())
    }
}
