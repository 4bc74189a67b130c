//! The tables, and how they come to be: one migration after the other, each in one transaction.

use tokio_postgres::error::SqlState;

use crate::{
    config::Config,
    error::{PostgresError, is_code},
    session::Session,
};

/// The migrations in order; the version of a schema is how many of them it has seen. They are only
/// ever added to. docs/FORMAT-store-postgres.md says what each column means.
const MIGRATIONS: [&str; 3] = [
    include_str!("../sql/1-log.sql"),
    include_str!("../sql/2-orders.sql"),
    include_str!("../sql/3-refusals.sql"),
];

/// The version of the tables that this program writes and the newest that it reads.
#[expect(clippy::cast_possible_truncation, reason = "a handful")]
pub const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// Where the version is stated.
const PLACE: &str = "payonce.schema_version";

/// Starts of many programs at once migrate one after the other: any number will do that nobody else
/// uses.
const LOCK: i64 = 0x7061_796f_6e63_6501;

/// The version of the schema, 0 where there is none.
pub(crate) async fn version(config: &Config, session: &Session) -> Result<u32, PostgresError> {
    let asked = session.client.query_opt("select version from payonce.schema_version", &[]);
    let missing = [&SqlState::UNDEFINED_TABLE, &SqlState::INVALID_SCHEMA_NAME];
    let asked = async {
        match asked.await {
            Err(error) if missing.iter().any(|code| is_code(&error, code)) => Ok(0),
            Err(error) => Err(error),
            Ok(row) => Ok(row.map_or(0, |row| row.get::<_, i32>(0))),
        }
    };
    let found = Session::ask(config, "reading the schema's version", asked).await?;
    u32::try_from(found).map_err(|_| PostgresError::damaged(PLACE, format!("version {found}")))
}

/// Refuses tables that this program does not know.
pub(crate) async fn check(config: &Config, session: &Session) -> Result<(), PostgresError> {
    let place = || format!("{PLACE} in {}", config.place());
    match version(config, session).await? {
        0 => Err(PostgresError::NoSchema { place: config.place() }),
        found if found > SCHEMA_VERSION => {
            Err(PostgresError::NewerSchema { place: place(), found, known: SCHEMA_VERSION })
        }
        found if found < SCHEMA_VERSION => {
            Err(PostgresError::OlderSchema { place: place(), found, needed: SCHEMA_VERSION })
        }
        _ => Ok(()),
    }
}

/// Brings the schema to this program's version, if it is older. Only its owner may.
pub(crate) async fn migrate(config: &Config, session: &Session) -> Result<(), PostgresError> {
    let found = version(config, session).await?;
    if found > SCHEMA_VERSION {
        return check(config, session).await;
    }
    if found == SCHEMA_VERSION {
        return Ok(());
    }
    migrate_up_to(config, session, MIGRATIONS.len()).await
}

/// The migrations up to this one, each in a transaction, while no other program migrates.
pub(crate) async fn migrate_up_to(
    config: &Config,
    session: &Session,
    last: usize,
) -> Result<(), PostgresError> {
    for (nth, sql) in MIGRATIONS.iter().enumerate().take(last) {
        let doing = "migrating the schema";
        let begin = format!("begin; select pg_advisory_xact_lock({LOCK})");
        Session::ask(config, doing, session.client.batch_execute(&begin)).await?;
        // Another program may have been faster.
        let outcome = match begun(config, session).await {
            Ok(found) if found as usize > nth => Ok(()),
            Ok(_) => Session::ask(config, doing, session.client.batch_execute(sql)).await,
            Err(error) => Err(error),
        };
        let end = if outcome.is_ok() { "commit" } else { "rollback" };
        Session::ask(config, doing, session.client.batch_execute(end)).await?;
        outcome?;
    }
    Ok(())
}

/// The version, inside a transaction, which an error would end.
async fn begun(config: &Config, session: &Session) -> Result<u32, PostgresError> {
    let there =
        session.client.query_one("select to_regclass('payonce.schema_version') is not null", &[]);
    let there = Session::ask(config, "looking for the schema", there).await?;
    if there.get(0) { version(config, session).await } else { Ok(0) }
}
