//! The admin's unix socket: a file that only its owner may open, that is there while the daemon is.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};

/// A bound socket and its file.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    /// Ready to accept, non-blocking.
    pub(crate) listener: UnixListener,
    /// Removes the file when dropped.
    pub(crate) file: SocketFile,
}

/// The file of a socket, removed on drop unless another daemon has put its own there.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    /// Another daemon answers there.
    #[error("admin socket {path}: in use by a running daemon", path = .0.display())]
    InUse(PathBuf),
    /// Something else is in the way, and it is not ours to remove.
    #[error("admin socket {path}: there is a file that is not a socket", path = .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("admin socket {path}: cannot {action}: {source}", path = .path.display())]
    Refused { path: PathBuf, action: &'static str, source: io::Error },
}

impl AdminSocket {
    /// Binds `path`, making its folder where that is missing and replacing the socket of a daemon that is dead.
    pub(crate) fn bind(path: &Path) -> Result<Self, SocketError> {
        let refused = |action| move |source| SocketError::Refused { path: path.to_owned(), action, source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(refused("create its folder"))?;
        }
        remove_stale(path)?;
        let listener = private_listener(path).map_err(refused("bind it"))?;
        let identity = identity(path).map_err(refused("find it again"))?;
        Ok(AdminSocket { listener, file: SocketFile { path: path.to_owned(), identity } })
    }
}

impl SocketFile {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // At worst the next daemon finds a stale socket and replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A listener whose file nobody else can open. Linux gives the file the mode of the socket, so that it is right from the
/// first moment: chmod after bind would leave a gap, umask would change the whole process.
fn private_listener(path: &Path) -> io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Tells our file from another at the same path. File systems use inode numbers again at once, so the time of its
/// making belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    made: (i64, i64),
}

fn identity(path: &Path) -> io::Result<Identity> {
    fs::symlink_metadata(path).map(|metadata| Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
        made: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

/// A socket that refuses connections belongs to nobody any more.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let refused = |action| move |source| SocketError::Refused { path: path.to_owned(), action, source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused("look at it")(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::InUse(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(refused("remove the socket of a dead daemon"))
        }
        Err(error) => Err(refused("tell whether a daemon runs there")(error)),
    }
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("the socket is there").mode() & 0o777
    }

    #[test]
    fn the_socket_is_private_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/folder/admin.sock");
        let socket = AdminSocket::bind(&path).expect("bound");
        assert_eq!(mode(&path), 0o600);
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_live_socket_is_refused_and_a_stale_one_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("admin.sock");
        let first = AdminSocket::bind(&path).expect("bound");
        assert!(matches!(AdminSocket::bind(&path), Err(SocketError::InUse(_))));
        assert!(path.exists(), "the live socket was left alone");

        let AdminSocket { listener, file } = first;
        drop(listener);
        let second = AdminSocket::bind(&path).expect("replaced");
        drop(file);
        assert!(path.exists(), "the old owner does not remove the new socket");
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn other_files_are_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("admin.sock");
        fs::write(&path, "precious").expect("written");
        assert!(matches!(AdminSocket::bind(&path), Err(SocketError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).expect("read"), "precious");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("file"), "").expect("written");
        let error = AdminSocket::bind(&folder.path().join("file/admin.sock"));
        assert!(matches!(error, Err(SocketError::Refused { .. })));
    }
}
