//! The web page, as a browser speaks with it.

use serde_json::{Value, json};
use windlass_shared::model::{NodeId, State};
use windlass_tests::{
    api::{Api, Reply},
    fleet::{Fleet, keys},
    process::eventually,
};

use super::access::{token, with_tokens};
use crate::{direct::settle, look::secs, many_nodes::write_nodes};

const PAGES: [&str; 9] =
    ["/", "/nodes", "/queues", "/tasks", "/batches", "/models", "/dead", "/reviews", "/actions"];

/// A browser at the page: it keeps the cookie, and says where its forms come from.
struct Browser<'a> {
    api: &'a Api,
    cookie: String,
}

impl<'a> Browser<'a> {
    fn new(api: &'a Api) -> Self {
        Self { api, cookie: String::new() }
    }

    fn logged_in(api: &'a Api, token: &str) -> Self {
        let reply = Self::new(api).send("/login", &[("token", token)]).expect(303);
        let cookie =
            reply.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie");
        Self { api, cookie: cookie.to_owned() }
    }

    fn get(&self, path: &str) -> Reply {
        self.api.ask("GET", path, &[("cookie", &self.cookie), ("accept", "text/html")], None)
    }

    /// What our own forms carry.
    fn csrf(&self) -> String {
        let page = self.get("/").expect(200).text;
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form");
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    /// Sends a form as it stands.
    fn send(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.send_from(path, fields, &[("origin", &self.api.base)])
    }

    fn send_from(&self, path: &str, fields: &[(&str, &str)], from: &[(&str, &str)]) -> Reply {
        let body = reqwest::Url::parse_with_params("http://x/", fields)
            .expect("fields are text")
            .query()
            .unwrap_or_default()
            .to_owned();
        let own = [("content-type", "application/x-www-form-urlencoded"), ("cookie", self.cookie.as_str())];
        self.api.ask("POST", path, &[&own[..], from].concat(), Some(body.into_bytes()))
    }

    /// Sends one of our own forms, and says yes when asked.
    fn act(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let csrf = self.csrf();
        self.send(path, &[&[("csrf", csrf.as_str()), ("sure", "yes")], fields].concat())
    }
}

fn location(reply: &Reply) -> &str {
    assert_eq!(reply.status, 303, "{}", reply.text);
    reply.header("location").expect("a place to go")
}

fn paused(fleet: &Fleet) -> bool {
    fleet.queue("default")["paused"] == json!(true)
}

#[test]
fn a_token_opens_the_page_and_logging_out_closes_it() {
    let fleet = Fleet::without_workers();
    let eye = token(&fleet, "eye", "read");
    let api = with_tokens(&fleet);
    let browser = Browser::new(&api);
    assert_eq!(location(&browser.get("/nodes?state=lost")), "/login?next=%2Fnodes%3Fstate%3Dlost");
    assert_eq!(location(&browser.get("/")), "/login");
    browser.get("/nodes?part=1").expect(401);
    let wrong = browser.send("/login", &[("token", "wlt_wrong"), ("next", "/nodes")]).expect(401);
    assert!(wrong.text.contains("not known") && wrong.header("set-cookie").is_none(), "{}", wrong.text);
    let right = browser.send("/login", &[("token", &eye), ("next", "/nodes?state=lost")]);
    assert_eq!(location(&right), "/nodes?state=lost");
    let cookie = right.header("set-cookie").unwrap();
    assert_eq!(cookie, format!("windlass_token={eye}; HttpOnly; SameSite=Strict; Path=/"));
    let behind = browser.send_from(
        "/login",
        &[("token", &eye)],
        &[("origin", &api.base), ("x-forwarded-proto", "https")],
    );
    assert!(behind.header("set-cookie").unwrap().contains("; Secure"), "{behind:?}");
    let inside = Browser::logged_in(&api, &eye);
    assert!(inside.get("/nodes").expect(200).text.contains("eye"));
    assert_eq!(location(&inside.get("/login?next=/queues")), "/queues", "who is in need not log in");
    let out = inside.send("/logout", &[("csrf", &inside.csrf())]);
    assert!(location(&out) == "/login" && out.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[test]
fn the_cookie_opens_no_api_and_the_bearer_no_page() {
    let fleet = Fleet::without_workers();
    let ann = token(&fleet, "ann", "operate");
    let mut api = with_tokens(&fleet);
    let cookie = format!("windlass_token={ann}");
    assert_eq!(api.ask("GET", "/v1/queues", &[("cookie", &cookie)], None).status, 401);
    api.token = Some(ann);
    assert_eq!(location(&api.get("/queues")), "/login?next=%2Fqueues");
}

#[test]
fn logging_in_leads_nowhere_else() {
    let fleet = Fleet::without_workers();
    let eye = token(&fleet, "eye", "read");
    let api = with_tokens(&fleet);
    let browser = Browser::new(&api);
    for elsewhere in [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/login?next=/login",
    ] {
        let reply = browser.send("/login", &[("token", &eye), ("next", elsewhere)]);
        assert_eq!(location(&reply), "/", "{elsewhere}");
    }
    let page = browser.get("/login?next=//evil.example").expect(200).text;
    assert!(!page.contains("evil"), "{page}");
    let refused = browser.send_from("/login", &[("token", &eye)], &[("origin", "https://evil.example")]);
    assert_eq!(
        (refused.status, refused.header("set-cookie")),
        (403, None),
        "nobody is logged in by another site"
    );
}

#[test]
fn a_role_sees_and_does_what_it_may() {
    let fleet = Fleet::without_workers();
    let (ci, eye, ann) =
        (token(&fleet, "ci", "submit"), token(&fleet, "eye", "read"), token(&fleet, "ann", "operate"));
    fleet.submit("noop", &json!(1), &["--id", "t"]);
    let api = with_tokens(&fleet);
    Browser::new(&api).send("/login", &[("token", &ci)]).expect(403);
    let looks = Browser::logged_in(&api, &eye);
    assert!(!looks.get("/queues").expect(200).text.contains("/queues/default/pause"));
    let refused = looks.act("/queues/default/pause", &[]).expect(403);
    assert!(refused.text.contains("needs the role operate"), "{}", refused.text);
    assert!(!paused(&fleet));
    let acts = Browser::logged_in(&api, &ann);
    assert!(acts.get("/queues").expect(200).text.contains("/queues/default/pause"));
    let csrf = acts.csrf();
    let asked = acts.send("/queues/default/pause", &[("csrf", &csrf), ("back", "/queues")]).expect(200);
    assert!(asked.text.contains("Pause default?") && !paused(&fleet), "first it is asked");
    let done = acts.act("/queues/default/pause", &[("back", "/queues")]);
    let place = location(&done).to_owned();
    assert!(place.starts_with("/queues?did="), "{place}");
    assert!(acts.get(&place).expect(200).text.contains("default is paused."));
    assert!(paused(&fleet));
    let log = acts.get("/actions").expect(200).text;
    assert!(log.contains("ann (http)") && log.contains("pause"), "{log}");
}

#[test]
fn forms_that_are_not_ours_do_nothing() {
    let fleet = Fleet::without_workers();
    let (ann, bob) = (token(&fleet, "ann", "operate"), token(&fleet, "bob", "operate"));
    fleet.submit("noop", &json!(1), &["--id", "t"]);
    let api = with_tokens(&fleet);
    let (ann, bob) = (Browser::logged_in(&api, &ann), Browser::logged_in(&api, &bob));
    let (own, other) = (ann.csrf(), bob.csrf());
    assert_ne!(own, other);
    let (own, other) = (own.as_str(), other.as_str());
    let origin = ("origin", api.base.as_str());
    for (fields, from) in [
        (vec![("sure", "yes")], vec![origin]),
        (vec![("sure", "yes"), ("csrf", "")], vec![origin]),
        (vec![("sure", "yes"), ("csrf", other)], vec![origin]),
        (vec![("sure", "yes"), ("csrf", own)], vec![("origin", "https://evil.example")]),
        (vec![("sure", "yes"), ("csrf", own)], vec![("origin", "null")]),
        (vec![("sure", "yes"), ("csrf", own)], vec![origin, ("sec-fetch-site", "cross-site")]),
        (vec![("sure", "yes"), ("csrf", own)], vec![]),
    ] {
        ann.send_from("/queues/default/pause", &fields, &from).expect(403);
    }
    assert!(!paused(&fleet));
    let elsewhere = ann.act("/queues/default/pause", &[("back", "//evil.example")]);
    assert!(location(&elsewhere).starts_with("/queues/default?did="));
}

#[test]
fn without_tokens_the_page_is_for_this_machine_and_its_own_forms() {
    let fleet = Fleet::without_workers();
    fleet.submit("noop", &json!(1), &["--id", "t"]);
    let api = Api::anonymous(&fleet);
    let browser = Browser::new(&api);
    browser.get("/").expect(200);
    for host in ["evil.example", "evil.example:8642", "10.1.2.3"] {
        api.ask("GET", "/queues", &[("host", host)], None).expect(403);
        browser
            .send_from(
                "/queues/default/pause",
                &[("csrf", &browser.csrf()), ("sure", "yes")],
                &[("host", host), ("origin", &format!("http://{host}"))],
            )
            .expect(403);
    }
    browser.send("/queues/default/pause", &[("sure", "yes")]).expect(403);
    assert!(!paused(&fleet));
    location(&browser.act("/queues/default/pause", &[]));
    assert!(paused(&fleet));
}

#[test]
fn without_tokens_the_api_does_nothing_for_pages_of_other_sites() {
    let fleet = Fleet::without_workers();
    fleet.submit("noop", &json!(1), &["--id", "t"]);
    let api = Api::anonymous(&fleet);
    let pause = |from: &[(&str, &str)]| api.ask("POST", "/v1/queues/default/pause", from, None).status;
    assert_eq!(pause(&[("origin", "https://evil.example")]), 403);
    assert_eq!(pause(&[("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(
        api.ask("GET", "/v1/queues", &[("host", "evil.example")], None).status,
        403,
        "a name that leads here"
    );
    assert!(!paused(&fleet));
    assert_eq!(pause(&[]), 200, "programs do not say where they come from");
}

fn assert_guarded(path: &str, reply: &Reply) {
    let policy = reply.header("content-security-policy").unwrap_or_else(|| panic!("{path}: {reply:?}"));
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{path}: {policy}");
    }
    assert_eq!(
        (reply.header("x-frame-options"), reply.header("x-content-type-options")),
        (Some("DENY"), Some("nosniff")),
        "{path}"
    );
    assert_eq!(reply.header("referrer-policy"), Some("same-origin"), "{path}");
    let inside = reply.text.replace("<script src=\"/assets/", "").replace("<script defer src=\"/assets/", "");
    assert!(
        !inside.contains("<script") && !inside.contains("<style") && !inside.contains(" style=\""),
        "{path}"
    );
    assert!(!reply.text.contains("//cdn") && !reply.text.contains("src=\"http"), "{path} asks nobody else");
}

#[test]
fn every_page_is_there_and_guarded_with_and_without_data() {
    let mut fleet = Fleet::without_workers();
    let api = Api::anonymous(&fleet);
    let browser = Browser::new(&api);
    for path in PAGES {
        let page = browser.get(path).expect(200);
        assert_guarded(path, &page);
        assert!(page.text.contains("<h1>") && page.text.contains("<main"), "{path}");
    }
    assert!(browser.get("/").text.contains("No node is alive"));
    settle(
        &fleet,
        "drafted",
        State::Blocked,
        &json!({ "text": "x", "files": { "a/b.py": "print(1)\n" }, "calls": [{ "model": "p/m", "duration_ms": 3 }] }),
    );
    fleet.submit("noop", &json!({ "a": 1 }), &["--id", "done", "--batch", "nightly", "--tenant", "acme"]);
    fleet.submit("command", &json!({ "argv": ["false"] }), &["--id", "dead", "--max-attempts", "1"]);
    fleet.spawn_worker();
    for (id, state) in [("done", "completed"), ("dead", "failed")] {
        fleet.wait_for_state("default", id, state, secs(20));
    }
    let node = format!("/nodes/{}", fleet.node_id(0));
    let further = [
        node.as_str(),
        "/queues/default",
        "/tasks/default/done",
        "/tasks/default/dead",
        "/tasks/default/drafted",
        "/batches/nightly",
        "/reviews/default/drafted",
        "/tasks?state=failed",
        "/tasks?q=done",
        "/tasks?tenant=acme&state=completed",
        "/dead?queue=default",
        "/models?days=30",
    ];
    eventually("the node is listed", secs(10), || browser.get(&node).status == 200);
    for path in PAGES.into_iter().chain(further) {
        assert_guarded(path, &browser.get(path).expect(200));
        let separator = if path.contains('?') { '&' } else { '?' };
        let part = browser.get(&format!("{path}{separator}part=1")).expect(200);
        assert!(!part.text.contains("<html") && part.text.contains("id=\"live\""), "{path}");
    }
    assert!(browser.get("/tasks?state=failed").text.contains("default/dead"));
    assert!(browser.get("/tasks?q=done").text.contains("default/done"), "a whole id is found in any state");
    assert_eq!(location(&browser.get("/tasks?q=default/done")), "/tasks/default/done");
    let story = browser.get("/tasks/default/dead").text;
    assert!(
        story.contains("exit_code") && story.contains("exit code 1") && story.contains("&quot;argv&quot;"),
        "{story}"
    );
    let file = browser.get("/tasks/default/drafted/files/a%2Fb.py").expect(200);
    assert_eq!(
        (file.text.as_str(), file.header("content-type")),
        ("print(1)\n", Some("text/plain; charset=utf-8"))
    );
    assert!(file.header("content-security-policy").unwrap().contains("sandbox"));
    let lines = browser.get("/batches/nightly/results.jsonl").expect(200).lines();
    assert_eq!(lines[0]["id"], "done");
}

#[test]
fn what_is_not_there_is_told_as_a_page_to_people_and_as_a_problem_to_programs() {
    let fleet = Fleet::without_workers();
    let api = Api::anonymous(&fleet);
    let browser = Browser::new(&api);
    for path in [
        "/tasks/default/none",
        "/queues/none",
        "/nodes/none",
        "/batches/none",
        "/reviews/default/none",
        "/none",
    ] {
        let page = browser.get(path).expect(404);
        assert_guarded(path, &page);
        assert!(page.text.contains("404"), "{path}");
    }
    browser.get("/tasks?state=sideways").expect(422);
    assert_eq!(api.get("/none").expect(404).problem(), "not-found");
    assert_eq!(browser.get("/v1/none").expect(404).problem(), "not-found");
}

#[test]
fn whatever_stands_in_redis_is_text_to_the_page() {
    let fleet = Fleet::without_workers();
    let evil = "</pre></script><script>alert(1)</script>\" onmouseover=\"alert(2)";
    settle(
        &fleet,
        "evil",
        State::Blocked,
        &json!({
            "text": evil, "files": { evil: evil }, "model": evil, "notes": [evil], "calls": [{ "model": evil, "error": evil, "why": evil }],
            "validation": { "checks": [{ "validator": evil, "message": evil }] },
        }),
    );
    fleet.submit("noop", &json!({ evil: evil }), &["--id", "payload", "--metadata", &format!("note={evil}")]);
    let (id, now, mut connection) = (NodeId::new("n-evil").unwrap(), fleet.now().0, fleet.connection());
    let record = json!({
        "id": id.as_str(), "state": "active", "host": evil, "pid": 1, "version": evil, "protocol": 1, "started_at": now,
        "queues": { "default": 1 }, "types": ["noop"], "slots": 8, "running_count": 1, "stale_commits": 0, "labels": { evil: evil },
        "running": [{ "id": "t", "queue": "default", "type": evil, "attempt": 1, "started_at": now }],
    });
    let mut pipeline = redis::pipe();
    pipeline
        .cmd("ZADD")
        .arg(keys().nodes())
        .arg(now)
        .arg(id.as_str())
        .cmd("SET")
        .arg(keys().node(&id))
        .arg(record.to_string());
    pipeline.exec(&mut connection).unwrap();
    let api = Api::anonymous(&fleet);
    let browser = Browser::new(&api);
    let pages = [
        "/nodes",
        "/nodes/n-evil",
        "/tasks/default/evil",
        "/tasks/default/payload",
        "/reviews",
        "/reviews/default/evil",
        "/tasks?q=%3Cscript%3Ealert(1)%3C/script%3E",
        "/nodes?q=%22%3E%3Cscript%3Ealert(1)",
        "/nodes?label=%3Cscript%3E",
        "/?did=%3Cscript%3Ealert(1)",
    ];
    for path in pages {
        let page = browser.get(path).expect(200).text;
        assert!(!page.contains("<script>") && !page.contains("\" onmouseover=\""), "{path}: {page}");
    }
    assert!(browser.get("/nodes/n-evil").text.contains("&lt;script&gt;alert(1)"));
    let flash = browser.get("/?did=Call+this+number&mark=00").expect(200).text;
    assert!(!flash.contains("Call this number"), "others cannot make the page say something");
    let fault = browser.get("/nodes/%3Cscript%3E").expect(400).text;
    assert!(fault.contains("<nav") && fault.contains("Overview") && !fault.contains("<script>"), "{fault}");
}

#[test]
fn a_group_of_dead_letters_is_retried_and_the_others_stay() {
    let mut fleet = Fleet::without_workers();
    let flag = fleet.dir().join("mended");
    for id in ["a", "b"] {
        fleet.submit(
            "command",
            &json!({ "argv": ["test", "-e", flag] }),
            &["--id", id, "--max-attempts", "1"],
        );
    }
    fleet.submit("command", &json!({ "argv": 5 }), &["--id", "bad", "--max-attempts", "1"]);
    fleet.spawn_worker();
    for id in ["a", "b", "bad"] {
        fleet.wait_for_state("default", id, "failed", secs(20));
    }
    let api = Api::anonymous(&fleet);
    let browser = Browser::new(&api);
    let page = browser.get("/dead").expect(200).text;
    assert!(page.contains("exit_code") && page.contains("Retry all"), "{page}");
    fleet.file("mended", "");
    let group = [("queue", "default"), ("class", "exit_code"), ("type", "command")];
    let done = browser.act("/dead/retry", &group);
    assert!(location(&done).contains("2+tasks+of+default+were+retried"), "{done:?}");
    for id in ["a", "b"] {
        fleet.wait_for_state("default", id, "completed", secs(20));
    }
    assert_eq!(fleet.status("bad")["state"], "failed");
    fleet.verify();
}

#[test]
fn purging_needs_the_name_typed_and_reviews_are_settled_with_a_note() {
    let fleet = Fleet::without_workers();
    fleet.submit("noop", &json!(1), &["--id", "t", "--delay", "1h"]);
    for id in ["a", "b", "c"] {
        settle(&fleet, id, State::Blocked, &json!({ "text": "draft" }));
    }
    let api = Api::anonymous(&fleet);
    let browser = Browser::new(&api);
    let wrong =
        browser.act("/queues/default/purge", &[("state", "scheduled"), ("typed", "other")]).expect(200);
    assert!(wrong.text.contains("nothing was done"), "{}", wrong.text);
    assert_eq!(fleet.status("t")["state"], "scheduled");
    location(&browser.act("/queues/default/purge", &[("state", "scheduled"), ("typed", "default")]));
    fleet.windlass(&["status", "t"]).expect_code(1);
    browser.act("/queues/default/purge", &[("state", "running"), ("typed", "default")]).expect(422);
    location(&browser.act("/reviews/default/a", &[("decision", "approve"), ("note", "fine")]));
    location(&browser.act("/reviews/default/b", &[("decision", "reject")]));
    browser.act("/reviews/default/c", &[("decision", "edit"), ("result", "no JSON")]).expect(422);
    location(&browser.act("/reviews/default/c", &[("decision", "edit"), ("result", "{\"text\":\"mine\"}")]));
    let told = ["a", "b", "c"].map(|id| fleet.status(id));
    assert_eq!(told.each_ref().map(|task| task["state"].clone()), ["completed", "failed", "completed"]);
    assert_eq!((&told[0]["review"]["note"], &told[0]["review"]["by"]), (&json!("fine"), &json!("anonymous")));
    assert_eq!(told[2]["result"], json!({ "text": "mine" }));
    browser.act("/reviews/default/a", &[("decision", "approve")]).expect(409);
}

#[test]
fn what_happens_is_told_each_second_to_all_who_watch() {
    let mut fleet = Fleet::without_workers();
    fleet.spawn_worker();
    let api = Api::anonymous(&fleet);
    let lines: Vec<Value> = (0..20).map(|n| json!({ "type": "noop", "payload": n })).collect();
    let mut submitted = false;
    let told = |text: &str| -> Vec<Value> {
        let moments = text.split("\n\n").filter(|event| event.contains("event: now"));
        moments
            .filter_map(|event| {
                event.lines().find_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
            })
            .collect()
    };
    let seen = api.stream("/live", &[], |text| {
        if text.contains("event: now") && !std::mem::replace(&mut submitted, true) {
            fleet.submit_lines(&lines, &[]);
        }
        told(text).iter().any(|moment| moment["point"]["good"].as_f64().is_some_and(|rate| rate > 0.0))
    });
    assert!(seen.starts_with("event: past"), "{seen}");
    let last = told(&seen).pop().unwrap();
    assert_eq!(last["now"]["nodes"]["active"], 1, "{last}");
    let again = api.stream("/live", &[], |text| text.contains("event: past") && text.contains("\n\n"));
    assert!(again.contains("\"good\":"), "who comes later sees the last minutes: {again}");
}

#[test]
fn ten_thousand_nodes_make_no_larger_page_than_a_hundred() {
    let fleet = Fleet::without_workers();
    write_nodes(&fleet);
    let api = Api::anonymous(&fleet);
    let browser = Browser::new(&api);
    let page = browser.get("/nodes").expect(200).text;
    println!("a page of 10,000 nodes has {} bytes", page.len());
    assert!(page.len() < 200_000, "{}", page.len());
    assert_eq!(page.matches("<tr id=\"n-").count(), 100);
    assert!(
        page.contains("1–100 of 10\u{202f}000 · page 1 of 100") && page.contains("<b>1\u{202f}000</b> lost"),
        "{page}"
    );
    let first = |path: &str| {
        let page = browser.get(path).expect(200).text;
        page.split_once("<tr id=\"n-").map(|(_, rest)| rest[..7].to_owned())
    };
    assert_eq!(first("/nodes").as_deref(), Some("n-00000"), "lost ones first");
    assert_eq!(first("/nodes?page=11").as_deref(), Some("n-00001"));
    assert_eq!(first("/nodes?state=active&q=n-0999").as_deref(), Some("n-09991"));
    assert_eq!(first("/nodes?label=zone=b"), None);
    assert_eq!(first("/nodes?page=9999").as_deref(), first("/nodes?page=100").as_deref());
}

#[test]
fn files_of_the_page_are_kept_by_browsers_until_they_change() {
    let fleet = Fleet::without_workers();
    let api = Api::anonymous(&fleet);
    let page = api.ask("GET", "/", &[("accept", "text/html")], None).expect(200).text;
    let (_, rest) = page.split_once("rel=\"stylesheet\" href=\"").unwrap();
    let address = rest.split('"').next().unwrap();
    assert!(address.starts_with("/assets/app.css?v="), "{address}");
    let file = api.get(address).expect(200);
    assert!(file.header("cache-control").unwrap().contains("immutable"), "{file:?}");
    let tag = file.header("etag").unwrap().to_owned();
    assert_eq!(api.ask("GET", address, &[("if-none-match", &tag)], None).status, 304);
    api.get("/assets/none.js").expect(404);
}
