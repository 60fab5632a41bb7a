//! PostgreSQL for tests: one that all tests of a run share, with a database for each, and private ones to be killed.

use std::{
    fs::Permissions,
    net::IpAddr,
    os::unix::{
        fs::PermissionsExt as _,
        process::{CommandExt as _, parent_id},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{PATIENCE, fresh};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/test-postgres.sh");

/// Whether tests that do not care run on PostgreSQL: `TEST_DATABASE=postgres`.
pub(crate) fn is_default() -> bool {
    std::env::var("TEST_DATABASE").is_ok_and(|database| database == "postgres")
}

/// The address of a new, empty database in the shared PostgreSQL.
pub(crate) fn database() -> String {
    database_in(&shared())
}

fn database_in(folder: &Path) -> String {
    let name = format!("t{}", fresh());
    let made = Command::new(SCRIPT).arg("database").arg(folder).arg(&name).status().unwrap();
    assert!(made.success(), "test-postgres.sh database");
    address(folder, &name)
}

fn address(folder: &Path, database: &str) -> String {
    format!("postgres://deskbell@localhost/{database}?host={}", folder.display())
}

/// The folder of the PostgreSQL that all tests of this run share. The first one starts it; it goes with the process that
/// runs the tests.
fn shared() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("deskbell-test-postgres-{}", parent_id()));
    let lock = std::fs::File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let ready = folder.join("ready");
    if !ready.exists() {
        let mut keeper = Command::new(SCRIPT);
        keeper.arg("while").arg(parent_id().to_string()).arg(&folder);
        // Of a group of its own: what ends the test does not end it.
        keeper.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        drop(keeper.spawn().unwrap());
        let begun = Instant::now();
        while !ready.exists() {
            assert!(begun.elapsed() < PATIENCE * 3, "the shared PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    folder
}

/// A PostgreSQL of one's own. Stopped when dropped.
pub(crate) struct Cluster {
    home: TempDir,
}

impl Cluster {
    /// One that keeps what it acknowledged, with these settings besides.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let cluster = Self { home: TempDir::with_prefix("deskbell-postgres-").unwrap() };
        // Its processes may belong to somebody else.
        std::fs::set_permissions(cluster.home.path(), Permissions::from_mode(0o755)).unwrap();
        let mut all = vec!["fsync=on"];
        all.extend(settings);
        cluster.script("start", &all);
        cluster
    }

    /// The address of a new, empty database in it.
    pub(crate) fn database(&self) -> String {
        database_in(&self.folder())
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path().join("cluster")
    }

    /// One that is reached by TLS only, at an address of this machine that no other test uses; `files` holds `cert.pem`
    /// and `key.pem`.
    pub(crate) fn start_tls(address: IpAddr, files: &Path) -> Self {
        let cluster = Self::start(&[]);
        cluster.stop();
        let data = cluster.folder().join("data");
        std::fs::write(data.join("pg_hba.conf"), "local all all trust\nhostssl all all 127.0.0.0/8 trust\n").unwrap();
        for name in ["cert.pem", "key.pem"] {
            std::fs::copy(files.join(name), data.join(name)).unwrap();
            std::fs::set_permissions(data.join(name), Permissions::from_mode(0o600)).unwrap();
            let reference = format!("--reference={}", data.join("pg_hba.conf").display());
            assert!(Command::new("chown").arg(reference).arg(data.join(name)).status().unwrap().success());
        }
        let listen = format!("listen_addresses={address}");
        cluster.script("start", &["ssl=on", "ssl_cert_file=cert.pem", "ssl_key_file=key.pem", &listen]);
        cluster
    }

    /// Kills it as a power cut would: all of its processes.
    pub(crate) fn kill(&self) {
        let pid = std::fs::read_to_string(self.folder().join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        let children = Command::new("pgrep").args(["-P", pid]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        Command::new("kill").arg("-9").arg(pid).args(children.split_whitespace()).status().unwrap();
    }

    /// Stops it in order, cutting connections.
    pub(crate) fn stop(&self) {
        self.script("stop", &["fast"]);
    }

    /// Starts it again after a kill or stop.
    pub(crate) fn start_again(&self) {
        self.script("start", &[]);
    }

    fn script(&self, what: &str, settings: &[&str]) {
        let status = Command::new(SCRIPT).arg(what).arg(self.folder()).args(settings).status().unwrap();
        assert!(status.success(), "test-postgres.sh {what}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(Command::new(SCRIPT).arg("stop").arg(self.folder()).status());
    }
}
