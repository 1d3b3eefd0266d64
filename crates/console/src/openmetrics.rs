//! `/metrics` in the OpenMetrics text format.

use std::fmt;

use joulebook_metrics::{Family, HistogramSnapshot, Kind, Sample, Value};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::market::{Market, Quote};
use crate::vendor::Vendor;

pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text of one scrape.
pub(crate) fn render(families: Vec<Family>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("a String takes every write");
    text
}

/// What the server's metrics look like to the encoder.
#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in &self.0 {
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut metric = encoder.encode_descriptor(family.stem(), family.help, None, kind)?;
            for sample in &family.samples {
                if sample.labels.is_empty() {
                    encode(sample, &mut metric)?;
                } else {
                    encode(sample, &mut metric.encode_family(&sample.labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn encode(sample: &Sample, encoder: &mut MetricEncoder<'_>) -> Result<(), fmt::Error> {
    match &sample.value {
        Value::Counter(count) => encoder.encode_counter::<NoLabelSet, _, f64>(count, None),
        Value::Gauge(value) => encoder.encode_gauge(value),
        Value::Histogram(histogram) => {
            let sum_s = histogram.sum_ns() as f64 / 1e9;
            let buckets = buckets(histogram);
            let count = buckets.iter().map(|(_, count)| count).sum();
            encoder.encode_histogram::<NoLabelSet>(sum_s, count, &buckets, None)
        }
    }
}

/// The encoder adds buckets up itself, and calls the last one `+Inf` only when its bound is infinite.
fn buckets(histogram: &HistogramSnapshot) -> Vec<(f64, u64)> {
    let mut buckets = histogram.buckets_seconds();
    if let Some((bound, _)) = buckets.last_mut() {
        *bound = f64::INFINITY;
    }
    buckets
}

/// The market in numbers that a dashboard elsewhere can draw.
pub(crate) fn market_families(market: &Market) -> Vec<Family> {
    let open = market.listings().filter(|(_, listing)| listing.is_open()).count();
    let per_vendor = |values: [Option<Value>; Vendor::COUNT]| {
        let labels = |vendor: Vendor| vec![("vendor", vendor.name().to_owned())];
        let sample =
            |(vendor, value): (Vendor, Option<Value>)| Some(Sample { labels: labels(vendor), value: value? });
        Vendor::ALL.into_iter().zip(values).filter_map(sample).collect()
    };
    let offers = market.best_offers().map(|offer| offer.and_then(Quote::micro_ec_per_mtok).map(Value::Gauge));
    let sold =
        market.sold().total().map(|sold| Some(Value::Counter(u64::try_from(sold / 60).unwrap_or(u64::MAX))));
    vec![
        single("joulebook_trades_total", "Trades.", Value::Counter(market.trades())),
        single("joulebook_resting_orders", "Orders in the books now.", gauge(market.resting_orders())),
        single("joulebook_instruments_open", "Instruments that trade now.", gauge(open as u64)),
        Family {
            name: "joulebook_best_offer_micro_ec_per_mtok",
            help: "Lowest ask per million tokens of the reference model, in micro-EC.",
            kind: Kind::Gauge,
            samples: per_vendor(offers),
        },
        Family {
            name: "joulebook_sold_kilo_tokens_total",
            help: "Tokens of the reference model that traded, in thousands.",
            kind: Kind::Counter,
            samples: per_vendor(sold),
        },
    ]
}

/// 1 when `/readyz` says 200.
pub(crate) fn ready_family(is_ready: bool) -> Family {
    single("joulebook_ready", "Whether every readiness check holds.", gauge(u64::from(is_ready)))
}

fn single(name: &'static str, help: &'static str, value: Value) -> Family {
    let kind = match value {
        Value::Counter(_) => Kind::Counter,
        Value::Gauge(_) => Kind::Gauge,
        Value::Histogram(_) => Kind::Histogram,
    };
    Family { name, help, kind, samples: vec![Sample { labels: Vec::new(), value }] }
}

fn gauge(value: u64) -> Value {
    Value::Gauge(i64::try_from(value).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use joulebook_metrics::ServerMetrics;

    use super::*;

    /// The reference page has a row for every name, and for nothing else.
    #[test]
    fn the_reference_page_is_complete() {
        let mut families = ServerMetrics::new(1).families(|_| None);
        families.extend(market_families(&Market::default()));
        families.push(ready_family(true));
        let served: BTreeSet<(&str, &str)> = families
            .iter()
            .map(|family| {
                let kind = match family.kind {
                    Kind::Counter => "counter",
                    Kind::Gauge => "gauge",
                    Kind::Histogram => "histogram",
                };
                (family.name, kind)
            })
            .collect();
        let page = include_str!("../../../docs/reference/metrics.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
        let documented: BTreeSet<_> =
            rows.map(|(name, rest)| (name, rest.split([' ', '|']).next().unwrap_or_default())).collect();
        assert_eq!(documented, served);
    }
}
