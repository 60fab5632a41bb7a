//! Where SQLite finds entries: their keys go from a small tree into the large one, many of a conversation at a time.
//!
//! An index over all entries has a page for each busy conversation to which its next key goes. With a thousand of them, nearly
//! every message wrote such a page anew: a third of what a message cost. In the tree of the recent ones,
//! some hundred pages, a group's keys share pages; and when they go on into the large one, some eight of a conversation do at
//! once. Keys stand in one of the two at any moment, and what reads looks into both (the view `found_entries`). That a key occurs
//! once rests on the conversation's head, which goes on in the same transaction; each tree sees only its own.

use std::time::{Duration, Instant};

use super::{
    sql::{Cell, Row},
    sqlite::{self, Direct},
};

/// So many recent keys are enough to begin: eight for each of a thousand busy conversations.
const MANY: u64 = 8_192;
/// How many go on in one transaction, at the least and at the most: some one to six milliseconds. A conversation is not divided.
const SLICE: (u64, u64) = (256, 2_048);
/// For each new key so many go on: the end is reached before there are [`MANY`] again.
const FOR_EACH: u64 = 2;

/// The conversation that ends a slice of `?2` keys after `?1`; none where there are fewer.
const END: &str =
    "SELECT conversation FROM recent_places WHERE conversation > ?1 ORDER BY conversation LIMIT 1 OFFSET ?2";
/// Without a journal of its own: refused, it takes back the transaction, of which it is the first.
const GO_ON: &str = "INSERT OR ROLLBACK INTO places SELECT conversation, lane, seq, place FROM recent_places \
    WHERE conversation > ?1 AND conversation <= ?2 ORDER BY conversation, lane, seq";
const LEAVE: &str = "DELETE FROM recent_places WHERE conversation > ?1 AND conversation <= ?2";
const COUNT: &str = "SELECT '', COUNT(*) FROM recent_places";

/// How long they rest where they could not be moved.
const REST: Duration = Duration::from_secs(10);

/// All go on: after a restore, for example, which entered them one by one.
pub(super) const ALL_GO_ON: &str = "INSERT INTO places SELECT conversation, lane, seq, place FROM recent_places \
    ORDER BY conversation, lane, seq; DELETE FROM recent_places";

/// Behind every conversation's id.
const LAST: &str = "~";

/// How far the keys are.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// How many are in the small tree, as far as is known.
    recent: u64,
    /// They are going on; those of conversations up to this one did.
    gone: Option<String>,
    /// How many are to go on by now.
    owed: u64,
    /// They could not, and are tried again then.
    rests_until: Option<Instant>,
    /// They were refused: they stay where they are, where they are found as well.
    is_given_up: bool,
}

impl Places {
    /// Takes note of what is there.
    pub(super) fn find(direct: &mut Direct) -> Self {
        let mut places = Self::default();
        places.count(direct);
        places
    }

    /// Lets some go on, between two groups, when there are many; the last group, which was written, had so many `entries`.
    pub(super) fn look(&mut self, direct: &mut Direct, entries: u64) {
        self.recent += entries;
        if self.is_given_up || (self.gone.is_none() && self.recent < MANY) {
            return;
        }
        self.owed = (self.owed + FOR_EACH * entries).min(SLICE.1);
        if self.owed < SLICE.0 || self.rests_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        if let Err(error) = self.go_on(direct) {
            direct.roll_back();
            self.gone = None;
            self.rests_until = Some(Instant::now() + REST);
            // A full disk heals; rows that are refused do not, and would be refused again and again.
            self.is_given_up = sqlite::is_about_data(&error);
            tracing::error!(%error, "places of entries were not moved; the entries are found where they are");
        }
    }

    /// One slice, in a transaction of its own: should it fail, no message does.
    fn go_on(&mut self, direct: &mut Direct) -> rusqlite::Result<()> {
        let gone = self.gone.clone().unwrap_or_default();
        let most = i64::try_from(self.owed - 1).unwrap_or(i64::MAX);
        let end = direct.fetch(END, [&vec![Cell::Text(gone.clone()), Cell::Number(most)]])?.pop();
        let is_last = end.is_none();
        let end = end.map_or_else(|| LAST.to_owned(), |(conversation, _)| conversation);
        let slice = vec![Cell::Text(gone), Cell::Text(end.clone())];
        direct.begin()?;
        direct.shift(GO_ON, &slice)?;
        direct.shift(LEAVE, &slice)?;
        direct.commit()?;
        self.owed = 0;
        self.gone = Some(end);
        if is_last {
            self.gone = None;
            self.count(direct);
        }
        Ok(())
    }

    fn count(&mut self, direct: &mut Direct) {
        let counted = direct.fetch(COUNT, [&Row::new()]).ok().and_then(|mut rows| rows.pop());
        self.recent = counted.and_then(|(_, count)| u64::try_from(count).ok()).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;
    use crate::{
        clock::Clock,
        config::Secret,
        domain::Lane,
        ids::ConversationId,
        log::{
            Log, OpenAs, Options, back_up, connection::Writer, engine::Engine, migrate, restore, sql, sqlite::Sqlite,
        },
        tasks::Tasks,
    };

    /// More than are enough to begin, in so many conversations.
    const ENTRIES: u64 = 9_000;
    const CONVERSATIONS: usize = 300;

    fn row(conversation: ConversationId, seq: u64) -> Row {
        let text = |text: &str| Cell::Text(text.to_owned());
        let mut row = vec![Cell::Id(conversation.as_uuid()), Cell::Word("thread"), Cell::count(seq)];
        row.extend([Cell::Id(ConversationId::generate().as_uuid()), text("project"), Cell::Number(7), Cell::NoText]);
        row.extend([text("system"), Cell::NoText, Cell::NoText, Cell::NoText, text("closed"), text("{}")]);
        row
    }

    /// Entries of conversations that speak in turn.
    fn talk(conversations: &[ConversationId], entries: u64) -> Vec<Row> {
        let turns = (1..).flat_map(|seq| conversations.iter().map(move |id| row(*id, seq)));
        turns.take(usize::try_from(entries).unwrap()).collect()
    }

    fn enter(direct: &mut Direct, rows: &[Row]) {
        direct.begin().unwrap();
        direct.run(sql::ENTER.alone(), rows).unwrap();
        direct.commit().unwrap();
    }

    fn count(direct: &mut Direct, table: &str) -> u64 {
        let text = format!("SELECT '', COUNT(*) FROM {table}");
        u64::try_from(direct.fetch(&text, [&Row::new()]).unwrap()[0].1).unwrap()
    }

    fn options(home: &Path) -> Options {
        let (url, data_dir) = (Secret::new("sqlite".to_owned()), home.to_owned());
        Options { url, data_dir, readers: 1, role: OpenAs::Server }
    }

    async fn log(home: &Path) -> (Log, Tasks) {
        let tasks = Tasks::new();
        (Log::open(options(home), Clock::manual(1), &tasks).await.unwrap(), tasks)
    }

    async fn an_empty_log(home: &Path) -> Direct {
        let (log, _tasks) = log(home).await;
        log.close().await;
        Sqlite::prepare(home).unwrap().direct().unwrap()
    }

    #[tokio::test]
    async fn keys_go_on_slice_by_slice_and_every_entry_is_found_meanwhile() {
        let home = TempDir::new().unwrap();
        let mut direct = an_empty_log(home.path()).await;
        let conversations: Vec<_> = (0..CONVERSATIONS).map(|_| ConversationId::generate()).collect();
        enter(&mut direct, &talk(&conversations, ENTRIES));
        let (mut places, mut slices) = (Places::find(&mut direct), 0);
        assert_eq!(places.recent, ENTRIES);
        while count(&mut direct, "recent_places") > 0 {
            places.look(&mut direct, SLICE.0 / FOR_EACH);
            slices += 1;
            assert_eq!(count(&mut direct, "found_entries"), ENTRIES, "after slice {slices}");
        }
        assert!(slices > ENTRIES / SLICE.0 / 2, "{slices}");
        assert_eq!((places.recent, count(&mut direct, "places")), (0, ENTRIES));
        // Few stay where they are.
        enter(&mut direct, &talk(&[ConversationId::generate()], 50));
        places.look(&mut direct, 50);
        assert_eq!(count(&mut direct, "recent_places"), 50);
    }

    #[tokio::test]
    async fn what_is_refused_stays_where_it_is_found() {
        let home = TempDir::new().unwrap();
        let mut direct = an_empty_log(home.path()).await;
        let conversations: Vec<_> = (0..CONVERSATIONS).map(|_| ConversationId::generate()).collect();
        enter(&mut direct, &talk(&conversations, ENTRIES));
        direct.say("INSERT INTO places SELECT conversation, lane, seq, place FROM recent_places LIMIT 1").unwrap();
        let mut places = Places::find(&mut direct);
        places.look(&mut direct, SLICE.0);
        assert!(places.is_given_up);
        assert_eq!(count(&mut direct, "recent_places"), ENTRIES);
        enter(&mut direct, &talk(&[ConversationId::generate()], 1));
    }

    #[tokio::test]
    async fn a_restore_leaves_no_key_in_the_small_tree() {
        let (home, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let mut direct = an_empty_log(home.path()).await;
        enter(&mut direct, &talk(&[ConversationId::generate()], 20));
        let file = home.path().join("backup");
        back_up(&options(home.path()), &file, 1).await.unwrap();
        restore(&options(other.path()), &file, 2).await.unwrap();
        let mut restored = Sqlite::prepare(other.path()).unwrap().direct().unwrap();
        let found = ["found_entries", "places", "recent_places"].map(|table| count(&mut restored, table));
        assert_eq!(found, [20, 20, 0]);
    }

    #[tokio::test]
    async fn a_log_of_before_is_found_after_the_upgrade() {
        sqlx::any::install_default_drivers();
        let home = TempDir::new().unwrap();
        let engine = Engine::Sqlite(Sqlite::prepare(home.path()).unwrap());
        let mut writer = Writer::connect(engine).await.unwrap();
        let conversations: Vec<_> = (0..3).map(|_| ConversationId::generate()).collect();
        writer.begin().await.unwrap();
        migrate::apply(&mut writer, |version| version < 5, 1).await.unwrap();
        sql::ENTER.run(&mut writer, &talk(&conversations, 30)).await.unwrap();
        writer.commit().await.unwrap();
        writer.close().await;
        let (log, _tasks) = log(home.path()).await;
        for conversation in conversations {
            let read = log.read_after(conversation, Lane::Thread, 0, 100).await.unwrap();
            assert_eq!(read.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
        }
        log.close().await;
        let mut direct = Sqlite::prepare(home.path()).unwrap().direct().unwrap();
        assert_eq!((count(&mut direct, "places"), count(&mut direct, "recent_places")), (30, 0));
    }
}
