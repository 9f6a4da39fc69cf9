//! Where the programs of PostgreSQL and Redis are.
//!
//! The places and their order are those of `scripts/get-tools.sh`: an override, the system, then
//! what the script has unpacked into `target/tools`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

const POSTGRES_PROGRAMS: [&str; 2] = ["initdb", "postgres"];

/// The oldest major version whose `C.UTF-8`, `gen_random_uuid` and declarative limits we rely on.
const POSTGRES_MIN: u32 = 13;

/// The programs that a private cluster is made of.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The directory of `initdb` and `postgres`.
    pub postgres_bin: PathBuf,
    pub redis_server: PathBuf,
}

impl Tools {
    /// Looks for both.
    ///
    /// # Errors
    /// One is missing; the message says how to get it.
    pub fn locate() -> anyhow::Result<Self> {
        let roots = unpacked_roots();
        Ok(Self { postgres_bin: locate_postgres(&roots)?, redis_server: locate_redis(&roots)? })
    }

    /// A command that runs `program` with the shared libraries that were unpacked with it.
    pub fn command(program: &Path) -> std::process::Command {
        let mut command = std::process::Command::new(program);
        let libraries = libraries_beside(program);
        if !libraries.is_empty() {
            let own = variable("LD_LIBRARY_PATH");
            let given = own.iter().flat_map(std::env::split_paths);
            if let Ok(joined) = std::env::join_paths(libraries.into_iter().chain(given)) {
                command.env("LD_LIBRARY_PATH", joined);
            }
        }
        command
    }
}

/// The environment says where tools are and what nodes inherit; it sets nothing of a node.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn locate_postgres(roots: &[PathBuf]) -> anyhow::Result<PathBuf> {
    if let Some(bin) = variable("POSTGRES_BIN").map(PathBuf::from) {
        if is_postgres(&bin) {
            return Ok(bin);
        }
        bail!("POSTGRES_BIN={} holds no initdb and postgres", bin.display());
    }
    let system = (!ignores_system()).then(|| {
        newest_postgres(Path::new("/")).or_else(|| {
            let program = in_path("postgres")?.canonicalize().ok()?;
            program.parent().filter(|bin| is_postgres(bin)).map(Path::to_path_buf)
        })
    });
    system
        .flatten()
        .or_else(|| roots.iter().find_map(|root| newest_postgres(&root.join("postgres"))))
        .context("PostgreSQL is not found: run scripts/get-tools.sh, or set POSTGRES_BIN")
}

fn locate_redis(roots: &[PathBuf]) -> anyhow::Result<PathBuf> {
    if let Some(program) = variable("REDIS_SERVER").map(PathBuf::from) {
        if program.is_file() {
            return Ok(program);
        }
        bail!("REDIS_SERVER={} does not exist", program.display());
    }
    let system = if ignores_system() { None } else { in_path("redis-server") };
    let unpacked = roots.iter().map(|root| root.join("redis/usr/bin/redis-server"));
    system.into_iter().chain(unpacked).find(|program| is_redis(program)).context(
        "redis-server 7.0 or newer is not found: run scripts/get-tools.sh, or set REDIS_SERVER",
    )
}

fn ignores_system() -> bool {
    variable("TOOLS_IGNORE_SYSTEM").is_some()
}

/// `target/tools` as seen from the working directory, from the package that cargo runs, and from
/// this program, which lies in `target/release` or, being a test, in `target/release/deps`.
fn unpacked_roots() -> Vec<PathBuf> {
    let mut roots = Vec::new();
    roots.extend(std::env::current_dir().map(|dir| dir.join("target/tools")));
    roots.extend(variable("CARGO_MANIFEST_DIR").map(|dir| Path::new(&dir).join("target/tools")));
    if let Ok(program) = std::env::current_exe() {
        roots.extend(program.ancestors().skip(1).take(3).map(|dir| dir.join("tools")));
    }
    roots
}

fn is_postgres(bin: &Path) -> bool {
    POSTGRES_PROGRAMS.iter().all(|program| bin.join(program).is_file())
}

/// Also an old Redis has the name, and would fail much later, at the first function call.
fn is_redis(program: &Path) -> bool {
    let Ok(output) = Tools::command(program).arg("--version").output() else { return false };
    redis_major(&String::from_utf8_lossy(&output.stdout)).is_some_and(|major| major >= 7)
}

/// Out of a line such as `Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64`.
fn redis_major(version: &str) -> Option<u32> {
    let (_, number) = version.split_once("v=")?;
    number.split('.').next()?.parse().ok()
}

/// The newest of `usr/lib/postgresql/<major>/bin` below `root`, Debian's layout.
fn newest_postgres(root: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(root.join("usr/lib/postgresql")).ok()?;
    versions
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let major: u32 = path.file_name().and_then(OsStr::to_str)?.parse().ok()?;
            let bin = path.join("bin");
            (major >= POSTGRES_MIN && is_postgres(&bin)).then_some((major, bin))
        })
        .max()
        .map(|(_, bin)| bin)
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = variable("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Library directories of the unpacked tree (`target/tools/<tool>`) that a program lies in.
fn libraries_beside(program: &Path) -> Vec<PathBuf> {
    let Some(root) = unpacked_root(program) else { return Vec::new() };
    ["usr/lib", "lib"]
        .iter()
        .filter_map(|lib| std::fs::read_dir(root.join(lib)).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|dir| dir.to_string_lossy().contains("-linux-gnu"))
        .collect()
}

/// The tree that a program was unpacked into; none for the system's own.
pub(super) fn unpacked_root(program: &Path) -> Option<&Path> {
    program.ancestors().find(|dir| {
        dir.parent().and_then(Path::file_name) == Some(OsStr::new("tools"))
            && dir.join("usr").is_dir()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_redis_is_read_from_its_line() {
        let line = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=a";
        assert_eq!(redis_major(line), Some(7));
        assert_eq!(redis_major("command not found"), None);
    }

    #[test]
    fn the_newest_postgres_is_taken_and_an_old_or_incomplete_one_never() {
        let root = std::env::temp_dir().join(format!("chat-tools-{}", std::process::id()));
        for (major, programs) in
            [("9", &POSTGRES_PROGRAMS[..]), ("13", &POSTGRES_PROGRAMS), ("16", &["initdb"])]
        {
            let bin = root.join("usr/lib/postgresql").join(major).join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            for program in programs {
                std::fs::write(bin.join(program), "").unwrap();
            }
        }
        let found = newest_postgres(&root);
        std::fs::remove_dir_all(&root).unwrap();
        assert!(found.unwrap().ends_with("13/bin"));
    }
}
