//! Which pages may come in: decided before the socket is one.

use serde_json::json;

use crate::support::{Client, PASSWORD, Request, SHOP, Server, Setup};

/// The status of a WebSocket handshake from a page of `origin`.
async fn handshake(server: &Server, origin: Option<&str>, protocol: Option<&str>) -> u16 {
    let mut request = Request::handshake();
    if let Some(origin) = origin {
        request = request.header("Origin", origin);
    }
    if let Some(protocol) = protocol {
        request = request.header("Sec-WebSocket-Protocol", protocol);
    }
    request.head(server.address).await.status
}

#[tokio::test]
async fn only_listed_pages_get_a_socket() {
    let server = Server::start().await;
    let v1 = Some("deskbell.v1");
    assert_eq!(handshake(&server, Some(SHOP), v1).await, 101);
    assert_eq!(handshake(&server, Some(&format!("http://{}", server.address)), v1).await, 101, "the server's own");
    assert_eq!(handshake(&server, None, v1).await, 101, "no browser");
    let wrong = [
        "http://shop.example",
        "https://shop.example:444",
        "https://shop.example.evil.example",
        "https://evil.example/https://shop.example",
        "https://sub.shop.example",
        "null",
        "",
    ];
    for origin in wrong {
        assert_eq!(handshake(&server, Some(origin), v1).await, 403, "{origin}");
    }
}

/// Behind a proxy, a page on a visitor's own machine is a stranger's: anything may listen there.
#[tokio::test]
async fn a_public_server_is_not_this_machine() {
    let mut setup = Setup::new();
    setup.text("public_url", "https://chat.example.org").set("proxies.trusted", "[\"127.0.0.0/8\"]");
    let server = setup.start().await;
    let v1 = Some("deskbell.v1");
    assert_eq!(handshake(&server, Some("https://chat.example.org"), v1).await, 101);
    let port = server.address.port();
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        for scheme in ["http", "https"] {
            let origin = format!("{scheme}://{host}:{port}");
            assert_eq!(handshake(&server, Some(&origin), v1).await, 403, "{origin}");
        }
    }
    let account = server.hire("Grace").await;
    let login = json!({"email": account.email, "password": PASSWORD});
    let from = |origin: &str| Request::post("/v1/agents/login", &login).header("Origin", origin).send(server.address);
    assert_eq!(from(&format!("http://localhost:{port}")).await.status, 403);
    assert_eq!(from("https://chat.example.org").await.status, 204);
    let policy = Request::get("/").send(server.address).await;
    let policy = policy.header("content-security-policy").unwrap();
    assert!(!policy.contains("localhost") && !policy.contains("127.0.0.1"), "{policy}");
}

#[tokio::test]
async fn an_address_that_a_trusted_proxy_names_may_have_a_port() {
    let mut setup = Setup::new();
    setup.set("limits.exempt", "[]").set("proxies.trusted", "[\"127.0.0.0/8\"]");
    setup.limit("handshake_burst", 2).limit("handshakes_per_second", 1);
    let server = setup.start().await;
    let asked = json!({"project": server.project.public_key});
    let ask = |named: &str| Request::post("/v1/sessions", &asked).header("X-Forwarded-For", named).send(server.address);
    for named in [
        "203.0.113.1:4711",
        "203.0.113.2",
        "[2001:db8:1::1]:4711",
        "[2001:db8:2::1]",
        "2001:db8:3::1",
        "made up, 203.0.113.3:80",
        "198.51.100.7, 203.0.113.4:80, 127.0.0.9:1234",
    ] {
        for _ in 0..2 {
            assert_eq!(ask(named).await.status, 201, "{named}: counted as itself");
        }
    }
    assert_eq!(ask("203.0.113.1:4712").await.status, 429, "the same address from another port");
    let garbage = ["", ",", ":80", "[::1", "203.0.113.9:99999", "a:b:c", "203.0.113.9:"];
    let mut refused = 0;
    for named in garbage {
        refused += u32::from(ask(named).await.status == 429);
    }
    assert!(refused >= 3, "garbage counts as the proxy itself: {refused}");
}

#[tokio::test]
async fn the_subprotocol_must_be_offered() {
    let server = Server::start().await;
    assert_eq!(handshake(&server, None, None).await, 400);
    assert_eq!(handshake(&server, None, Some("deskbell.v2")).await, 400);
    assert_eq!(handshake(&server, None, Some("chat, deskbell.v1")).await, 101);
    let no_handshake = Request::get("/v1/ws").send(server.address).await;
    assert_eq!((no_handshake.status, no_handshake.header("sec-websocket-version")), (426, Some("13")));
    let refused = Request::handshake().header("Connection", "close").send(server.address).await;
    assert_eq!(refused.problem(), "bad_request");
}

#[tokio::test]
async fn a_page_gets_only_its_own_projects_sessions() {
    let server = Server::start().await;
    let other = server.create_project("Other", "https://other.example").await;
    let visitor = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
    let agent = server.hire("Grace").await.token;
    let own = format!("http://{}", server.address);
    for (token, origin, lets_in) in [
        (&visitor, SHOP, true),
        (&visitor, "https://other.example", false),
        (&visitor, own.as_str(), true),
        (&agent, SHOP, false),
        (&agent, own.as_str(), true),
    ] {
        let mut client = Client::over(server.dial().await, server.address, Some(origin)).await.unwrap();
        client.tell(&json!({"type": "connect", "id": 1, "token": token})).await;
        let answer = client.answer(1).await;
        assert_eq!(answer["type"] == "ok", lets_in, "{origin}: {answer}");
        if !lets_in {
            assert_eq!((&answer["code"], client.closed().await), (&json!("forbidden"), 4501));
        }
    }
    let asked = json!({"project": other.public_key});
    let answer = server.ask_session(&asked).await;
    assert_eq!((answer.status, answer.problem().as_str()), (403, "forbidden"), "the shop's page, another's key");
}

#[tokio::test]
async fn browsers_are_told_who_may_read_the_answer() {
    let server = Server::start().await;
    let preflight = |origin: &str| {
        Request::new("OPTIONS", "/v1/sessions")
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "content-type")
            .send(server.address)
    };
    let allowed = preflight(SHOP).await.with_status(204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("*"));
    assert_eq!(allowed.header("access-control-allow-headers"), Some("content-type"));
    assert_eq!(allowed.header("access-control-allow-credentials"), None, "no cookies of other sites");
    let answer = server.ask_session(&json!({"project": server.project.public_key})).await.with_status(201);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let missing = server.ask_session(&json!({"project": "nothing"})).await.with_status(404);
    assert_eq!(missing.header("access-control-allow-origin"), Some("*"), "errors can be read, too");
    let asked = json!({"project": server.project.public_key});
    let evil =
        Request::post("/v1/sessions", &asked).header("Origin", "https://evil.example").send(server.address).await;
    assert_eq!((evil.status, evil.problem().as_str()), (403, "forbidden"), "let in it is not");
    assert_eq!(evil.header("access-control-allow-origin"), Some("*"), "but it may read why");
}

#[tokio::test]
async fn another_sites_page_can_not_use_an_agents_cookie() {
    let server = Server::start().await;
    let account = server.hire("Grace").await;
    let cookie = server.sign_in(&account).await;
    let token = |name: &str, value: &str| {
        Request::new("POST", "/v1/agents/token").header("Cookie", &cookie).header(name, value).send(server.address)
    };
    assert_eq!(token("Origin", &format!("http://{}", server.address)).await.status, 200);
    for (name, value) in [("Origin", SHOP), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")] {
        let answer = token(name, value).await;
        assert_eq!((answer.status, answer.problem().as_str()), (403, "forbidden"), "{name}: {value}");
    }
    let login = json!({"email": account.email, "password": PASSWORD});
    let from_shop = Request::post("/v1/agents/login", &login).header("Origin", SHOP).send(server.address).await;
    assert_eq!((from_shop.status, from_shop.header("set-cookie")), (403, None));
    let logout = Request::new("POST", "/v1/agents/logout").header("Cookie", &cookie).header("Origin", SHOP);
    assert_eq!(logout.send(server.address).await.status, 403);
}

#[tokio::test]
async fn every_answer_is_locked_down() {
    let server = Server::start().await;
    for path in ["/v1/openapi.json", "/v1/nothing", "/"] {
        let answer = Request::get(path).send(server.address).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(answer.header("referrer-policy").is_some(), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}
