//! The faults themselves. Each breaks something, mends it, and says from when on all should be well.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{Fault, Measured, SHORT_STORM, STORM, Scene};
use crate::{
    client::{Buffers, Dialer, Sources},
    cluster::{node::Leg, wire::Way},
    report::NOT_RESUMED,
    storm,
    stream::Stream,
};

/// How long anything may take to become ready again.
const READY: Duration = Duration::from_secs(30);

pub(super) async fn inject(fault: Fault, scene: &mut Scene<'_>) -> Result<Measured> {
    let (scale, mut measured) = (scene.scale, Measured::default());
    match fault {
        Fault::Nothing => nothing(scene).await,
        Fault::NodeKilled => kill_nodes(scene, &mut measured).await?,
        Fault::NodeFrozen => freeze(scene).await?,
        Fault::RollingRestart => roll(scene).await?,
        Fault::SocketsDropped => drop_sockets(scene).await?,
        Fault::Storm => storm(scene, &mut measured).await?,
        Fault::CertificateSwapped => swap_certificates(scene).await?,
        // Longer than the 35 s after which a server gives a silent client up, and the 40 s after which a client does.
        Fault::ClientToNodeLoss => lose(scene, Leg::Front, Way::There, scale.secs(4, 45)).await?,
        Fault::NodeToClientLoss => lose(scene, Leg::Front, Way::Back, scale.secs(4, 45)).await?,
        Fault::RedisRestarted => redis_gone(scene, Duration::ZERO).await?,
        Fault::RedisGone => redis_gone(scene, scale.secs(6, 60)).await?,
        Fault::RedisPaused => pause_redis(scene).await?,
        Fault::RedisPubsubKilled => kill_pubsub(scene).await?,
        Fault::NodeToRedisLoss => lose(scene, Leg::Redis, Way::There, scale.secs(7, 45)).await?,
        Fault::RedisToNodeLoss => lose(scene, Leg::Redis, Way::Back, scale.secs(7, 45)).await?,
        Fault::PostgresRestarted => {
            scene.cluster.postgres()?.stop().await?;
            postgres_again(scene).await?;
        }
        Fault::PostgresKilled => {
            for _ in 0..scale.times(1, 3) {
                scene.cluster.postgres()?.kill().await?;
                postgres_again(scene).await?;
            }
        }
        Fault::NodeToPostgresLoss => lose(scene, Leg::Log, Way::There, scale.secs(5, 45)).await?,
        Fault::PostgresToNodeLoss => lose(scene, Leg::Log, Way::Back, scale.secs(5, 45)).await?,
    }
    Ok(measured)
}

/// The crowd without a fault: what the others are compared with.
async fn nothing(scene: &mut Scene<'_>) {
    tokio::time::sleep(scene.scale.secs(2, 20)).await;
    scene.heal(Instant::now()).await;
}

async fn kill_nodes(scene: &mut Scene<'_>, measured: &mut Measured) -> Result<()> {
    let (nodes, mut slowest) = (scene.cluster.nodes.len(), Duration::ZERO);
    for kill in 0..scene.scale.times(2, 20) {
        let since = Instant::now();
        let node = &mut scene.cluster.nodes[kill % nodes];
        node.kill().await?;
        node.start().await?;
        slowest = slowest.max(since.elapsed());
        scene.heal(since).await;
    }
    measured.set("slowest_start_ms", slowest.as_secs_f64() * 1000.0);
    Ok(())
}

async fn freeze(scene: &mut Scene<'_>) -> Result<()> {
    scene.cluster.nodes[0].signal("STOP").await?;
    tokio::time::sleep(scene.scale.secs(5, 30)).await;
    scene.cluster.nodes[0].signal("CONT").await?;
    scene.heal(Instant::now()).await;
    Ok(())
}

/// Each node in turn is stopped in order and started again, as a new version is brought out.
async fn roll(scene: &mut Scene<'_>) -> Result<()> {
    for round in 0..scene.scale.times(1, 3) {
        for at in 0..scene.cluster.nodes.len() {
            let node = &mut scene.cluster.nodes[at];
            node.stop().await.with_context(|| format!("node {} in round {}", at + 1, round + 1))?;
            node.start().await?;
            scene.heal(Instant::now()).await;
        }
    }
    Ok(())
}

async fn drop_sockets(scene: &mut Scene<'_>) -> Result<()> {
    for _ in 0..scene.scale.times(2, 10) {
        for node in &scene.cluster.nodes {
            node.wire(Leg::Front)?.cut();
        }
        scene.heal(Instant::now()).await;
    }
    Ok(())
}

/// Thousands who are not in the crowd are cut off and come back at once, while the crowd talks.
async fn storm(scene: &mut Scene<'_>, measured: &mut Measured) -> Result<()> {
    let sessions = scene.scale.times(SHORT_STORM, STORM);
    let dialer = scene.cluster.bare_dialer()?.with_own_tickets(sessions);
    let mint = scene.cluster.mint.with_another_project().await?;
    let tokens = mint.make(sessions, 1).await?;
    let figures = storm::weather(&dialer, &tokens, storm::Settings { sessions }).await?;
    if let Some(missing) = figures.get(NOT_RESUMED).filter(|missing| *missing > 0.0) {
        bail!("{missing} of {sessions} never came back, or not to where they had been");
    }
    if let Some(seconds) = figures.get("all_back_s").filter(|seconds| *seconds > scene.limit.as_secs_f64()) {
        bail!("the last of {sessions} was back after {seconds:.1} s");
    }
    measured.absorb("storm_", figures);
    scene.heal(Instant::now()).await;
    Ok(())
}

/// Every node gets a new certificate while sockets come and go; new ones must meet it.
async fn swap_certificates(scene: &mut Scene<'_>) -> Result<()> {
    for _ in 0..scene.scale.times(1, 5) {
        for at in 0..scene.cluster.nodes.len() {
            let node = &scene.cluster.nodes[at];
            let dialer =
                Dialer::new(node.endpoint(), scene.cluster.ca(), Buffers::IDLE, Sources::one())?.without_tickets();
            let before = certificate(&dialer).await?;
            node.swap_certificate(scene.cluster.authority()?)?;
            let end = Instant::now() + READY;
            while certificate(&dialer).await? == before {
                if Instant::now() > end {
                    bail!("node {} still shows its old certificate after {} s", at + 1, READY.as_secs());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            scene.heal(Instant::now()).await;
        }
    }
    Ok(())
}

async fn certificate(dialer: &Dialer) -> Result<Vec<u8>> {
    match dialer.dial_stream(0).await? {
        Stream::Plain(_) => bail!("no TLS"),
        Stream::Tls(stream) => {
            let chain = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            Ok(chain.context("no certificate")?.to_vec())
        }
    }
}

/// Nothing gets through one way of one of the first node's wires for a while.
async fn lose(scene: &mut Scene<'_>, leg: Leg, way: Way, length: Duration) -> Result<()> {
    scene.cluster.nodes[0].wire(leg)?.hold(way);
    tokio::time::sleep(length).await;
    scene.cluster.nodes[0].wire(leg)?.release();
    scene.heal(Instant::now()).await;
    all_ready(scene).await
}

/// Redis is killed, and started again after so long.
async fn redis_gone(scene: &mut Scene<'_>, length: Duration) -> Result<()> {
    scene.cluster.redis()?.kill().await?;
    if length > Duration::from_secs(5) {
        for node in &scene.cluster.nodes {
            node.wait_ready(false, length).await?;
        }
    }
    tokio::time::sleep(length).await;
    scene.cluster.redis()?.start_again().await?;
    let since = Instant::now();
    scene.heal(since).await;
    all_ready(scene).await
}

async fn pause_redis(scene: &mut Scene<'_>) -> Result<()> {
    let length = scene.scale.secs(3, 15);
    let command = format!("CLIENT PAUSE {} ALL", length.as_millis());
    scene.cluster.redis()?.command(&command).await?;
    tokio::time::sleep(length).await;
    let since = Instant::now();
    scene.heal(since).await;
    all_ready(scene).await
}

async fn kill_pubsub(scene: &mut Scene<'_>) -> Result<()> {
    for _ in 0..scene.scale.times(2, 10) {
        let killed = scene.cluster.redis()?.command("CLIENT KILL TYPE pubsub").await?;
        if killed == ":0" {
            bail!("no node had subscribed to anything");
        }
        scene.heal(Instant::now()).await;
    }
    all_ready(scene).await
}

async fn postgres_again(scene: &mut Scene<'_>) -> Result<()> {
    tokio::time::sleep(scene.scale.secs(1, 5)).await;
    scene.cluster.postgres()?.start_again().await?;
    let since = Instant::now();
    scene.heal(since).await;
    all_ready(scene).await
}

async fn all_ready(scene: &Scene<'_>) -> Result<()> {
    for node in &scene.cluster.nodes {
        node.wait_ready(true, scene.limit).await?;
    }
    Ok(())
}
