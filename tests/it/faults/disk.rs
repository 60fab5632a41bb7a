//! The disk is full: nothing is acknowledged, everything heals.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::witness::Writer;
use crate::support::{Request, Setup, until};

/// A file system of 4 MiB, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this machine does not let us mount one.
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&at).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(at))
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = File::options().append(true).create(true).open(self.ballast()).unwrap();
        for size in [64 * 1024, 4_096, 512, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

fn small_disk(folder: &Path) -> Option<SmallDisk> {
    let disk = SmallDisk::mount(folder.join("disk"));
    if disk.is_none() {
        let why = "a full disk was NOT tested: mounting a tmpfs takes root";
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("{why}");
    }
    disk
}

fn has_notice(heard: &[Value]) -> bool {
    heard.iter().any(|frame| frame["type"] == "notice")
}

#[tokio::test]
async fn a_full_disk_is_told_and_heals_without_a_restart() {
    let mut setup = Setup::new();
    setup.limit("writes_per_second", 1_000_000).limit("write_burst", 1_000_000);
    let Some(disk) = small_disk(setup.path()) else { return };
    let data = disk.0.join("data").display().to_string();
    setup.text("data_dir", &data).text("database.url", "sqlite");
    let server = setup.start().await;
    let mut writers = Writer::crowd(&server, 3).await;
    let (mut grace, mut listener) = (server.agent("Grace").await, server.visitor().await);
    disk.fill();
    let mut refused = 0;
    for _ in 0..200 {
        disk.fill();
        for writer in &mut writers {
            let answer = writer.writes().await.unwrap();
            if answer["type"] == "error" {
                assert_eq!(answer["code"], "unavailable", "{answer}");
                assert!(answer["retry_ms"].as_u64().unwrap() > 0, "{answer}");
                refused += 1;
            }
        }
        if refused >= 10 {
            break;
        }
    }
    assert!(refused >= 10, "the disk never filled");
    assert_eq!(grace.hears("notice").await["level"], "warning");
    until("it says that it is not ready", || async {
        let ready = Request::get("/readyz").send(server.admin).await;
        (ready.status == 503).then(|| assert_eq!(ready.json()["log_writable"], false))
    })
    .await;
    Request::get("/healthz").send(server.admin).await.with_status(200);
    let chat = writers[0].chat.clone();
    let thread = writers[0].client.history(&chat, "thread").await;
    assert!(!thread.is_empty(), "what is there can be read meanwhile");
    disk.make_room();
    until("it is ready again", || async {
        (Request::get("/readyz").send(server.admin).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(grace.hears("notice").await["level"], "info", "told when it heals");
    for writer in &mut writers {
        assert!(!has_notice(&writer.client.heard().await), "agents' business");
        writer.comes_back(&server).await;
        writer.finds_all().await;
        assert!(writer.sent_all());
    }
    assert!(!has_notice(&listener.heard().await), "agents' business");
    assert!(!has_notice(&grace.heard().await), "each is told once");
}
