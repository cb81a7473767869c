//! YAML in the layout of upstream's: block style, indented by four. Text is quoted where YAML 1.1 or 1.2 would read
//! something else than text, and stands as a block where it has several lines.

use std::io::{self, Write};

use serde_saphyr::{SerializeError, SerializerOptions, ser_options, to_io_writer_with_options};

use super::node::Node;

/// Writes a value, ending in a newline.
pub(crate) fn write_yaml(out: &mut dyn Write, node: &Node<'_>) -> io::Result<()> {
    let mut out = out;
    to_io_writer_with_options(&mut out, node, options()).map_err(|error| match error {
        SerializeError::IO { error } => error,
        other => io::Error::other(other.to_string()),
    })
}

fn options() -> SerializerOptions {
    // A long line is not folded: it stays one that a search finds.
    ser_options! { indent_step: 4, compact_list_indent: false, folded_wrap_chars: usize::MAX }
}

#[cfg(test)]
mod tests;
