//! Nodes of a hundred lines that speak enough of the protocol to be measured, share one log, and can be told to break their
//! word. For tests of the harness only: whoever judges must be seen to find something.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use deskbell::{
    ids::{AgentId, ConversationId},
    protocol::client::ClientFrame,
    tasks::Tasks,
};
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::Instant,
};
use tokio_tungstenite::{accept_hdr_async_with_config, tungstenite::Message};

use crate::baseline::echo_subprotocol;

/// How the server breaks its word: at each entry whose `seq` is this one, in each conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    None,
    /// Acknowledges and stores nothing: what was acknowledged before a commit that failed.
    AckOnly(u64),
    /// Does not pass it on to the agent.
    DropForAgent(u64),
    /// Of all deliveries, does not make each that has this count.
    DropOneIn(u64),
    /// Passes it on twice.
    Repeat(u64),
    /// Passes it on after the next one.
    Swap(u64),
    /// Passes on something that nobody wrote.
    Invent(u64),
    /// Refuses it for now.
    Refuse(u64),
    /// Refuses it for good, and stores it.
    RefuseAndStore(u64),
    /// Stores it once more when it is sent again.
    ForgetKey(u64),
    /// Ends the socket that sends it.
    HangUp(u64),
    /// Passes what is in the desk lane on to the visitor.
    LeakNote(u64),
    /// Passes it on to everybody in the other project, too.
    CrossTalk(u64),
    /// Tells its head to agents of the other project.
    HeadAbroad(u64),
    /// Lets everybody read everything.
    OpenDoors,
    /// Lets no more than so many sessions in.
    Full(u64),
    /// No breach: what other nodes' readers get comes so many milliseconds later.
    SlowBus(u64),
}

/// What a socket gets, and not before then.
type Post = (Instant, String);

/// Somebody who listens.
#[derive(Clone)]
struct Reader {
    is_agent: bool,
    node: usize,
    outbox: mpsc::Sender<Post>,
}

#[derive(Default)]
struct Conversation {
    project: String,
    owner: String,
    /// The agent whose it is.
    assignee: Option<String>,
    /// Thread and desk.
    lanes: [Vec<Value>; 2],
    readers: Vec<Reader>,
    /// Held back, to be passed on late.
    held: Option<Value>,
    refused: bool,
}

#[derive(Default)]
struct State {
    conversations: HashMap<ConversationId, Conversation>,
    /// Agents who follow the inbox: project, who it is, its socket.
    inboxes: Vec<(String, String, mpsc::Sender<Post>)>,
    deliveries: u64,
    sessions: u64,
    /// At which node somebody writes just now.
    at_node: usize,
}

type Shared = Arc<Mutex<State>>;

/// Who a socket is: tokens here read `visitor.PROJECT.NUMBER` and `agent.PROJECT`.
struct Session {
    token: String,
    /// Who it is to the others.
    subject: String,
    node: usize,
    outbox: mpsc::Sender<Post>,
}

/// Starts one node; it ends with the test's runtime.
pub(crate) async fn start(breach: Breach) -> SocketAddr {
    start_nodes(breach, 1).await[0]
}

/// Starts nodes that share a log.
pub(crate) async fn start_nodes(breach: Breach, count: usize) -> Vec<SocketAddr> {
    let (shared, tasks, mut addresses) = (Shared::default(), Tasks::new(), Vec::new());
    for node in 0..count {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap());
        let (sessions, shared) = (tasks.clone(), Arc::clone(&shared));
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                sessions.spawn(serve(stream, node, Arc::clone(&shared), breach));
            }
        });
    }
    addresses
}

async fn serve(stream: TcpStream, node: usize, shared: Shared, breach: Breach) {
    stream.set_nodelay(true).unwrap();
    let mut socket = accept_hdr_async_with_config(stream, echo_subprotocol, None).await.unwrap();
    let (outbox, mut inbox) = mpsc::channel(10_000);
    let mut session = Session { token: String::new(), subject: AgentId::generate().to_string(), node, outbox };
    loop {
        tokio::select! {
            Some((at, text)) = inbox.recv() => {
                tokio::time::sleep_until(at).await;
                if socket.send(Message::text(text)).await.is_err() { return }
            }
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => {
                    // The types that the real server reads with: what the harness sends must please them.
                    ClientFrame::parse(&text).unwrap();
                    let command = serde_json::from_str(&text).unwrap();
                    let Some(answer) = session.answer(&command, &mut shared.lock(), breach) else { return };
                    session.outbox.try_send((Instant::now(), answer.to_string())).unwrap();
                }
                _ => return,
            }
        }
    }
}

fn refusal(id: &Value, code: &str) -> Value {
    json!({"type": "error", "id": id, "code": code, "message": "no"})
}

fn lane(command: &Value) -> usize {
    usize::from(command["lane"] == "desk" || command["type"] == "note")
}

fn after(log: &[Value], seq: u64) -> &[Value] {
    &log[usize::try_from(seq).unwrap().min(log.len())..]
}

impl Session {
    fn is_agent(&self) -> bool {
        self.token.starts_with("agent")
    }

    fn project(&self) -> &str {
        self.token.split('.').nth(1).unwrap_or_default()
    }

    fn reader(&self) -> Reader {
        Reader { is_agent: self.is_agent(), node: self.node, outbox: self.outbox.clone() }
    }

    fn answer(&mut self, command: &Value, state: &mut State, breach: Breach) -> Option<Value> {
        state.at_node = self.node;
        let id = command["id"].clone();
        let named = command["conversation"].as_str().map(|text| text.parse::<ConversationId>().unwrap());
        let kind = command["type"].as_str().unwrap();
        if let Some(named) = named {
            let home = &state.conversations[&named].project;
            let foreign = home != self.project() || (lane(command) == 1 && !self.is_agent());
            if foreign && breach != Breach::OpenDoors {
                return Some(refusal(&id, "not_found"));
            }
        }
        Some(match kind {
            "connect" => {
                state.sessions += 1;
                match breach {
                    Breach::Full(most) if state.sessions > most => refusal(&id, "unavailable"),
                    _ => self.connect(command, state),
                }
            }
            "open" => {
                let new = ConversationId::generate();
                let (project, owner) = (self.project().to_owned(), self.token.clone());
                let conversation =
                    Conversation { project, owner, readers: vec![self.reader()], ..Conversation::default() };
                state.conversations.insert(new, conversation);
                state.assign(new);
                state.append(new, command, breach);
                json!({"type": "ok", "id": id, "conversation": new, "seq": 1})
            }
            "watch" => {
                let conversation = state.conversations.get_mut(&named?).unwrap();
                conversation.readers.push(self.reader());
                let entries = conversation.lanes.concat();
                json!({"type": "ok", "id": id, "conversation": named, "entries": entries})
            }
            "history" => {
                let log = &state.conversations[&named?].lanes[lane(command)];
                let entries = after(log, command["after"].as_u64().unwrap());
                let limit = usize::try_from(command["limit"].as_u64().unwrap()).unwrap();
                let page = &entries[..limit.min(entries.len())];
                json!({"type": "ok", "id": id, "entries": page, "more": entries.len() > limit})
            }
            "inbox" => {
                state.inboxes.push((self.project().to_owned(), self.subject.clone(), self.outbox.clone()));
                json!({"type": "ok", "id": id, "heads": []})
            }
            "close" | "rate" => {
                state.append(named?, command, Breach::None);
                json!({"type": "ok", "id": id, "seq": 1})
            }
            "assign" => {
                let to = command["to"].as_str().map(str::to_owned);
                state.conversations.get_mut(&named?).unwrap().assignee = to;
                state.announce(named?, true);
                json!({"type": "ok", "id": id})
            }
            "send" | "note" => return state.write(&id, named?, command, breach),
            _ => json!({"type": "ok", "id": id}),
        })
    }

    fn connect(&mut self, command: &Value, state: &mut State) -> Value {
        command["token"].as_str().unwrap().clone_into(&mut self.token);
        let mut resumed = Vec::new();
        let positions = command["resume"].as_array().cloned().unwrap_or_default();
        for (id, conversation) in &mut state.conversations {
            let name = id.to_string();
            let named: Vec<&Value> = positions.iter().filter(|one| one["conversation"] == name.as_str()).collect();
            if named.is_empty() && conversation.owner != self.token {
                continue;
            }
            conversation.readers.push(self.reader());
            let whole = json!({"seq": 0});
            for position in if named.is_empty() { vec![&whole] } else { named } {
                let entries = after(&conversation.lanes[lane(position)], position["seq"].as_u64().unwrap());
                let lane = position["lane"].as_str().unwrap_or("thread");
                resumed.push(json!({"conversation": name, "lane": lane, "resumed": true, "entries": entries}));
            }
        }
        json!({"type": "ok", "id": command["id"], "subject": self.subject, "conversations": resumed})
    }
}

impl State {
    fn write(&mut self, id: &Value, to: ConversationId, command: &Value, breach: Breach) -> Option<Value> {
        let conversation = self.conversations.get_mut(&to).unwrap();
        let log = &conversation.lanes[lane(command)];
        let seq = log.len() as u64 + 1;
        let first = |at: u64, done: &mut bool| at == seq && !std::mem::replace(done, true);
        if let Some(entry) = log.iter().find(|entry| entry["key"] == command["key"]) {
            return Some(json!({"type": "ok", "id": id, "seq": entry["seq"], "duplicate": true}));
        }
        match breach {
            Breach::HangUp(at) if first(at, &mut conversation.refused) => return None,
            Breach::ForgetKey(at) if first(at, &mut conversation.refused) => {
                let mut lost = command.clone();
                lost["key"] = json!("lost");
                self.append(to, &lost, breach);
                return None;
            }
            Breach::Refuse(at) if first(at, &mut conversation.refused) => {
                let mut later = refusal(id, "unavailable");
                later["retry_ms"] = json!(5);
                return Some(later);
            }
            Breach::RefuseAndStore(at) if first(at, &mut conversation.refused) => {
                self.append(to, command, breach);
                return Some(refusal(id, "forbidden"));
            }
            Breach::AckOnly(at) if first(at, &mut conversation.refused) => {}
            _ => self.append(to, command, breach),
        }
        Some(json!({"type": "ok", "id": id, "seq": seq}))
    }

    /// Gives a conversation to one of the agents who are there.
    fn assign(&mut self, id: ConversationId) {
        let home = self.conversations[&id].project.clone();
        let there: Vec<_> = self.inboxes.iter().filter(|(project, ..)| *project == home).collect();
        let turn = self.conversations.len() % there.len().max(1);
        let assignee = there.get(turn).map(|(_, subject, _)| subject.clone());
        self.conversations.get_mut(&id).unwrap().assignee = assignee;
    }

    fn append(&mut self, id: ConversationId, command: &Value, breach: Breach) {
        let conversation = self.conversations.get_mut(&id).unwrap();
        let lane = lane(command);
        let seq = conversation.lanes[lane].len() as u64 + 1;
        let event = match command["type"].as_str() {
            Some("note") => "note",
            Some("close") => "closed",
            Some("rate") => "rated",
            _ => "message",
        };
        let mut entry =
            json!({"conversation": id, "event": event, "seq": seq, "body": command["body"], "key": command["key"]});
        if lane == 1 {
            entry["lane"] = json!("desk");
        }
        conversation.lanes[lane].push(entry.clone());
        let entitled = move |is_agent: bool| is_agent || lane == 0;
        match breach {
            Breach::Swap(at) if at == seq && lane == 0 => return conversation.held = Some(entry),
            Breach::Invent(at) if at == seq => {
                let mut lie = entry.clone();
                lie["body"]["text"] = json!("I never said this");
                self.tell(id, &lie, breach, entitled);
            }
            Breach::Repeat(at) if at == seq => self.tell(id, &entry, breach, entitled),
            Breach::DropForAgent(at) if at == seq => {
                return self.tell(id, &entry, breach, |is_agent| !is_agent && lane == 0);
            }
            Breach::LeakNote(at) if at == seq && lane == 1 => return self.tell(id, &entry, breach, |_| true),
            Breach::CrossTalk(at) if at == seq => self.tell_abroad(id, &entry),
            Breach::HeadAbroad(at) if at == seq => self.announce(id, false),
            _ => {}
        }
        self.tell(id, &entry, breach, entitled);
        self.announce(id, true);
        let held = self.conversations.get_mut(&id).and_then(|conversation| conversation.held.take());
        if let Some(held) = held {
            self.tell(id, &held, breach, |_| true);
        }
    }

    fn tell(&mut self, id: ConversationId, entry: &Value, breach: Breach, to: impl Fn(bool) -> bool) {
        let line = entry.to_string().replacen('{', "{\"type\":\"entry\",", 1);
        for reader in self.conversations[&id].readers.iter().filter(|reader| to(reader.is_agent)) {
            self.deliveries += 1;
            if !matches!(breach, Breach::DropOneIn(count) if self.deliveries.is_multiple_of(count)) {
                let wait = match breach {
                    Breach::SlowBus(wait_ms) if reader.node != self.at_node => Duration::from_millis(wait_ms),
                    _ => Duration::ZERO,
                };
                // A reader that has gone gets nothing.
                reader.outbox.try_send((Instant::now() + wait, line.clone())).ok();
            }
        }
    }

    fn tell_abroad(&self, id: ConversationId, entry: &Value) {
        let line = entry.to_string().replacen('{', "{\"type\":\"entry\",", 1);
        let home = &self.conversations[&id].project;
        for reader in
            self.conversations.values().filter(|other| other.project != *home).flat_map(|other| &other.readers)
        {
            reader.outbox.try_send((Instant::now(), line.clone())).ok();
        }
    }

    /// The head, to those who follow the inbox of its project, or of the others.
    fn announce(&self, id: ConversationId, at_home: bool) {
        let line = json!({"type": "inbox", "conversation": {"conversation": id, "seq": 1,
            "status": "open", "assignee": self.conversations[&id].assignee}})
        .to_string();
        let home = &self.conversations[&id].project;
        for (_, _, outbox) in self.inboxes.iter().filter(|(project, ..)| (project == home) == at_home) {
            outbox.try_send((Instant::now(), line.clone())).ok();
        }
    }
}
