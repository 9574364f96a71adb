//! One span, or none where tracing is off.

use std::{
    borrow::Cow,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    Context, KeyValue, Value,
    trace::{
        FutureExt, Link, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags,
        TraceId, TraceState, Tracer,
    },
};
use opentelemetry_sdk::trace::SdkTracer;

use windlass_shared::model::{Trace, TraceParent};

use super::ids::Ids;

pub(super) static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Whether spans are made.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// Where in a trace something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The trace.
    pub trace: u128,
    /// The span.
    pub span: u64,
    /// The last bit says that it is recorded.
    pub flags: u8,
    /// `tracestate`.
    pub state: String,
}

impl At {
    /// Where a task or a request says that it is.
    pub fn of(trace: &Trace) -> Option<Self> {
        let TraceParent { trace: id, span, flags } = trace.parent()?;
        Some(Self { trace: id, span, flags, state: trace.state.clone() })
    }

    fn as_context(&self) -> SpanContext {
        let state = self.state.parse::<TraceState>().unwrap_or_default();
        let (trace, span) = (TraceId::from(self.trace), SpanId::from(self.span));
        SpanContext::new(trace, span, TraceFlags::new(self.flags), true, state)
    }
}

impl From<At> for Trace {
    /// As it is passed on to other processes.
    fn from(At { trace, span, flags, state }: At) -> Self {
        Self { parent: TraceParent { trace, span, flags }.to_string(), state }
    }
}

/// What a span is a part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parent {
    /// The span that surrounds this code, if any.
    Around,
    /// A span of another process, or one that ended.
    Of(At),
    /// Nothing: it begins a trace, with this id if one is given.
    Nothing(Option<u128>),
}

/// The role of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something within this process.
    Internal,
    /// It asks another process.
    Client,
    /// It answers another process.
    Server,
    /// It gives work to whoever takes it.
    Producer,
    /// It does such work.
    Consumer,
}

impl From<Kind> for SpanKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Internal => Self::Internal,
            Kind::Client => Self::Client,
            Kind::Server => Self::Server,
            Kind::Producer => Self::Producer,
            Kind::Consumer => Self::Consumer,
        }
    }
}

/// How a span begins.
#[derive(Debug, Clone)]
pub struct Start {
    name: Cow<'static, str>,
    kind: Kind,
    parent: Parent,
    id: Option<u64>,
    since: Option<SystemTime>,
    link: Option<At>,
    attributes: Vec<KeyValue>,
}

impl Start {
    /// A span that begins now, within the one around it.
    pub fn new(name: impl Into<Cow<'static, str>>, kind: Kind) -> Self {
        let name = name.into();
        Self { name, kind, parent: Parent::Around, id: None, since: None, link: None, attributes: Vec::new() }
    }

    /// Within another one.
    #[must_use]
    pub fn within(self, parent: Parent) -> Self {
        Self { parent, ..self }
    }

    /// With an id that others can compute.
    #[must_use]
    pub fn called(self, id: u64) -> Self {
        Self { id: Some(id), ..self }
    }

    /// That began at this moment, in microseconds of the epoch.
    #[must_use]
    pub fn since(self, micros: i64) -> Self {
        Self { since: Some(moment(micros)), ..self }
    }

    /// That follows from another one.
    #[must_use]
    pub fn after(self, link: Option<At>) -> Self {
        Self { link, ..self }
    }

    /// With an attribute.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(key, value));
        self
    }

    /// The same, unless it is empty.
    #[must_use]
    pub fn with_text(self, key: &'static str, value: &str) -> Self {
        if value.is_empty() { self } else { self.with(key, value.to_owned()) }
    }

    fn start(self, tracer: &SdkTracer) -> Context {
        let parent = match &self.parent {
            Parent::Around => Context::current(),
            Parent::Of(at) => Context::new().with_remote_span_context(at.as_context()),
            Parent::Nothing(_) => Context::new(),
        };
        let builder = SpanBuilder {
            span_kind: Some(self.kind.into()),
            name: self.name,
            start_time: self.since,
            attributes: Some(self.attributes),
            links: self.link.map(|at| vec![Link::with_context(at.as_context())]),
            ..SpanBuilder::default()
        };
        Ids::next(if let Parent::Nothing(trace) = self.parent { trace } else { None }, self.id);
        let span = tracer.build_with_context(builder, &parent);
        Ids::next(None, None);
        parent.with_span(span)
    }
}

fn moment(micros: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

/// Begins a span, if spans are made.
pub fn span(start: impl FnOnce() -> Start) -> Span {
    Span(TRACER.get().map(|tracer| start().start(tracer)))
}

/// A span that is under way, or none. It ends when it is dropped, and so when what it tells of is given up.
#[derive(Debug, Default)]
pub struct Span(Option<Context>);

impl Span {
    /// None.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Adds an attribute.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Says that it failed, by the class of the error; `why` is empty where the message may quote secrets.
    pub fn fail(&self, class: &str, why: &str) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new("error.type", class.to_owned()));
            context.span().set_status(Status::error(why.to_owned()));
        }
    }

    /// Where it is, for those that go on with it.
    pub fn at(&self) -> Option<At> {
        let context = self.0.as_ref()?;
        let span = context.span();
        let of = span.span_context();
        Some(At {
            trace: u128::from_be_bytes(of.trace_id().to_bytes()),
            span: u64::from_be_bytes(of.span_id().to_bytes()),
            flags: of.trace_flags().to_u8(),
            state: of.trace_state().header(),
        })
    }

    /// Ends it before it is dropped.
    pub fn finish(&self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }

    /// Ends it as of a moment, in microseconds of the epoch.
    pub fn end_at(mut self, micros: i64) {
        if let Some(context) = self.0.take() {
            context.span().end_with_timestamp(moment(micros));
        }
    }

    /// Runs something within it: spans that are made meanwhile are its children, and logs tell of it.
    pub async fn around<F: Future>(&self, future: F) -> F::Output {
        match &self.0 {
            None => future.await,
            Some(context) => future.with_context(context.clone()).await,
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }
}
