//! What goes over the wire, and when.

use std::{io, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderValue, Response, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
};

use super::{
    ask::Format,
    failure::{Failure, Headers},
    log::Running,
};

/// An answer that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) status: u16,
    pub(crate) content_type: HeaderValue,
    pub(crate) headers: Headers,
    pub(crate) payload: Payload,
    pub(crate) bill: Bill,
}

/// What the answer says it took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bill {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cost: f64,
}

#[derive(Debug)]
pub(crate) enum Payload {
    Whole(Bytes),
    Pieces(Pieces),
    /// Nothing for this long; then the connection closes.
    Silence(Duration),
}

/// A body that is sent in pieces.
#[derive(Debug)]
pub(crate) struct Pieces {
    pub(crate) bytes: Vec<Bytes>,
    /// What `Content-Length` says, if it is said.
    pub(crate) length: Option<usize>,
    /// Time between two pieces.
    pub(crate) pace: Duration,
    pub(crate) end: End,
}

/// What comes after the last piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The end of the body, as HTTP has it.
    Clean,
    /// The connection closes.
    Cut,
    /// Nothing for this long; then the connection closes.
    Stall(Duration),
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("hung up, as the scenario wants it")]
pub(crate) struct HangUp;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");

impl Plan {
    pub(crate) fn json(body: &serde_json::Value) -> Self {
        Self::whole(200, JSON, body.to_string().into())
    }

    pub(crate) fn whole(status: u16, content_type: HeaderValue, body: Bytes) -> Self {
        let payload = Payload::Whole(body);
        Self { status, content_type, headers: Vec::new(), payload, bill: Bill::default() }
    }

    pub(crate) fn events(bytes: Vec<Bytes>, pace: Duration, end: End) -> Self {
        let payload = Payload::Pieces(Pieces { bytes, length: None, pace, end });
        Self { status: 200, content_type: EVENTS, headers: Vec::new(), payload, bill: Bill::default() }
    }

    pub(crate) fn failure(failure: &Failure, format: Format, id: &str) -> Self {
        let (content_type, body) = failure.body(format, id);
        let content_type = HeaderValue::from_static(content_type);
        let plan = Self::whole(failure.status(format), content_type, body.into());
        Self { headers: failure.all_headers(format), ..plan }
    }

    pub(crate) fn silence(lasts: Duration) -> Self {
        Self { payload: Payload::Silence(lasts), ..Self::whole(0, JSON, Bytes::new()) }
    }

    pub(crate) fn billed(self, bill: Bill) -> Self {
        // Who gets nothing pays nothing.
        if matches!(self.payload, Payload::Silence(_)) { self } else { Self { bill, ..self } }
    }

    /// Sends it; the call ends with the last byte.
    pub(crate) async fn send(self, mut call: Running) -> Result<Response<Body>, HangUp> {
        let Bill { input, output, cost } = self.bill;
        call.answer(self.status, input, output, cost);
        let mut length = None;
        let body = match self.payload {
            Payload::Silence(lasts) => {
                tokio::time::sleep(lasts).await;
                call.finish();
                return Err(HangUp);
            }
            Payload::Whole(bytes) => {
                call.finish();
                Body::from(bytes)
            }
            Payload::Pieces(pieces) => {
                length = pieces.length;
                pieces.body(call)
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type);
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        Ok(response)
    }
}

impl Pieces {
    fn body(self, call: Running) -> Body {
        let state = State { bytes: self.bytes.into_iter(), pace: self.pace, end: self.end, sent: 0, call };
        Body::from_stream(futures_util::stream::unfold(Some(state), |state| async { state?.next().await }))
    }
}

struct State {
    bytes: std::vec::IntoIter<Bytes>,
    pace: Duration,
    end: End,
    sent: usize,
    call: Running,
}

type Step = Option<(Result<Bytes, io::Error>, Option<State>)>;

impl State {
    async fn next(mut self) -> Step {
        if let Some(piece) = self.bytes.next() {
            if self.sent > 0 && !self.pace.is_zero() {
                tokio::time::sleep(self.pace).await;
            }
            self.sent += 1;
            return Some((Ok(piece), Some(self)));
        }
        match self.end {
            End::Clean => {
                self.call.finish();
                return None;
            }
            // What was sent so far must be out before the connection closes: a pending body makes hyper flush.
            End::Cut => tokio::task::yield_now().await,
            End::Stall(lasts) => tokio::time::sleep(lasts).await,
        }
        self.call.finish();
        Some((Err(io::Error::other(HangUp)), None))
    }
}

/// Answers that are not calls of a model.
pub(crate) fn plain(status: u16, body: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}
