//! `spike status`, which upstream does not have: one screen of what can be seen of a SPIKE.
//!
//! `look` asks, `view` draws for people, `tree` is for JSON and YAML, `watch` looks again and again. What a failure means and
//! what to do about it is left to `spike doctor`.

mod look;
mod tree;
mod view;
mod watch;

use crate::cli::{Color, Format, StatusArgs};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{write_json, write_yaml};
use look::{Look, Viewer};
use view::Screen;

pub(super) async fn run(arguments: StatusArgs, context: &mut Context<'_>) -> Result<Exit, Error> {
    let mut viewer = Viewer::new(context)?;
    if arguments.watch {
        return watch::run(&arguments, &mut viewer, context).await;
    }
    let look = viewer.look(context).await;
    print(&arguments, &look, context)?;
    match look.into_error() {
        None => Ok(Exit::Success),
        Some(error) => {
            // What was seen stands before the message about what was not.
            context.streams.flush()?;
            Err(error)
        }
    }
}

/// Prints one look.
fn print(arguments: &StatusArgs, look: &Look, context: &mut Context<'_>) -> Result<(), Error> {
    let error = look.answer.as_ref().err().map(ToString::to_string);
    let error = error.as_deref();
    match arguments.format {
        Format::Human => {
            let text = view::draw(look, &screen(arguments.color, context));
            context.streams.print(&text)
        }
        Format::Json => context.streams.render(|out| write_json(out, &tree::node(look, error), 2)),
        Format::Yaml => context.streams.render(|out| {
            if arguments.watch {
                writeln!(out, "---")?;
            }
            write_yaml(out, &tree::node(look, error))
        }),
    }
}

/// What the screen is like: lines are broken on a terminal only, so that each fact is one line in a pipe.
fn screen(color: Color, context: &Context<'_>) -> Screen {
    let size = context.streams.screen_size();
    Screen {
        columns: size.map(|(columns, _)| columns),
        colour: match color {
            Color::Auto => context.streams.stdout_has_colour(),
            Color::Always => true,
            Color::Never => false,
        },
        compact: false,
    }
}

#[cfg(test)]
mod tests;
