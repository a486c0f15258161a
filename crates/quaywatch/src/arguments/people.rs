//! People, accounts and tokens: what `user`, `account` and `token` take.

use std::time::Duration;

use clap::{Args, Subcommand};
use quaywatch_core::access::{Role, Scope};

use super::{Data, Remote};

/// In which account of the data on this host.
#[derive(Debug, Args)]
pub(crate) struct Inside {
    /// In which account; the first where nothing is said
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<String>,

    #[command(flatten)]
    pub(crate) data: Data,
}

/// The same, or a server that is asked to do it.
#[derive(Debug, Args)]
pub(crate) struct Place {
    #[command(flatten)]
    pub(crate) inside: Inside,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Works with the server running or not. Whoever may write the data directory may do this; the audit log \
                  names them by their user number."
)]
pub(crate) struct User {
    #[command(subcommand)]
    pub(crate) command: UserCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add somebody to an account; the password is asked for, or read from standard input
    Add(UserAdd),
    /// List everybody
    List(UserList),
    /// Set a new password and end all sessions; the password is asked for, or read from standard input
    ResetPassword(UserResetPassword),
}

#[derive(Debug, Args)]
pub(crate) struct UserAdd {
    /// Their address of mail, with which they sign in
    #[arg(value_name = "EMAIL")]
    pub(crate) email: String,

    /// What they may do: viewer, responder, editor, admin or owner
    #[arg(long, value_name = "ROLE", default_value = "owner")]
    pub(crate) role: Role,

    /// What they are called; their address up to the @ where nothing is said
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Print a link by which they choose their password themselves, good for seven days
    #[arg(long)]
    pub(crate) invite: bool,

    /// They are here already, in another account, and you know that it is them: no password is read
    #[arg(long, conflicts_with_all = ["invite", "name"])]
    pub(crate) existing: bool,

    #[command(flatten)]
    pub(crate) inside: Inside,
}

#[derive(Debug, Args)]
pub(crate) struct UserList {
    #[command(flatten)]
    pub(crate) data: Data,
}

#[derive(Debug, Args)]
pub(crate) struct UserResetPassword {
    /// Their address of mail
    #[arg(value_name = "EMAIL")]
    pub(crate) email: String,

    /// Turn the second factor off as well, for those who lost it
    #[arg(long)]
    pub(crate) second_factor: bool,

    /// Leave their passkeys, links to providers, tokens and invitations as they are: without it they end
    #[arg(long)]
    pub(crate) only_password: bool,

    #[command(flatten)]
    pub(crate) data: Data,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Works with the server running or not, and holds at once. Whoever may write the data directory may do this; the audit log \
of the account names them by their user number. With --config the plans of the server's file are known: `list` shows which \
holds, and a plan that is not there is refused.

Examples:
  quaywatch account list --config /etc/quaywatch.yaml
  quaywatch account plan globex business --config /etc/quaywatch.yaml
  quaywatch account plan a7 --none --data-dir /var/lib/quaywatch")]
pub(crate) struct Account {
    #[command(subcommand)]
    pub(crate) command: AccountCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// List all accounts with their plans
    List(AccountList),
    /// Give an account one of the plans of the server's file
    Plan(AccountPlan),
}

#[derive(Debug, Args)]
pub(crate) struct AccountList {
    #[command(flatten)]
    pub(crate) data: Data,
}

#[derive(Debug, Args)]
pub(crate) struct AccountPlan {
    /// Its name or its id (`a7`)
    #[arg(value_name = "ACCOUNT")]
    pub(crate) account: String,

    /// The name of the plan
    #[arg(value_name = "PLAN", required_unless_present = "none")]
    pub(crate) plan: Option<String>,

    /// Take back the plan that it was given
    #[arg(long, conflicts_with = "plan")]
    pub(crate) none: bool,

    #[command(flatten)]
    pub(crate) data: Data,
}

#[derive(Debug, Args)]
#[command(after_help = "\
With --data-dir or --config it is done in the data of a server on this host, running or not: whoever may write the data \
directory may do this, and the audit log names them by their user number. With --server, --profile, QUAYWATCH_SERVER or \
a profile it is done over the API of that server, by whoever the token belongs to.

Examples:
  quaywatch token create --name ci --scope write --data-dir /var/lib/quaywatch
  quaywatch token create --name ci --scope monitors:write --expires 90d --profile home")]
pub(crate) struct Token {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it, and nothing else, to standard output: it is shown this once
    Create(TokenCreate),
    /// List tokens, those that ended included
    List(TokenList),
    /// End a token at once
    Revoke(TokenRevoke),
}

impl TokenCommand {
    /// Where it is to be done.
    pub(crate) const fn place(&self) -> &Place {
        match self {
            Self::Create(create) => &create.place,
            Self::List(list) => &list.place,
            Self::Revoke(revoke) => &revoke.place,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct TokenCreate {
    /// What it is for
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,

    /// What it may do: read, write or admin, alone or as in `monitors:write`; several with commas
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', required = true)]
    pub(crate) scope: Vec<Scope>,

    /// When it ends (`90d`) [default: when it is revoked]
    #[arg(long, value_name = "DURATION", value_parser = quaywatch_core::spec::duration::parse)]
    pub(crate) expires: Option<Duration>,

    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct TokenList {
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct TokenRevoke {
    /// Its number (`tok5`), its name, or the token itself
    #[arg(value_name = "TOKEN")]
    pub(crate) which: String,

    #[command(flatten)]
    pub(crate) place: Place,
}
