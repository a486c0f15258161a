//! What can be said to the commands that talk to a server over its API.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

/// Which server, and as whom: shared by the commands that talk to one.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Remote {
    /// The server's address (`https://watch.example.com`), before QUAYWATCH_SERVER and profiles
    #[arg(long, value_name = "URL", help_heading = "Server", conflicts_with = "profile")]
    pub(crate) server: Option<String>,

    /// A token for it, before QUAYWATCH_TOKEN and profiles; others on this machine can read what stands in a command
    #[arg(long, value_name = "TOKEN", help_heading = "Server")]
    pub(crate) token: Option<String>,

    /// The profile to use, before the environment [default: QUAYWATCH_PROFILE, or the one `profile use` named]
    #[arg(long, value_name = "NAME", help_heading = "Server")]
    pub(crate) profile: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
What the document brings is owned by its name, and what that name owned and is no longer in the document goes into the \
bin, for 30 days. On a terminal you are asked before that happens.

Exit status: 0 done, or nothing to do; 1 failed, and then nothing was changed unless it says so; 2 something would \
change (only with --check); 64 wrong usage.

Examples:
  quaywatch apply -f infra.yaml --dry-run
  quaywatch apply -f infra.yaml
  generate-monitors | quaywatch apply -f - --name generated")]
pub(crate) struct Apply {
    /// The document: monitors and channels in the form of the server's file; `-` for standard input
    #[arg(long, short, value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The name that owns what it brings [default: the file's name without its ending]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Only say what would change
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// The same, and exit with 2 if anything would change
    #[arg(long)]
    pub(crate) check: bool,

    /// Do not ask before something is removed
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// How to print
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: PlanOutput,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanOutput {
    /// Lines for people
    Text,
    /// The plan as one JSON object
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quaywatch get --status down,degraded
  quaywatch get monitors 'orders database'
  quaywatch get incidents --open --output json
  quaywatch get config > everything.yaml")]
pub(crate) struct Get {
    /// What to show
    #[arg(value_name = "WHAT", default_value = "monitors")]
    pub(crate) what: What,

    /// Only this one, by its id or name; of incidents also all of one monitor
    #[arg(value_name = "ID|NAME")]
    pub(crate) which: Option<String>,

    /// Only monitors with this in their name or host
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) query: Option<String>,

    /// Only monitors that are this: down, degraded, unknown, blocked, maintenance, paused, pending, up
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    pub(crate) status: Vec<String>,

    /// Only monitors in this group or below it
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,

    /// Only monitors with this tag (`env`, `env=prod`); several: with all of them
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,

    /// Only what is owned so: api, file, or `apply:NAME`
    #[arg(long, value_name = "OWNER")]
    pub(crate) managed_by: Option<String>,

    /// Only incidents that are open
    #[arg(long)]
    pub(crate) open: bool,

    /// In what order: id, name, status, since or updated, for monitors [default: status]
    #[arg(long, value_name = "ORDER")]
    pub(crate) sort: Option<String>,

    /// How many at most; 0 for all
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) limit: usize,

    /// How to print
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: GetOutput,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// What `get` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// What is watched
    #[value(alias = "monitor")]
    Monitors,
    /// What went wrong, newest first
    #[value(alias = "incident")]
    Incidents,
    /// Who is told
    #[value(alias = "channel")]
    Channels,
    /// Groups with what is worst in each
    #[value(alias = "group")]
    Groups,
    /// Tags and their values
    #[value(alias = "tag")]
    Tags,
    /// From where checks run
    #[value(alias = "location")]
    Locations,
    /// What programs sign in with
    #[value(alias = "token")]
    Tokens,
    /// Who belongs to the account
    #[value(alias = "member")]
    Members,
    /// Monitors that were deleted and can be restored
    Bin,
    /// Who changed what, newest first
    Audit,
    /// The account with its plan, limits and use
    Account,
    /// Channels and monitors as YAML that `apply` reads
    Config,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GetOutput {
    /// For people
    Table,
    /// A JSON object a line
    Json,
    /// YAML, as the API has it
    Yaml,
}

/// Monitors of a server.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The monitor's name or id (`m42`); several may be named
    #[arg(value_name = "MONITOR", required = true)]
    pub(crate) monitors: Vec<String>,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quaywatch pause 'orders database' --for 2h --reason 'moving racks'
  quaywatch pause m42 m43")]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) named: Named,

    /// For how long (`2h`, `3d`) [default: until somebody resumes it]
    #[arg(long = "for", value_name = "DURATION", value_parser = quaywatch_core::spec::duration::parse)]
    pub(crate) length: Option<Duration>,

    /// Why, for those who wonder
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    pub(crate) named: Named,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Profiles stand in `quaywatch/profiles.yaml` of the configuration directory ($XDG_CONFIG_HOME, or ~/.config), \
                  which only you may read."
)]
pub(crate) struct Profile {
    #[command(subcommand)]
    pub(crate) command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Remember a server and a token for it; the token is asked for, or read from standard input
    Add(ProfileAdd),
    /// List profiles, without their tokens
    List,
    /// Use this profile where nothing else is said
    Use {
        /// Its name
        name: String,
    },
    /// Forget a profile
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example, on the server's own host:
  quaywatch token create --name laptop --scope admin --data-dir /var/lib/quaywatch |
    quaywatch profile add home --server http://127.0.0.1:8080")]
pub(crate) struct ProfileAdd {
    /// What to call it; one of that name is replaced
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// The server's address (`https://watch.example.com`)
    #[arg(long, value_name = "URL")]
    pub(crate) server: String,

    /// Do not ask the server whether it takes the token
    #[arg(long)]
    pub(crate) unchecked: bool,
}
