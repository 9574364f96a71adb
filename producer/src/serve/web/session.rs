//! Who looks at a page: the cookie, and that a form is one of ours.

use std::sync::Arc;

use axum::{
    Extension,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use serde_json::json;
use windlass_shared::config::Role;

use super::{
    form::{Form, is_local, segment},
    page,
};
use crate::serve::{
    app::App,
    auth::Caller,
    extract::in_time,
    problem::{Kind, Problem},
};

pub(super) const COOKIE: &str = "windlass_token";

/// A form's largest body: an edited draft is the largest that people send.
const LARGEST: usize = 4 << 20;

/// What all sessions without a token have in common.
pub(super) struct Desk {
    secret: [u8; 32],
}

impl Desk {
    pub(super) fn new() -> Self {
        let random = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4(), uuid::Uuid::new_v4()]
            .map(uuid::Uuid::into_bytes)
            .concat();
        Self { secret: blake3::derive_key("windlass page secret", &random) }
    }
}

/// Who looks, and at what.
#[derive(Clone)]
pub(super) struct Visitor {
    pub(super) caller: Caller,
    pub(super) anonymous: bool,
    /// None if nobody is asked for one.
    token: Option<Arc<str>>,
    key: [u8; 32],
    pub(super) path: String,
    pub(super) query: Form,
}

pub(super) type Who = Extension<Visitor>;
pub(super) type Sent = Extension<Form>;

impl Visitor {
    fn new(app: &App, desk: &Desk, caller: Caller, token: Option<&str>, request: &Request) -> Self {
        let key = match token {
            Some(token) => blake3::derive_key("windlass csrf", token.as_bytes()),
            None => blake3::derive_key("windlass csrf", &desk.secret),
        };
        Self {
            caller,
            anonymous: app.guard.is_anonymous(),
            token: token.map(Arc::from),
            key,
            path: request.uri().path().to_owned(),
            query: Form::parse(request.uri().query().unwrap_or_default().as_bytes()),
        }
    }

    pub(super) fn may_operate(&self) -> bool {
        self.caller.may(Role::Operate)
    }

    /// Their token still lets them look.
    pub(super) fn is_known(&self, app: &App) -> bool {
        app.guard.caller(self.token.as_deref()).is_some_and(|caller| caller.may(Role::Read))
    }

    /// What our own forms of this session carry.
    pub(super) fn csrf(&self) -> String {
        self.mark("form")
    }

    /// What nobody else can put on a text.
    pub(super) fn mark(&self, text: &str) -> String {
        blake3::keyed_hash(&self.key, text.as_bytes()).to_hex()[..32].to_owned()
    }

    fn knows_form(&self, form: &Form) -> bool {
        // Comparing hashes takes the same time wherever they differ.
        let hash = |text: &str| blake3::keyed_hash(&self.key, text.as_bytes());
        form.exact("csrf").is_some_and(|given| hash(given) == hash(&self.csrf()))
    }

    /// The fragment that changes is asked for, not the page around it.
    pub(super) fn wants_part(&self) -> bool {
        self.query.exact("part").is_some()
    }

    /// This page's address, without what was only for this one answer.
    pub(super) fn here(&self) -> String {
        self.query.without(&["part", "did", "mark"]).url(&self.path)
    }

    /// The page with a form leads back to where it stood, and tells what was done.
    pub(super) fn back(&self, form: &Form, otherwise: &str, did: &str) -> Response {
        let back = form.get("back").filter(|path| is_local(path)).unwrap_or(otherwise);
        let (path, query) = back.split_once('?').unwrap_or((back, ""));
        let query = Form::parse(query.as_bytes()).with("did", did).with("mark", &self.mark(did));
        Redirect::to(&query.url(path)).into_response()
    }
}

/// Lets those in who may look, and takes only forms that are ours. What goes wrong inside becomes a page.
pub(super) async fn enter(
    State((app, desk)): State<(App, Arc<Desk>)>,
    request: Request,
    next: Next,
) -> Response {
    let visitor = match admit(&app, &desk, &request) {
        Ok(visitor) => visitor,
        Err(refusal) => return refusal,
    };
    let mut response = match take(&visitor, request).await {
        Ok(mut request) => {
            request.extensions_mut().insert(visitor.clone());
            if request.method() == Method::POST {
                app.to_the_end(next.run(request)).await
            } else {
                next.run(request).await
            }
        }
        Err(problem) => page::Fault(problem).into_response(),
    };
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => page::fault(Some(&visitor), &problem),
        None => response,
    }
}

fn admit(app: &App, desk: &Desk, request: &Request) -> Result<Visitor, Response> {
    let headers = request.headers();
    let refused = |kind, why: &str| page::fault(None, &Problem::new(kind, why));
    if app.guard.is_anonymous() && !is_loopback(host(headers).unwrap_or_default()) {
        return Err(refused(
            Kind::Forbidden,
            "without tokens this page is for this machine alone: open it as http://localhost with the port",
        ));
    }
    let token = cookie(headers).filter(|_| !app.guard.is_anonymous());
    let Some(caller) = app.guard.caller(token) else { return Err(unknown(request, token.is_some())) };
    if !caller.may(Role::Read) {
        return Err(refused(
            Kind::Forbidden,
            "this token may submit tasks, and nothing else; log in with one that has the role read or operate",
        ));
    }
    Ok(Visitor::new(app, desk, caller, token, request))
}

/// Where those go who are not known.
fn unknown(request: &Request, had_cookie: bool) -> Response {
    let quiet = |status: StatusCode| (status, "log in\n").into_response();
    let query = Form::parse(request.uri().query().unwrap_or_default().as_bytes());
    let looks = [Method::GET, Method::HEAD].contains(request.method());
    if query.exact("part").is_some() || request.uri().path() == "/live" {
        return quiet(StatusCode::UNAUTHORIZED);
    }
    // A link on another site comes without a cookie that is there: asked again from here, it comes with it.
    let site = request.headers().get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if looks && !had_cookie && site == Some("cross-site") {
        return page::again();
    }
    let next = query.without(&["did", "mark"]).url(request.uri().path());
    if looks && next != "/" {
        Redirect::to(&format!("/login?next={}", segment(&next))).into_response()
    } else {
        Redirect::to("/login").into_response()
    }
}

/// Reads the form of a POST, which must be ours, by somebody who may act.
async fn take(visitor: &Visitor, request: Request) -> Result<Request, Problem> {
    let method = request.method();
    if *method != Method::POST {
        return Ok(request);
    }
    let forbidden = |why: &str| Problem::new(Kind::Forbidden, why);
    if !is_own(request.headers()) {
        return Err(forbidden("the form was sent by another site; nothing was done"));
    }
    let leaves = request.uri().path() == "/logout";
    let (parts, body) = request.into_parts();
    let bytes = in_time(to_bytes(body, LARGEST)).await?;
    let bytes =
        bytes.map_err(|_| Problem::new(Kind::TooLarge, format!("a form may have {LARGEST} bytes")))?;
    let form = Form::parse(&bytes);
    if !visitor.knows_form(&form) {
        return Err(forbidden("the form is of another session; open the page again and repeat it"));
    }
    if !leaves && !visitor.may_operate() {
        return Err(forbidden("this token may look, and not act: that needs the role operate"));
    }
    let mut request = Request::from_parts(parts, axum::body::Body::empty());
    request.extensions_mut().insert(form);
    Ok(request)
}

/// The token that the browser brings.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE && !value.is_empty()).then_some(value))
}

/// Whether the request came over TLS, to us or to a proxy before us.
fn is_secure(app: &App, headers: &HeaderMap) -> bool {
    let forwarded = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    app.context.config.serve.tls_cert.is_some()
        || forwarded.is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
}

/// The cookie that holds a token, or ends a session.
pub(super) fn set_cookie(app: &App, headers: &HeaderMap, token: Option<&str>) -> Option<HeaderValue> {
    let secure = if is_secure(app, headers) { "; Secure" } else { "" };
    let age = if token.is_some() { "" } else { "; Max-Age=0" };
    let text =
        format!("{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/{secure}{age}", token.unwrap_or_default());
    HeaderValue::from_str(&text).ok()
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// Whether a form comes from a page of this server. Browsers say where a form comes from; who does not say is not believed.
pub(super) fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let site = text("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    let Some(origin) = text("origin") else { return site.is_some() };
    let ours = origin.split_once("://").map(|(_, authority)| authority);
    let hosts = [text("host"), text("x-forwarded-host")];
    ours.is_some_and(|ours| hosts.into_iter().flatten().any(|host| host.eq_ignore_ascii_case(ours)))
}

/// Whether a `Host` names this machine. Another name that leads here is one that somebody else made.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a browser brings a request here for a page of another site: one that acts, or one under a name that somebody else
/// gave this machine. Where no token is asked for, nothing else would tell.
pub(in crate::serve) fn is_foreign(request: &Request, allowed: &[String]) -> bool {
    let headers = request.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if !is_loopback(host(headers).unwrap_or_default()) {
        return true;
    }
    let looks = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    let named = text("origin").is_some_and(|origin| allowed.iter().any(|allowed| allowed == origin));
    let browser = text("origin").is_some() || text("sec-fetch-site").is_some();
    !looks && !named && browser && !is_own(headers)
}

/// What the page around every page says of who looks.
pub(super) fn me(visitor: &Visitor) -> serde_json::Value {
    let roles: Vec<&str> =
        Role::ALL.into_iter().filter(|role| visitor.caller.may(*role)).map(Role::as_str).collect();
    json!({ "name": &*visitor.caller.name, "roles": roles, "operates": visitor.may_operate(), "anonymous": visitor.anonymous })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (header::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_form_of_another_site_is_not_ours() {
        let own = |pairs: &[(&'static str, &'static str)]| is_own(&headers(pairs));
        assert!(own(&[("host", "a:1"), ("origin", "http://a:1")]));
        assert!(own(&[("host", "a:1"), ("sec-fetch-site", "same-origin")]));
        assert!(own(&[
            ("host", "inner"),
            ("x-forwarded-host", "ops.example"),
            ("origin", "https://ops.example")
        ]));
        assert!(!own(&[("host", "a:1"), ("origin", "http://evil:1")]));
        assert!(!own(&[("host", "a:1"), ("origin", "null")]));
        assert!(!own(&[("host", "a:1"), ("origin", "http://a:1"), ("sec-fetch-site", "cross-site")]));
        assert!(!own(&[("host", "a:1"), ("sec-fetch-site", "same-site")]));
        assert!(!own(&[("host", "a:1")]), "who does not say is not believed");
    }

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for good in
            ["localhost", "localhost:8642", "127.0.0.1:8642", "127.1.2.3", "[::1]:8642", "LOCALHOST:1"]
        {
            assert!(is_loopback(good), "{good}");
        }
        for bad in
            ["", "evil.example", "evil.example:8642", "localhost.evil.example", "10.0.0.1:8642", "[::2]:1"]
        {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        assert_eq!(cookie(&headers(&[("cookie", "a=b; windlass_token=wlt_x; c=d")])), Some("wlt_x"));
        assert_eq!(cookie(&headers(&[("cookie", "not_windlass_token=wlt_x")])), None);
    }
}
