//! Log lines: nothing that a person typed, and nothing secret, whatever is asked for.

use serde_json::json;

use crate::support::{PASSWORD, Request, SHOP, Server, Setup, certificate, fresh, tls_client, until};

#[tokio::test]
async fn the_most_talkative_log_holds_nothing_that_was_typed_or_is_secret() {
    let loud = "trace,tungstenite=trace,tungstenite::protocol=trace,tokio_tungstenite=trace,rustls=trace,hyper=trace,\
        sqlx=trace,deskbell=trace";
    for (level, by_tls) in [("trace", false), (loud, false), (loud, true)] {
        let mut setup = Setup::new();
        setup.text("log.level", level);
        let made = certificate(setup.path());
        let server = if by_tls {
            let file = |name: &str| setup.path().join(name).display().to_string();
            let (cert, key) = (file("cert.pem"), file("key.pem"));
            setup.text("tls.cert_file", &cert).text("tls.key_file", &key);
            setup.start_tls(tls_client(&[&made], &[&rustls::version::TLS13])).await
        } else {
            setup.start().await
        };
        let account = server.hire("Grace").await;
        let cookie = server.sign_in(&account).await;
        let session = server.session(&server.project).await;
        let mut visitor = server.join(session["token"].as_str().unwrap()).await;
        let [first, second, draft, wrong] = [(); 4].map(|()| format!("typed-{}", fresh()));
        let chat = visitor.rings(&first).await;
        let mut agent = server.join(&account.token).await;
        agent.watches(&chat).await;
        agent.says(&chat, &second).await;
        visitor.tell(&json!({"type": "typing", "conversation": chat, "on": true, "text": draft})).await;
        agent.find("the draft", |frame| frame["text"] == draft.as_str()).await;
        agent.history(&chat, "thread").await;
        let login = json!({"email": account.email, "password": wrong});
        server.http(Request::post("/v1/agents/login", &login)).await.with_status(401);
        let asked = json!({"project": server.project.public_key, "resume": session["resume"]});
        server.http(Request::post("/v1/sessions", &asked).header("Origin", SHOP)).await.with_status(201);
        let log = server.output();
        assert!(log.contains("agent signed in"), "it says something: {log}");
        let cookie = cookie.split_once('=').unwrap().1;
        let (token, resume) = (session["token"].as_str().unwrap(), session["resume"].as_str().unwrap());
        for secret in [&first, &second, &draft, &wrong, PASSWORD, token, resume, &account.token, cookie, &account.email]
        {
            assert!(!log.contains(secret), "{level}: {secret} is in the log");
        }
    }
}

#[tokio::test]
async fn the_end_of_a_session_is_one_line_with_its_reason() {
    let mut server = Server::start().await;
    let mut leaver = server.visitor().await;
    let gone = leaver.hello["session"].as_str().unwrap().to_owned();
    leaver.rings("Hello").await;
    let mut stayer = server.agent("Grace").await;
    let drained = stayer.hello["session"].as_str().unwrap().to_owned();
    leaver.leave().await;
    until("the visitor's end is told", || async { (!ends(&server).is_empty()).then_some(()) }).await;
    server.signal("TERM").await;
    assert_eq!(stayer.closed().await, 4001);
    server.ended().await;
    let ends = ends(&server);
    assert_eq!(ends.len(), 2, "{ends:?}");
    let project = &server.project.id;
    for (end, reason, session, kind) in [(&ends[0], "gone", gone, "visitor"), (&ends[1], "draining", drained, "agent")]
    {
        let told = format!("reason=\"{reason}\" session={session} project={project} kind=\"{kind}\" lasted_s=");
        assert!(end.contains(&told), "{end} is not {told}");
    }
}

/// The lines that tell of a session's end.
fn ends(server: &Server) -> Vec<String> {
    let output = server.output();
    output.lines().filter(|line| line.contains("session ended")).map(str::to_owned).collect()
}
