//! What a running server does every now and then.

use std::{sync::Arc, time::Duration};

use crate::{session, tasks::Tasks, telemetry::Metrics};

/// How often the table `control` is looked at: a revoked session's sockets close within two seconds.
const CONTROL_EVERY: Duration = Duration::from_millis(500);
/// How often measurements are folded into histograms.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// Takes up what the command line changed beside this server.
pub(super) fn hear_control(sessions: &Arc<session::Context>, tasks: &Tasks) {
    let (sessions, stop) = (Arc::clone(sessions), tasks.clone());
    tasks.spawn(async move {
        let mut is_deaf = false;
        while !stops_within(&stop, CONTROL_EVERY).await {
            match hear(&sessions).await {
                Ok(()) => is_deaf = false,
                // Once for each outage: it is told by readiness, too.
                Err(_) if is_deaf => {}
                Err(error) => {
                    is_deaf = true;
                    tracing::warn!(%error, "failed to look for changed accounts");
                }
            }
        }
    });
}

async fn hear(sessions: &session::Context) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for project in sessions.accounts.catch_up().await? {
        sessions.desk.refresh(project).await?;
    }
    Ok(())
}

/// Folds measurements, so that histograms don't grow while nobody asks for them.
pub(super) fn fold(metrics: &Metrics, tasks: &Tasks) {
    let (metrics, stop) = (metrics.clone(), tasks.clone());
    tasks.spawn(async move {
        while !stops_within(&stop, FOLD_EVERY).await {
            metrics.fold();
        }
    });
}

async fn stops_within(tasks: &Tasks, time: Duration) -> bool {
    tokio::time::timeout(time, tasks.stopped()).await.is_ok()
}
