//! What was recorded, on its way to the collector: queued without waiting, handed over once a second, dropped when it can't be.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_proto::{
    tonic::collector::trace::v1::ExportTraceServiceRequest,
    transform::{common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use prost::Message as _;
use tokio::{sync::mpsc, time::Instant};

use super::collector::Collector;
use crate::tasks::Tasks;

/// Spans that wait for the collector: some 2 MiB at most. What is more is dropped, and counted.
const QUEUE: usize = 2_048;
/// The most spans in one request: some 200 KiB.
const BATCH: usize = 512;
/// How often what has gathered is handed over.
const EVERY: Duration = Duration::from_secs(1);
/// How often a log line says that the collector does not take them.
const WARN_EVERY: Duration = Duration::from_mins(1);

/// The way of spans to the task that hands them over.
#[derive(Debug)]
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
}

impl Queue {
    /// Starts the task.
    pub(super) fn start(collector: Collector, resource: &Resource, tasks: &Tasks) -> Self {
        let (spans, queue) = mpsc::channel(QUEUE);
        let exporter = Exporter { collector, resource: resource.into(), queue, warned: None };
        tasks.spawn(exporter.run(tasks.clone()));
        Self { spans }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            lost(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

struct Exporter {
    collector: Collector,
    resource: ResourceAttributesWithSchema,
    queue: mpsc::Receiver<SpanData>,
    warned: Option<Instant>,
}

impl Exporter {
    async fn run(mut self, tasks: Tasks) {
        while tokio::time::timeout(EVERY, tasks.stopped()).await.is_err() {
            self.hand_over().await;
        }
        // What the last answers were about.
        drop(tokio::time::timeout(EVERY, self.hand_over()).await);
    }

    /// Hands over what has gathered.
    async fn hand_over(&mut self) {
        for _ in 0..QUEUE.div_ceil(BATCH) {
            let mut batch = Vec::new();
            while batch.len() < BATCH
                && let Ok(span) = self.queue.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            let count = batch.len();
            let request =
                ExportTraceServiceRequest { resource_spans: group_spans_by_resource_and_scope(batch, &self.resource) };
            match self.collector.post(request.encode_to_vec()).await {
                Ok(()) => taken(count),
                Err(why) => self.not_taken(count, &why),
            }
        }
    }

    fn not_taken(&mut self, count: usize, why: &str) {
        lost(count);
        if self.warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            self.warned = Some(Instant::now());
            tracing::warn!(why, "the collector of traces does not take them; they are dropped");
        }
    }
}

fn taken(spans: usize) {
    metrics::counter!("deskbell_trace_spans_total", "outcome" => "exported").increment(spans as u64);
}

fn lost(spans: usize) {
    metrics::counter!("deskbell_trace_spans_total", "outcome" => "lost").increment(spans as u64);
}
