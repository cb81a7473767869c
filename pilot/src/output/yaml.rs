//! YAML in upstream's layout: block style, indented by four. Text that YAML 1.1 or 1.2 would not read as text is quoted. Text
//! with several lines is a block.

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
    // Long lines are not folded, so that a search finds them.
    ser_options! { indent_step: 4, compact_list_indent: false, folded_wrap_chars: usize::MAX }
}

#[cfg(test)]
mod tests;
