//! `redact`: takes secrets out of everything that a model is sent, or that it answered.

use windlass_shared::config::pipeline::RedactStage;

use crate::pipeline::{
    Draft,
    redact::{Found, Redactor},
};

#[derive(Debug)]
pub(crate) struct Redact(Redactor);

impl Redact {
    pub(super) fn new(spec: &RedactStage) -> Result<Self, Vec<String>> {
        Redactor::new(&spec.patterns, spec.entropy).map(Self)
    }

    pub(super) fn run(&self, draft: &mut Draft) {
        let mut found = Found::new();
        let texts = (draft.system.iter_mut())
            .chain(draft.messages.iter_mut().map(|message| &mut message.content))
            .chain(draft.context.iter_mut().map(|file| &mut file.text))
            .chain(draft.files.values_mut())
            .chain([&mut draft.output]);
        texts.for_each(|text| self.0.redact_text(text, &mut found));
        let values = draft.variables.values_mut().chain(draft.json.iter_mut());
        values.for_each(|value| self.0.redact_json(value, &mut found));
        if !found.is_empty() {
            let counts: Vec<_> = found.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            draft.notes.push(format!("redact: replaced {}", counts.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pipeline::ContextFile;

    #[test]
    fn all_that_is_sent_is_clean_and_counted() {
        let secret = "password = 'hunter2'";
        let mut draft = Draft::of_payload(&json!({"description": secret, "system": secret})).unwrap();
        draft.context.push(ContextFile { path: "a".into(), text: secret.into(), importance: 1.0, tokens: 1 });
        draft.sources.insert("a".into(), secret.into());
        draft.answered(secret);
        Redact::new(&RedactStage::default()).unwrap().run(&mut draft);
        let sent = serde_json::to_string(&draft).unwrap();
        assert!(!sent.contains("hunter2"), "{sent}");
        assert_eq!(draft.notes, ["redact: replaced 6 password"]);
        assert_eq!(&*draft.sources["a"], secret, "what is run keeps what it needs");
    }

    #[test]
    fn nothing_found_is_nothing_noted() {
        let mut draft = Draft::of_payload(&json!({"description": "hello"})).unwrap();
        Redact::new(&RedactStage::default()).unwrap().run(&mut draft);
        assert!(draft.notes.is_empty());
    }
}
