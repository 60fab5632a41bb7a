//! Traffic that no client of ours sends: the right close code, bounded memory, and nobody else notices.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use crate::support::{
    Client, Request, Server, Setup, Stream, message,
    raw::{CONTINUED, PING, TEXT, TEXT_TO_BE_CONTINUED, frame, head},
    within,
};

/// What memory may grow by under any of this, in MiB.
const GROWTH_MIB: u64 = 20;

/// Two who talk, and go on talking while others misbehave.
struct Talk {
    visitor: Client,
    agent: Client,
    chat: String,
}

impl Talk {
    async fn begin(server: &Server) -> Self {
        let mut visitor = server.visitor().await;
        let chat = visitor.rings("Hello").await;
        let mut agent = server.agent("Grace").await;
        agent.watches(&chat).await;
        Self { visitor, agent, chat }
    }

    async fn goes_on(&mut self) {
        self.visitor.says(&self.chat, "still there?").await;
        self.agent.find("the question", |it| it["body"]["text"] == "still there?").await;
        self.agent.says(&self.chat, "yes").await;
        self.visitor.find("the answer", |it| it["body"]["text"] == "yes").await;
    }
}

/// The code that a socket is closed with for `bytes`, before and after `connect`.
async fn codes_for(server: &Server, bytes: &[u8]) -> [u16; 2] {
    let mut codes = [0; 2];
    for (code, mut client) in codes.iter_mut().zip([server.socket().await, server.visitor().await]) {
        client.write_raw(bytes).await;
        *code = client.closed().await;
    }
    codes
}

#[tokio::test]
async fn frames_that_are_wrong_are_closed_with_the_right_code() {
    let server = Server::start().await;
    let mut talk = Talk::begin(&server).await;
    let before = server.resident_mib();
    let large = frame(TEXT, &vec![b' '; 70_000]);
    let mut in_parts = frame(TEXT_TO_BE_CONTINUED, &vec![b' '; 40_000]);
    in_parts.extend(frame(0x80, &vec![b' '; 40_000]));
    for (why, bytes, code) in [
        ("70 KB", large, 1009),
        ("70 KB in two fragments", in_parts, 1009),
        ("1 TiB declared", head(TEXT, 1 << 40), 1009),
        ("a length beyond all bounds", head(TEXT, u64::MAX), 1009),
        ("no UTF-8", frame(TEXT, &[0xff, 0xfe, b'x']), 1007),
        ("half a letter", frame(TEXT, &[0xe2, 0x82]), 1007),
        ("a binary frame", frame(0x82, b"{}"), 4500),
        ("not masked", vec![TEXT, 0x02, b'{', b'}'], 1002),
        ("an opcode that is none", frame(0x83, b"{}"), 1002),
        ("a reserved bit", frame(0xc1, b"{}"), 1002),
        ("a ping of 200 bytes", frame(PING, &[0; 200]), 1002),
        ("a fragment of nothing", frame(0x80, b"{}"), 1002),
        ("17 fragments", [frame(TEXT_TO_BE_CONTINUED, b""), frame(CONTINUED, b"").repeat(16)].concat(), 4500),
    ] {
        assert_eq!(codes_for(&server, &bytes).await, [code; 2], "{why}");
    }
    talk.goes_on().await;
    assert!(server.resident_mib() < before + GROWTH_MIB);
    server.has_refused("frame_bytes").await;
    server.has_refused("fragments").await;
}

#[tokio::test]
async fn two_hundred_thousand_empty_fragments_cost_nothing() {
    let server = Server::start().await;
    let mut talk = Talk::begin(&server).await;
    let before = server.resident_mib();
    for mut client in [server.socket().await, server.visitor().await] {
        client.write_raw(&frame(TEXT_TO_BE_CONTINUED, b"")).await;
        let many = [CONTINUED, 0x80, 0, 0, 0, 0].repeat(1_000);
        for _ in 0..200 {
            if !client.write_raw(&many).await {
                break;
            }
        }
        let code = client.closed().await;
        assert!([4500, 1006].contains(&code), "{code}; 1006 where the connection was cut in the middle of the flood");
    }
    server.has_refused("fragments").await;
    talk.goes_on().await;
    assert!(server.resident_mib() < before + GROWTH_MIB);
}

#[tokio::test]
async fn who_pings_and_never_reads_costs_nothing() {
    let server = Server::start().await;
    let mut talk = Talk::begin(&server).await;
    let before = server.resident_mib();
    let pings = frame(PING, &[b'x'; 125]).repeat(500);
    let session = server.session(&server.project).await;
    for n in 0..10 {
        let stream = Stream::dial_narrow(server.address).await.unwrap();
        let mut client = Client::over(stream, server.address, None).await.unwrap();
        if n % 2 == 0 {
            client.connect(session["token"].as_str().unwrap(), json!([])).await;
        }
        let mut taken = 0;
        while taken < 200 && client.write_raw(&pings).await {
            taken += 1;
        }
        assert!(taken < 200, "the server takes 100,000 pings");
    }
    talk.goes_on().await;
    let after = server.resident_mib();
    assert!(after < before + GROWTH_MIB, "{before} MiB before, {after} after");
    server.has_refused("control_frames_per_10s").await;
}

#[tokio::test]
async fn who_never_reads_is_closed_and_holds_up_nobody() {
    let mut setup = Setup::new();
    setup.limit("writes_per_second", 100_000).limit("write_burst", 100_000).limit("write_timeout_ms", 500);
    let server = setup.start().await;
    let token = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
    let mut writer = server.join(&token).await;
    let chat = writer.rings("Hello").await;
    let mut agent = server.agent("Grace").await;
    agent.watches(&chat).await;
    // Other tabs of the same visitor, whose machines sleep.
    let mut sleepers = Vec::new();
    for _ in 0..5 {
        let stream = Stream::dial_narrow(server.address).await.unwrap();
        let mut sleeper = Client::over(stream, server.address, None).await.unwrap();
        sleeper.connect(&token, json!([])).await;
        sleepers.push(sleeper);
    }
    let before = server.resident_mib();
    let slow = "deskbell_closes_total{reason=\"slow_consumer\"}";
    let mut written = 0;
    within("all that never read are closed", async {
        while server.metric(slow).await < 5.0 {
            for _ in 0..10 {
                writer.says(&chat, &"x".repeat(8_000)).await;
                agent.find("it arrives elsewhere", |it| it["event"] == "message").await;
                written += 1;
            }
        }
    })
    .await;
    assert!(written < 2_000, "{written} messages waited");
    let after = server.resident_mib();
    assert!(after < before + GROWTH_MIB, "{before} MiB before, {after} after");
    let mut back = server.join(&token).await;
    assert_eq!(back.hello["conversations"][0]["conversation"], chat, "it comes back and goes on");
    back.says(&chat, "awake").await;
}

#[tokio::test]
async fn half_a_request_is_not_waited_for() {
    let mut setup = Setup::new();
    setup.limit("header_timeout_ms", 300);
    let server = setup.start().await;
    for half in ["", "GET /", "GET / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let mut stream = Stream::dial(server.address, None).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{half:?} is waited for");
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{half:?}");
    }
    server.has_refused("header_timeout_ms").await;
}

#[tokio::test]
async fn a_request_has_so_many_and_so_large_headers() {
    let server = Server::start().await;
    let mut many = Request::get("/v1/openapi.json");
    for n in 0..70 {
        many = many.header(&format!("X-{n}"), "x");
    }
    assert_eq!(many.send(server.address).await.status, 431);
    let large = Request::get("/v1/openapi.json").header("X-Large", &"x".repeat(20_000));
    assert_eq!(large.send(server.address).await.status, 431);
    Request::get("/v1/openapi.json").header("X-Fits", &"x".repeat(10_000)).send(server.address).await.with_status(200);
    server.has_refused("header_bytes").await;
}

#[tokio::test]
async fn a_crowd_that_never_says_who_it_is_costs_little_and_goes() {
    let mut setup = Setup::new();
    setup.limit("connect_timeout_ms", 2_000);
    let server = setup.start().await;
    let mut talk = Talk::begin(&server).await;
    let before = server.resident_mib();
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(server.socket().await);
    }
    talk.goes_on().await;
    let after = server.resident_mib();
    assert!(after < before + GROWTH_MIB, "{before} MiB before, {after} after");
    for client in &mut crowd {
        assert_eq!(client.closed().await, 4502);
    }
}

#[tokio::test]
async fn deep_and_odd_json_is_refused_before_it_is_read() {
    let server = Server::start().await;
    let mut talk = Talk::begin(&server).await;
    let deep = format!("{}{}", "{\"type\":".repeat(8_000), "1");
    let brackets = "[".repeat(60_000);
    for text in [deep.as_str(), brackets.as_str(), "{\"type\":\"send\",\"type\":\"note\"}", "\u{0}", "{}"] {
        assert_eq!(codes_for(&server, &frame(TEXT, text.as_bytes())).await[1], 4500, "{text:.30}");
    }
    let unpaired = json!({"type": "x"}).to_string().replace('x', "\\ud800");
    assert_eq!(codes_for(&server, &frame(TEXT, unpaired.as_bytes())).await[1], 4500);
    talk.visitor.ask(message(&talk.chat, "\u{1f600}\u{200d}\u{1f600}")).await;
    talk.goes_on().await;
}
