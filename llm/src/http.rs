//! What any HTTP call needs: a client with TLS, `Retry-After`, a body with a limit, an error without its URL.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use reqwest::{
    Client, ClientBuilder, Response,
    header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};

/// No connection takes longer to open. The whole call is bounded by whoever makes it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A longer wait than this is taken as this: it keeps a hostile header out of every later sum of times.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_hours(30 * 24);

/// The HTTP client could not be built.
#[derive(Debug, thiserror::Error)]
#[error(
    "the HTTP client cannot be built: {}. If this machine has no CA certificates, install the package \
     ca-certificates or name a file of them in SSL_CERT_FILE",
    chain(.0)
)]
pub struct BuildError(reqwest::Error);

/// Builds a client that verifies certificates against the machine's CA roots and treats redirects as told.
pub fn http_client(redirects: Policy) -> Result<Client, BuildError> {
    build(redirects, |client| client.connect_timeout(CONNECT_TIMEOUT))
}

/// The same with further settings. Over TLS it speaks HTTP/2 wherever the server offers it.
pub(crate) fn build(
    redirects: Policy,
    settings: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client, BuildError> {
    // An error means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
        .tcp_nodelay(true)
        .redirect(redirects)
        // It would tell the next host the query of this one's address.
        .referer(false);
    settings(client).build().map_err(BuildError)
}

/// How long the other side asks us to wait: `retry-after-ms`, or `Retry-After` in seconds or as an HTTP date.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |number: f64| Duration::try_from_secs_f64(number).ok();
    let wait = text("retry-after-ms")
        .and_then(|millis| seconds(millis.parse::<f64>().ok()? / 1000.0))
        .or_else(|| seconds(text(RETRY_AFTER.as_str())?.parse().ok()?))
        .or_else(|| until(text(RETRY_AFTER.as_str())?, text(DATE.as_str())))?;
    Some(wait.min(LONGEST_WAIT))
}

/// Time until an HTTP date, counted from the answer's own date, so that our clock does not matter.
fn until(then: &str, date: Option<&str>) -> Option<Duration> {
    let then = httpdate::parse_http_date(then).ok()?;
    Some(then.duration_since(now(date)).unwrap_or_default())
}

fn now(date: Option<&str>) -> SystemTime {
    date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or_else(local_clock)
}

/// An answer's own date in milliseconds of the epoch; by our clock, if it has none.
pub(crate) fn now_millis(date: Option<&HeaderValue>) -> i64 {
    let now = now(date.and_then(|date| date.to_str().ok()));
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "an answer without a date leaves no other clock")]
fn local_clock() -> SystemTime {
    SystemTime::now()
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is larger than allowed.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The connection broke, or the body's encoding is wrong.
    #[error("the answer could not be read: {}", chain(.0))]
    Broken(reqwest::Error),
}

/// Reads a body of at most `limit` bytes, counted after decompression.
pub async fn read_limited(mut response: Response, limit: usize) -> Result<Vec<u8>, ReadError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| ReadError::Broken(error.without_url()))? {
        if body.len() + chunk.len() > limit {
            return Err(ReadError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error and its causes as one line, without the URL: its query may hold a secret.
pub fn explain(error: reqwest::Error) -> String {
    chain(&error.without_url())
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&'static str, &'static str)]) -> Option<Duration> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        retry_after(&headers.collect())
    }

    #[test]
    fn retry_after_is_seconds_milliseconds_or_a_date() {
        assert_eq!(wait(&[("retry-after", "3")]), Some(Duration::from_secs(3)));
        assert_eq!(wait(&[("retry-after", " 0.5 ")]), Some(Duration::from_millis(500)));
        assert_eq!(
            wait(&[("retry-after", "3"), ("retry-after-ms", "2750")]),
            Some(Duration::from_millis(2750))
        );
        let date = ("date", "Fri, 20 Nov 2026 08:00:00 GMT");
        assert_eq!(
            wait(&[date, ("retry-after", "Fri, 20 Nov 2026 08:00:20 GMT")]),
            Some(Duration::from_secs(20))
        );
        assert_eq!(wait(&[date, ("retry-after", "Fri, 20 Nov 2026 07:00:00 GMT")]), Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_is_no_wait_and_a_hostile_one_is_bounded() {
        for nonsense in ["", "soon", "-1", "NaN", "inf", "1e300"] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
        assert_eq!(wait(&[("retry-after", "1e15")]), Some(LONGEST_WAIT));
        assert_eq!(wait(&[]), None);
    }
}
