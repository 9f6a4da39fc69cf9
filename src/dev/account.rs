//! As whom PostgreSQL runs, and where: it refuses to run as root.
//!
//! Started as root, it is given to an unprivileged user if that one can reach the directory. In a
//! clone below root's home it cannot: then Postgres stays root's process inside a user namespace,
//! where it has another number. Where namespaces are forbidden too, its data goes to the system's
//! temporary directory, the one thing of a private cluster outside its own directory; `--clean`
//! and the end of a test run remove it.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use nix::unistd::{User, geteuid};

use super::console::say;
use super::tools::{Tools, unpacked_root};

/// Names the directory outside, where there is one.
const OUTSIDE: &str = "postgres-is-outside";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Account {
    /// Whoever started us, not being root.
    Own,
    User {
        uid: u32,
        gid: u32,
    },
    Namespace,
}

/// Where and as whom.
#[derive(Clone, Debug)]
pub(super) struct Place {
    account: Account,
    pub(super) home: PathBuf,
    bin: PathBuf,
}

impl Place {
    /// Makes the directory, and finds an account that can use it and the programs.
    pub(super) fn choose(tools: &Tools, dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let place = Self {
            account: Account::Own,
            home: dir.to_path_buf(),
            bin: tools.postgres_bin.clone(),
        };
        if !geteuid().is_root() {
            return place.given_over();
        }
        let user = unprivileged_user()?;
        [user, Account::Namespace]
            .into_iter()
            .map(|account| Self { account, ..place.clone() })
            .find(Self::is_usable)
            .map_or_else(|| place.outside(user), Self::given_over)
    }

    /// A program of PostgreSQL's, to be run in the directory.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = self.account.command(Tools::command(&self.bin.join(program)));
        command.current_dir(&self.home);
        command
    }

    /// Gives a file or directory to the account; everything in it too.
    pub(super) fn give(&self, path: &Path) -> anyhow::Result<()> {
        let (uid, gid) = match self.account {
            Account::Own => return Ok(()),
            Account::User { uid, gid } => (uid, gid),
            Account::Namespace => (0, 0),
        };
        give_tree(path, uid, gid).with_context(|| format!("cannot give {} away", path.display()))
    }

    fn given_over(self) -> anyhow::Result<Self> {
        std::fs::set_permissions(&self.home, std::fs::Permissions::from_mode(0o700))?;
        if std::fs::metadata(&self.home)?.uid() != self.account.uid() {
            self.give(&self.home)?;
        }
        Ok(self)
    }

    /// Tried rather than computed: access lists and mounts count as much as modes.
    fn is_usable(&self) -> bool {
        let Some(parent) = self.home.parent() else { return false };
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", r#"cd "$1" && test -x "$2" && test "$(id -u)" != 0"#, "sh"]);
        shell.arg(parent).arg(self.bin.join("postgres"));
        let mut shell = self.account.command(shell);
        let status =
            shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    fn outside(self, account: Account) -> anyhow::Result<Self> {
        let note = outside_note(&self.home);
        let root = std::fs::read_to_string(&note).map(|path| PathBuf::from(path.trim())).ok();
        let root = root.filter(|root| root.is_dir()).unwrap_or_else(|| {
            let secret = super::cluster_file::random_secret();
            std::env::temp_dir().join(format!("chat-service-{secret}"))
        });
        std::fs::create_dir_all(&root)?;
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755))?;
        std::fs::write(&note, root.to_string_lossy().as_bytes())?;
        let mut place = Self { account, home: root.join("postgres"), bin: self.bin };
        std::fs::create_dir_all(&place.home)?;
        if !place.is_usable() {
            place.bin = copied_tools(&place.bin, &root)?;
        }
        ensure!(place.is_usable(), "no unprivileged user can run {}", place.bin.display());
        say(&format!(
            "warning: root may not run PostgreSQL, and no other user can reach {}: its data is in {}",
            self.home.display(),
            root.display()
        ));
        place.given_over()
    }
}

impl Account {
    fn command(self, plain: Command) -> Command {
        match self {
            Self::Own => plain,
            Self::User { uid, gid } => {
                let mut command = plain;
                command.gid(gid).uid(uid);
                command
            }
            Self::Namespace => {
                let mut command = Command::new("unshare");
                command.args(["--user", "--map-user=65534", "--map-group=65534", "--"]);
                command.arg(plain.get_program()).args(plain.get_args());
                let envs = plain.get_envs().filter_map(|(name, value)| Some((name, value?)));
                command.envs(envs);
                command
            }
        }
    }

    fn uid(self) -> u32 {
        match self {
            Self::Own => geteuid().as_raw(),
            Self::User { uid, .. } => uid,
            Self::Namespace => 0,
        }
    }
}

/// Removes what [`Place::choose`] had to put elsewhere for the directory.
pub(super) fn remove_outside(dir: &Path) {
    let note = outside_note(dir);
    if let Ok(path) = std::fs::read_to_string(&note) {
        let path = Path::new(path.trim());
        // The note is only a file: nothing but a directory of our making is removed on its word.
        let is_ours = path.parent() == Some(&std::env::temp_dir())
            && path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("chat-service-"));
        if is_ours {
            let _ = std::fs::remove_dir_all(path);
        }
        let _ = std::fs::remove_file(&note);
    }
}

fn outside_note(dir: &Path) -> PathBuf {
    dir.with_file_name(OUTSIDE)
}

fn unprivileged_user() -> anyhow::Result<Account> {
    let user = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten());
    let user = user.context("there is no user `postgres` or `nobody` to run PostgreSQL as")?;
    Ok(Account::User { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
}

/// Copies an unpacked PostgreSQL; the system's own can be reached by all, so this is never it.
fn copied_tools(bin: &Path, root: &Path) -> anyhow::Result<PathBuf> {
    let tree = unpacked_root(bin).with_context(|| {
        format!("{} is closed to other users, so root cannot run it for them", bin.display())
    })?;
    let copy = root.join("tools/postgres");
    std::fs::create_dir_all(root.join("tools"))?;
    if !copy.exists() {
        let status = Command::new("cp").arg("-a").arg(tree).arg(&copy).status()?;
        ensure!(status.success(), "cannot copy {}", tree.display());
    }
    Ok(copy.join(bin.strip_prefix(tree)?))
}

fn give_tree(path: &Path, uid: u32, gid: u32) -> std::io::Result<()> {
    chown(path, Some(uid), Some(gid))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            // What a link points to may lie anywhere; Postgres makes none that matter here.
            if !entry.file_type()?.is_symlink() {
                give_tree(&entry.path(), uid, gid)?;
            }
        }
    }
    Ok(())
}
