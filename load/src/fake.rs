//! A server of a hundred lines that speaks enough of the protocol to be measured, and that can be told to break its word.
//! For tests of the harness only: whoever judges must be seen to find something.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use deskbell::{ids::ConversationId, protocol::client::ClientFrame, tasks::Tasks};
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{accept_hdr_async_with_config, tungstenite::Message};

use crate::baseline::echo_subprotocol;

/// How the server breaks its word: at each entry whose `seq` is this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    None,
    /// Acknowledges and stores nothing.
    AckOnly(u64),
    /// Does not pass it on to the agent.
    DropForAgent(u64),
    /// Passes it on twice.
    Repeat(u64),
    /// Passes it on after the next one.
    Swap(u64),
    /// Passes on something that nobody wrote.
    Invent(u64),
    /// Refuses it for now.
    Refuse(u64),
    /// Ends the socket that sends it.
    HangUp(u64),
}

#[derive(Default)]
struct Conversation {
    log: Vec<Value>,
    readers: Vec<(bool, mpsc::Sender<String>)>,
    /// Held back, to be passed on late.
    held: Option<Value>,
    refused: bool,
}

type Log = Arc<Mutex<HashMap<ConversationId, Conversation>>>;

/// Starts it; it ends with the test's runtime.
pub(crate) async fn start(breach: Breach) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (log, tasks) = (Log::default(), Tasks::new());
    let sessions = tasks.clone();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            sessions.spawn(session(stream, Arc::clone(&log), breach));
        }
    });
    address
}

async fn session(stream: TcpStream, log: Log, breach: Breach) {
    stream.set_nodelay(true).unwrap();
    let mut socket = accept_hdr_async_with_config(stream, echo_subprotocol, None).await.unwrap();
    let (outbox, mut inbox) = mpsc::channel(10_000);
    loop {
        tokio::select! {
            Some(text) = inbox.recv() => if socket.send(Message::text(text)).await.is_err() { return },
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => {
                    // The types that the real server reads with: what the harness sends must please them.
                    ClientFrame::parse(&text).unwrap();
                    let Some(answer) = answer(&serde_json::from_str(&text).unwrap(), &log, breach, &outbox) else { return };
                    outbox.try_send(answer.to_string()).unwrap();
                }
                _ => return,
            }
        }
    }
}

fn answer(command: &Value, log: &Log, breach: Breach, outbox: &mpsc::Sender<String>) -> Option<Value> {
    let id = command["id"].clone();
    let named = command["conversation"].as_str().map(|text| text.parse::<ConversationId>().unwrap());
    let mut log = log.lock();
    Some(match command["type"].as_str().unwrap() {
        "open" => {
            let new = ConversationId::generate();
            let conversation = log.entry(new).or_default();
            conversation.readers.push((false, outbox.clone()));
            conversation.append(new, command, breach);
            json!({"type": "ok", "id": id, "conversation": new, "seq": 1})
        }
        "watch" => {
            let conversation = log.get_mut(&named?).unwrap();
            conversation.readers.push((true, outbox.clone()));
            json!({"type": "ok", "id": id, "conversation": named, "entries": conversation.log})
        }
        "send" => {
            let conversation = log.get_mut(&named?).unwrap();
            let seq = conversation.log.len() as u64 + 1;
            match breach {
                Breach::HangUp(at) if at == seq => return None,
                Breach::Refuse(at) if at == seq && !std::mem::replace(&mut conversation.refused, true) => {
                    json!({"type": "error", "id": id, "code": "unavailable", "message": "later", "retry_ms": 5})
                }
                Breach::AckOnly(at) if at == seq && !std::mem::replace(&mut conversation.refused, true) => {
                    json!({"type": "ok", "id": id, "seq": seq})
                }
                _ => {
                    conversation.append(named?, command, breach);
                    json!({"type": "ok", "id": id, "seq": seq})
                }
            }
        }
        _ => json!({"type": "ok", "id": id}),
    })
}

impl Conversation {
    fn append(&mut self, id: ConversationId, command: &Value, breach: Breach) {
        let seq = self.log.len() as u64 + 1;
        let entry = json!({"conversation": id, "event": "message", "seq": seq, "body": command["body"]});
        self.log.push(entry.clone());
        match breach {
            Breach::Swap(at) if at == seq => return self.held = Some(entry),
            Breach::Invent(at) if at == seq => {
                let mut lie = entry.clone();
                lie["body"]["text"] = json!("I never said this");
                self.tell(&lie, |_| true);
            }
            Breach::Repeat(at) if at == seq => self.tell(&entry, |_| true),
            Breach::DropForAgent(at) if at == seq => return self.tell(&entry, |is_agent| !is_agent),
            _ => {}
        }
        self.tell(&entry, |_| true);
        if let Some(held) = self.held.take() {
            self.tell(&held, |_| true);
        }
    }

    fn tell(&self, entry: &Value, to: impl Fn(bool) -> bool) {
        let line = entry.to_string().replacen('{', "{\"type\":\"entry\",", 1);
        for (_, reader) in self.readers.iter().filter(|(is_agent, _)| to(*is_agent)) {
            // A reader that has gone gets nothing.
            reader.try_send(line.clone()).ok();
        }
    }
}
