//! The lite backend: a cipher under the root key, and no store.

use anyhow::{Context, Result};
use bytes::Bytes;
use spike_common::{
    config::Backend,
    wire::{EncryptRequest, Operation, SecretBytes},
};
use spike_tests::SUPERUSER;

use crate::{WORKLOAD, scenario};

const LITE: &str = "/spike/workload/role/lite";

#[tokio::test]
async fn a_lite_workload_encrypts_across_a_restart_and_others_do_not() -> Result<()> {
    let mut cluster = scenario().backend(Backend::Lite).start().await?;
    let lite = cluster.as_id(LITE)?;
    let sealed = lite.encrypt_stream(Bytes::from_static(b"lasting")).await?;
    assert_eq!(lite.decrypt_stream(sealed.clone()).await?, "lasting");
    let request = EncryptRequest { plaintext: SecretBytes::from(&b"json"[..]) };
    assert_eq!(lite.encrypt(&request).await?.version, 1);
    // Below the role's ID is the role, too.
    assert_eq!(
        cluster.as_id("/spike/workload/role/lite/a")?.decrypt_stream(sealed.clone()).await?,
        "lasting"
    );
    for id in [WORKLOAD, "/spike/workload/role/litex", "/spike/bootstrap"] {
        assert!(cluster.as_id(id)?.decrypt_stream(sealed.clone()).await.is_err(), "{id}");
    }

    cluster.terminate().await?;
    cluster.restart_nexus().await?;
    let superuser = cluster.superuser()?;
    assert_eq!(
        superuser.decrypt_stream(sealed).await?,
        "lasting",
        "the key came back from the Keepers"
    );
    cluster.stop().await
}

#[tokio::test]
async fn there_are_neither_secrets_nor_policies_and_no_database() -> Result<()> {
    let cluster = scenario().backend(Backend::Lite).start().await?;
    for id in [SUPERUSER, LITE, WORKLOAD] {
        let mut connection = cluster.dial_as(id)?.connect().await?;
        for operation in Operation::ALL {
            let target = operation.path_and_query();
            if target.starts_with("/v1/store") || target.starts_with("/v1/acl") {
                let answer = connection.post(target, "{}").await?;
                assert_eq!(
                    answer.told(),
                    (400, r#"{"err":"api_bad_request"}"#),
                    "{id} {operation}"
                );
            }
        }
    }
    let databases = std::fs::read_dir(cluster.dir())?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().contains(".db"));
    assert_eq!(databases.count(), 0);
    let said = cluster.spike(&["secret", "list"]).await?;
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.stderr.contains("lite backend"), "{said:?}");
    cluster.stop().await
}

/// With the programs of a person: `spike` as the superuser and as a lite workload, text in and text out.
#[tokio::test]
async fn the_spike_command_encrypts_for_a_lite_cluster() -> Result<()> {
    let cluster = scenario().backend(Backend::Lite).start().await?;
    let sealed = cluster.spike_with(&["cipher", "encrypt"], b"a key\n").await?;
    sealed.status.filter(|status| *status == 0).with_context(|| sealed.stderr.clone())?;
    assert_eq!(sealed.stdout.first(), Some(&1));
    let opened = cluster.spike_with(&["cipher", "decrypt"], &sealed.stdout).await?;
    assert_eq!(opened.done()?, "a key\n");
    cluster.stop().await
}
