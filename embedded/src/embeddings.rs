//! Sentence embeddings, offline: MiniLM with three layers, its weights part of the program.
//!
//! Vectors have [`DIMENSIONS`] numbers and length 1, so that their dot product is their cosine. They say what texts
//! are about, not whether they agree: "in 3 bullets" and "in 5 bullets" score 0.96.

use crate::Error;

/// Numbers of a vector.
pub const DIMENSIONS: usize = 384;

/// Texts in one call to the encoder below, and their bytes: its own limits are above both.
const TEXTS: usize = 1024;
const BYTES: usize = 60_000;

/// Turns texts into vectors. Cheap to clone.
#[derive(Clone)]
pub struct Encoder(pocket_encoder::Encoder);

impl Encoder {
    /// Unpacks the weights, once in a process. Takes about 60 ms and 85 MB.
    pub fn load() -> Result<Self, Error> {
        pocket_encoder::Encoder::new().map(Self).map_err(|e| Error::Inference(e.to_string()))
    }

    /// What to store beside vectors: only vectors of the same encoder can be compared.
    pub fn id(&self) -> String {
        let info = pocket_encoder::model_info();
        format!("{} {}", info.id, info.revision)
    }

    /// One vector for each text, in their order. Only the first 128 tokens of a text count; a text of white space has
    /// the vector 0, which is like nothing.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        let mut vectors = vec![vec![0.0; DIMENSIONS]; texts.len()];
        let solid: Vec<(usize, &str)> = texts.iter().map(|text| head(text.trim())).enumerate().collect();
        let solid: Vec<_> = solid.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        // 60 texts of the greatest length stay below the encoder's 4 MiB.
        for group in solid.chunks(TEXTS.min(4 * 1024 * 1024 / (BYTES + 1))) {
            let texts: Vec<&str> = group.iter().map(|(_, text)| *text).collect();
            let embedded = self.0.embed(&texts).map_err(|e| Error::Inference(e.to_string()))?;
            for ((index, _), vector) in group.iter().zip(embedded) {
                vectors[*index] = vector;
            }
        }
        Ok(vectors)
    }
}

/// The beginning of `text`: far more than 128 tokens, and no more than the encoder takes.
fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn what_means_the_same_is_near() {
        let encoder = Encoder::load().unwrap();
        let texts = [
            "Write a unit test for this function",
            "Create tests for the function",
            "The cat sleeps on the sofa",
        ];
        let vectors = encoder.embed(&texts).unwrap();
        assert!(vectors.iter().all(|v| v.len() == DIMENSIONS && (cosine(v, v) - 1.0).abs() < 1e-4));
        let (near, far) = (cosine(&vectors[0], &vectors[1]), cosine(&vectors[0], &vectors[2]));
        assert!(near > 0.5 && far < 0.3, "{near} {far}");
    }

    #[test]
    fn any_text_has_a_vector() {
        let encoder = Encoder::load().unwrap();
        let long = "é".repeat(200_000);
        let vectors = encoder.embed(&["", " \n", &long, "x"]).unwrap();
        assert_eq!(vectors.len(), 4);
        assert!(vectors[0].iter().chain(&vectors[1]).all(|n| *n == 0.0));
        assert!((cosine(&vectors[2], &vectors[2]) - 1.0).abs() < 1e-4);
        assert_eq!(vectors[3], encoder.embed(&["x"]).unwrap()[0], "others in the call change nothing");
        assert!(encoder.embed(&[]).unwrap().is_empty());
    }
}
