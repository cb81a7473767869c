//! Who may use an operation, and what has to be there for it: the terms of the table of operations.

use spike_domain::Permission;

use spike_domain::Role;

/// Who may use an operation (wire-api 5.3): built-in roles first, then policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The superuser, and whom a policy gives this permission on the path that is asked for. Never a lite workload.
    OnThePath(Permission),
    /// The superuser, and whom a policy gives this permission on this system path. Never a lite workload.
    OnSystemPath(Permission, &'static str),
    /// As [`Rule::OnSystemPath`] for all names; otherwise those names on which a policy gives this permission.
    Names(Permission, &'static str),
    /// As [`Rule::OnSystemPath`], and lite workloads.
    Cipher(Permission, &'static str),
    /// These roles only. No policy can grant it.
    Roles(&'static [Role]),
}

/// The roles of the program `spike`.
pub(super) const OPERATORS: &[Role] =
    &[Role::PilotSuperuser, Role::PilotRecover, Role::PilotRestore];

impl Rule {
    /// Whether the decision is about the path of the request.
    pub const fn is_on_the_path(self) -> bool {
        matches!(self, Self::OnThePath(_))
    }

    /// What the audit log says of whoever does not have one of the roles that the rule asks for.
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

/// What has to be there before an operation can be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it is carried out while Nexus is sealed too.
    Nothing,
    /// The root key.
    RootKey,
    /// The root key and a store, which the lite backend does not have.
    Store,
}
