//! The span of a submission, where a collector is named: it goes on with the trace of whoever runs the command, and the
//! tasks go on with it.

use std::time::Duration;

use windlass_shared::model::TypeName;
use windlass_telemetry::otel::{At, Kind, Parent, Setup, Start, Telemetry, span};

use crate::{
    cli::Command,
    commands::inherited,
    context::Context,
    exit::{self, Done},
    output::say,
};

/// How long a collector may take at the end. Somebody waits for the command.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Begins to send, and the span, if this command submits and a collector is named.
pub(crate) fn begin(command: &Command, context: &mut Context) -> Option<Telemetry> {
    let Command::Submit(args) = command else { return None };
    if args.dry_run {
        return None;
    }
    let Setup { telemetry, warnings, .. } = Telemetry::setup("windlass", env!("CARGO_PKG_VERSION"));
    for warning in warnings {
        say!("windlass: {warning}");
    }
    let task_type = args.task_type.as_deref().and_then(|name| TypeName::new(name).ok());
    let of_type = task_type.and_then(|task_type| inherited(context, &task_type).queue);
    let queue = of_type.unwrap_or_else(|| context.queue());
    context.span = span(|| {
        Start::new(format!("send {queue}"), Kind::Producer)
            .within(context.trace.as_ref().and_then(At::of).map_or(Parent::Nothing(None), Parent::Of))
            .with("messaging.system", "windlass")
            .with("messaging.operation.name", "send")
            .with("messaging.operation.type", "send")
            .with("messaging.destination.name", queue.to_string())
            .with_text("windlass.task.type", args.task_type.as_deref().unwrap_or_default())
            .with_text("windlass.task.batch", args.batch.as_deref().unwrap_or_default())
    });
    if let Some(at) = context.span.at() {
        context.trace = Some(at.into());
    }
    Some(telemetry)
}

/// Ends the span, and sends what is left. A collector that is away is no failure.
pub(crate) async fn end(telemetry: Telemetry, context: &Context, outcome: &Done) {
    if outcome.is_err() {
        context.span.fail(&format!("exit_{}", exit::code(outcome)), "");
    }
    context.span.finish();
    if let Ok(false) = tokio::task::spawn_blocking(move || telemetry.end(LAST_WORDS)).await {
        say!("windlass: the trace could not be sent to the collector (OTEL_EXPORTER_OTLP_ENDPOINT)");
    }
}
