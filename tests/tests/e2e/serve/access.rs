//! Who may do what: tokens, roles, rotation, TLS.

use std::{io::Write, net::TcpStream};

use serde_json::json;
use windlass_tests::{api::Api, fleet::Fleet, process::eventually};

use crate::look::secs;

/// Makes a token in the fleet's file of tokens.
pub(super) fn token(fleet: &Fleet, name: &str, roles: &str) -> String {
    let made =
        fleet.windlass(&["tokens", "generate", name, "--roles", roles, "--append", "tokens.toml"]).ok();
    made.stdout.trim().to_owned()
}

pub(super) fn with_tokens(fleet: &Fleet) -> Api {
    let config = fleet.file("windlass.toml", "[serve]\ntokens_file = \"tokens.toml\"\n");
    Api::start(fleet, &["--config", &config.display().to_string()])
}

#[test]
fn each_role_opens_its_own_doors() {
    let fleet = Fleet::without_workers();
    let (submit, read, operate) =
        (token(&fleet, "ci", "submit"), token(&fleet, "eye", "read"), token(&fleet, "ann", "operate"));
    let mut api = with_tokens(&fleet);
    let task = json!({ "type": "noop" });
    let looks = "/v1/queues";
    let acts = "/v1/queues/default/pause";
    let mut doors = |token: Option<&str>| {
        api.token = token.map(str::to_owned);
        [api.post("/v1/tasks", &task).status, api.get(looks).status, api.post(acts, &json!({})).status]
    };
    assert_eq!(doors(Some(&submit)), [201, 403, 403]);
    assert_eq!(doors(Some(&read)), [403, 200, 403]);
    assert_eq!(doors(Some(&operate)), [403, 200, 200]);
    assert_eq!(doors(Some("wlt_wrong")), [401, 401, 401]);
    assert_eq!(doors(None), [401, 401, 401]);
    let refused = api.get(looks);
    assert_eq!(
        (refused.problem().as_str(), refused.header("www-authenticate")),
        ("unauthorized", Some("Bearer"))
    );
    for open in ["/livez", "/readyz", "/openapi.json"] {
        api.get(open).expect(200);
    }
    let hashes = std::fs::read_to_string(fleet.dir().join("tokens.toml")).unwrap();
    assert!(!hashes.contains(&submit[4..]), "only hashes are kept");
    let listed =
        fleet.windlass_with_config("[serve]\ntokens_file = \"tokens.toml\"\n", &["tokens", "list"]).ok();
    assert!(listed.stdout.contains("ann") && !listed.stdout.contains("blake3"), "{listed}");
}

#[test]
fn tokens_change_without_a_restart() {
    let fleet = Fleet::without_workers();
    let old = token(&fleet, "old", "read");
    let mut api = with_tokens(&fleet);
    api.token = Some(old);
    api.get("/v1/queues").expect(200);
    std::fs::remove_file(fleet.dir().join("tokens.toml")).unwrap();
    let new = token(&fleet, "new", "read");
    eventually("the old token is refused", secs(20), || api.get("/v1/queues").status == 401);
    api.token = Some(new);
    api.get("/v1/queues").expect(200);
    fleet.file("tokens.toml", "[tokens.broken]\n");
    eventually("the fault is told", secs(20), || api.process.stderr().contains("cannot be read"));
    api.get("/v1/queues").expect(200);
}

#[test]
fn nobody_is_let_in_by_mistake() {
    let fleet = Fleet::without_workers();
    let closed = fleet.windlass(&["serve"]).expect_code(2);
    assert!(closed.stderr.contains("windlass tokens generate"), "{closed}");
    let open = fleet.windlass(&["serve", "--anonymous", "--listen", "0.0.0.0:0"]).expect_code(2);
    assert!(open.stderr.contains("loopback"), "{open}");
    let bad = fleet.windlass(&["tokens", "generate", "a b", "--roles", "read"]).expect_code(2);
    assert!(bad.stderr.contains("letters, digits"), "{bad}");
    fleet.windlass(&["tokens", "generate", "x", "--roles", "admin"]).expect_code(2);
    token(&fleet, "ann", "read");
    fleet
        .windlass(&["tokens", "generate", "ann", "--roles", "read", "--append", "tokens.toml"])
        .expect_code(4);
}

#[test]
fn it_speaks_tls_and_other_origins_are_refused_unless_named() {
    let fleet = Fleet::without_workers();
    let made = windlass_tests::tls::Certificates::make(fleet.dir());
    let config = format!(
        "[serve]\ntls_cert = \"{}\"\ntls_key = \"{}\"\ncors_origins = [\"https://ops.example.com\"]\n",
        made.path("server.pem"),
        made.path("server.key")
    );
    let path = fleet.file("windlass.toml", &config);
    let api = Api::start(&fleet, &["--anonymous", "--config", &path.display().to_string()]);
    assert!(api.base.starts_with("https://"));
    let from = |origin: &str| api.ask("GET", "/v1/queues", &[("origin", origin)], None);
    assert_eq!(
        from("https://ops.example.com").header("access-control-allow-origin"),
        Some("https://ops.example.com")
    );
    assert_eq!(from("https://evil.example.com").header("access-control-allow-origin"), None);
}

/// Browsers speak HTTP/2 wherever there is TLS, which has no header `Host`.
#[test]
fn one_can_log_in_over_http_2() {
    let fleet = Fleet::without_workers();
    let made = windlass_tests::tls::Certificates::make(fleet.dir());
    let operate = token(&fleet, "ann", "operate");
    let config = format!(
        "[serve]\ntokens_file = \"tokens.toml\"\ntls_cert = \"{}\"\ntls_key = \"{}\"\n",
        made.path("server.pem"),
        made.path("server.key")
    );
    let path = fleet.file("windlass.toml", &config);
    let api = Api::start(&fleet, &["--config", &path.display().to_string()]);
    let form = |origin: &str| {
        let headers = [("origin", origin), ("content-type", "application/x-www-form-urlencoded")];
        api.ask("POST", "/login", &headers, Some(format!("token={operate}").into_bytes()))
    };
    let reply = form(&api.base).expect(303);
    assert_eq!(reply.version, "HTTP/2.0");
    assert!(reply.header("set-cookie").is_some_and(|cookie| cookie.contains("Secure")), "{reply:?}");
    form("https://evil.example.com").expect(403);
}

/// A body that never comes holds a place for a while. Those who have not said who they are have places of their own.
#[test]
fn strangers_at_the_door_keep_nobody_out() {
    let fleet = Fleet::without_workers();
    let read = token(&fleet, "eye", "read");
    let config = fleet.file("windlass.toml", "[serve]\ntokens_file = \"tokens.toml\"\nmax_requests = 4\n");
    let mut api = Api::start(&fleet, &["--config", &config.display().to_string()]);
    let address = api.base.trim_start_matches("http://").to_owned();
    let open: Vec<TcpStream> = (0..80)
        .map(|_| {
            let mut socket = TcpStream::connect(&address).expect("it listens");
            let head = format!(
                "POST /login HTTP/1.1\r\nhost: {address}\r\norigin: http://{address}\r\ncontent-length: 100\r\n\r\nt"
            );
            socket.write_all(head.as_bytes()).expect("it reads");
            socket
        })
        .collect();
    eventually("the door is full", secs(10), || api.get("/login").status == 503);
    api.token = Some(read);
    api.get("/v1/queues").expect(200);
    drop(open);
    eventually("the door is free", secs(10), || api.get("/login").status == 200);
}

/// A token that was taken back ends what it opened.
#[test]
fn streams_end_with_their_token() {
    let fleet = Fleet::without_workers();
    fleet.submit("noop", &json!(1), &[]);
    let read = token(&fleet, "eye", "read");
    let mut api = with_tokens(&fleet);
    api.token = Some(read);
    for path in ["/v1/events", "/v1/queues/default/results?follow=true"] {
        let mut taken = false;
        let tokens = std::fs::read(fleet.dir().join("tokens.toml")).unwrap();
        let (_, whole) = api.read_to_end(path, &[("accept", "text/event-stream")], || {
            taken = true;
            std::fs::write(fleet.dir().join("tokens.toml"), "").unwrap();
        });
        assert!(taken, "{path} opened");
        assert_eq!(whole, path == "/v1/events", "results that are cut off do not look whole");
        api.get("/v1/queues").expect(401);
        std::fs::write(fleet.dir().join("tokens.toml"), tokens).unwrap();
        eventually("it is back", secs(20), || api.get("/v1/queues").status == 200);
    }
}

#[test]
fn a_health_check_asks_the_server_itself() {
    let fleet = Fleet::without_workers();
    let api = Api::anonymous(&fleet);
    let address = api.base.trim_start_matches("http://").to_owned();
    fleet.windlass(&["serve", "--check", "--listen", &address]).ok();
    drop(api);
    let gone = fleet.windlass(&["serve", "--check", "--listen", &address]).expect_code(1);
    assert!(gone.stderr.contains(&address), "{gone}");
}
