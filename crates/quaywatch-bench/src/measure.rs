//! Reading what a process cost: CPU time and memory from `/proc`, figures from its `/metrics`.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// CPU time of a process so far, user and system together (proc_pid_stat(5), fields 14 and 15).
///
/// # Errors
/// Where the process is gone.
pub(crate) fn cpu_time(pid: u32) -> std::io::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The command's name may hold spaces and parentheses: fields count from the last one.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks: u64 = fields.iter().skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    // sysconf(_SC_CLK_TCK) is 100 on every Linux that this runs on.
    Ok(Duration::from_millis(ticks * 10))
}

/// Resident memory of a process in bytes (proc_pid_status(5), VmRSS).
///
/// # Errors
/// Where the process is gone.
pub(crate) fn resident(pid: u32) -> std::io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or(0);
    Ok(kib * 1_024)
}

/// One reading of `/metrics`: sample name with labels → value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Asks `address` for `/metrics`.
    ///
    /// # Errors
    /// Where nobody answers with 200.
    pub(crate) fn read(address: SocketAddr) -> std::io::Result<Self> {
        let body = http_get(address, "/metrics")?;
        let samples = body
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect();
        Ok(Self(samples))
    }

    /// The sample of exactly this name and labels; 0 where there is none.
    #[must_use]
    pub(crate) fn value(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// The sum of all samples of this name, whatever their labels.
    #[must_use]
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let labelled = format!("{name}{{");
        self.0.iter().filter(|(n, _)| *n == name || n.starts_with(&labelled)).map(|(_, value)| value).sum()
    }

    /// The upper bound of the histogram bucket in which the `quantile` of the values since `earlier` lies, in seconds.
    #[must_use]
    pub(crate) fn quantile(&self, histogram: &str, quantile: f64, earlier: &Self) -> f64 {
        let prefix = format!("{histogram}_bucket{{le=\"");
        let mut buckets: Vec<(f64, f64)> = self
            .0
            .iter()
            .filter_map(|(name, count)| {
                let bound = name.strip_prefix(&prefix)?.strip_suffix("\"}")?;
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
                Some((bound, count - earlier.value(name)))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let wanted = buckets.last().map_or(0.0, |(_, all)| all * quantile);
        buckets.iter().find(|(_, below)| *below >= wanted).map_or(0.0, |(bound, _)| *bound)
    }
}

/// The body of a GET that is answered with 200.
///
/// # Errors
/// Where nobody answers, or with another status.
#[expect(clippy::disallowed_methods, reason = "the bench is a client of the server that it measures")]
pub(crate) fn http_get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split_whitespace().nth(1) != Some("200") {
        return Err(std::io::Error::other(format!("{path}: {}", head.lines().next().unwrap_or("no answer"))));
    }
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Ok(if chunked { unchunk(body) } else { body.to_owned() })
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let Ok(size @ 1..) = usize::from_str_radix(size.trim(), 16) else { break };
        whole.push_str(rest.get(..size).unwrap_or(rest));
        body = rest.get(size + 2..).unwrap_or_default();
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_cpu_and_memory() {
        let pid = std::process::id();
        assert!(cpu_time(pid).is_ok());
        assert!(resident(pid).expect("it runs") > 100_000);
    }

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket() {
        let text =
            [("x_bucket{le=\"0.1\"}", 50.0), ("x_bucket{le=\"1\"}", 99.0), ("x_bucket{le=\"+Inf\"}", 100.0)];
        let scrape = Scrape(text.into_iter().map(|(n, v)| (n.to_owned(), v)).collect());
        assert!((scrape.quantile("x", 0.5, &Scrape::default()) - 0.1).abs() < 1e-9);
        assert!((scrape.quantile("x", 0.99, &Scrape::default()) - 1.0).abs() < 1e-9);
        assert!(scrape.quantile("x", 1.0, &Scrape::default()).is_infinite());
    }
}
