//! Projects and agents, made by the command line; sessions, asked for over HTTP.

use serde_json::{Value, json};

use super::{Answer, Client, Request, SHOP, Server, fresh};

/// The password of every agent.
pub(crate) const PASSWORD: &str = "a measured length of rope";

/// A project of a server.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) public_key: String,
    pub(crate) identity_secret: String,
}

impl Project {
    /// The project that `project create --json` printed.
    pub(crate) fn of(made: &Value) -> Self {
        let text = |field: &str| made[field].as_str().unwrap_or_else(|| panic!("no {field} in {made}")).to_owned();
        Self { id: text("project"), public_key: text("public_key"), identity_secret: text("identity_secret") }
    }
}

/// An agent's account.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) token: String,
}

impl Server {
    /// Another project besides the server's first.
    pub(crate) async fn create_project(&self, name: &str, origin: &str) -> Project {
        let made = self.cli(["project", "create", "--name", name, "--origin", origin, "--json"]).await.json();
        let project = Project::of(&made);
        self.knows(&project).await;
        project
    }

    /// Waits until the running server has heard of the project.
    async fn knows(&self, project: &Project) {
        let asked = json!({"project": project.public_key});
        super::until("the server hears of the project", || async {
            let answer = self.http(Request::post("/v1/sessions", &asked)).await;
            (answer.status == 201).then_some(())
        })
        .await;
    }

    /// An agent of the server's project, not connected.
    pub(crate) async fn hire(&self, name: &str) -> Agent {
        self.hire_as(&self.project, name, "agent", &[]).await
    }

    /// An agent with a role and further flags, e.g. `--capacity`.
    pub(crate) async fn hire_as(&self, project: &Project, name: &str, role: &str, more: &[&str]) -> Agent {
        let email = format!("{}-{}@example.org", name.to_lowercase(), fresh());
        let mut arguments = vec!["agent", "create", "--project", &project.id, "--email", &email, "--name", name];
        arguments.extend(["--role", role, "--password-stdin", "--json"]);
        arguments.extend(more);
        let made = self.cli_with(&arguments, &format!("{PASSWORD}\n")).await.json();
        let id = made["agent"].as_str().unwrap_or_else(|| panic!("no agent in {made}")).to_owned();
        let token = self.agent_token(project, &id, "15m").await;
        Agent { id, email, token }
    }

    pub(crate) async fn agent_token(&self, project: &Project, agent: &str, ttl: &str) -> String {
        let arguments = ["token", "--project", &project.id, "--kind", "agent", "--agent", agent, "--ttl", ttl];
        self.cli(arguments).await.text().trim().to_owned()
    }

    pub(crate) async fn visitor_token(&self, project: &Project, ttl: &str) -> String {
        let arguments = ["token", "--project", &project.id, "--kind", "visitor", "--ttl", ttl];
        self.cli(arguments).await.text().trim().to_owned()
    }

    /// An agent of the server's project, at work.
    pub(crate) async fn agent(&self, name: &str) -> Client {
        let agent = self.hire(name).await;
        self.join(&agent.token).await
    }

    /// A new visitor's session: the answer of `POST /v1/sessions`.
    pub(crate) async fn session(&self, project: &Project) -> Value {
        let asked = json!({"project": project.public_key});
        self.http(Request::post("/v1/sessions", &asked)).await.with_status(201).json()
    }

    /// Asks for a session as the shop's page does.
    pub(crate) async fn ask_session(&self, asked: &Value) -> Answer {
        self.http(Request::post("/v1/sessions", asked).header("Origin", SHOP)).await
    }

    /// A new visitor of the server's project, connected.
    pub(crate) async fn visitor(&self) -> Client {
        self.visitor_of(&self.project).await
    }

    pub(crate) async fn visitor_of(&self, project: &Project) -> Client {
        let session = self.session(project).await;
        self.join(session["token"].as_str().unwrap()).await
    }

    /// Signs in: the cookie, as the browser sends it back.
    pub(crate) async fn sign_in(&self, agent: &Agent) -> String {
        let asked = json!({"email": agent.email, "password": PASSWORD});
        let answer = self.http(Request::post("/v1/agents/login", &asked)).await.with_status(204);
        let cookie = answer.header("set-cookie").unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}
