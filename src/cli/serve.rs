//! `deskbell serve`

use std::{net::SocketAddr, path::PathBuf, time::Instant};

use clap::Args;
use serde_json::json;

use super::{Common, Failure, tell};
use crate::{
    config::{Config, LogFormat, Origin},
    server::{self, Running},
    telemetry,
};

/// Run a node.
#[derive(Args)]
pub(super) struct Serve {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// How the outside reaches that
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The folder of the database
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

impl Serve {
    pub(super) async fn run(self, common: &Common, begun: Instant) -> Result<(), Failure> {
        let config = common.load(&[
            ("listen", self.listen.map(|address| address.to_string())),
            ("public_url", self.public_url),
            ("data_dir", self.data_dir.map(|folder| folder.display().to_string())),
        ])?;
        telemetry::start_logging(&config);
        let running = server::prepare(&config, begun).await?.open(None);
        announce(&config, &running);
        Ok(running.until_stopped().await?)
    }
}

/// Says where the server is, whatever the log level: with port 0 nobody could know.
pub(super) fn announce(config: &Config, running: &Running) {
    let (public, admin) = (running.public_url.to_string(), format!("http://{}", running.admin_address));
    let listen = Origin::of_address(running.address, config.has_tls()).to_string();
    let ready_ms = u64::try_from(running.ready_after.as_millis()).unwrap_or(u64::MAX);
    let outside = if listen == public { String::new() } else { format!(" for {public}") };
    match config.log_format {
        LogFormat::Text => {
            tell(format!("deskbell: listening on {listen}{outside}, admin on {admin}, ready in {ready_ms} ms"));
        }
        LogFormat::Json => {
            tell(
                json!({ "message": "listening", "listen": listen, "public": public, "admin": admin, "ready_ms": ready_ms }),
            );
        }
    }
}
