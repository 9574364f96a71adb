//! `scripted`: a stand-in for hosted models, alone.

use std::path::Path;

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use windlass_llm::scripted::{Scenario, Scripted, ScriptedOptions};

use crate::{
    cli,
    exit::{Done, Failure},
    output::{self, say},
    steps::duration,
};

/// Reads a scenario, or says what is wrong with it.
pub(crate) fn load(path: &Path) -> Done<Scenario> {
    Scenario::load(path).map_err(|error| Failure::Usage(error.to_string()))
}

/// `windlass scripted`.
pub(crate) async fn run(args: cli::Scripted) -> Done {
    let limit = args.duration.as_deref().map(|text| duration("--duration", text)).transpose()?;
    let scenario = args.scenario.as_deref().map(load).transpose()?;
    if args.check {
        let rules = scenario.as_ref().map_or(0, Scenario::rules);
        let word = if rules == 1 { "rule" } else { "rules" };
        say!("the scenario is valid: {rules} {word}");
        return Ok(());
    }
    if !args.listen.ip().is_loopback() {
        let message =
            "--listen: give a loopback address such as 127.0.0.1:8091: the stand-in lets anybody in";
        return Err(Failure::Usage(message.into()));
    }
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Failure::Usage(format!("--listen {}: {error}", args.listen)))?;
    let mut scripted = Scripted::on(listener, ScriptedOptions { scenario, ..ScriptedOptions::default() })?;
    output::line(&scripted.base_url())?;
    output::flush()?;
    say!("a scripted stand-in for models: its answers are no model's; Ctrl-C ends it");
    let mut terminate = signal(SignalKind::terminate())?;
    let over = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        () = over => {}
        ended = scripted.ended() => ended?,
    }
    Ok(())
}
