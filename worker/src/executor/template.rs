//! Task types from the configuration: a built-in executor behind a template of its payload.
//!
//! A template is a payload whose strings are minijinja templates with `payload` and `task` (`id`, `queue`, `type`,
//! `attempt`, `metadata`) in scope. A string that is exactly one expression, such as `{{ payload.files }}`, becomes
//! the value itself, of whatever JSON type; any other string becomes text. Keys of objects are taken as they are.
//!
//! What a task submits is data to a template and never a template itself. An undefined variable is a bad request that
//! names it, and not an empty string in the middle of somebody's command.

pub(crate) mod bounded;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, syntax::SyntaxConfig, value::Serde,
};
use serde_json::{Value, json, value::RawValue};

use self::bounded::{Bounded, LARGEST, caught};
use super::{Executor, Failure, Job, json};

/// Steps that one string may take: enough for any sane loop, and the end of an endless one.
const FUEL: u64 = 100_000;

/// An executor behind a template.
pub struct TemplateExecutor {
    inner: Arc<dyn Executor>,
    template: Value,
}

impl TemplateExecutor {
    /// Checks the template and puts it before `inner`.
    pub fn new(inner: Arc<dyn Executor>, template: Value) -> Result<Self, Failure> {
        check(&template)?;
        Ok(Self { inner, template })
    }
}

#[async_trait]
impl Executor for TemplateExecutor {
    async fn execute(&self, job: &Job) -> Result<Box<RawValue>, Failure> {
        let payload = render(&self.template, job)?;
        let submitted = Some(job.submitted().to_owned());
        self.inner.execute(&Job { payload, submitted, ..job.clone() }).await
    }
}

/// Finds what is wrong with a template whatever the payload: bad syntax, and names that no task will define.
pub fn check(template: &Value) -> Result<(), Failure> {
    let environment = environment();
    let known: HashSet<&str> =
        environment.globals().map(|(name, _)| name).chain(["payload", "task"]).collect();
    each_string(template, &mut |text| {
        let unknown =
            compile(&environment, text)?.names(false).into_iter().find(|name| !known.contains(&**name));
        match unknown {
            Some(name) => Err(Problem(format!("`{name}` is not known; `payload` and `task` are"))),
            None => Ok(Value::Null),
        }
    })
    .map(drop)
}

/// Makes the payload of an executor out of a template and a task.
pub fn render(template: &Value, job: &Job) -> Result<Box<RawValue>, Failure> {
    let environment = environment();
    let scope = scope(job)?;
    let values = minijinja::Value::from(Serde(&scope));
    let rendered = each_string(template, &mut |text| {
        let compiled = compile(&environment, text)?;
        let undefined = || compiled.undefined(&scope);
        compiled.value(values.clone()).map_err(|error| match error.kind() {
            ErrorKind::UndefinedError => undefined(),
            _ => error.into(),
        })
    })?;
    json::result(&rendered)
}

/// Strict, without escapes, and with an end to every loop.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // The default takes a line break from the end of a text, which a file or a script may need.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_fuel(Some(FUEL));
    bounded::add_filters(&mut environment);
    environment
}

fn scope(job: &Job) -> Result<Value, Failure> {
    let parse = |raw: &RawValue| {
        serde_json::from_str::<Value>(raw.get())
            .map_err(|error| Failure::bad_request(format!("the payload is not valid: {error}")))
    };
    let metadata = job.metadata.as_deref().map_or(Ok(Value::Null), parse)?;
    let task = json!({
        "id": job.reference.id,
        "queue": job.reference.queue,
        "type": job.task_type,
        "attempt": job.attempt,
        "metadata": metadata,
    });
    Ok(json!({ "payload": parse(&job.payload)?, "task": task }))
}

/// What is wrong with one string.
struct Problem(String);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

type Change<'a> = dyn FnMut(&str) -> Result<Value, Problem> + 'a;

/// Replaces every string of a template; says where the one is that could not be.
fn each_string(template: &Value, change: &mut Change) -> Result<Value, Failure> {
    walk(template, &mut String::new(), change)
}

fn walk(value: &Value, path: &mut String, change: &mut Change) -> Result<Value, Failure> {
    let length = path.len();
    let mut step = |key: &str, value: &Value| {
        path.push('/');
        path.push_str(key);
        let walked = walk(value, path, change);
        path.truncate(length);
        walked
    };
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| Ok((key.clone(), step(key, value)?))).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, item)| step(&at.to_string(), item)).collect()
        }
        Value::String(text) => {
            caught(|| change(text)).unwrap_or_else(|why| Err(Problem(why.into()))).map_err(|Problem(why)| {
                let place = if path.is_empty() { "the template" } else { path };
                Failure::bad_request(format!("{place} cannot be filled in: {why}"))
            })
        }
        other => Ok(other.clone()),
    }
}

/// One string of a template.
enum Compiled<'env> {
    Expression(minijinja::Expression<'env, 'env>),
    Text(minijinja::Template<'env, 'env>),
}

fn compile<'env>(environment: &'env Environment<'env>, text: &'env str) -> Result<Compiled<'env>, Problem> {
    if let Some(expression) = only_expression(text)
        && let Ok(expression) = environment.compile_expression(expression)
    {
        return Ok(Compiled::Expression(expression));
    }
    Ok(Compiled::Text(environment.template_from_str(text)?))
}

/// What is between the braces of a string that has nothing outside of them. `{{ a }} {{ b }}` passes too, but what is
/// between its outermost braces does not compile.
fn only_expression(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some(inner.strip_suffix(['-', '+']).unwrap_or(inner))
}

/// The text that a template makes, if it is no longer than it may be.
fn text(template: &minijinja::Template<'_, '_>, scope: minijinja::Value) -> Result<String, Error> {
    let mut text = Bounded::default();
    match template.render_captured_to(scope, &mut text) {
        Err(error) if error.kind() == ErrorKind::WriteFailure => Err(too_large()),
        ended => ended.and_then(|_| {
            String::from_utf8(text.0).map_err(|_| Error::new(ErrorKind::BadSerialization, "not UTF-8"))
        }),
    }
}

fn too_large() -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("it makes more than {LARGEST} bytes"))
}

impl Compiled<'_> {
    fn value(&self, scope: minijinja::Value) -> Result<Value, Error> {
        let value = match self {
            Self::Text(template) => return text(template, scope).map(Value::String),
            Self::Expression(expression) => expression.eval(scope)?,
        };
        if value.is_undefined() {
            return Err(ErrorKind::UndefinedError.into());
        }
        let mut json = Bounded::default();
        serde_json::to_writer(&mut json, &value).and_then(|()| serde_json::from_slice(&json.0)).map_err(
            |error| {
                if error.is_io() {
                    too_large()
                } else {
                    Error::new(ErrorKind::BadSerialization, "not JSON").with_source(error)
                }
            },
        )
    }

    fn names(&self, nested: bool) -> HashSet<String> {
        match self {
            Self::Text(template) => template.undeclared_variables(nested),
            Self::Expression(expression) => expression.undeclared_variables(nested),
        }
    }

    /// Names the variables that are not there.
    fn undefined(&self, scope: &Value) -> Problem {
        let mut missing: Vec<String> =
            self.names(true).into_iter().filter(|name| !defined(name, scope)).collect();
        missing.sort_unstable();
        match &missing[..] {
            [] => Problem("a variable is not defined".into()),
            [name] => Problem(format!("`{name}` is not defined")),
            names => Problem(format!("one of `{}` is not defined", names.join("`, `"))),
        }
    }
}

/// Whether `a.b.0` is there.
pub(crate) fn defined(name: &str, scope: &Value) -> bool {
    let mut parts = name.split('.');
    parts
        .try_fold(scope, |value, part| value.get(part).or_else(|| value.get(part.parse::<usize>().ok()?)))
        .is_some()
}
