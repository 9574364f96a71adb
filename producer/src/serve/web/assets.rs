//! Files of the page. Their address holds what they are, so that browsers keep them for ever.

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};

struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const ASSETS: [Asset; 5] = [
    Asset { name: "app.css", kind: "text/css; charset=utf-8", bytes: include_bytes!("assets/app.css") },
    Asset { name: "app.js", kind: "text/javascript; charset=utf-8", bytes: include_bytes!("assets/app.js") },
    Asset {
        name: "charts.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("assets/charts.js"),
    },
    Asset {
        name: "theme.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("assets/theme.js"),
    },
    Asset { name: "logo.svg", kind: "image/svg+xml", bytes: include_bytes!("assets/logo.svg") },
];

static HASHES: LazyLock<BTreeMap<&'static str, String>> = LazyLock::new(|| {
    ASSETS.iter().map(|asset| (asset.name, blake3::hash(asset.bytes).to_hex()[..16].to_owned())).collect()
});

/// The address of a file, for pages.
pub(super) fn address(name: &str) -> String {
    let hash = HASHES.get(name).map_or("", String::as_str);
    format!("/assets/{name}?v={hash}")
}

pub(super) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return (StatusCode::NOT_FOUND, "no such file\n").into_response();
    };
    let tag = format!("\"{}\"", HASHES.get(asset.name).map_or("", String::as_str));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, asset.kind)], asset.bytes).into_response()
    };
    let answer = response.headers_mut();
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.insert(header::ETAG, tag);
    }
    response
}

pub(super) async fn icon() -> Redirect {
    Redirect::permanent(&address("logo.svg"))
}
