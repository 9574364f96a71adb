//! `windlass serve`.

use std::{net::SocketAddr, time::Duration};

use super::{HOUR, LARGEST, PRODUCER};
use crate::config::{
    kind::{Kind, check},
    setting::Setting,
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "serve.listen",
        env: &["WINDLASS_SERVE_LISTEN"],
        kind: Kind::Name("an address such as 127.0.0.1:8642", check::<SocketAddr>),
        default: "127.0.0.1:8642",
        help: "Where `windlass serve` answers.",
        ..PRODUCER
    },
    Setting {
        key: "serve.tls_cert",
        env: &["WINDLASS_SERVE_TLS_CERT"],
        kind: Kind::Path,
        help: "Certificate (PEM, with the chain) for TLS. Read again when it changes. Unless given, there is no TLS.",
        ..PRODUCER
    },
    Setting {
        key: "serve.tls_key",
        env: &["WINDLASS_SERVE_TLS_KEY"],
        kind: Kind::Path,
        help: "Private key (PEM) of that certificate.",
        ..PRODUCER
    },
    Setting {
        key: "serve.tokens_file",
        env: &["WINDLASS_SERVE_TOKENS_FILE"],
        kind: Kind::Path,
        help: "File (TOML) of tokens, besides those of this one. Read again when it changes, so that tokens can be changed without a restart.",
        ..PRODUCER
    },
    Setting {
        key: "serve.open_metrics",
        env: &["WINDLASS_SERVE_OPEN_METRICS"],
        kind: Kind::Flag,
        default: "false",
        help: "Give /metrics to anybody who reaches the port, without a token.",
        ..PRODUCER
    },
    Setting {
        key: "serve.cors_origins",
        env: &["WINDLASS_SERVE_CORS_ORIGINS"],
        kind: Kind::List("origins such as https://ops.example.com", check_origin),
        help: "Web pages of other origins that may call the API with a token. Unless given, none may.",
        ..PRODUCER
    },
    Setting {
        key: "serve.max_body",
        env: &["WINDLASS_SERVE_MAX_BODY"],
        kind: Kind::Bytes(1 << 10, LARGEST),
        default: "8MiB",
        help: "Largest body of a request. Bulk submission has none; each of its lines may be as large as a payload.",
        ..PRODUCER
    },
    Setting {
        key: "serve.max_requests",
        env: &["WINDLASS_SERVE_MAX_REQUESTS"],
        kind: Kind::Count(1, 1_000_000),
        default: "1024",
        help: "Requests that are worked on at once; more are told to come again. Those that wait or stream count too.",
        ..PRODUCER
    },
    Setting {
        key: "serve.drain_timeout",
        env: &["WINDLASS_SERVE_DRAIN_TIMEOUT"],
        kind: Kind::Duration(Duration::ZERO, HOUR),
        default: "10s",
        help: "How long requests may go on after SIGTERM.",
        ..PRODUCER
    },
];

fn check_origin(text: &str) -> Result<(), String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    if !host.is_empty() && host.chars().all(plain) {
        return Ok(());
    }
    Err(format!("{text:?} is not an origin: use one such as https://ops.example.com, without a path"))
}
