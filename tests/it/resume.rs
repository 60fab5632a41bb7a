//! Going on after an interruption: exactly the rest, or a plain reset.

use serde_json::{Value, json};

use crate::support::{Client, Server, Setup, message, seqs_of, texts_of};

/// A server on which a test may write as fast as it can.
async fn fast_server() -> Server {
    let mut setup = Setup::new();
    setup.limit("writes_per_second", 100_000).limit("write_burst", 100_000);
    setup.start().await
}

fn position(chat: &str, epoch: &str, seq: u64) -> Value {
    json!([{"conversation": chat, "epoch": epoch, "seq": seq}])
}

async fn back(server: &Server, token: &str, resume: Value) -> Client {
    let mut client = server.socket().await;
    client.connect(token, resume).await;
    client
}

/// The one conversation in the answer to `connect`.
fn only(client: &Client) -> &Value {
    let all = client.hello["conversations"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    &all[0]
}

/// A visitor's token, its conversation of `count` messages, and the epoch.
async fn chat_of(server: &Server, count: u64) -> (String, String, String) {
    let token = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
    let mut visitor = server.join(&token).await;
    let chat = visitor.rings("1").await;
    let mut last = 0;
    for n in 2..=count {
        last = visitor.say(message(&chat, &n.to_string())).await;
    }
    if count > 1 {
        assert_eq!(visitor.answer(last).await["seq"], count);
    }
    let epoch = visitor.hears_event("message").await["epoch"].as_str().unwrap().to_owned();
    (token, chat, epoch)
}

#[tokio::test]
async fn who_comes_back_gets_exactly_the_rest() {
    let server = Server::start().await;
    let (token, chat, epoch) = chat_of(&server, 5).await;
    for seen in 0..=5 {
        let visitor = back(&server, &token, position(&chat, &epoch, seen)).await;
        let resumed = only(&visitor);
        assert_eq!((&resumed["resumed"], &resumed["seq"]), (&json!(true), &json!(5)));
        assert_eq!(seqs_of(resumed["entries"].as_array().unwrap()), (seen + 1..=5).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_oldest_of_many_conversations_goes_on_when_it_is_named() {
    let server = fast_server().await;
    let (token, chat, epoch) = chat_of(&server, 3).await;
    let mut visitor = server.join(&token).await;
    visitor.closes(&chat).await;
    for n in 0..50 {
        let newer = visitor.rings(&n.to_string()).await;
        visitor.closes(&newer).await;
    }
    let of = |client: &Client| {
        let all = client.hello["conversations"].as_array().unwrap().clone();
        (all.len(), all.into_iter().find(|one| one["conversation"] == *chat))
    };
    assert_eq!(of(&server.join(&token).await), (50, None), "unnamed, the newest fifty");
    let mut visitor = back(&server, &token, position(&chat, &epoch, 3)).await;
    let (count, resumed) = of(&visitor);
    let resumed = resumed.unwrap();
    assert_eq!((count, &resumed["resumed"]), (51, &json!(true)));
    assert_eq!(resumed["entries"][0]["event"], "closed");
    visitor.says(&chat, "again").await;
    assert_eq!(visitor.hears_event("reopened").await["conversation"], chat);
    let mut stranger = server.visitor().await;
    let hers = stranger.rings("Mine").await;
    let nosy = back(&server, &token, position(&hers, &epoch, 0)).await;
    assert!(nosy.hello["conversations"].as_array().unwrap().iter().all(|one| one["conversation"] != *hers));
}

#[tokio::test]
async fn another_epoch_or_a_position_in_the_future_starts_over() {
    let server = fast_server().await;
    let (token, chat, epoch) = chat_of(&server, 60).await;
    for resume in [position(&chat, "k99", 58), position(&chat, &epoch, 61), json!([])] {
        let visitor = back(&server, &token, resume.clone()).await;
        let reset = only(&visitor);
        assert_eq!(reset["resumed"], false, "{resume}");
        assert_eq!(seqs_of(reset["entries"].as_array().unwrap()), (11..=60).collect::<Vec<_>>(), "the newest 50");
    }
}

#[tokio::test]
async fn three_hundred_behind_goes_on_and_one_more_starts_over() {
    let server = fast_server().await;
    let (token, chat, epoch) = chat_of(&server, 310).await;
    let near = back(&server, &token, position(&chat, &epoch, 10)).await;
    assert_eq!((only(&near)["resumed"].clone(), only(&near)["entries"].as_array().unwrap().len()), (json!(true), 300));
    let far = back(&server, &token, position(&chat, &epoch, 9)).await;
    assert_eq!((only(&far)["resumed"].clone(), only(&far)["entries"].as_array().unwrap().len()), (json!(false), 50));
}

#[tokio::test]
async fn a_mebibyte_behind_starts_over_in_a_frame_that_fits() {
    let server = fast_server().await;
    let token = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
    let mut visitor = server.join(&token).await;
    let chat = visitor.rings("1").await;
    for _ in 0..60 {
        visitor.says(&chat, &"語".repeat(8_000)).await;
    }
    let epoch = visitor.hears_event("message").await["epoch"].as_str().unwrap().to_owned();
    let far = back(&server, &token, position(&chat, &epoch, 1)).await;
    assert_eq!(only(&far)["resumed"], false);
    let bytes = far.hello.to_string().len();
    assert!((500_000..=1_048_576).contains(&bytes), "{bytes}");
    let entries = seqs_of(only(&far)["entries"].as_array().unwrap());
    assert_eq!(entries.last(), Some(&61), "the newest are kept");
}

#[tokio::test]
async fn two_tabs_agree_and_both_hear_of_a_new_conversation() {
    let server = Server::start().await;
    let token = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
    let (mut one, mut other) = (server.join(&token).await, server.join(&token).await);
    let chat = one.rings("from one").await;
    other.says(&chat, "from the other").await;
    one.says(&chat, "from one again").await;
    let mut told = Vec::new();
    for tab in [&mut one, &mut other] {
        let mut entries = Vec::new();
        for _ in 0..3 {
            entries.push(tab.hears_event("message").await);
        }
        told.push(entries);
    }
    assert_eq!(told[0], told[1], "the very same entries");
    assert_eq!(texts_of(&told[1]), ["from one", "from the other", "from one again"]);
}

#[tokio::test]
async fn an_agent_goes_on_in_both_lanes() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let account = server.hire("Grace").await;
    let mut agent = server.join(&account.token).await;
    visitor.hears_event("joined").await;
    let watched = agent.watches(&chat).await;
    let (seq, desk_seq) = (watched["seq"].as_u64().unwrap(), watched["desk_seq"].as_u64().unwrap());
    agent.leave().await;
    visitor.says(&chat, "Anybody?").await;
    let mut colleague = server.agent("Alan").await;
    colleague.notes(&chat, "mine").await;
    let resume = json!([
        {"conversation": chat, "epoch": watched["epoch"], "seq": seq},
        {"conversation": chat, "epoch": watched["epoch"], "lane": "desk", "seq": desk_seq},
        {"conversation": uuid::Uuid::now_v7(), "epoch": "k1", "seq": 3},
    ]);
    let mut agent = back(&server, &account.token, resume).await;
    let lanes = agent.hello["conversations"].as_array().unwrap().clone();
    let texts: Vec<_> = lanes.iter().map(|lane| texts_of(lane["entries"].as_array().unwrap())).collect();
    assert_eq!(texts, [["Anybody?"], ["mine"]], "and of the unknown one nothing");
    assert!(lanes.iter().all(|lane| lane["resumed"] == true));
    colleague.notes(&chat, "and on").await;
    assert_eq!(agent.hears_event("note").await["body"]["text"], "and on");
    // The same by `watch`.
    let again = json!({
        "type": "watch", "conversation": chat, "epoch": watched["epoch"], "seq": seq + 1, "desk_seq": desk_seq + 1,
    });
    let rest = agent.ask(again).await;
    assert_eq!((&rest["resumed"], texts_of(rest["entries"].as_array().unwrap())), (&json!(true), vec!["and on"]));
}

#[tokio::test]
async fn a_visitor_can_name_neither_the_desk_lane_nor_what_is_not_its_own() {
    let server = Server::start().await;
    let (_, of_another, epoch) = chat_of(&server, 2).await;
    let (token, own, _) = chat_of(&server, 1).await;
    let mut agent = server.agent("Grace").await;
    agent.notes(&own, "between us").await;
    let resume = json!([
        {"conversation": of_another, "epoch": epoch, "seq": 0},
        {"conversation": own, "epoch": epoch, "lane": "desk", "seq": 0},
    ]);
    let mut visitor = back(&server, &token, resume).await;
    assert_eq!(only(&visitor)["conversation"], own);
    assert_eq!(only(&visitor).get("lane"), None);
    assert!(!visitor.hello.to_string().contains("between us"));
    agent.notes(&own, "between us, too").await;
    agent.says(&of_another, "for somebody else").await;
    let heard = visitor.heard().await;
    assert!(!heard.iter().any(|frame| frame["event"] == "note" || frame["event"] == "message"), "{heard:?}");
}

#[tokio::test]
async fn who_comes_and_goes_while_others_write_misses_nothing_and_gets_nothing_twice() {
    let server = fast_server().await;
    let (token, chat, epoch) = chat_of(&server, 1).await;
    let mut agent = server.agent("Grace").await;
    let mut seen: Vec<u64> = vec![1];
    for round in 0..12 {
        for n in 0..10 {
            agent.say(message(&chat, &format!("{round}.{n}"))).await;
        }
        // In the middle of what is being written: gone, and back from the last one seen.
        let mut visitor = back(&server, &token, position(&chat, &epoch, *seen.last().unwrap())).await;
        seen.extend(seqs_of(only(&visitor)["entries"].as_array().unwrap()));
        if round % 2 == 0 {
            let heard = visitor.heard().await;
            let entries: Vec<Value> = heard.into_iter().filter(|frame| frame["type"] == "entry").collect();
            seen.extend(seqs_of(&entries));
        }
    }
    let end = agent.says(&chat, "the end").await;
    let visitor = back(&server, &token, position(&chat, &epoch, *seen.last().unwrap())).await;
    seen.extend(seqs_of(only(&visitor)["entries"].as_array().unwrap()));
    assert_eq!(seen, (1..=end).collect::<Vec<_>>());
}
