//! `template`: the system text and the prompt.
//!
//! Context files are put before the instruction by themselves. A template that names `context_files` places them
//! itself; they are out of the reach of a later `fit` then.

use windlass_shared::config::pipeline::TemplateStage;

use crate::{
    executor::Failure,
    pipeline::{Draft, template::Template},
};

#[derive(Debug)]
pub(crate) struct Templates {
    system: Option<Template>,
    prompt: Option<Template>,
}

impl Templates {
    pub(super) fn new(spec: &TemplateStage) -> Result<Self, Vec<String>> {
        let compile = |name: &str, text: &Option<String>| {
            text.as_deref().map(Template::new).transpose().map_err(|fault| format!("{name}: {fault}"))
        };
        match (compile("system", &spec.system), compile("prompt", &spec.prompt)) {
            (Ok(system), Ok(prompt)) => Ok(Self { system, prompt }),
            (system, prompt) => Err(system.err().into_iter().chain(prompt.err()).collect()),
        }
    }

    pub(super) fn run(&self, draft: &mut Draft) -> Result<(), Failure> {
        let scope = draft.scope();
        if let Some(template) = &self.system {
            draft.system = Some(template.render("`system`", &scope)?);
        }
        if let Some(template) = &self.prompt {
            draft.instruct(template.render("`prompt`", &scope)?);
        }
        if [&self.system, &self.prompt].into_iter().flatten().any(|template| template.uses("context_files")) {
            draft.context.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pipeline::ContextFile;

    fn stage(prompt: &str) -> Templates {
        Templates::new(&TemplateStage {
            system: Some("You test {{ stem }}.".into()),
            prompt: Some(prompt.into()),
        })
        .unwrap()
    }

    #[test]
    fn the_prompt_takes_the_place_of_the_instruction() {
        let mut draft = Draft::of_payload(&json!({"description": "d", "target_file": "a/b.py"})).unwrap();
        draft.context.push(ContextFile {
            path: "a/b.py".into(),
            text: "x".into(),
            importance: 1.0,
            tokens: 1,
        });
        stage("{{ description }}: {{ target_file }}").run(&mut draft).unwrap();
        assert_eq!((draft.system.as_deref(), draft.messages.len()), (Some("You test b."), 1));
        assert_eq!((draft.messages[0].content.as_str(), draft.context.len()), ("d: a/b.py", 1));
        stage("{% for f in context_files %}{{ f.path }}={{ f.text }}{% endfor %}").run(&mut draft).unwrap();
        assert_eq!((draft.messages[0].content.as_str(), draft.context.len()), ("a/b.py=x", 0));
    }

    #[test]
    fn a_missing_variable_says_in_which_template() {
        let mut draft = Draft::of_payload(&json!({"description": "d"})).unwrap();
        let failure = stage("x").run(&mut draft).unwrap_err();
        assert_eq!(failure.message, "`system` cannot be filled in: `stem` is not defined");
    }

    #[test]
    fn both_faults_are_told() {
        let spec = TemplateStage { system: Some("{{".into()), prompt: Some("{% x %}".into()) };
        assert_eq!(Templates::new(&spec).unwrap_err().len(), 2);
    }
}
