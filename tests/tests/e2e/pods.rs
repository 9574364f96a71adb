//! A worker tells Kubernetes what the end of its pod would cost.

use serde_json::json;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    http_stub::{HttpStub, Request},
    process::until,
};

use crate::look::secs;

/// The number that a request says.
fn cost(request: &Request) -> String {
    let body: serde_json::Value = serde_json::from_str(&request.body).expect("JSON");
    let cost = &body["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"];
    cost.as_str().expect("annotations are texts").to_owned()
}

#[test]
fn a_pod_says_how_many_tasks_it_runs_and_a_broken_api_server_harms_nobody() {
    // The first answer is a failure, as while the API server starts anew.
    let api = HttpStub::start(|number, _| (if number == 1 { "500 Oops" } else { "200 OK" }, "", "{}".into()));
    let account = tempfile::tempdir().expect("a folder");
    std::fs::write(account.path().join("token"), "secret\n").expect("a file");
    let folder = account.path().display().to_string();
    let fleet = Fleet::start(&FleetOptions {
        env: &[
            ("WINDLASS_POD_DELETION_COST", "true"),
            ("WINDLASS_KUBERNETES_API", &api.url),
            ("WINDLASS_KUBERNETES_ACCOUNT", &folder),
            ("POD_NAME", "worker-7"),
            ("POD_NAMESPACE", "prod"),
        ],
        ..FleetOptions::default()
    });
    for id in ["a", "b"] {
        fleet.submit("sleep", &json!({ "ms": 90_000 }), &["--id", id]);
    }
    let told = until("it is told", secs(60), || api.requests().into_iter().find(|told| cost(told) == "2"));
    assert_eq!(told.line, "PATCH /api/v1/namespaces/prod/pods/worker-7");
    let headers = told.headers.to_ascii_lowercase();
    assert!(headers.contains("authorization: bearer secret"), "{headers}");
    assert!(headers.contains("content-type: application/merge-patch+json"), "{headers}");
    assert!(fleet.log(0).contains("trying again"), "{}", fleet.log(0));
    for id in ["a", "b"] {
        fleet.windlass(&["cancel", id]).ok();
    }
    until("it is idle", secs(60), || api.requests().last().filter(|told| cost(told) == "0").map(drop));
}
