//! Sets up what is sent to a collector, as the standard variables say.

use std::{env, time::Duration};

use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::{OpenTelemetryTracingBridge, TracingSpanAttributes};
use opentelemetry_otlp::{LogExporter, SpanExporter};
use opentelemetry_sdk::{Resource, logs::SdkLoggerProvider, trace::SdkTracerProvider};
use tracing_subscriber::{Layer, Registry, filter::filter_fn};

use super::{ids::Ids, span::TRACER};

/// A layer that sends logs.
pub type LogLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Libraries that send what we log: if they were heard, each sending would make more to send.
const SENDERS: [&str; 8] =
    ["opentelemetry", "hyper", "hyper_util", "reqwest", "h2", "rustls", "tonic", "tower"];
/// What logs tell of the attempt that they are of.
const OF_SPANS: [&str; 4] = ["task", "type", "attempt", "trace_id"];

/// What is sent to a collector.
#[derive(Debug, Default)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    logs: Option<SdkLoggerProvider>,
}

/// Telemetry, what goes under the logs for it, and what is wrong with the variables.
pub struct Setup {
    /// To be ended before the program.
    pub telemetry: Telemetry,
    /// Sends logs, if they are sent.
    pub layer: Option<LogLayer>,
    /// Why less is sent than was asked for.
    pub warnings: Vec<String>,
}

/// A variable that is set and not empty.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Whether a signal (`TRACES`, `LOGS`) is sent. Traces are where a collector is named, logs where they are asked for.
fn wanted(signal: &str, warnings: &mut Vec<String>) -> bool {
    if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return false;
    }
    let named = || {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT");
        set(&own).or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT")).is_some()
    };
    let exporter = format!("OTEL_{signal}_EXPORTER");
    match set(&exporter).as_deref().map(str::trim) {
        Some("otlp") => true,
        Some("none") => false,
        None => signal == "TRACES" && named(),
        Some(other) => {
            warnings.push(format!(
                "{exporter}: {other:?} is not known here, so nothing is sent: use otlp or none"
            ));
            false
        }
    }
}

/// Whether gRPC is asked for.
fn is_grpc(signal: &str) -> bool {
    let own = set(&format!("OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"));
    own.or_else(|| set("OTEL_EXPORTER_OTLP_PROTOCOL")).is_some_and(|protocol| protocol.trim() == "grpc")
}

const NO_GRPC: &str = "this build sends no gRPC (Cargo feature otlp-grpc): set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf \
    and the endpoint's port for it, usually 4318";

fn span_exporter() -> Result<SpanExporter, String> {
    let builder = SpanExporter::builder();
    if is_grpc("TRACES") {
        #[cfg(feature = "otlp-grpc")]
        return builder.with_tonic().build().map_err(|error| error.to_string());
        #[cfg(not(feature = "otlp-grpc"))]
        return Err(NO_GRPC.into());
    }
    builder.with_http().build().map_err(|error| error.to_string())
}

fn log_exporter() -> Result<LogExporter, String> {
    let builder = LogExporter::builder();
    if is_grpc("LOGS") {
        #[cfg(feature = "otlp-grpc")]
        return builder.with_tonic().build().map_err(|error| error.to_string());
        #[cfg(not(feature = "otlp-grpc"))]
        return Err(NO_GRPC.into());
    }
    builder.with_http().build().map_err(|error| error.to_string())
}

/// Who sends: `service.name` is the program unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES says otherwise.
fn resource(program: &'static str, version: &'static str) -> Resource {
    let attributes = set("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let is_named = set("OTEL_SERVICE_NAME").is_some()
        || attributes.split(',').any(|pair| pair.trim().starts_with("service.name="));
    let builder =
        Resource::builder().with_attribute(opentelemetry::KeyValue::new("service.version", version));
    if is_named { builder.build() } else { builder.with_service_name(program).build() }
}

impl Telemetry {
    /// Begins to send, if anything is to be sent. Nothing here fails a program: what is wrong becomes a warning.
    pub fn setup(program: &'static str, version: &'static str) -> Setup {
        let mut warnings = Vec::new();
        let (traces, logs) = (wanted("TRACES", &mut warnings), wanted("LOGS", &mut warnings));
        let mut telemetry = Self::default();
        if !traces && !logs {
            return Setup { telemetry, layer: None, warnings };
        }
        // An error means that a provider is installed already, which is as good.
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut failed = |what: &str, why: String| warnings.push(format!("{what} are not sent: {why}"));
        if traces {
            match span_exporter() {
                Ok(exporter) => telemetry.send_traces(exporter, resource(program, version)),
                Err(why) => failed("traces", why),
            }
        }
        let mut layer = None;
        if logs {
            match log_exporter() {
                Ok(exporter) => layer = Some(telemetry.send_logs(exporter, resource(program, version))),
                Err(why) => failed("logs", why),
            }
        }
        Setup { telemetry, layer, warnings }
    }

    fn send_traces(&mut self, exporter: SpanExporter, resource: Resource) {
        let provider = SdkTracerProvider::builder()
            .with_id_generator(Ids::default())
            .with_resource(resource)
            .with_batch_exporter(exporter)
            .build();
        _ = TRACER.set(provider.tracer("windlass"));
        self.traces = Some(provider);
    }

    fn send_logs(&mut self, exporter: LogExporter, resource: Resource) -> LogLayer {
        let provider =
            SdkLoggerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
        let bridge = OpenTelemetryTracingBridge::builder(&provider)
            .with_tracing_span_attributes(TracingSpanAttributes::allowlist(OF_SPANS))
            .build();
        self.logs = Some(provider);
        let is_ours = |target: &str| !SENDERS.contains(&target.split("::").next().unwrap_or_default());
        bridge.with_filter(filter_fn(move |metadata| is_ours(metadata.target()))).boxed()
    }

    /// Sends what is left, within `patience`; what a collector does not take by then is lost. False if something was.
    /// It blocks: not for a thread that others wait for.
    pub fn end(self, patience: Duration) -> bool {
        let traces =
            std::thread::spawn(move || self.traces.is_none_or(|t| t.shutdown_with_timeout(patience).is_ok()));
        let logs = self.logs.is_none_or(|logs| logs.shutdown_with_timeout(patience).is_ok());
        traces.join().unwrap_or(false) && logs
    }
}
