//! A health check that does not pass, as part of the status of one Nexus.

bodies! {
    /// A health check of Nexus that does not pass, with its name.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CheckStatus: Part {
        /// Its name in `/healthz`.
        pub name: String = "name",
        /// What its failure does.
        pub effect: CheckEffect = "effect",
        /// Why it fails.
        pub reason: String = "reason",
    }
}

words! {
    /// What a check that does not pass does.
    pub enum CheckEffect {
        /// Nothing yet: it passes, and somebody should look at what it saw.
        Warning = "warning",
        /// Nexus works, and needs attention. Also used if an answer omits the field.
        #[default]
        Degraded = "degraded",
        /// Nexus is not ready.
        Failing = "failing",
    }
}
