//! What a frame may hold, and what is said of one that is wrong.

use serde_json::{Value, json};

use crate::support::{Server, fresh, message};

#[tokio::test]
async fn an_unknown_command_is_refused_and_the_session_goes_on() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let error = visitor.refused(json!({"type": "dance"})).await;
    assert_eq!(error["code"], "unknown_type");
    assert!(error["message"].as_str().unwrap().contains("dance"));
    visitor.rings("Hello").await;
}

#[tokio::test]
async fn a_wrong_field_is_named() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let key = fresh();
    for (command, field) in [
        (json!({"type": "send", "key": key, "body": {"text": "x"}}), "conversation"),
        (json!({"type": "send", "conversation": chat, "body": {"text": "x"}}), "key"),
        (json!({"type": "send", "conversation": chat, "key": key}), "body"),
        (json!({"type": "send", "conversation": chat, "key": key, "body": {}}), "text"),
        (json!({"type": "history", "conversation": chat, "limit": "many"}), "limit"),
        (json!({"type": "send", "conversation": "seven", "key": key, "body": {"text": "x"}}), "conversation"),
        (json!({"type": "send", "conversation": chat, "key": 7, "body": {"text": "x"}}), "key"),
        (json!({"type": "send", "conversation": chat, "key": key, "body": {"text": [1]}}), "body.text"),
        (json!({"type": "rate", "conversation": chat, "key": key}), "score"),
    ] {
        let error = visitor.refused(command.clone()).await;
        assert_eq!(error["code"], "bad_request", "{command}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(field), "{command}: {message}");
    }
    for key in ["", "with space", &"x".repeat(65), "käse"] {
        let send = json!({"type": "send", "conversation": chat, "key": key, "body": {"text": "x"}});
        assert_eq!(visitor.refusal(send).await, "bad_request", "{key:?}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_ignored() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let open = json!({
        "type": "open", "key": fresh(), "body": {"text": "Hello", "mood": "fine"}, "from": {"kind": "agent"},
        "seq": 99, "priority": {"deep": [1, 2]},
    });
    assert_eq!(visitor.ask(open).await["seq"], 1);
    let entry = visitor.hears_event("message").await;
    assert_eq!(entry["from"]["kind"], "visitor", "who writes is never taken from the frame");
}

#[tokio::test]
async fn a_frame_carries_sixteen_commands_and_no_seventeenth() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("0").await;
    let numbered = |n: u32| {
        let mut command = message(&chat, &n.to_string());
        command["id"] = (100 + n).into();
        command.to_string()
    };
    let sixteen: Vec<String> = (1..=16).map(numbered).collect();
    visitor.send_frame(&sixteen.join("\n")).await;
    for n in 1..=16 {
        assert_eq!(visitor.answer(100 + n).await["seq"], n + 1, "in the order sent");
    }
    let seventeen: Vec<String> = (17..=33).map(numbered).collect();
    visitor.send_frame(&seventeen.join("\n")).await;
    assert_eq!(visitor.closed().await, 4500);
    let mut agent = server.agent("Grace").await;
    let seqs = agent.history(&chat, "thread").await;
    let messages = seqs.iter().filter(|entry| entry["event"] == "message").count();
    assert_eq!(messages, 17, "nothing of the frame that was too long");
}

#[tokio::test]
async fn only_what_carries_a_number_is_answered() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    visitor.tell(&message(&chat, "no answer, please")).await;
    visitor.find("its entry", |it| it["body"]["text"] == "no answer, please").await;
    assert!(visitor.heard().await.iter().all(|frame| frame["type"] != "ok"));
    visitor.tell(&json!({"type": "dance"})).await;
    let error = visitor.hears("error").await;
    assert_eq!(error.get("id"), None);
}

#[tokio::test]
async fn blank_lines_are_nothing_and_a_frame_of_nothing_is_an_error() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    visitor.send_frame("\n\n{\"type\":\"dance\",\"id\":77}\n\n").await;
    assert_eq!(visitor.answer(77).await["code"], "unknown_type");
    visitor.send_frame("\n \n").await;
    assert_eq!(visitor.closed().await, 4500);
}

#[tokio::test]
async fn a_second_connect_ends_the_session() {
    let server = Server::start().await;
    let session = server.session(&server.project).await;
    let token = session["token"].as_str().unwrap();
    let mut visitor = server.join(token).await;
    visitor.tell(&json!({"type": "connect", "token": token})).await;
    assert_eq!(visitor.closed().await, 4500);
}

#[tokio::test]
async fn commands_may_follow_connect_in_the_same_frame() {
    let server = Server::start().await;
    let session = server.session(&server.project).await;
    let mut visitor = server.socket().await;
    let connect = json!({"type": "connect", "id": 901, "token": session["token"]});
    let open = json!({"type": "open", "id": 902, "key": fresh(), "body": {"text": "Hello"}});
    let unknown = json!({"type": "dance", "id": 903});
    visitor.send_frame(&format!("{connect}\n{open}\n{unknown}")).await;
    assert_eq!(visitor.answer(901).await["kind"], "visitor");
    assert_eq!(visitor.answer(902).await["seq"], 1);
    assert_eq!(visitor.answer(903).await["code"], "unknown_type", "each is answered");
}

#[tokio::test]
async fn what_is_no_json_object_ends_the_session() {
    let server = Server::start().await;
    let deep = format!("{{\"type\":\"pong\",\"x\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    for frame in ["hello", "[1]", "{\"type\":", "{\"type\":7}", "null", &deep] {
        let mut visitor = server.visitor().await;
        visitor.send_frame(frame).await;
        assert_eq!(visitor.closed().await, 4500, "{frame:.40}");
    }
    let mut visitor = server.visitor().await;
    visitor.send_binary().await;
    assert_eq!(visitor.closed().await, 4500, "a binary frame");
}

#[tokio::test]
async fn small_frames_travel_together_and_in_order() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("0").await;
    let mut agent = server.agent("Grace").await;
    agent.watches(&chat).await;
    for n in 1..=18 {
        visitor.say(message(&chat, &n.to_string())).await;
    }
    for n in 1..=18 {
        let entry = agent.hears_event("message").await;
        assert_eq!((&entry["body"]["text"], &entry["type"]), (&Value::from(n.to_string()), &json!("entry")));
    }
}
