//! The other nodes: what they are told, and what is heard of them.
//!
//! Each node knows the attendance of a project for itself, from the same log and from what all nodes say of their sessions.
//! So what follows from it (who is online, who stands where in line) is told by each node to its own sessions only.

use std::sync::{Arc, atomic::Ordering};

use super::{Desk, ProjectDesk, slots::Heard};
use crate::{
    bus::{Health, Message, Source, Topic, Visit},
    clock::Millis,
    domain::{Marks, Who},
    ids::{NodeId, ProjectId, VisitorId},
    protocol::client::Page,
};

/// However much is missed: all that is open is read no more often than this.
const LOOK_EVERY_MS: Millis = 1_000;

/// How many pages of visitors a node that asks is told, and how many at once.
const PAGES: (usize, usize) = (2_000, 100);

impl Desk {
    /// Listens to other nodes from now on, if there may be any.
    pub(super) fn hear_nodes(self: &Arc<Self>) {
        if self.bus.is_shared() {
            let desk = Arc::clone(self);
            self.bus.attach(Arc::new(move |topic, message, source| desk.hear(topic, message, source)));
        }
    }

    /// Called by the bus: must not wait.
    fn hear(self: &Arc<Self>, topic: Topic, message: &Message, source: Source) {
        match (topic, message, source) {
            (_, Message::Missed, _) => self.missed(topic),
            (_, _, Source::Here) => {}
            (Topic::Nodes(project), word, Source::Node(node)) => self.hear_node(project, node, word),
            (Topic::Inbox(project), Message::Head(head), _) => {
                let position = (head.seq, head.desk_seq);
                self.slots.hear(head.id, || Heard::Head(position, head.marks()));
                if let Some(project) = self.known(project)
                    && project.attendance.lock().observe(head, self.clock.ticks())
                {
                    project.kick.notify_one();
                }
            }
            (Topic::Thread(id) | Topic::Desk(id), Message::Entries { epoch, entries }, _) => {
                self.slots.hear(id, || Heard::Entries { epoch: epoch.clone(), entries: entries.clone() });
            }
            (_, Message::Read { conversation, by, seq }, _) => {
                self.slots.hear(*conversation, || Heard::Marks(mark(*by, *seq, true)));
            }
            (_, Message::Delivered { conversation, by, seq }, _) => {
                self.slots.hear(*conversation, || Heard::Marks(mark(*by, *seq, false)));
            }
            (_, Message::Moved { conversation }, _) => self.slots.hear(*conversation, || Heard::Moved),
            _ => {}
        }
    }

    fn hear_node(&self, project: ProjectId, node: NodeId, word: &Message) {
        let Some(project) = self.known(project) else { return };
        let now = self.clock.ticks();
        let mut attendance = project.attendance.lock();
        match word {
            Message::Hello => {
                attendance.tell_again();
                let pages = attendance.own_pages(PAGES.0);
                drop(attendance);
                self.tell_pages(&project, &pages);
            }
            Message::Standing(standing) => attendance.stands(node, standing, now),
            Message::Bye => {
                attendance.bye(node, now);
                drop(attendance);
                self.bus.publish_here(Topic::Control, Message::Gone(node));
            }
            Message::Pages(visits) => {
                for visit in visits {
                    let page = visit.page.clone().map(|(url, title)| Page { url, title });
                    attendance.set_page(node, visit.visitor, page);
                }
                return;
            }
            _ => return,
        }
        project.kick.notify_one();
    }

    /// Something may have been said that was not heard here: asks the nodes, and the log.
    fn missed(&self, topic: Topic) {
        let concerned = match topic {
            Topic::Inbox(project) => self.known(project).into_iter().collect(),
            Topic::Control => self.running(),
            _ => return,
        };
        for project in concerned {
            project.look_again();
        }
    }

    /// Says what is to be said to other nodes of this project, and asks what was missed.
    pub(super) async fn mind_nodes(&self, project: &ProjectDesk) {
        let now = self.clock.ticks();
        let is_due = now - project.looked_at.load(Ordering::Relaxed) >= LOOK_EVERY_MS;
        // One that is not due yet is seen to by the next tick.
        if self.bus.is_shared() && is_due && project.missed.swap(false, Ordering::AcqRel) {
            project.looked_at.store(now, Ordering::Relaxed);
            self.bus.publish(Topic::Nodes(project.id), Message::Hello);
            self.count_again(project).await;
        }
        self.tell_nodes(project);
    }

    /// Tells the other nodes how this one stands, if it is time.
    pub(super) fn tell_nodes(&self, project: &ProjectDesk) {
        if !self.bus.is_shared() {
            return;
        }
        let standing = project.attendance.lock().standing(self.clock.ticks());
        if let Some(standing) = standing {
            self.bus.publish(Topic::Nodes(project.id), Message::Standing(Arc::new(standing)));
        }
    }

    /// This node stops.
    pub(super) fn say_bye(&self, project: &ProjectDesk) {
        self.bus.publish(Topic::Nodes(project.id), Message::Bye);
    }

    /// Ends the leases of nodes that say nothing.
    pub(super) fn expire_nodes(&self, project: &ProjectDesk, now: Millis) {
        let health = *self.bus.health().borrow();
        let mut attendance = project.attendance.lock();
        let led = attendance.leads();
        attendance.listen(matches!(health, Health::Deaf { .. }), health == Health::Doubtful, now);
        let gone = attendance.expire(now);
        let (visitors, waiting, leads) = (attendance.visitors(), attendance.waiting(), attendance.leads());
        drop(attendance);
        if leads && !led || project.missed.load(Ordering::Acquire) {
            project.kick.notify_one();
        }
        metrics::gauge!("deskbell_visitors_online", "project" => project.id.to_string()).set(visitors);
        metrics::gauge!("deskbell_conversations_waiting", "project" => project.id.to_string()).set(waiting);
        for node in gone {
            tracing::info!(project = %project.id, %node, "nothing is heard of a node: its agents are gone");
            self.bus.publish_here(Topic::Control, Message::Gone(node));
        }
    }

    /// The page that a visitor looks at now; none when its last session here ended.
    pub fn set_page(&self, project: ProjectId, visitor: VisitorId, page: Option<Page>) {
        let Some(desk) = self.known(project) else { return };
        desk.attendance.lock().set_page(self.bus.node(), visitor, page.clone());
        if self.bus.is_shared() {
            let page = page.map(|page| (page.url, page.title));
            self.bus.publish(Topic::Nodes(project), Message::Pages(vec![Visit { visitor, page }]));
        }
    }

    fn tell_pages(&self, project: &ProjectDesk, pages: &[(VisitorId, Page)]) {
        for some in pages.chunks(PAGES.1) {
            let visits = some
                .iter()
                .map(|(visitor, page)| Visit { visitor: *visitor, page: Some((page.url.clone(), page.title.clone())) });
            self.bus.publish(Topic::Nodes(project.id), Message::Pages(visits.collect()));
        }
    }
}

impl ProjectDesk {
    /// Something was missed: it is asked for as soon as may be.
    pub(super) fn look_again(&self) {
        self.missed.store(true, Ordering::Release);
        self.kick.notify_one();
    }
}

fn mark(by: Who, seq: u64, read: bool) -> Marks {
    let mut marks = Marks::default();
    *if read { &mut marks.read } else { &mut marks.delivered }.of(by) = seq;
    marks
}
