//! Arguments that name a file or a directory where a stream makes no sense.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};

/// A path. `-` is refused: elsewhere it is a stream, and whoever writes it does not mean a file of that name.
pub(super) fn place() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        if path.as_os_str() == "-" {
            return Err(
                "standard input and output are not possible here; ./- is the path of that name",
            );
        }
        Ok(path)
    })
}
