//! How far work has come that takes long: one line on standard error that is overwritten, and removed at the end.
//!
//! It is there only if standard error is a terminal that can move its cursor. Otherwise nothing is ever written. What a program
//! says in lines of its own does not depend on it.

use std::{
    cell::RefCell,
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the line is written, so that a reader sees that the program lives.
const TICK: Duration = Duration::from_millis(200);

/// The line. It is removed when this is dropped.
#[derive(Debug)]
pub struct Progress(RefCell<ProgressBar>);

/// How much a piece of work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Not known: the line shows for how long it has been going on.
    Unknown,
    /// So many things.
    Things(u64),
    /// So many bytes.
    Bytes(u64),
}

impl Amount {
    /// The layout of the line: at most 80 columns, with a message of 40.
    const fn template(self) -> &'static str {
        match self {
            Self::Unknown => "{spinner} {msg} ({elapsed})",
            Self::Things(_) => "[{bar:20}] {msg}: {pos} of {len} ({elapsed})",
            Self::Bytes(_) => "[{bar:20}] {msg}: {bytes} of {total_bytes} ({elapsed})",
        }
    }

    const fn total(self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Things(total) | Self::Bytes(total) => Some(total),
        }
    }
}

impl Progress {
    /// On standard error, if that is a terminal.
    pub fn on_terminal() -> Self {
        Self(RefCell::new(ProgressBar::hidden()))
    }

    /// The next piece of work begins.
    pub fn begin(&self, what: &'static str, amount: Amount) {
        if is_shown() {
            self.begin_on(ProgressDrawTarget::stderr(), what, amount);
        }
    }

    fn begin_on(&self, target: ProgressDrawTarget, what: &'static str, amount: Amount) {
        // It removes its line, so it has to be gone before there is another.
        self.0.replace(ProgressBar::hidden()).finish_and_clear();
        // Every template is tried by a test.
        let style = ProgressStyle::with_template(amount.template())
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let line = ProgressBar::with_draw_target(amount.total(), target)
            .with_style(style.progress_chars("##-").tick_chars("|/-\\ "))
            .with_message(what);
        // Otherwise a step that is short might never be seen.
        line.tick();
        line.enable_steady_tick(TICK);
        self.0.replace(line);
    }

    /// So much more is done.
    pub fn add(&self, done: u64) {
        self.0.borrow().inc(done);
    }

    /// So many of so many things are done.
    pub fn set(&self, done: u64, of: u64) {
        let line = self.0.borrow();
        line.set_length(of);
        line.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.borrow().finish_and_clear();
    }
}

/// What has to stand before a line of text that is written while a [`Progress`] may be shown: it takes the place of that line,
/// which is written again below.
pub fn over_it() -> &'static str {
    if is_shown() { "\r\x1b[K" } else { "" }
}

/// A terminal that says that it can do nothing is left alone, as <https://no-color.org> has it for colour.
fn is_shown() -> bool {
    io::stderr().is_terminal() && !is_dumb()
}

#[expect(clippy::disallowed_methods, reason = "what the terminal can do, not a setting")]
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_can_be_drawn() {
        for amount in [Amount::Unknown, Amount::Things(3), Amount::Bytes(4096)] {
            assert!(ProgressStyle::with_template(amount.template()).is_ok(), "{amount:?}");
        }
    }

    #[test]
    fn each_piece_of_work_begins_with_nothing_done() {
        let progress = Progress::on_terminal();
        for (what, total) in [("first", 3), ("second", 5)] {
            progress.begin_on(ProgressDrawTarget::hidden(), what, Amount::Things(total));
            progress.add(2);
            let line = progress.0.borrow();
            let shown = (line.message(), line.position(), line.length());
            assert_eq!(shown, (what.to_owned(), 2, Some(total)));
        }
        progress.set(1, 2);
        assert_eq!((progress.0.borrow().position(), progress.0.borrow().length()), (1, Some(2)));
    }
}
