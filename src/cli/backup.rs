//! `deskbell backup | restore`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Common, Failure};
use crate::{
    clock::Clock,
    log::{self, OpenAs},
    server,
};

/// Write the whole database to one file.
#[derive(Args)]
pub(super) struct Backup {
    /// The file to be made
    file: PathBuf,
}

/// Fill an empty database with a backup.
#[derive(Args)]
pub(super) struct Restore {
    /// A file that `deskbell backup` made
    file: PathBuf,
}

impl Backup {
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        let options = server::log_options(&common.load(&[])?, OpenAs::Command);
        let made = log::back_up(&options, &self.file, Clock::system().now()).await;
        let made = made.map_err(|error| Failure::Failed(format!("back up: {error}")))?;
        let text = format!(
            "{} conversations with {} entries are in {}; it holds secrets: keep it as you keep the database",
            made.conversations,
            made.entries,
            self.file.display()
        );
        common.answer(&shown(&made, &self.file), text)
    }
}

impl Restore {
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        let options = server::log_options(&common.load(&[])?, OpenAs::Command);
        let restored = log::restore(&options, &self.file, Clock::system().now()).await;
        let restored = restored.map_err(|error| Failure::Failed(format!("restore: {error}")))?;
        let text = format!(
            "{} conversations with {} entries are restored; agents sign in again, and what was changed after the backup \
             (agents disabled, visitors shut out, keys forgotten) is to be changed again",
            restored.conversations, restored.entries
        );
        common.answer(&shown(&restored, &self.file), text)
    }
}

fn shown(backup: &log::Backup, file: &std::path::Path) -> serde_json::Value {
    json!({
        "file": file,
        "made_at": backup.made_at,
        "conversations": backup.conversations,
        "entries": backup.entries,
    })
}
