//! Pages: a list, and an opaque text with which the next part of it is asked for.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use super::problem::Problem;

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Give it as `cursor` to go on; null at the end.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// All there is.
    pub(crate) fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }

    /// The part of `all` that begins after `cursor`, which is a number of entries.
    pub(crate) fn of(
        all: impl IntoIterator<Item = T>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Self, Problem> {
        let first: usize = decode(cursor)?.unwrap_or(0);
        let mut rest = all.into_iter().skip(first);
        let items: Vec<T> = rest.by_ref().take(limit).collect();
        let next_cursor = rest.next().is_some().then(|| encode(&(first + items.len())));
        Ok(Self { items, next_cursor })
    }
}

/// Nobody is to read anything into it.
pub(crate) fn encode(place: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

/// Reads what `encode` made.
pub(crate) fn decode<T: DeserializeOwned>(cursor: Option<&str>) -> Result<Option<T>, Problem> {
    let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) else { return Ok(None) };
    let read = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    read.map(Some).ok_or_else(|| Problem::invalid("cursor: it is none of ours; leave it out to begin anew"))
}
