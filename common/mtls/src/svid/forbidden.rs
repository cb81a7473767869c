//! The socket of a Workload API that the user of this process may not open, in words.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

/// Which file keeps this user from the socket: the socket, or the first directory above it that may not be entered. With its mode
/// and owner, and this user.
pub fn may_not_open(socket: &Path) -> String {
    let user = rustix::process::geteuid().as_raw();
    let this_user = format!("this user (uid {user}) may not open the socket {}", socket.display());
    // Whoever may not enter a directory sees the directory, and nothing in it.
    let seen = socket.ancestors().find_map(|path| Some((path, fs::metadata(path).ok()?)));
    let Some((path, metadata)) = seen else { return this_user };
    let mode = metadata.permissions().mode() & 0o7777;
    let owner =
        format!("mode {mode:04o} and belongs to uid {}, gid {}", metadata.uid(), metadata.gid());
    if path == socket {
        format!("{this_user}, which has {owner}")
    } else {
        format!("{this_user}: the directory {} has {owner}", path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_named_with_its_mode_and_owner_and_this_user() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("agent.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
        let (user, told) = (rustix::process::geteuid().as_raw(), may_not_open(&socket));
        let mode = format!("which has mode 0600 and belongs to uid {user}, gid ");
        assert!(told.contains(&mode), "{told}");
        assert!(told.starts_with(&format!("this user (uid {user}) may not open")), "{told}");
        let hidden = directory.path().join("a/b/agent.sock");
        let told = may_not_open(&hidden);
        let place = format!(": the directory {} has mode", directory.path().display());
        assert!(told.contains(&place), "{told}");
    }
}
