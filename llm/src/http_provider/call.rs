//! One call: send, then read the answer under four clocks (connecting, which the client itself watches, the first
//! token, the next piece, the whole).

use std::{future::Future, time::Duration};

use bytes::Bytes;
use reqwest::{
    Method, Request, Response, Url,
    header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue},
};
use tokio::time::{Instant, timeout_at};

use super::{HttpProvider, Key, drain::drain, report::Head};
use crate::{
    ChatError, ChatRequest, EmbedRequest, Usage, Wire, anthropic,
    draft::{Draft, Fault},
    failure::ErrorBody,
    openai, redact,
    sse::{Events, TooLarge},
};

/// No more is read of an answer that tells of a failure.
const LARGEST_FAILURE: usize = 256 * 1024;

/// What was asked, for whom an error must not repeat it.
pub(super) enum Asked<'a> {
    Chat(&'a ChatRequest),
    Embed(&'a EmbedRequest),
    Models,
}

impl Asked<'_> {
    pub(super) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Chat(request) => redact::prompt(&request.messages),
            Self::Embed(request) => request.input.iter().map(String::as_str).collect(),
            Self::Models => Vec::new(),
        }
    }
}

/// What may run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    FirstToken,
    Idle,
    Total,
}

/// An answer in the making, in either format.
pub(super) struct Reader {
    pub(super) draft: Draft,
    wire: Wire,
    limit: usize,
}

impl Reader {
    pub(super) fn new(wire: Wire, limit: usize, answer_tool: Option<&'static str>) -> Self {
        Self { draft: Draft::new(limit).with_answer_tool(answer_tool), wire, limit }
    }

    fn event(&mut self, data: &[u8]) -> Result<bool, Fault> {
        match self.wire {
            Wire::OpenAi => openai::event(&mut self.draft, data),
            Wire::Anthropic => anthropic::event(&mut self.draft, data),
        }
    }

    fn whole(&mut self, body: &[u8]) -> Result<(), Fault> {
        match self.wire {
            Wire::OpenAi => openai::whole(&mut self.draft, body),
            Wire::Anthropic => anthropic::whole(&mut self.draft, body),
        }
    }
}

/// How an answer comes. Servers do answer a request for a stream with a whole, above all if it is an error.
enum Shape {
    Unknown,
    Events(Events),
    Whole(Vec<u8>),
}

impl Shape {
    fn of(piece: &[u8], event_stream: bool, limit: usize) -> Self {
        let start = piece.trim_ascii_start();
        let is_json = start.starts_with(b"{") || start.starts_with(b"[");
        let fields: [&[u8]; 5] = [b"data:", b"event:", b":", b"id:", b"retry:"];
        match start {
            b"" => Self::Unknown,
            _ if is_json => Self::Whole(Vec::new()),
            _ if event_stream || fields.iter().any(|field| start.starts_with(field)) => {
                Self::Events(Events::new(limit))
            }
            _ => Self::Whole(Vec::new()),
        }
    }
}

pub(super) struct Call<'a> {
    pub(super) provider: &'a HttpProvider,
    pub(super) key: &'a Key,
    pub(super) asked: Asked<'a>,
    started: Instant,
}

impl<'a> Call<'a> {
    pub(super) fn new(provider: &'a HttpProvider, key: &'a Key, asked: Asked<'a>) -> Self {
        Self { provider, key, asked, started: Instant::now() }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// When the clock runs out that began at `from`, or the whole call's if that is sooner.
    fn deadline(&self, clock: Clock, from: Instant) -> (Instant, Clock) {
        let options = &self.provider.options;
        let total = self.started + options.total_timeout;
        let other = match clock {
            Clock::FirstToken => from + options.first_token_timeout,
            Clock::Idle => from + options.idle_timeout,
            Clock::Total => total,
        };
        if other < total { (other, clock) } else { (total, Clock::Total) }
    }

    /// Waits under a clock.
    async fn within<T>(
        &self,
        (deadline, clock): (Instant, Clock),
        work: impl Future<Output = T>,
    ) -> Result<T, Clock> {
        timeout_at(deadline, work).await.map_err(|_| clock)
    }

    pub(super) async fn get(&self, url: &Url) -> Result<Response, ChatError> {
        self.send(Request::new(Method::GET, url.clone()), Clock::FirstToken).await
    }

    pub(super) async fn post(&self, url: &Url, body: Vec<u8>, stream: bool) -> Result<Response, ChatError> {
        let mut request = Request::new(Method::POST, url.clone());
        *request.body_mut() = Some(body.into());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if stream {
            // Compression would hold pieces back until there is enough to compress.
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        self.send(request, if stream { Clock::FirstToken } else { Clock::Total }).await
    }

    async fn send(&self, mut request: Request, clock: Clock) -> Result<Response, ChatError> {
        request.headers_mut().extend(self.key.headers.clone());
        let sent = self.within(self.deadline(clock, self.started), self.provider.http.execute(request)).await;
        let response = sent.map_err(|clock| self.late(clock, None, Usage::default()))?;
        let response = response.map_err(|error| self.unsent(error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.failed(response).await) }
    }

    /// Reads why a call failed. What cannot be read leaves the status to speak for itself.
    async fn failed(&self, response: Response) -> ChatError {
        let head = Head::of(&response);
        let body = self.collect(response, LARGEST_FAILURE).await.unwrap_or_default();
        let error = serde_json::from_slice(&body).ok().as_ref().map(ErrorBody::of_failure);
        self.told(&head, &error.unwrap_or_default(), Usage::default(), false)
    }

    /// Reads an answer that comes as a whole.
    pub(super) async fn whole(&self, response: Response) -> Result<(Head, Vec<u8>), ChatError> {
        let head = Head::of(&response);
        match self.collect(response, self.provider.options.max_answer).await {
            Ok(body) => Ok((head, body)),
            Err(broken) => Err(self.broken(&head, broken, Usage::default(), true)),
        }
    }

    async fn collect(&self, mut response: Response, limit: usize) -> Result<Vec<u8>, Broken> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(&mut response, Clock::Idle).await? {
            if body.len() + piece.len() > limit {
                return Err(Broken::Fault(TooLarge.into()));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    async fn piece(&self, response: &mut Response, clock: Clock) -> Result<Option<Bytes>, Broken> {
        let from = if clock == Clock::FirstToken { self.started } else { Instant::now() };
        let piece = self.within(self.deadline(clock, from), response.chunk()).await;
        piece.map_err(Broken::Late)?.map_err(|error| Broken::Cut(crate::http::explain(error)))
    }

    /// Reads an answer in whichever shape it comes. Gives the time of its first piece, if it was a stream.
    pub(super) async fn read(
        &self,
        response: Response,
        reader: &mut Reader,
        stream: bool,
    ) -> Result<(Head, Option<Duration>), ChatError> {
        let head = Head::of(&response);
        match self.pieces(response, reader, &head, stream).await {
            Ok(first_token) => Ok((head, first_token)),
            Err(broken) => Err(self.broken(&head, broken, reader.draft.usage, reader.draft.began)),
        }
    }

    async fn pieces(
        &self,
        mut response: Response,
        reader: &mut Reader,
        head: &Head,
        stream: bool,
    ) -> Result<Option<Duration>, Broken> {
        let mut shape = Shape::Unknown;
        let mut first_token = None;
        loop {
            let waits = stream && first_token.is_none() && !matches!(shape, Shape::Whole(_));
            let clock = if waits { Clock::FirstToken } else { Clock::Idle };
            let Some(piece) = self.piece(&mut response, clock).await? else { break };
            if matches!(shape, Shape::Unknown) {
                shape = Shape::of(&piece, head.event_stream, reader.limit);
            }
            match &mut shape {
                Shape::Unknown => {}
                Shape::Whole(body) if body.len() + piece.len() > reader.limit => {
                    reader.draft.began = true;
                    return Err(Broken::Fault(TooLarge.into()));
                }
                Shape::Whole(body) => body.extend_from_slice(&piece),
                Shape::Events(events) => {
                    let done = feed(events, &piece, reader)?;
                    if first_token.is_none() && reader.draft.began {
                        first_token = Some(self.elapsed());
                    }
                    if done {
                        drain(response);
                        return Ok(first_token);
                    }
                }
            }
        }
        match shape {
            Shape::Events(_) => Err(Broken::Cut("the stream ended without its end marker".into())),
            Shape::Whole(body) => reader.whole(&body).map(|()| None).map_err(Broken::Fault),
            Shape::Unknown => reader.whole(b"").map(|()| None).map_err(Broken::Fault),
        }
    }

    fn broken(&self, head: &Head, broken: Broken, usage: Usage, began: bool) -> ChatError {
        match broken {
            Broken::Late(clock) => self.late(clock, Some(head), usage),
            Broken::Cut(why) => self.cut(head, &why, usage, began),
            Broken::Fault(fault) => self.faulty(head, &fault, usage, began),
        }
    }
}

/// Why the rest of an answer never came.
enum Broken {
    Late(Clock),
    Cut(String),
    Fault(Fault),
}

fn feed(events: &mut Events, piece: &[u8], reader: &mut Reader) -> Result<bool, Broken> {
    let mut done = false;
    let each = |data: &[u8]| {
        done = reader.event(data)?;
        Ok(done)
    };
    events.feed::<Fault>(piece, each).map_err(Broken::Fault)?;
    Ok(done)
}
