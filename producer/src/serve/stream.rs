//! What is written for as long as somebody reads it.

use std::io;

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use windlass_shared::{model::QueueName, store::Partition};

use super::problem::Problem;

/// Where lines go. It is closed when nobody reads any more.
pub(super) type Lines = mpsc::Sender<io::Result<Bytes>>;

/// An answer of JSON Lines, and where to write them. Pieces that nobody has read yet hold up whoever writes.
pub(super) fn lines() -> (Lines, Response) {
    let (lines, read) = mpsc::channel(4);
    let body = Body::from_stream(stream::unfold(read, |mut read| async move {
        read.recv().await.map(|piece: io::Result<Bytes>| (piece, read))
    }));
    (lines, ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// Breaks the answer off, so that nobody takes what they got for all there is.
pub(super) async fn break_off(lines: &Lines, problem: &Problem) {
    tracing::warn!(detail = problem.detail(), "a stream ended early");
    _ = lines.send(Err(io::Error::other(problem.detail().to_owned()))).await;
}

/// How far the logs of some partitions were read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Places(Vec<(QueueName, u16, String)>);

impl Places {
    /// The place in the log of a partition, which is its beginning if that is new.
    pub(super) fn of(&mut self, partition: &Partition) -> &mut String {
        let is = |(queue, index, _): &(QueueName, u16, String)| {
            queue == partition.name() && *index == partition.index()
        };
        let index = self.0.iter().position(is).unwrap_or_else(|| {
            self.0.push((partition.name().clone(), partition.index(), "0".into()));
            self.0.len() - 1
        });
        &mut self.0[index].2
    }
}
