//! The ways that a letter can go: to an SMTP server, or into a directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::transport::smtp::{Error, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;
use tokio::fs;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::config::MailTransport;

/// One command of SMTP.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) enum Transport {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Directory(PathBuf),
}

/// Why a letter was not sent. It says nothing of what the server said, which may hold an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("the letter cannot be written")]
    Unwritable,
    #[error("the server refused it for good ({0})")]
    Refused(String),
    #[error("the server did not take it now ({0})")]
    Busy(String),
    #[error("no answer in time")]
    Timeout,
    #[error("no connection")]
    Unreachable,
    #[error("the file cannot be written ({0})")]
    File(std::io::ErrorKind),
}

impl Failure {
    /// Whether another try may do better.
    pub(super) fn may_pass(&self) -> bool {
        !matches!(self, Self::Unwritable | Self::Refused(_))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = || error.status().map_or_else(String::new, |code| code.to_string());
        if error.is_permanent() {
            Self::Refused(code())
        } else if error.is_transient() {
            Self::Busy(code())
        } else if error.is_client() {
            // The letter needs what the server lacks.
            Self::Refused("not supported".to_owned())
        } else if error.is_timeout() {
            Self::Timeout
        } else {
            Self::Unreachable
        }
    }
}

impl Transport {
    pub(super) fn new(settings: &MailTransport, connections: usize) -> Result<Self, Error> {
        match settings {
            MailTransport::Directory(directory) => Ok(Self::Directory(directory.clone())),
            MailTransport::Smtp(url) => {
                let pool = PoolConfig::new().max_size(connections.try_into().unwrap_or(u32::MAX));
                let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())?;
                let builder = builder.timeout(Some(COMMAND_TIMEOUT)).pool_config(pool);
                Ok(Self::Smtp(builder.build()))
            }
        }
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), Failure> {
        match self {
            Self::Smtp(server) => Ok(server.send(message.clone()).await.map(|_| ())?),
            Self::Directory(directory) => {
                let written = write(directory, &message.formatted()).await;
                written.map_err(|error| Failure::File(error.kind()))
            }
        }
    }
}

/// Writes a file whose name sorts by time. It appears whole, and only its owner may read it.
async fn write(directory: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let id = Uuid::now_v7();
    let unfinished = directory.join(format!(".{id}"));
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&unfinished).await?;
    file.write_all(bytes).await?;
    file.flush().await?;
    fs::rename(&unfinished, directory.join(format!("{id}.eml"))).await
}
