//! Completions in real shells: what is typed with a Tab in it runs as if it had been typed whole.

use std::{fs, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use spike_tests::{PATIENCE, eventually, skipped, terminal::Terminal};
use tokio::process::{Child, Command};

use crate::tour::{Place, Up};

/// What is there to be completed.
const BEFORE: &str = "\
. .spike-dev/env
spike secret put tenants/acme/db pass=first-value
spike secret put tenants/acme/web pass=other-value
spike policy apply --name app1-db --permissions read --spiffeid-pattern '^spiffe://spike\\.ist/a$' --path-pattern '^a$'
printf from-the-file > a-file-with-a-value";

const PROMPT: &str = "ready> ";

async fn is_there(shell: &str) -> bool {
    Command::new(shell).arg("--version").output().await.is_ok()
}

/// A shell at a terminal.
struct AtTerminal {
    terminal: Terminal,
    child: Child,
    seen: usize,
}

impl AtTerminal {
    /// Starts the shell, and types what makes it complete `spike`.
    async fn start(place: &Place, shell: &str, setup: &str) -> Result<Self> {
        let (terminal, theirs) = Terminal::open(200, 50)?;
        let script = format!(". .spike-dev/env; TERM=xterm exec setsid --ctty {shell}");
        let child = place
            .shell(&script)
            .stdin(theirs.try_clone()?)
            .stdout(theirs.try_clone()?)
            .stderr(Stdio::from(theirs))
            .spawn()?;
        let mut shell = Self { terminal, child, seen: 0 };
        // What is typed is shown too, so the prompt is written in two parts.
        shell.terminal.types(&format!("{setup}; PS1='rea''dy> '\n"))?;
        shell.shows(PROMPT).await?;
        Ok(shell)
    }

    async fn shows(&mut self, part: &str) -> Result<()> {
        self.seen = self.terminal.shows(self.seen, part).await?;
        Ok(())
    }

    /// Types a line, and waits for what its command prints and for the next prompt.
    async fn line(&mut self, typed: &str, printed: &str) -> Result<()> {
        self.terminal.types(&format!("{typed}\n"))?;
        self.shows(printed).await.with_context(|| typed.to_owned())?;
        self.shows(PROMPT).await
    }

    /// A file behind key=@, without bash-completion's functions: the line had a backslash before the @, and one that is not
    /// redrawn shows that it has none.
    async fn completes_a_file_without_a_backslash(&mut self) -> Result<()> {
        self.line("mkdir -p a-dir; cp a-file-with-a-value 'a-dir/two words'; echo ma''de", "made")
            .await?;
        for (typed, shown) in [
            ("pass=@a-file\t", "pass=@a-file-with-a-value"),
            ("pass=@a-di\ttw\t", "pass=@a-dir/two\\ words"),
        ] {
            self.terminal.types(&format!("spike secret put other {typed}"))?;
            self.shows(shown).await?;
            self.line("", "OK").await?;
        }
        Ok(())
    }

    /// The lines that every shell must complete.
    async fn completes(mut self) -> Result<()> {
        // Commands and options.
        self.line("spike secr\tget tenants/acme/db pass --r\t; echo", "first-value").await?;
        // Paths of secrets; a key behind the path is the user's own.
        self.line("spike secret get tenants/acme/d\tpass", "first-value").await?;
        self.line("spike secret get tenants/acme/w\tpass", "other-value").await?;
        self.line("spike policy explain --spiffe-id spiffe://spike.ist/a --permission read --path tenants/acme/w\t", "tenants/acme/web").await?;
        // Names of policies, and lists of permissions.
        self.line("spike policy get app\t", "Permissions: read").await?;
        self.line("spike policy apply --name app1\t --permissions read,li\t --spiffeid-pattern '^spiffe://spike\\.ist/a$' --path-pattern '^a$'", "app1-db").await?;
        self.line("spike policy get app\t", "Permissions: read, list").await?;
        // Files: behind key=@, and as the value of an option.
        self.line("spike secret put tenants/acme/db pass=@a-file\t", "OK").await?;
        self.line("spike secret get tenants/acme/db pass", "from-the-file").await?;
        self.line("spike cipher encrypt -f a-file\t-o encrypted; test -s encrypted && echo en''crypted-it", "encrypted-it").await?;
        self.terminal.types("exit\n")?;
        tokio::time::timeout(PATIENCE, self.child.wait()).await??;
        Ok(())
    }
}

#[tokio::test]
async fn what_is_completed_in_a_real_shell_is_what_was_meant() -> Result<()> {
    let dir = tempfile::Builder::new().prefix("shells-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let place = Place::new(dir.path());
    let cluster = Up::start(&place).await?;
    for (shell, command, setup) in [
        ("bash", "bash --norc --noprofile -i", "source <(spike completion bash)"),
        (
            "zsh",
            "zsh -f -i",
            "autoload -Uz compinit; compinit -u -d dump; source <(spike completion zsh)",
        ),
    ] {
        if !is_there(shell).await {
            skipped(&format!("there is no {shell} on PATH, so its completions were not tried"))?;
            continue;
        }
        // Each shell begins with the same names and values.
        let (status, said) = place.run(&format!("set -e\n{BEFORE}")).await?;
        ensure!(status.success(), "{said}");
        let mut at = AtTerminal::start(&place, command, setup).await?;
        if shell == "bash" {
            at.completes_a_file_without_a_backslash().await?;
        }
        at.completes().await?;
        fs::remove_file(place.dir.join("encrypted")).ok();
    }
    fish(&place).await?;
    cluster.end().await
}

/// fish tells its completions without a terminal.
async fn fish(place: &Place) -> Result<()> {
    if !is_there("fish").await {
        return skipped("there is no fish on PATH, so its completions were not tried");
    }
    for (line, expected, unexpected) in [
        ("spike secr", "secret", "policy"),
        ("spike secret get ten", "tenants/acme/db", "a-file"),
        ("spike secret get ", "tenants/acme/web", "a-file"),
        ("spike secret get tenants/acme/w", "tenants/acme/web", "tenants/acme/db"),
        ("spike policy get ", "app1-db", "a-file"),
        ("spike policy create --permissions read,wr", "read,write", "read,list"),
        ("spike secret put tenants/acme/db pass=@a-fi", "pass=@a-file-with-a-value", "first-value"),
        ("spike cipher encrypt -f a-fi", "a-file-with-a-value", "tenants"),
        ("spike comp", "completion", "complete\n"),
    ] {
        let script = format!(
            ". .spike-dev/env; exec fish --no-config -c 'spike completion fish | source; complete -C \"{line}\"'"
        );
        // `spike` waits for names only briefly, and a person presses the key again.
        let said = eventually(&format!("{line}: {expected}"), PATIENCE, async || {
            let (status, said) = place.run(&script).await?;
            ensure!(status.success(), "{line}: {said}");
            Ok(said.contains(expected).then_some(said))
        })
        .await?;
        ensure!(!said.contains(unexpected), "{line}: {said}");
    }
    Ok(())
}
