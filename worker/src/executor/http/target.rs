//! What is called, and what of it may be shown.

use std::{collections::BTreeMap, fmt};

use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use super::Failure;

/// How much of a failed answer a message repeats, in characters.
const QUOTED: usize = 300;

/// A shorter part of a secret is found in any text by chance.
const SHORTEST: usize = 4;

/// Headers that belong to the connection, not to the request.
const OURS: [&str; 4] = ["connection", "content-length", "transfer-encoding", "upgrade"];

/// The request's line and headers.
pub(super) struct Target {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
}

impl Target {
    pub(super) fn read(
        method: Option<&str>,
        url: &str,
        headers: &BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let method = method.map_or("GET".into(), str::to_ascii_uppercase);
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| Failure::bad_request(format!("method {method:?} is not valid")))?;
        let url =
            Url::parse(url).map_err(|error| Failure::bad_request(format!("`url` is not valid: {error}")))?;
        let headers = headers.iter().map(|(name, value)| header(name, value)).collect::<Result<_, _>>()?;
        Ok(Self { method, url, headers })
    }

    /// A message about this call.
    pub(super) fn failed(&self, why: &dyn fmt::Display) -> String {
        let origin = self.url.origin().ascii_serialization();
        format!("{} {origin}{}: {why}", self.method, self.url.path())
    }

    /// The start of a failed answer, where services say what is wrong, without the secrets that it may repeat.
    pub(super) fn excerpt(&self, body: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(body).into_owned();
        for secret in self.secrets() {
            text = text.replace(&secret, "[hidden]");
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let text: String = words.join(" ").chars().take(QUOTED).collect();
        if text.is_empty() { text } else { format!(": {text}") }
    }

    /// Values of headers, the query, user name and password; also by their parts, since services repeat those.
    fn secrets(&self) -> Vec<String> {
        let values =
            self.headers.values().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let query = self.url.query().into_iter().chain([self.url.username()]).chain(self.url.password());
        let pairs = self.url.query_pairs().map(|(_, value)| value.into_owned());
        let whole: Vec<String> = values.chain(query.map(str::to_owned)).chain(pairs).collect();
        let parts = whole.iter().flat_map(|value| value.split_whitespace()).map(str::to_owned);
        let mut secrets: Vec<String> = whole.iter().cloned().chain(parts).collect();
        secrets.retain(|secret| secret.len() >= SHORTEST);
        // The longest first, so that no part of a longer one is left over.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let bad = |why: &str| Failure::bad_request(format!("header {name:?} {why}"));
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("is not a valid name"))?;
    if OURS.contains(&parsed.as_str()) {
        return Err(bad("cannot be set: it belongs to the connection"));
    }
    let mut value =
        HeaderValue::from_str(value).map_err(|_| bad("has a value with characters that HTTP forbids"))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, headers: &[(&str, &str)]) -> Result<Target, Failure> {
        let headers = headers.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        Target::read(Some("post"), url, &headers)
    }

    #[test]
    fn a_message_shows_scheme_host_and_path_only() {
        let target = target("https://me:pw@h.test:8443/a/b?key=secret#f", &[("x-key", "secret")]).unwrap();
        assert_eq!(target.failed(&"why"), "POST https://h.test:8443/a/b: why");
    }

    #[test]
    fn an_excerpt_hides_what_a_service_repeats() {
        let target =
            target("http://u:hunter2@h/?token=s%20cret", &[("authorization", "Bearer abc123")]).unwrap();
        let body = b"bad   token Bearer abc123, or abc123,\nor s cret, or token=s%20cret, or hunter2";
        let expected = ": bad token [hidden], or [hidden], or [hidden], or [hidden], or [hidden]";
        assert_eq!(target.excerpt(body), expected);
        assert_eq!(target.excerpt(b" \n"), "");
        assert_eq!(target.excerpt("ü".repeat(999).as_bytes()).chars().count(), QUOTED + 2);
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused_without_their_values() {
        for (name, value) in [("a b", "secret"), ("x", "sec\nret"), ("Content-Length", "99"), ("", "secret")]
        {
            let failure = target("http://h", &[(name, value)]).err().unwrap();
            assert!(!failure.message.contains("sec"), "{failure}");
        }
        assert!(
            target("nonsense", &[]).is_err()
                && Target::read(Some("G T"), "http://h", &BTreeMap::new()).is_err()
        );
    }
}
