//! What a provider says about its models.
//!
//! Each tells something else: `OpenAI` names alone, OpenRouter nearly everything, the rest something between. What
//! none of them says is absent.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{draft::Fault, failure::ErrorBody};

/// A model, as its provider lists it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListedModel {
    /// What it is called in requests.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// Longest request and answer together, in tokens.
    pub context: Option<u64>,
    /// Longest answer, in tokens.
    pub max_output: Option<u64>,
    /// What it costs.
    pub price: Option<ListedPrice>,
    /// What it reads: `text`, `image`, `audio`, `file`, …
    pub input_modalities: Vec<String>,
    /// What it writes.
    pub output_modalities: Vec<String>,
    /// Parameters that it knows: `tools`, `response_format`, `temperature`, …
    pub parameters: Vec<String>,
    /// The date of its end, as the provider writes it.
    pub expires: Option<String>,
    /// When it appeared, in seconds of the epoch.
    pub created: Option<i64>,
}

/// What a model costs, in USD per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListedPrice {
    /// Of the request.
    pub input: Option<f64>,
    /// Of the answer.
    pub output: Option<f64>,
    /// Of what is read from the provider's cache.
    pub cached_input: Option<f64>,
    /// Of what is written to it.
    pub cache_write: Option<f64>,
    /// USD for each request, whatever its size.
    pub request: Option<f64>,
}

impl ListedPrice {
    fn told(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

/// Part of a list, and where the next part begins.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) models: Vec<ListedModel>,
    pub(crate) after: Option<String>,
}

/// Reads `{"data": […]}`, Cohere's `{"models": […]}` or a bare list.
pub(crate) fn read(bytes: &[u8]) -> Result<Page, Fault> {
    let body: Value = serde_json::from_slice(bytes).map_err(|_| Fault::not_json(bytes))?;
    if let Some(error) = ErrorBody::find(&body) {
        return Err(Fault::Told(Box::new(error)));
    }
    let list = body.get("data").or_else(|| body.get("models")).unwrap_or(&body).as_array();
    let list = list.ok_or(Fault::malformed("the answer is not a list of models"))?;
    let models: Vec<_> = list.iter().filter_map(model).collect();
    let more = body.get("has_more").is_some_and(|more| more == true);
    let last = body.get("last_id").and_then(Value::as_str).filter(|_| more && !models.is_empty());
    let next = body.get("next_page_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    Ok(Page { after: last.or(next).map(str::to_owned), models })
}

/// A model without an id cannot be asked for, so it is none.
fn model(entry: &Value) -> Option<ListedModel> {
    let text = |names: &[&str]| find(entry, names).and_then(Value::as_str).map(str::to_owned);
    let number = |names: &[&str]| find(entry, names).and_then(Value::as_u64).filter(|number| *number > 0);
    let (price, context) = of_providers(entry);
    Some(ListedModel {
        // Cohere's models have no id but a name.
        id: text(&["/id", "/name"])?,
        name: text(&["/name", "/display_name"]),
        context: number(&[
            "/context_length",
            "/max_input_tokens",
            "/max_model_len",
            "/context_window",
            "/max_context_length",
            "/top_provider/context_length",
        ])
        .or(context),
        max_output: number(&["/top_provider/max_completion_tokens", "/max_tokens", "/max_completion_tokens"]),
        price: entry.get("pricing").and_then(price_a_token).or(price),
        input_modalities: words(entry, "/architecture/input_modalities"),
        output_modalities: words(entry, "/architecture/output_modalities"),
        parameters: parameters(entry),
        expires: text(&["/expiration_date", "/retires_at"]),
        created: created(entry),
    })
}

fn find<'a>(entry: &'a Value, pointers: &[&str]) -> Option<&'a Value> {
    pointers.iter().filter_map(|pointer| entry.pointer(pointer)).find(|value| !value.is_null())
}

fn words(entry: &Value, pointer: &str) -> Vec<String> {
    let list = entry.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// OpenRouter writes USD a token, as decimal text. Below zero means that it depends.
fn price_a_token(pricing: &Value) -> Option<ListedPrice> {
    let usd = |name: &str| match pricing.get(name)? {
        Value::String(text) => text.parse::<f64>().ok().filter(|usd| usd.is_finite() && *usd >= 0.0),
        _ => None,
    };
    // A millionth of a dollar per million tokens is exact enough, and 0.0000025 becomes 2.5 again.
    let million = |name: &str| usd(name).map(|usd| (usd * 1e12).round() / 1e6);
    let price = ListedPrice {
        input: million("prompt"),
        output: million("completion"),
        cached_input: million("input_cache_read"),
        cache_write: million("input_cache_write"),
        request: usd("request"),
    };
    price.told()
}

/// Hugging Face names those who serve a model, with USD per million tokens. Whoever answers, it is neither dearer nor
/// narrower than this.
fn of_providers(entry: &Value) -> (Option<ListedPrice>, Option<u64>) {
    let all = entry.get("providers").and_then(Value::as_array).into_iter().flatten();
    let live: Vec<_> =
        all.filter(|provider| provider.get("status").is_none_or(|status| status == "live")).collect();
    let dearest = |pointer: &str| {
        let prices = live.iter().filter_map(|provider| provider.pointer(pointer)?.as_f64());
        prices.filter(|usd| usd.is_finite() && *usd >= 0.0).reduce(f64::max)
    };
    let price = ListedPrice {
        input: dearest("/pricing/input"),
        output: dearest("/pricing/output"),
        ..ListedPrice::default()
    };
    let narrowest = live.iter().filter_map(|provider| provider.get("context_length")?.as_u64()).min();
    (price.told(), narrowest)
}

/// OpenRouter lists parameters; others say what a model can do, which comes to the same for these.
fn parameters(entry: &Value) -> Vec<String> {
    let mut parameters = words(entry, "/supported_parameters");
    let providers = entry.get("providers").and_then(Value::as_array).into_iter().flatten();
    let mut able: Vec<&Value> = providers.collect();
    able.extend(entry.get("capabilities"));
    for (parameter, pointers) in [
        ("tools", ["/supports_tools", "/function_calling", "/tools/supported"]),
        (
            "structured_outputs",
            ["/supports_structured_output", "/json_schema", "/structured_outputs/supported"],
        ),
    ] {
        let supported = able.iter().any(|able| find(able, &pointers).is_some_and(|yes| yes == true));
        if supported && !parameters.iter().any(|known| known == parameter) {
            parameters.push(parameter.into());
        }
    }
    parameters
}

/// Seconds, or the date that Anthropic writes.
fn created(entry: &Value) -> Option<i64> {
    let date = || entry.get("created_at")?.as_str()?.parse::<jiff::Timestamp>().ok();
    let seconds =
        entry.get("created").and_then(Value::as_i64).or_else(|| date().map(jiff::Timestamp::as_second));
    seconds.filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn only(body: &Value) -> ListedModel {
        let mut page = read(body.to_string().as_bytes()).unwrap();
        assert_eq!(page.models.len(), 1);
        page.models.remove(0)
    }

    #[test]
    fn openrouter_says_nearly_everything() {
        let model = only(&json!({"data": [{
            "id": "a/b", "canonical_slug": "a/b-1", "name": "A: B", "created": 1_700_000_000,
            "context_length": 200_000,
            "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
            "pricing": {"prompt": "0.0000025", "completion": "0.00001", "request": "0.01", "image": "0",
                "input_cache_read": "0.00000025", "web_search": "-1"},
            "top_provider": {"context_length": 190_000, "max_completion_tokens": 8192},
            "supported_parameters": ["tools", "temperature"], "expiration_date": "2027-01-01",
        }]}));
        let price = ListedPrice {
            input: Some(2.5),
            output: Some(10.0),
            cached_input: Some(0.25),
            cache_write: None,
            request: Some(0.01),
        };
        let expected = ListedModel {
            id: "a/b".into(),
            name: Some("A: B".into()),
            context: Some(200_000),
            max_output: Some(8192),
            price: Some(price),
            input_modalities: vec!["text".into(), "image".into()],
            output_modalities: vec!["text".into()],
            parameters: vec!["tools".into(), "temperature".into()],
            expires: Some("2027-01-01".into()),
            created: Some(1_700_000_000),
        };
        assert_eq!(model, expected);
    }

    #[test]
    fn a_price_that_depends_is_none_and_a_free_one_is_zero() {
        let price = |prompt: &str| only(&json!({"data": [{"id": "m", "pricing": {"prompt": prompt}}]})).price;
        assert_eq!(price("-1"), None);
        assert_eq!(price("0").unwrap().input, Some(0.0));
    }

    #[test]
    fn hugging_face_counts_its_dearest_and_narrowest_live_server() {
        let model = only(&json!({"object": "list", "data": [{"id": "o/m", "created": 1, "providers": [
            {"provider": "x", "status": "live", "context_length": 32768,
                "pricing": {"input": 0.2, "output": 0.9}, "supports_tools": true},
            {"provider": "y", "status": "live", "context_length": 131_072, "pricing": {"input": 0.3, "output": 0.5}},
            {"provider": "z", "status": "error", "context_length": 4096, "pricing": {"input": 9, "output": 9}},
        ]}]}));
        let price = model.price.unwrap();
        assert_eq!((price.input, price.output, model.context), (Some(0.3), Some(0.9), Some(32_768)));
        assert_eq!(model.parameters, ["tools"]);
    }

    #[test]
    fn anthropic_lists_by_pages() {
        let body = json!({"data": [{"type": "model", "id": "claude-m", "display_name": "Claude M",
            "created_at": "2025-02-19T00:00:00Z", "max_input_tokens": 200_000, "max_tokens": 64_000}],
            "has_more": true, "first_id": "claude-m", "last_id": "claude-m"});
        assert_eq!(read(body.to_string().as_bytes()).unwrap().after.as_deref(), Some("claude-m"));
        let model = only(&body);
        assert_eq!((model.name.as_deref(), model.created), (Some("Claude M"), Some(1_739_923_200)));
        assert_eq!((model.context, model.max_output), (Some(200_000), Some(64_000)));
    }

    #[test]
    fn names_alone_are_enough_and_nothing_else_is() {
        let plain = json!({"object": "list", "data": [{"id": "m", "object": "model", "created": 0}]});
        assert_eq!(only(&plain), ListedModel { id: "m".into(), ..ListedModel::default() });
        assert_eq!(
            only(&json!({"models": [{"name": "command-r", "context_length": 128_000}]})).id,
            "command-r"
        );
        assert_eq!(
            only(&json!([{"id": "m", "max_model_len": 4096}, {"object": "model"}])).context,
            Some(4096)
        );
        for body in ["{}", "3", "<html>", "{\"error\": \"m\"}"] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
