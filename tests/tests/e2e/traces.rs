//! Traces and logs, at a receiver of OTLP: one trace from whoever submits to the settled result.

use std::{collections::BTreeMap, thread};

use rustix::process::Signal;
use serde_json::json;
use windlass_tests::{
    api::Api,
    collector::{Collector, SeenSpan},
    fleet::{Fleet, FleetOptions, PATIENCE},
    http_stub::HttpStub,
    process::{Output, eventually, run},
};

use crate::{
    llm::{Scene, scene_with},
    look::{lines, secs, text},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SCRIPT: &str = "b7ad6b7169203331";

fn parent() -> String {
    format!("00-{TRACE}-{SCRIPT}-01")
}

/// Variables that name a collector; what is to be sent goes soon.
fn sends(url: &str) -> Vec<(&str, &str)> {
    vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "100"),
    ]
}

/// `windlass` with further variables.
fn windlass(fleet: &Fleet, env: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = fleet.command("windlass");
    command.args(args).envs(env.iter().copied());
    run(command, fleet.dir(), "windlass-traced", PATIENCE)
}

/// The spans of a name.
fn named<'a>(spans: &'a [SeenSpan], name: &str) -> Vec<&'a SeenSpan> {
    let mut found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    found.sort_by_key(|span| span.times[0]);
    found
}

fn only<'a>(spans: &'a [SeenSpan], name: &str) -> &'a SeenSpan {
    let found = named(spans, name);
    assert_eq!(found.len(), 1, "{name} among {:?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>());
    found[0]
}

fn assert_tells(span: &SeenSpan, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(span.attributes.get(*name).map(String::as_str), Some(*value), "{name} of {span:?}");
    }
}

/// Fails twice within the first attempt, which is all that it may ask, and then answers.
const FAILS_FIRST: &str = r#"
[[rule]]
when = { call = "1-3" }
answer = { fault = 500 }
[[rule]]
answer = { text = "{\"a\": 1}", usage = { input = 100, output = 20 } }
"#;

const ANSWERS: &str = r#"
[types.answers]
executor = "llm"
max_attempts = 3
retry.base = "10ms"
llm.model = "local/m"
[types.answers.llm.pipeline]
postprocess = ["json"]
validate = [{ validator = "regex", pattern = "a" }]
[breaker]
enabled = false
"#;

fn retried(collector: &Collector) -> (Scene, Vec<SeenSpan>) {
    let scene = scene_with(FAILS_FIRST, ANSWERS, 1, 2, &sends(&collector.url));
    let (payload, parent) = (json!({"prompt": "Give JSON."}).to_string(), parent());
    let env = [&sends(&collector.url)[..], &[("TRACEPARENT", &parent), ("TRACESTATE", "me=1")]].concat();
    windlass(&scene.fleet, &env, &["submit", "--type", "answers", "--payload", &payload, "--id", "t"]).ok();
    assert_eq!(scene.finished("t", secs(60))["state"], "completed");
    let settled = |spans: &[SeenSpan]| {
        let last =
            |span: &&SeenSpan| span.attributes.get("windlass.task.state").is_some_and(|s| s == "completed");
        spans.iter().any(|span| last(&span)) && !named(spans, "send default").is_empty()
    };
    let spans = collector.trace(TRACE, settled);
    (scene, spans)
}

#[test]
fn one_trace_leads_from_the_submitting_script_through_a_retry_to_the_settled_result() {
    let collector = Collector::start();
    let (scene, spans) = retried(&collector);
    let sent = only(&spans, "send default");
    assert_eq!((sent.service.as_str(), sent.parent.as_str()), ("windlass", SCRIPT));
    assert_eq!(format!("{:?}", sent.kind), "Producer");
    assert_tells(sent, &[("messaging.system", "windlass"), ("messaging.message.id", "t")]);

    let attempts = named(&spans, "process default");
    assert!(attempts.len() >= 2, "{spans:?}");
    let waits = named(&spans, "wait default");
    assert_eq!(waits.len(), attempts.len());
    for (number, (attempt, wait)) in attempts.iter().zip(&waits).enumerate() {
        assert_eq!((attempt.parent.as_str(), wait.parent.as_str()), (sent.id.as_str(), sent.id.as_str()));
        assert_eq!(
            (attempt.service.as_str(), format!("{:?}", attempt.kind)),
            ("windlass-worker", "Consumer".into())
        );
        let number_text = (number + 1).to_string();
        assert_tells(
            attempt,
            &[
                ("windlass.task.attempt", &number_text),
                ("windlass.task.type", "answers"),
                ("windlass.node.id", &scene.fleet.node_id(0)),
                ("messaging.destination.name", "default"),
                ("messaging.operation.type", "process"),
            ],
        );
        assert!(wait.times[0] <= wait.times[1] && attempt.times[0] <= attempt.times[1]);
        let former: Vec<_> =
            number.checked_sub(1).map(|n| (TRACE.to_owned(), attempts[n].id.clone())).into_iter().collect();
        assert_eq!(attempt.links, former, "attempt {number_text}");
    }
    let (first, last) = (attempts[0], attempts[attempts.len() - 1]);
    assert_tells(first, &[("windlass.outcome", "retried"), ("error.type", "server")]);
    assert!(first.failed && !last.failed);
    assert_tells(last, &[("windlass.outcome", "completed")]);

    let by_id: BTreeMap<_, _> = attempts.iter().map(|attempt| (attempt.id.as_str(), *attempt)).collect();
    let calls = named(&spans, "chat m");
    assert_eq!(calls.len() as u64, scene.calls());
    for call in &calls {
        assert!(by_id.contains_key(call.parent.as_str()), "a call outside of an attempt: {call:?}");
        assert_eq!(format!("{:?}", call.kind), "Client");
        assert_tells(call, &[("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "m")]);
        assert_tells(call, &[("gen_ai.provider.name", "local")]);
    }
    assert_tells(calls[0], &[("error.type", "server")]);
    let good = calls[calls.len() - 1];
    assert_eq!(good.parent, last.id);
    assert_tells(good, &[("gen_ai.usage.input_tokens", "100"), ("gen_ai.usage.output_tokens", "20")]);
    assert!(good.attributes.contains_key("gen_ai.response.model"), "{good:?}");
    for step in ["stage json", "validate regex"] {
        assert_eq!(only(&spans, step).parent, last.id);
    }
    let settles = named(&spans, "settle default");
    let of: Vec<_> = settles.iter().map(|settle| settle.parent.as_str()).collect();
    assert_eq!(of, attempts.iter().map(|attempt| attempt.id.as_str()).collect::<Vec<_>>());
    scene.fleet.verify();
}

#[test]
fn a_trace_goes_on_through_the_server() {
    let collector = Collector::start();
    let env = sends(&collector.url);
    let fleet = Fleet::start(&FleetOptions { env: &env, ..FleetOptions::default() });
    let mut api = Api::start_with(&fleet, &["--anonymous"], &env);
    let parent = parent();
    let headers = [("traceparent", parent.as_str()), ("tracestate", "me=1")];
    let task = json!({"type": "noop", "payload": 1, "id": "t"});
    api.send("POST", "/v1/tasks?wait=30s", &headers, &task).expect(201);
    api.ask(
        "POST",
        "/v1/tasks/bulk",
        &[("content-type", "application/x-ndjson"), headers[0]],
        Some(b"{\"type\":\"noop\",\"id\":\"u\"}\n".to_vec()),
    )
    .expect(200);
    api.ask("GET", "/v1/tasks/default/none", &headers, None).expect(404);
    api.get("/livez").expect(200);
    api.process.signal(Signal::TERM);
    assert_eq!(api.process.wait(secs(20)).code, 0);
    let spans = collector.trace(TRACE, |spans| named(spans, "settle default").len() == 2);
    let (one, many) = (only(&spans, "POST /v1/tasks"), only(&spans, "POST /v1/tasks/bulk"));
    for request in [one, many] {
        assert_eq!((request.service.as_str(), request.parent.as_str()), ("windlass-serve", SCRIPT));
        assert_eq!(format!("{:?}", request.kind), "Server");
    }
    assert_tells(one, &[("http.route", "/v1/tasks"), ("http.response.status_code", "201")]);
    let missing = only(&spans, "GET /v1/tasks/{queue}/{id}");
    assert!(!missing.failed, "{missing:?}");
    let parents: Vec<_> =
        named(&spans, "process default").iter().map(|attempt| attempt.parent.clone()).collect();
    assert_eq!(parents, [one.id.clone(), many.id.clone()]);
    assert!(spans.iter().all(|span| !span.name.contains("livez")), "{spans:?}");
    fleet.verify();
}

#[test]
fn commands_and_services_are_told_the_trace_that_they_are_called_in() {
    let service = HttpStub::start(|_, _| ("200 OK", "", "1".into()));
    let show = json!({"argv": ["sh", "-c", "echo $TRACEPARENT $TRACESTATE"]});
    let call = json!({"url": service.url});
    // With a collector the attempt's own span is their parent; without one, what was submitted is passed on.
    for collector in [Some(Collector::start()), None] {
        let env = collector.as_ref().map(|collector| sends(&collector.url)).unwrap_or_default();
        let fleet = Fleet::start(&FleetOptions { env: &env, ..FleetOptions::default() });
        for (task_type, payload) in [("command", &show), ("http", &call)] {
            let payload = payload.to_string();
            let submit = ["submit", "--type", task_type, "--payload", &payload, "--id", task_type];
            windlass(&fleet, &[("TRACEPARENT", &parent()), ("TRACESTATE", "me=1")], &submit).ok();
            fleet.wait_for_state("default", task_type, "completed", secs(10));
        }
        let shown = fleet.status("command")["result"]["stdout"].as_str().expect("text").trim().to_owned();
        let requests = service.requests();
        let headers = requests.last().expect("it was called").headers.to_lowercase();
        let header = headers.lines().find_map(|line| line.strip_prefix("traceparent: ")).expect(&headers);
        match collector {
            None => {
                assert_eq!(shown, format!("{} me=1", parent()));
                assert_eq!(header.trim(), parent());
            }
            Some(collector) => {
                let spans = collector.trace(TRACE, |spans| named(spans, "settle default").len() == 2);
                let of = |kind: &str| {
                    let of_type = |span: &&&SeenSpan| span.attributes["windlass.task.type"] == kind;
                    let attempts = named(&spans, "process default");
                    attempts.iter().find(of_type).expect(kind).id.clone()
                };
                assert_eq!(shown, format!("00-{TRACE}-{}-01 me=1", of("command")));
                let request = only(&spans, "GET");
                assert_eq!(header.trim(), format!("00-{TRACE}-{}-01", request.id));
                assert_eq!(request.parent, of("http"));
                assert_tells(
                    request,
                    &[("http.request.method", "GET"), ("http.response.status_code", "200")],
                );
            }
        }
        fleet.verify();
    }
}

#[test]
fn a_task_of_no_trace_has_one_of_its_own_in_which_all_its_attempts_are() {
    let collector = Collector::start();
    let config = "[types.fails]\nexecutor = \"command\"\ntemplate = { argv = [\"false\"] }\nmax_attempts = 2\nretry.base = \"10ms\"\n";
    let env = sends(&collector.url);
    let fleet = Fleet::start(&FleetOptions { workers: 2, config, env: &env, ..FleetOptions::default() });
    fleet.submit("fails", &json!(null), &["--id", "t"]);
    fleet.wait_for_state("default", "t", "failed", secs(20));
    eventually("both are there", secs(20), || named(&collector.spans(), "process default").len() == 2);
    let spans = collector.spans();
    let attempts = named(&spans, "process default");
    assert_eq!(attempts[0].trace, attempts[1].trace);
    assert_eq!(attempts[1].links, [(attempts[0].trace.clone(), attempts[0].id.clone())]);
    assert_tells(attempts[1], &[("windlass.outcome", "failed"), ("error.type", "exit_code")]);
}

#[test]
fn logs_tell_of_their_trace_and_task_and_are_sent_if_asked_for() {
    let collector = Collector::start();
    let config =
        "[types.fails]\nexecutor = \"command\"\ntemplate = { argv = [\"false\"] }\nmax_attempts = 1\n";
    for format in ["human", "json"] {
        let env =
            [&sends(&collector.url)[..], &[("OTEL_LOGS_EXPORTER", "otlp"), ("WINDLASS_LOG_FORMAT", format)]]
                .concat();
        let fleet = Fleet::start(&FleetOptions { config, env: &env, ..FleetOptions::default() });
        let submit = ["submit", "--type", "fails", "--id", format];
        windlass(&fleet, &[("TRACEPARENT", &parent())], &submit).ok();
        fleet.wait_for_state("default", format, "failed", secs(20));
        let reference = format!("default/{format}");
        let of_task =
            || collector.logs().into_iter().find(|log| log.attributes.get("task") == Some(&reference));
        eventually("the log is there", secs(20), || of_task().is_some());
        let log = of_task().expect("it is there");
        assert_eq!((log.trace.as_str(), log.service.as_str()), (TRACE, "windlass-worker"), "{log:?}");
        assert_eq!(
            (log.body.as_str(), log.attributes["class"].as_str()),
            ("the attempt failed", "exit_code")
        );
        let written = fleet.log(0);
        let line = written.lines().find(|line| line.contains("the attempt failed")).expect("a line");
        if format == "json" {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(
                (text(&line["span"]["trace_id"]), text(&line["span"]["task"])),
                (TRACE, reference.as_str())
            );
        } else {
            assert!(
                line.contains(&format!("trace_id={TRACE}")) && line.contains(&format!("task={reference}")),
                "{line}"
            );
        }
    }
}

#[test]
fn a_collector_that_hangs_holds_up_neither_tasks_nor_submissions_nor_the_end() {
    let collector = Collector::hanging();
    let env = [&sends(&collector.url)[..], &[("OTEL_LOGS_EXPORTER", "otlp")]].concat();
    let mut fleet = Fleet::start(&FleetOptions { env: &env, ..FleetOptions::default() });
    let start = std::time::Instant::now();
    let submit = ["submit", "--type", "noop", "--payload", "1", "--id", "first"];
    windlass(&fleet, &env, &submit).ok();
    assert!(start.elapsed() < secs(8), "a submission took {:?}", start.elapsed());
    fleet.submit_lines(&lines("t", 3000, "noop", &json!(1)), &["--batch", "b"]);
    let finished = fleet.finish_batch("b", secs(30));
    assert_eq!(finished.len(), 3000);
    eventually("somebody tried to send", secs(20), || collector.connections() > 0);
    let start = std::time::Instant::now();
    fleet.term(0);
    assert_eq!(fleet.exit_code(0, secs(20)), 0);
    assert!(start.elapsed() < secs(10), "the end took {:?}", start.elapsed());
    fleet.verify();
}

#[test]
fn what_is_off_connects_to_nobody() {
    let collector = Collector::start();
    let named = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str());
    for env in [&[named, ("OTEL_SDK_DISABLED", "true")][..], &[named, ("OTEL_TRACES_EXPORTER", "none")], &[]]
    {
        let mut fleet = Fleet::start(&FleetOptions { env, ..FleetOptions::default() });
        let parent = parent();
        let traced = [env, &[("TRACEPARENT", parent.as_str())]].concat();
        windlass(&fleet, &traced, &["submit", "--type", "noop", "--payload", "1", "--id", "t"]).ok();
        fleet.wait_for_state("default", "t", "completed", secs(10));
        fleet.term(0);
        assert_eq!(fleet.exit_code(0, secs(20)), 0);
    }
    thread::yield_now();
    assert_eq!(collector.connections(), 0);
}

#[test]
fn what_cannot_be_sent_is_told_and_fails_nothing() {
    let env =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let fleet = Fleet::start(&FleetOptions { env: &env, ..FleetOptions::default() });
    let submitted = windlass(&fleet, &env, &["submit", "--type", "noop", "--payload", "1", "--id", "t"]).ok();
    assert!(submitted.stderr.contains("otlp-grpc"), "{submitted}");
    fleet.wait_for_state("default", "t", "completed", secs(10));
    assert!(fleet.log(0).contains("otlp-grpc"), "{}", fleet.log(0));
}
