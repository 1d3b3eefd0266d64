//! What a scrape needs to know, without knowing how a scrape is rendered.

use crate::histogram::HistogramSnapshot;

/// All samples of one name. Counters end in `_total`, times in `_seconds`.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The full name, such as `joulebook_commands_total`.
    pub name: &'static str,
    /// One sentence for a person.
    pub help: &'static str,
    /// Which variant all values have.
    pub kind: Kind,
    /// One per combination of labels.
    pub samples: Vec<Sample>,
}

/// The kind of every value of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations.
    Histogram,
}

/// Name and value of a label.
pub type Label = (&'static str, String);

/// One value with its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Empty for a family with a single value.
    pub labels: Vec<Label>,
    /// Of the family's kind.
    pub value: Value,
}

/// A value of one of the three kinds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A count since the start.
    Counter(u64),
    /// A current value.
    Gauge(i64),
    /// Durations; see [`HistogramSnapshot::buckets_seconds`].
    Histogram(Box<HistogramSnapshot>),
}

impl Family {
    /// The name without `_total`, for renderers that append it themselves.
    pub fn stem(&self) -> &'static str {
        self.name.strip_suffix("_total").unwrap_or(self.name)
    }

    pub(crate) fn counters(name: &'static str, help: &'static str, samples: Vec<(Vec<Label>, u64)>) -> Self {
        let sample = |(labels, count)| Sample { labels, value: Value::Counter(count) };
        Self { name, help, kind: Kind::Counter, samples: samples.into_iter().map(sample).collect() }
    }

    pub(crate) fn counter(name: &'static str, help: &'static str, count: u64) -> Self {
        Self::counters(name, help, vec![(Vec::new(), count)])
    }

    pub(crate) fn gauge(name: &'static str, help: &'static str, value: i64) -> Self {
        let samples = vec![Sample { labels: Vec::new(), value: Value::Gauge(value) }];
        Self { name, help, kind: Kind::Gauge, samples }
    }

    pub(crate) fn histograms(
        name: &'static str,
        help: &'static str,
        samples: Vec<(Vec<Label>, HistogramSnapshot)>,
    ) -> Self {
        let sample = |(labels, snapshot)| Sample { labels, value: Value::Histogram(Box::new(snapshot)) };
        Self { name, help, kind: Kind::Histogram, samples: samples.into_iter().map(sample).collect() }
    }
}
