//! Looks again and again: in place on a terminal, one screen after the other in a pipe.

use std::io;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::{Look, Viewer, print, screen, view};
use crate::cli::{Format, StatusArgs};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// Another screen, which has no lines of before, without a cursor.
pub(super) const ENTER: &str = "\x1b[?1049h\x1b[?25l";
/// The screen of before, with its cursor.
pub(super) const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// The first column of the first line.
const HOME: &str = "\x1b[H";
/// Removes what is left of a line, and of the screen, from an earlier look.
const END_OF_LINE: &str = "\x1b[K\n";
const END_OF_SCREEN: &str = "\x1b[J";

pub(super) async fn run(
    arguments: &StatusArgs,
    viewer: &mut Viewer,
    context: &mut Context<'_>,
) -> Result<Exit, Error> {
    let mut signals = Signals::listen().map_err(Error::Runtime)?;
    let in_place = arguments.format == Format::Human && context.streams.stdout_is_terminal();
    if !in_place {
        return in_a_pipe(arguments, viewer, &mut signals, context).await;
    }
    show(context, ENTER)?;
    let watched = on_a_terminal(arguments, viewer, &mut signals, context).await;
    // Whatever happened, the terminal is as it was; and the last look is still to be read.
    show(context, LEAVE)?;
    if let Some(last) = watched? {
        print(arguments, &last, context)?;
    }
    Ok(Exit::Success)
}

async fn in_a_pipe(
    arguments: &StatusArgs,
    viewer: &mut Viewer,
    signals: &mut Signals,
    context: &mut Context<'_>,
) -> Result<Exit, Error> {
    let mut is_first = true;
    loop {
        let look = tokio::select! {
            look = viewer.look(context) => look,
            () = signals.end() => return Ok(Exit::Success),
        };
        if !is_first && arguments.format == Format::Human {
            context.streams.print("\n")?;
        }
        is_first = false;
        print(arguments, &look, context)?;
        context.streams.flush()?;
        tokio::select! {
            () = tokio::time::sleep(interval(arguments)) => {}
            () = signals.end() => return Ok(Exit::Success),
        }
    }
}

/// Returns the last look when somebody ends the watch.
async fn on_a_terminal(
    arguments: &StatusArgs,
    viewer: &mut Viewer,
    signals: &mut Signals,
    context: &mut Context<'_>,
) -> Result<Option<Look>, Error> {
    let mut last: Option<Look> = None;
    let mut next = tokio::time::Instant::now();
    loop {
        let happened = tokio::select! {
            look = async {
                tokio::time::sleep_until(next).await;
                viewer.look(context).await
            } => {
                next = tokio::time::Instant::now() + interval(arguments);
                last = Some(look);
                Happened::Look
            }
            happened = signals.next() => happened,
        };
        match happened {
            Happened::End => return Ok(last),
            Happened::Look | Happened::Resize => {}
            Happened::Stop => {
                show(context, LEAVE)?;
                kill_process(getpid(), Signal::STOP)
                    .map_err(|error| Error::Runtime(error.into()))?;
                show(context, ENTER)?;
            }
        }
        if let Some(look) = &last {
            let rows = context.streams.screen_size().map_or(usize::MAX, |(_, rows)| rows);
            let text = view::draw_within(look, &screen(arguments.color, context), rows);
            show(context, &frame(&text, rows))?;
        }
    }
}

/// A screen over the one of before. What has no room is left out, because a terminal that scrolls would not show the begin.
pub(super) fn frame(text: &str, rows: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    let room = rows.saturating_sub(1).max(1);
    let mut frame = HOME.to_owned();
    let shown = if lines.len() > room { room.saturating_sub(1) } else { lines.len() };
    for line in lines.iter().take(shown) {
        frame.push_str(line);
        frame.push_str(END_OF_LINE);
    }
    if shown < lines.len() {
        let more = format!("… {} more lines: this terminal is too low", lines.len() - shown);
        frame.push_str(&more);
        frame.push_str(END_OF_LINE);
    }
    frame.push_str(END_OF_SCREEN);
    frame
}

fn show(context: &mut Context<'_>, text: &str) -> Result<(), Error> {
    context.streams.print(text)?;
    context.streams.flush()
}

const fn interval(arguments: &StatusArgs) -> Duration {
    Duration::from_secs(arguments.interval)
}

/// Why the screen is drawn again, or not any more.
enum Happened {
    Look,
    Resize,
    Stop,
    End,
}

/// The signals that concern a terminal. Without them, its cursor would stay away.
struct Signals {
    interrupt: Stream,
    terminate: Stream,
    hang_up: Stream,
    stop: Stream,
    resize: Stream,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            stop: signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?,
            resize: signal(SignalKind::window_change())?,
        })
    }

    async fn next(&mut self) -> Happened {
        let Self { interrupt, terminate, hang_up, stop, resize } = self;
        tokio::select! {
            _ = interrupt.recv() => Happened::End,
            _ = terminate.recv() => Happened::End,
            _ = hang_up.recv() => Happened::End,
            _ = stop.recv() => Happened::Stop,
            _ = resize.recv() => Happened::Resize,
        }
    }

    /// Until somebody ends the watch. In a pipe nothing has to be restored before a stop.
    async fn end(&mut self) {
        loop {
            match self.next().await {
                Happened::End => return,
                Happened::Stop => {
                    // A failure leaves the watch running, which is no harm.
                    kill_process(getpid(), Signal::STOP).ok();
                }
                Happened::Look | Happened::Resize => {}
            }
        }
    }
}
