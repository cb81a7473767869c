//! Who may use an operation, and what it requires: the terms of the table of operations.

use spike_domain::Permission;

use spike_domain::Role;

/// Who may use an operation (wire-api 5.3): built-in roles first, then policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The superuser, and those to whom a policy gives this permission on the requested path. Never a lite workload.
    OnThePath(Permission),
    /// The superuser, and those to whom a policy gives this permission on this system path. Never a lite workload.
    OnSystemPath(Permission, &'static str),
    /// As [`Rule::OnSystemPath`] for all names; otherwise only the names on which a policy gives this permission.
    Names(Permission, &'static str),
    /// As [`Rule::OnSystemPath`], and lite workloads.
    Cipher(Permission, &'static str),
    /// These roles only. No policy can grant it.
    Roles(&'static [Role]),
}

/// The roles of the program `spike`.
pub(super) const OPERATORS: &[Role] = &Role::OPERATORS;

impl Rule {
    /// Whether the decision depends on the path of the request.
    pub const fn is_on_the_path(self) -> bool {
        matches!(self, Self::OnThePath(_))
    }

    /// The audit reason for a peer without a role that the rule requires.
    pub fn only(self) -> String {
        match self {
            Self::Roles(OPERATORS) => "only an operator may".to_owned(),
            Self::Roles(roles) => {
                let names: Vec<String> = roles.iter().map(ToString::to_string).collect();
                format!("only {} may", names.join(" and "))
            }
            Self::OnThePath(_) | Self::OnSystemPath(..) | Self::Names(..) | Self::Cipher(..) => {
                "a lite workload may use the cipher and nothing else".to_owned()
            }
        }
    }
}

/// What an operation requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it works while Nexus is sealed too.
    Nothing,
    /// The root key.
    RootKey,
    /// The root key and a store; the lite backend has no store.
    Store,
}
