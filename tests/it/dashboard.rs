//! What alerts and dashboard ask for is what a running server shows: each series, with the labels that they go by.

use std::{collections::BTreeSet, time::Duration};

use rustls::version::{TLS12, TLS13};
use serde_json::Value;

use crate::support::{PATIENCE, Redis, Request, Server, Setup, certificate, postgres, tls_client};

/// What Prometheus itself adds, or what only counts within a histogram.
const ADDED: [&str; 3] = ["job", "instance", "le"];

/// A series that is asked for: its name, and labels with the value that is wanted, where one is.
#[derive(Debug)]
struct Asked {
    name: String,
    labels: Vec<(String, Option<String>)>,
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// `a="x", b!="y"` as labels; only `=` wants a value, and none of Grafana's own.
fn labels(selector: &str) -> Vec<(String, Option<String>)> {
    let parts = selector.split(',').map(str::trim).filter(|part| !part.is_empty());
    let label = |part: &str| {
        let name: String = part.chars().take_while(|letter| is_name(*letter)).collect();
        let value = part[name.len()..].strip_prefix("=\"").map(|value| value.trim_end_matches('"').to_owned());
        (name, value)
    };
    parts.map(label).filter(|(name, _)| !ADDED.contains(&name.as_str())).collect()
}

/// All series of an expression, each with the labels that it is summed by.
fn asked_by(expression: &str) -> Vec<Asked> {
    let groups = expression.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    let groups: Vec<_> = groups.flat_map(labels).collect();
    let starts = expression.match_indices("deskbell_").map(|(at, _)| &expression[at..]);
    let series = starts.map(|rest| {
        let name: String = rest.chars().take_while(|letter| is_name(*letter)).collect();
        let selector = rest[name.len()..].strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
        Asked { name, labels: labels(selector).into_iter().chain(groups.clone()).collect() }
    });
    series.collect()
}

fn expressions() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(format!("{}/deploy/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let rules = read("prometheus/deskbell.rules.yaml");
    let mut all: Vec<String> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned).collect();
    let dashboard: Value = serde_json::from_str(&read("grafana/deskbell.json")).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    all.extend(targets.flatten().map(|target| target["expr"].as_str().unwrap().to_owned()));
    all
}

fn is_shown(asked: &Asked, metrics: &str) -> bool {
    let rows = metrics.lines().filter_map(|line| line.strip_prefix(&asked.name));
    let mut rows = rows.filter(|rest| rest.starts_with(['{', ' ']));
    rows.any(|row| {
        asked.labels.iter().all(|(name, value)| match value {
            Some(value) => row.contains(&format!("{name}=\"{value}\"")),
            None => row.contains(&format!("{name}=\"")),
        })
    })
}

/// A node that has seen a little of everything.
async fn busy() -> (Redis, Server) {
    let redis = Redis::start().await;
    let mut setup = Setup::new();
    let made = certificate(setup.path());
    let file = |name: &str| setup.path().join(name).display().to_string();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    setup.text("tls.cert_file", &cert).text("tls.key_file", &key);
    setup.text("database.url", &postgres::database()).text("redis.url", &redis.url());
    let server = setup.start_tls(tls_client(&[&made], &[&TLS13, &TLS12])).await;
    let mut grace = server.agent("Grace").await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    grace.says(&chat, "Good morning").await;
    visitor.leave().await;
    (redis, server)
}

#[tokio::test]
async fn what_alerts_and_dashboard_ask_for_is_shown_by_a_running_server() {
    let (_redis, server) = busy().await;
    let expressions = expressions();
    assert!(expressions.len() > 30, "{}", expressions.len());
    let asked: Vec<Asked> = expressions.iter().flat_map(|expression| asked_by(expression)).collect();
    assert!(asked.iter().any(|asked| !asked.labels.is_empty()), "{asked:?}");
    let mut missing = BTreeSet::new();
    // Some are measured every few seconds.
    let looked = tokio::time::timeout(PATIENCE, async {
        loop {
            let shown = Request::get("/metrics").send(server.admin).await.with_status(200).body;
            missing = asked.iter().filter(|asked| !is_shown(asked, &shown)).map(|asked| format!("{asked:?}")).collect();
            if missing.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let looked = looked.await.is_ok();
    assert!(looked, "asked for, and not shown: {missing:#?}");
}
