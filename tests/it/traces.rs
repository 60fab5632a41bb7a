//! Traces: one command's way through all parts, the errors that name theirs, and nobody who minds when no collector is there.

use serde_json::json;

use crate::support::{Collector, PASSWORD, Recorded, Request, Server, Setup, fresh, message, until};

fn setup(collector: &str, ratio: f64) -> Setup {
    let mut setup = Setup::new();
    setup.text("telemetry.otlp_endpoint", collector).set("telemetry.sample_ratio", ratio);
    setup
}

/// The spans of one name.
fn named<'a>(spans: &'a [Recorded], name: &'a str) -> impl Iterator<Item = &'a Recorded> {
    spans.iter().filter(move |span| span.name == name)
}

/// The only one of its name.
fn only<'a>(spans: &'a [Recorded], name: &'a str) -> &'a Recorded {
    let found: Vec<_> = named(spans, name).collect();
    assert_eq!(found.len(), 1, "{name} in {spans:#?}");
    found[0]
}

#[tokio::test]
async fn a_messages_way_is_one_trace_without_what_was_said() {
    let collector = Collector::start().await;
    let server = setup(&collector.url, 1.0).start().await;
    let account = server.hire("Grace").await;
    server.sign_in(&account).await;
    let session = server.session(&server.project).await;
    let mut visitor = server.join(session["token"].as_str().unwrap()).await;
    let words = [(); 3].map(|()| format!("typed-{}", fresh()));
    let chat = visitor.rings(&words[0]).await;
    let mut grace = server.join(&account.token).await;
    grace.watches(&chat).await;
    visitor.tell(&json!({"type": "typing", "conversation": chat, "on": true, "text": words[1]})).await;
    let sent = visitor.ask(message(&chat, &words[2])).await;
    grace.find("the message", |frame| frame["body"]["text"] == *words[2]).await;

    let trace = collector.trace_with("deskbell.entry", sent["entry"].as_str().unwrap()).await;
    let is_complete = |spans: &[Recorded]| named(spans, "delivery").count() == 2 && named(spans, "edge").count() == 1;
    let spans = collector.trace(&trace, is_complete).await;
    let (edge, session_part, log) = (only(&spans, "edge"), only(&spans, "session"), only(&spans, "log"));
    assert_eq!((edge.parent.as_str(), edge.attribute("deskbell.command").as_deref()), ("", Some("send")));
    assert_eq!((&session_part.parent, &log.parent), (&edge.id, &session_part.id));
    assert_eq!(log.attribute("deskbell.conversation").as_deref(), Some(chat.as_str()));
    let told =
        |topic: &str| named(&spans, "bus").find(|span| span.attribute("deskbell.topic").as_deref() == Some(topic));
    let (thread, inbox) = (told("thread").unwrap(), told("inbox").unwrap());
    assert_eq!((&thread.parent, &inbox.parent), (&session_part.id, &session_part.id));
    assert!(named(&spans, "delivery").all(|span| span.parent == thread.id), "to both who listen: {spans:#?}");
    assert!(spans.iter().all(|span| span.failed.is_empty()));

    let request = collector.trace_with("http.route", "/v1/sessions").await;
    let spans = collector.trace(&request, |spans| !spans.is_empty()).await;
    assert_eq!(only(&spans, "edge").attribute("http.response.status_code").as_deref(), Some("201"));
    let bytes = collector.bytes();
    let (token, resume) = (session["token"].as_str().unwrap(), session["resume"].as_str().unwrap());
    for secret in
        words.iter().map(String::as_str).chain([token, resume, &account.token, &account.email, PASSWORD, "Grace"])
    {
        assert!(!bytes.windows(secret.len()).any(|found| found == secret.as_bytes()), "{secret} was exported");
    }
}

#[tokio::test]
async fn a_collector_is_reached_by_tls_and_only_one_whom_the_system_trusts() {
    let (trusted, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let collector = Collector::start_tls(trusted.path()).await;
    let stranger = Collector::start_tls(other.path()).await;
    let list = trusted.path().join("cert.pem").display().to_string();
    for (url, outcome) in [(&collector.url, "exported"), (&stranger.url, "lost")] {
        let mut setup = setup(url, 1.0);
        setup.variable("SSL_CERT_FILE", &list);
        let server = setup.start().await;
        server.session(&server.project).await;
        let metric = format!("deskbell_trace_spans_total{{outcome=\"{outcome}\"}}");
        until(format!("spans are {outcome}"), || async { (server.metric(&metric).await > 0.0).then_some(()) }).await;
    }
    assert!(!collector.spans().is_empty() && stranger.spans().is_empty());
}

#[tokio::test]
async fn an_error_names_the_trace_that_it_stands_in() {
    let collector = Collector::start().await;
    let server = setup(&collector.url, 1.0).start().await;
    let mut visitor = server.visitor().await;
    let refused = visitor.answer_to(message(&uuid::Uuid::now_v7().to_string(), "Hello?")).await;
    assert_eq!(refused["code"], "not_found");
    let trace = refused["trace"].as_str().unwrap();
    let spans = collector.trace(trace, |spans| spans.len() == 2).await;
    assert_eq!(
        (only(&spans, "edge").failed.as_str(), only(&spans, "session").failed.as_str()),
        ("not_found", "not_found")
    );

    let unknown = visitor.answer_to(json!({"type": "dance"})).await;
    let spans = collector.trace(unknown["trace"].as_str().unwrap(), |spans| !spans.is_empty()).await;
    assert_eq!(only(&spans, "edge").failed, "unknown_type");
    let problem = server.http(Request::post("/v1/sessions", &json!({"project": "none"}))).await.with_status(404).json();
    let spans = collector.trace(problem["trace"].as_str().unwrap(), |spans| !spans.is_empty()).await;
    assert_eq!(only(&spans, "edge").failed, "not_found");
    let mut stranger = server.socket().await;
    let refused = stranger.answer_to(json!({"type": "connect", "token": "none"})).await;
    let spans = collector.trace(refused["trace"].as_str().unwrap(), |spans| !spans.is_empty()).await;
    assert_eq!(only(&spans, "edge").attribute("deskbell.command").as_deref(), Some("connect"));
}

#[tokio::test]
async fn what_is_the_servers_own_fault_is_traced_whatever_the_share() {
    let collector = Collector::start().await;
    let server = setup(&collector.url, 0.0).start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let refused = visitor.answer_to(message(&uuid::Uuid::now_v7().to_string(), "Hello?")).await;
    assert_eq!(
        (&refused["code"], refused.get("trace")),
        (&json!("not_found"), None),
        "the client's mistake, not recorded"
    );
    server.sql("ALTER TABLE entries RENAME TO gone").await;
    let refused = visitor.answer_to(message(&chat, "Is anybody there?")).await;
    assert_eq!(refused["code"], "unavailable", "{refused}");
    let trace = refused["trace"].as_str().unwrap();
    let spans = collector.trace(trace, |spans| !spans.is_empty()).await;
    assert_eq!(only(&spans, "edge").failed, "unavailable");
    let line = server.output().lines().find(|line| line.contains(trace)).map(str::to_owned);
    assert!(line.is_some_and(|line| line.contains("the log is not available")), "the log line names it, too");
    assert_eq!(collector.spans().len(), 1, "and nothing else was recorded");
}

#[tokio::test]
async fn a_collector_that_is_not_there_harms_nobody() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let server = setup(&url, 1.0).start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let lost = "deskbell_trace_spans_total{outcome=\"lost\"}";
    // Handed over in vain at least three times.
    for _ in 0..3 {
        let before = server.metric(lost).await;
        visitor.says(&chat, "One more").await;
        until("more is lost", || async { (server.metric(lost).await > before).then_some(()) }).await;
    }
    let output = server.output();
    let warned = output.lines().filter(|line| line.contains("the collector of traces does not take them"));
    assert_eq!(warned.count(), 1, "{output}");
    assert!(server.metric("deskbell_trace_spans_total{outcome=\"exported\"}").await < 1.0);
}

#[tokio::test]
async fn without_a_collector_no_error_names_a_trace() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let refused = visitor.answer_to(json!({"type": "dance"})).await;
    assert_eq!((&refused["type"], refused.get("trace")), (&json!("error"), None));
    server.sql("ALTER TABLE entries RENAME TO gone").await;
    let refused = visitor.answer_to(message(&chat, "Is anybody there?")).await;
    assert_eq!((&refused["code"], refused.get("trace")), (&json!("unavailable"), None));
    let problem = server.http(Request::post("/v1/sessions", &json!({"project": "none"}))).await.with_status(404).json();
    assert_eq!(problem.get("trace"), None);
}
