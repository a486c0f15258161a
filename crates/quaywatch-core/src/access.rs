//! Who may do what: roles of people, scopes of tokens, and what an operation asks for.
//!
//! One ladder of five [`Level`]s serves all: a role is a level on every resource, a scope is a level on one resource or
//! on all, and a [`Policy`] names the resource and the level that an operation needs. Nothing here knows a request.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How much may be done, each level including those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Reads.
    Look,
    /// Acknowledges, comments, snoozes, asks for a check now.
    Respond,
    /// Changes monitors, groups, tags, maintenance.
    Edit,
    /// Changes channels, routes, locations, people, tokens; reads the audit log; imports.
    Administer,
    /// The account itself: its plan, its owners, its end.
    Own,
}

impl Level {
    /// Its word in the document of the API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Respond => "respond",
            Self::Edit => "edit",
            Self::Administer => "administer",
            Self::Own => "own",
        }
    }
}

/// What operations are about, as far as access can be given apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Monitors, their groups, tags, bin and run-time acts.
    Monitors,
    /// Results, latency, uptime, intervals.
    Results,
    /// Incidents and the stream of transitions.
    Incidents,
    /// Channels and routes.
    Channels,
    /// Maintenance windows.
    Maintenance,
    /// Locations and presets.
    Locations,
    /// API tokens.
    Tokens,
    /// Members and invitations.
    People,
    /// Plan, limits, use.
    Account,
    /// The audit log.
    Audit,
    /// Export and import of the configuration.
    Config,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Monitors,
        Self::Results,
        Self::Incidents,
        Self::Channels,
        Self::Maintenance,
        Self::Locations,
        Self::Tokens,
        Self::People,
        Self::Account,
        Self::Audit,
        Self::Config,
    ];

    /// Its word in scopes.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Monitors => "monitors",
            Self::Results => "results",
            Self::Incidents => "incidents",
            Self::Channels => "channels",
            Self::Maintenance => "maintenance",
            Self::Locations => "locations",
            Self::Tokens => "tokens",
            Self::People => "people",
            Self::Account => "account",
            Self::Audit => "audit",
            Self::Config => "config",
        }
    }
}

/// What an operation asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// What it is about.
    pub resource: Resource,
    /// How much of it.
    pub level: Level,
}

impl Policy {
    /// A policy.
    #[must_use]
    pub const fn new(resource: Resource, level: Level) -> Self {
        Self { resource, level }
    }
}

/// What a person is in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Acknowledges, snoozes, comments, asks for a check now.
    Responder,
    /// Changes what is watched.
    Editor,
    /// Changes who is told, who may do what.
    Admin,
    /// The account is theirs.
    Owner,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Responder, Self::Editor, Self::Admin, Self::Owner];

    /// How much it may.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::Viewer => Level::Look,
            Self::Responder => Level::Respond,
            Self::Editor => Level::Edit,
            Self::Admin => Level::Administer,
            Self::Owner => Level::Own,
        }
    }

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Responder => "responder",
            Self::Editor => "editor",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that is no role or scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AccessError(String);

impl FromStr for Role {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        Self::ALL.into_iter().find(|role| role.word() == text).ok_or_else(|| {
            AccessError(format!("`{text}` is no role: there are viewer, responder, editor, admin and owner"))
        })
    }
}

/// What a token may: `read`, `write` or `admin`, on everything or, as in `monitors:write`, on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// On what; `None`: on everything.
    pub resource: Option<Resource>,
    /// How much: [`Level::Look`], [`Level::Edit`] or [`Level::Administer`].
    pub level: Level,
}

impl Scope {
    /// `read`, `write` and `admin` on everything.
    pub const EVERYWHERE: [Self; 3] = [
        Self { resource: None, level: Level::Look },
        Self { resource: None, level: Level::Edit },
        Self { resource: None, level: Level::Administer },
    ];

    /// Whether it is enough for a policy.
    #[must_use]
    pub fn covers(self, policy: Policy) -> bool {
        self.level >= policy.level && self.resource.is_none_or(|resource| resource == policy.resource)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.level {
            Level::Look => "read",
            Level::Respond | Level::Edit => "write",
            Level::Administer | Level::Own => "admin",
        };
        match self.resource {
            None => f.write_str(word),
            Some(resource) => write!(f, "{}:{word}", resource.word()),
        }
    }
}

impl FromStr for Scope {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        let (resource, word) = match text.split_once(':') {
            None => (None, text),
            Some((resource, word)) => {
                let found = Resource::ALL.into_iter().find(|known| known.word() == resource);
                let found = found.ok_or_else(|| {
                    let known = Resource::ALL.map(Resource::word).join(", ");
                    AccessError(format!("`{resource}` is nothing that a scope can be for: there are {known}"))
                })?;
                (Some(found), word)
            }
        };
        let level = match word {
            "read" => Level::Look,
            "write" => Level::Edit,
            "admin" => Level::Administer,
            _ => {
                return Err(AccessError(format!(
                    "`{text}` is no scope: there are read, write and admin, alone or as in `monitors:write`"
                )));
            }
        };
        Ok(Self { resource, level })
    }
}

/// What somebody may in an account: a person by role, a token by its scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A person, or the command line on the server's own host.
    Role(Role),
    /// A token.
    Scopes(Vec<Scope>),
}

impl Access {
    /// Whether it is enough for a policy.
    #[must_use]
    pub fn allows(&self, policy: Policy) -> bool {
        match self {
            Self::Role(role) => role.level() >= policy.level,
            Self::Scopes(scopes) => scopes.iter().any(|scope| scope.covers(policy)),
        }
    }

    /// Whether whoever has this access may give away `scope`: nobody gives more than they have.
    #[must_use]
    pub fn may_give(&self, scope: Scope) -> bool {
        match scope.resource {
            Some(resource) => self.allows(Policy::new(resource, scope.level)),
            None => Resource::ALL.into_iter().all(|resource| self.allows(Policy::new(resource, scope.level))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_includes_those_below_it() {
        let edit = Policy::new(Resource::Monitors, Level::Edit);
        let may: Vec<Role> = Role::ALL.into_iter().filter(|role| Access::Role(*role).allows(edit)).collect();
        assert_eq!(may, [Role::Editor, Role::Admin, Role::Owner]);
    }

    #[test]
    fn a_scope_for_one_resource_opens_no_other() {
        let access = Access::Scopes(vec!["monitors:write".parse().expect("a scope")]);
        assert!(access.allows(Policy::new(Resource::Monitors, Level::Edit)));
        assert!(!access.allows(Policy::new(Resource::Monitors, Level::Administer)));
        assert!(!access.allows(Policy::new(Resource::Channels, Level::Look)));
        assert!(!access.may_give("read".parse().expect("a scope")));
        assert!(access.may_give("monitors:read".parse().expect("a scope")));
    }

    #[test]
    fn no_scope_reaches_the_account_itself() {
        let all = Access::Scopes(Scope::EVERYWHERE.to_vec());
        assert!(!all.allows(Policy::new(Resource::Account, Level::Own)));
    }

    #[test]
    fn scopes_and_roles_read_what_they_write_and_name_what_there_is() {
        for text in ["read", "write", "admin", "audit:read", "monitors:admin"] {
            assert_eq!(text.parse::<Scope>().expect(text).to_string(), text);
        }
        for role in Role::ALL {
            assert_eq!(role.word().parse(), Ok(role));
        }
        let error = "monitor:write".parse::<Scope>().expect_err("no such resource").to_string();
        assert!(error.contains("monitors"), "{error}");
        assert!("root".parse::<Role>().expect_err("no role").to_string().contains("owner"));
    }
}
