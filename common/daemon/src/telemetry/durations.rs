//! Durations of [`Timings`] as a histogram.

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};
use spike_mtls::timings::{Timings, TimingsSeen};

/// Writes a histogram without labels.
///
/// # Errors
/// The encoder's.
pub(super) fn encode_timings(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    timings: &Timings,
) -> Result<(), std::fmt::Error> {
    encode(encoder.encode_descriptor(name, help, None, MetricType::Histogram)?, &timings.seen())
}

/// Writes a histogram with a sample for each of these label sets.
///
/// # Errors
/// The encoder's.
pub fn encode_timings_by<S: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    samples: impl IntoIterator<Item = (S, TimingsSeen)>,
) -> Result<(), std::fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for (labels, seen) in samples {
        encode(metric.encode_family(&labels)?, &seen)?;
    }
    Ok(())
}

fn encode(mut sample: MetricEncoder<'_>, seen: &TimingsSeen) -> Result<(), std::fmt::Error> {
    sample.encode_histogram::<NoLabelSet>(seen.sum, seen.count, &seen.buckets, None)
}
