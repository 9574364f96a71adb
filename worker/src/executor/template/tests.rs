use windlass_shared::model::ErrorClass;

use super::*;
use crate::executor::{noop::Noop, testing::job};

fn rendered(template: &Value, payload: &Value) -> Result<Value, Failure> {
    let mut job = job(payload);
    job.metadata = Some(RawValue::from_string(r#"{"team":"blue"}"#.into()).unwrap());
    render(template, &job).map(|raw| serde_json::from_str(raw.get()).unwrap())
}

fn refused(template: &Value, payload: &Value) -> String {
    let failure = rendered(template, payload).unwrap_err();
    assert_eq!(failure.class, ErrorClass::BadRequest);
    failure.message
}

#[test]
fn text_is_filled_in_and_a_lone_expression_keeps_its_type() {
    let template = json!({
        "argv": ["convert", "{{ payload.name }}.png", "{{payload.width}}", 3, true, null],
        "files": "{{ payload.files }}",
        "list": "{{- payload.files | items | list -}}",
        "both": "{{ payload.width }}{{ payload.width }}",
        "task": "{{ task.queue }}/{{ task.id }} {{ task.type }} {{ task.attempt }} {{ task.metadata.team }}",
    });
    let payload = json!({"name": "a&b <c>", "width": 12, "files": {"x": "1\n"}});
    let expected = json!({
        "argv": ["convert", "a&b <c>.png", 12, 3, true, null],
        "files": {"x": "1\n"},
        "list": [["x", "1\n"]],
        "both": "1212",
        "task": "tests/t-1 tried 1 blue",
    });
    assert_eq!(rendered(&template, &payload).unwrap(), expected);
}

#[test]
fn a_missing_variable_is_named_with_its_place() {
    let payload = json!({"file": "x", "list": [{"a": 1}]});
    for (template, variable) in [
        (json!({"argv": ["cat", "{{ payload.fil }}"]}), "`payload.fil`"),
        (json!({"argv": ["cat", "in {{ payload.fil }} or"]}), "`payload.fil`"),
        (json!({"argv": ["cat", "{{ payload.file }} {{ payload.fil }}"]}), "`payload.fil`"),
        (json!({"argv": ["cat", "{{ payload.other.name }}"]}), "`payload.other.name`"),
        (json!({"argv": ["cat", "{% for f in payload.fils %}{{ f }}{% endfor %}"]}), "`payload.fils`"),
    ] {
        let message = refused(&template, &payload);
        assert!(message.starts_with("/argv/1 ") && message.contains(variable), "{message}");
    }
    let fallback = json!("{{ payload.fil | default('none') }}");
    assert_eq!(rendered(&fallback, &payload).unwrap(), json!("none"));
}

#[test]
fn what_a_task_submits_is_never_a_template() {
    let payload = json!({"text": "{{ task.id }} {% raw %}"});
    assert_eq!(rendered(&json!("say {{ payload.text }}"), &payload).unwrap(), "say {{ task.id }} {% raw %}");
    assert_eq!(rendered(&json!("{{ payload.text }}"), &payload).unwrap(), "{{ task.id }} {% raw %}");
}

#[test]
fn an_endless_template_runs_out_of_fuel() {
    let nested = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
    assert!(refused(&json!(nested), &json!({})).contains("fuel"));
}

#[test]
fn what_a_task_asks_for_cannot_take_more_memory_than_it_may() {
    let long =
        json!({"text": "a\n".repeat(500_000), "list": vec!["x"; 1000], "n": 10_000_000_000_000_000_u64});
    for template in [
        "{{ payload.text | indent(payload.n) }}",
        "{{ payload.text | indent(width=payload.n) }} ",
        "{{ payload.text | indent(900) }}",
        "{{ payload.list | tojson(payload.n) }}",
        "{{ payload.list | batch(payload.n, 'x') }}",
        "{{ payload.list | slice(payload.n) }}",
        "{{ payload.list | join(payload.text) }}",
        "{{ payload.text | replace('', payload.text) }}",
        "{{ '%99999999d' | format(1) }}",
        "{{ '%*d' | format(payload.n, 1) }}",
        "{{ payload.list * 90000 }}",
        "{{ (payload.list * 90000) | list }}",
        "{{ payload.list * payload.n }}",
        "{{ payload.text * 90 }}",
        "{{ ''[::-1] }}",
        "{% for x in payload.list %}{{ payload.text }}{% endfor %}",
    ] {
        refused(&json!(template), &long);
    }
    let small = json!({"text": "a\nb", "list": [1, 2, 3]});
    for (template, text) in [
        ("{{ payload.text | indent(2) }}", json!("a\n  b")),
        ("{{ payload.text | indent(width=2, first=true) }}", json!("  a\n  b")),
        ("{{ payload.list | join('-') }}", json!("1-2-3")),
        ("{{ payload.text | replace('b', 'ccc') }}", json!("a\nccc")),
        ("{{ '%05.1f' | format(2.25) }}", json!("002.2")),
        ("{{ payload.list | batch(2) | list }}", json!([[1, 2], [3]])),
        ("{{ payload.list | sort(reverse=true) }}", json!([3, 2, 1])),
        ("{{ payload.list | tojson }}", json!("[1, 2, 3]")),
    ] {
        assert_eq!(rendered(&json!(template), &small).unwrap(), text, "{template}");
    }
}

#[test]
fn a_template_is_checked_before_any_task_comes() {
    check(
        &json!({"a": ["{{ payload.x }}", "{% for i in range(3) %}{{ i }}{{ loop.index }}{% endfor %}", 1]}),
    )
    .unwrap();
    for (template, word) in [
        (json!({"a": "{{ payload.x"}), "/a "),
        (json!({"a": "{% if %}"}), "/a "),
        (json!({"a": {"b": "{{ paylod.x }}"}}), "`paylod` is not known"),
    ] {
        let failure = check(&template).unwrap_err();
        assert!(failure.message.contains(word), "{failure}");
    }
    assert!(TemplateExecutor::new(Arc::new(Noop), json!("{{ nobody }}")).is_err());
}

/// Gives back both payloads that an executor behind a template can see.
struct Both;

#[async_trait]
impl Executor for Both {
    async fn execute(&self, job: &Job) -> Result<Box<RawValue>, Failure> {
        json::result(&(&job.payload, job.submitted()))
    }
}

#[tokio::test]
async fn the_executor_gets_the_rendered_payload_and_can_see_the_submitted_one() {
    let inner = TemplateExecutor::new(Arc::new(Both), json!({"v": "{{ payload.u }}"})).unwrap();
    let outer = TemplateExecutor::new(Arc::new(inner), json!({"u": "{{ payload.t }}"})).unwrap();
    let result = outer.execute(&job(&json!({"t": [1, 2]}))).await.unwrap();
    assert_eq!(result.get(), r#"[{"v":[1,2]},{"t":[1,2]}]"#);
}
