//! `/metrics` over mTLS, for the SPIFFE IDs of `SPIKE_METRICS_SPIFFE_IDS`.

use anyhow::{Context, Result};
use spike_tests::{
    SUPERUSER,
    crew::Crew,
    logs::{AuditLine, Metrics},
    raw::{Answer, Dialer},
};

use crate::{WORKLOAD, crew, scenario};

const READER: &str = "/prometheus";
const SETTING: &str = "SPIKE_METRICS_SPIFFE_IDS";
const IDS: &str = "spiffe://spike.ist/prometheus, spiffe://other.example/x";
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

async fn get(dialer: &Dialer, target: &str) -> Result<Answer> {
    get_with(dialer, target, "").await
}

/// The same with more headers, each with its end.
async fn get_with(dialer: &Dialer, target: &str, headers: &str) -> Result<Answer> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    dialer.connect().await?.exchange(request).await
}

/// An answer without what differs from one request to the next.
fn what(answer: &Answer) -> (u16, String, Option<String>) {
    let kind = answer.header("content-type").map(str::to_owned);
    (answer.status, answer.status_and_body().1.to_owned(), kind)
}

async fn set_up() -> Result<Crew> {
    crew().setting(SETTING, IDS).start().await
}

#[tokio::test]
async fn a_reader_of_the_setting_gets_the_metrics_of_nexus_and_keepers_over_both_protocols()
-> Result<()> {
    let mut crew = set_up().await?;
    for program in ["nexus", "keeper"] {
        for path in [READER, "/prometheus/0"] {
            let dialer = match program {
                "nexus" => crew.dial_as(path)?,
                _ => crew.dial_keeper_as(1, path)?,
            };
            // As Prometheus asks.
            let open = "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n";
            let answer = get_with(&dialer, "/metrics", open).await?;
            assert_eq!(answer.status, 200, "{program} {path}");
            assert_eq!(answer.header("content-type"), Some(OPEN_TYPE));
            let text = answer.status_and_body().1;
            assert!(text.ends_with("# EOF\n"), "{program}: it is not whole");
            let build = format!(
                r#"spike_build_info{{program="{program}",version="{}"}}"#,
                env!("CARGO_PKG_VERSION")
            );
            assert_eq!(Metrics::parse(text).get(&build), Some(1.0));

            let mut http2 = dialer.offering("h2").connect().await?.http2().await?;
            let answer = http2.get("/metrics").await?;
            assert_eq!(answer.status(), 200, "{program} {path}");
            assert_eq!(answer.headers()["content-type"], TYPE);
            let text = String::from_utf8_lossy(answer.body());
            assert!(text.contains("\n# TYPE spike_requests_total counter\n"), "{text}");
            assert!(text.ends_with('\n') && !text.contains("# EOF"), "{text}");
        }
    }
    crew.stop().await
}

#[tokio::test]
async fn for_everybody_else_there_is_no_such_route() -> Result<()> {
    let crew = set_up().await?;
    for path in [WORKLOAD, SUPERUSER, "/prometheus2", "/spike/nexus"] {
        let dialer = crew.dial_as(path)?;
        let (metrics, unknown) = (get(&dialer, "/metrics").await?, get(&dialer, "/nowhere").await?);
        assert!(metrics.status >= 400, "{path}: {}", metrics.status);
        assert_eq!(what(&metrics), what(&unknown), "{path}");
        let mut http2 = dialer.offering("h2").connect().await?.http2().await?;
        let (metrics, unknown) = (http2.get("/metrics").await?, http2.get("/nowhere").await?);
        assert_eq!(
            (metrics.status(), metrics.body()),
            (unknown.status(), unknown.body()),
            "{path} over HTTP/2"
        );
    }
    crew.stop().await
}

#[tokio::test]
async fn a_reader_may_do_nothing_else_and_only_a_get_of_the_very_path_is_one() -> Result<()> {
    let mut crew = set_up().await?;
    let nexus = crew.dial_as(READER)?;
    let keeper = crew.dial_keeper_as(1, READER)?;
    let secret = nexus.connect().await?.post("/v1/store/secrets?action=get", "{}").await?;
    assert_eq!(secret.status, 401);
    let share = keeper.connect().await?.post("/v1/store/shard", "{}").await?;
    assert_eq!(share.status, 401);
    for dialer in [&nexus, &keeper] {
        let unknown = get(dialer, "/nowhere").await?.status;
        for target in ["/metrics/", "/Metrics", "/healthz", "/"] {
            assert_eq!(get(dialer, target).await?.status, unknown, "{target}");
        }
        for method in ["HEAD", "PUT", "DELETE"] {
            let request =
                format!("{method} /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
            let mut connection = dialer.connect().await?;
            connection.send(request).await?;
            let answer = match method {
                "HEAD" => connection.answer_without_body().await?,
                _ => connection.answer().await?,
            };
            assert_eq!(answer.status, unknown, "{method}");
        }
        assert_eq!(dialer.connect().await?.post("/metrics", "").await?.status, unknown);
    }
    crew.stop().await
}

#[tokio::test]
async fn reading_the_metrics_has_its_audit_line_and_its_count() -> Result<()> {
    let mut crew = set_up().await?;
    let answer = get(&crew.dial_as(READER)?, "/metrics").await?;
    let line =
        AuditLine::find(&std::fs::read_to_string(crew.nexus().audit())?, answer.request_id()?)?;
    for (field, value) in [
        ("UserID", "spiffe://spike.ist/prometheus"),
        ("Component", "RouteMetrics"),
        ("Action", "read"),
        ("Path", "/metrics"),
        ("State", "audit-success"),
    ] {
        assert_eq!(line.get(field), value, "{field}");
    }
    assert_eq!(line.get("Status"), 200);
    let count = r#"spike_requests_total{route="metrics",status="200",role="workload"}"#;
    assert_eq!(crew.metrics().await?.get(count), Some(1.0));
    crew.stop().await
}

/// Whoever watches must see that it is sealed.
#[tokio::test]
async fn a_sealed_nexus_gives_its_metrics() -> Result<()> {
    let mut crew = crew().setting(SETTING, IDS).start_sealed().await?;
    let answer = get(&crew.dial_as(READER)?, "/metrics").await?;
    let metrics = Metrics::parse(answer.status_and_body().1);
    assert_eq!(metrics.get(r#"spike_check_passing{check="root_key"}"#), Some(0.0));
    crew.nexus().get("/livez").await.context("it serves")?;
    crew.stop().await
}

#[tokio::test]
async fn without_the_setting_nobody_reads_metrics_over_mtls_and_a_keeper_refuses_the_handshake()
-> Result<()> {
    let cluster = scenario().start().await?;
    let dialer = cluster.dial_as(READER)?;
    let (metrics, unknown) = (get(&dialer, "/metrics").await?, get(&dialer, "/nowhere").await?);
    assert_eq!(what(&metrics), what(&unknown));
    cluster.stop().await?;
    let mut crew = crew().start().await?;
    let refused = get(&crew.dial_keeper_as(1, READER)?, "/metrics").await;
    assert!(refused.is_err(), "{refused:?}");
    crew.stop().await
}
