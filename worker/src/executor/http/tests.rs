use std::time::Duration;

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap as Headers, Method, StatusCode as Status},
    response::{IntoResponse, Redirect},
    routing::{any, get},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::executor::testing::job;

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn call(payload: Value, allowed_hosts: Option<&[&str]>) -> Result<Value, Failure> {
    let allowed_hosts = allowed_hosts.map(|hosts| hosts.iter().map(|&host| host.into()).collect());
    let executor = HttpExecutor::new(HttpOptions { allowed_hosts, ..HttpOptions::default() }).unwrap();
    let result = executor.execute(&job(&payload)).await?;
    Ok(serde_json::from_str(result.get()).unwrap())
}

/// The failure that one answer makes.
async fn failure<A: IntoResponse + Clone + Send + Sync + 'static>(answer: A) -> Failure {
    let base = serve(Router::new().fallback(move || async move { answer })).await;
    call(json!({"url": format!("{base}/path?token=hidden-token")}), None).await.unwrap_err()
}

/// Says what it was sent.
fn echo() -> Router {
    Router::new().fallback(any(|method: Method, headers: Headers, body: Bytes| async move {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let sent = json!({
            "method": method.as_str(), "type": header("content-type"), "key": header("x-key"),
            "body": String::from_utf8_lossy(&body),
        });
        ([("x-answer", "a"), ("content-type", "application/json")], sent.to_string())
    }))
}

#[tokio::test]
async fn a_call_sends_what_the_payload_says_and_gives_the_whole_answer() {
    let base = serve(echo()).await;
    let answer = call(json!({"url": base}), None).await.unwrap();
    assert_eq!((&answer["status"], &answer["headers"]["x-answer"]), (&json!(200), &json!("a")));
    assert_eq!(answer["body"], json!({"method": "GET", "type": null, "key": null, "body": ""}));
    let body = json!({"n": 1});
    let payload = json!({"url": base, "method": "post", "headers": {"X-Key": "k"}, "body": body});
    let expected = json!({"method": "POST", "type": "application/json", "key": "k", "body": r#"{"n":1}"#});
    assert_eq!(call(payload, None).await.unwrap()["body"], expected);
}

#[tokio::test]
async fn a_text_is_sent_as_text_unless_a_type_is_given() {
    let base = serve(echo()).await;
    let payload = json!({"url": base, "method": "PUT", "body": "a\"b"});
    let body = call(payload, None).await.unwrap()["body"].clone();
    assert_eq!((&body["type"], &body["body"]), (&json!("text/plain; charset=utf-8"), &json!("a\"b")));
    let payload =
        json!({"url": base, "method": "PUT", "body": "<a/>", "headers": {"content-type": "text/xml"}});
    assert_eq!(call(payload, None).await.unwrap()["body"]["type"], "text/xml");
}

#[tokio::test]
async fn the_status_decides_the_class() {
    for (status, class) in [
        (304, ErrorClass::BadRequest),
        (400, ErrorClass::BadRequest),
        (401, ErrorClass::Authentication),
        (403, ErrorClass::Permission),
        (404, ErrorClass::BadRequest),
        (408, ErrorClass::Timeout),
        (429, ErrorClass::RateLimit),
        (500, ErrorClass::Server),
        (502, ErrorClass::Server),
        (503, ErrorClass::Overloaded),
        (529, ErrorClass::Overloaded),
    ] {
        let failure = failure(Status::from_u16(status).unwrap()).await;
        assert_eq!((failure.class, failure.retry_after), (class, None), "{status}");
        assert!(failure.message.contains(&format!("/path: HTTP {status}")), "{failure}");
    }
}

#[tokio::test]
async fn retry_after_is_read_in_both_forms() {
    let seconds = failure((Status::SERVICE_UNAVAILABLE, [("retry-after", "1.5")])).await;
    assert_eq!(seconds.retry_after, Some(Duration::from_millis(1500)));
    let date = "Fri, 20 Nov 2026 08:00:00 GMT";
    let headers = [("date", date), ("retry-after", "Fri, 20 Nov 2026 08:01:00 GMT")];
    let date = failure((Status::TOO_MANY_REQUESTS, headers)).await;
    assert_eq!(date.retry_after, Some(Duration::from_mins(1)));
}

#[tokio::test]
async fn expected_statuses_are_no_failures_and_others_are() {
    let base = serve(Router::new().fallback(|| async { (Status::NOT_FOUND, "nothing here") })).await;
    let answer = call(json!({"url": base, "expect_status": [200, 404]}), None).await.unwrap();
    assert_eq!((&answer["status"], &answer["body"]), (&json!(404), &json!("nothing here")));
    let base = serve(echo()).await;
    let failure = call(json!({"url": base, "expect_status": [201]}), None).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::BadRequest);
}

#[tokio::test]
async fn a_message_shows_why_and_no_secret() {
    let repeat = |headers: Headers, uri: axum::http::Uri| async move {
        (
            Status::BAD_REQUEST,
            format!("no width given; you sent {:?} {:?}", headers["authorization"], uri.query()),
        )
    };
    let base = serve(Router::new().fallback(repeat)).await;
    let headers = json!({"authorization": "Bearer top-secret"});
    let payload = json!({"url": format!("{base}/p?key=hidden-key"), "headers": headers});
    let message = call(payload, None).await.unwrap_err().message;
    assert!(message.contains("/p: HTTP 400: no width given"), "{message}");
    assert!(!message.contains("top-secret") && !message.contains("hidden-key"), "{message}");
}

#[tokio::test]
async fn only_allowed_hosts_are_called() {
    let base = serve(echo()).await;
    assert!(call(json!({"url": base}), Some(&["127.0.0.1"])).await.is_ok());
    let failure = call(json!({"url": base}), Some(&["localhost"])).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::BadRequest);
    assert!(failure.message.contains("allowed hosts"), "{failure}");
}

#[tokio::test]
async fn redirects_are_followed_to_allowed_hosts_only_and_not_for_ever() {
    let other = serve(echo()).await.replace("127.0.0.1", "localhost");
    let router = Router::new()
        .route("/out", get(move || async move { Redirect::temporary(&format!("{other}/?key=hidden")) }))
        .route("/file", get(|| async { Redirect::temporary("file:///etc/passwd") }))
        .route("/round", get(|| async { Redirect::temporary("/round") }))
        .route("/in", get(|| async { Redirect::temporary("/end") }))
        .route(
            "/end",
            get(|headers: Headers| async move {
                if headers.contains_key("referer") { "told" } else { "arrived" }
            }),
        );
    let base = serve(router).await;
    let to = |path: &str| json!({"url": format!("{base}{path}")});
    assert_eq!(call(to("/in?key=hidden"), Some(&["127.0.0.1"])).await.unwrap()["body"], "arrived");
    for (path, word) in [("/out", "\"localhost\""), ("/round", "redirects")] {
        let failure = call(to(path), Some(&["127.0.0.1"])).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::BadRequest);
        assert!(failure.message.contains(word) && !failure.message.contains("hidden"), "{failure}");
    }
    assert_eq!(call(to("/file"), None).await.unwrap_err().class, ErrorClass::BadRequest);
    assert!(call(to("/out"), Some(&["127.0.0.1", "localhost"])).await.is_ok());
}

#[tokio::test]
async fn nobody_listening_is_a_connection_failure_and_a_wrong_address_a_bad_request() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/p?key=hidden", listener.local_addr().unwrap());
    drop(listener);
    let failure = call(json!({"url": url}), None).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Connection);
    assert!(!failure.message.contains("hidden"), "{failure}");
    for payload in [
        json!({"url": "nonsense"}),
        json!({"url": "ftp://h/"}),
        json!({"url": "file:///etc/passwd"}),
        json!({"url": "http://h", "method": "G E T"}),
        json!({"url": "http://h", "timeout": 3}),
        json!({}),
    ] {
        assert_eq!(call(payload.clone(), None).await.unwrap_err().class, ErrorClass::BadRequest, "{payload}");
    }
}

#[tokio::test]
async fn a_huge_answer_is_too_large() {
    let base = serve(Router::new().fallback(|| async { vec![b'x'; 2_000_000] })).await;
    assert_eq!(call(json!({"url": base}), None).await.unwrap_err().class, ErrorClass::ResultTooLarge);
}
