//! `serve`: the HTTP API, the metrics of the fleet, and the web page.
//!
//! Any number of these may run: nothing is kept here that another one needs. The state is Redis's.

pub(crate) mod api;
pub(crate) mod app;
pub(crate) mod auth;
mod check;
pub(crate) mod cursor;
mod extract;
pub(crate) mod fleet;
mod idempotency;
mod metrics;
mod openapi;
pub(crate) mod problem;
mod registered;
mod router;
mod stream;
mod tls;
mod traced;
mod web;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum_server::Handle;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use socket2::{SockRef, TcpKeepalive};
use tokio::signal::unix::{SignalKind, signal};
use windlass_telemetry::otel::{Setup, Telemetry};

use self::{app::App, auth::Guard};
use crate::{
    cli,
    context::Context,
    exit::{Done, Failure},
    output::{self, say},
};

pub(crate) use self::router::document;

/// `windlass serve`.
pub(crate) async fn run(context: Context, args: cli::Serve) -> Done {
    if args.check {
        return check::run(&context).await;
    }
    let listen = context.config.serve.listen;
    let guard = Arc::new(Guard::new(&context.config, args.anonymous)?);
    admit(&guard, listen)?;
    let tls = tls::load(&context.config.serve).await?;
    let listener = bind(listen)?;
    let address = listener.local_addr()?;
    let telemetry = begin_telling(&context)?;
    let store = context.store_patiently().await?;
    let app = App::new(context, store, Arc::clone(&guard));
    tokio::spawn(guard.follow());
    let scheme = if tls.is_some() { "https" } else { "http" };
    // On stdout, so that a script can take it.
    output::line(&format!("{scheme}://{address}"))?;
    output::flush()?;
    say!("windlass: serving the API and the page at {scheme}://{address}, until Ctrl-C");
    let ended = serve(app, listener, tls).await;
    send_the_rest(telemetry).await;
    ended
}

/// Who may come in is decided before anything listens.
fn admit(guard: &Guard, listen: SocketAddr) -> Done {
    if guard.is_closed() {
        return Err(Failure::Usage(
            "nobody could use the API: make a token with `windlass tokens generate NAME --roles read,operate` and put what it prints into the configuration, or say --anonymous (on a loopback address)".into(),
        ));
    }
    if guard.is_anonymous() && !listen.ip().is_loopback() {
        return Err(Failure::Usage(format!(
            "--anonymous lets anybody do anything, so only on a loopback address such as 127.0.0.1:8642, and not on {listen}"
        )));
    }
    Ok(())
}

fn bind(listen: SocketAddr) -> Done<TcpListener> {
    let bound = TcpListener::bind(listen).and_then(|listener| {
        listener.set_nonblocking(true)?;
        // Connections inherit it: a client that vanished without a word is noticed.
        SockRef::from(&listener)
            .set_tcp_keepalive(&TcpKeepalive::new().with_time(HEAD).with_interval(ALIVE))?;
        Ok(listener)
    });
    bound.map_err(|error| {
        Failure::Usage(format!("{listen} cannot be had: {error} (--listen, setting serve.listen)"))
    })
}

/// Begins to log, and to send traces and logs if a collector is named.
fn begin_telling(context: &Context) -> Done<Telemetry> {
    let log = &context.config.log;
    let Setup { telemetry, layer, warnings } = Telemetry::setup("windlass-serve", env!("CARGO_PKG_VERSION"));
    windlass_shared::logging::init_with(&log.level, log.format, layer).map_err(Failure::Usage)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(telemetry)
}

/// How long a collector may take for what is left at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

async fn send_the_rest(telemetry: Telemetry) {
    if let Ok(false) = tokio::task::spawn_blocking(move || telemetry.end(LAST_WORDS)).await {
        tracing::warn!("the last traces or logs could not be sent (OTEL_EXPORTER_OTLP_ENDPOINT)");
    }
}

async fn serve(app: App, listener: TcpListener, tls: Option<tls::Config>) -> Done {
    let handle = Handle::new();
    tokio::spawn(leave(app.clone(), handle.clone()));
    let service = router::build(app.clone()).into_make_service();
    match tls {
        Some(tls) => {
            let mut server = axum_server::from_tcp_rustls(listener, tls)?;
            bound(server.http_builder());
            server.handle(handle).serve(service).await?;
        }
        None => {
            let mut server = axum_server::from_tcp(listener)?;
            bound(server.http_builder());
            server.handle(handle).serve(service).await?;
        }
    }
    // What was begun for clients that have left.
    app.works.close();
    _ = tokio::time::timeout(app.context.config.serve.drain_timeout, app.works.wait()).await;
    Ok(())
}

/// How long the head of a request may take, and a connection may wait for its next one.
const HEAD: Duration = Duration::from_secs(60);
/// How often a silent HTTP/2 connection is asked whether it is there.
const ALIVE: Duration = Duration::from_secs(30);

/// Connections that do nothing, or are there no more, are not kept.
fn bound(http: &mut Builder<TokioExecutor>) {
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    http.http2().timer(TokioTimer::new()).keep_alive_interval(ALIVE);
}

/// At a signal: takes no more, ends streams and waits, lets the others finish. At the second: ends them all.
async fn leave(app: App, handle: Handle<SocketAddr>) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    let mut told = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    told().await;
    tracing::info!("leaving: requests that run may finish");
    app.leaving.cancel();
    let patience: Duration = app.context.config.serve.drain_timeout;
    handle.graceful_shutdown(Some(patience));
    told().await;
    handle.shutdown();
}
