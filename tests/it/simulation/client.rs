//! A visitor's or an agent's program, as docs/protocol.md wants it: it keeps what is not acknowledged, comes back to
//! whatever node, and says where it was.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use super::judge::Judge;

/// One lane of a conversation.
pub(super) type Lane = (String, bool);

/// With these a server may send a client away that did nothing wrong.
const COME_BACK: [u16; 5] = [4000, 4001, 4002, 4003, 4005];

/// Something that was written and not acknowledged yet.
#[derive(Clone)]
struct Write {
    key: String,
    command: Value,
    is_sent: bool,
}

pub(super) struct Client {
    pub(super) name: String,
    pub(super) project: usize,
    pub(super) is_agent: bool,
    /// Tabs of one visitor share it.
    pub(super) person: String,
    token: String,
    socket: Option<WebSocketStream<DuplexStream>>,
    pub(super) node: Option<usize>,
    is_greeted: bool,
    last_id: u64,
    asked: BTreeMap<u64, Asked>,
    /// The last that it has of each lane.
    pub(super) lanes: BTreeMap<Lane, u64>,
    epochs: BTreeMap<String, String>,
    /// What an agent listens to on this connection.
    watched: BTreeSet<String>,
    writes: Vec<Write>,
    written: usize,
    /// What an agent's inbox shows: position, assignee and status.
    pub(super) heads: BTreeMap<String, (u64, u64, Value, Value)>,
    has_inbox: bool,
}

enum Asked {
    Connect(BTreeMap<Lane, u64>),
    Write(String),
    Watch(String, BTreeMap<Lane, u64>),
    Inbox,
    Nothing,
}

impl Client {
    pub(super) fn new(name: &str, person: &str, project: usize, is_agent: bool, token: String) -> Self {
        Self {
            name: name.to_owned(),
            project,
            is_agent,
            person: person.to_owned(),
            token,
            socket: None,
            node: None,
            is_greeted: false,
            last_id: 0,
            asked: BTreeMap::new(),
            lanes: BTreeMap::new(),
            epochs: BTreeMap::new(),
            watched: BTreeSet::new(),
            writes: Vec::new(),
            written: 0,
            heads: BTreeMap::new(),
            has_inbox: false,
        }
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// Nothing of its own waits, and it listens to all that it knows.
    pub(super) fn is_settled(&self) -> bool {
        let follows = !self.is_agent || (self.has_inbox && self.heads.keys().all(|id| self.watched.contains(id)));
        self.is_greeted && self.writes.is_empty() && follows && !self.asks()
    }

    fn asks(&self) -> bool {
        self.asked.values().any(|asked| !matches!(asked, Asked::Nothing))
    }

    /// The conversations that it can write into.
    pub(super) fn conversations(&self) -> Vec<String> {
        let known: BTreeSet<&String> = self.lanes.keys().map(|(id, _)| id).chain(self.heads.keys()).collect();
        known.into_iter().cloned().collect()
    }

    /// The link is cut: what was on the way to it is lost.
    pub(super) fn cut(&mut self) {
        (self.socket, self.node, self.is_greeted, self.has_inbox) = (None, None, false, false);
        self.asked.clear();
        self.watched.clear();
        self.writes.iter_mut().for_each(|write| write.is_sent = false);
    }

    /// Connects by `stream` to `node`, and says where it was.
    pub(super) async fn connect(&mut self, stream: DuplexStream, node: usize) {
        self.socket = Some(WebSocketStream::from_raw_socket(stream, Role::Client, None).await);
        self.node = Some(node);
        let resume = self.lanes.iter().map(|((id, is_desk), seq)| {
            let lane = if *is_desk { "desk" } else { "thread" };
            json!({"conversation": id, "epoch": self.epochs[id], "lane": lane, "seq": seq})
        });
        let resume: Vec<Value> = resume.collect();
        let command = json!({"type": "connect", "token": self.token, "resume": resume});
        self.ask(command, Asked::Connect(self.lanes.clone()));
    }

    /// Has something to write; it is sent now or when it is connected.
    pub(super) fn write(&mut self, mut command: Value, judge: &mut Judge) -> String {
        self.written += 1;
        let key = format!("{}-{}", self.name.replace('/', "_"), self.written);
        command["key"] = key.clone().into();
        if matches!(command["type"].as_str(), Some("open" | "send" | "note")) {
            command["body"] = json!({"text": key});
        }
        judge.is_written(&self.name, self.project, &key, &command);
        let what = format!("{} {key}", command["type"].as_str().unwrap());
        self.writes.push(Write { key, command, is_sent: false });
        self.send_writes();
        what
    }

    /// Sends what is not stored.
    pub(super) fn tell(&mut self, command: Value) {
        if self.is_greeted {
            self.ask(command, Asked::Nothing);
        }
    }

    fn send_writes(&mut self) {
        if !self.is_greeted {
            return;
        }
        for at in 0..self.writes.len() {
            let write = self.writes[at].clone();
            if !write.is_sent {
                self.writes[at].is_sent = true;
                self.ask(write.command, Asked::Write(write.key));
            }
        }
    }

    fn ask(&mut self, mut command: Value, asked: Asked) {
        self.last_id += 1;
        command["id"] = self.last_id.into();
        self.asked.insert(self.last_id, asked);
        self.send(&command);
    }

    fn send(&mut self, frame: &Value) {
        let Some(socket) = &mut self.socket else { return };
        let sent = socket.send(Message::text(frame.to_string())).now_or_never();
        if !matches!(sent, Some(Ok(()))) {
            self.cut();
        }
    }

    /// Reads what is there, at most `most` frames. What it was, in words.
    pub(super) fn read(&mut self, most: usize, judge: &mut Judge) -> Vec<String> {
        let mut words = Vec::new();
        for _ in 0..most {
            let Some(next) = self.socket.as_mut().and_then(|socket| socket.next().now_or_never()) else { break };
            match next {
                Some(Ok(Message::Text(text))) => {
                    for line in text.lines() {
                        words.push(self.hear(&serde_json::from_str(line).unwrap(), judge));
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map_or(1005, |frame| frame.code.into());
                    judge.must(COME_BACK.contains(&code), || format!("{} was sent away with {code}", self.name));
                    self.cut();
                    words.push(format!("closed with {code}"));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    self.cut();
                    words.push("closed".to_owned());
                }
            }
        }
        words
    }

    fn hear(&mut self, frame: &Value, judge: &mut Judge) -> String {
        let kind = frame["type"].as_str().unwrap();
        match kind {
            "ok" => self.hear_answer(frame, judge),
            "error" => self.hear_error(frame, judge),
            "entry" => {
                let (lane, seq) = (lane_of(frame, &frame["conversation"]), seq_of(frame));
                self.take(lane, frame, judge);
                format!("entry {} {seq} {}", frame["conversation"], frame["event"])
            }
            "inbox" => {
                self.see(&frame["conversation"], judge);
                format!("inbox {} {}", frame["conversation"]["conversation"], frame["conversation"]["seq"])
            }
            "ping" => {
                self.send(&json!({"type": "pong"}));
                kind.to_owned()
            }
            _ => kind.to_owned(),
        }
    }

    fn hear_answer(&mut self, frame: &Value, judge: &mut Judge) -> String {
        match self.asked.remove(&frame["id"].as_u64().unwrap()).unwrap() {
            Asked::Connect(from) => {
                for lane in frame["conversations"].as_array().unwrap() {
                    self.resume(lane, &from, judge);
                }
                self.is_greeted = true;
                self.send_writes();
                if self.is_agent {
                    self.ask(json!({"type": "inbox", "filter": {"status": "any"}, "limit": 50}), Asked::Inbox);
                }
                "connected".to_owned()
            }
            Asked::Write(key) => {
                let own = |id: &Value| id.as_str().map(str::to_owned);
                judge.is_acknowledged(&key, own(&frame["conversation"]), frame);
                self.writes.retain(|write| write.key != key);
                format!("ok {key} {} {}", frame["seq"], frame["duplicate"])
            }
            Asked::Watch(id, from) => {
                self.hear_watched(&id, &from, frame, judge);
                format!("watches {id}")
            }
            Asked::Inbox => {
                self.has_inbox = true;
                frame["heads"].as_array().unwrap().iter().for_each(|head| self.see(head, judge));
                "inbox".to_owned()
            }
            Asked::Nothing => "ok".to_owned(),
        }
    }

    fn hear_error(&mut self, frame: &Value, judge: &mut Judge) -> String {
        let (code, again) = (frame["code"].as_str().unwrap(), frame["retry_ms"].is_u64());
        let asked = frame["id"].as_u64().and_then(|id| self.asked.remove(&id));
        match asked {
            Some(Asked::Write(key)) if again => {
                judge.is_put_off(&self.name);
                let write = self.writes.iter_mut().find(|write| write.key == key).unwrap();
                write.is_sent = false;
                format!("again {key}: {code}")
            }
            Some(Asked::Write(key)) => {
                judge.must(code == "conflict", || format!("{key} was refused: {frame}"));
                judge.is_refused(&key);
                self.writes.retain(|write| write.key != key);
                format!("refused {key}: {code}")
            }
            // A mark or a word of typing for what it does not follow yet.
            Some(Asked::Nothing) => code.to_owned(),
            _ => {
                judge.must(again, || format!("{} heard {frame}", self.name));
                self.cut();
                code.to_owned()
            }
        }
    }

    /// Writes that were put off are sent again, and what the inbox shows is followed.
    pub(super) fn goes_on(&mut self) {
        self.send_writes();
        if !self.is_greeted || !self.is_agent {
            return;
        }
        for id in self.heads.keys().cloned().collect::<Vec<_>>() {
            if self.watched.insert(id.clone()) {
                let from = |is_desk| self.lanes.get(&(id.clone(), is_desk)).copied();
                let command = json!({"type": "watch", "conversation": id, "epoch": self.epochs.get(&id),
                    "seq": from(false), "desk_seq": from(true)});
                self.ask(command, Asked::Watch(id, self.lanes.clone()));
            }
        }
    }

    /// A lane as the answer to `connect` has it.
    fn resume(&mut self, lane: &Value, from: &BTreeMap<Lane, u64>, judge: &mut Judge) {
        let at = lane_of(lane, &lane["conversation"]);
        self.epochs.insert(at.0.clone(), lane["epoch"].as_str().unwrap().to_owned());
        if self.is_agent {
            self.watched.insert(at.0.clone());
        }
        self.go_on(at, lane["entries"].as_array().unwrap(), (lane["resumed"] == true, seq_of(lane)), from, judge);
    }

    fn hear_watched(&mut self, id: &str, from: &BTreeMap<Lane, u64>, frame: &Value, judge: &mut Judge) {
        self.epochs.insert(id.to_owned(), frame["epoch"].as_str().unwrap().to_owned());
        let (desk, thread): (Vec<Value>, Vec<Value>) =
            frame["entries"].as_array().unwrap().iter().cloned().partition(|entry| entry["lane"] == "desk");
        for (is_desk, entries, last) in [(false, thread, &frame["seq"]), (true, desk, &frame["desk_seq"])] {
            let resumed = from.contains_key(&(id.to_owned(), is_desk)) && frame["resumed"] == true;
            self.go_on((id.to_owned(), is_desk), &entries, (resumed, last.as_u64().unwrap()), from, judge);
        }
    }

    /// Goes on in a lane where it was, or begins it with its newest entries.
    fn go_on(
        &mut self,
        lane: Lane,
        entries: &[Value],
        (resumed, last): (bool, u64),
        from: &BTreeMap<Lane, u64>,
        judge: &mut Judge,
    ) {
        let name = &self.name;
        let asked = from.get(&lane).copied();
        // Nobody here is so far behind that he must start over.
        judge.must(resumed || asked.is_none(), || format!("{name} could not resume {lane:?} from {asked:?}"));
        let first = if resumed { asked.unwrap_or(0) + 1 } else { (last + 1).saturating_sub(50).max(1) };
        let seqs: Vec<u64> = entries.iter().map(seq_of).collect();
        judge.must(seqs.iter().copied().eq(first..=last), || {
            format!("{name} at {asked:?} in {lane:?} was given {seqs:?}, not {first} to {last}")
        });
        for entry in entries {
            judge.witnesses(self.project, self.is_agent, &lane, entry);
        }
        self.lanes.insert(lane, last);
    }

    /// A live entry: the next one, and no other.
    fn take(&mut self, lane: Lane, entry: &Value, judge: &mut Judge) {
        let (seq, last) = (seq_of(entry), self.lanes.get(&lane).copied().unwrap_or(0));
        judge.must(seq == last + 1, || format!("{} has {lane:?} up to {last} and was sent {seq}", self.name));
        judge.must(!self.is_agent || self.watched.contains(&lane.0), || {
            format!("{} does not watch {lane:?}", self.name)
        });
        judge.witnesses(self.project, self.is_agent, &lane, entry);
        self.epochs.insert(lane.0.clone(), entry["epoch"].as_str().unwrap().to_owned());
        self.lanes.insert(lane, seq);
    }

    /// The state of a conversation in an agent's inbox: the later one counts.
    fn see(&mut self, head: &Value, judge: &mut Judge) {
        judge.must(self.is_agent, || format!("{} sees an inbox", self.name));
        let id = head["conversation"].as_str().unwrap().to_owned();
        let number = |name: &str| head[name].as_u64().unwrap();
        let seen = (number("seq"), number("desk_seq"), head["assignee"].clone(), head["status"].clone());
        let known = self.heads.get(&id).map_or((0, 0), |known| (known.0, known.1));
        if (seen.0, seen.1) >= known {
            self.heads.insert(id, seen);
        }
    }
}

fn lane_of(frame: &Value, conversation: &Value) -> Lane {
    (conversation.as_str().unwrap().to_owned(), frame["lane"] == "desk")
}

fn seq_of(frame: &Value) -> u64 {
    frame["seq"].as_u64().unwrap()
}
