//! Which policies make an administrator: upstream's rule, and the stricter setting.

use anyhow::Result;
use http::StatusCode;
use spike_mtls::client::NexusClient;
use spike_tests::{Running, policies::allow};
use spike_wire::{ExplainRequest, WhoCanRequest};

use super::status;
use crate::{WORKLOAD, scenario};

const ACL: &str = "spike/system/acl";

/// The answer when the workload writes a policy.
async fn makes_a_policy(workload: &NexusClient) -> Option<StatusCode> {
    status(workload.put_policy(&allow("made", "/workload/other", "^made$", &["read"])).await)
}

/// A cluster with this setting, in which a policy for everything lets the workload do everything.
async fn with_everything(setting: Option<&str>) -> Result<(Running, NexusClient)> {
    let cluster = match setting {
        None => scenario().start().await?,
        Some(word) => scenario().setting("SPIKE_NEXUS_RESERVED_PATHS", word).start().await?,
    };
    let superuser = cluster.superuser()?;
    superuser.put_policy(&allow("everything", WORKLOAD, "^.*$", &["super"])).await?;
    Ok((cluster, superuser))
}

/// Whether `explain` says that the workload may write policies, and who `who-can` says may.
async fn told(superuser: &NexusClient) -> Result<(bool, Vec<String>)> {
    let (path, permission) = (ACL.to_owned(), "write".to_owned());
    let spiffe_id = format!("spiffe://spike.ist{WORKLOAD}");
    let question = ExplainRequest { spiffe_id, path: path.clone(), permission: permission.clone() };
    let allowed = superuser.explain(&question).await?.allowed;
    let who = superuser.who_can(&WhoCanRequest { path, permission }).await?;
    Ok((allowed, who.grantees.into_iter().map(|grantee| grantee.policy).collect()))
}

async fn is_an_administrator_to_lint(superuser: &NexusClient) -> Result<bool> {
    let lint = superuser.lint_policies().await?;
    Ok(lint.findings.iter().any(|finding| finding.code == "administrator"))
}

#[tokio::test]
async fn a_policy_for_everything_makes_an_administrator_as_upstream_and_lint_says_so() -> Result<()>
{
    for setting in [None, Some("pattern")] {
        let (cluster, superuser) = with_everything(setting).await?;
        let workload = cluster.as_id(WORKLOAD)?;
        assert_eq!(makes_a_policy(&workload).await, None);
        assert_eq!(told(&superuser).await?, (true, vec!["everything".to_owned()]));
        assert!(is_an_administrator_to_lint(&superuser).await?);
        cluster.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn where_reserved_paths_must_be_named_a_policy_for_everything_makes_no_administrator()
-> Result<()> {
    let (cluster, superuser) = with_everything(Some("literal")).await?;
    let workload = cluster.as_id(WORKLOAD)?;
    assert_eq!(makes_a_policy(&workload).await, Some(StatusCode::UNAUTHORIZED));
    assert_eq!(told(&superuser).await?, (false, Vec::new()));
    assert!(!is_an_administrator_to_lint(&superuser).await?);
    // It still has every permission on secrets.
    workload.put_secret(&spike_tests::secrets::put("any/path", &[("k", "v")])).await?;

    superuser.put_policy(&allow("named", WORKLOAD, "^spike/system/acl$", &["write"])).await?;
    assert_eq!(makes_a_policy(&workload).await, None);
    assert_eq!(told(&superuser).await?, (true, vec!["named".to_owned()]));
    cluster.stop().await
}

#[tokio::test]
async fn spike_does_not_make_an_administrator_by_accident() -> Result<()> {
    let cluster = scenario().start().await?;
    let create = [
        "policy",
        "create",
        "--name",
        "everything",
        "--permissions",
        "super",
        "--spiffeid-pattern",
        r"^spiffe://spike\.ist/workload/app1$",
        "--path-pattern",
        "^.*$",
    ];
    let refused = cluster.spike(&create).await?;
    assert_eq!(refused.status, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("makes an administrator"), "{refused:?}");
    let workload = cluster.as_id(WORKLOAD)?;
    assert_eq!(makes_a_policy(&workload).await, Some(StatusCode::UNAUTHORIZED));
    cluster.spike(&[&create[..], &["--yes"]].concat()).await?.done()?;
    assert_eq!(makes_a_policy(&workload).await, None);
    cluster.stop().await
}
