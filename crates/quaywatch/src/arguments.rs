//! What can be said on the command line. Flags win over the environment, the environment over the file, the file over
//! defaults.

mod people;
mod remote;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use people::{
    Account, AccountCommand, AccountPlan, Inside, Place, Token, TokenCommand, TokenCreate, TokenList,
    TokenRevoke, User, UserAdd, UserCommand, UserResetPassword,
};
pub(crate) use remote::{
    Apply, Get, GetOutput, Named, Pause, PlanOutput, Profile, ProfileAdd, ProfileCommand, Remote, Resume,
    What,
};

/// Watches TCP ports and what speaks on them: knows within seconds that one stopped answering, says why, and tells
/// the right people once.
#[derive(Debug, Parser)]
#[command(name = "quaywatch", version, about, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch, judge, record and tell, until stopped
    Serve(Serve),
    /// Check targets once, now, and say what was seen
    Check(Check),
    /// Read a configuration file and list everything that is wrong with it
    Validate(Validate),
    /// List well-known ports and the names by which they can be written
    Ports(Ports),
    /// Write the recorded checks of a monitor as CSV or JSON lines
    Export(Export),
    /// Show what is said of each monitor now, from the store of a server
    Status(Status),
    /// Add people, list them, or set a lost password, on the server's own host
    User(User),
    /// List accounts, or give one a plan, on the server's own host
    Account(Account),
    /// Make, list or revoke API tokens, on the server's own host or over its API
    Token(Token),
    /// Make a document of monitors and channels true on a server
    Apply(Apply),
    /// Show monitors, incidents, channels and more of a server
    Get(Get),
    /// Stop checking monitors for a while
    Pause(Pause),
    /// Check paused monitors again
    Resume(Resume),
    /// Remember servers and tokens for the commands that talk to one
    Profile(Profile),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each command into a directory
    Man {
        /// Where to write `quaywatch.1`, `quaywatch-serve.1` and so on
        directory: Option<PathBuf>,
    },
}

/// Where a server's data is: shared by the commands that open it.
#[derive(Debug, Args)]
pub(crate) struct Data {
    /// The directory of the database [default: `server.data_dir` of the file, or ./data]
    #[arg(long, env = "QUAYWATCH_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// The configuration file, to find the data directory in
    #[arg(long, short, env = "QUAYWATCH_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration file (YAML); without one the server starts empty
    #[arg(long, short, env = "QUAYWATCH_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The directory of the database [default: ./data]
    #[arg(long, env = "QUAYWATCH_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Where to listen for pages, the API, /metrics, /healthz and /readyz [default: 127.0.0.1:8080]
    #[arg(long, env = "QUAYWATCH_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,

    /// What to log: a level, or directives such as `info,quaywatch_engine=debug` [default: info]
    #[arg(long, env = "QUAYWATCH_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,

    /// How to log [default: text]
    #[arg(long, env = "QUAYWATCH_LOG_FORMAT", value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,

    /// Threads that check [default: one, or two where there are more than two cores]
    #[arg(long, env = "QUAYWATCH_PROBE_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) probe_threads: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// A JSON object a line
    Json,
}

impl From<quaywatch_app::config::LogFormat> for LogFormat {
    fn from(format: quaywatch_app::config::LogFormat) -> Self {
        match format {
            quaywatch_app::config::LogFormat::Text => Self::Text,
            quaywatch_app::config::LogFormat::Json => Self::Json,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 all up, 1 one degraded, 2 one down, 3 one unknown or blocked, or wrong usage: the worst of all \
targets counts, down before unknown and blocked before degraded before up.

Examples:
  quaywatch check db.example.com:5432
  quaywatch check '[2001:db8::10]:22' cache.example.com:redis
  quaywatch check --send 'PING\\r\\n' --expect '^\\+PONG' cache.example.com:6379
  quaywatch check --output json - < targets.txt")]
pub(crate) struct Check {
    /// `host:port`, `[v6]:port` or `host:service` (`host:postgresql`); `-` reads them from standard input
    #[arg(value_name = "TARGET", required_unless_present = "from_file")]
    pub(crate) targets: Vec<String>,

    /// Read targets from a file, one a line; `#` begins a comment
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,

    /// How long to wait for an answer (`500ms`, `10s`) [default: 10s]
    #[arg(long, short, value_name = "DURATION")]
    pub(crate) timeout: Option<String>,

    /// How far the handshake goes: `half_open` is never noticed by the target [default: half_open, full with --send or --expect]
    #[arg(long, value_name = "half_open|full")]
    pub(crate) handshake: Option<String>,

    /// How long a full handshake is looked at for a reset; 0 turns it off [default: 50ms]
    #[arg(long, value_name = "DURATION")]
    pub(crate) settle: Option<String>,

    /// Which address families to dial [default: any]
    #[arg(long, value_name = "any|ipv4|ipv6")]
    pub(crate) ip_family: Option<String>,

    /// The first address that answers decides, or all are checked [default: first]
    #[arg(long, value_name = "first|all")]
    pub(crate) addresses: Option<String>,

    /// Bytes to send once connected, with escapes (`\r\n`, `\x00`)
    #[arg(long, value_name = "BYTES")]
    pub(crate) send: Option<String>,

    /// As --send, for bytes with a password: names variables (`AUTH ${PW}\r\n`) or a file (`file:PATH`)
    #[arg(long, value_name = "REFERENCE", conflicts_with = "send")]
    pub(crate) send_secret: Option<String>,

    /// A regular expression that the first 4 KiB of the answer must match
    #[arg(long, value_name = "REGEX")]
    pub(crate) expect: Option<String>,

    /// What the port should be [default: open]
    #[arg(long, value_name = "open|closed|filtered")]
    pub(crate) expectation: Option<String>,

    /// Slower than this is degraded
    #[arg(long, value_name = "DURATION")]
    pub(crate) threshold: Option<String>,

    /// Ask these name servers instead of the system's (`192.0.2.53` or `192.0.2.53:5353`)
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    pub(crate) resolvers: Vec<String>,

    /// How to print
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: CheckOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckOutput {
    /// A line a target, for people
    Text,
    /// A JSON object a line
    Json,
    /// One line with performance data, as monitoring plugins print it
    Nagios,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// The configuration file, or `-` for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Say nothing where nothing is wrong
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Ports {
    /// Only ports whose number, name or label contains this
    #[arg(value_name = "SEARCH")]
    pub(crate) search: Option<String>,

    /// All known services, not only the common sixteen
    #[arg(long, short)]
    pub(crate) all: bool,

    /// How to print
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: TableOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableOutput {
    /// For people
    Table,
    /// A JSON object a line
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The monitor's name or id (`m42`)
    #[arg(long, value_name = "NAME")]
    pub(crate) monitor: String,

    /// From when: a duration back from now (`7d`, `90m`) or a time (`2026-05-01`, `2026-05-01T16:15:00Z`)
    #[arg(long, value_name = "WHEN", default_value = "24h")]
    pub(crate) since: String,

    /// Until when, exclusive [default: now]
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<String>,

    /// How to print
    #[arg(long, short, value_name = "FORMAT", default_value = "csv")]
    pub(crate) output: ExportOutput,

    #[command(flatten)]
    pub(crate) data: Data,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportOutput {
    /// Comma-separated values with a header line
    Csv,
    /// A JSON object a line
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only monitors whose name contains this
    #[arg(value_name = "SEARCH")]
    pub(crate) search: Option<String>,

    /// Only monitors that are not up
    #[arg(long)]
    pub(crate) failing: bool,

    /// How to print
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: TableOutput,

    #[command(flatten)]
    pub(crate) data: Data,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }
}
