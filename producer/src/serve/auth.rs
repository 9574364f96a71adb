//! Who asks, and what they may: bearer tokens with roles.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use windlass_shared::config::{Config, Role, TokenHash, TokenSpec, read_tokens_file};

use super::{
    app::App,
    problem::{Answer, Kind, Problem},
    web,
};

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The name of their token.
    pub(crate) name: Arc<str>,
    roles: Arc<[Role]>,
    /// None where nobody is asked for one.
    token: Option<TokenHash>,
}

impl Caller {
    pub(crate) fn may(&self, role: Role) -> bool {
        may(&self.roles, role)
    }
}

fn may(roles: &[Role], role: Role) -> bool {
    roles.contains(&role) || (role == Role::Read && roles.contains(&Role::Operate))
}

/// How often the file of tokens is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The tokens that are known.
pub(crate) struct Guard {
    /// Nobody is asked for a token.
    anonymous: bool,
    configured: Vec<TokenSpec>,
    file: Option<PathBuf>,
    /// What the file was like before it was read.
    stamp: Stamp,
    of_file: RwLock<Vec<TokenSpec>>,
}

/// What tells whether a file changed.
type Stamp = Option<(SystemTime, u64)>;

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Guard {
    pub(super) fn new(config: &Config, anonymous: bool) -> Result<Self, crate::exit::Failure> {
        let (configured, file) = (config.tokens.clone(), config.serve.tokens_file.clone());
        let stamp = file.as_deref().and_then(stamp);
        let of_file = file.as_deref().map(read_tokens_file).transpose()?.unwrap_or_default();
        Ok(Self { anonymous, configured, file, stamp, of_file: RwLock::new(of_file) })
    }

    /// Nobody could ever come in.
    pub(super) fn is_closed(&self) -> bool {
        !self.anonymous && self.configured.is_empty() && self.file.is_none()
    }

    /// Whether anybody may do anything.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// The owner of a token. Every known token is compared, whole, so that the time tells nothing.
    pub(crate) fn caller(&self, token: Option<&str>) -> Option<Caller> {
        if self.anonymous {
            return Some(Caller { name: "anonymous".into(), roles: Role::ALL.into(), token: None });
        }
        let token = token?;
        let of_file = self.of_file.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        for known in self.configured.iter().chain(of_file.iter()) {
            if known.hash.is_of(token) && found.is_none() {
                found = Some(Caller {
                    name: known.name.as_str().into(),
                    roles: known.roles.as_slice().into(),
                    token: Some(known.hash.clone()),
                });
            }
        }
        found
    }

    /// Whether a caller who was let in may still do what this role may. What goes on for long asks again and again.
    pub(crate) fn check(&self, caller: &Caller, role: Role) -> Answer<()> {
        if self.anonymous {
            return Ok(());
        }
        let of_file = self.of_file.read().unwrap_or_else(PoisonError::into_inner);
        let mut known = self.configured.iter().chain(of_file.iter());
        if known.any(|known| caller.token.as_ref() == Some(&known.hash) && may(&known.roles, role)) {
            return Ok(());
        }
        Err(Problem::new(
            Kind::Unauthorized,
            "the token was taken back: ask for another one where this one came from",
        ))
    }

    /// Reads the file of tokens again whenever it changes. One that cannot be read changes nothing, and is tried again.
    pub(super) async fn follow(self: Arc<Self>) {
        let Some(path) = self.file.clone() else { return };
        let (mut seen, mut told) = (self.stamp, self.stamp);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = stamp(&path);
            if now == seen {
                continue;
            }
            match read_tokens_file(&path) {
                Ok(tokens) => {
                    seen = now;
                    tracing::info!(tokens = tokens.len(), "the file of tokens was read again");
                    *self.of_file.write().unwrap_or_else(PoisonError::into_inner) = tokens;
                }
                Err(_) if now == told => {}
                Err(why) => {
                    told = now;
                    tracing::error!(%why, "the file of tokens cannot be read: the tokens stay as they are");
                }
            }
        }
    }
}

/// The token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Lets a request through whose caller has the role.
pub(super) async fn need(
    State((app, role)): State<(App, Role)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(caller) = app.guard.caller(bearer(request.headers())) else {
        let detail =
            "send `Authorization: Bearer TOKEN`; `windlass tokens generate NAME --roles read` makes one";
        return Err(Problem::new(Kind::Unauthorized, detail));
    };
    if app.guard.is_anonymous() && web::is_foreign(&request, &app.context.config.serve.cors_origins) {
        let detail = "without tokens the API is for programs of this machine, not for pages of other sites";
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    if !caller.may(role) {
        let detail = format!("token {:?} lacks the role {}", caller.name, role.as_str());
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}
