//! One end of a WebSocket, and what people say over it.

use std::{collections::VecDeque, net::SocketAddr};

use deskbell::protocol::SUBPROTOCOL;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};

use super::{Stream, fresh, within};

/// One session's client.
pub(crate) struct Client {
    socket: WebSocketStream<Stream>,
    last_id: u32,
    /// What came while something else was waited for.
    kept: VecDeque<Value>,
    /// The answer to `connect`.
    pub(crate) hello: Value,
}

impl Client {
    /// A WebSocket over `stream`; `origin` as a browser's page would send it.
    pub(crate) async fn over(stream: Stream, address: SocketAddr, origin: Option<&str>) -> Result<Self, Error> {
        let mut request = format!("ws://{address}/v1/ws").into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", SUBPROTOCOL.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert("Origin", origin.parse().unwrap());
        }
        let (socket, answer) = within("a WebSocket", client_async(request, stream)).await?;
        assert_eq!(answer.headers()["sec-websocket-protocol"], SUBPROTOCOL);
        Ok(Self { socket, last_id: 0, kept: VecDeque::new(), hello: Value::Null })
    }

    /// Says who it is and where it was.
    pub(crate) async fn connect(&mut self, token: &str, resume: Value) {
        self.hello = self.ask(json!({"type": "connect", "token": token, "resume": resume})).await;
    }

    /// Its own id.
    pub(crate) fn subject(&self) -> String {
        text(&self.hello, "subject")
    }

    /// Sends a command and returns its `ok`.
    pub(crate) async fn ask(&mut self, command: Value) -> Value {
        let said = command.to_string();
        let answer = self.answer_to(command).await;
        assert_eq!(answer["type"], "ok", "{said} was answered {answer}");
        answer
    }

    /// Sends a command and returns its answer, or the code that the socket was closed with before there was one.
    pub(crate) async fn try_ask(&mut self, mut command: Value) -> Result<Value, u16> {
        self.last_id += 1;
        command["id"] = self.last_id.into();
        let id = self.last_id;
        let frame = Message::text(command.to_string());
        // A send that fails is no news: what the server said last is still to be read.
        drop(within("a frame is sent", self.socket.send(frame)).await);
        within("an answer or the end", async {
            loop {
                if let Some(at) = self.kept.iter().position(|frame| frame["id"] == id) {
                    return Ok(self.kept.remove(at).unwrap());
                }
                let frames = self.receive().await?;
                self.kept.extend(frames);
            }
        })
        .await
    }

    /// Everything until the server closes, and the code.
    pub(crate) async fn listens_to_the_end(mut self) -> (Vec<Value>, u16) {
        loop {
            match self.receive().await {
                Ok(frames) => self.kept.extend(frames),
                Err(code) => return (self.kept.into(), code),
            }
        }
    }

    /// Sends a command and returns its `error`.
    pub(crate) async fn refused(&mut self, command: Value) -> Value {
        let said = command.to_string();
        let answer = self.answer_to(command).await;
        assert_eq!(answer["type"], "error", "{said} was answered {answer}");
        answer
    }

    /// The code of a command's `error`.
    pub(crate) async fn refusal(&mut self, command: Value) -> String {
        text(&self.refused(command).await, "code")
    }

    pub(crate) async fn answer_to(&mut self, command: Value) -> Value {
        let id = self.say(command).await;
        self.answer(id).await
    }

    /// Sends a command with a number, which is returned, and does not wait.
    pub(crate) async fn say(&mut self, mut command: Value) -> u32 {
        self.last_id += 1;
        command["id"] = self.last_id.into();
        self.tell(&command).await;
        self.last_id
    }

    /// Sends a command without a number.
    pub(crate) async fn tell(&mut self, command: &Value) {
        self.send_frame(&command.to_string()).await;
    }

    /// Sends a text frame as it is.
    pub(crate) async fn send_frame(&mut self, frame: &str) {
        within("a frame is sent", self.socket.send(Message::text(frame))).await.unwrap();
    }

    /// Writes bytes past the WebSocket; false when the server is not there any more.
    pub(crate) async fn write_raw(&mut self, bytes: &[u8]) -> bool {
        let stream = self.socket.get_mut();
        within("bytes are written", async { stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok() })
            .await
    }

    pub(crate) async fn answer(&mut self, id: u32) -> Value {
        self.find(&format!("the answer to {id}"), |frame| frame["id"] == id).await
    }

    /// The next frame of this type that was not looked at yet.
    pub(crate) async fn hears(&mut self, kind: &str) -> Value {
        self.find(kind, |frame| frame["type"] == kind).await
    }

    /// The next entry with this event.
    pub(crate) async fn hears_event(&mut self, event: &str) -> Value {
        self.find(event, |frame| frame["type"] == "entry" && frame["event"] == event).await
    }

    /// The next frame that `is_it` says yes to. Others are kept.
    pub(crate) async fn find(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&is_it) {
            return self.kept.remove(at).unwrap();
        }
        within(what, async {
            loop {
                let mut found = None;
                for frame in self.receive().await.unwrap_or_else(|code| panic!("closed with {code}, not {what}")) {
                    if found.is_none() && is_it(&frame) {
                        found = Some(frame);
                    } else {
                        self.kept.push_back(frame);
                    }
                }
                if let Some(frame) = found {
                    return frame;
                }
            }
        })
        .await
    }

    /// Everything that was there for this session until now: what was put out before the question comes before its answer.
    pub(crate) async fn heard(&mut self) -> Vec<Value> {
        let answer = self.answer_to(json!({"type": "are_you_there"})).await;
        assert_eq!(answer["code"], "unknown_type", "{answer}");
        self.kept.drain(..).collect()
    }

    /// The objects of the next frame, or the code that the socket was closed with: 1006 when there was none.
    async fn receive(&mut self) -> Result<Vec<Value>, u16> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(frame))) => {
                    return Ok(frame.lines().map(|line| serde_json::from_str(line).unwrap()).collect());
                }
                Some(Ok(Message::Close(close))) => return Err(close.map_or(1005, |close| close.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// The code that the server closes this socket with. What comes before is kept.
    pub(crate) async fn closed(&mut self) -> u16 {
        within("the server closes", async {
            loop {
                match self.receive().await {
                    Ok(frames) => self.kept.extend(frames),
                    Err(code) => return code,
                }
            }
        })
        .await
    }

    /// Sends a ping of the WebSocket protocol.
    pub(crate) async fn ping(&mut self) -> bool {
        self.socket.send(Message::Ping(b"x".to_vec().into())).await.is_ok()
    }

    /// Waits for a pong of the WebSocket protocol.
    pub(crate) async fn pong(&mut self) {
        within("a pong", async { while !matches!(self.socket.next().await, Some(Ok(Message::Pong(_)))) {} }).await;
    }

    pub(crate) async fn send_binary(&mut self) {
        within("a frame is sent", self.socket.send(Message::binary(b"{}".to_vec()))).await.unwrap();
    }

    /// Says that it goes, and stays to hear that the server knows.
    pub(crate) async fn says_goodbye(&mut self) {
        within("goodbye", self.socket.send(Message::Close(None))).await.unwrap();
    }

    /// Goes, as a closed tab does.
    pub(crate) async fn leave(mut self) {
        drop(within("goodbye", self.socket.close(None)).await);
    }
}

/// What people do.
impl Client {
    /// Rings: a new conversation, whose id is returned.
    pub(crate) async fn rings(&mut self, words: &str) -> String {
        text(&self.ask(json!({"type": "open", "key": fresh(), "body": {"text": words}})).await, "conversation")
    }

    /// Says something; returns its `seq`.
    pub(crate) async fn says(&mut self, conversation: &str, words: &str) -> u64 {
        self.ask(message(conversation, words)).await["seq"].as_u64().unwrap()
    }

    pub(crate) async fn notes(&mut self, conversation: &str, words: &str) -> u64 {
        let note = json!({"type": "note", "conversation": conversation, "key": fresh(), "body": {"text": words}});
        self.ask(note).await["seq"].as_u64().unwrap()
    }

    /// Looks at a conversation from now on.
    pub(crate) async fn watches(&mut self, conversation: &str) -> Value {
        self.ask(json!({"type": "watch", "conversation": conversation})).await
    }

    pub(crate) async fn closes(&mut self, conversation: &str) -> u64 {
        let close = json!({"type": "close", "conversation": conversation, "key": fresh()});
        self.ask(close).await["seq"].as_u64().unwrap()
    }

    pub(crate) async fn takes(&mut self, conversation: &str) -> Value {
        self.ask(assignment(conversation, &json!("me"))).await
    }

    /// All of a lane, as its history tells.
    pub(crate) async fn history(&mut self, conversation: &str, lane: &str) -> Vec<Value> {
        let mut entries = Vec::new();
        loop {
            let after = entries.len();
            let asked =
                json!({"type": "history", "conversation": conversation, "lane": lane, "after": after, "limit": 200});
            let page = self.ask(asked).await;
            entries.extend(page["entries"].as_array().unwrap().iter().cloned());
            if page["more"] == false {
                return entries;
            }
        }
    }
}

/// A message as a command.
pub(crate) fn message(conversation: &str, words: &str) -> Value {
    json!({"type": "send", "conversation": conversation, "key": fresh(), "body": {"text": words}})
}

/// An assignment as a command.
pub(crate) fn assignment(conversation: &str, to: &Value) -> Value {
    json!({"type": "assign", "conversation": conversation, "key": fresh(), "to": to})
}

fn text(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap_or_else(|| panic!("no {field} in {of}")).to_owned()
}

/// The entries among frames, of one event.
pub(crate) fn entries_of<'a>(frames: &'a [Value], event: &str) -> Vec<&'a Value> {
    frames.iter().filter(|frame| frame["type"] == "entry" && frame["event"] == event).collect()
}

/// The `seq` of each.
pub(crate) fn seqs_of(entries: &[Value]) -> Vec<u64> {
    entries.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect()
}

/// The texts of the messages among entries.
pub(crate) fn texts_of(entries: &[Value]) -> Vec<&str> {
    entries.iter().filter_map(|entry| entry["body"]["text"].as_str()).collect()
}
