//! The semantic cache of a tenant: a stream of requests, each a vector, what must be equal besides, and the name of
//! its answer in the cache. Workers keep a copy and read what is new, so that they compare without Redis.

use redis::FromRedisValue;

use super::Gate;
use crate::store::{Result, StoreError};

/// A request that was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct SemanticEntry {
    /// Its place in the stream.
    pub id: String,
    /// Its meaning.
    pub vector: Vec<f32>,
    /// What must be equal besides.
    pub guard: String,
    /// The name of its answer in the cache.
    pub answer: String,
}

impl Gate {
    fn semantic_key(&self, realm: &str) -> String {
        self.store.keys.gate_key(&format!("semantic:{realm}"))
    }

    /// Entries after the one with this id (empty: all), at most `most`.
    pub async fn semantic_after(&self, realm: &str, id: &str, most: usize) -> Result<Vec<SemanticEntry>> {
        let after = if id.is_empty() { "-".to_owned() } else { format!("({id}") };
        let mut command = redis::cmd("XRANGE");
        command.arg(self.semantic_key(realm)).arg(after).arg("+").arg("COUNT").arg(most);
        let entries: Vec<(String, Vec<redis::Value>)> = self.store.command(&command).await?;
        let open = |vector| self.unsealed("semantic", realm, vector);
        let read = |(id, fields)| read(id, fields, open);
        entries.into_iter().map(read).collect()
    }

    /// Adds an entry and keeps the latest `most`, about.
    pub async fn add_semantic(
        &self,
        realm: &str,
        vector: &[f32],
        guard: &str,
        answer: &str,
        most: usize,
    ) -> Result<()> {
        let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        let (key, bytes) = (self.semantic_key(realm), self.sealed("semantic", realm, &bytes));
        let mut pipeline = redis::pipe();
        pipeline.cmd("XADD").arg(&key).arg("MAXLEN").arg("~").arg(most).arg("*");
        pipeline.arg("v").arg(&*bytes).arg("g").arg(guard).arg("a").arg(answer).ignore();
        pipeline.cmd("EXPIRE").arg(&key).arg(40 * 86_400).ignore();
        self.store.pipeline::<()>(&pipeline).await
    }

    /// An answer by its name in the cache.
    pub async fn cached(&self, name: &str) -> Result<Option<String>> {
        let key = self.store.keys.gate_key(&format!("cache:{name}"));
        let answer: Option<Vec<u8>> = self.store.command(redis::cmd("GET").arg(key)).await?;
        Ok(answer.and_then(|answer| self.opened("cache", name, answer)))
    }
}

/// Makes sense of an entry. A vector that `open` cannot open is empty, and like nothing.
pub(in crate::store) fn read(
    id: String,
    fields: Vec<redis::Value>,
    open: impl Fn(Vec<u8>) -> Option<Vec<u8>>,
) -> Result<SemanticEntry> {
    let unexpected = |error: redis::ParsingError| StoreError::Unexpected(error.to_string());
    let mut entry = SemanticEntry { id, vector: Vec::new(), guard: String::new(), answer: String::new() };
    let mut fields = fields.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        let name = String::from_redis_value(name).map_err(unexpected)?;
        let bytes = Vec::<u8>::from_redis_value(value).map_err(unexpected)?;
        match name.as_str() {
            "v" => {
                let bytes = open(bytes).unwrap_or_default();
                let numbers = bytes.chunks_exact(4);
                entry.vector = numbers.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            }
            "g" => entry.guard = String::from_utf8_lossy(&bytes).into_owned(),
            "a" => entry.answer = String::from_utf8_lossy(&bytes).into_owned(),
            _ => {}
        }
    }
    Ok(entry)
}
