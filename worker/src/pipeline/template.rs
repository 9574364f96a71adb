//! Texts with variables: prompts, paths, arguments of commands.

use minijinja::{Environment, ErrorKind, value::Serde};
use serde_json::{Map, Value};

use crate::executor::{
    Failure,
    template::{
        bounded::{Bounded, LARGEST, caught},
        defined, environment,
    },
};

const NAME: &str = "template";

/// A template that compiles.
#[derive(Debug)]
pub(super) struct Template {
    // Large, and held by enums of small things.
    environment: Box<Environment<'static>>,
}

impl Template {
    /// Compiles a text, or says what is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut environment = environment();
        caught(|| environment.add_template_owned(NAME, text.to_owned()))?
            .map_err(|error| error.to_string())?;
        Ok(Self { environment: Box::new(environment) })
    }

    /// Whether it uses this variable.
    pub(super) fn uses(&self, name: &str) -> bool {
        self.environment
            .get_template(NAME)
            .is_ok_and(|template| template.undeclared_variables(false).contains(name))
    }

    /// Fills it in. `what` says what it is, for the failure of a variable that is not there.
    pub(super) fn render(&self, what: &str, scope: &Map<String, Value>) -> Result<String, Failure> {
        let failed =
            |why: &dyn std::fmt::Display| Failure::bad_request(format!("{what} cannot be filled in: {why}"));
        let template = self.environment.get_template(NAME).map_err(|error| failed(&error))?;
        let mut text = Bounded::default();
        let rendered =
            caught(|| template.render_captured_to(minijinja::Value::from(Serde(scope)), &mut text).map(drop));
        match rendered.map_err(|why| failed(&why))? {
            Ok(()) => String::from_utf8(text.0).map_err(|error| failed(&error)),
            Err(error) if error.kind() == ErrorKind::UndefinedError => {
                Err(failed(&missing(&template, &Value::Object(scope.clone()))))
            }
            Err(error) if error.kind() == ErrorKind::WriteFailure => {
                Err(failed(&format!("it makes more than {LARGEST} bytes")))
            }
            Err(error) => Err(failed(&error)),
        }
    }
}

/// Names the variables that are not there.
fn missing(template: &minijinja::Template, scope: &Value) -> String {
    let names = template.undeclared_variables(true);
    let mut missing: Vec<String> = names.into_iter().filter(|name| !defined(name, scope)).collect();
    missing.sort_unstable();
    match &missing[..] {
        [] => "a variable is not defined".into(),
        [name] => format!("`{name}` is not defined"),
        names => format!("one of `{}` is not defined", names.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windlass_shared::model::ErrorClass;

    use super::*;

    fn render(text: &str, scope: &Value) -> Result<String, Failure> {
        Template::new(text).unwrap().render("the prompt", scope.as_object().unwrap())
    }

    #[test]
    fn variables_are_filled_in_and_data_is_no_template() {
        let scope = json!({"name": "{{ 7 * 7 }} <b>", "list": [1, 2]});
        assert_eq!(
            render("{{ name }}{% for x in list %} {{ x }}{% endfor %}\n", &scope).unwrap(),
            "{{ 7 * 7 }} <b> 1 2\n"
        );
    }

    #[test]
    fn a_missing_variable_is_named() {
        let failure = render("{{ target_file }}", &json!({"a": "secret"})).unwrap_err();
        assert_eq!(failure.class, ErrorClass::BadRequest);
        assert_eq!(failure.message, "the prompt cannot be filled in: `target_file` is not defined");
        let nested = render("{{ a.b.c }}", &json!({"a": {}})).unwrap_err();
        assert!(nested.message.contains("`a.b.c` is not defined"), "{nested}");
    }

    #[test]
    fn bombs_end_early() {
        let big = json!({"text": "x".repeat(1 << 20), "list": vec![0; 1000]});
        for bomb in [
            "{% for a in list %}{{ text }}{% endfor %}",
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
            "{{ 'x' * 999999999999 }}",
        ] {
            assert_eq!(render(bomb, &big).unwrap_err().class, ErrorClass::BadRequest, "{bomb}");
        }
    }

    #[test]
    fn what_does_not_compile_says_why() {
        assert!(Template::new("{{ a").unwrap_err().contains("syntax error"));
        assert!(Template::new("{% include 'x' %}").unwrap().render("x", &Map::new()).is_err());
        assert!(Template::new("{{ context_files }}").unwrap().uses("context_files"));
    }
}
