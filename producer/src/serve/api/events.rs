//! Events: transitions of tasks as they happen, and what operators did.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json as Send,
    extract::State,
    http::{HeaderMap, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::mpsc;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use windlass_shared::{
    config::Role,
    model::{Action, QueueName, Transition},
};
use windlass_telemetry::http::OpenStream;

use crate::{
    commands::audit,
    serve::{
        app::App,
        auth::Caller,
        cursor::{self, Page},
        extract::{Limit, Query},
        problem::Answer,
        stream::Places,
    },
    steps::{Pause, patiently},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events)).routes(routes!(actions))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Params {
    /// Of this queue; all queues unless given.
    queue: Option<QueueName>,
    /// A reason or a state after, such as `recovered` or `failed`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Of a page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
    /// `next_cursor` of the page before; of a stream, what `Last-Event-ID` says goes first.
    cursor: Option<String>,
}

/// The event log
///
/// With `Accept: text/event-stream` it is a stream of server-sent events from now on, or from `Last-Event-ID` on: the last event of
/// each round trip has an id. Otherwise it is a page of what the log still knows.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(Params, ("Last-Event-ID" = Option<String>, Header)), responses((status = 200, content((Page<Transition> = "application/json"), (String = "text/event-stream")))))]
async fn events(
    State(app): State<App>,
    caller: Caller,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Answer<Response> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let streams = accept.contains("text/event-stream");
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .filter(|id| streams && !id.is_empty());
    let places: Option<Places> = cursor::decode(last.or(params.cursor.as_deref()))?;
    let mut reader = Reader {
        app,
        caller,
        queue: params.queue,
        kind: params.kind,
        places: places.clone().unwrap_or_default(),
    };
    if !streams {
        let mut items = Vec::new();
        let more = reader.read(params.limit.0, &mut items).await?;
        let next_cursor = more.then(|| cursor::encode(&reader.places));
        return Ok(Send(Page { items, next_cursor }).into_response());
    }
    if places.is_none() {
        reader.skip_to_now().await?;
    }
    Ok(stream_of(reader).into_response())
}

struct Reader {
    app: App,
    caller: Caller,
    queue: Option<QueueName>,
    kind: Option<String>,
    places: Places,
}

impl Reader {
    async fn queues(&self) -> Answer<Vec<QueueName>> {
        match &self.queue {
            Some(queue) => Ok(vec![queue.clone()]),
            None => Ok(patiently(|| self.app.store.queues()).await?),
        }
    }

    async fn skip_to_now(&mut self) -> Answer<()> {
        for name in self.queues().await? {
            for partition in self.app.store.queue(&name).await?.partitions() {
                *self.places.of(partition) = partition.newest_event().await?;
            }
        }
        Ok(())
    }

    fn wanted(&self, transition: &Transition) -> bool {
        let Some(kind) = self.kind.as_deref() else { return true };
        transition.reason.as_str() == kind || transition.to.is_some_and(|state| state.as_str() == kind)
    }

    /// Reads on until there are about `limit`. True if there may be more.
    async fn read(&mut self, limit: usize, into: &mut Vec<Transition>) -> Answer<bool> {
        for name in self.queues().await? {
            let queue = patiently(|| self.app.store.queue(&name)).await?;
            for partition in queue.partitions() {
                loop {
                    let from = self.places.of(partition).clone();
                    let events = patiently(|| partition.events(&from, 100)).await?;
                    let Some(last) = events.last() else { break };
                    self.places.of(partition).clone_from(&last.cursor);
                    into.extend(
                        events.into_iter().flat_map(|event| event.transitions).filter(|t| self.wanted(t)),
                    );
                    if into.len() >= limit {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }
}

/// Read in one round, before it is sent.
const ROUND: usize = 500;
/// So that proxies do not take a quiet stream for a dead one.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

fn stream_of(mut reader: Reader) -> impl IntoResponse {
    let (events, told) = mpsc::channel::<Event>(ROUND);
    tokio::spawn(async move {
        let _open = OpenStream::new();
        let mut pause = Pause::new();
        // Alone it is no event; who is cut off before the first one goes on from here.
        let here = Event::default().id(cursor::encode(&reader.places));
        if events.send(here).await.is_err() {
            return;
        }
        loop {
            if reader.app.guard.check(&reader.caller, Role::Read).is_err() {
                return;
            }
            let mut round = Vec::new();
            // A Redis that stays away ends the stream; the client comes again by itself, from its last id.
            let Ok(more) = reader.read(ROUND, &mut round).await else { return };
            if !round.is_empty() {
                pause.reset();
            }
            let last = round.len().saturating_sub(1);
            for (number, transition) in round.iter().enumerate() {
                let Ok(mut event) = Event::default().event("transition").json_data(transition) else {
                    continue;
                };
                if number == last {
                    event = event.id(cursor::encode(&reader.places));
                }
                if events.send(event).await.is_err() {
                    return;
                }
            }
            if more {
                continue;
            }
            tokio::select! {
                () = pause.wait() => {}
                () = events.closed() => return,
                () = reader.app.leaving.cancelled() => return,
            }
        }
    });
    let stream = stream::unfold(told, |mut told| async move {
        told.recv().await.map(|event| (Ok::<_, Infallible>(event), told))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Latest {
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
}

/// What operators did, the latest last
#[utoipa::path(get, path = "/v1/actions", tag = "events", params(Latest), responses((status = 200, body = Page<Action>)))]
async fn actions(State(app): State<App>, Query(latest): Query<Latest>) -> Answer<Send<Page<Action>>> {
    Ok(Send(Page::whole(audit::latest(&app.store, latest.limit.0, |_| true).await?)))
}
