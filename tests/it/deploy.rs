//! The balancers' examples in `deploy/`, as they are but for ports and paths, in front of two real nodes: people talk through
//! them by TLS, nodes know where they come from, and one node goes without anybody being lost.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
    sync::Arc,
};

use futures_util::future::join_all;
use rustls::{ClientConfig, version::TLS13};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::{Client, Redis, Request, SHOP, Server, Setup, Stream, certificate, postgres, tls_client, until};

/// How many sockets one address may hold on a node.
const EACH: u64 = 3;

fn example(name: &str) -> String {
    std::fs::read_to_string(format!("{}/deploy/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// `text` with each of the words replaced, all of which it must have.
fn with(mut text: String, words: &[(&str, &str)]) -> String {
    for (word, instead) in words {
        assert!(text.contains(word), "the example has no {word:?}");
        text = text.replace(word, instead);
    }
    text
}

fn free_address() -> SocketAddr {
    // Below the ports that the system gives to whoever connects: one of those may be taken again a moment later.
    let free = std::iter::repeat_with(|| SocketAddr::from((Ipv4Addr::LOCALHOST, rand::random_range(20_000..32_000))))
        .take(1_000)
        .find(|address| TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).is_ok());
    free.unwrap()
}

/// Another of this machine's addresses: somebody else.
fn person(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, number).into()
}

/// Two nodes behind a balancer. The balancer is killed when dropped.
struct Front {
    folder: TempDir,
    _redis: Redis,
    nodes: Vec<Server>,
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    balancer: Option<Child>,
}

impl Front {
    /// The nodes, which believe this machine; `passes_tls`: they speak TLS themselves.
    async fn prepare(passes_tls: bool) -> Self {
        let folder = TempDir::new().unwrap();
        let made = certificate(folder.path());
        let tls = tls_client(&[&made], &[&TLS13]);
        let (redis, database, address) = (Redis::start().await, postgres::database(), free_address());
        let setup = || {
            let mut setup = Setup::new();
            setup.text("database.url", &database).text("redis.url", &redis.url()).limit("sockets_per_address", EACH);
            setup.limit("handshake_burst", 1_000).text("public_url", &format!("https://{address}"));
            setup.set("limits.exempt", "[]").set("proxies.trusted", "[\"127.0.0.1/32\"]");
            if passes_tls {
                let file = |name: &str| folder.path().join(name).display().to_string();
                setup.text("tls.cert_file", &file("cert.pem")).text("tls.key_file", &file("key.pem"));
                setup.set("proxies.proxy_protocol", true);
            }
            setup
        };
        let one = setup().start().await;
        let other = setup().start_beside(&one).await;
        Self { folder, _redis: redis, nodes: vec![one, other], address, tls, balancer: None }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The example's words for ports and paths, and what they are here.
    fn here(&self, text: String, listen: (&str, &str)) -> String {
        let [one, other] = [0, 1].map(|node: usize| self.nodes[node].address.to_string());
        let words = [
            listen,
            ("/etc/deskbell/fullchain.pem", &self.path("cert.pem")),
            ("/etc/deskbell/privkey.pem", &self.path("key.pem")),
            ("10.0.0.11:8080", &one),
            ("10.0.0.12:8080", &other),
        ];
        with(text, &words)
    }

    async fn start(&mut self, mut command: Command) {
        let log = std::fs::File::create(self.path("balancer.log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).kill_on_drop(true);
        self.balancer = Some(command.spawn().unwrap());
        until("the balancer passes on", || async { self.asks(person(1)).await }).await;
    }

    /// Asks for a visitor's session; none when there is no good answer.
    async fn asks(&self, from: IpAddr) -> Option<serde_json::Value> {
        let asked = json!({"project": self.nodes[0].project.public_key});
        let stream = Stream::dial_tls_from(from, self.address, &self.tls).await.ok()?;
        let answer = Request::post("/v1/sessions", &asked).header("Origin", SHOP).over(stream, self.address).await;
        (answer.status == 201).then(|| answer.json())
    }

    /// A socket through the balancer; none when it is refused.
    async fn socket(&self, from: IpAddr) -> Option<Client> {
        let stream = Stream::dial_tls_from(from, self.address, &self.tls).await.ok()?;
        Client::over(stream, self.address, None).await.ok()
    }

    async fn joins(&self, from: IpAddr, token: &str) -> Client {
        let mut client = until("a socket through the balancer", || async { self.socket(from).await }).await;
        client.connect(token, json!([])).await;
        client
    }

    /// What a company expects of it.
    async fn serves(mut self) {
        let (visitor, agent, chat) = self.lets_people_talk().await;
        self.knows_who_comes().await;
        self.loses_nobody(&visitor, &agent, &chat).await;
        self.balancer.take().unwrap().kill().await.unwrap();
    }

    /// The tokens of a visitor and an agent, and their conversation.
    async fn lets_people_talk(&self) -> (String, String, String) {
        let session = self.asks(person(2)).await.unwrap();
        let token = session["token"].as_str().unwrap();
        let mut visitor = self.joins(person(2), token).await;
        let chat = visitor.rings("Hello").await;
        let account = self.nodes[0].hire("Grace").await;
        let mut agent = self.joins(person(3), &account.token).await;
        agent.watches(&chat).await;
        agent.says(&chat, "What can I do for you?").await;
        visitor.find("the answer", |frame| frame["body"]["text"] == "What can I do for you?").await;
        (token.to_owned(), account.token, chat)
    }

    /// What dashboard and alerts ask for, a node of a cluster says, whether or not it ever happened.
    async fn shows_what_is_asked_for(&self) {
        let text = example("prometheus/deskbell.rules.yaml") + &example("grafana/deskbell.json");
        let words = text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
        let names: BTreeSet<&str> = words.filter(|word| word.starts_with("deskbell_")).collect();
        for name in names {
            // Durations are there when something took some: on the node where people talked, and once Redis was probed.
            until(format!("a node shows {name}"), || async {
                let shown = join_all(self.nodes.iter().map(|node| Request::get("/metrics").send(node.admin))).await;
                let lines = shown.iter().flat_map(|answer| answer.body.lines());
                lines
                    .into_iter()
                    .any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
                    .then_some(())
            })
            .await;
        }
    }

    /// Nodes count by the client's own address: were it the balancer's, two nodes would let in only six.
    async fn knows_who_comes(&self) {
        let mut crowd = Vec::new();
        for number in 10..14 {
            for _ in 0..EACH {
                crowd.push(self.socket(person(number)).await.unwrap_or_else(|| panic!("{number} is refused")));
            }
        }
        let mut greedy = Vec::new();
        while let Some(socket) = self.socket(person(20)).await {
            greedy.push(socket);
            assert!(greedy.len() <= 2 * usize::try_from(EACH).unwrap(), "nobody counts the sockets of an address");
        }
        assert!(greedy.len() >= usize::try_from(EACH).unwrap(), "{}", greedy.len());
    }

    /// One node is stopped: who was on it is told to come again, and finds the other by the same balancer.
    async fn loses_nobody(&mut self, visitor: &str, agent: &str, chat: &str) {
        let mut gone = self.nodes.remove(0);
        gone.signal("TERM").await;
        assert_eq!(gone.ended().await.code(), Some(0));
        assert!(gone.output().contains("cut=0"), "nobody is cut off: {}", gone.output());
        let mut visitor = self.joins(person(2), visitor).await;
        let mut agent = self.joins(person(3), agent).await;
        agent.watches(chat).await;
        visitor.says(chat, "Are you still there?").await;
        agent.find("what the visitor said", |frame| frame["body"]["text"] == "Are you still there?").await;
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("balancer: {}", std::fs::read_to_string(self.path("balancer.log")).unwrap_or_default());
        }
    }
}

#[tokio::test]
async fn through_haproxy() {
    let mut front = Front::prepare(true).await;
    let mut command = Command::new("haproxy");
    command.args(["-db", "-f", &format!("{}/deploy/haproxy.cfg", env!("CARGO_MANIFEST_DIR"))]);
    command.env("DESKBELL_BIND", front.address.to_string()).env("DESKBELL_SEND_PROXY", "1");
    for (name, node) in [("A", &front.nodes[0]), ("B", &front.nodes[1])] {
        command.env(format!("DESKBELL_{name}"), node.address.to_string());
        command.env(format!("DESKBELL_{name}_ADMIN_PORT"), node.admin.port().to_string());
    }
    front.start(command).await;
    front.lets_people_talk().await;
    front.shows_what_is_asked_for().await;
    front.serves().await;
}

#[tokio::test]
async fn through_nginx() {
    let mut front = Front::prepare(false).await;
    let config = front.here(example("nginx.conf"), ("listen 443", &format!("listen {}", front.address)));
    let config = with(config, &[("listen 80;", &format!("listen {};", free_address()))]);
    std::fs::write(front.path("nginx.conf"), config).unwrap();
    let mut command = Command::new("nginx");
    let folder = Path::new(&front.path("nginx.conf")).to_owned();
    command.arg("-c").arg(folder).arg("-g");
    // One process, so that nothing of it outlives the test.
    command.arg(format!("daemon off; master_process off; error_log stderr; pid {};", front.path("nginx.pid")));
    front.start(command).await;
    front.serves().await;
}

#[tokio::test]
async fn through_caddy() {
    let mut front = Front::prepare(false).await;
    let site = format!("https://{} {{", front.address);
    let config = front.here(example("Caddyfile"), ("https://chat.example.org:443 {", &site));
    let config = with(config, &[("http_port 80", &format!("http_port {}", free_address().port()))]);
    std::fs::write(front.path("Caddyfile"), config).unwrap();
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config", &front.path("Caddyfile")]);
    command.env("CADDY_ADMIN", free_address().to_string()).env("XDG_DATA_HOME", front.path("caddy"));
    command.env("XDG_CONFIG_HOME", front.path("caddy"));
    front.start(command).await;
    front.serves().await;
}

/// What the files set, the program takes: their certificates aside, which are not here.
#[tokio::test]
async fn the_configurations_are_taken() {
    let setup = Setup::new();
    let folder = setup.path();
    certificate(folder);
    let path = |name: &str| folder.join(name).display().to_string();
    let kubernetes = folder.join("kubernetes.toml");
    let words = [("/etc/deskbell-tls/tls.crt", path("cert.pem")), ("/etc/deskbell-tls/tls.key", path("key.pem"))];
    let words: Vec<(&str, &str)> = words.iter().map(|(word, instead)| (*word, &**instead)).collect();
    std::fs::write(&kubernetes, with(example("kubernetes/deskbell.toml"), &words)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_deskbell"));
    command.arg("check-config").arg("--config").arg(kubernetes);
    let said = command.output().await.unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    for file in ["compose.yaml", "compose.single.yaml"] {
        let text = example(file);
        let settings =
            text.lines().filter_map(|line| line.strip_prefix("    DESKBELL_").or(line.strip_prefix("      DESKBELL_")));
        let settings =
            settings.filter_map(|line| line.split_once(": ")).filter(|(name, _)| !OF_THE_BALANCER.contains(name));
        let mut command = Command::new(env!("CARGO_BIN_EXE_deskbell"));
        command.arg("check-config");
        let mut count = 0;
        for (name, value) in settings {
            let value = match name {
                "PUBLIC_URL" => "https://chat.example.org".to_owned(),
                "TLS__CERT_FILE" => path("cert.pem"),
                "TLS__KEY_FILE" => path("key.pem"),
                _ => value.trim_matches('"').replace("${POSTGRES_PASSWORD:?}", "a").replace("${REDIS_PASSWORD:?}", "b"),
            };
            command.env(format!("DESKBELL_{name}"), value);
            count += 1;
        }
        assert!(count > 5, "{file} sets nothing");
        let said = command.output().await.unwrap();
        assert!(said.status.success(), "{file}: {}", String::from_utf8_lossy(&said.stderr));
    }
}

/// What compose.yaml tells the balancer.
const OF_THE_BALANCER: [&str; 6] = ["BIND", "SEND_PROXY", "A", "B", "A_ADMIN_PORT", "B_ADMIN_PORT"];

/// Redis gone is gone for all pods: they are asked so that they stay, and only then.
#[tokio::test]
async fn pods_stay_ready_without_redis() {
    let manifest = example("kubernetes/deployment.yaml");
    let (_, rest) = manifest.split_once("readinessProbe:").unwrap();
    let path = rest.split('"').nth(1).unwrap();
    let (mut redis, mut setup) = (Redis::start().await, Setup::new());
    setup.text("database.url", &postgres::database()).text("redis.url", &redis.url());
    let server = setup.start().await;
    let status = async |path: &str| Request::get(path).send(server.admin).await.status;
    assert_eq!((status("/readyz").await, status(path).await), (200, 200));
    redis.kill().await;
    until("the node is deaf", || async { (status("/readyz").await == 503).then_some(()) }).await;
    assert_eq!((status(path).await, status("/readyz?exclude=log_writable").await), (200, 503));
    assert_eq!(status("/readyz?exclude=everything").await, 400);
}
