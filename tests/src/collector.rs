//! A receiver of OTLP over HTTP, as a collector is one: it takes what is sent, by the standard's own schema.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;

use crate::process::until;

/// Attributes by name, as text.
pub type Attributes = BTreeMap<String, String>;

/// A span that came in. Ids are in hexadecimal; that of a parent is empty if it has none.
#[derive(Debug, Clone)]
pub struct SeenSpan {
    /// Who sent it: `service.name`.
    pub service: String,
    /// The trace.
    pub trace: String,
    /// Its id.
    pub id: String,
    /// The span that it is within.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// `Producer`, `Consumer`, `Client`, `Server` or `Internal`.
    pub kind: SpanKind,
    /// What it tells.
    pub attributes: Attributes,
    /// Traces and spans that it follows from.
    pub links: Vec<(String, String)>,
    /// Nanoseconds of the epoch: its start and its end.
    pub times: [u64; 2],
    /// It failed.
    pub failed: bool,
}

/// A line of a log that came in.
#[derive(Debug, Clone)]
pub struct SeenLog {
    /// Who sent it.
    pub service: String,
    /// What it says.
    pub body: String,
    /// The trace, in hexadecimal; empty if it is of none.
    pub trace: String,
    /// What it tells besides.
    pub attributes: Attributes,
}

#[derive(Debug, Default)]
struct Seen {
    spans: Mutex<Vec<SeenSpan>>,
    logs: Mutex<Vec<SeenLog>>,
    connections: AtomicUsize,
}

/// A collector on a free loopback port. It ends with the test's process.
#[derive(Debug)]
pub struct Collector {
    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub url: String,
    seen: Arc<Seen>,
}

impl Collector {
    /// One that takes what comes.
    pub fn start() -> Self {
        Self::of(|stream, seen| {
            answer(stream, seen);
        })
    }

    /// One that takes connections and never answers.
    pub fn hanging() -> Self {
        Self::of(|_, _| thread::sleep(Duration::from_mins(10)))
    }

    fn of(serve: impl Fn(&TcpStream, &Seen) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port can be bound");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let seen = Arc::new(Seen::default());
        let of_all = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                of_all.connections.fetch_add(1, Ordering::SeqCst);
                let (seen, serve) = (Arc::clone(&of_all), serve.clone());
                thread::spawn(move || serve(&stream, &seen));
            }
        });
        Self { url, seen }
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<SeenSpan> {
        self.seen.spans.lock().expect("no handler panics while it holds the lock").clone()
    }

    /// The lines of logs so far.
    pub fn logs(&self) -> Vec<SeenLog> {
        self.seen.logs.lock().expect("no handler panics while it holds the lock").clone()
    }

    /// The spans of a trace, once `enough` of them are there.
    pub fn trace(&self, id: &str, enough: impl Fn(&[SeenSpan]) -> bool) -> Vec<SeenSpan> {
        until("the spans are there", Duration::from_secs(30), || {
            let spans: Vec<_> = self.spans().into_iter().filter(|span| span.trace == id).collect();
            enough(&spans).then_some(spans)
        })
    }
}

fn answer(stream: &TcpStream, seen: &Seen) -> Option<()> {
    let (path, body) = request(stream)?;
    let known = match path.as_str() {
        "/v1/traces" => traces(&body, seen),
        "/v1/logs" => logs(&body, seen),
        _ => None,
    };
    let status = if known.is_some() { "200 OK" } else { "400 Bad Request" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/x-protobuf\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    let mut out = stream;
    out.write_all(head.as_bytes()).ok()
}

fn request(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((line.split(' ').nth(1)?.to_owned(), body))
}

fn traces(body: &[u8], seen: &Seen) -> Option<()> {
    let request = ExportTraceServiceRequest::decode(body).ok()?;
    let mut spans = seen.spans.lock().ok()?;
    for of_resource in request.resource_spans {
        let service = service(of_resource.resource.as_ref());
        let all = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.extend(all.map(|span| of_span(&service, span)));
    }
    Some(())
}

fn of_span(service: &str, span: Span) -> SeenSpan {
    SeenSpan {
        service: service.to_owned(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        kind: span.kind(),
        attributes: attributes(span.attributes),
        links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        times: [span.start_time_unix_nano, span.end_time_unix_nano],
        failed: span.status.is_some_and(|status| status.code() == StatusCode::Error),
        name: span.name,
    }
}

fn logs(body: &[u8], seen: &Seen) -> Option<()> {
    let request = ExportLogsServiceRequest::decode(body).ok()?;
    let mut logs = seen.logs.lock().ok()?;
    for of_resource in request.resource_logs {
        let service = service(of_resource.resource.as_ref());
        let all = of_resource.scope_logs.into_iter().flat_map(|scope| scope.log_records);
        logs.extend(all.map(|record| SeenLog {
            service: service.clone(),
            body: record.body.map(text).unwrap_or_default(),
            trace: hex(&record.trace_id),
            attributes: attributes(record.attributes),
        }));
    }
    Some(())
}

fn service(resource: Option<&Resource>) -> String {
    let attributes = resource.map(|resource| attributes(resource.attributes.clone())).unwrap_or_default();
    attributes.get("service.name").cloned().unwrap_or_default()
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    pairs.into_iter().map(|pair| (pair.key, pair.value.map(text).unwrap_or_default())).collect()
}

fn text(value: AnyValue) -> String {
    match value.value {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::ArrayValue(array)) => array.values.into_iter().map(text).collect::<Vec<_>>().join(","),
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
