//! A visitor of the day: looks around, perhaps asks something, and goes.

use std::{sync::Arc, time::Duration, time::Instant};

use anyhow::{Context as _, Result};
use deskbell::{
    domain::Lane,
    protocol::client::{Command, PageView},
    tasks::Tasks,
};
use tokio::sync::mpsc;

use super::{
    agent::{Colleagues, Job, order},
    day::{Chat, Visit},
    office::{Office, Room, add, come, go},
};
use crate::{
    client::{Dialer, Link},
    orders::{Deed, Order},
    outbox::Patience,
    pair::{Pair, Role, Seat, Talk},
    scan,
};

/// How long anything may take that somebody waits for, beyond an hour of the day.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the last of it may take.
const SETTLING: Duration = Duration::from_secs(5);

/// What every visitor needs.
pub(crate) struct Site<'a> {
    pub(crate) dialer: &'a Dialer,
    pub(crate) office: Arc<Office>,
    pub(crate) colleagues: Colleagues,
    pub(crate) tasks: Tasks,
    pub(crate) bytes: usize,
    pub(crate) dawn: Instant,
}

impl Site<'_> {
    /// One visit, from its coming to its going.
    pub(crate) async fn visit(&self, index: usize, token: &str, visit: &Visit) -> Result<()> {
        tokio::time::sleep_until((self.dawn + self.office.clock.secs(visit.at_s)).into()).await;
        let tally = &self.office.tally;
        come(&tally.visitors_here, &tally.most_visitors);
        let done = self.look_and_talk(index, token, visit).await;
        go(&tally.visitors_here);
        done
    }

    async fn look_and_talk(&self, index: usize, token: &str, visit: &Visit) -> Result<()> {
        let mut link = Link::connect(self.dialer, index, token).await?;
        for (number, seconds) in (0_u32..).zip(&visit.pages_s) {
            add(&self.office.tally.page_views);
            link.ask(Command::Page(PageView { page: scan::page(number) })).await?;
            tokio::time::sleep(self.office.clock.secs(*seconds)).await;
        }
        link.close().await;
        match &visit.chat {
            Some(chat) => self.talk(index, token, chat).await,
            None => Ok(()),
        }
    }

    async fn talk(&self, index: usize, token: &str, chat: &Chat) -> Result<()> {
        let talk = Talk::among(&[Role::Visitor], index, self.bytes, Arc::clone(&self.office.meter));
        let pair = Pair::open(&[Seat { dialer: self.dialer, token }], talk, true).await?;
        let side = pair.sides.into_iter().next().context("a conversation has a visitor")?;
        let room = Room::new(side.conversation().context("no conversation")?, pair.talk, chat.clone());
        self.office.enter(Arc::clone(&room));
        let side = side.with_patience(Patience::default());
        let own = Own { orders: side.orderer.clone(), office: &self.office, room };
        self.tasks.spawn(side.run(self.tasks.clone()));
        come(&self.office.tally.chats_open, &self.office.tally.most_chats);
        let done = own.converse(&self.colleagues).await;
        go(&self.office.tally.chats_open);
        own.settled().await;
        own.order(Order::Stop).await;
        done
    }
}

/// A visitor in its conversation.
struct Own<'a> {
    orders: mpsc::Sender<Order>,
    office: &'a Office,
    room: Arc<Room>,
}

impl Own<'_> {
    async fn order(&self, order: Order) {
        // A side that has ended shows among the disconnects.
        self.orders.send(order).await.ok();
    }

    fn patience(&self) -> Duration {
        PATIENCE + self.office.clock.secs(3600.0)
    }

    async fn pause(&self, seconds: f64) {
        tokio::time::sleep(self.office.clock.secs(seconds)).await;
    }

    async fn converse(&self, colleagues: &Colleagues) -> Result<()> {
        let (chat, tally) = (&self.room.chat, &self.office.tally);
        // The first one opened the conversation.
        for (turn, seconds) in chat.turns_s.iter().enumerate() {
            if turn > 0 {
                add(&tally.typing);
                self.order(Order::Do(Deed::Type(true))).await;
                self.pause(*seconds).await;
                self.order(Order::Say(Instant::now(), Lane::Thread)).await;
            }
            if let Some((_, away_s)) = chat.walks_off.filter(|(at, _)| *at == turn) {
                return self.walk_off(away_s, turn, colleagues).await;
            }
            if chat.navigates_at == Some(turn) {
                add(&tally.navigations);
                self.order(Order::Do(Deed::Leave(Duration::ZERO))).await;
                self.order(Order::Do(Deed::Look(u32::try_from(turn).unwrap_or_default()))).await;
            }
            self.answered(turn + 1).await?;
            add(&tally.reads);
            self.order(Order::Do(Deed::Read)).await;
        }
        self.end(colleagues).await
    }

    /// Waits until there are so many answers.
    async fn answered(&self, count: usize) -> Result<()> {
        let mut replies = self.room.talk.replies();
        let waited = tokio::time::timeout(self.patience(), replies.wait_for(|seen| *seen >= count as u64)).await;
        waited.with_context(|| format!("nobody answered in {}", self.room.conversation))??;
        Ok(())
    }

    /// Waits until all that was said is answered and has arrived; what is not, shows in the verdict.
    async fn settled(&self) {
        let end = Instant::now() + SETTLING;
        while self.room.talk.oldest().is_some() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn closed(&self) -> Result<()> {
        let mut closed = self.room.closed.subscribe();
        let waited = tokio::time::timeout(self.patience(), closed.wait_for(|closed| *closed)).await;
        waited.with_context(|| format!("{} was not closed", self.room.conversation))??;
        add(&self.office.tally.finished);
        Ok(())
    }

    /// Goes without waiting for the answer, and finds it on coming back.
    async fn walk_off(&self, away_s: f64, turn: usize, colleagues: &Colleagues) -> Result<()> {
        add(&self.office.tally.walked_off);
        let answered = {
            let mut desk = self.room.desk.lock();
            desk.left_alone = true;
            desk.responder.filter(|_| desk.answered > turn)
        };
        self.order(Order::Do(Deed::Leave(self.office.clock.secs(away_s)))).await;
        // Whoever answers from now on sees that it is alone and ends it.
        if let Some(agent) = answered {
            order(colleagues, agent, Job::Close(self.room.conversation));
        }
        self.closed().await?;
        self.answered(turn + 1).await
    }

    /// One of the two ends it, and the visitor rates it.
    async fn end(&self, colleagues: &Colleagues) -> Result<()> {
        let responder = self.room.desk.lock().responder;
        match responder.filter(|_| !self.room.chat.visitor_closes) {
            Some(agent) => order(colleagues, agent, Job::Close(self.room.conversation)),
            None => self.order(Order::Do(Deed::Close)).await,
        }
        self.closed().await?;
        if let Some(score) = self.room.chat.rating {
            self.pause(5.0).await;
            add(&self.office.tally.ratings);
            self.order(Order::Do(Deed::Rate(score))).await;
        }
        Ok(())
    }
}
