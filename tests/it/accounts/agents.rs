//! Agents: sign-in, the cookie, tokens, and being shut out.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Agent, Answer, Client, PASSWORD, Request, Server, Setup, until};

/// Within this time a revocation must have closed an agent's sockets.
const SHUT_OUT_WITHIN: Duration = Duration::from_secs(2);

async fn login(server: &Server, email: &str, password: &str) -> Answer {
    Request::post("/v1/agents/login", &json!({"email": email, "password": password})).send(server.address).await
}

async fn token(server: &Server, cookie: &str) -> Answer {
    Request::new("POST", "/v1/agents/token").header("Cookie", cookie).send(server.address).await
}

#[tokio::test]
async fn an_agent_signs_in_gets_a_token_and_signs_out() {
    let server = Server::start().await;
    let account = server.hire("Grace").await;
    let answer = login(&server, &account.email.to_uppercase(), PASSWORD).await.with_status(204);
    let cookie = answer.header("set-cookie").unwrap();
    for flag in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    assert!(!cookie.contains("Max-Age") && !cookie.contains("Expires"), "it ends with the browser: {cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let given = token(&server, cookie).await.with_status(200).json();
    assert_eq!((&given["agent"]["id"], &given["agent"]["role"]), (&json!(account.id), &json!("agent")));
    assert_eq!(given["project"]["public_key"], server.project.public_key);
    let mut agent = server.join(given["token"].as_str().unwrap()).await;
    assert_eq!((&agent.hello["kind"], &agent.hello["role"]), (&json!("agent"), &json!("agent")));
    let logout = Request::new("POST", "/v1/agents/logout").header("Cookie", cookie);
    let answer = logout.send(server.address).await.with_status(204);
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(agent.closed().await, 4501, "its sockets end with it");
    assert_eq!(token(&server, cookie).await.with_status(401).problem(), "unauthorized");
    must_be_turned_away(&server, given["token"].as_str().unwrap()).await;
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_look_alike() {
    let server = Server::start().await;
    let account = server.hire("Grace").await;
    let wrong = login(&server, &account.email, "not the password at all").await;
    let unknown = login(&server, "nobody@example.org", "not the password at all").await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None));
    assert_eq!((wrong.status, wrong.body), (unknown.status, unknown.body));
    assert_eq!(token(&server, "deskbell=made-up").await.status, 401);
    assert_eq!(Request::new("POST", "/v1/agents/token").send(server.address).await.status, 401);
}

/// Loosely: a server that did not hash for unknown accounts would answer them ten times as fast.
#[tokio::test]
async fn an_unknown_account_costs_as_much_as_a_known_one() {
    let mut setup = Setup::new();
    setup.limit("logins_per_15_minutes", 1_000);
    let server = setup.start().await;
    let account = server.hire("Grace").await;
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..5 {
        for (at, email) in [account.email.as_str(), "nobody@example.org"].into_iter().enumerate() {
            let begun = Instant::now();
            login(&server, email, "not the password at all").await.with_status(401);
            fastest[at] = fastest[at].min(begun.elapsed());
        }
    }
    let [known, unknown] = fastest;
    assert!(unknown * 3 > known, "{unknown:?} for an unknown account, {known:?} for a known one");
}

#[tokio::test]
async fn who_guesses_is_slowed_down() {
    let mut setup = Setup::new();
    setup.limit("logins_per_15_minutes", 3);
    let server = setup.start().await;
    let account = server.hire("Grace").await;
    for _ in 0..3 {
        login(&server, &account.email, "a wrong password").await.with_status(401);
    }
    let refused = login(&server, &account.email, PASSWORD).await.with_status(429);
    assert_eq!(refused.problem(), "rate_limited");
    // The first of the three must be 15 minutes old: one that trickled back sooner would be the fourth in that time.
    let retry_after_s: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((800..=900).contains(&retry_after_s), "{retry_after_s}");
    let other = server.hire("Alan").await;
    login(&server, &other.email, PASSWORD).await.with_status(204);
    server.has_refused("logins_per_15_minutes").await;
}

#[tokio::test]
async fn an_address_that_guesses_is_slowed_down_whatever_the_account() {
    let mut setup = Setup::new();
    setup.limit("logins_per_15_minutes", 3).set("limits.exempt", "[]").limit("handshake_burst", 1_000);
    let server = setup.start().await;
    for n in 0..3 {
        login(&server, &format!("nobody-{n}@example.org"), "a wrong password").await.with_status(401);
    }
    login(&server, "nobody-4@example.org", "a wrong password").await.with_status(429);
}

/// Runs `deskbell agent <verb>` and waits until the agent's socket is closed for it, in time.
async fn shut_out_by(server: &Server, account: &Agent, agent: &mut Client, arguments: &[&str], input: &str) {
    let mut all = vec!["agent"];
    all.extend(arguments);
    all.extend(["--agent", &account.id]);
    server.cli_with(&all, input).await.text();
    let begun = Instant::now();
    assert_eq!(agent.closed().await, 4501, "{arguments:?}");
    assert!(begun.elapsed() < SHUT_OUT_WITHIN, "{arguments:?}: {:?}", begun.elapsed());
}

async fn must_be_turned_away(server: &Server, token: &str) {
    let mut socket = server.socket().await;
    assert_eq!(socket.refusal(json!({"type": "connect", "token": token})).await, "unauthorized");
    assert_eq!(socket.closed().await, 4501);
}

#[tokio::test]
async fn who_is_disabled_is_out_within_two_seconds() {
    let server = Server::start().await;
    let account = server.hire("Grace").await;
    let cookie = server.sign_in(&account).await;
    let mut agent = server.join(&account.token).await;
    shut_out_by(&server, &account, &mut agent, &["disable"], "").await;
    must_be_turned_away(&server, &account.token).await;
    token(&server, &cookie).await.with_status(401);
    login(&server, &account.email, PASSWORD).await.with_status(401);
    server.cli(["agent", "enable", "--agent", &account.email]).await.text();
    login(&server, &account.email, PASSWORD).await.with_status(204);
}

#[tokio::test]
async fn another_role_holds_from_the_next_session_on() {
    let server = Server::start().await;
    let account = server.hire("Grace").await;
    let cookie = server.sign_in(&account).await;
    let mut agent = server.join(&account.token).await;
    shut_out_by(&server, &account, &mut agent, &["set-role", "--role", "viewer"], "").await;
    must_be_turned_away(&server, &account.token).await;
    let given = token(&server, &cookie).await.with_status(200).json();
    let agent = server.join(given["token"].as_str().unwrap()).await;
    assert_eq!(agent.hello["role"], "viewer", "it is still signed in, as what it is now");
}

#[tokio::test]
async fn revoked_sessions_and_old_passwords_are_over() {
    let server = Server::start().await;
    let account = server.hire("Grace").await;
    let cookie = server.sign_in(&account).await;
    let mut agent = server.join(&account.token).await;
    shut_out_by(&server, &account, &mut agent, &["revoke-sessions"], "").await;
    token(&server, &cookie).await.with_status(401);
    let cookie = server.sign_in(&account).await;
    let given = token(&server, &cookie).await.with_status(200).json();
    let mut agent = server.join(given["token"].as_str().unwrap()).await;
    let new = "an entirely different rope";
    shut_out_by(&server, &account, &mut agent, &["reset-password", "--password-stdin"], &format!("{new}\n")).await;
    login(&server, &account.email, PASSWORD).await.with_status(401);
    login(&server, &account.email, new).await.with_status(204);
}

#[tokio::test]
async fn a_revocation_holds_over_a_restart() {
    let mut server = Server::start().await;
    let account = server.hire("Grace").await;
    let cookie = server.sign_in(&account).await;
    let given = token(&server, &cookie).await.json();
    let logout = Request::new("POST", "/v1/agents/logout").header("Cookie", &cookie);
    logout.send(server.address).await.with_status(204);
    let other = server.hire("Alan").await;
    server.cli(["agent", "disable", "--agent", &other.id]).await.text();
    server.kill().await;
    server.start_again().await;
    must_be_turned_away(&server, given["token"].as_str().unwrap()).await;
    must_be_turned_away(&server, &other.token).await;
}

#[tokio::test]
async fn weak_passwords_and_doubled_accounts_are_refused() {
    let server = Server::start().await;
    let id = server.project.id.clone();
    let create = async |email: &str, password: &str| {
        let mut arguments = vec!["agent", "create", "--project", &id, "--email", email, "--name", "G"];
        arguments.push("--password-stdin");
        server.cli_with(&arguments, password).await.code()
    };
    assert_eq!(create("g@example.org", "short").await, Some(1));
    assert_eq!(create("g@example.org", "passwordpassword").await, Some(1), "a common one");
    assert_eq!(create("no address", PASSWORD).await, Some(1));
    assert_eq!(create("g@example.org", PASSWORD).await, Some(0));
    assert_eq!(create("G@example.org", PASSWORD).await, Some(1), "there is one already");
}

#[tokio::test]
async fn an_agents_list_never_shows_a_password() {
    let server = Server::start().await;
    let account = server.hire("Grace").await;
    let id = server.project.id.clone();
    let list: Value = server.cli(["agent", "list", "--project", &id, "--json"]).await.json();
    assert_eq!(list["agents"][0]["agent"], account.id);
    assert!(!list.to_string().contains("argon2"), "{list}");
    until("nothing of it is logged", || async { (!server.output().contains(PASSWORD)).then_some(()) }).await;
}
