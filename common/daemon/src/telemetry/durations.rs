//! Durations of [`Timings`] as a histogram.

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};
use spike_mtls::timings::Timings;

/// Writes a histogram without labels.
///
/// # Errors
/// The encoder's.
pub(super) fn encode_timings(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    timings: &Timings,
) -> Result<(), std::fmt::Error> {
    encode(encoder.encode_descriptor(name, help, None, MetricType::Histogram)?, timings)
}

/// Writes a histogram with a sample for each of these label sets.
///
/// # Errors
/// The encoder's.
pub fn encode_timings_by<'a, S: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    samples: impl IntoIterator<Item = (S, &'a Timings)>,
) -> Result<(), std::fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for (labels, timings) in samples {
        encode(metric.encode_family(&labels)?, timings)?;
    }
    Ok(())
}

fn encode(mut sample: MetricEncoder<'_>, timings: &Timings) -> Result<(), std::fmt::Error> {
    let seen = timings.seen();
    sample.encode_histogram::<NoLabelSet>(seen.sum, seen.count, &seen.buckets, None)
}
