//! What may go wrong, and what it must not lead to.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use deskbell::log::Error;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use super::*;
use crate::support::{certificate_for, own_address};

/// Opens a log that must refuse.
async fn refusal(options: Options) -> Error {
    Log::open(options, Clock::manual(START), &Tasks::new()).await.unwrap_err()
}

/// Does something to the database behind the log's back.
pub(super) async fn meddle(story: &Story, sql: &str) {
    let url = match story.options.url.reveal() {
        "sqlite" => format!("sqlite://{}", story.path().join("deskbell.db").display()),
        url => url.to_owned(),
    };
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn the_data_directory_is_for_its_owner_only() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("a new, odd näme %20?#/data");
    let story = Story::begin_in(&path).await;
    story.chat().await;
    for (name, mode) in [("", 0o700), ("deskbell.db", 0o600), ("deskbell.db-wal", 0o600), ("deskbell.lock", 0o600)] {
        let file = if name.is_empty() { path.clone() } else { path.join(name) };
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, mode, "{}", file.display());
    }
    story.stop().await;
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_refused_and_a_command_is_not() {
    let story = Story::begin_in_sqlite().await;
    let refused = refusal(options(story.path(), OpenAs::Server)).await;
    assert!(refused.to_string().starts_with("another Deskbell server uses "), "{refused}");
    let command = Log::open(options(story.path(), OpenAs::Command), Clock::system(), &Tasks::new()).await.unwrap();
    assert!(command.projects().await.unwrap().is_empty());
    command.close().await;
    story.stop().await;
    Story::begin_in(story.path()).await.stop().await;
}

#[tokio::test]
async fn a_database_of_the_first_schema_is_brought_up_and_what_was_read_has_arrived() {
    let mut story = Story::begin().await;
    let chat = story.chat().await;
    let read = Watermarks { visitor: 1, agent: 1 };
    story.log.mark(chat.head.id, Marks { read, ..Marks::default() }).await.unwrap();
    story.log.close().await;
    for column in ["delivered_visitor", "delivered_agent"] {
        meddle(&story, &format!("ALTER TABLE conversations DROP COLUMN {column}")).await;
    }
    meddle(&story, "DELETE FROM deskbell_schema WHERE version = 2").await;
    story.restart().await;
    assert_eq!(story.state(&chat).await.marks(), Marks { read, delivered: read });
    story.stop().await;
}

#[tokio::test]
async fn a_newer_database_is_refused_untouched() {
    let story = Story::begin().await;
    story.stop().await;
    meddle(&story, "INSERT INTO deskbell_schema (version, applied_ms) VALUES (99, 0)").await;
    let refused = refusal(story.options.clone()).await;
    assert!(matches!(refused, Error::Newer { found: 99, .. }), "{refused}");
    assert!(refused.to_string().contains("newer Deskbell"), "{refused}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_said_without_repeating_a_password() {
    let home = TempDir::new().unwrap();
    let at = |url: &str| Options { url: Secret::new(url.to_owned()), ..options(home.path(), OpenAs::Server) };
    let refused = refusal(at("postgres://deskbell:hunter2@127.0.0.1:1/deskbell")).await;
    assert!(matches!(refused, Error::Unreachable(_)), "{refused}");
    assert!(
        refused.to_string().starts_with("PostgreSQL can't be reached at the address in `database.url`: "),
        "{refused}"
    );
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
    for url in ["postgres://deskbell:hunter2@db:port/deskbell", "mysql://hunter2@db"] {
        let refused = refusal(at(url)).await;
        assert!(matches!(refused, Error::Unsupported(_)), "{refused}");
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }
    assert!(!format!("{:?}", at("postgres://deskbell:hunter2@db/deskbell")).contains("hunter2"));
    let file = home.path().join("a-file");
    fs::write(&file, "").unwrap();
    assert!(matches!(refusal(options(&file, OpenAs::Server)).await, Error::Directory(_)));
}

#[tokio::test]
async fn a_database_over_the_network_must_show_the_certificate_that_is_trusted() {
    let (files, elsewhere, address) = (TempDir::new().unwrap(), TempDir::new().unwrap(), own_address());
    certificate_for(files.path(), address);
    certificate_for(elsewhere.path(), address);
    let cluster = postgres::Cluster::start_tls(address, files.path());
    let database = cluster.database();
    // `postgres://deskbell@localhost/NAME?host=...`
    let name = database.split(['/', '?']).nth(3).unwrap();
    let url = |more: &str| format!("postgres://deskbell@{address}/{name}?{more}");
    let trusting = |folder: &TempDir| {
        url(&format!("sslmode=verify-full&sslrootcert={}", folder.path().join("cert.pem").display()))
    };

    let story = Story::begin_at(trusting(&files)).await;
    let chat = story.chat().await;
    assert_eq!(story.entries(&chat, Lane::Thread).await.len(), 1);
    story.stop().await;
    for (wrong, why) in [
        (trusting(&elsewhere), "certificate"),
        (url("sslmode=verify-full"), "certificate"),
        (url("sslmode=disable"), "no encryption"),
    ] {
        let options = Options { url: Secret::new(wrong.clone()), ..options(files.path(), OpenAs::Server) };
        let refused = refusal(options).await.to_string();
        assert!(refused.contains("`database.url`") && refused.contains(why), "{wrong}: {refused}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("deskbell.db"), "This is not a database. ".repeat(500)).unwrap();
    let refused = refusal(options(home.path(), OpenAs::Server)).await;
    assert!(refused.to_string().contains("not a database"), "{refused}");
}

#[tokio::test]
async fn rows_that_the_database_refuses_harm_only_their_own_conversation() {
    let story = Story::begin().await;
    let (mut broken, mut good) = (story.chat().await, story.chat().await);
    // The head says 1, the lane already has a 2: only a hand could have done that.
    let copy = "INSERT INTO entries (conversation, lane, seq, id, project, at_ms, session, author_kind, author, author_name, \
                client_key, event, body) SELECT conversation, lane, 2, id, project, at_ms, session, author_kind, author, \
                author_name, client_key, event, body FROM entries ORDER BY conversation LIMIT 1";
    meddle(&story, copy).await;
    if story.entries(&good, Lane::Thread).await.len() == 2 {
        std::mem::swap(&mut broken, &mut good);
    }
    let id = good.head.id;
    let marks = Marks { read: Watermarks { visitor: 1, agent: 1 }, delivered: Watermarks { visitor: 1, agent: 2 } };
    let (refused, written, marked) = tokio::join!(
        story.log.append(broken.says("a", "a")),
        story.log.append(good.says("b", "b")),
        story.log.mark(id, marks)
    );
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    assert_eq!(written, Ok(()));
    assert!(marked.is_ok());
    assert_eq!(story.state(&good).await.seq, 2);
    assert_eq!(story.state(&good).await.read.agent, 1);
    assert_eq!(story.state(&broken).await.seq, 1);
    story.stop().await;
}

#[tokio::test]
async fn what_was_handed_over_before_the_end_is_written_and_nothing_after() {
    let story = Story::begin().await;
    let mut chat = story.chat().await;
    let appends: Vec<_> = (0..50).map(|n| chat.says(&format!("k{n}"), "x")).collect();
    let (written, ()) = tokio::join!(
        futures_util::future::join_all(appends.into_iter().map(|append| story.log.append(append))),
        story.log.close()
    );
    assert!(written.iter().all(Result::is_ok));
    assert!(matches!(story.log.append(chat.says("late", "x")).await, Err(AppendError::Unavailable(_))));
    assert!(!story.log.is_writable().await);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_without_its_text() {
    let story = Story::begin().await;
    let chat = story.chat().await;
    meddle(&story, "UPDATE entries SET body = 'a private word'").await;
    let damaged = story.log.read_after(chat.head.id, Lane::Thread, 0, 9).await.unwrap_err();
    assert_eq!(damaged.to_string(), "the database holds an unreadable body");
    story.stop().await;
}

/// A file system of a few megabytes, unmounted when dropped.
struct SmallDisk {
    path: PathBuf,
    _home: TempDir,
}

impl SmallDisk {
    /// None where this user may not mount.
    fn mount(megabytes: u32) -> Option<Self> {
        let home = TempDir::new().unwrap();
        let path = home.path().join("small");
        fs::create_dir(&path).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "deskbell-test"]).arg(&path).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self { path, _home: home })
    }

    /// Leaves no room for a single page.
    fn fill(&self) {
        let mut chunk = 64 * 1024;
        let mut filler = fs::File::create(self.path.join("filler")).unwrap();
        while chunk > 0 {
            if std::io::Write::write_all(&mut filler, &vec![b'x'; chunk]).is_err() {
                chunk /= 2;
            }
        }
    }

    fn free(&self) {
        fs::remove_file(self.path.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.path).status());
    }
}

#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_heals_without_a_restart() {
    let Some(disk) = SmallDisk::mount(8) else {
        eprintln!(
            "SKIPPED: a_full_disk_acknowledges_nothing_and_heals_without_a_restart must run as root, to mount a disk"
        );
        return;
    };
    let data = disk.path.join("data");
    let story = Story::begin_in(&data).await;
    let mut chats = Vec::new();
    for _ in 0..10 {
        chats.push(story.chat().await);
    }
    assert!(story.log.is_writable().await);

    for round in 0..3 {
        disk.fill();
        // A few commits may still find room in the WAL file as it is; the disk is full when one is refused.
        let mut refused = 0;
        for n in 0..2_000 {
            let before: Vec<_> = chats.iter().map(|chat| chat.head.seq).collect();
            let mut tried = chats.clone();
            let appends: Vec<_> =
                tried.iter_mut().map(|chat| chat.says(&format!("r{round}-{n}"), &"long ".repeat(200))).collect();
            let outcomes =
                futures_util::future::join_all(appends.into_iter().map(|append| story.log.append(append))).await;
            for ((chat, tried), (outcome, before)) in chats.iter_mut().zip(tried).zip(outcomes.iter().zip(before)) {
                match outcome {
                    Ok(()) => *chat = tried,
                    Err(AppendError::Unavailable(_)) => assert_eq!(story.state(chat).await.seq, before),
                    Err(AppendError::Stale | AppendError::Full) => {
                        panic!("something was stored that was not acknowledged")
                    }
                }
            }
            refused += usize::from(outcomes.iter().any(Result::is_err));
            // A probe is small and may fit where a message does not; it uses that room up.
            if refused >= 3 && !story.log.is_writable().await {
                break;
            }
        }
        assert!(refused >= 3, "the disk was never full");
        assert!(!story.log.is_writable().await, "a full disk is not ready");

        disk.free();
        assert!(story.log.is_writable().await, "it heals as soon as there is room");
        for chat in &mut chats {
            story.log.append(chat.says(&format!("healed-{round}"), "again")).await.unwrap();
            assert_eq!(story.entries(chat, Lane::Thread).await.len() as u64, chat.head.seq);
        }
    }
    story.stop().await;

    let again = Story { project: story.project, ..Story::begin_in(&data).await };
    for chat in &chats {
        assert_eq!(again.state(chat).await, *chat.head, "after a restart, exactly what was acknowledged");
    }
    again.stop().await;
}
