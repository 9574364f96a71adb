//! Embeddings: texts in, vectors out.

use std::{fmt, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};
use serde_json::Value;

use crate::{
    LimitFacts, Preset, Usage,
    draft::Fault,
    failure::ErrorBody,
    openai::{cost, read_usage},
};

/// Texts to embed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbedRequest {
    /// Name of the model, as the provider knows it.
    pub model: String,
    /// The texts; `OpenAI` takes at most 2048.
    pub input: Vec<String>,
    /// Length of the vectors, where a model can shorten them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
}

/// What the texts became.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedAnswer {
    /// One vector a text, in the order of the texts, all of the same length.
    pub vectors: Vec<Vec<f32>>,
    /// The model that answered.
    pub model: String,
    /// Tokens, as the provider counted them.
    pub usage: Usage,
    /// What the call cost in USD, if the provider itself says so.
    pub cost_usd: Option<f64>,
    /// From sending the request to having read the answer.
    pub duration: Duration,
    /// What the headers say about limits.
    pub limits: LimitFacts,
}

/// The body of a request. `OpenAI` is asked for base64, which is a quarter of the size; others may not know it.
pub(crate) fn body(request: &EmbedRequest, preset: Preset) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(flatten)]
        request: &'a EmbedRequest,
        encoding_format: &'static str,
    }
    let encoding_format = if preset == Preset::OpenAi { "base64" } else { "float" };
    serde_json::to_vec(&Body { request, encoding_format })
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    data: Vec<Entry>,
    model: Value,
    usage: Value,
}

#[derive(Deserialize)]
struct Entry {
    index: Option<usize>,
    embedding: Vector,
}

/// Vectors and what was told beside them.
#[derive(Debug)]
pub(crate) struct Embedded {
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) model: Option<String>,
    pub(crate) usage: Usage,
    pub(crate) cost_usd: Option<f64>,
}

/// Reads the vectors of as many texts.
pub(crate) fn read(bytes: &[u8], texts: usize) -> Result<Embedded, Fault> {
    let body: Option<Body> = serde_json::from_slice(bytes).ok();
    let Some(body) = body.filter(|body| !body.data.is_empty()) else {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| Fault::not_json(bytes))?;
        let no_vectors = || Fault::malformed("the answer holds no embeddings");
        return Err(ErrorBody::find(&value).map_or_else(no_vectors, |error| Fault::Told(Box::new(error))));
    };
    let (usage, cost_usd) = (read_usage(&body.usage), cost(&body.usage));
    let model = body.model.as_str().map(str::to_owned);
    Ok(Embedded { vectors: ordered(body.data, texts)?, model, usage, cost_usd })
}

fn ordered(entries: Vec<Entry>, texts: usize) -> Result<Vec<Vec<f32>>, Fault> {
    let mut vectors = vec![Vec::new(); texts];
    let count = entries.len();
    for (at, entry) in entries.into_iter().enumerate() {
        if let Some(place) = vectors.get_mut(entry.index.unwrap_or(at)) {
            *place = entry.embedding.0;
        }
    }
    let length = vectors.first().map_or(0, Vec::len);
    let whole = |vector: &Vec<f32>| vector.len() == length && vector.iter().all(|number| number.is_finite());
    if count == texts && length > 0 && vectors.iter().all(whole) {
        return Ok(vectors);
    }
    Err(Fault::malformed("the answer does not hold one vector of numbers for each text"))
}

/// A list of numbers, or base64 of them as little-endian 32-bit floats.
struct Vector(Vec<f32>);

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Numbers)
    }
}

struct Numbers;

impl<'de> Visitor<'de> for Numbers {
    type Value = Vector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers, or base64")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Vector, A::Error> {
        let mut vector = Vec::new();
        while let Some(number) = numbers.next_element()? {
            vector.push(number);
        }
        Ok(Vector(vector))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vector, E> {
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| E::custom("no base64"))?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(E::custom("no 32-bit floats"));
        }
        Ok(Vector(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_base64_are_the_same_and_order_is_by_index() {
        let base64 = BASE64_STANDARD.encode([0.5f32, -2.0].map(f32::to_le_bytes).concat());
        let body = json!({"object": "list", "model": "e-1", "usage": {"prompt_tokens": 5, "total_tokens": 5},
            "data": [{"index": 1, "embedding": [1.5, 3]}, {"index": 0, "embedding": base64}]});
        let embedded = read(body.to_string().as_bytes(), 2).unwrap();
        assert_eq!(embedded.vectors, [[0.5, -2.0], [1.5, 3.0]]);
        assert_eq!((embedded.usage.input, embedded.model.as_deref()), (Some(5), Some("e-1")));
    }

    #[test]
    fn what_is_not_a_vector_a_text_is_malformed() {
        for data in [
            json!([]),
            json!([{"index": 0, "embedding": [1]}]),
            json!([{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]),
            json!([{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]),
            json!([{"index": 0, "embedding": [1]}, {"index": 7, "embedding": [1]}]),
            json!([{"index": 0, "embedding": "AAA="}, {"index": 1, "embedding": "AAA="}]),
            json!([{"index": 0, "embedding": "no base64"}, {"index": 1, "embedding": null}]),
        ] {
            let body = json!({"data": data}).to_string();
            assert!(matches!(read(body.as_bytes(), 2), Err(Fault::Found(..))), "{body}");
        }
        assert!(matches!(read(br#"{"error":{"message":"m"}}"#, 2), Err(Fault::Told(_))));
    }

    #[test]
    fn only_openai_is_asked_for_base64() {
        let request = EmbedRequest { model: "e".into(), input: vec!["t".into()], dimensions: Some(256) };
        let written = |preset| serde_json::from_slice::<Value>(&body(&request, preset).unwrap()).unwrap();
        let expected = json!({"model": "e", "input": ["t"], "dimensions": 256, "encoding_format": "base64"});
        assert_eq!(written(Preset::OpenAi), expected);
        assert_eq!(written(Preset::Local)["encoding_format"], "float");
    }
}
