//! A database of its own for each test, copied from a template that is migrated once.

use chat_service::store::{self, Pool};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::environment;

/// Test processes that run at once take turns: while one migrates or copies the template, nobody
/// else may be connected to it.
const TEMPLATE_LOCK: i64 = 0x0063_6861_7400;
const TEMPLATE: &str = "chat_template";

static MIGRATED: OnceCell<()> = OnceCell::const_new();

pub(crate) struct Database {
    pub(crate) url: String,
    /// Only whoever made it drops it.
    name: Option<String>,
}

impl Database {
    pub(crate) async fn create() -> Self {
        MIGRATED.get_or_init(migrate_template).await;
        let name = format!("t_{}", Uuid::now_v7().simple());
        let mut admin = locked_admin().await;
        run(&mut admin, format!("create database {name} template {TEMPLATE}")).await;
        Self { url: url_of(&name), name: Some(name) }
    }

    /// A new one on another server, which ends with that server.
    pub(crate) async fn create_at(url: &str) -> Self {
        let pool = Pool::connect(url).await.expect("the server answers");
        store::migrate(&pool).await.expect("the migrations run");
        pool.close().await;
        Self { url: url.to_owned(), name: None }
    }

    /// The same database, for another node.
    pub(crate) fn share(&self) -> Self {
        Self { url: self.url.clone(), name: None }
    }

    /// For looking, and for moving clocks.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the test's database is there")
    }
}

impl Drop for Database {
    /// As well as it can: a database that is left over costs space, and no test. Nobody waits for
    /// it, since Postgres may take a minute over it while it writes a checkpoint.
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        let dropping = async move {
            if let Ok(mut admin) = PgConnection::connect(&server_url()).await {
                let _ = admin.execute("set statement_timeout = '5s'").await;
                let sql = format!("drop database if exists {name} with (force)");
                let _ = admin.execute(AssertSqlSafe(sql)).await;
            }
        };
        // The test's runtime is ending, so another one on a thread of its own.
        std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map(|runtime| runtime.block_on(dropping))
        });
    }
}

async fn migrate_template() {
    let mut admin = locked_admin().await;
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(TEMPLATE)
            .fetch_one(&mut admin)
            .await
            .expect("the catalog can be read");
    // One from another version of the schema would fail to migrate, so it is made anew.
    if exists && try_migrate().await.is_err() {
        run(&mut admin, format!("drop database {TEMPLATE} with (force)")).await;
    } else if exists {
        return;
    }
    run(&mut admin, format!("create database {TEMPLATE}")).await;
    try_migrate().await.expect("the migrations run");
}

async fn try_migrate() -> Result<(), sqlx::migrate::MigrateError> {
    let pool = Pool::connect(&url_of(TEMPLATE)).await?;
    // Stricter than a node's: one of a later version is another one, too.
    let migrated = sqlx::migrate!().run(&pool).await;
    pool.close().await;
    migrated
}

/// A connection to the server's own database that holds the lock as long as it lives.
async fn locked_admin() -> PgConnection {
    let mut admin = PgConnection::connect(&server_url()).await.expect("Postgres answers");
    sqlx::query("select pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut admin)
        .await
        .expect("the lock is given");
    admin
}

async fn run(admin: &mut PgConnection, sql: String) {
    admin.execute(AssertSqlSafe(sql)).await.expect("the statement runs");
}

fn server_url() -> String {
    environment("TEST_POSTGRES_URL")
}

/// The server's URL with another database.
fn url_of(name: &str) -> String {
    let url = server_url();
    let (base, query) = url.split_once('?').map_or((url.as_str(), None), |(b, q)| (b, Some(q)));
    let after_host = base.find("://").map_or(0, |at| at + 3);
    let path = base[after_host..].find('/').map_or(base.len(), |at| after_host + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &base[..path])
}
