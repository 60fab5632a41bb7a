//! What a running server does every now and then.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Clock,
    config::Config,
    edge::limits::Gate,
    log::Log,
    pressure::{Pressure, Usage},
    session,
    tasks::Tasks,
    telemetry::{self, Metrics},
};

/// How often the table `control` is looked at: a revoked session's sockets close within two seconds.
const CONTROL_EVERY: Duration = Duration::from_millis(500);
/// How often ended sign-ins, a hundred at a time, and old words of `control` are deleted.
const TIDY_EVERY: Duration = Duration::from_mins(1);
/// How often queues are measured, and measurements folded into histograms.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked how near this node is to what it can bear: a crowd that comes back after a cut takes seconds.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often the certificate's end is looked at.
const CERTIFICATE_EVERY: Duration = Duration::from_hours(24);

/// Takes up what the command line changed beside this server.
pub(super) fn hear_control(sessions: &Arc<session::Context>, tasks: &Tasks) {
    let (sessions, stop) = (Arc::clone(sessions), tasks.clone());
    tasks.spawn(async move {
        let mut is_deaf = false;
        loop {
            tokio::select! {
                biased;
                () = stop.stopped() => return,
                () = sessions.accounts.told() => {}
                () = tokio::time::sleep(CONTROL_EVERY) => {}
            }
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

/// What fails is tried again the next time, and keeps back nothing else; the first failure is returned.
async fn hear(sessions: &session::Context) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut heard: Result<(), Box<dyn std::error::Error + Send + Sync>> =
        sessions.accounts.catch_up().await.map_err(Into::into);
    for project in sessions.accounts.changed_projects() {
        if let Err(error) = sessions.desk.refresh(project).await {
            sessions.accounts.still_changed([project]);
            heard = heard.and(Err(error.into()));
        }
    }
    heard
}

/// Deletes sign-ins that have ended, of agents who never come back, and old words of `control`: nobody else would.
pub(super) fn tidy(sessions: &Arc<session::Context>, tasks: &Tasks) {
    let (sessions, stop) = (Arc::clone(sessions), tasks.clone());
    tasks.spawn(async move {
        while !stops_within(&stop, TIDY_EVERY).await {
            if let Err(error) = sessions.accounts.tidy_sign_ins().await {
                tracing::warn!(%error, "failed to delete sign-ins that have ended");
            }
            if let Err(error) = sessions.accounts.tidy_words().await {
                tracing::warn!(%error, "failed to delete old words of the command line");
            }
        }
    });
}

/// Measures what nobody counts as it happens, and folds measurements, so that histograms don't grow while nobody asks.
pub(super) fn measure(sessions: &Arc<session::Context>, metrics: &Metrics, tasks: &Tasks) {
    let (hub, metrics, stop) = (Arc::clone(&sessions.hub), metrics.clone(), tasks.clone());
    tasks.spawn(async move {
        while !stops_within(&stop, MEASURE_EVERY).await {
            let waiting = u32::try_from(hub.outbox_bytes()).unwrap_or(u32::MAX);
            metrics::gauge!("deskbell_outbox_bytes").set(waiting);
            metrics.fold();
        }
    });
}

/// Says once a day what of the certificate is to be looked at: its end above all.
pub(super) fn watch_certificate(config: &Config, clock: &Clock, tasks: &Tasks) {
    let Some(files) = config.tls.clone() else { return };
    let (clock, stop) = (clock.clone(), tasks.clone());
    tasks.spawn(async move {
        loop {
            for doubt in files.doubts(clock.now() / 1_000) {
                tracing::warn!(doubt, "look at the certificate");
            }
            if stops_within(&stop, CERTIFICATE_EVERY).await {
                return;
            }
        }
    });
}

/// Looks how near this node is to its bounds.
pub(super) fn watch_pressure(pressure: &Arc<Pressure>, log: &Log, gate: &Arc<Gate>, tasks: &Tasks) {
    let (pressure, log, gate, stop) = (Arc::clone(pressure), log.clone(), Arc::clone(gate), tasks.clone());
    tasks.spawn(async move {
        loop {
            pressure.look(Usage {
                memory_bytes: telemetry::resident_bytes(),
                open_files: u64::try_from(gate.open_files()).unwrap_or(u64::MAX),
                commit_ms: u64::try_from(log.longest_write().as_millis()).unwrap_or(u64::MAX),
            });
            if stops_within(&stop, LOOK_EVERY).await {
                return;
            }
        }
    });
}

async fn stops_within(tasks: &Tasks, time: Duration) -> bool {
    tokio::time::timeout(time, tasks.stopped()).await.is_ok()
}
