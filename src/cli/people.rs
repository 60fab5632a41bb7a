//! `deskbell project | agent | keys`: they change the database; a running server takes it up within a second.

use std::{
    io::{BufRead as _, IsTerminal as _, Read as _},
    path::PathBuf,
};

use clap::{Args, Subcommand, ValueEnum, builder::RangedI64ValueParser};
use serde_json::{Value, json};

use super::{Beside, Common, Failure, print, tell};
use crate::{
    clock::{Clock, Millis},
    config::{Config, Origin},
    desk::accounts::{AgentChange, NewAgent, NewProject},
    domain::Role,
    ids::{AgentId, ProjectId, VisitorId},
    log::{AgentRecord, OpenAs, ProjectRecord},
};

/// Make, list and change projects.
#[derive(Subcommand)]
pub(super) enum ProjectCommand {
    /// Make a project
    Create {
        /// Its name
        #[arg(long)]
        name: String,
        /// Where its widget may be embedded; may be repeated
        #[arg(long = "origin", value_name = "URL", required = true)]
        origins: Vec<Origin>,
    },
    /// List all projects
    List,
    /// Show one, its identity secret included
    Show(ProjectOf),
    /// Change one
    Set(ProjectChanges),
    /// Make a new identity secret; what the old one signed is refused from now on
    RotateKey(ProjectOf),
}

/// Which project.
#[derive(Args)]
pub(super) struct ProjectOf {
    /// The project's id
    #[arg(long, value_name = "ID")]
    project: ProjectId,
}

/// What to change about a project; what is not given stays.
#[derive(Args)]
pub(super) struct ProjectChanges {
    #[command(flatten)]
    of: ProjectOf,
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// Where its widget may be embedded: replaces the list; may be repeated
    #[arg(long = "origin", value_name = "URL")]
    origins: Vec<Origin>,
    /// Whether visitors must be vouched for by their site
    #[arg(long, value_name = "BOOL")]
    identity_required: Option<bool>,
    /// A file with the P-256 public key (PEM) that verifies identities signed with ES256; an empty file takes it away
    #[arg(long, value_name = "FILE")]
    identity_public_key_file: Option<PathBuf>,
    /// Whether agents see what a visitor is typing
    #[arg(long, value_name = "BOOL")]
    sneak_peek: Option<bool>,
}

/// Make, list and change agents.
#[derive(Subcommand)]
pub(super) enum AgentCommand {
    /// Make an agent
    Create(AgentNew),
    /// List a project's agents
    List(ProjectOf),
    /// Shut an agent out; its sockets close within two seconds
    Disable(AgentOf),
    /// Let it in again
    Enable(AgentOf),
    /// Give it another role; its sockets close and come back with it
    SetRole {
        #[command(flatten)]
        of: AgentOf,
        /// What it may do
        #[arg(long)]
        role: RoleName,
    },
    /// Have it take more or fewer conversations at once; what it has, it keeps
    SetCapacity {
        #[command(flatten)]
        of: AgentOf,
        /// How many conversations it takes at once
        #[arg(long, value_parser = capacity())]
        capacity: u32,
    },
    /// Give it another password; it is signed out everywhere
    ResetPassword {
        #[command(flatten)]
        of: AgentOf,
        /// Read the password from standard input
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Sign it out everywhere
    RevokeSessions(AgentOf),
}

/// Which agent.
#[derive(Args)]
pub(super) struct AgentOf {
    /// The agent's id or e-mail address
    #[arg(long, value_name = "ID|EMAIL")]
    agent: String,
}

fn capacity() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=100)
}

/// An agent to be made.
#[derive(Args)]
pub(super) struct AgentNew {
    #[command(flatten)]
    of: ProjectOf,
    /// Its e-mail address, to sign in with
    #[arg(long)]
    email: String,
    /// Its name, as visitors see it
    #[arg(long)]
    name: String,
    /// What it may do
    #[arg(long, default_value = "agent")]
    role: RoleName,
    /// How many conversations it takes at once
    #[arg(long, default_value_t = 5, value_parser = capacity())]
    capacity: u32,
    /// Read the password from standard input
    #[arg(long, required = true)]
    password_stdin: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum RoleName {
    Owner,
    Admin,
    Agent,
    Viewer,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Owner => Self::Owner,
            RoleName::Admin => Self::Admin,
            RoleName::Agent => Self::Agent,
            RoleName::Viewer => Self::Viewer,
        }
    }
}

/// Shut visitors out.
#[derive(Subcommand)]
pub(super) enum VisitorCommand {
    /// Shut a visitor out; its sockets close within two seconds
    Ban(VisitorOf),
    /// Let it in again
    Unban(VisitorOf),
}

/// Which visitor.
#[derive(Args)]
pub(super) struct VisitorOf {
    #[command(flatten)]
    of: ProjectOf,
    /// The visitor's id, as the console shows it
    #[arg(value_name = "ID")]
    visitor: VisitorId,
}

/// List, rotate and forget the keys that sign session tokens.
#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// List all keys; never their secrets
    List,
    /// Make a new key; what older ones signed holds until it runs out. For a key that was stolen: `keys forget`
    Rotate,
    /// Take a stolen key away: whatever it signed is refused at once, and sockets that it opened close
    Forget {
        /// The key's id, as `keys list` shows it
        #[arg(value_name = "KID")]
        kid: String,
    },
}

impl ProjectCommand {
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        let is_first = matches!(self, Self::Create { .. });
        let beside = common.open_as(if is_first { OpenAs::FirstCommand } else { OpenAs::Command }).await?;
        let done = self.carry_out(common, &beside).await;
        beside.close().await;
        done
    }

    async fn carry_out(self, common: &Common, beside: &Beside) -> Result<(), Failure> {
        match self {
            Self::Create { name, origins } => {
                let made = beside.accounts.create_project(NewProject { name, origins }).await?;
                let text = format!(
                    "project {} is made; its public key is {}. On the site:\n\n    {}\n",
                    made.id,
                    made.public_key,
                    snippet(&beside.config, &made.public_key)
                );
                common.answer(&created(&made), text)
            }
            Self::List => {
                let projects: Vec<Value> = beside.log.projects().await?.iter().map(summary).collect();
                list(common, "projects", &["project", "public_key", "name", "origins"], &projects)
            }
            Self::Show(of) => {
                let project = find_project(beside, of.project).await?;
                if common.json {
                    common.answer(&shown(&project), "")
                } else {
                    print(&format!("{:#}\n", shown(&project)))
                }
            }
            Self::Set(changes) => {
                let project = changes.apply(find_project(beside, changes.of.project).await?)?;
                beside.accounts.change_project(project.clone()).await?;
                common.answer(&shown(&project), format!("project {} is changed", project.id))
            }
            Self::RotateKey(of) => {
                let project = find_project(beside, of.project).await?;
                let project = beside.accounts.rotate_identity_secret(project).await?;
                common.answer(&created(&project), format!("project {} has a new identity secret", project.id))
            }
        }
    }
}

impl ProjectChanges {
    const fn is_empty(&self) -> bool {
        let Self { of: _, name, origins, identity_required, identity_public_key_file, sneak_peek } = self;
        let no_text = name.is_none() && origins.is_empty() && identity_public_key_file.is_none();
        no_text && identity_required.is_none() && sneak_peek.is_none()
    }

    fn apply(&self, mut project: ProjectRecord) -> Result<ProjectRecord, Failure> {
        if self.is_empty() {
            return Err(Failure::Usage(
                "know what to change: `deskbell help project set` lists what can be".to_owned(),
            ));
        }
        if let Some(name) = &self.name {
            project.name.clone_from(name);
        }
        if !self.origins.is_empty() {
            project.origins = self.origins.iter().map(ToString::to_string).collect();
        }
        if let Some(path) = &self.identity_public_key_file {
            let pem = std::fs::read_to_string(path)
                .map_err(|error| Failure::Failed(format!("read {}: {error}", path.display())))?;
            project.identity_public_key = Some(pem).filter(|pem| !pem.trim().is_empty());
        }
        project.identity_required = self.identity_required.unwrap_or(project.identity_required);
        project.sneak_peek = self.sneak_peek.unwrap_or(project.sneak_peek);
        Ok(project)
    }
}

impl AgentCommand {
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        let beside = common.open().await?;
        let done = self.carry_out(common, &beside).await;
        beside.close().await;
        done
    }

    async fn carry_out(self, common: &Common, beside: &Beside) -> Result<(), Failure> {
        let (of, change) = match self {
            Self::Create(new) => return new.create(common, beside).await,
            Self::List(of) => {
                let agents = beside.log.agents(find_project(beside, of.project).await?.id).await?;
                let agents: Vec<Value> = agents.iter().map(agent_shown).collect();
                return list(common, "agents", &["agent", "email", "name", "role", "capacity", "disabled"], &agents);
            }
            Self::Disable(of) => (of, AgentChange::Disabled(true)),
            Self::Enable(of) => (of, AgentChange::Disabled(false)),
            Self::SetRole { of, role } => (of, AgentChange::Role(role.into())),
            Self::SetCapacity { of, capacity } => (of, AgentChange::Capacity(capacity)),
            Self::ResetPassword { of, .. } => (of, AgentChange::Password(password()?)),
            Self::RevokeSessions(of) => (of, AgentChange::Sessions),
        };
        let agent = of.find(beside).await?;
        let after = if matches!(change, AgentChange::Capacity(_)) { "" } else { "; its sockets close" };
        beside.accounts.change_agent(agent.clone(), change).await?;
        common.answer(&json!({ "agent": agent.id }), format!("agent {} is changed{after}", agent.email))
    }
}

impl AgentOf {
    async fn find(&self, beside: &Beside) -> Result<AgentRecord, Failure> {
        let found = match self.agent.parse::<AgentId>() {
            Ok(id) => beside.log.agent(id).await?,
            Err(_) => beside.log.agent_by_email(&self.agent).await?,
        };
        found.ok_or_else(|| Failure::Failed("find that agent; `deskbell agent list` shows a project's".to_owned()))
    }
}

impl AgentNew {
    async fn create(self, common: &Common, beside: &Beside) -> Result<(), Failure> {
        let new = NewAgent {
            project: self.of.project,
            email: self.email,
            name: self.name,
            role: self.role.into(),
            password: password()?,
            capacity: self.capacity,
        };
        let made = beside.accounts.create_agent(new).await?;
        common.answer(&json!({ "agent": made.id }), format!("agent {} is made; it may sign in", made.email))
    }
}

impl VisitorCommand {
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        let (VisitorOf { of, visitor }, on) = match self {
            Self::Ban(whom) => (whom, true),
            Self::Unban(whom) => (whom, false),
        };
        let beside = common.open().await?;
        let done = beside.accounts.ban(of.project, visitor, on).await;
        beside.close().await;
        done?;
        let what = if on { "is shut out; its sockets close" } else { "is let in again" };
        common.answer(&json!({ "visitor": visitor, "banned": on }), format!("visitor {visitor} {what}"))
    }
}

impl KeysCommand {
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        let beside = common.open().await?;
        let done = match self {
            Self::List => {
                keys(&beside).await.and_then(|keys| list(common, "keys", &["kid", "created_at", "retired_at"], &keys))
            }
            Self::Rotate => match beside.accounts.rotate_keys().await {
                Ok(()) => {
                    let text = "a new key signs; the old ones honour what they signed. Was one stolen? \
                                `deskbell keys forget` makes what it signed worthless";
                    common.answer(&json!({ "rotated": true }), text)
                }
                Err(error) => Err(error.into()),
            },
            Self::Forget { kid } => match beside.accounts.forget_key(&kid).await {
                Ok(()) => common.answer(&json!({ "forgotten": kid }), "what that key signed is refused from now on"),
                Err(error) => Err(error.into()),
            },
        };
        beside.close().await;
        done
    }
}

async fn keys(beside: &Beside) -> Result<Vec<Value>, Failure> {
    let keys = beside.log.signing_keys().await?;
    let shown = |key: &crate::log::SigningKeyRecord| json!({ "kid": key.kid, "created_at": key.created_at, "retired_at": key.retired_at });
    Ok(keys.iter().map(shown).collect())
}

async fn find_project(beside: &Beside, id: ProjectId) -> Result<ProjectRecord, Failure> {
    let found = beside.log.project(id).await?;
    found.ok_or_else(|| Failure::Failed("find that project; `deskbell project list` shows all".to_owned()))
}

/// The line that puts the widget on a page.
fn snippet(config: &Config, public_key: &str) -> String {
    let server = config.public_url.clone().unwrap_or_else(|| Origin::of_address(config.listen, config.has_tls()));
    format!("<script src=\"{server}/w/loader.js\" data-project=\"{public_key}\" async></script>")
}

/// A password from standard input: one line, never on the command line, where every process sees it.
fn password() -> Result<String, Failure> {
    let mut text = String::new();
    if std::io::stdin().is_terminal() {
        tell("The password, then Enter (what you type is shown):");
    }
    let read = std::io::stdin().lock().take(4_096).read_line(&mut text);
    read.map_err(|error| Failure::Failed(format!("read the password: {error}")))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A list: one JSON object, or a table of these columns.
fn list(common: &Common, name: &str, columns: &[&str], items: &[Value]) -> Result<(), Failure> {
    if common.json {
        return common.answer(&json!({ name: items }), "");
    }
    if items.is_empty() {
        tell(format_args!("there are no {name} yet"));
    }
    print(&table(columns, items))
}

const DAY_MS: Millis = 24 * 3_600_000;

/// `items`, one a line, below the names of the columns; of a time, how long ago it was.
fn table(columns: &[&str], items: &[Value]) -> String {
    let head = columns.iter().map(|column| (*column).to_owned()).collect();
    let now = Clock::system().now();
    let cell_of = |item: &Value, column: &str| match item[column].as_i64() {
        Some(at) if column.ends_with("_at") => format!("{} days ago", (now - at) / DAY_MS),
        _ => cell(&item[column]),
    };
    let row = |item: &Value| columns.iter().map(|column| cell_of(item, column)).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(items.iter().map(row)).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn created(project: &ProjectRecord) -> Value {
    json!({ "project": project.id, "public_key": project.public_key, "identity_secret": project.identity_secret })
}

fn summary(project: &ProjectRecord) -> Value {
    json!({ "project": project.id, "name": project.name, "public_key": project.public_key, "origins": project.origins })
}

fn shown(project: &ProjectRecord) -> Value {
    json!({
        "project": project.id,
        "name": project.name,
        "public_key": project.public_key,
        "origins": project.origins,
        "identity_secret": project.identity_secret,
        "identity_public_key": project.identity_public_key,
        "identity_required": project.identity_required,
        "sneak_peek": project.sneak_peek,
        "created_at": project.created_at,
    })
}

fn agent_shown(agent: &AgentRecord) -> Value {
    json!({
        "agent": agent.id,
        "email": agent.email,
        "name": agent.name,
        "role": agent.role,
        "capacity": agent.capacity,
        "disabled": agent.disabled,
    })
}
