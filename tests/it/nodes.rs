//! Two servers of one project, behind a balancer that sends everyone where it likes: it makes no difference.

mod assigning;
mod away;
mod degraded;
mod revoking;
mod talking;
mod tracing;

use serde_json::{Value, json};

use crate::support::{Agent, Client, Redis, Server, Setup, postgres, until};

/// Two servers on one PostgreSQL and one Redis.
struct Pair {
    redis: Redis,
    /// The older one: it moves the line.
    one: Server,
    other: Server,
}

impl Pair {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(limits: &[(&str, u64)]) -> Self {
        Self::start_over(&postgres::database(), limits).await
    }

    async fn start_over(database: &str, limits: &[(&str, u64)]) -> Self {
        let settings: Vec<_> =
            limits.iter().map(|(name, value)| (format!("limits.{name}"), value.to_string())).collect();
        let settings: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        Self::start_as(database, &settings).await
    }

    /// With further settings, as they stand in the file.
    async fn start_set(settings: &[(&str, String)]) -> Self {
        Self::start_as(&postgres::database(), settings).await
    }

    async fn start_as(database: &str, settings: &[(&str, String)]) -> Self {
        let redis = Redis::start().await;
        let setup = || {
            let mut setup = Setup::new();
            setup.text("database.url", database).text("redis.url", &redis.url());
            for (key, value) in settings {
                setup.set(key, value);
            }
            setup
        };
        let one = setup().start().await;
        let other = setup().start_beside(&one).await;
        Self { redis, one, other }
    }

    /// An agent at work on the other node, of whom the first one knows.
    async fn agent_on_other(&self, name: &str) -> (Agent, Client) {
        let account = self.one.hire(name).await;
        let client = self.other.join(&account.token).await;
        is_seen(&self.one, &account, "online").await;
        (account, client)
    }
}

/// Waits until `server` says that an agent is so.
async fn is_seen(server: &Server, agent: &Agent, status: &str) {
    let watcher = server.hire_as(&server.project, "Vera", "viewer", &[]).await;
    until(format!("{} is seen {status}", agent.email), || async {
        let seen = server.join(&watcher.token).await;
        (status_in(&seen.hello, agent) == status).then_some(())
    })
    .await;
}

fn status_in(hello: &Value, agent: &Agent) -> String {
    let agents = hello["agents"].as_array().unwrap();
    let seen = agents.iter().find(|it| it["id"] == *agent.id);
    seen.map_or_else(|| "unknown".to_owned(), |it| it["status"].as_str().unwrap().to_owned())
}

/// Turns an agent away from new conversations.
async fn steps_back(agent: &mut Client) {
    agent.ask(json!({"type": "availability", "status": "away"})).await;
}

fn joined(name: &str) -> impl Fn(&Value) -> bool {
    move |it| it["event"] == "joined" && it["body"]["agent"]["name"] == *name
}

fn left(name: &str) -> impl Fn(&Value) -> bool {
    move |it| it["event"] == "left" && it["body"]["agent"]["name"] == *name
}
