//! Making a page of a template.

use std::sync::LazyLock;

use axum::{
    extract::{FromRequestParts, Request},
    http::{StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Response},
};
use minijinja::{Environment, UndefinedBehavior, value::Serde};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    assets, filters,
    form::Form,
    guard,
    session::{Visitor, me},
};
use crate::serve::{
    extract,
    problem::{Answer, Kind, Problem},
};

macro_rules! templates {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("templates/", $name)))),*] };
}

const TEMPLATES: [(&str, &str); 22] = templates![
    "actions.html",
    "again.html",
    "base.html",
    "batch.html",
    "batches.html",
    "confirm.html",
    "dead.html",
    "error.html",
    "login.html",
    "macros.html",
    "models.html",
    "node.html",
    "nodes.html",
    "overview.html",
    "part.html",
    "plain.html",
    "queue.html",
    "queues.html",
    "review.html",
    "reviews.html",
    "task.html",
    "tasks.html",
];

/// Whatever stands in Redis is text to a page: every name ends in `.html`, and so all is escaped.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    filters::add(&mut environment);
    for (name, text) in TEMPLATES {
        if let Err(error) = environment.add_template(name, text) {
            tracing::error!(name, %error, "a template of ours cannot be read");
        }
    }
    environment
});

fn render(name: &str, context: &Value) -> Answer<String> {
    let template = ENVIRONMENT.get_template(name);
    let rendered = template.and_then(|template| template.render(minijinja::Value::from(Serde(context))));
    rendered.map_err(|error| Problem::new(Kind::Internal, format!("{error:#}")))
}

/// As templates see it. Money and raw JSON become plain values here.
pub(super) fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

/// A handler's failure, which `session::enter` makes a page of.
pub(super) struct Fault(pub(super) Problem);

pub(super) type Shown<T = Response> = Result<T, Fault>;

impl<E: Into<Problem>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = self.0.status().into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

/// The parts of a page's path.
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Shown<Self> {
        Ok(Self(extract::Path::from_request_parts(parts, state).await?.0))
    }
}

fn common(visitor: Option<&Visitor>, title: &str) -> Map<String, Value> {
    let css = ["app.css", "app.js", "charts.js", "theme.js", "logo.svg"]
        .map(|name| (name.replace('.', "_"), assets::address(name).into()));
    let mut context: Map<String, Value> = Map::new();
    context.insert("assets".into(), Value::Object(css.into_iter().collect()));
    context.insert("title".into(), title.into());
    context.insert("version".into(), env!("CARGO_PKG_VERSION").into());
    context.insert("layout".into(), "base.html".into());
    let Some(visitor) = visitor else { return context };
    let did = visitor.query.exact("did");
    let did = did.filter(|did| visitor.query.exact("mark") == Some(visitor.mark(did).as_str()));
    context.insert("did".into(), did.into());
    context.insert("me".into(), me(visitor));
    context.insert("csrf".into(), visitor.csrf().into());
    context.insert("here".into(), visitor.here().into());
    context.insert("section".into(), visitor.path.split('/').nth(1).unwrap_or_default().into());
    if visitor.wants_part() {
        context.insert("layout".into(), "part.html".into());
    }
    context
}

impl Visitor {
    /// A page; `data` are its own variables.
    pub(super) fn page(&self, template: &str, title: &str, data: Value) -> Shown {
        let mut context = common(Some(self), title);
        if let Value::Object(data) = data {
            context.extend(data);
        }
        Ok(Html(render(template, &Value::Object(context))?).into_response())
    }

    /// Asks whether it shall really be done, unless the form says so. `typed` is what must be typed for that.
    pub(super) fn asks(&self, form: &Form, ask: &Ask<'_>) -> Shown<Option<Response>> {
        let typed = ask.typed.is_none_or(|word| form.get("typed") == Some(word));
        if form.get("sure") == Some("yes") && typed {
            return Ok(None);
        }
        let wrong = form.get("sure").is_some();
        let fields = form.without(&["csrf", "sure", "typed"]);
        let back = form.get("back").filter(|back| super::form::is_local(back)).unwrap_or("/");
        let data = json!({
            "ask": { "title": ask.title, "text": ask.text, "verb": ask.verb, "typed": ask.typed, "wrong": wrong },
            "action": self.path, "fields": fields.pairs(), "back": back,
        });
        self.page("confirm.html", &ask.title, data).map(Some)
    }
}

/// A question before something is done.
pub(super) struct Ask<'a> {
    pub(super) title: String,
    pub(super) text: String,
    pub(super) verb: &'a str,
    pub(super) typed: Option<&'a str>,
}

/// What went wrong, for people.
pub(super) fn fault(visitor: Option<&Visitor>, problem: &Problem) -> Response {
    let status = problem.status();
    if status.is_server_error() {
        tracing::warn!(status = status.as_u16(), detail = problem.detail(), "a page failed");
    }
    let title = status.canonical_reason().unwrap_or("It did not work");
    let mut context = common(visitor, title);
    context.insert("status".into(), status.as_u16().into());
    context.insert("detail".into(), problem.detail().into());
    if visitor.is_none() {
        context.insert("layout".into(), "plain.html".into());
    }
    let text = render("error.html", &Value::Object(context));
    let mut response = (status, Html(text.unwrap_or_else(|_| title.to_owned()))).into_response();
    guard(&mut response);
    response
}

/// A page without a session.
pub(super) fn plain(status: StatusCode, template: &str, title: &str, data: Value) -> Response {
    let mut context = common(None, title);
    if let Value::Object(data) = data {
        context.extend(data);
    }
    match render(template, &Value::Object(context)) {
        Ok(text) => (status, Html(text)).into_response(),
        Err(problem) => fault(None, &problem),
    }
}

/// Asks the browser to come again by itself.
pub(super) fn again() -> Response {
    plain(StatusCode::OK, "again.html", "One moment", json!({}))
}

/// Nothing is at this path: told to people as a page, to programs as a problem.
pub(in crate::serve) async fn nowhere(request: Request) -> Response {
    let accepts =
        request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") && !request.uri().path().starts_with("/v1/") {
        return fault(None, &Problem::not_found("no page is at this address"));
    }
    Problem::not_found("no such path: /openapi.json lists those of the API").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_can_be_read() {
        for (name, _) in TEMPLATES {
            ENVIRONMENT.get_template(name).unwrap_or_else(|error| panic!("{name}: {error:#}"));
            assert!(
                std::path::Path::new(name).extension().is_some_and(|kind| kind == "html"),
                "{name} would not be escaped"
            );
        }
    }

    #[test]
    fn no_template_has_a_script_or_a_style_of_its_own() {
        for (name, text) in TEMPLATES {
            assert!(!text.contains(" style=") && !text.contains("<style"), "{name}");
            for at in text.match_indices("<script").map(|(at, _)| at) {
                assert!(
                    text[at..].starts_with("<script src=") || text[at..].starts_with("<script defer src="),
                    "{name}"
                );
            }
            assert!(
                !text.contains(" onclick") && !text.contains(" onload") && !text.contains("|safe"),
                "{name}"
            );
        }
    }

    #[test]
    fn what_stands_in_redis_is_text() {
        let context = json!({ "layout": "plain.html", "status": 404, "detail": "<script>alert(1)</script>\" onload=\"x" });
        let text = render("error.html", &context).unwrap();
        assert!(!text.contains("<script>alert") && text.contains("&lt;script&gt;"), "{text}");
    }
}
