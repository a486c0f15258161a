//! The other side: accepts on every address of 127.0.0.0/8 at one port and closes, as cheaply as it can, in a process
//! of its own so that its CPU time is not counted with the watcher's.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use socket2::{Domain, Socket, Type};

/// The accept queue: large enough that a burst never makes the kernel drop a SYN.
const BACKLOG: i32 = 8_192;

/// Connections held open: at 5,000 a second each lives for 400 ms.
const HELD: usize = 2_000;

/// Accepts until it is killed; prints its port first, then the number of accepts whenever a line comes in.
///
/// # Errors
/// Where no port can be had.
pub(crate) fn run() -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    socket.listen(BACKLOG)?;
    let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
    writeln!(io::stdout(), "{port}")?;
    let accepted = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let shown = std::sync::Arc::clone(&accepted);
    std::thread::spawn(move || {
        // Ends with the process that asked: when standard input closes.
        for _ in io::stdin().lines().map_while(Result::ok) {
            let _ = writeln!(io::stdout(), "{}", shown.load(std::sync::atomic::Ordering::Relaxed));
        }
        std::process::exit(0);
    });
    // Held for a while, as a service holds its clients: whoever looks at the connection is to see it alive.
    let mut held = std::collections::VecDeque::with_capacity(HELD);
    loop {
        match socket.accept() {
            Ok((connection, _)) => {
                accepted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if held.len() == HELD {
                    held.pop_front();
                }
                held.push_back(connection);
            }
            // A connection that was reset before it was taken, or no descriptor for a moment.
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// An acceptor that runs as a child of this process.
#[derive(Debug)]
pub(crate) struct Acceptor {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
    /// The port it accepts at.
    pub(crate) port: u16,
}

impl Acceptor {
    /// Starts this program again as an acceptor.
    ///
    /// # Errors
    /// Where it does not say its port.
    pub(crate) fn start() -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("acceptor")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().ok_or_else(|| io::Error::other("the acceptor has no output"))?;
        let mut acceptor = Self { child, answers: BufReader::new(out), port: 0 };
        acceptor.port = u16::try_from(acceptor.read_number()?).map_err(io::Error::other)?;
        Ok(acceptor)
    }

    /// How many connections its program has been given so far.
    ///
    /// # Errors
    /// Where it is gone.
    pub(crate) fn accepted(&mut self) -> io::Result<u64> {
        if let Some(stdin) = self.child.stdin.as_mut() {
            writeln!(stdin, "?")?;
        }
        self.read_number()
    }

    fn read_number(&mut self) -> io::Result<u64> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        line.trim().parse().map_err(|_| io::Error::other(format!("the acceptor said `{line}`")))
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
