//! The span of a request, where a collector is named: it goes on with the client's trace, and what is submitted in the
//! request goes on with it.

use axum::{
    extract::MatchedPath,
    http::{HeaderMap, HeaderValue, StatusCode},
    middleware::Next,
    response::Response,
};
use windlass_shared::model::Trace;
use windlass_telemetry::otel::{At, Kind, Parent, Span, Start, is_on, span};

/// The trace that a request belongs to.
pub(super) fn trace_of(headers: &HeaderMap) -> Option<Trace> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Trace::read(text("traceparent")?, text("tracestate"))
}

/// Answers a request of the API within a span. Whoever reads its headers finds the span as the client's.
pub(super) async fn within_span(mut request: axum::extract::Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let Some(route) = route.filter(|route| is_on() && route.starts_with("/v1/")) else {
        return next.run(request).await;
    };
    let method = request.method().to_string();
    let span = span(|| {
        let parent = trace_of(request.headers()).as_ref().and_then(At::of);
        Start::new(format!("{method} {route}"), Kind::Server)
            .within(parent.map_or(Parent::Nothing(None), Parent::Of))
            .with("http.request.method", method.clone())
            .with("http.route", route.clone())
    });
    tell(&span, request.headers_mut());
    let response = span.around(next.run(request)).await;
    ends(&span, response.status());
    response
}

/// What is passed on is a part of the span.
fn tell(span: &Span, headers: &mut HeaderMap) {
    let Some(trace) = span.at().map(Trace::from) else { return };
    for (name, value) in trace.headers() {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
}

/// A fault of the client is no failure of the server.
fn ends(span: &Span, status: StatusCode) {
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.fail(status.as_str(), "");
    }
}
