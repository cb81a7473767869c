//! An argument that may be a secret.

use std::sync::Arc;

use spike_wire::SecretText;

/// An argument that no error and no `Debug` output shows. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Hidden(Arc<SecretText>);

/// Accepts any text. The command checks it, because clap's errors quote what they refuse.
impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(Arc::new(SecretText::from(text)))
    }
}

impl Hidden {
    /// Lends the text.
    pub(crate) fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_does_not_show_it() {
        let hidden = Hidden::from("pass=hunter2".to_owned());
        assert!(!format!("{hidden:?}").contains("hunter2"));
    }
}
