//! The page of metrics, in the form that a scraper asks for: OpenMetrics, which has exemplars, or Prometheus's older text,
//! which every tool reads.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use crate::list::{Kind, METRICS, Metric};

/// The content type of OpenMetrics.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of the older text.
pub const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page and its content type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// For the header `Content-Type`.
    pub content_type: &'static str,
    /// The text.
    pub body: String,
}

/// What writes metrics.
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// Writes its families.
    fn write(&self, sheet: &mut Sheet<'_>) -> fmt::Result;
}

/// What families are written on.
pub struct Sheet<'a>(DescriptorEncoder<'a>);

/// Labels of a series.
pub type Labels = Vec<(&'static str, String)>;

impl Sheet<'_> {
    /// Writes a family: its head, then each series.
    pub fn family<'m, M: EncodeMetric + 'm>(
        &mut self,
        metric: &Metric,
        series: impl IntoIterator<Item = (Labels, &'m M)>,
    ) -> fmt::Result {
        let unit = metric.unit.map(|unit| Unit::Other(unit.to_owned()));
        let mut family =
            self.0.encode_descriptor(metric.stem(), metric.help, unit.as_ref(), metric.kind.metric_type())?;
        for (labels, series) in series {
            if labels.is_empty() {
                // There is no other one.
                return series.encode(family);
            }
            series.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// Writes a family of plain numbers.
    pub fn numbers(
        &mut self,
        metric: &Metric,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let series: Vec<_> = series.into_iter().collect();
        if metric.kind == Kind::Counter {
            let counters: Vec<_> =
                series.into_iter().map(|(l, number)| (l, ConstCounter::new(number))).collect();
            self.family(metric, counters.iter().map(|(labels, counter)| (labels.clone(), counter)))
        } else {
            let gauges: Vec<_> = series.into_iter().map(|(l, number)| (l, ConstGauge::new(number))).collect();
            self.family(metric, gauges.iter().map(|(labels, gauge)| (labels.clone(), gauge)))
        }
    }
}

/// A histogram as figures: each bucket's upper bound and count, the last bound being infinite; and the sum.
#[derive(Debug)]
pub(crate) struct ConstHistogram<'a> {
    pub(crate) buckets: &'a [(f64, u64)],
    pub(crate) sum: f64,
}

impl EncodeMetric for ConstHistogram<'_> {
    fn encode(&self, mut encoder: prometheus_client::encoding::MetricEncoder<'_>) -> fmt::Result {
        let count = self.buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(self.sum, count, self.buckets, None)
    }

    fn metric_type(&self) -> prometheus_client::metrics::MetricType {
        prometheus_client::metrics::MetricType::Histogram
    }
}

#[derive(Debug)]
struct All(Vec<Arc<dyn Source>>);

impl Collector for All {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet(encoder);
        self.0.iter().try_for_each(|source| source.write(&mut sheet))
    }
}

/// Writes what the sources tell, in the form that the header `Accept` of a scraper asks for.
pub fn page(sources: Vec<Arc<dyn Source>>, accept: Option<&str>) -> Page {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(All(sources)));
    let mut open = String::new();
    // A `String` takes everything.
    _ = text::encode(&mut open, &registry);
    if accept.is_some_and(wants_open_metrics) {
        Page { content_type: OPEN_METRICS, body: open }
    } else {
        Page { content_type: CLASSIC, body: classic(&open) }
    }
}

/// Whether a scraper names OpenMetrics, and does not like plain text better. `*/*` is no wish for it.
pub fn wants_open_metrics(accept: &str) -> bool {
    let quality = |wanted: &str| {
        let ranges = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            (parts.next()?.eq_ignore_ascii_case(wanted)).then(|| {
                let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f64>().ok());
                quality.unwrap_or(1.0)
            })
        });
        ranges.fold(0.0, f64::max)
    };
    let open = quality("application/openmetrics-text");
    open > 0.0 && open >= quality("text/plain")
}

/// OpenMetrics as the older text: heads of counters name their series, and there are no units, exemplars and end.
fn classic(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    for line in open.lines() {
        if line.starts_with("# EOF") || line.starts_with("# UNIT ") {
            continue;
        }
        if let Some((head, family, rest)) = head(line) {
            let name =
                METRICS.iter().find(|metric| metric.family() == family).map_or(family, |metric| metric.name);
            text.extend(["# ", head, " ", name, " ", rest]);
        } else {
            text.push_str(without_exemplar(line));
        }
        text.push('\n');
    }
    text
}

/// `HELP` or `TYPE`, the family, and the rest.
fn head(line: &str) -> Option<(&str, &str, &str)> {
    let mut words = line.strip_prefix("# ")?.splitn(3, ' ');
    Some((words.next()?, words.next()?, words.next().unwrap_or_default()))
}

/// A sample without what follows its value. A value of a label may hold any text, in quotes.
fn without_exemplar(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '#' if !quoted => return line[..at].trim_end(),
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for accept in
            [prometheus, "application/openmetrics-text", "text/plain;q=0.5, Application/OpenMetrics-Text"]
        {
            assert!(wants_open_metrics(accept), "{accept}");
        }
        for accept in [
            "*/*",
            "",
            "text/plain",
            "application/openmetrics-text;q=0",
            "text/plain, application/openmetrics-text;q=0.5",
        ] {
            assert!(!wants_open_metrics(accept), "{accept}");
        }
    }

    #[test]
    fn the_older_text_has_neither_exemplars_nor_units_nor_an_end() {
        let open = "# HELP process_cpu_seconds CPU time.\n# TYPE process_cpu_seconds counter\n\
            # UNIT process_cpu_seconds seconds\nprocess_cpu_seconds_total 1.5\n\
            x_bucket{le=\"1.0\",type=\"a # {b} \\\" # c\"} 3 # {trace_id=\"0a\"} 0.5\n# EOF\n";
        assert_eq!(
            classic(open),
            "# HELP process_cpu_seconds_total CPU time.\n# TYPE process_cpu_seconds_total counter\n\
             process_cpu_seconds_total 1.5\nx_bucket{le=\"1.0\",type=\"a # {b} \\\" # c\"} 3\n"
        );
    }
}
