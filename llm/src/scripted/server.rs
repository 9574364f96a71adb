//! Takes requests and sends answers.

use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header::SERVER, request::Parts},
};
use hyper::{body::Incoming as RequestBody, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    ScriptedOptions,
    answer::answer,
    ask::{Ask, Format, PATHS, Prefix},
    calls::Show,
    failure::Failure,
    fault::{About, Fault, Kind},
    log::{Incoming, Log},
    models,
    plan::{HangUp, Plan, plain},
    reply::Cached,
    rules::{Choice, Outcome, Rules},
    scenario::{
        answer::Style,
        words::{Span, Time},
    },
};

const LARGEST_REQUEST: usize = 16 * 1024 * 1024;
/// How long it waits when the system has no more sockets.
const SHORT_OF_SOCKETS: Duration = Duration::from_millis(50);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Server {
    rules: Arc<Rules>,
    pub(crate) log: Arc<Log>,
    latency: Span,
    /// Prompts that were asked to be cached, by hash.
    cache: Mutex<HashSet<u64>>,
}

impl Server {
    pub(crate) fn new(options: ScriptedOptions) -> Arc<Self> {
        let scenario = options.scenario.unwrap_or_default();
        let latency = scenario.latency.unwrap_or(Span::fixed(options.latency));
        let rules = Arc::new(Rules::new(scenario));
        Arc::new(Self { rules, log: Arc::new(Log::new()), latency, cache: Mutex::default() })
    }

    pub(crate) fn reset(&self) {
        self.rules.reset();
        self.log.reset();
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Serves until the future is dropped; open connections are dropped with it.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => {
                        tokio::time::sleep(SHORT_OF_SOCKETS).await;
                        continue;
                    }
                },
                Some(_) = connections.join_next() => continue,
            };
            // Only a connection that is gone already refuses this.
            if stream.set_nodelay(true).is_err() {
                continue;
            }
            let server = Arc::clone(&self);
            connections.spawn(async move {
                let service = service_fn(move |request| Arc::clone(&server).handle(request));
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // It ends with an error when the scenario hangs up, or when the client does.
                let _ = connection.await;
            });
        }
    }

    async fn handle(self: Arc<Self>, request: Request<RequestBody>) -> Result<Response<Body>, HangUp> {
        let start = Instant::now();
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let mut response = if let Some(path) = PATHS.into_iter().find(|known| *known == path) {
            if parts.method != Method::POST {
                return Ok(fail(&Failure::wrong_method(), Format::of_path(path)));
            }
            let body = to_bytes(Body::new(body), LARGEST_REQUEST).await.map_err(|_| Failure::too_large());
            self.call(path, &parts.headers, body, start).await?
        } else {
            self.look(&parts)
        };
        response.headers_mut().insert(SERVER, HeaderValue::from_static("windlass-scripted-stand-in"));
        Ok(response)
    }

    /// What is no call of a model.
    fn look(&self, parts: &Parts) -> Response<Body> {
        let (path, format) = (parts.uri.path(), models::format(&parts.headers));
        let scenario = &self.rules.scenario;
        match (&parts.method, path, path.strip_prefix("/v1/models/")) {
            (&Method::GET, "/v1/models", _) => plain(200, &models::list(scenario, format)),
            (&Method::GET, _, Some(id)) => match models::one(scenario, id, format) {
                Ok(model) => plain(200, &model),
                Err(failure) => fail(&failure, format),
            },
            (&Method::GET, "/__calls", _) => match show(parts.uri.query().unwrap_or_default()) {
                Ok(show) => plain(200, &json!(self.log.show(show))),
                Err(message) => fail(&Failure::invalid(None, message), format),
            },
            (&Method::POST, "/__reset", _) => {
                self.reset();
                plain(200, &json!({"reset": true}))
            }
            (_, "/v1/models" | "/__calls" | "/__reset", _) | (_, _, Some(_)) => {
                fail(&Failure::wrong_method(), format)
            }
            _ => fail(&Failure::unknown_path(), Format::of_path(path)),
        }
    }

    /// A call of a model.
    async fn call(
        &self,
        path: &'static str,
        headers: &HeaderMap,
        body: Result<Bytes, Failure>,
        start: Instant,
    ) -> Result<Response<Body>, HangUp> {
        let key = key(headers);
        let bytes = body.as_ref().cloned().unwrap_or_default();
        let ask = body.and_then(|body| parse(&body)).and_then(|body| Ask::read(path, headers, &body));
        let ask = ask.and_then(|ask| self.let_in(key).map(|()| ask));
        let incoming = Incoming {
            at: start,
            path,
            model: ask.as_ref().map_or("", |ask| &ask.model),
            rule: "invalid",
            key: &self.name_of(key),
            stream: ask.as_ref().is_ok_and(|ask| ask.stream),
            body: bytes,
        };
        let ask = match &ask {
            Ok(ask) => ask,
            Err(failure) => {
                let call = self.log.begin(incoming, None);
                let id = id(call.number());
                let plan = Plan::failure(failure, Format::of_path(path), &id);
                return finished(plan.send(call).await, Format::of_path(path), &id, start);
            }
        };
        let mut choice = self.rules.choose(ask, headers, key);
        let rule = choice.rule.map_or("none", |rule| rule.name.as_str());
        let call = self.log.begin(Incoming { at: choice.at, rule, ..incoming }, choice.ticket.take());
        let id = id(call.number());
        let plan = self.plan(ask, choice, &id).await;
        finished(plan.send(call).await, ask.format, &id, start)
    }

    /// Waits as long as the answer takes, then says what it is.
    async fn plan(&self, ask: &Ask, mut choice: Choice<'_>, id: &str) -> Plan {
        let mut plan = match &choice.outcome {
            Outcome::Refused(failure) => Plan::failure(failure, ask.format, id),
            Outcome::Answer(scripted) => {
                let latency = scripted.and_then(|answer| answer.manner.latency).unwrap_or(self.latency);
                let latency = latency.draw(&mut choice.random);
                if !latency.is_zero() {
                    tokio::time::sleep(latency).await;
                }
                let window = choice.rule.and_then(|rule| rule.context);
                answer(&self.rules.scenario, ask, *scripted, window, |prefix| self.cached(prefix), id)
            }
        };
        plan.headers.splice(0..0, choice.headers);
        plan
    }

    /// The first time, a prefix is written to the cache; then it is read from it.
    fn cached(&self, prefix: Option<Prefix>) -> Cached {
        let Some(prefix) = prefix else { return (0, 0) };
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.insert(prefix.hash) { (0, prefix.tokens) } else { (prefix.tokens, 0) }
    }

    fn let_in(&self, key: &str) -> Result<(), Failure> {
        let keys = &self.rules.scenario.keys;
        if keys.is_empty() || keys.iter().any(|known| known == key) {
            return Ok(());
        }
        let about = About { model: "", input_tokens: 0, window: None, style: Style::Openai };
        Fault::new(Kind::Status(401)).failure(about).map_or(Ok(()), Err)
    }

    /// A key as it may be shown: one that the scenario names is no secret.
    fn name_of(&self, key: &str) -> String {
        let scenario = &self.rules.scenario;
        let mut known =
            scenario.keys.iter().chain(scenario.rules.iter().filter_map(|rule| rule.when.key.as_ref()));
        match key {
            "" => "none".into(),
            key if known.any(|known| known == key) => key.into(),
            key => format!("key-{:08x}", super::ask::hash([key]) >> 32),
        }
    }
}

/// Adds what every answer carries.
fn finished(
    response: Result<Response<Body>, HangUp>,
    format: Format,
    id: &str,
    start: Instant,
) -> Result<Response<Body>, HangUp> {
    let mut response = response?;
    let mut set = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().entry(HeaderName::from_static(name)).or_insert(value);
        }
    };
    match format {
        Format::Anthropic => set("request-id", id.into()),
        Format::Openai => {
            set("x-request-id", id.into());
            set("openai-version", "2020-10-01".into());
            set("openai-processing-ms", start.elapsed().as_millis().to_string());
        }
    }
    Ok(response)
}

fn id(number: u64) -> String {
    format!("req_scripted{number:08x}")
}

fn fail(failure: &Failure, format: Format) -> Response<Body> {
    plain(failure.status(format), &failure.json(format, "req_scripted"))
}

fn parse(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body)
        .map_err(|_| Failure::invalid(None, "We could not parse the JSON body of your request."))
}

/// The key, as `OpenAI`'s clients or as Anthropic's send it.
fn key(headers: &HeaderMap) -> &str {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    text("x-api-key").or(bearer).unwrap_or_default()
}

/// `window=5s&last=20&prompts=1`
fn show(query: &str) -> Result<Show, String> {
    let mut show = Show::default();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, "1"));
        match name {
            "window" => {
                show.window = Time::try_from(value.to_owned()).map_err(|error| format!("window: {error}"))?.0;
            }
            "last" => show.last = value.parse().map_err(|_| "last: expected a number".to_owned())?,
            "prompts" => show.prompts = value == "1" || value == "true",
            other => return Err(format!("{other}: unknown; known: window, last, prompts")),
        }
    }
    Ok(show)
}
