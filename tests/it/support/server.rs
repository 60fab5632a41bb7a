//! A server of one's own: the real program, in a folder that goes away with the test.

use std::{
    fmt::{Display, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    sync::Arc,
};

use rustls::ClientConfig;
use sqlx::Connection as _;
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
};

use super::{Answer, Client, Project, Request, SHOP, Stream, postgres, until, within};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_deskbell");

/// A server's configuration in the making.
pub(crate) struct Setup {
    folder: TempDir,
    settings: Vec<(String, String)>,
    environment: Vec<(&'static str, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        let mut setup = Self { folder: TempDir::new().unwrap(), settings: Vec::new(), environment: Vec::new() };
        setup.text("listen", "127.0.0.1:0").text("admin.listen", "127.0.0.1:0");
        let data = setup.path().join("data").display().to_string();
        setup.text("data_dir", &data);
        if postgres::is_default() {
            setup.text("database.url", &postgres::database());
        }
        // Tests come from one address, all at once.
        setup.set("limits.exempt", "[\"127.0.0.0/8\"]").limit("reconnect_window_ms", 100);
        setup
    }
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Sets `key` to what is TOML already.
    pub(crate) fn set(&mut self, key: &str, value: impl Display) -> &mut Self {
        self.settings.retain(|(known, _)| known != key);
        self.settings.push((key.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.set(key, format!("\"{value}\""))
    }

    pub(crate) fn limit(&mut self, name: &str, value: u64) -> &mut Self {
        self.set(&format!("limits.{name}"), value)
    }

    /// Sets a variable of the server's environment.
    pub(crate) fn variable(&mut self, name: &'static str, value: impl Display) -> &mut Self {
        self.environment.push((name, value.to_string()));
        self
    }

    /// Makes the project and starts the server.
    pub(crate) async fn start(self) -> Server {
        self.start_with(None).await
    }

    /// Makes the project and starts the server, reached by TLS.
    pub(crate) async fn start_tls(self, tls: Arc<ClientConfig>) -> Server {
        self.start_with(Some(tls)).await
    }

    /// Starts one more server of a project that is there already, in the same database.
    pub(crate) async fn start_beside(self, other: &Server) -> Server {
        self.start_bare(None, other.project.clone()).await
    }

    async fn start_with(self, tls: Option<Arc<ClientConfig>>) -> Server {
        let made = self.cli(["project", "create", "--name", "Shop", "--origin", SHOP, "--json"]).await;
        self.start_bare(tls, Project::of(&made.json())).await
    }

    async fn start_bare(mut self, tls: Option<Arc<ClientConfig>>, project: Project) -> Server {
        let config = self.write();
        let settings = std::mem::take(&mut self.settings);
        let mut server = Server {
            folder: self.folder,
            settings,
            environment: self.environment,
            config,
            child: None,
            starts: 0,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls,
            project,
        };
        server.start_process().await;
        server
    }

    /// Writes the configuration file.
    pub(crate) fn write(&self) -> PathBuf {
        write_config(self.path(), &self.settings)
    }

    /// Runs the command line with this configuration, no server running.
    pub(crate) async fn cli<const N: usize>(&self, arguments: [&str; N]) -> Cli {
        run(&self.write(), &arguments, "").await
    }
}

fn write_config(folder: &Path, settings: &[(String, String)]) -> PathBuf {
    let text = settings.iter().fold(String::new(), |mut text, (key, value)| {
        writeln!(text, "{key} = {value}").unwrap();
        text
    });
    let path = folder.join("deskbell.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// A running server. Killed when dropped.
pub(crate) struct Server {
    folder: TempDir,
    settings: Vec<(String, String)>,
    environment: Vec<(&'static str, String)>,
    config: PathBuf,
    child: Option<Child>,
    starts: u32,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    /// The project that is there from the start.
    pub(crate) project: Project,
}

impl Server {
    /// A server with the usual configuration.
    pub(crate) async fn start() -> Self {
        Setup::new().start().await
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn start_process(&mut self) {
        self.starts += 1;
        let log = std::fs::File::create(self.log_path()).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg("--config").arg(&self.config).kill_on_drop(true);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let what = "the server says where it is";
        (self.address, self.admin) = until(what, || async { self.announced() }).await;
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join(format!("server-{}.log", self.starts))
    }

    /// What the present process has written.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Where the server says it listens, once it has said so.
    fn announced(&self) -> Option<(SocketAddr, SocketAddr)> {
        let output = self.output();
        let (_, rest) = output.split_once("listening on ")?;
        let (public, rest) = rest.split_once(", admin on ")?;
        let (admin, _) = rest.split_once(", ready")?;
        // What follows the address is how the outside reaches it.
        let address = |url: &str| url.split(' ').next()?.rsplit('/').next()?.parse().ok();
        Some((address(public)?, address(admin)?))
    }

    /// The process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).unwrap()
    }

    /// Kills it as a power cut would.
    pub(crate) async fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().await.unwrap();
    }

    /// Sends a signal by name.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().await.unwrap().success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        within("the server ends", child.wait()).await.unwrap()
    }

    /// Starts it again on the same folder and ports.
    pub(crate) async fn start_again(&mut self) {
        let (listen, admin) = (self.address.to_string(), self.admin.to_string());
        for (key, value) in &mut self.settings {
            match key.as_str() {
                "listen" => *value = format!("\"{listen}\""),
                "admin.listen" => *value = format!("\"{admin}\""),
                _ => {}
            }
        }
        write_config(self.folder.path(), &self.settings);
        self.start_process().await;
    }

    /// A connection on which nothing was said yet.
    pub(crate) async fn dial(&self) -> Stream {
        within("a connection", Stream::dial(self.address, self.tls.as_ref())).await.unwrap()
    }

    /// What the server answers to a request, by TLS where it speaks that.
    pub(crate) async fn http(&self, request: Request) -> Answer {
        let stream = self.dial().await;
        within("an answer", request.over(stream, self.address)).await
    }

    /// A WebSocket on which nothing was said yet.
    pub(crate) async fn socket(&self) -> Client {
        Client::over(self.dial().await, self.address, None).await.unwrap()
    }

    /// A session by this token.
    pub(crate) async fn join(&self, token: &str) -> Client {
        let mut client = self.socket().await;
        client.connect(token, serde_json::json!([])).await;
        client
    }

    /// Runs the command line beside the running server.
    pub(crate) async fn cli<const N: usize>(&self, arguments: [&str; N]) -> Cli {
        self.cli_with(&arguments, "").await
    }

    pub(crate) async fn cli_with(&self, arguments: &[&str], input: &str) -> Cli {
        run(&self.config, arguments, input).await
    }

    /// Changes the database behind the running server's back.
    pub(crate) async fn sql(&self, text: &'static str) {
        let is_elsewhere = |(key, url): &&(String, String)| key == "database.url" && url != "\"sqlite\"";
        let configured = self.settings.iter().find(is_elsewhere);
        let url =
            configured.map_or_else(|| sqlite(&self.path().join("data")), |(_, url)| url.trim_matches('"').to_owned());
        let mut database = open_database(&url).await;
        within(text, sqlx::raw_sql(text).execute(&mut database)).await.unwrap();
    }

    /// A metric's value, e.g. of `deskbell_refusals_total{limit="fragments"}`.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let all = Request::get("/metrics").send(self.admin).await.with_status(200).body;
        let line = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("there is no metric {name}"))
    }

    /// Waits until a limit has held at least once.
    pub(crate) async fn has_refused(&self, limit: &str) {
        let metric = format!("deskbell_refusals_total{{limit=\"{limit}\"}}");
        until(format!("{metric} counts"), || async { (self.metric(&metric).await > 0.0).then_some(()) }).await;
    }

    /// Memory in use, in MiB.
    pub(crate) fn resident_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap() / 1_024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = self.output();
            let tail: Vec<&str> = output.lines().rev().take(30).collect();
            for line in tail.iter().rev() {
                println!("server: {line}");
            }
        }
    }
}

/// A connection to the database of a server, past the server.
pub(crate) async fn open_database(url: &str) -> sqlx::AnyConnection {
    sqlx::any::install_default_drivers();
    sqlx::AnyConnection::connect(url).await.unwrap()
}

/// The address of the SQLite file in a data directory.
pub(crate) fn sqlite(data: &Path) -> String {
    format!("sqlite://{}", data.join("deskbell.db").display())
}

/// What the command line gave.
#[derive(Debug)]
pub(crate) struct Cli {
    what: String,
    output: Output,
}

impl Cli {
    pub(crate) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    pub(crate) fn errors(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// What a command that went well printed.
    pub(crate) fn text(&self) -> String {
        assert!(self.output.status.success(), "`deskbell {}`: {}", self.what, self.errors());
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("`deskbell {}`: {error} in {text:?}", self.what))
    }
}

/// Runs the program with `arguments` and the configuration in `config`.
async fn run(config: &Path, arguments: &[&str], input: &str) -> Cli {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).arg("--config").arg(config).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let what = arguments.join(" ");
    let running = async {
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // One that refuses its arguments does not wait for its input.
        drop(stdin.write_all(input.as_bytes()).await);
        drop(stdin);
        child.wait_with_output().await.unwrap()
    };
    let output = within(format!("`deskbell {what}`"), running).await;
    Cli { what, output }
}
