//! What a question and a report cost does not grow with the fleet, the backlog or what was left behind. Counted in
//! commands that the server ran inside the scripts.

use windlass_shared::store::{Answered, Ask, BreakerRule, CallVerdict, Gate, Judged, Taught, all_scripts};

use super::{ask, done, gate, model, new_call};
use crate::{big::cost, draft::task, scene::Scene, schedule::confined_to};

/// Three models with three buckets each; the third has room.
fn route() -> Vec<windlass_shared::store::AskModel> {
    ["a", "b", "m"]
        .map(|name| {
            let limit = if name == "m" { 1_000_000_000 } else { 1 };
            let mut model = model(name, [limit, 0, 0, 0], [1, 10, 10], Some(1));
            model.buckets.push((format!("key:{name}"), [1_000_000_000, 0, 0, 1000]));
            model.buckets.push((format!("provider:{name}"), [1_000_000_000, 0, 0, 1000]));
            model
        })
        .into()
}

async fn admit(gate: &Gate) -> String {
    let (call, models) = (new_call(), route());
    let budgets =
        [super::budget::for_ever("tenant:acme", 1 << 40), super::budget::for_ever("fleet:", 1 << 40)];
    let question =
        Ask { cache: &call, flight: true, tenant: "acme", budgets: &budgets, rank: 3, ..ask(&call, &models) };
    gate.admit(&question).await.unwrap();
    call
}

async fn settle(gate: &Gate, call: &str) {
    let taught = Taught { scope: "lane:p/k/m".into(), limits: [1_000_000_000, 0, 0], remaining: [5, -1, -1] };
    let told = Answered {
        taught,
        used: [5, 5],
        cost: 1,
        flight: call,
        cache: call,
        cool: vec![("p/k/m", 1, "server")],
        live: ("m", "c", 1_000_000, 1, 1),
        batch: "b",
        usage: ("m", "", "acme"),
        counts: [("calls", 1), ("cost_nano", 1)].into(),
        ..done(call)
    };
    gate.settle(&told, "answer").await.unwrap();
}

async fn judge(gate: &Gate) {
    let judged = Judged {
        live: ("m", "c", 1_000_000, 0.5),
        forget: vec!["x"],
        usage: ("m", "", ""),
        counts: [("validated", 1)].into(),
    };
    gate.judge(&judged).await.unwrap();
}

/// Commands that `admit`, `settle_call`, `judge` and `guard` need after `fill` did its part.
async fn costs(fill: impl AsyncFnOnce(&Scene)) -> [usize; 4] {
    let (t, gate) = gate().await;
    for _ in 0..3 {
        let call = admit(&gate).await;
        settle(&gate, &call).await;
    }
    judge(&gate).await;
    gate.may_call("host", super::BreakerRule::default()).await.unwrap();
    fill(&t).await;
    let mut call = String::new();
    let costs = [
        cost(&t, async || call = admit(&gate).await).await,
        cost(&t, async || settle(&gate, &call).await).await,
        cost(&t, async || judge(&gate).await).await,
        cost(&t, async || drop(gate.may_call("host", super::BreakerRule::default()).await)).await,
    ];
    t.done().await;
    costs
}

const FILL: &str = r"
local prefix, clock = ARGV[1], redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function words(...) local w = {}; for i, n in ipairs({ ... }) do w[i] = string.format('%.0f', n) end; return table.concat(w, ' ') end
for i = 1, tonumber(ARGV[3]) do
  if ARGV[2] == 'waiting' then
    for _, scope in ipairs({ 'model:p/a', 'model:p/b', 'model:p/m', 'key:m', 'provider:m' }) do
      redis.call('ZADD', prefix .. 'waiting:' .. scope, i, 'x' .. i .. ' ' .. words(1, 0, 0, now + 9e7, now - 1))
    end
  elseif ARGV[2] == 'vanished' then
    redis.call('ZADD', prefix .. 'waiting:model:p/m', i, 'x' .. i .. ' ' .. words(1, 0, 0, now - 9e7, now - 9e8))
  elseif ARGV[2] == 'lapsed' then
    redis.call('ZADD', prefix .. 'deadlines', i, 'x' .. i)
    redis.call('HSET', prefix .. 'calls', 'x' .. i, cjson.encode({ scopes = { { 'model:p/m', { 1, 0, 0, 0 } } },
      budgets = { prefix .. 'spent:fleet::all' }, need = { 1, 0, 0 }, cost = 0 }))
  elseif ARGV[2] == 'open' then
    redis.call('ZADD', prefix .. 'deadlines', now + 9e8, 'x' .. i)
    redis.call('HSET', prefix .. 'calls', 'x' .. i, '{}')
  elseif ARGV[2] == 'live' then
    redis.call('HSET', prefix .. 'live', 'x' .. i, words(now, 1, 1, 1, 1, 1, 1))
  else
    redis.call('HSET', prefix .. ARGV[2], 'x' .. i, ARGV[4])
  end
end
";

async fn filled(what: &'static str, n: u32, value: &'static str) -> [usize; 4] {
    costs(async |t: &Scene| t.lua::<()>(FILL, &[&t.gate_key(""), what, &n.to_string(), value]).await).await
}

#[tokio::test]
async fn a_small_fleet_pays_what_the_headers_say() {
    let [admit, settle, judge, guard] = costs(async |_: &Scene| ()).await;
    assert!(admit <= 60, "admit: {admit}");
    assert!(settle <= 60, "settle: {settle}");
    assert!(judge <= 20, "judge: {judge}");
    assert!(guard <= 5, "guard: {guard}");
}

#[tokio::test]
async fn what_was_left_behind_costs_nothing_or_little() {
    let small = costs(async |_: &Scene| ()).await;
    let fills = [
        ("waiting", 10_000, "", 0),
        ("vanished", 10_000, "", 2),
        // Twenty lapse with each question.
        ("lapsed", 10_000, "", 20 * 7 + 10),
        ("open", 10_000, "", 0),
        ("cooldowns", 100_000, "1 1 server", 5),
        ("breakers", 20_000, "1 0 1 0 0 1 1", 5),
        ("buckets", 20_000, "1 0 0 0 0 0 0 0", 5),
        ("learned", 20_000, "1 1 1 1", 5),
        ("live", 4000, "", 5),
    ];
    for (what, n, value, more) in fills {
        let large = filled(what, n, value).await;
        for (script, (few, many)) in small.iter().zip(large).enumerate() {
            assert!(many <= few + more, "{what}: script {script} ran {many} commands instead of {few}");
        }
    }
}

#[tokio::test]
async fn cooldowns_that_are_over_go_in_time() {
    let (t, gate) = gate().await;
    t.lua::<()>(FILL, &[&t.gate_key(""), "cooldowns", "3000", "1 1 server"]).await;
    for i in 0..200 {
        let (call, name) = (new_call(), format!("lane{i}"));
        gate.settle(&Answered { cool: vec![(&name, 60_000_000, "server")], ..done(&call) }, "")
            .await
            .unwrap();
    }
    let left: usize = t.redis(&["HLEN", &t.gate_key("cooldowns")]).await;
    assert!((200..=1250).contains(&left), "{left}");
    let cooling = gate.cooldowns().await.unwrap();
    assert!((0..200).all(|i| cooling[&format!("lane{i}")].1 == "server"), "none that holds is gone");
    t.done().await;
}

#[tokio::test]
async fn a_line_is_no_longer_than_anybody_would_wait() {
    let (t, gate) = gate().await;
    let models = [super::requests(60)];
    super::burst(&t, &gate, &models[0]).await;
    t.lua::<()>(FILL, &[&t.gate_key(""), "waiting", "5000"]).await;
    let call = new_call();
    let patient = Ask { slot_wait: std::time::Duration::from_hours(1), rank: 0, ..ask(&call, &models) };
    gate.admit(&patient).await.unwrap();
    let line: usize = t.redis(&["ZCARD", &t.gate_key("waiting:model:p/m")]).await;
    assert!(line <= 1000, "{line}");
    t.done().await;
}

#[tokio::test]
async fn no_script_of_the_gateway_touches_a_key_of_another_tag() {
    let t = confined_to("wl:{llm}:*").await;
    let gate = t.store.gate();
    for _ in 0..3 {
        let call = admit(&gate).await;
        gate.renew(&call, &call).await.unwrap();
        settle(&gate, &call).await;
        judge(&gate).await;
        gate.may_call("host", BreakerRule::default()).await.unwrap();
        gate.called("host", CallVerdict::Failure, "server", BreakerRule::default()).await.unwrap();
    }
    let of_gateway = all_scripts().iter().filter(|script| script.name.starts_with("llm/")).count();
    assert_eq!(t.store.scripts_loaded().await.unwrap().0, of_gateway, "a script was not run");
    // That it would show: the same user cannot use a queue.
    let refused = t.queue.submit(&[task("a").new_task()]).await.unwrap_err();
    assert!(refused.to_string().contains("NoPerm"), "{refused}");
    let url = t.server.url();
    t.through(url).await.done().await;
}
