//! The calls of a client about secrets, and the cipher.

use spike_wire::{
    DecryptRequest, EncryptRequest, SecretBytes, SecretGetRequest, SecretListRequest,
    SecretMetadataRequest, SecretPutRequest, SecretText, SecretValues, SecretVersionsRequest,
    StreamCiphertext, call,
};
use zeroize::Zeroizing;

use crate::{Client, Error, Metadata, Secret, retry::Deadline};

/// Paths in one page of a listing.
pub(crate) const PAGE: i64 = 1000;
/// How many times a version may disappear between two requests before a secret counts as gone.
const RACES: usize = 3;

impl Client {
    /// Reads the current version of a secret. Its number is not known: see [`Self::get_current`].
    ///
    /// Cancel safety: it changes nothing, and may be dropped at any time.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], or another reason why the call failed.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// let secret = spike.get("tenants/acme/db").await?;
    /// let user = secret.expose("user").unwrap_or("postgres");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get(&self, path: &str) -> Result<Secret, Error> {
        self.get_version(path, 0).await
    }

    /// Reads one version of a secret; 0 is the current one.
    ///
    /// Cancel safety: it changes nothing, and may be dropped at any time.
    ///
    /// # Errors
    /// As [`Self::get`].
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// let first = spike.get_version("tenants/acme/db", 1).await?;
    /// assert_eq!(first.version(), Some(1));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_version(&self, path: &str, version: i64) -> Result<Secret, Error> {
        let request = SecretGetRequest { path: path.to_owned(), version };
        let answer = self.call::<call::SecretGet>(path, &request).await?;
        Ok(Secret::new(answer.data.unwrap_or_default(), (version != 0).then_some(version)))
    }

    /// Reads the current version of a secret, with its number.
    ///
    /// The answer to a read has no number on the wire, so this asks for the metadata first, and then for that version:
    /// two requests, and two lines in the audit log. If the version is deleted between the two, it asks again.
    ///
    /// Cancel safety: it changes nothing, and may be dropped at any time.
    ///
    /// # Errors
    /// As [`Self::get`].
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// let secret = spike.get_current("tenants/acme/db").await?;
    /// println!("version {:?} is in use", secret.version());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_current(&self, path: &str) -> Result<Secret, Error> {
        let mut found = Err(Error::NotFound);
        for _ in 0..RACES {
            let version = self.current_version(path).await?;
            found = self.get_version(path, version).await;
            // Deleted or erased meanwhile: then the metadata names another one, or none.
            if !matches!(found, Err(Error::NotFound)) {
                break;
            }
        }
        found
    }

    /// Adds a version with exactly these values. They are not merged with the version before.
    ///
    /// The answer has no number of the new version on the wire. [`Self::metadata`] has the current one; another writer
    /// may have added a later version by then.
    ///
    /// Cancel safety: if it is dropped before its end, the version was added with all its values, or was not added.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Invalid`], or another reason why the call failed.
    /// [`Error::may_have_been_done`] says whether the version may have been added all the same.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// spike.put("tenants/acme/db", [("user", "acme"), ("pass", "s3cret")]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn put<'a>(
        &self,
        path: &str,
        values: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), Error> {
        let values =
            values.into_iter().map(|(name, value)| (name.to_owned(), SecretText::from(value)));
        let values: SecretValues = values.collect();
        let request = SecretPutRequest { path: path.to_owned(), values: Some(values) };
        self.call::<call::SecretPut>(path, &request).await.map(drop)
    }

    /// Deletes versions of a secret: hides them. An empty list means the current one.
    ///
    /// Cancel safety: if it is dropped before its end, all of the versions were deleted, or none.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the path does not exist, [`Error::Denied`], or another reason why the call failed.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// spike.delete("tenants/acme/db", &[1, 2]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn delete(&self, path: &str, versions: &[i64]) -> Result<(), Error> {
        let request = SecretVersionsRequest { path: path.to_owned(), versions: versions.to_vec() };
        self.call::<call::SecretDelete>(path, &request).await.map(drop)
    }

    /// Undeletes versions of a secret: shows them again. An empty list means the current one, or the highest if all are
    /// deleted.
    ///
    /// Cancel safety: if it is dropped before its end, all of the versions were undeleted, or none.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is nothing to undelete, [`Error::Denied`], or another reason why the call failed.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// spike.delete("tenants/acme/db", &[3]).await?;
    /// spike.undelete("tenants/acme/db", &[3]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn undelete(&self, path: &str, versions: &[i64]) -> Result<(), Error> {
        let request = SecretVersionsRequest { path: path.to_owned(), versions: versions.to_vec() };
        self.call::<call::SecretUndelete>(path, &request).await.map(drop)
    }

    /// Reads which versions a secret has, deleted ones too, without their values.
    ///
    /// Cancel safety: it changes nothing, and may be dropped at any time.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the path does not exist, [`Error::Denied`], or another reason why the call failed.
    /// Upstream's Nexus answers [`Error::NotFound`] also if all versions are deleted.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// let metadata = spike.metadata("tenants/acme/db").await?;
    /// for version in metadata.versions() {
    ///     println!("version {} is {}", version.number, if version.deleted.is_some() { "deleted" } else { "live" });
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn metadata(&self, path: &str) -> Result<Metadata, Error> {
        let request =
            SecretMetadataRequest { path: path.to_owned(), version: 0, include_deleted: true };
        Ok(Metadata::new(self.call::<call::SecretMetadata>(path, &request).await?))
    }

    /// Lists the paths with this prefix that the workload may list, in the order of their bytes; `""` means all. It asks
    /// for pages of 1000; its deadline is for all of them. [`Self::pages`] returns them one by one.
    ///
    /// Cancel safety: it changes nothing, and may be dropped at any time. What was read by then is lost.
    ///
    /// # Errors
    /// [`Error::Denied`], or another reason why the call failed.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// let paths = spike.list("tenants/acme/").await?;
    /// assert!(paths.iter().all(|path| path.starts_with("tenants/acme/")));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let deadline = self.end();
        let (mut names, mut after) = (Vec::new(), String::new());
        loop {
            let (page, next) = self.page(deadline, prefix, after, PAGE).await?;
            names.extend(page);
            match next {
                Some(next) => after = next,
                None => return Ok(names),
            }
        }
    }

    /// One page of a listing, and the `after` of the next one.
    pub(crate) async fn page(
        &self,
        deadline: Deadline,
        prefix: &str,
        after: String,
        limit: i64,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        let request = SecretListRequest { prefix: prefix.to_owned(), after, limit };
        let page = self.call_until::<call::SecretList>(deadline, prefix, &request).await?;
        Ok((page.keys, page.next))
    }

    /// Encrypts a text under a key that only Nexus has. The result is version byte, nonce and ciphertext, as
    /// `spike cipher encrypt` writes it; keep it wherever you like. Needs `execute` on `spike/system/cipher/exec`.
    ///
    /// Cancel safety: it changes nothing, and may be dropped at any time.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Invalid`] for a text over the limit of Nexus, or another reason why the call failed.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// let encrypted = spike.encrypt(b"a card number").await?;
    /// assert_eq!(*spike.decrypt(&encrypted).await?, b"a card number");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let request = EncryptRequest { plaintext: SecretBytes::from(plaintext) };
        let answer = self.call::<call::CipherEncrypt>("", &request).await?;
        let mut joined = Vec::with_capacity(1 + answer.nonce.len() + answer.ciphertext.len());
        joined.push(answer.version);
        joined.extend_from_slice(&answer.nonce);
        joined.extend_from_slice(&answer.ciphertext);
        Ok(joined)
    }

    /// Decrypts what [`Self::encrypt`] or `spike cipher encrypt` returned. The memory of the text is wiped when it is
    /// dropped.
    ///
    /// Cancel safety: it changes nothing, and may be dropped at any time.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is no ciphertext of this SPIKE, or was changed; otherwise as [`Self::encrypt`].
    ///
    /// # Examples
    /// See [`Self::encrypt`].
    pub async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let invalid = |reason: String| Error::Invalid { reason: Some(reason) };
        let parts = StreamCiphertext::parse(ciphertext)
            .map_err(|code| invalid(format!("not a ciphertext of SPIKE ({code})")))?;
        let request = DecryptRequest {
            version: ciphertext.first().copied().unwrap_or_default(),
            nonce: parts.nonce.to_vec(),
            ciphertext: parts.ciphertext.to_vec(),
        };
        let answer = self.call::<call::CipherDecrypt>("", &request).await?;
        Ok(Zeroizing::new(answer.plaintext.expose_secret().to_vec()))
    }

    /// The number of the version that [`Self::get`] would read.
    pub(crate) async fn current_version(&self, path: &str) -> Result<i64, Error> {
        let request = SecretMetadataRequest { path: path.to_owned(), ..Default::default() };
        let answer = self.call::<call::SecretMetadata>(path, &request).await?;
        Ok(answer.metadata.current_version)
    }
}
