//! `chat-service admin`: what needs somebody at the machine. Above all the first operator, since
//! the service comes without any account.
//!
//! It talks to Postgres alone, with the settings of a node. Sessions that it ends are noticed by the
//! nodes as if their announcement had been lost: requests are refused within a second.

use std::io::Read as _;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use secrecy::SecretString;

use crate::accounts::{Accounts, AuditFilter, Breached, NewOperator, Operator, Services};
use crate::config::Config;
use crate::error::Error;
use crate::jobs;
use crate::mail::Mailer;
use crate::metrics::Metrics;
use crate::model::account::Account;
use crate::store::{self, Pool};

/// Longer ones are no passwords.
const MAX_PASSWORD_BYTES: u64 = 4_096;

#[derive(Clone, Debug, clap::Subcommand)]
pub enum AdminCommand {
    /// Make an operator's account
    Create(Create),
    /// Give an account the badge, or take it with --remove
    Verify {
        /// Id, username or e-mail address
        user: String,
        #[arg(long)]
        remove: bool,
    },
    /// End all sessions of an account and keep it out
    Suspend {
        /// Id, username or e-mail address
        user: String,
        /// For the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a suspended account sign in again
    Unsuspend {
        /// Id, username or e-mail address
        user: String,
    },
    /// Print the newest rows of the audit log
    Audit(Audit),
    /// Print the timetable and how its jobs stand
    Jobs,
}

#[derive(Clone, Debug, clap::Args)]
pub struct Create {
    /// Its username
    #[arg(long)]
    login: String,
    #[arg(long)]
    email: String,
    /// Read the password from standard input; without this one is made, and printed once
    #[arg(long)]
    password_stdin: bool,
    /// Also where there is an operator already
    #[arg(long)]
    another: bool,
    /// Do nothing where there is an operator already
    #[arg(long, conflicts_with = "another")]
    if_none: bool,
}

#[derive(Clone, Debug, clap::Args)]
pub struct Audit {
    /// Id, username or e-mail address of who did it
    #[arg(long)]
    actor: Option<String>,
    /// Id, username or e-mail address of whom it was done to, or another id
    #[arg(long)]
    subject: Option<String>,
    /// Such as user.suspend
    #[arg(long)]
    action: Option<String>,
    /// How many rows
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

impl AdminCommand {
    /// Does what was asked, and prints what came of it.
    ///
    /// # Errors
    /// The settings are wrong, Postgres is out of reach, or the act is refused.
    pub async fn execute(self) -> anyhow::Result<()> {
        let config = Config::from_env()?;
        let pool = store::connect(&config.postgres).await.context("Postgres")?;
        // Nobody signs in here, and nobody is written to.
        let (metrics, _) = Metrics::new(&config.node.name);
        let (mailer, _) = Mailer::new(None, Arc::clone(&metrics))?;
        let breached = config.passwords.breached.as_deref().map(Breached::load).transpose()?;
        let services = Services { limits: None, mailer, breached, metrics };
        let (accounts, _) = Accounts::new(pool.clone(), &config, services);
        let desk = Desk { accounts, operator: Operator::CommandLine { os_user: os_user() }, pool };
        let done = desk.execute(self).await;
        desk.pool.close().await;
        done
    }
}

/// What a command works with.
struct Desk {
    pool: Pool,
    accounts: Accounts,
    operator: Operator,
}

impl Desk {
    async fn execute(&self, command: AdminCommand) -> anyhow::Result<()> {
        match command {
            AdminCommand::Create(create) => self.create(create).await,
            AdminCommand::Verify { user, remove } => {
                let user = self.find(&user).await?.id;
                let account =
                    self.accounts.change_account(&self.operator, user, Some(!remove)).await;
                print_account(&account.map_err(told)?);
                Ok(())
            }
            AdminCommand::Suspend { user, reason } => {
                let user = self.find(&user).await?.id;
                let account = self.accounts.suspend(&self.operator, user, reason.as_deref()).await;
                print_account(&account.map_err(told)?);
                Ok(())
            }
            AdminCommand::Unsuspend { user } => {
                let user = self.find(&user).await?.id;
                let account = self.accounts.unsuspend(&self.operator, user).await;
                print_account(&account.map_err(told)?);
                Ok(())
            }
            AdminCommand::Audit(audit) => self.audit(audit).await,
            AdminCommand::Jobs => self.jobs().await,
        }
    }

    async fn create(&self, create: Create) -> anyhow::Result<()> {
        if create.if_none && self.accounts.has_operator(&self.operator).await? {
            println!("there is an operator already");
            return Ok(());
        }
        let made = (!create.password_stdin).then(|| format!("{:032x}", rand::random::<u128>()));
        let password = match &made {
            Some(made) => made.clone().into(),
            None => read_password()?,
        };
        let new = NewOperator { username: create.login, email: create.email, password };
        let account = self.accounts.create_operator(&self.operator, new, create.another).await;
        let account = account.map_err(|error| match error {
            Error::Conflict(what @ ("username" | "email")) => {
                anyhow::anyhow!("the {what} is taken by another account")
            }
            Error::Conflict(what) => anyhow::anyhow!("{what}; --another makes one more"),
            other => told(other),
        })?;
        print_account(&account);
        if let Some(made) = made {
            println!("password: {made} (it is not shown again)");
        }
        Ok(())
    }

    async fn audit(&self, audit: Audit) -> anyhow::Result<()> {
        let actor = match &audit.actor {
            Some(name) => Some(self.find(name).await?.id),
            None => None,
        };
        let subject = match audit.subject {
            // What is no account may be a session.
            Some(name) => match self.find(&name).await {
                Ok(account) => Some(account.id.to_string()),
                Err(_) => Some(name),
            },
            None => None,
        };
        let filter = AuditFilter { actor, subject, action: audit.action, ..AuditFilter::default() };
        let limit = audit.limit.into();
        let rows = self.accounts.audit_rows(&self.operator, &filter, None, limit).await;
        for (_, row) in rows.map_err(told)? {
            let actor = row.actor_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
            let subject = row.subject.as_deref().unwrap_or("-").escape_debug().to_string();
            let ip = row.ip.as_deref().unwrap_or("-");
            println!("{} {} {actor} {subject} {ip} {}", row.at, row.action, row.detail);
        }
        Ok(())
    }

    async fn jobs(&self) -> anyhow::Result<()> {
        for job in jobs::status(&self.pool).await.map_err(told)? {
            let at = |moment: Option<crate::model::time::Timestamp>| {
                moment.map_or_else(|| "never".to_owned(), |at| at.to_string())
            };
            println!(
                "{}: {}; last {} at {}, {} rows, by {}; next {}",
                job.name,
                job.timetable,
                job.outcome.as_deref().unwrap_or("run"),
                at(job.last_finished_at.or(job.last_started_at)),
                job.rows,
                job.node.as_deref().unwrap_or("nobody"),
                job.next_due_at,
            );
        }
        Ok(())
    }

    async fn find(&self, name: &str) -> anyhow::Result<Account> {
        let found = self.accounts.find_account(&self.operator, name).await;
        found.map_err(told).with_context(|| format!("{name:?}"))
    }
}

/// An error with all that it says.
fn told(error: Error) -> anyhow::Error {
    let message = error.message();
    match error {
        Error::Internal(cause) => anyhow::anyhow!(cause),
        _ => anyhow::anyhow!(message),
    }
}

fn read_password() -> anyhow::Result<SecretString> {
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_PASSWORD_BYTES)
        .read_to_string(&mut text)
        .context("standard input")?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        bail!("standard input holds no password");
    }
    Ok(password.into())
}

fn print_account(account: &Account) {
    let mut said = vec![if account.verified { "verified" } else { "not verified" }.to_owned()];
    said.extend(account.suspended_at.map(|at| format!("suspended since {at}")));
    println!("{} {} <{}>: {}", account.id, account.username, account.email, said.join(", "));
}

/// For the audit log: who sat at the machine.
fn os_user() -> String {
    let uid = nix::unistd::getuid();
    let name = nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name);
    name.unwrap_or_else(|| uid.to_string())
}
