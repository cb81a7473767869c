//! Health check and metrics of the Keepers.

use std::sync::Arc;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use spike_mtls::clock;

use super::{KeeperState, Keepers, ShareState};

/// Whether every Keeper would help a restarted Nexus, and a restart would lose no other key. Readiness does not depend on it: with
/// the key in memory, Nexus serves without any Keeper. It fails with the first Keeper, long before a restart would fail.
///
/// # Errors
/// How many would help, how many more may be lost, and what is wrong with the others since when.
pub fn quorum_check(keepers: &Keepers) -> Result<(), String> {
    match (margin_check(keepers), keepers.left_beside()) {
        (checked, None) => checked,
        (Ok(()), Some(left)) => Err(left),
        (Err(trouble), Some(left)) => Err(format!("{left}; {trouble}")),
    }
}

fn margin_check(keepers: &Keepers) -> Result<(), String> {
    let states = keepers.states();
    let troubles: Vec<String> =
        states.iter().filter(|keeper| !keeper.share.helps()).map(trouble).collect();
    if troubles.is_empty() {
        return Ok(());
    }
    let helping = states.len() - troubles.len();
    let Some(margin) = keepers.known_margin() else {
        return Err(format!(
            "quorum margin not known while Nexus is sealed: only a key can judge the shares that Keepers hold; {}",
            troubles.join("; ")
        ));
    };
    let meaning = if keepers.is_sealed() {
        "Nexus, which is sealed, cannot take its key from them".to_owned()
    } else if margin < 0 {
        "a restarted Nexus would need an operator".to_owned()
    } else {
        format!("quorum margin {margin}")
    };
    Err(format!(
        "{helping} of {} Keepers hold their share, {} are needed: {meaning}; {}",
        states.len(),
        keepers.quorum().threshold(),
        troubles.join("; ")
    ))
}

fn trouble(keeper: &KeeperState) -> String {
    let what = match &keeper.share {
        ShareState::Unknown if keeper.looked.is_some() => "not heard of".to_owned(),
        ShareState::Unknown => "not asked yet".to_owned(),
        ShareState::Unreachable(reason) => format!("unreachable ({reason})"),
        ShareState::Empty => "holds no share".to_owned(),
        ShareState::Unusable(reason) => format!("sent no usable share ({reason})"),
        ShareState::Untold(reason) => format!("does not show what it holds ({reason})"),
        ShareState::Misplaced | ShareState::Foreign | ShareState::Repeated { .. } => {
            let state = keeper.share.to_string();
            state.strip_prefix("it ").unwrap_or(&state).to_owned()
        }
        ShareState::Forgetful(instead) => {
            format!("takes its share and sends {instead} when it is asked for it")
        }
        ShareState::Unjudged if keeper.made.is_some() => "holds a share".to_owned(),
        ShareState::Unjudged => "holds a share that was not judged yet".to_owned(),
        ShareState::Good => "fine".to_owned(),
    };
    let since = if matches!(keeper.share, ShareState::Unknown) {
        keeper.looked.unwrap_or(keeper.since)
    } else {
        keeper.since
    };
    let (since, failures) = (clock::second(since), keeper.failures);
    let times = if failures > 1 { format!(", {failures} times in a row") } else { String::new() };
    let advice = keeper.advice().map(|advice| format!(": {advice}")).unwrap_or_default();
    format!("Keeper {} at {} {what} since {since}{times}{advice}", keeper.index, keeper.url)
}

/// Metrics of the Keepers, computed at each scrape.
#[derive(Debug)]
pub struct KeeperMetrics(pub Arc<Keepers>);

impl Collector for KeeperMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let states = self.0.states();
        let count = |holds: fn(&ShareState) -> bool| {
            i64::try_from(states.iter().filter(|keeper| holds(&keeper.share)).count())
                .unwrap_or(i64::MAX)
        };
        for (name, help, value) in [
            ("keepers", "Keepers that are configured", count(|_| true)),
            ("keepers_reachable", "Keepers that answer", count(ShareState::reachable)),
            (
                "keepers_with_share",
                "Keepers that would help a restarted Nexus",
                count(ShareState::helps),
            ),
            (
                "quorum_margin",
                "Keepers that may still be lost before a restarted Nexus needs an operator, as of the last look at each",
                self.0.margin(),
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let given = &self.0.contributions.0;
        let help = "Shares that were given to Keepers, by outcome: kept (the Keeper gave it back), forgotten, refused, \
                    unreachable";
        let kind = given.metric_type();
        given.encode(encoder.encode_descriptor("keeper_contributions", help, None, kind)?)
    }
}
