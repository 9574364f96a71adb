//! From what people write to a provider that can be called.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{
    ClientBuilder, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};

use super::{HttpProvider, Key};
use crate::{ApiKey, InvalidProvider, Preset, ProviderOptions, Wire, http};

/// The version of Anthropic's format that `anthropic` speaks.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Idle connections kept for the next call; as many as a worker may have streams.
const IDLE_CONNECTIONS: usize = 64;

/// Servers close idle connections after a minute or so. Ours go first, so that no call meets a closed one.
const IDLE_FOR: Duration = Duration::from_secs(50);

/// No time-out is longer: it keeps a careless one out of every later sum of times.
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// Shorter values of headers are no secrets, but words that may occur in any text.
const SHORTEST_SECRET: usize = 8;

/// Headers that the connection needs for itself.
const RESERVED: [&str; 4] = ["connection", "content-length", "host", "transfer-encoding"];

pub(super) fn provider(mut options: ProviderOptions) -> Result<HttpProvider, InvalidProvider> {
    for (name, time) in [
        ("connect_timeout", &mut options.connect_timeout),
        ("first_token_timeout", &mut options.first_token_timeout),
        ("idle_timeout", &mut options.idle_timeout),
        ("total_timeout", &mut options.total_timeout),
    ] {
        if time.is_zero() {
            return Err(InvalidProvider::Zero(name));
        }
        *time = (*time).min(LONGEST);
    }
    if options.max_answer == 0 {
        return Err(InvalidProvider::Zero("max_answer"));
    }
    let urls = Urls::of(&options)?;
    let keys = keys(&options)?;
    let connect_timeout = options.connect_timeout;
    let http = http::build(Policy::none(), |client| settings(client, connect_timeout))?;
    Ok(HttpProvider { options, keys, urls, http })
}

/// A redirect is not followed: it would take the key elsewhere.
fn settings(client: ClientBuilder, connect_timeout: Duration) -> ClientBuilder {
    client
        .connect_timeout(connect_timeout)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_FOR)
        .tcp_keepalive(Duration::from_secs(30))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_keep_alive_timeout(Duration::from_secs(10))
}

/// Where each kind of request goes.
#[derive(Debug, PartialEq)]
pub(super) struct Urls {
    pub(super) chat: Url,
    pub(super) embeddings: Url,
    pub(super) models: Url,
}

impl Urls {
    fn of(options: &ProviderOptions) -> Result<Self, InvalidProvider> {
        let preset = options.preset;
        let base =
            options.base_url.as_deref().or(preset.base_url()).ok_or(InvalidProvider::NoBaseUrl(preset))?;
        let base = base_url(base)?;
        let chat: &[&str] = match preset.wire() {
            Wire::OpenAi => &["chat", "completions"],
            Wire::Anthropic => &["messages"],
        };
        let models = with_path(&models_base(preset, &base), &["models"]);
        Ok(Self {
            chat: with_path(&base, chat),
            embeddings: with_path(&base, &["embeddings"]),
            models: next_page(preset, &models, ""),
        })
    }
}

fn base_url(base: &str) -> Result<Url, InvalidProvider> {
    let url = Url::parse(base.trim()).map_err(|_| InvalidProvider::BaseUrl)?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err(InvalidProvider::BaseUrl);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidProvider::Credentials);
    }
    Ok(url)
}

/// Cohere lists its models only at its own address.
fn models_base(preset: Preset, base: &Url) -> Url {
    let mut url = base.clone();
    if preset == Preset::Cohere
        && let Some(path) = base.path().trim_end_matches('/').strip_suffix("/compatibility/v1")
    {
        url.set_path(&format!("{path}/v1"));
    }
    url
}

/// The path is appended and a query is kept.
fn with_path(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

/// The address of the page after this one; of the first, after nothing.
pub(super) fn next_page(preset: Preset, models: &Url, after: &str) -> Url {
    let (size, cursor) = match preset {
        Preset::Anthropic => (("limit", "1000"), "after_id"),
        Preset::Cohere => (("page_size", "1000"), "page_token"),
        _ => return models.clone(),
    };
    let mut url = models.clone();
    let kept: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(name, _)| name != size.0).collect();
    let mut query = url.query_pairs_mut();
    query.clear().extend_pairs(kept).append_pair(size.0, size.1);
    if !after.is_empty() {
        query.append_pair(cursor, after);
    }
    drop(query);
    url
}

fn keys(options: &ProviderOptions) -> Result<Vec<Key>, InvalidProvider> {
    let ProviderOptions { preset, keys, headers, .. } = options;
    if keys.is_empty() {
        // A server of one's own in the provider's place may need none.
        return match preset.key_variable().filter(|_| options.base_url.is_none()) {
            Some(variable) => Err(InvalidProvider::NoKey(variable)),
            None => Ok(vec![key("default", None, *preset, headers)?]),
        };
    }
    let mut ready: Vec<Key> = Vec::with_capacity(keys.len());
    for given in keys {
        if ready.iter().any(|key| key.name == given.name) {
            return Err(InvalidProvider::KeyName(given.name.clone()));
        }
        ready.push(key(&given.name, Some(given), *preset, headers)?);
    }
    Ok(ready)
}

fn key(
    name: &str,
    given: Option<&ApiKey>,
    preset: Preset,
    others: &BTreeMap<String, String>,
) -> Result<Key, InvalidProvider> {
    let mut headers = HeaderMap::new();
    let mut secrets = Vec::new();
    if preset.wire() == Wire::Anthropic {
        headers.insert("anthropic-version", HeaderValue::from_static(ANTHROPIC_VERSION));
    }
    if let Some(given) = given {
        let invalid = || InvalidProvider::Key(name.to_owned());
        let secret = Some(given.value.trim()).filter(|value| !value.is_empty()).ok_or_else(invalid)?;
        let (header, value) = match preset.wire() {
            Wire::OpenAi => (AUTHORIZATION, format!("Bearer {secret}")),
            Wire::Anthropic => (HeaderName::from_static("x-api-key"), secret.to_owned()),
        };
        headers.insert(header, hidden(&value).ok_or_else(invalid)?);
        let belongs = [("openai-organization", &given.organization), ("openai-project", &given.project)];
        for (header, value) in belongs {
            if let Some(value) = value {
                headers.insert(header, hidden(value).ok_or_else(invalid)?);
            }
        }
        secrets.push(secret.to_owned());
    }
    for (header, value) in others {
        let invalid = || InvalidProvider::Header(header.clone());
        let known =
            HeaderName::try_from(header.as_str()).ok().filter(|name| !RESERVED.contains(&name.as_str()));
        headers.insert(known.ok_or_else(invalid)?, hidden(value).ok_or_else(invalid)?);
        secrets.extend(Some(value.trim().to_owned()).filter(|value| value.len() >= SHORTEST_SECRET));
    }
    Ok(Key { name: name.to_owned(), headers, secrets })
}

fn hidden(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Provider;

    fn options(preset: Preset, base: &str) -> ProviderOptions {
        ProviderOptions { base_url: Some(base.into()), ..ProviderOptions::new("p", preset) }
    }

    #[test]
    fn the_path_is_appended_and_a_query_is_kept() {
        let urls = |preset, base| Urls::of(&options(preset, base)).unwrap();
        for (base, expected) in [
            ("http://h/v1", "http://h/v1/chat/completions"),
            ("http://h/v1/", "http://h/v1/chat/completions"),
            (" https://h/d/m?api-version=1", "https://h/d/m/chat/completions?api-version=1"),
        ] {
            assert_eq!(urls(Preset::Compatible, base).chat.as_str(), expected);
        }
        let anthropic = urls(Preset::Anthropic, "http://h/v1?a=b");
        assert_eq!(anthropic.chat.as_str(), "http://h/v1/messages?a=b");
        assert_eq!(anthropic.models.as_str(), "http://h/v1/models?a=b&limit=1000");
        let next = next_page(Preset::Anthropic, &anthropic.models, "m&1");
        assert_eq!(next.as_str(), "http://h/v1/models?a=b&limit=1000&after_id=m%261");
        let cohere = urls(Preset::Cohere, "https://h/compatibility/v1/");
        assert_eq!(cohere.models.as_str(), "https://h/v1/models?page_size=1000");
    }

    #[test]
    fn what_cannot_be_called_is_refused_and_shows_no_secret() {
        let refused = |options: ProviderOptions| HttpProvider::new(options).unwrap_err().to_string();
        for (base, expected) in
            [("no address", "base_url"), ("ftp://h", "base_url"), ("http://u:pw@h", "password")]
        {
            let why = refused(options(Preset::Compatible, base));
            assert!(why.contains(expected) && !why.contains("pw"), "{why}");
        }
        assert!(refused(ProviderOptions::new("p", Preset::Compatible)).contains("base_url"));
        assert!(refused(ProviderOptions::new("p", Preset::OpenRouter)).contains("OPENROUTER_API_KEY"));
        let mut keyed = options(Preset::OpenAi, "http://h");
        keyed.keys = vec![ApiKey::new("one", "sk-secret\nx")];
        let why = refused(keyed.clone());
        assert!(why.contains("one") && !why.contains("secret"), "{why}");
        keyed.keys = vec![ApiKey::new("one", "a"), ApiKey::new("one", "b")];
        assert!(refused(keyed.clone()).contains("name of its own"));
        keyed.keys.clear();
        keyed.headers.insert("Host".into(), "x".into());
        assert!(refused(keyed.clone()).contains("Host"));
        keyed.headers.clear();
        keyed.idle_timeout = Duration::ZERO;
        assert!(refused(keyed).contains("idle_timeout"));
    }

    #[test]
    fn keys_show_by_name_alone() {
        let mut keyed = options(Preset::OpenAi, "http://h/?key=hidden");
        keyed.keys = vec![ApiKey::new("one", "sk-secret"), ApiKey::new("two", "sk-other")];
        keyed.headers.insert("X-Title".into(), "my secret title".into());
        let provider = HttpProvider::new(keyed).unwrap();
        let shown = format!("{provider:?} {:?}", provider.keys[0].headers);
        assert!(shown.contains("one") && !shown.contains("secret") && !shown.contains("hidden"), "{shown}");
        assert_eq!((provider.keys(), provider.key_name(1), provider.key_name(2)), (2, "two", ""));
        let keyless = HttpProvider::new(ProviderOptions::new("p", Preset::Local)).unwrap();
        assert_eq!((keyless.keys(), keyless.key_name(0)), (1, "default"));
    }
}
