//! What is done to payloads and results on their way.

use super::{BASE, LARGEST};
use crate::config::{kind::Kind, setting::Setting};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "sealing.keys",
        env: &["WINDLASS_SEALING_KEYS"],
        kind: Kind::KeyRing,
        help: "Keys that seal payloads and results before they reach Redis, and open them: see docs/payloads.md. The first one seals. Unless given, nothing is sealed.",
        ..BASE
    },
    Setting {
        key: "sealing.key",
        env: &["WINDLASS_SEALING_KEY"],
        help: "Id of the key that seals, if it is not the first.",
        ..BASE
    },
    Setting {
        key: "sealing.required",
        env: &["WINDLASS_SEALING_REQUIRED"],
        kind: Kind::Flag,
        default: "false",
        help: "Refuse to work without a key, and to run tasks that are not sealed, which anybody who can write to Redis may have put there.",
        ..BASE
    },
    Setting {
        key: "claim_check.url",
        env: &["WINDLASS_CLAIM_CHECK_URL"],
        kind: Kind::Name("a URL such as file:///srv/windlass or s3://BUCKET/PREFIX", check_object_url),
        help: "Where large payloads and results are kept, so that Redis holds references only: see docs/payloads.md. Unless given, everything is in Redis.",
        ..BASE
    },
    Setting {
        key: "claim_check.above",
        env: &["WINDLASS_CLAIM_CHECK_ABOVE"],
        kind: Kind::Bytes(1, LARGEST),
        default: "256KiB",
        help: "Payloads, results and ledgers of more bytes go there.",
        ..BASE
    },
    Setting {
        key: "claim_check.max",
        env: &["WINDLASS_CLAIM_CHECK_MAX"],
        kind: Kind::Bytes(1, 64 << 20),
        default: "32MiB",
        help: "Largest payload and result with an object store, where that is more than submit.max_payload and worker.max_result.",
        ..BASE
    },
    Setting {
        key: "claim_check.endpoint",
        env: &["WINDLASS_CLAIM_CHECK_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
        kind: Kind::HttpUrl,
        help: "The service that speaks S3, if it is not AWS's.",
        ..BASE
    },
    Setting {
        key: "claim_check.region",
        env: &["WINDLASS_CLAIM_CHECK_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"],
        default: "us-east-1",
        help: "Its region.",
        ..BASE
    },
    Setting {
        key: "claim_check.access_key_id",
        env: &["WINDLASS_CLAIM_CHECK_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"],
        kind: Kind::Secret,
        help: "Who we are there. Unless given with the secret key, AWS's web identity, container and instance roles are tried.",
        ..BASE
    },
    Setting {
        key: "claim_check.secret_access_key",
        env: &["WINDLASS_CLAIM_CHECK_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"],
        kind: Kind::Secret,
        help: "The secret key that belongs to it.",
        ..BASE
    },
    Setting {
        key: "claim_check.session_token",
        env: &["WINDLASS_CLAIM_CHECK_SESSION_TOKEN", "AWS_SESSION_TOKEN"],
        kind: Kind::Secret,
        help: "The token of temporary keys.",
        ..BASE
    },
];

/// A URL with keys in it would be printed with them.
fn check_object_url(text: &str) -> Result<(), String> {
    let good = match text.split_once("://") {
        Some(("file", path)) => path.starts_with('/') && path.len() > 1,
        Some(("s3", rest)) => {
            !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['@', '?', '#', ':'])
        }
        _ => false,
    };
    if good && !text.contains(char::is_control) {
        return Ok(());
    }
    Err("it is not file:///PATH or s3://BUCKET/PREFIX (keys are given as claim_check.access_key_id and claim_check.secret_access_key)".into())
}
