//! What a PostgreSQL server takes of the machine, as the kernel counts it.

use std::fs;

use payonce_store_postgres::cluster::Cluster;

use crate::Result;

/// A clock tick of `/proc`, in seconds: `USER_HZ` is 100 wherever Linux runs.
const TICK: f64 = 0.01;

/// The processes of a server that this condition is true of.
fn processes(cluster: &Cluster, condition: &str) -> Vec<String> {
    let text = format!("select pid from pg_stat_activity where {condition}");
    cluster.sql(&text).lines().map(str::to_owned).collect()
}

/// Seconds of processor time that the server's processes have taken so far: those that write in the
/// background, and those of the clients that are connected.
///
/// # Errors
/// If a process cannot be looked at.
pub(crate) fn processor_seconds(cluster: &Cluster) -> Result<f64> {
    let mut ticks = 0;
    for process in processes(cluster, "pid <> pg_backend_pid()") {
        // One that has ended since is nobody's of those that are measured.
        let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
        ticks += ticks_of(&stat)?;
    }
    Ok(ticks as f64 * TICK)
}

/// User and system time, the 14th and 15th field; the second one may contain spaces.
fn ticks_of(stat: &str) -> Result<u64> {
    let (_, rest) = stat.rsplit_once(')').ok_or("no name of a process")?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    let [user, system] = [11, 12].map(|nth| fields.get(nth).and_then(|field| field.parse().ok()));
    let both = user.zip(system).map(|(user, system): (u64, u64)| user + system);
    Ok(both.ok_or("no times of a process")?)
}

/// How many connections a ledger's handle holds, and how many bytes the server holds for each that
/// nobody else shares.
///
/// # Errors
/// If a process cannot be looked at.
pub(crate) fn connections(cluster: &Cluster) -> Result<(f64, f64)> {
    let mut sizes = Vec::new();
    for process in processes(cluster, "application_name = 'payonce'") {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        sizes.push(anonymous_bytes(&status)?);
    }
    let count = sizes.len() as f64;
    Ok((count, sizes.into_iter().sum::<u64>() as f64 / count))
}

fn anonymous_bytes(status: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    let kilobytes: u64 = kilobytes.ok_or("no size of a process")?.trim().parse()?;
    Ok(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_counts_are_read() {
        let stat = "4711 (postgres: a (b) c) S 1 2 3 0 -1 4194560 9 0 0 0 123 45 6 7 20 0 1 0";
        assert_eq!(ticks_of(stat).expect("times"), 168);
        assert!(ticks_of("4711 (postgres) S 1").is_err());
        let status = "Name:\tpostgres\nRssAnon:\t    2048 kB\nRssFile:\t 9 kB\n";
        assert_eq!(anonymous_bytes(status).expect("a size"), 2 << 20);
        assert!(anonymous_bytes("Name:\tpostgres\n").is_err());
    }
}
