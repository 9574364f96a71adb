//! A token in, a session out.

use axum::{
    Extension,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
};
use serde_json::json;
use windlass_shared::config::Role;

use crate::serve::{
    app::App,
    extract::in_time,
    problem::{Kind, Problem},
    web::{
        form::{Form, is_local},
        page::{self, Shown},
        session::{self, Who},
    },
};

/// Where one wanted to go, if that is here.
fn next(form: &Form) -> &str {
    form.get("next").filter(|next| is_local(next) && !next.starts_with("/login")).unwrap_or("/")
}

pub(in crate::serve::web) async fn form(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    let query = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let caller = app.guard.caller(session::cookie(&headers));
    if caller.is_some_and(|caller| caller.may(Role::Read)) {
        return Redirect::to(next(&query)).into_response();
    }
    asked(StatusCode::OK, next(&query), None)
}

fn asked(status: StatusCode, next: &str, wrong: Option<&str>) -> Response {
    page::plain(
        status,
        "login.html",
        "Log in",
        json!({ "layout": "plain.html", "next": next, "wrong": wrong }),
    )
}

/// A token and an address are no longer.
const LARGEST: usize = 1 << 16;

/// A session is the token itself in a cookie that no script sees.
pub(in crate::serve::web) async fn enter(State(app): State<App>, request: Request) -> Response {
    let refused = |problem: Problem| page::fault(None, &problem);
    if !session::is_own(request.headers()) {
        return refused(Problem::new(Kind::Forbidden, "the form was sent by another site; nothing was done"));
    }
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let form = match in_time(to_bytes(body, LARGEST)).await {
        Ok(Ok(body)) => Form::parse(&body),
        Ok(Err(_)) => {
            return refused(Problem::new(
                Kind::TooLarge,
                "that is longer than any token: paste the token, and nothing else",
            ));
        }
        Err(problem) => return refused(problem),
    };
    let next = next(&form);
    let token = form.get("token").unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
    let caller = app.guard.caller(Some(token)).filter(|_| !token.is_empty() && token.bytes().all(plain));
    let Some(caller) = caller else {
        return asked(
            StatusCode::UNAUTHORIZED,
            next,
            Some("This token is not known here. Was it typed whole, is it the right server?"),
        );
    };
    if !caller.may(Role::Read) {
        return asked(
            StatusCode::FORBIDDEN,
            next,
            Some("This token may submit tasks, and not look. Use one with the role read or operate."),
        );
    }
    tracing::info!(token = &*caller.name, "somebody logged in to the page");
    let mut response = Redirect::to(next).into_response();
    response
        .headers_mut()
        .extend(session::set_cookie(&app, &headers, Some(token)).map(|cookie| (header::SET_COOKIE, cookie)));
    response
}

pub(in crate::serve::web) async fn leave(
    State(app): State<App>,
    headers: HeaderMap,
    Extension(visitor): Who,
) -> Shown {
    tracing::info!(token = &*visitor.caller.name, "somebody logged out of the page");
    let mut response = Redirect::to("/login").into_response();
    response
        .headers_mut()
        .extend(session::set_cookie(&app, &headers, None).map(|cookie| (header::SET_COOKIE, cookie)));
    Ok(response)
}
