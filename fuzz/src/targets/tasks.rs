//! What people and programs submit.

use windlass_shared::{
    model::{
        BatchName, ErrorClass, Micros, Namespace, NodeId, Priority, QueueName, Reason, State, Submission,
        TaskRef, TenantName, TypeName,
        submission::{Inherited, RetryFields},
        time,
    },
    store::NodeCommand,
};

use super::{Target, of_text, texts};

const WORDS: &[&str] = &[
    "\"type\"",
    "\"payload\"",
    "\"queue\"",
    "\"priority\"",
    "\"tenant\"",
    "\"weight\"",
    "\"id\"",
    "\"key\"",
    "\"delay\"",
    "\"run_at\"",
    "\"expires\"",
    "\"timeout\"",
    "\"max_attempts\"",
    "\"retry\"",
    "\"base\"",
    "\"classes\"",
    "\"concurrency_key\"",
    "\"metadata\"",
    "\"batch\"",
    "\"high\"",
    "\"1h30m\"",
    "\"2026-11-20T08:00:00Z\"",
    "null",
    "true",
    ":",
    ",",
    "{",
    "}",
];

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "task",
            reads: "a line of `submit --file`, a single submission",
            corpus: || {
                texts(&[
                    r#"{"type":"noop"}"#,
                    r#"{"type":"llm","payload":{"prompt":"hi"},"queue":"gpu","priority":"high","tenant":"t","weight":3}"#,
                    r#"{"type":"command","payload":{"argv":["wc","-l"]},"id":"a:1@x","delay":"1h30m","timeout":"5m"}"#,
                    r#"{"type":"http","key":"order-1","run_at":"2026-11-20T08:00:00Z","expires":"7d","max_attempts":8}"#,
                    r#"{"type":"noop","retry":{"base":"2s","cap":"2m","classes":{"bad_request":"retry"}},"metadata":{"a":[1]}}"#,
                    r#"{"type":"noop","concurrency_key":"host:a@b","batch":"b-1","expires":"2027-01-01T00:00:00+02:00"}"#,
                ])
            },
            words: WORDS,
            parser: || Box::new(task),
        },
        Target {
            name: "name",
            reads: "names, `QUEUE/ID`, states, priorities, classes, commands to nodes",
            corpus: || {
                texts(&[
                    "gpu-2.eu_west/a:1@b",
                    "default",
                    "k0123456789abcdefghjkmnpqr",
                    "n-0123456789",
                    "completed",
                    "high",
                    "rate_limit",
                    "cancel gpu/a1",
                    "drain",
                    "submitted",
                ])
            },
            words: &["/", ":", "@", "{", "}", "cancel ", "llm", "nodes", ".", "-", "_"],
            parser: || of_text(name),
        },
        Target {
            name: "time",
            reads: "durations, moments",
            corpus: || {
                texts(&[
                    "500ms",
                    "10s",
                    "1h30m",
                    "7d",
                    "1d 2h",
                    "0",
                    "PT1H30M",
                    "1 hour 2 mins",
                    "2026-11-20T08:00:00Z",
                    "2026-11-20T08:00:00.123456789+14:00",
                    "1763617179123-0",
                    "-9223372036854775808",
                ])
            },
            words: &["d", "h", "m", "s", "ms", "us", "ns", "T", "Z", "+", "-", ".", ":", "P", "days", "9999"],
            parser: || of_text(moment),
        },
    ]
}

fn task(line: &[u8]) {
    let Ok(mut submission) = serde_json::from_slice::<Submission>(line) else { return };
    let mut defaults = Submission::new(submission.task_type.clone(), submission.payload.clone());
    defaults.delay = Some("1s".into());
    defaults.retry = Some(RetryFields::default());
    submission.inherit(&defaults);
    let batch = BatchName::new("b").ok();
    let inherited = Inherited { batch, line: Some(u64::MAX), ..Inherited::default() };
    if let Ok(task) = submission.resolve(&inherited, 4096) {
        assert!(task.payload.get().len() <= 4096, "a payload passed its limit");
        assert!((1..=10).contains(&task.weight), "a weight passed its limit");
    }
}

fn name(text: &str) {
    let queue = QueueName::default_queue();
    if let Ok(task) = TaskRef::parse(text, &queue) {
        let again = TaskRef::parse(&task.to_string(), &queue);
        assert_eq!(again.as_ref(), Ok(&task), "a reference is read as it is written");
        assert!(!task.to_string().contains(['{', '}', ' ', '\n']), "a name breaks a key");
    }
    let _ = (TenantName::new(text), TypeName::new(text), NodeId::new(text), Namespace::new(text));
    let _ =
        (text.parse::<State>(), text.parse::<Priority>(), text.parse::<Reason>(), text.parse::<ErrorClass>());
    if let Ok(command) = text.parse::<NodeCommand>() {
        assert_eq!(command.to_string().parse(), Ok(command), "a command is read as it is written");
    }
}

fn moment(text: &str) {
    if let Ok(duration) = time::parse_duration(text) {
        assert!(time::micros(duration) < i64::MAX && !time::human(duration).is_empty());
    }
    if let Ok(moment) = Micros::parse(text) {
        let _ = (moment.to_string(), moment.since(Micros(i64::MIN)), Micros(i64::MIN).since(moment));
    }
    if let Some(at) = Micros::of_entry(text) {
        let _ = at.to_string();
    }
}
