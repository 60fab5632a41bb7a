//! Traces: the way of one command through this program's parts and nodes, for an operator's OpenTelemetry collector.
//!
//! Off unless `telemetry.otlp_endpoint` is set. Off means that there is no tracer: each call here reads one word of memory
//! and returns, no span is made, nothing is allocated and no task runs. On, a share of all commands and requests is
//! recorded (`telemetry.sample_ratio`), and every failure of this server's own, so that the trace which an error names can
//! be found. What else is done for a command that is recorded knows it by the task's context, and other nodes are told.
//!
//! Nothing that a person typed goes into a span, no name and no token: attributes are ids, numbers and words of this program.

mod collector;
mod export;

use std::{fmt::Display, sync::OnceLock};

use opentelemetry::{
    Context, ContextGuard, KeyValue,
    trace::{
        FutureExt as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
        TraceState, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};

use self::{collector::Collector, export::Queue};
use crate::{config::Config, ids::NodeId, tasks::Tasks};

/// Set once, by [`start`], where traces are wanted.
static TRACES: OnceLock<Traces> = OnceLock::new();

struct Traces {
    tracer: SdkTracer,
    /// Of how many commands and requests one is recorded, as a share of 1.
    ratio: f64,
}

/// Why traces can't be handed over.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The authorities that a collector's certificate is checked against can't be read.
    #[error("use telemetry.otlp_endpoint: {0}")]
    Unusable(String),
}

/// A part of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// From the arrival of a command or request to the last byte of its answer. A trace begins here.
    Edge,
    /// A command being carried out.
    Session,
    /// From the hand-over of entries to the COMMIT that holds them.
    Log,
    /// A message being handed to all who listen on a node.
    Bus,
    /// An entry, from a session's outbox to its socket.
    Delivery,
}

impl Part {
    const fn word(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Session => "session",
            Self::Log => "log",
            Self::Bus => "bus",
            Self::Delivery => "delivery",
        }
    }

    const fn kind(self) -> SpanKind {
        match self {
            Self::Edge => SpanKind::Server,
            Self::Session => SpanKind::Internal,
            Self::Log => SpanKind::Client,
            Self::Bus => SpanKind::Producer,
            Self::Delivery => SpanKind::Consumer,
        }
    }
}

/// Begins to hand traces to the collector that is configured, if one is, until `tasks` stop. Once a process.
pub fn start(config: &Config, node: NodeId, tasks: &Tasks) -> Result<(), Error> {
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(()) };
    let collector = Collector::at(endpoint)?;
    let resource = Resource::builder()
        .with_service_name("deskbell")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", node.to_string()))
        .build();
    let queue = Queue::start(collector, &resource, tasks);
    // What is recorded is decided here, at the root: a span that is begun is exported.
    let provider = SdkTracerProvider::builder()
        .with_span_processor(queue)
        .with_resource(resource)
        .with_sampler(Sampler::AlwaysOn)
        .build();
    // A second server of one process, as in a test, hands its traces to the first one's collector.
    drop(TRACES.set(Traces { tracer: provider.tracer("deskbell"), ratio: config.sample_ratio }));
    Ok(())
}

/// A part of a trace, from now until it is dropped; or nothing, where nothing is recorded.
#[derive(Debug, Default)]
#[must_use]
pub struct Span(Option<Box<Context>>);

/// Spans that end together. Mostly there are none, and it is a pointer.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "every session has two of these")]
pub struct Spans(Option<Box<Vec<Span>>>);

impl Spans {
    /// One more, if it is recorded.
    pub fn push(&mut self, span: Span) {
        if span.is_some() {
            self.0.get_or_insert_default().push(span);
        }
    }

    /// All of `others`, too.
    pub fn extend(&mut self, others: Self) {
        others.0.into_iter().flat_map(|spans| *spans).for_each(|span| self.push(span));
    }

    /// What they stand for went wrong.
    pub fn fail(&self, word: &'static str) {
        self.0.iter().flat_map(|spans| spans.iter()).for_each(|span| span.fail(word));
    }
}

/// While it is held, what this thread does belongs to a span.
#[must_use]
pub struct Entered(#[expect(dead_code, reason = "held for its end")] Option<ContextGuard>);

impl Span {
    /// The first part of a trace, for a share of all calls.
    pub fn root(part: Part) -> Self {
        let Some(traces) = TRACES.get() else { return Self(None) };
        if rand::random::<f64>() >= traces.ratio {
            return Self(None);
        }
        Self::begin(traces, part, &Context::new())
    }

    /// A part of what is being done now, if that is recorded.
    pub fn part(part: Part) -> Self {
        let Some(traces) = TRACES.get() else { return Self(None) };
        Context::map_current(|now| if now.has_active_span() { Self::begin(traces, part, now) } else { Self(None) })
    }

    /// A part of what another node does, which gave it this word; nothing if it gave none.
    pub fn of_other_node(part: Part, word: Option<&str>) -> Self {
        let (Some(traces), Some(parent)) = (TRACES.get(), word.and_then(parse)) else { return Self(None) };
        Self::begin(traces, part, &Context::new().with_remote_span_context(parent))
    }

    fn begin(traces: &Traces, part: Part, within: &Context) -> Self {
        let builder = SpanBuilder::from_name(part.word()).with_kind(part.kind());
        let span = traces.tracer.build_with_context(builder, within);
        Self(Some(Box::new(within.with_span(span))))
    }

    /// What this thread does until the guard is dropped belongs to this span.
    pub fn enter(&self) -> Entered {
        Entered(self.0.as_ref().map(|context| Context::clone(context).attach()))
    }

    /// Notes something: an id, a number or a word of this program.
    pub fn note(&self, key: &'static str, value: &dyn Display) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value.to_string()));
        }
    }

    /// It came to nothing, for a reason of which this is the word.
    pub fn fail(&self, word: &'static str) {
        if let Some(context) = &self.0 {
            context.span().set_status(Status::error(word));
        }
    }

    /// Whether anything is recorded.
    pub const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// The id of the trace that this belongs to.
    pub fn trace(&self) -> Option<String> {
        self.0.as_ref().map(|context| context.span().span_context().trace_id().to_string())
    }

    /// Does `work` as what this span is about.
    pub async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        match &self.0 {
            Some(context) => work.with_context(Context::clone(context)).await,
            None => work.await,
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        // Said here, because others may hold the context for longer.
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }
}

/// The id of the trace in which what is done now is recorded.
pub fn current() -> Option<String> {
    here().map(|span| span.trace_id().to_string())
}

/// What is done now came to nothing for a reason of which this is the word.
pub fn fail(word: &'static str) {
    if TRACES.get().is_some() {
        Context::map_current(|now| now.span().set_status(Status::error(word)));
    }
}

/// A failure of this server's own: the id of the trace in which it stands, one of its own if nothing is recorded.
pub fn fault(word: &'static str) -> Option<String> {
    fail(word);
    current().or_else(|| {
        let span = Span::begin(TRACES.get()?, Part::Edge, &Context::new());
        span.fail(word);
        span.trace()
    })
}

/// What is told to another node, for [`Span::of_other_node`]: a `traceparent` as W3C writes it.
pub fn word() -> Option<Box<str>> {
    here().map(|span| format!("00-{}-{}-01", span.trace_id(), span.span_id()).into())
}

fn here() -> Option<SpanContext> {
    TRACES.get()?;
    Context::map_current(|now| now.has_active_span().then(|| now.span().span_context().clone()))
}

fn parse(word: &str) -> Option<SpanContext> {
    let mut fields = word.split('-');
    let (Some("00"), Some(trace), Some(span), Some("01"), None) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return None;
    };
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_nodes_word_is_read_and_nothing_else() {
        let word = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let read = parse(word).map(|span| (span.trace_id().to_string(), span.span_id().to_string()));
        assert_eq!(read, Some(("0af7651916cd43dd8448eb211c80319c".to_owned(), "b7ad6b7169203331".to_owned())));
        let zero = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
        for wrong in ["", "00", &word[1..], &word[..54], &format!("{word}-x"), &word.replace("0a", "zz"), &zero] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn without_a_collector_nothing_is_recorded() {
        let root = Span::root(Part::Edge);
        let _entered = root.enter();
        assert!(!root.is_some() && !Span::part(Part::Log).is_some());
        assert_eq!((current(), word(), fault("unavailable"), root.trace()), (None, None, None, None));
    }
}
