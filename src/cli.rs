//! The command line. What programs read goes to stdout, what people read to stderr.

mod backup;
mod checks;
mod demo;
mod people;
mod serve;
mod token;
mod top;

use std::{fmt::Display, io::Write as _, path::PathBuf, process::ExitCode, sync::Arc, time::Instant};

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::{
    bus::Bus,
    clock::Clock,
    config::{self, Config, Sources},
    desk::accounts::{self, Accounts},
    edge::{asyncapi, openapi},
    log::{self, Log, OpenAs},
    server,
    tasks::Tasks,
};

/// The live-chat server that a company runs itself: no word is ever lost.
#[derive(Parser)]
#[command(name = "deskbell", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// What every command takes.
#[derive(Args)]
struct Common {
    /// The configuration file (TOML); `DESKBELL_CONFIG` names it, too
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, over file and environment
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_and_value)]
    settings: Vec<(String, String)>,
    /// Print one JSON object to stdout
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run a node
    Serve(serve::Serve),
    /// Run on a throw-away folder with a demo project, two agents and a demo page
    Demo(demo::Demo),
    /// Make, list and change projects
    #[command(subcommand)]
    Project(people::ProjectCommand),
    /// Make, list and change agents
    #[command(subcommand)]
    Agent(people::AgentCommand),
    /// Shut a visitor out, or let it in again
    #[command(subcommand)]
    Visitor(people::VisitorCommand),
    /// List, rotate and forget the keys that sign session tokens
    #[command(subcommand)]
    Keys(people::KeysCommand),
    /// Print session tokens, one a line (load tests, bots)
    Token(token::Token),
    /// Bring the database to this version; serve does it, too
    Migrate,
    /// Write the whole database to one file, beside a running server
    Backup(backup::Backup),
    /// Fill an empty database with a backup; clients load everything anew
    Restore(backup::Restore),
    /// Print the effective configuration, or every mistake in it
    CheckConfig,
    /// Print every limit with its value, unit and metric
    Limits,
    /// Print the OpenAPI document of the HTTP endpoints
    Openapi,
    /// Print the AsyncAPI document of the socket
    Asyncapi,
    /// Show what the running server of this configuration does, again every second
    Top(top::Top),
    /// Ask the running server of this configuration whether it lives; exit code 0 if it does
    Healthcheck,
}

/// Why a command failed; its texts fit after "failed to".
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// What was asked for can't be.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// An account could not be made or changed.
    #[error("change the accounts: {0}")]
    Accounts(#[from] accounts::Error),
    /// The log could not be opened or read.
    #[error("open the log: {0}")]
    Log(#[from] log::Error),
    /// The server did not start, or not stop.
    #[error(transparent)]
    Server(#[from] server::Error),
    /// Something outside said no.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    fn code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Config(_) => ExitCode::from(64),
            _ => ExitCode::FAILURE,
        }
    }
}

impl Cli {
    /// Carries out the command; the exit code says how it went. `begun` is when the program began.
    pub fn run(self, begun: Instant) -> ExitCode {
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tell(format_args!("deskbell: failed to start: {error}"));
                return ExitCode::FAILURE;
            }
        };
        let done = runtime.block_on(self.dispatch(begun));
        // Not waited for: what had to be finished was, and a password's hash may go.
        runtime.shutdown_background();
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                tell(format_args!("deskbell: failed to {failure}"));
                failure.code()
            }
        }
    }

    async fn dispatch(self, begun: Instant) -> Result<(), Failure> {
        let common = &self.common;
        match self.command {
            Command::Serve(command) => command.run(common, begun).await,
            Command::Demo(command) => command.run(common, begun).await,
            Command::Project(command) => command.run(common).await,
            Command::Agent(command) => command.run(common).await,
            Command::Visitor(command) => command.run(common).await,
            Command::Keys(command) => command.run(common).await,
            Command::Token(command) => command.run(common).await,
            Command::Migrate => checks::migrate(common).await,
            Command::Backup(command) => command.run(common).await,
            Command::Restore(command) => command.run(common).await,
            Command::CheckConfig => checks::config(common),
            Command::Limits => checks::limits(common),
            Command::Openapi => print(&openapi::document()),
            Command::Asyncapi => print(&asyncapi::document()),
            Command::Top(command) => command.run(common).await,
            Command::Healthcheck => checks::health(common).await,
        }
    }
}

impl Common {
    /// The configuration of all sources; `flags` are the command's own.
    fn load(&self, flags: &[(&str, Option<String>)]) -> Result<Config, Failure> {
        let given = flags.iter().filter_map(|(key, value)| Some(((*key).to_owned(), value.clone()?)));
        let sources = Sources {
            file: self.config.clone().or_else(|| std::env::var_os("DESKBELL_CONFIG").map(PathBuf::from)),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            flags: given.chain(self.settings.iter().cloned()).collect(),
        };
        Ok(Config::load(sources)?)
    }

    /// The database of the configuration, beside a server that may be running.
    async fn open(&self) -> Result<Beside, Failure> {
        self.open_as(OpenAs::Command).await
    }

    async fn open_as(&self, role: OpenAs) -> Result<Beside, Failure> {
        let config = self.load(&[])?;
        let tasks = Tasks::new();
        let log = Log::open(server::log_options(&config, role), Clock::system(), &tasks).await?;
        let options = accounts::Options {
            token_ttl_s: config.token_ttl_s,
            own_origins: Vec::new(),
            limits: Arc::new(config.limits.clone()),
        };
        let accounts = Accounts::open(log.clone(), Bus::local(), Clock::system(), options).await?;
        Ok(Beside { accounts, log, tasks, config })
    }

    /// Prints a result: as one JSON object, or as text for people.
    fn answer(&self, object: &impl Serialize, text: impl Display) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string(object).map_err(|error| Failure::Failed(format!("print: {error}")))?;
            return print(&format!("{json}\n"));
        }
        tell(text);
        Ok(())
    }
}

/// The accounts of a database that a server may be using.
struct Beside {
    accounts: Accounts,
    log: Log,
    tasks: Tasks,
    config: Config,
}

impl Beside {
    /// Writes down what is still to be written.
    async fn close(self) {
        self.tasks.stop();
        self.log.close().await;
    }
}

/// Prints to stdout. A reader that has gone wants no more: no error.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::Failed(format!("print: {error}"))),
        _ => Ok(()),
    }
}

/// Prints one line for each.
fn print_lines(items: &[impl ToString]) -> Result<(), Failure> {
    print(&items.iter().map(|item| item.to_string() + "\n").collect::<String>())
}

/// Tells people, on stderr. If nobody can be told, there is nobody to tell that.
fn tell(text: impl Display) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("takes KEY=VALUE, for example log.level=debug")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// A command as a page shows it, in words: what stands for something is something.
    fn words(shown: &str) -> Vec<String> {
        let id = "0198c0de-0000-7000-8000-000000000001";
        let shown = shown.replace("<id>", id).replace("$(date +%F)", "today").replace("...", "");
        shown.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect()
    }

    /// The commands that `text` shows: in lines of their own, without what explains them, and in a sentence.
    fn shown(text: &str) -> Vec<Vec<String>> {
        let lines = text.lines().filter_map(|line| line.strip_prefix("    ")).map(str::trim_start);
        let lines = lines.map(|line| line.split("   ").next().unwrap_or_default());
        let bare = |line: &'_ str| {
            line.trim_start_matches("sudo -u deskbell ").trim_start_matches("target/release/").to_owned()
        };
        let blocks = lines.map(bare).collect::<Vec<_>>();
        let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned);
        let all = blocks.into_iter().chain(spans).filter(|shown| shown.starts_with("deskbell "));
        all.map(|shown| words(&shown)).filter(|words| words.len() > 1).collect()
    }

    #[test]
    fn what_the_pages_show_is_understood() {
        use clap::error::ErrorKind::{
            DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion, MissingRequiredArgument,
            MissingSubcommand,
        };
        // A sentence may name a command without all that it takes.
        let fine = [
            DisplayHelp,
            DisplayVersion,
            DisplayHelpOnMissingArgumentOrSubcommand,
            MissingRequiredArgument,
            MissingSubcommand,
        ];
        let mut count = 0;
        for page in [
            "README.md",
            "docs/quickstart.md",
            "docs/operations.md",
            "docs/embed.md",
            "docs/security.md",
            "docs/configuration.md",
        ] {
            let text = std::fs::read_to_string(format!("{}/{page}", env!("CARGO_MANIFEST_DIR"))).unwrap();
            for words in shown(&text) {
                count += 1;
                let refused = Cli::try_parse_from(&words).err().filter(|error| !fine.contains(&error.kind()));
                assert!(refused.is_none(), "{page}: {words:?}: {refused:?}");
            }
        }
        assert!(count > 25, "only {count} commands were found");
    }

    #[test]
    fn wrong_configuration_has_a_code_of_its_own() {
        let failure = Failure::from(config::Error::Mistakes(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(format!("{:?}", failure.code()), format!("{:?}", ExitCode::from(64)));
        assert_eq!(failure.to_string(), "accept the configuration:\n  - a\n  - b");
    }
}
