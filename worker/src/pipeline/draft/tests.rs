use serde_json::json;

use super::*;

#[test]
fn a_payload_becomes_a_question() {
    let payload = json!({"description": "Test it.", "target_file": "src/a.b/auth.py", "system": "Be brief."});
    let draft = Draft::of_payload(&payload).unwrap();
    assert_eq!(draft.messages, [Message::user("Test it.")]);
    assert_eq!(draft.system.as_deref(), Some("Be brief."));
    let derived = ["stem", "target_name", "target_dir"].map(|name| draft.variables[name].as_str().unwrap());
    assert_eq!(derived, ["auth", "auth.py", "src/a.b"]);
}

#[test]
fn a_conversation_may_come_along_and_its_instructions_go_first() {
    let messages = json!([{"role": "system", "content": "s"}, {"role": "user", "content": "a"},
                          {"role": "assistant", "content": "b"}]);
    let draft = Draft::of_payload(&json!({"messages": messages, "prompt": "c", "description": "d"})).unwrap();
    assert_eq!((draft.system.as_deref(), draft.messages.len()), (Some("s"), 3));
    assert_eq!(draft.instruction(), Some(2));
    for bad in [json!([]), json!({"prompt": 1}), json!({"messages": [{"role": "robot", "content": ""}]})] {
        assert!(Draft::of_payload(&bad).is_err(), "{bad}");
    }
}

#[test]
fn files_are_shown_before_the_instruction() {
    let mut draft = Draft::of_payload(&json!({"prompt": "Go."})).unwrap();
    draft.context.push(ContextFile { path: "a.py".into(), text: "x = 1".into(), importance: 1.0, tokens: 0 });
    let shown = "<file path=\"a.py\">\nx = 1\n</file>\n\nGo.";
    assert_eq!(draft.conversation(), [Message::user(shown)]);
    assert_eq!(draft.messages, [Message::user("Go.")]);
}

#[test]
fn a_command_changes_what_it_names_and_nothing_else() {
    let mut draft = Draft::of_payload(&json!({"prompt": "p", "system": "s"})).unwrap();
    draft.change(br#"{"output": "o", "files": {"a/b.txt": "x"}, "json": {"k": 1}}"#).unwrap();
    assert_eq!((draft.output.as_str(), draft.files["a/b.txt"].as_str()), ("o", "x"));
    assert_eq!((draft.system.as_deref(), draft.messages.len()), (Some("s"), 1));
    for bad in [
        r#"{"outptu": "o"}"#,
        "[]",
        "no",
        r#"{"files": {"../x": ""}}"#,
        r#"{"files": {"/etc/x": ""}}"#,
        r#"{"sources": {}}"#,
    ] {
        let before = draft.clone();
        assert!(draft.change(bad.as_bytes()).is_err(), "{bad}");
        assert_eq!(draft, before);
    }
}
