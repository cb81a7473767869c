//! Why a workload is denied.

use anyhow::Result;
use spike_tests::{
    crew::Crew,
    policies::{allow, policy},
};

use super::{Found, doctor, doctor_as, well};
use crate::WORKLOAD;

const APP: &str = "spiffe://spike.ist/workload/app1";

async fn may(crew: &Crew, permission: &str, path: &str) -> Result<Found> {
    let question = ["--as", APP, "--path", path, "--permission", permission];
    doctor_as(crew, spike_tests::SUPERUSER, &question, &[]).await
}

#[tokio::test]
async fn a_path_pattern_that_does_not_match() -> Result<()> {
    let crew = well().await?;
    crew.superuser()?.put_policy(&allow("app1", WORKLOAD, "^app2/.*$", &["read"])).await?;
    may(&crew, "read", "app1/db").await?.is("a_path_pattern_that_does_not_match", 4)?;
    crew.stop().await
}

#[tokio::test]
async fn a_spiffe_id_pattern_that_does_not_match() -> Result<()> {
    let crew = well().await?;
    crew.superuser()?.put_policy(&allow("app2", "/workload/app2", "^app1/.*$", &["read"])).await?;
    may(&crew, "read", "app1/db").await?.is("a_spiffe_id_pattern_that_does_not_match", 4)?;
    crew.stop().await
}

#[tokio::test]
async fn a_permission_that_is_missing() -> Result<()> {
    let crew = well().await?;
    crew.superuser()?.put_policy(&allow("app1", WORKLOAD, "^app1/.*$", &["list"])).await?;
    may(&crew, "read", "app1/db").await?.is("a_permission_that_is_missing", 4)?;
    crew.stop().await
}

#[tokio::test]
async fn a_list_of_secrets_without_the_reserved_path() -> Result<()> {
    let crew = well().await?;
    crew.superuser()?.put_policy(&allow("app1", WORKLOAD, "^app1/.*$", &["list"])).await?;
    let found = may(&crew, "list", "spike/system/secret").await?;
    found.is("a_list_of_secrets_without_the_reserved_path", 4)?;
    crew.stop().await
}

#[tokio::test]
async fn no_policy_at_all() -> Result<()> {
    let crew = well().await?;
    may(&crew, "execute", "spike/system/cipher/exec").await?.is("no_policy_at_all", 4)?;
    crew.stop().await
}

#[tokio::test]
async fn policies_that_look_like_mistakes() -> Result<()> {
    let crew = well().await?;
    let mistakes = [
        policy("broad", "^spiffe://spike\\.ist/.*$", "^.*$", &["read"]),
        policy("dots", "^spiffe://spike.ist/app$", "^tenants/acme/db$", &["read"]),
        policy("glob", "^spiffe://spike\\.ist/app$", "^tenants/acme/*$", &["read"]),
        policy("open", "^spiffe://spike\\.ist/app$", "tenants/acme/", &["read"]),
        policy("slash", "^spiffe://spike\\.ist/app$", "^/tenants/acme/db$", &["read"]),
    ];
    for request in &mistakes {
        crew.superuser()?.put_policy(request).await?;
    }
    let found = doctor(&crew).await?;
    found.is("policies_that_look_like_mistakes", 7)?;
    let told = found.report.to_string();
    for request in &mistakes {
        let named = format!("policy {}", request.name);
        assert!(told.contains(&named), "{named}: {:#}", found.report);
    }
    crew.stop().await
}
