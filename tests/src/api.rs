//! The real `windlass serve` of a test's fleet, asked over real HTTP.

use std::time::Duration;

use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

use crate::{
    fleet::Fleet,
    process::{Process, until},
};

/// A server, and whom we are to it.
pub struct Api {
    /// `http://127.0.0.1:PORT`.
    pub base: String,
    /// Sent with each request.
    pub token: Option<String>,
    /// The process.
    pub process: Process,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
    /// Such as `HTTP/1.1`.
    pub version: String,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("no JSON: {error}: {self:?}"))
    }

    /// The body as JSON Lines.
    pub fn lines(&self) -> Vec<Value> {
        self.text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// Fails the test unless this was the status.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The stable name of the problem that this is.
    pub fn problem(&self) -> String {
        let kind = self.headers.get("content-type").and_then(|value| value.to_str().ok());
        assert_eq!(kind, Some("application/problem+json"), "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], u64::from(self.status), "{json}");
        assert!(json["detail"].as_str().is_some_and(|text| !text.is_empty()), "{json}");
        json["type"].as_str().unwrap_or_default().trim_start_matches("urn:windlass:problem:").to_owned()
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Api {
    /// Starts a server of the fleet where everybody may do everything.
    pub fn anonymous(fleet: &Fleet) -> Self {
        Self::start(fleet, &["--anonymous"])
    }

    /// Starts a server of the fleet on a free port.
    pub fn start(fleet: &Fleet, args: &[&str]) -> Self {
        Self::start_with(fleet, args, &[])
    }

    /// The same with further variables.
    pub fn start_with(fleet: &Fleet, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = fleet.command("windlass");
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(args).envs(env.iter().copied());
        let mut process = Process::start(command, fleet.dir(), &format!("serve-{}", fastrand::u32(..)));
        let base = until("the server listens", Duration::from_secs(30), || {
            assert!(!process.has_ended(), "{}", process.wait(Duration::ZERO));
            let stdout = process.stdout();
            stdout.split_once('\n').map(|(base, _)| base.to_owned())
        });
        // The programs choose theirs when they start; this is one, too.
        _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .danger_accept_invalid_certs(true)
            .build();
        Self { base, token: None, process, client: client.expect("a client"), runtime }
    }

    /// Asks, with headers and a body.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Vec<u8>>) -> Reply {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request =
            self.client.request(method, format!("{}{path}", self.base)).timeout(Duration::from_secs(90));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header");
            request = request.header(name, HeaderValue::from_str(value).expect("a value"));
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        self.runtime.block_on(async {
            let response = request.send().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
            let version = format!("{:?}", response.version());
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            // Pages write a slash as browsers read it.
            let text = response.text().await.expect("a body").replace("&#x2f;", "/");
            Reply { status, headers, text, version }
        })
    }

    /// Looks.
    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], None)
    }

    /// Sends JSON.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[], body)
    }

    /// Sends JSON with further headers.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.ask(method, path, &headers, Some(body.to_string().into_bytes()))
    }

    /// Sends JSON Lines.
    pub fn bulk(&self, query: &str, headers: &[(&str, &str)], lines: &[Value]) -> Reply {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let headers = [&[("content-type", "application/x-ndjson")], headers].concat();
        self.ask("POST", &format!("/v1/tasks/bulk{query}"), &headers, Some(text.into_bytes()))
    }

    /// Reads an answer that may be broken off: what came, and whether it ended in order. `then` is called when it begins.
    pub fn read_on(&self, path: &str, then: impl FnOnce()) -> (String, bool) {
        self.read_to_end(path, &[], then)
    }

    /// The same with headers.
    pub fn read_to_end(&self, path: &str, headers: &[(&str, &str)], then: impl FnOnce()) -> (String, bool) {
        self.runtime.block_on(async {
            let mut request =
                self.client.get(format!("{}{path}", self.base)).timeout(Duration::from_secs(60));
            if let Some(token) = &self.token {
                request = request.bearer_auth(token);
            }
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let mut response = request.send().await.expect("an answer");
            then();
            let mut text = String::new();
            loop {
                match response.chunk().await {
                    Ok(Some(piece)) => text.push_str(&String::from_utf8_lossy(&piece)),
                    Ok(None) => return (text, true),
                    Err(error) => {
                        assert!(!error.is_timeout(), "nothing more came: {text}");
                        return (text, false);
                    }
                }
            }
        })
    }

    /// Opens a stream, and gives its text to `enough` as it comes, until that says so or the time is over.
    pub fn stream(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        mut enough: impl FnMut(&str) -> bool,
    ) -> String {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.runtime.block_on(async {
            let mut response = request.send().await.expect("a stream");
            assert_eq!(response.status(), 200);
            let mut text = String::new();
            let read = async {
                while !enough(&text) {
                    match response.chunk().await.expect("a piece") {
                        Some(piece) => text.push_str(&String::from_utf8_lossy(&piece)),
                        None => break,
                    }
                }
            };
            let over = tokio::time::timeout(Duration::from_secs(60), read).await;
            assert!(over.is_ok(), "not enough came: {text}");
            text
        })
    }
}
