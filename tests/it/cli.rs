//! The command line: what it prints, where, and with which exit code.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::support::{PASSWORD, Request, Server, Setup, until, within};

#[tokio::test]
async fn every_mistake_of_a_configuration_is_told_at_once() {
    let mut setup = Setup::new();
    setup
        .text("listen", "nowhere")
        .text("log.format", "poem")
        .text("public_url", "http://chat.example.org")
        .text("redis.url", "localhost:6379")
        .text("database.url", "mysql://x")
        .text("tls.cert_file", "/nowhere/cert.pem")
        .set("tokens.ttl_s", 5)
        .set("limits.frame_bytes", "\"many\"")
        .set("limits.exempt", "[\"everybody\"]")
        .set("colour", "\"brass\"");
    for command in [["check-config"], ["serve"], ["limits"]] {
        let refused = setup.cli(command).await;
        assert_eq!(refused.code(), Some(64), "{command:?}");
        let told = refused.errors();
        let keys = ["listen", "log.format", "public_url", "redis.url", "database.url", "tls.cert_file", "tokens.ttl_s"];
        for key in keys.iter().chain(&["limits.frame_bytes", "limits.exempt", "colour", "tls.key_file"]) {
            assert!(told.contains(key), "{key} is not in {told}");
        }
    }
}

#[tokio::test]
async fn what_is_no_toml_or_not_there_is_said_plainly() {
    let setup = Setup::new();
    let refused = run(&["check-config", "--config", "/nowhere/deskbell.toml"]).await;
    assert_eq!(refused.0, Some(64));
    assert!(refused.2.contains("/nowhere/deskbell.toml"), "{}", refused.2);
    let path = setup.path().join("broken.toml");
    std::fs::write(&path, "listen = = 1").unwrap();
    let refused = run(&["check-config", "--config", path.to_str().unwrap()]).await;
    assert_eq!(refused.0, Some(64));
    assert!(refused.2.contains("TOML"), "{}", refused.2);
}

/// Runs the program as it is: exit code, stdout, stderr.
async fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deskbell"));
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = within(format!("{arguments:?}"), command.output()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn the_effective_configuration_is_shown_and_no_secret_ever() {
    let mut setup = Setup::new();
    setup.limit("fragments", 5);
    let shown = setup.cli(["check-config"]).await.text();
    assert!(shown.contains("limits.fragments = 5"), "{shown}");
    let again: Value = setup.cli(["check-config", "--json"]).await.json();
    assert_eq!(again["settings"]["limits"]["fragments"], 5);
    setup.text("database.url", "postgres://deskbell:s3cret@localhost/deskbell");
    let shown = setup.cli(["check-config"]).await.text();
    assert!(shown.contains("database.url = \"****\"") && !shown.contains("s3cret"), "{shown}");
    setup.text("database.url", "postgres://deskbell:s3cret@localhost/deskbell?sslmode=maybe");
    let refused = setup.cli(["check-config"]).await;
    assert!(refused.errors().contains("sslmode takes") && !refused.errors().contains("s3cret"), "{}", refused.errors());
}

#[tokio::test]
async fn environment_and_flags_overrule_the_file() {
    let setup = Setup::new();
    let config = setup.write();
    let mut command = Command::new(env!("CARGO_BIN_EXE_deskbell"));
    command.args(["limits", "--json", "--set", "limits.fragments=7", "--config"]).arg(config);
    command.env("DESKBELL_LIMITS__FRAGMENTS", "6").env("DESKBELL_LIMITS__WRITE_BURST", "33");
    let output = command.output().await.unwrap();
    let limits: Value = serde_json::from_slice(&output.stdout).unwrap();
    let value = |name: &str| {
        limits["limits"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap()["value"].clone()
    };
    assert_eq!((value("fragments"), value("write_burst")), (json!(7), json!(33)));
}

#[tokio::test]
async fn every_limit_is_printed_with_its_unit_and_a_metric_that_exists() {
    let server = Server::start().await;
    let limits = server.cli(["limits", "--json"]).await.json();
    let shown = Request::get("/metrics").send(server.admin).await.body;
    let limits = limits["limits"].as_array().unwrap();
    assert!(limits.len() > 25, "{}", limits.len());
    for limit in limits {
        let metric = limit["metric"].as_str().unwrap();
        let name = metric.split('{').next().unwrap();
        assert!(shown.contains(metric) || shown.contains(name), "{metric} is not shown");
        assert!(!limit["unit"].as_str().unwrap().is_empty() && !limit["what"].as_str().unwrap().is_empty());
    }
    let text = server.cli(["limits"]).await.text();
    assert!(limits.iter().all(|limit| text.contains(limit["name"].as_str().unwrap())));
}

#[tokio::test]
async fn the_documents_are_those_of_the_server_and_of_the_repository() {
    let server = Server::start().await;
    for (command, path, file) in [
        ("openapi", "/v1/openapi.json", "web/types/openapi.json"),
        ("asyncapi", "/v1/asyncapi.json", "docs/asyncapi.json"),
    ] {
        let printed = server.cli([command]).await.json();
        let answer = Request::get(path).send(server.address).await.with_status(200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.json(), printed, "{command}");
        let kept = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), printed, "`make gen` brings {file} up to date");
    }
}

#[tokio::test]
async fn tokens_come_one_a_line_and_open_sockets() {
    let server = Server::start().await;
    let id = server.project.id.clone();
    let tokens = server.cli(["token", "--project", &id, "--kind", "visitor", "--count", "3"]).await.text();
    let tokens: Vec<&str> = tokens.lines().collect();
    assert_eq!(tokens.len(), 3);
    let mut subjects = Vec::new();
    for token in tokens {
        subjects.push(server.join(token).await.subject());
    }
    subjects.dedup();
    assert_eq!(subjects.len(), 3, "a visitor each");
    let account = server.hire("Grace").await;
    let both =
        server.cli(["token", "--project", &id, "--kind", "agent", "--agent", &account.id, "--json"]).await.json();
    assert_eq!(server.join(both["tokens"][0].as_str().unwrap()).await.subject(), account.id);
}

#[tokio::test]
async fn exit_codes_tell_what_kind_of_failure_it_was() {
    let server = Server::start().await;
    let id = server.project.id.clone();
    let unknown = uuid::Uuid::now_v7().to_string();
    let code = async |arguments: &[&str]| server.cli_with(arguments, "").await.code();
    for (arguments, expected) in [
        (vec!["dance"], 2),
        (vec!["token", "--project", &id], 2),
        (vec!["token", "--project", &id, "--kind", "agent"], 2),
        (vec!["token", "--project", &id, "--kind", "visitor", "--ttl", "2d"], 2),
        (vec!["token", "--project", "seven", "--kind", "visitor"], 2),
        (vec!["project", "create", "--name", "X", "--origin", "shop.example"], 2),
        (vec!["agent", "create", "--project", &id, "--email", "a@b.example", "--name", "A", "--role", "king"], 2),
        (vec!["token", "--project", &unknown, "--kind", "visitor"], 1),
        (vec!["project", "show", "--project", &unknown], 1),
        (vec!["project", "set", "--project", &id], 2),
        (vec!["project", "set", "--project", &id, "--name", "Shop"], 0),
        (vec!["agent", "disable", "--agent", "nobody@example.org"], 1),
        (vec!["serve"], 1),
        (vec!["project", "list"], 0),
        (vec!["healthcheck", "--set", &format!("admin.listen={}", server.admin)], 0),
        (vec!["healthcheck", "--set", "admin.listen=127.0.0.1:1"], 1),
    ] {
        if arguments == ["serve"] {
            let taken = format!("listen={}", server.address);
            assert_eq!(code(&["serve", "--set", &taken]).await, Some(expected), "the port is taken");
            continue;
        }
        assert_eq!(code(&arguments).await, Some(expected), "{arguments:?}");
    }
}

#[tokio::test]
async fn json_is_one_object_and_people_read_stderr() {
    let server = Server::start().await;
    let made = server.cli(["project", "create", "--name", "X", "--origin", "https://x.example"]).await;
    assert_eq!(made.text(), "", "text for people goes to stderr");
    assert!(made.errors().contains("public key"));
    let list = server.cli(["project", "list", "--json"]).await.json();
    assert_eq!(list["projects"].as_array().unwrap().len(), 2);
    let shown = server.cli(["project", "show", "--project", &server.project.id]).await.json();
    assert_eq!((&shown["name"], &shown["origins"]), (&json!("Shop"), &json!(["https://shop.example"])));
    assert_eq!(shown["identity_secret"], server.project.identity_secret);
}

#[tokio::test]
async fn lists_are_tables_for_people() {
    let server = Server::start().await;
    let account = server.hire("Grace").await;
    let listed = server.cli(["agent", "list", "--project", &server.project.id]).await.text();
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 2, "{listed}");
    assert_eq!(rows[0], ["agent", "email", "name", "role", "capacity", "disabled"]);
    assert_eq!((rows[1][0], rows[1][2], rows[1].last()), (account.id.as_str(), "Grace", Some(&"false")));
    let keys = server.cli(["keys", "list"]).await.text();
    assert!(keys.lines().nth(1).unwrap().ends_with("  0 days ago  -"), "made today, and not retired: {keys}");
}

/// A wrong folder must not look like a database without projects.
#[tokio::test]
async fn only_what_begins_makes_a_database() {
    let mut setup = Setup::new();
    setup.text("database.url", "sqlite");
    let unknown = uuid::Uuid::now_v7().to_string();
    for command in [["project", "list"], ["keys", "list"], ["backup", "file"]] {
        let refused = setup.cli(command).await;
        assert_eq!(refused.code(), Some(1), "{command:?}");
        assert!(refused.errors().contains("there is no deskbell.db in"), "{command:?}: {}", refused.errors());
    }
    assert_eq!(setup.cli(["agent", "list", "--project", &unknown]).await.code(), Some(1));
    assert!(!setup.path().join("data").exists());
    let made = setup.cli(["project", "create", "--name", "X", "--origin", "https://x.example"]).await;
    assert_eq!(made.code(), Some(0), "{}", made.errors());
    let snippet = "<script src=\"http://127.0.0.1:0/w/loader.js\" data-project=\"";
    assert!(made.errors().contains(snippet), "{}", made.errors());
    assert!(setup.cli(["project", "list"]).await.text().contains("https://x.example"));
}

#[tokio::test]
async fn migrate_makes_a_database_that_serve_takes() {
    let mut setup = Setup::new();
    setup.text("database.url", "sqlite");
    let made = setup.cli(["migrate", "--json"]).await.json();
    let schema = made["schema"].as_i64().unwrap();
    assert_eq!(made, json!({"migrated": true, "found": 0, "schema": schema}));
    assert!(setup.path().join("data/deskbell.db").exists());
    let again = setup.cli(["migrate"]).await;
    assert_eq!(again.text(), "");
    assert!(again.errors().contains(&format!("has schema {schema} already")), "{}", again.errors());
    setup.start().await.visitor().await;
}

#[tokio::test]
async fn a_postgresql_that_is_not_there_is_an_error_and_no_reason_to_use_something_else() {
    let mut setup = Setup::new();
    setup.text("database.url", "postgres://deskbell:s3cret@127.0.0.1:1/deskbell");
    for command in ["serve", "migrate"] {
        let refused = setup.cli([command]).await;
        assert_eq!(refused.code(), Some(1));
        let said = refused.errors();
        assert!(said.contains("PostgreSQL can't be reached at the address in `database.url`"), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    assert!(!setup.path().join("data").exists());
}

#[tokio::test]
async fn the_demo_says_where_it_is_and_lets_its_agents_in() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deskbell"));
    command.args(["demo", "--json", "--listen", "127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut demo = command.spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let line = within("the demo is ready", lines.next_line()).await.unwrap().unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let address = ready["url"].as_str().unwrap().rsplit("//").next().unwrap().trim_end_matches('/').parse().unwrap();
    let page = Request::get("/demo").send(address).await.with_status(200);
    assert!(page.body.contains(ready["project"]["public_key"].as_str().unwrap()), "{}", page.body);
    for agent in ready["agents"].as_array().unwrap() {
        let asked = json!({"email": agent["email"], "password": agent["password"]});
        Request::post("/v1/agents/login", &asked).send(address).await.with_status(204);
    }
    let asked = json!({"project": ready["project"]["public_key"]});
    Request::post("/v1/sessions", &asked).send(address).await.with_status(201);
    let folder = std::path::PathBuf::from(ready["data_dir"].as_str().unwrap());
    assert!(folder.exists());
    let pid = demo.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().await.unwrap().success());
    assert_eq!(within("the demo ends", demo.wait()).await.unwrap().code(), Some(0));
    assert!(!folder.exists(), "a throw-away folder is thrown away");
}

#[tokio::test]
async fn a_password_is_read_from_stdin_only() {
    let server = Server::start().await;
    let id = server.project.id.clone();
    let arguments = ["agent", "create", "--project", &id, "--email", "g@example.org", "--name", "G"];
    assert_eq!(server.cli(arguments).await.code(), Some(2), "without --password-stdin");
    let with_flag = [&arguments[..], &["--password-stdin"]].concat();
    // A terminal's input does not end with the line.
    server.cli_with(&with_flag, &format!("{PASSWORD}\nanother line\n")).await.text();
    let asked = json!({"email": "g@example.org", "password": PASSWORD});
    Request::post("/v1/agents/login", &asked).send(server.address).await.with_status(204);
}

#[tokio::test]
async fn top_shows_what_a_server_does() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let _agent = server.agent("Grace").await;
    let at = format!("admin.listen={}", server.admin);
    let looking = server.cli(["top", "--once", "--set", &at]);
    let talking = async {
        let chat = visitor.rings("Hello").await;
        visitor.says(&chat, "Is anybody there?").await;
    };
    let (page, ()) = tokio::join!(looking, talking);
    let page = page.text();
    let line = |name: &str| page.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default();
    assert_eq!((line("deskbell"), line("sessions"), line("left out")), ("serves", "1 agent   1 visitor", "nothing"));
    assert_eq!(line("outboxes"), "0.0 MiB");
    assert!(line("answered").ends_with(" ms") || line("answered").ends_with('-'), "{page}");
    let gone = server.cli(["top", "--once", "--set", "admin.listen=127.0.0.1:1"]).await;
    assert_eq!(gone.code(), Some(1));
}

#[tokio::test]
async fn who_waits_in_line_is_counted() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    visitor.rings("Hello").await;
    let waiting = format!("deskbell_conversations_waiting{{project=\"{}\"}} ", server.project.id);
    let counts = async |number: &str| {
        until(format!("{number} in line"), || async {
            let shown = Request::get("/metrics").send(server.admin).await.body;
            shown.lines().any(|line| line.strip_prefix(&waiting) == Some(number)).then_some(())
        })
        .await;
    };
    counts("1").await;
    let page = server.cli(["top", "--once", "--set", &format!("admin.listen={}", server.admin)]).await.text();
    assert!(page.contains("\nin line      1\n"), "{page}");
    let _agent = server.agent("Grace").await;
    counts("0").await;
}
