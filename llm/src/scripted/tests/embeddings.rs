use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{ask, start};
use crate::scripted::embed::vector;

fn cosine(one: &str, other: &str) -> f32 {
    vector(one, 64).iter().zip(vector(other, 64)).map(|(a, b)| a * b).sum()
}

#[test]
fn texts_with_words_in_common_are_near() {
    let base = "Write unit tests for the function that parses dates";
    assert!((cosine(base, base) - 1.0).abs() < 1e-5);
    let near = cosine(base, "Write a unit test for the function that parses a date");
    let far = cosine(base, "Kubernetes ingress returns bad gateway after upgrade");
    assert!(near > 0.6 && far < 0.4, "{near} {far}");
    assert!((cosine("", "!?") - 1.0).abs() < 1e-5, "a text without words has a vector too");
}

#[tokio::test]
async fn floats_and_base64_are_the_same_vectors() {
    let server = start().await;
    let embed = async |more: Value| {
        let mut body = json!({"model": "e", "input": ["one two", "three"]});
        super::merge(&mut body, more);
        ask(&server, "POST", "/v1/embeddings", &[], &body.to_string()).await
    };
    let floats = embed(json!({})).await.json();
    assert_eq!(
        (&floats["object"], &floats["usage"]),
        (&json!("list"), &json!({"prompt_tokens": 4, "total_tokens": 4}))
    );
    let packed = embed(json!({"encoding_format": "base64"})).await.json();
    for index in 0..2 {
        assert_eq!(floats["data"][index]["index"], index);
        let list: Vec<f32> = serde_json::from_value(floats["data"][index]["embedding"].clone()).unwrap();
        let bytes = BASE64_STANDARD.decode(packed["data"][index]["embedding"].as_str().unwrap()).unwrap();
        let unpacked: Vec<f32> =
            bytes.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
        assert_eq!((list.len(), &list), (64, &unpacked));
    }
    let short = embed(json!({"dimensions": 8, "input": [1, 2, 3]})).await.json();
    assert_eq!(short["data"][0]["embedding"].as_array().unwrap().len(), 8);
    for wrong in
        [json!({"input": ""}), json!({"input": []}), json!({"input": [""]}), json!({"dimensions": 0})]
    {
        assert_eq!(embed(wrong.clone()).await.status, 400, "{wrong}");
    }
    let limited = ask(&server, "POST", "/v1/embeddings", &[], r#"{"model":"error-429","input":"x"}"#).await;
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("1")));
}
