//! What each program has, and submissions.

use super::{BASE, LARGEST, PRODUCER};
use crate::config::{
    kind::{Kind, check},
    setting::Setting,
};
use crate::logging::check_filter;
use crate::model::QueueName;

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "log.level",
        env: &["WINDLASS_LOG"],
        kind: Kind::Name("a level such as info, or info,windlass_worker=debug", check_filter),
        default: "info",
        help: "What the worker and `windlass serve` log.",
        ..BASE
    },
    Setting {
        key: "log.format",
        env: &["WINDLASS_LOG_FORMAT"],
        kind: Kind::Choice(&["human", "json"]),
        default: "human",
        help: "How they log it.",
        ..BASE
    },
    Setting {
        key: "operator",
        env: &["WINDLASS_OPERATOR"],
        help: "Who acts, in the operators' log (`windlass audit`). Unless given, the user's name and the machine's.",
        ..PRODUCER
    },
    Setting {
        key: "submit.queue",
        env: &["WINDLASS_SUBMIT_QUEUE"],
        kind: Kind::Name("the name of a queue", check::<QueueName>),
        default: "default",
        help: "The queue of tasks for which neither the submission nor the type names one.",
        ..PRODUCER
    },
    Setting {
        key: "submit.max_payload",
        env: &["WINDLASS_SUBMIT_MAX_PAYLOAD"],
        kind: Kind::Bytes(1, LARGEST),
        default: "1MiB",
        help: "Largest payload that is accepted.",
        ..PRODUCER
    },
];
