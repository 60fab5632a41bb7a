//! An agent of the day: one socket, the inbox, every conversation that is given to it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use deskbell::{
    domain::{Key, Lane},
    ids::{AgentId, ConversationId},
    protocol::client::{
        Assign, AssignTarget, Availability, Body, Close, Command, Connect, Inbox, InboxFilter, Note, Read, Send,
        SetAvailability, Typing, Watch,
    },
    tasks::Tasks,
};
use serde_json::Value;
use tokio::sync::mpsc;

use super::office::{Office, Room, add};
use crate::{
    check::{Mark, Seen},
    client::{Dialer, Link},
    pair::{AGENT, NOTES, VISITOR, key},
    scan,
};

/// Jobs that may wait for one agent: more than it can have conversations.
const JOBS: usize = 10_000;
/// How long to wait for the book to know a conversation whose head came first.
const BLINK: Duration = Duration::from_millis(5);

/// What an agent does a while later.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Job {
    Look(ConversationId),
    Answer(ConversationId),
    Close(ConversationId),
}

/// How others reach the agents.
pub(crate) struct Colleague {
    jobs: mpsc::Sender<Job>,
    id: OnceLock<AgentId>,
}

pub(crate) type Colleagues = Arc<[Colleague]>;

/// A line for each of so many agents, and where the agents listen.
pub(crate) fn colleagues(count: usize) -> (Colleagues, Vec<mpsc::Receiver<Job>>) {
    let (lines, jobs) = (0..count)
        .map(|_| {
            let (line, jobs) = mpsc::channel(JOBS);
            (Colleague { jobs: line, id: OnceLock::new() }, jobs)
        })
        .unzip::<_, _, Vec<_>, Vec<_>>();
    (lines.into(), jobs)
}

/// Gives an agent a job.
pub(crate) fn order(colleagues: &Colleagues, agent: usize, job: Job) {
    // An agent who has gone shows among the disconnects.
    colleagues[agent].jobs.try_send(job).ok();
}

pub(crate) struct Agent {
    number: usize,
    id: AgentId,
    link: Link,
    jobs: mpsc::Receiver<Job>,
    colleagues: Colleagues,
    office: Arc<Office>,
    tasks: Tasks,
    /// What each unanswered message is.
    waiting: HashMap<u32, (Arc<Room>, Mark)>,
    /// What each unanswered `watch` is about.
    watching: HashMap<u32, Arc<Room>>,
    /// Which reader it is in each conversation that it watches.
    readers: HashMap<ConversationId, usize>,
    /// Asked for, or being asked for.
    known: HashSet<ConversationId>,
}

impl Agent {
    /// Signs in: online, with the inbox before it.
    pub(crate) async fn begin(
        number: usize,
        (dialer, token): (&Dialer, &str),
        jobs: mpsc::Receiver<Job>,
        colleagues: &Colleagues,
        office: &Arc<Office>,
        tasks: &Tasks,
    ) -> Result<Self> {
        let mut link = Link::new(dialer.dial(number).await?);
        let connect = Connect { token: token.to_owned(), client: None, resume: Vec::new() };
        let connected = link.ask(Command::Connect(connect)).await.context("failed to connect an agent")?;
        let id = connected["subject"].as_str().context("`connect` gave no subject")?.parse()?;
        colleagues[number].id.get_or_init(|| id);
        link.ask(Command::Inbox(Inbox { filter: InboxFilter::default(), limit: 50, before: None })).await?;
        link.ask(Command::Availability(SetAvailability { status: Availability::Online })).await?;
        Ok(Self {
            number,
            id,
            link,
            jobs,
            colleagues: Arc::clone(colleagues),
            office: Arc::clone(office),
            tasks: tasks.clone(),
            waiting: HashMap::new(),
            watching: HashMap::new(),
            readers: HashMap::new(),
            known: HashSet::new(),
        })
    }

    /// Works until the day is over.
    pub(crate) async fn run(mut self) {
        let stop = self.tasks.clone();
        let ended = tokio::select! {
            ended = self.work() => ended,
            () = stop.stopped() => Ok(()),
        };
        if let Err(error) = ended {
            self.office.meter.disconnected(format!("an agent: {error:#}"));
        }
        self.link.close().await;
    }

    async fn work(&mut self) -> Result<()> {
        loop {
            tokio::select! {
                frame = self.link.next() => {
                    for line in scan::lines(&frame?) {
                        self.on_line(line).await?;
                    }
                }
                Some(job) = self.jobs.recv() => self.on_job(job).await?,
            }
        }
    }

    async fn on_line(&mut self, line: &str) -> Result<()> {
        let value: Value = serde_json::from_str(line)?;
        match value["type"].as_str().unwrap_or_default() {
            "ping" => self.link.pong().await?,
            "inbox" => self.on_head(&value["conversation"]).await?,
            "entry" => self.on_entry(&value),
            "ok" => self.on_ok(&value),
            "error" => self.on_error(&value),
            _ => {}
        }
        Ok(())
    }

    async fn on_head(&mut self, head: &Value) -> Result<()> {
        let conversation = head["conversation"].as_str().unwrap_or_default().parse()?;
        if head["assignee"] == self.id.to_string().as_str() && head["status"] != "closed" {
            self.look(conversation).await?;
        }
        Ok(())
    }

    /// Takes a conversation up that is this agent's now.
    async fn look(&mut self, conversation: ConversationId) -> Result<()> {
        let Some(room) = self.office.find(conversation) else {
            self.later(BLINK, Job::Look(conversation));
            return Ok(());
        };
        if !self.known.insert(conversation) {
            return Ok(());
        }
        let id = self.link.next_id();
        self.watching.insert(id, room);
        let watch = Watch { conversation, epoch: None, seq: None, desk_seq: None };
        self.link.tell(Some(id), Command::Watch(watch)).await
    }

    fn on_ok(&mut self, answer: &Value) {
        let Some(id) = answer["id"].as_u64().and_then(|id| u32::try_from(id).ok()) else { return };
        if let Some((room, mark)) = self.waiting.remove(&id) {
            room.talk.acked(mark, answer["seq"].as_u64().unwrap_or_default());
        }
        if let Some(room) = self.watching.remove(&id) {
            self.readers.insert(room.conversation, room.talk.join());
            room.attend(self.number, &self.office);
            for entry in answer["entries"].as_array().into_iter().flatten() {
                self.on_entry(entry);
            }
        }
    }

    fn on_error(&mut self, answer: &Value) {
        self.office.meter.error(answer["code"].as_str().unwrap_or("unknown"));
        let id = answer["id"].as_u64().and_then(|id| u32::try_from(id).ok());
        if let Some((room, mark)) = id.and_then(|id| self.waiting.remove(&id)) {
            room.talk.refused(mark);
        }
    }

    fn on_entry(&mut self, entry: &Value) {
        let Some(conversation) = entry["conversation"].as_str().and_then(|text| text.parse().ok()) else { return };
        let (Some(room), Some(reader)) = (self.office.find(conversation), self.readers.get(&conversation)) else {
            return;
        };
        let lane = if entry["lane"] == Lane::Desk.as_str() { Lane::Desk } else { Lane::Thread };
        let seen = match (entry["event"].as_str().unwrap_or_default(), entry["body"]["text"].as_str()) {
            ("message" | "note", Some(text)) => scan::recognise(room.talk.index, text),
            _ => Seen::Event,
        };
        room.talk.received(*reader, lane, entry["seq"].as_u64().unwrap_or_default(), seen);
        match seen {
            Seen::Message(mark) if mark.writer == VISITOR => self.on_words(&room, mark),
            Seen::Event if entry["event"] == "closed" => drop(room.closed.send_replace(true)),
            _ => {}
        }
    }

    /// The visitor has said something; whoever answers, thinks about it.
    fn on_words(&self, room: &Room, mark: Mark) {
        let mut desk = room.desk.lock();
        desk.seen = desk.seen.max(usize::try_from(mark.count).unwrap_or_default() + 1);
        if desk.responder == Some(self.number) && !std::mem::replace(&mut desk.busy, true) {
            self.later(self.office.clock.secs(room.chat.answer_s), Job::Answer(room.conversation));
        }
    }

    fn later(&self, after: Duration, job: Job) {
        let (own, colleagues) = (self.number, Arc::clone(&self.colleagues));
        self.tasks.spawn(async move {
            tokio::time::sleep(after).await;
            order(&colleagues, own, job);
        });
    }

    async fn on_job(&mut self, job: Job) -> Result<()> {
        match job {
            Job::Look(conversation) => self.look(conversation).await,
            Job::Answer(conversation) => match self.office.find(conversation) {
                Some(room) => self.answer(&room).await,
                None => Ok(()),
            },
            Job::Close(conversation) => {
                let key = Key::parse("end").context("a word is a key")?;
                self.tell(Command::Close(Close { conversation, key })).await
            }
        }
    }

    async fn tell(&mut self, command: Command) -> Result<()> {
        let id = self.link.next_id();
        self.link.tell(Some(id), command).await
    }

    /// Reads, and answers, or gives it to somebody else.
    async fn answer(&mut self, room: &Arc<Room>) -> Result<()> {
        let conversation = room.conversation;
        let (turn, gives, alone) = {
            let mut desk = room.desk.lock();
            let turn = desk.seen.saturating_sub(1);
            let gives = room.chat.transferred_at == Some(turn) && !desk.transferred && self.colleagues.len() > 1;
            desk.busy = gives;
            desk.transferred |= gives;
            if !gives {
                desk.answered = desk.seen;
            }
            (turn, gives, desk.left_alone)
        };
        add(&self.office.tally.reads);
        // Whatever is there: the server takes no more than its head.
        self.tell(Command::Read(Read { conversation, seq: 1 + turn as u64 })).await?;
        if gives {
            return self.give(room).await;
        }
        if room.chat.note_at == Some(turn) {
            add(&self.office.tally.notes);
            self.say(room, NOTES).await?;
        }
        add(&self.office.tally.typing);
        self.tell(Command::Typing(Typing { conversation, on: true, text: None })).await?;
        self.say(room, AGENT).await?;
        if alone {
            self.later(self.office.clock.secs(room.chat.answer_s), Job::Close(conversation));
        }
        Ok(())
    }

    async fn give(&mut self, room: &Room) -> Result<()> {
        let next = (self.number + 1) % self.colleagues.len();
        let to = *self.colleagues[next].id.get().context("a colleague has not come")?;
        add(&self.office.tally.transfers);
        {
            let mut desk = room.desk.lock();
            (desk.responder, desk.busy) = (Some(next), false);
        }
        let key = Key::parse("given").context("a word is a key")?;
        self.tell(Command::Assign(Assign { conversation: room.conversation, key, to: AssignTarget::Agent(to) })).await
    }

    async fn say(&mut self, room: &Arc<Room>, writer: usize) -> Result<()> {
        let mark = room.talk.depart(writer, Instant::now());
        let text = scan::compose(room.talk.index, mark, room.talk.bytes);
        let (conversation, key, body) = (room.conversation, key(mark)?, Body { text });
        let id = self.link.next_id();
        self.waiting.insert(id, (Arc::clone(room), mark));
        let command = match writer {
            NOTES => Command::Note(Note { conversation, key, body }),
            _ => Command::Send(Send { conversation, key, body }),
        };
        self.link.tell(Some(id), command).await
    }
}
