//! Where Redis is, and how it is spoken to.

use std::time::Duration;

use super::{BASE, SECOND};
use crate::config::{
    kind::{FOREVER, Kind, check},
    setting::Setting,
};
use crate::model::{Durability, Namespace};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "redis.url",
        env: &["WINDLASS_REDIS_URL", "REDIS_URL"],
        kind: Kind::RedisUrl,
        default: "redis://127.0.0.1:6379",
        help: "The Redis that holds the fleet.",
        ..BASE
    },
    Setting {
        key: "redis.password",
        env: &["WINDLASS_REDIS_PASSWORD"],
        kind: Kind::Secret,
        help: "Its password, where it should not stand in the URL.",
        ..BASE
    },
    Setting {
        key: "redis.sentinel_user",
        env: &["WINDLASS_REDIS_SENTINEL_USER"],
        help: "User of the Sentinels, if they have one; the URL holds that of the servers.",
        ..BASE
    },
    Setting {
        key: "redis.sentinel_password",
        env: &["WINDLASS_REDIS_SENTINEL_PASSWORD"],
        kind: Kind::Secret,
        help: "Password of the Sentinels, if they have one.",
        ..BASE
    },
    Setting {
        key: "redis.tls_ca",
        env: &["WINDLASS_REDIS_TLS_CA"],
        kind: Kind::Path,
        help: "Certificates (PEM) of the authorities to trust with rediss://. Unless given, those of the system.",
        ..BASE
    },
    Setting {
        key: "redis.tls_cert",
        env: &["WINDLASS_REDIS_TLS_CERT"],
        kind: Kind::Path,
        help: "Certificate (PEM) to show to a server that wants to know its clients.",
        ..BASE
    },
    Setting {
        key: "redis.tls_key",
        env: &["WINDLASS_REDIS_TLS_KEY"],
        kind: Kind::Path,
        help: "Private key (PEM) of that certificate.",
        ..BASE
    },
    Setting {
        key: "redis.durability",
        env: &["WINDLASS_DURABILITY"],
        kind: Kind::Name("none, replicas=N or fsync", check::<Durability>),
        default: "none",
        help: "What must have a submission or a result before it counts: see docs/durability.md.",
        ..BASE
    },
    Setting {
        key: "redis.durability_timeout",
        env: &["WINDLASS_DURABILITY_TIMEOUT"],
        kind: Kind::Duration(Duration::from_millis(1), FOREVER),
        default: "5s",
        help: "How long that may take before the call is repeated, or fails.",
        ..BASE
    },
    Setting {
        key: "redis.allow_eviction",
        env: &["WINDLASS_REDIS_ALLOW_EVICTION"],
        kind: Kind::Flag,
        default: "false",
        help: "Work with a Redis that may evict keys, which can lose tasks.",
        ..BASE
    },
    Setting {
        key: "redis.response_timeout",
        env: &["WINDLASS_REDIS_RESPONSE_TIMEOUT"],
        kind: Kind::Duration(SECOND, FOREVER),
        default: "10s",
        help: "How long one answer of Redis may take.",
        ..BASE
    },
    Setting {
        key: "namespace",
        env: &["WINDLASS_NAMESPACE"],
        kind: Kind::Name("up to 32 letters, digits, '.', '_' or '-'", check::<Namespace>),
        default: "wl",
        help: "First part of every key in Redis, so that many fleets can share one.",
        ..BASE
    },
];
