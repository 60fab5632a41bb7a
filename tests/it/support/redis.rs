//! A Redis of one's own: the real server on a socket in a folder that goes away with the test.

use std::process::Stdio;

use redis::{Client, FromRedisValue, aio::MultiplexedConnection};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::until;

/// A running Redis. Killed when dropped.
pub(crate) struct Redis {
    folder: TempDir,
    settings: Vec<String>,
    child: Option<Child>,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with further settings, as they stand on its command line.
    pub(crate) async fn start_with(settings: &[&str]) -> Self {
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let mut redis = Self { folder: TempDir::new().unwrap(), settings, child: None };
        redis.start_again().await;
        redis
    }

    /// Starts it again where it was.
    pub(crate) async fn start_again(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--loglevel", "warning"]);
        command.arg("--dir").arg(self.folder.path()).arg("--unixsocket").arg(self.socket());
        command.args(&self.settings).kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(
            command.spawn().unwrap_or_else(|error| panic!("redis-server: {error}; scripts/setup.sh test installs it")),
        );
        until("Redis answers", || async { self.connection().await.map(drop) }).await;
    }

    fn socket(&self) -> String {
        self.folder.path().join("redis.sock").display().to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket())
    }

    /// The address for one who logs in.
    pub(crate) fn url_of(&self, user: &str, password: &str) -> String {
        format!("unix://{}?user={user}&pass={password}", self.socket())
    }

    pub(crate) async fn connection(&self) -> Option<MultiplexedConnection> {
        Client::open(self.url()).unwrap().get_multiplexed_async_connection().await.ok()
    }

    /// Carries out a command.
    pub(crate) async fn say<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query_async(&mut self.connection().await.unwrap()).await.unwrap()
    }

    /// Kills it as a power cut would.
    pub(crate) async fn kill(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
        drop(std::fs::remove_file(self.socket()));
    }

    /// Sends a signal by name.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.as_ref().and_then(Child::id).unwrap().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().await.unwrap().success());
    }
}
