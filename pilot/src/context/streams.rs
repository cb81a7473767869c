//! Standard input, output and error of one run.

use std::fmt;
use std::fs::Metadata;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::os::unix::fs::MetadataExt as _;

use zeroize::Zeroizing;

use crate::error::Error;
use crate::output::{Visible, printable};

/// The most that is read from a file or from standard input, in bytes. No Nexus takes more.
const MAX_INPUT: u64 = 64 * 1024 * 1024;

/// The note after data with escaped characters.
const ESCAPED: &str =
    "control characters are shown as \\uXXXX here; piped, and with --raw, data is as it is";

/// Which streams are terminals.
#[derive(Clone, Copy, Debug, Default)]
struct Terminals {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

/// The standard streams of a command.
pub struct Streams {
    stdin: Box<dyn Read>,
    stdout: Box<dyn Write>,
    stderr: Box<dyn Write>,
    terminals: Terminals,
    /// Device and number of the file behind standard output.
    stdout_file: Option<(u64, u64)>,
    /// Whether colour is wanted, on what is a terminal.
    wants_colour: bool,
    /// The size of the terminal in columns and rows, in place of that of the process.
    #[cfg(test)]
    size: Option<(usize, usize)>,
}

impl Streams {
    /// The streams of this process.
    pub fn of_process() -> Self {
        let stderr = io::stderr();
        Self {
            stdin: Box::new(io::stdin()),
            terminals: Terminals {
                stdin: io::stdin().is_terminal(),
                stdout: io::stdout().is_terminal(),
                stderr: stderr.is_terminal(),
            },
            stdout_file: rustix::fs::fstat(io::stdout())
                .ok()
                .map(|file| (file.st_dev, file.st_ino)),
            wants_colour: wants_colour(),
            #[cfg(test)]
            size: None,
            stdout: Box::new(BufWriter::with_capacity(64 * 1024, io::stdout())),
            stderr: Box::new(stderr),
        }
    }

    /// Streams that are no terminals.
    pub fn new(
        stdin: impl Read + 'static,
        stdout: impl Write + 'static,
        stderr: impl Write + 'static,
    ) -> Self {
        Self {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            terminals: Terminals::default(),
            stdout_file: None,
            wants_colour: false,
            #[cfg(test)]
            size: None,
        }
    }

    /// The same, with terminals for standard output and error.
    #[cfg(test)]
    pub(crate) fn watched(self) -> Self {
        let terminals = Terminals { stdout: true, stderr: true, ..self.terminals };
        Self { terminals, size: Some((80, 50)), ..self }
    }

    /// Whether standard output shows colour, and somebody may want it.
    pub(crate) const fn stdout_has_colour(&self) -> bool {
        self.terminals.stdout && self.wants_colour
    }

    /// Columns and rows of the terminal that is standard output, if it is one and tells them.
    pub(crate) fn screen_size(&self) -> Option<(usize, usize)> {
        #[cfg(test)]
        if self.size.is_some() {
            return self.size;
        }
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
        let size = size.filter(|size| self.terminals.stdout && size.ws_col > 0 && size.ws_row > 0);
        size.map(|size| (size.ws_col.into(), size.ws_row.into()))
    }

    /// Whether standard input is a terminal.
    pub(crate) const fn stdin_is_terminal(&self) -> bool {
        self.terminals.stdin
    }

    /// Whether standard output is a terminal.
    pub(crate) const fn stdout_is_terminal(&self) -> bool {
        self.terminals.stdout
    }

    /// Whether standard error is a terminal.
    pub(crate) const fn stderr_is_terminal(&self) -> bool {
        self.terminals.stderr
    }

    /// Whether a file is standard output by another name, such as `/dev/stdout`.
    pub(crate) fn is_stdout(&self, file: &Metadata) -> bool {
        self.stdout_file == Some((file.dev(), file.ino()))
    }

    /// Prints a text of this program on standard output, unchanged.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), Error> {
        self.stdout.write_all(text.as_bytes()).map_err(Error::Output)
    }

    /// Lets `render` write data to standard output piece by piece, without a buffer for all of it. On a terminal, control
    /// characters are shown as escapes, and a note says so.
    pub(crate) fn render(
        &mut self,
        render: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Error> {
        if !self.terminals.stdout {
            return self.render_raw(render);
        }
        let mut visible = Visible::new(&mut *self.stdout);
        render(&mut visible).map_err(Error::Output)?;
        if visible.has_replaced() {
            self.remark("note:", ESCAPED)?;
        }
        Ok(())
    }

    /// The same byte for byte, also on a terminal.
    pub(crate) fn render_raw(
        &mut self,
        render: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Error> {
        render(&mut *self.stdout).map_err(Error::Output)
    }

    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.stdout.flush().map_err(Error::Output)
    }

    /// A message about the data on standard output, after that data.
    pub(crate) fn remark(&mut self, word: &str, text: &str) -> Result<(), Error> {
        self.flush()?;
        self.message(word, text);
        Ok(())
    }

    /// A message on standard error after a word such as `Error:`. Control characters in the text are shown as escapes, because
    /// it may come from the network.
    pub(crate) fn message(&mut self, word: &str, text: &str) {
        let text = printable(text);
        let line = if self.terminals.stderr && self.wants_colour {
            let colour = if word == "Error:" { 31 } else { 33 };
            format!("\x1b[1;{colour}m{word}\x1b[0m {text}\n")
        } else {
            format!("{word} {text}\n")
        };
        // A failure to write to standard error cannot be reported.
        self.stderr.write_all(line.as_bytes()).ok();
    }

    /// Prints a text on standard error, unchanged.
    pub(crate) fn notice(&mut self, text: &str) {
        self.stderr.write_all(text.as_bytes()).ok();
    }

    /// Standard input, to be read piece by piece. It can be taken once; after that it is empty.
    pub(crate) fn take_stdin(&mut self) -> Box<dyn Read> {
        std::mem::replace(&mut self.stdin, Box::new(io::empty()))
    }

    /// All of standard input.
    pub(crate) fn read_all(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        read_bounded(&mut self.stdin, 0)
    }

    /// The same, with a terminal for standard input.
    #[cfg(test)]
    pub(crate) fn answered(self) -> Self {
        Self { terminals: Terminals { stdin: true, ..self.terminals }, ..self }
    }

    /// Asks on standard error, and reads one line of standard input, without the newline. `None`: the input has ended, and there
    /// is no line.
    pub(crate) fn ask(&mut self, question: &str) -> io::Result<Option<String>> {
        self.notice(question);
        self.stderr.flush()?;
        let mut line = Vec::new();
        let mut byte = [0];
        // More than any meaningful answer has.
        while line.len() < 1024 {
            if self.stdin.read(&mut byte)? == 0 {
                if line.is_empty() {
                    return Ok(None);
                }
                break;
            }
            if byte == *b"\n" {
                break;
            }
            line.extend_from_slice(&byte);
        }
        Ok(Some(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned()))
    }
}

/// Asks at the terminal of this process for a line that is not shown. It has no newline.
pub(crate) fn ask_hidden(prompt: &str) -> Result<Zeroizing<String>, Error> {
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|error| Error::Input { what: "the terminal".to_owned(), error })
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("terminals", &self.terminals).finish_non_exhaustive()
    }
}

/// Reads to the end, into a buffer that is wiped. `expected` is the likely number of bytes.
pub(crate) fn read_bounded(input: &mut dyn Read, expected: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let capacity = usize::try_from(expected.min(MAX_INPUT)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    input.take(MAX_INPUT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_INPUT {
        let text =
            format!("more than {} MiB, which is more than SPIKE Nexus takes", MAX_INPUT >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// <https://no-color.org>
#[expect(
    clippy::disallowed_methods,
    reason = "a wish of the person at the terminal, not a setting"
)]
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
