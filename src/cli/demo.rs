//! `deskbell demo`: a shop with a bell, on this machine only.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Instant,
};

use clap::Args;
use serde::Serialize;

use super::{Common, Failure, serve::announce, tell};
use crate::{
    config::{Config, Origin},
    desk::accounts::{self, Accounts, NewAgent, NewProject},
    domain::Role,
    log::ProjectRecord,
    server::{self, Prepared, Running},
    telemetry,
};

/// Where the demo is, if the port is free.
const PORT: u16 = 8080;
/// The demo's project.
const PROJECT: &str = "Brass & Bell";
/// Who answers in the demo. Fixed: nobody but this machine reaches it, and a page that is loaded again signs in again.
const AGENTS: [DemoAgent; 2] = [
    DemoAgent { name: "Grace Hopper", email: "grace@example.org", password: "bright brass bells", role: Role::Owner },
    DemoAgent { name: "Alan Turing", email: "alan@example.org", password: "seven silver bells", role: Role::Agent },
];

/// Run on a throw-away folder with a demo project, two agents and a demo page.
#[derive(Args)]
pub(super) struct Demo {
    /// Where to listen, on this machine only; port 0 takes a free one. Default: 127.0.0.1:8080, or a free port
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where to keep the data; without it they are gone when the demo ends
    #[arg(long, value_name = "FOLDER", alias = "dir")]
    data_dir: Option<PathBuf>,
}

#[derive(Clone, Serialize)]
struct DemoAgent {
    name: &'static str,
    email: &'static str,
    password: &'static str,
    role: Role,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Ready {
    url: String,
    demo_url: String,
    chat_url: String,
    admin_url: String,
    data_dir: String,
    project: ReadyProject,
    agents: [DemoAgent; 2],
}

#[derive(Serialize)]
struct ReadyProject {
    id: String,
    name: String,
    public_key: String,
    identity_secret: Option<String>,
}

/// A folder that goes when the demo ends.
struct ThrowAway(PathBuf);

impl Drop for ThrowAway {
    fn drop(&mut self) {
        // What can't be removed now, the system removes from its temporary folder some day.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

impl Demo {
    pub(super) async fn run(self, common: &Common, begun: Instant) -> Result<(), Failure> {
        let throw_away = self.data_dir.is_none().then(throw_away).transpose()?;
        let folder = self.data_dir.clone().or_else(|| throw_away.as_ref().map(|folder| folder.0.clone()));
        let config = self.config(common, folder)?;
        telemetry::start_logging(&config);
        let prepared = self.prepare(config.clone(), begun).await?;
        let project = furnish(prepared.accounts(), prepared.own_origins()).await?;
        let running = prepared.open(Some(project.public_key.clone()));
        if common.json {
            announce(&config, &running);
        }
        common.answer(&ready(&config, &running, &project), welcome(&running, &project, throw_away.is_some()))?;
        Ok(running.until_stopped().await?)
    }

    fn config(&self, common: &Common, folder: Option<PathBuf>) -> Result<Config, Failure> {
        let listen = self.listen.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT));
        if !listen.ip().is_loopback() {
            return Err(not_for_others());
        }
        let config = common.load(&[
            ("listen", Some(listen.to_string())),
            ("admin.listen", Some("127.0.0.1:0".to_owned())),
            ("data_dir", folder.map(|folder| folder.display().to_string())),
            // All tabs of a demo, and the browser tests, come from one address.
            ("limits.exempt", Some("127.0.0.0/8, ::1/128".to_owned())),
            ("public_url", Some(String::new())),
            ("log.level", std::env::var("DESKBELL_LOG__LEVEL").is_err().then(|| "warn".to_owned())),
        ])?;
        // Looked at in the end: `--set` has the last word.
        let is_public = config.public_url.as_ref().is_some_and(|url| !url.is_loopback());
        if is_public || !config.listen.ip().is_loopback() {
            return Err(not_for_others());
        }
        Ok(config)
    }

    /// Takes the port, or another one where nobody asked for this one.
    async fn prepare(&self, mut config: Config, begun: Instant) -> Result<Prepared, Failure> {
        match server::prepare(&config, begun).await {
            Err(server::Error::Listen { key: "listen", source, .. })
                if self.listen.is_none() && source.kind() == io::ErrorKind::AddrInUse =>
            {
                tell(format_args!("deskbell: port {PORT} is taken; using a free one"));
                config.listen.set_port(0);
                Ok(server::prepare(&config, begun).await?)
            }
            other => Ok(other?),
        }
    }
}

fn not_for_others() -> Failure {
    let why = "run the demo for others: its passwords are known to everybody; `deskbell serve` is for the network";
    Failure::Usage(why.to_owned())
}

fn throw_away() -> Result<ThrowAway, Failure> {
    let folder = std::env::temp_dir().join(format!("deskbell-demo-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir(&folder).map_err(|error| Failure::Failed(format!("make {}: {error}", folder.display())))?;
    Ok(ThrowAway(folder))
}

/// Puts project and agents in place, unless an earlier demo on this folder did.
async fn furnish(accounts: &Accounts, own: &[Origin]) -> Result<ProjectRecord, accounts::Error> {
    let known = accounts.projects().into_iter().find(|project| project.name == PROJECT);
    let origins: Vec<String> = own.iter().map(ToString::to_string).collect();
    if let Some(project) = known {
        let project = ProjectRecord { origins, ..(*project).clone() };
        accounts.change_project(project.clone()).await?;
        return Ok(project);
    }
    let project = accounts.create_project(NewProject { name: PROJECT.to_owned(), origins: own.to_vec() }).await?;
    for agent in &AGENTS {
        let new = NewAgent {
            project: project.id,
            email: agent.email.to_owned(),
            name: agent.name.to_owned(),
            role: agent.role,
            password: agent.password.to_owned(),
            capacity: 5,
        };
        accounts.create_agent(new).await?;
    }
    Ok(project)
}

fn ready(config: &Config, running: &Running, project: &ProjectRecord) -> Ready {
    let url = &running.public_url;
    Ready {
        url: url.to_string(),
        demo_url: format!("{url}/demo"),
        chat_url: format!("{url}/chat/{}", project.public_key),
        admin_url: format!("http://{}", running.admin_address),
        data_dir: config.data_dir.display().to_string(),
        project: ReadyProject {
            id: project.id.to_string(),
            name: project.name.clone(),
            public_key: project.public_key.clone(),
            identity_secret: project.identity_secret.clone(),
        },
        agents: AGENTS,
    }
}

fn welcome(running: &Running, project: &ProjectRecord, is_throw_away: bool) -> String {
    let url = &running.public_url;
    let agents = AGENTS
        .each_ref()
        .map(|agent| format!("    {:<20} {:<22} ({})", agent.email, agent.password, agent.role.as_str()))
        .join("\n");
    let kept = if is_throw_away { "Everything is gone when you stop it" } else { "The data stay in their folder" };
    format!(
        "\n  Deskbell is ready: ring in one window, answer in the other.\n\n    \
         shop     {url}/demo\n    console  {url}/\n    page     {url}/chat/{}\n    health   http://{}/readyz\n\n  \
         Sign in to the console as\n\n{agents}\n\n  {kept}; Ctrl-C stops it.\n",
        project.public_key, running.admin_address
    )
}
