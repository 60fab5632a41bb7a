//! Many at once: whoever listens sees the same sequence, without a hole and without a second copy.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Client, Request, SHOP, Server, Setup, Stream, entries_of, message, seqs_of};

/// Sends `count` messages, then hears everything up to entry `last`.
async fn talks(mut client: Client, chat: &str, name: &str, count: u64, last: u64) -> Vec<Value> {
    for n in 0..count {
        client.says(chat, &format!("{name} {n}")).await;
    }
    let mut entries = Vec::new();
    while entries.len() < usize::try_from(last).unwrap() {
        let is_next = |it: &Value| it["type"] == "entry" && it["conversation"] == *chat && it.get("lane").is_none();
        entries.push(client.find("the next entry", is_next).await);
    }
    entries
}

#[tokio::test]
async fn all_who_listen_see_the_same_sequence() {
    let mut setup = Setup::new();
    setup.limit("writes_per_second", 100_000).limit("write_burst", 100_000);
    let server = setup.start().await;
    let token = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
    let mut tabs = vec![server.join(&token).await, server.join(&token).await, server.join(&token).await];
    let chat = tabs[0].rings("Hello").await;
    let mut agents = Vec::new();
    for name in ["Grace", "Alan"] {
        let mut agent = server.agent(name).await;
        agents.push((name, agent.watches(&chat).await["seq"].as_u64().unwrap(), agent));
    }
    // Alan came when Grace had it already: nothing but messages from here on.
    let known = agents[1].1;
    let (each, talkers) = (40, 5);
    let last = known + each * talkers;
    let by_tabs = tabs.into_iter().enumerate().map(|(n, tab)| {
        let chat = chat.clone();
        async move { talks(tab, &chat, &format!("tab {n}"), each, last).await }
    });
    let by_agents = agents.into_iter().map(|(name, seen, agent)| {
        let chat = chat.clone();
        async move { talks(agent, &chat, name, each, last - seen).await }
    });
    let (of_tabs, of_agents) = tokio::join!(join_all(by_tabs), join_all(by_agents));
    assert_eq!(seqs_of(&of_tabs[0]), (1..=last).collect::<Vec<_>>());
    assert!(of_tabs.iter().all(|seen| *seen == of_tabs[0]), "all tabs the same");
    for seen in &of_agents {
        assert_eq!(*seen, of_tabs[0][of_tabs[0].len() - seen.len()..], "agents the same, from where they came in");
    }
    let mut reader = server.join(&token).await;
    let mut log = reader.history(&chat, "thread").await;
    for entry in &mut log {
        entry["type"] = "entry".into();
    }
    assert_eq!(log, of_tabs[0], "and so it is in the log");
}

#[tokio::test]
async fn what_is_for_operators_is_not_public() {
    let server = Server::start().await;
    server.visitor().await;
    for path in ["/metrics", "/healthz", "/readyz"] {
        let public = Request::get(path).send(server.address).await;
        assert!(!public.body.contains("deskbell_sessions") && !public.body.contains("log_writable"), "{path}");
        Request::get(path).send(server.admin).await.with_status(200);
    }
    assert_eq!(Request::get("/v1/sessions").send(server.admin).await.status, 404, "and the other way round");
}

#[tokio::test]
async fn behind_a_proxy_the_address_is_whom_it_names() {
    let mut setup = Setup::new();
    setup.set("limits.exempt", "[]").set("proxies.trusted", "[\"127.0.0.0/8\"]");
    setup.limit("handshake_burst", 2).limit("handshakes_per_second", 1);
    let server = setup.start().await;
    let asked = json!({"project": server.project.public_key});
    let ask = async |client: &str| {
        let request = Request::post("/v1/sessions", &asked).header("Origin", SHOP).header("X-Forwarded-For", client);
        request.send(server.address).await.status
    };
    assert_eq!([ask("203.0.113.1").await, ask("203.0.113.1").await, ask("203.0.113.1").await], [201, 201, 429]);
    assert_eq!(ask("203.0.113.2").await, 201, "another visitor");
    assert_eq!(ask("203.0.113.9, 203.0.113.1").await, 429, "what stands before it, it made up itself");
}

#[tokio::test]
async fn an_unproxied_visitor_can_not_make_up_its_address() {
    let mut setup = Setup::new();
    setup.set("limits.exempt", "[]").limit("handshake_burst", 2).limit("handshakes_per_second", 1);
    let server = setup.start().await;
    let asked = json!({"project": server.project.public_key});
    let mut statuses = Vec::new();
    for n in 0..4 {
        let request = Request::post("/v1/sessions", &asked).header("X-Forwarded-For", &format!("203.0.113.{n}"));
        statuses.push(request.send(server.address).await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn a_message_of_any_script_comes_out_as_it_went_in() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let mut agent = server.agent("Grace").await;
    agent.watches(&chat).await;
    for words in [
        "مرحبا بالعالم",
        "你好，世界",
        "👩‍👩‍👧‍👦 ok",
        "<script>alert('x')</script>",
        "back\\slash \"quote\" /",
        "'; DROP TABLE entries; --",
    ] {
        visitor.ask(message(&chat, words)).await;
        let seen = agent.hears_event("message").await;
        assert_eq!(seen["body"]["text"], words);
    }
    visitor.says(&chat, "\u{202e}fdp.exe").await;
    assert_eq!(agent.hears_event("message").await["body"]["text"], "fdp.exe", "no text pretends to be another");
}

/// A plain connection is written by two of the server's parts in turn, whichever comes first; its client must not notice.
#[tokio::test]
async fn who_reads_late_and_asks_meanwhile_gets_all_in_order() {
    let mut setup = Setup::new();
    setup.limit("writes_per_second", 100_000).limit("write_burst", 100_000).limit("refusals_in_a_row", 100_000);
    setup.limit("outbox_frames", 65_536).limit("outbox_agent_bytes", 67_108_864);
    let server = setup.start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let account = server.hire("Grace").await;
    let stream = Stream::dial_narrow(server.address).await.unwrap();
    let mut agent = Client::over(stream, server.address, None).await.unwrap();
    agent.connect(&account.token, json!([])).await;
    agent.watches(&chat).await;
    let mut asked = Vec::new();
    for n in 0..600 {
        // Now and then nothing waits for a moment, and there is something to write by either part.
        let last = visitor.says(&chat, &"x".repeat(if n % 7 == 0 { 8_000 } else { 50 })).await;
        if n % 3 == 0 {
            asked.push(agent.say(json!({"type": "read", "conversation": chat, "seq": 1})).await);
        }
        if n % 150 == 149 {
            agent.find("the last", |it| it["type"] == "entry" && it["lane"] != "desk" && it["seq"] == last).await;
        }
    }
    for id in &asked {
        agent.answer(*id).await;
    }
    let heard = agent.heard().await;
    let found: Vec<_> = entries_of(&heard, "message").into_iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
    assert!(found.is_sorted_by(|one, next| one < next), "{found:?}");
    assert_eq!(found.len(), 600 - 4, "all but those that were waited for: {found:?}");
}

/// So many that they are written for in several turns, by each of the server's threads.
#[tokio::test]
async fn a_crowd_that_watches_hears_every_word() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let mut crowd = Vec::new();
    for name in ["Grace", "Alan", "Ada", "Edsger"] {
        let account = server.hire(name).await;
        for _ in 0..40 {
            let mut tab = server.join(&account.token).await;
            tab.watches(&chat).await;
            crowd.push(tab);
        }
    }
    for n in 0..15 {
        let seq = visitor.says(&chat, &n.to_string()).await;
        // Put out before the visitor was answered, so before what is asked now.
        for heard in join_all(crowd.iter_mut().map(Client::heard)).await {
            let words: Vec<_> = entries_of(&heard, "message").into_iter().map(|entry| entry["seq"].clone()).collect();
            assert_eq!(words, [json!(seq)]);
        }
    }
}

#[tokio::test]
async fn what_was_answered_comes_before_the_end_that_follows_in_the_same_breath() {
    let server = Server::start().await;
    for _ in 0..5 {
        let mut visitor = server.visitor().await;
        let chat = visitor.rings("Hello").await;
        let mut send = message(&chat, "the last words");
        send["id"] = json!(77);
        visitor.send_frame(&format!("{send}\n{}", json!({"type": "connect", "id": 78, "token": "again"}))).await;
        let (frames, code) = visitor.listens_to_the_end().await;
        assert_eq!(code, 4500);
        assert!(
            frames.iter().any(|it| it["type"] == "ok" && it["id"] == 77),
            "it is stored, and nobody said so: {frames:?}"
        );
    }
}
