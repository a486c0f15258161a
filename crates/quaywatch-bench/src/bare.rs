//! The yardstick: the least that connecting and closing costs, in a loop of bare system calls.
//!
//! One thread, epoll, a fixed number of connects in flight, nothing kept, nothing decided. Two ways: `full` completes
//! the handshake and closes; `half_open` resets before the last ACK, as the default check does. The cost of a whole
//! server is quoted as a multiple of these.

#![expect(unsafe_code, reason = "bare system calls are the point of this yardstick")]

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use quaywatch_core::Clock as _;
use quaywatch_net::SystemClock;

use crate::server::Load;

/// Which handshake the loop does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// SYN, SYN-ACK, RST.
    HalfOpen,
    /// SYN, SYN-ACK, ACK, FIN.
    Full,
}

/// What a run of the loop came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BareRun {
    /// Connects that were answered.
    pub(crate) connects: u64,
    /// Connects that failed: a run with many says nothing.
    pub(crate) failures: u64,
    /// CPU time of this thread, user and system.
    pub(crate) cpu: Duration,
}

impl BareRun {
    /// CPU time a connect, in microseconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.connects.max(1) as f64
    }
}

/// How many connects are in flight at once (as in the figure).
const IN_FLIGHT: usize = 64;

/// Connects and closes against `port` on `addresses` addresses of 127.0.0.0/8 for `length`, on this thread.
///
/// # Errors
/// Where epoll or a socket cannot be had.
pub(crate) fn run(handshake: Handshake, port: u16, addresses: u32, length: Duration) -> io::Result<BareRun> {
    let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    let mut events: [libc::epoll_event; IN_FLIGHT] = unsafe { std::mem::zeroed() };
    let (mut next, mut connects, mut failures) = (0_u32, 0_u64, 0_u64);
    // As many as are in flight: a search costs less than a system call by far.
    let mut open = std::collections::BTreeSet::new();
    let mut dial = |failures: &mut u64| -> io::Result<i32> {
        loop {
            let address = Load::address(next % addresses);
            next = next.wrapping_add(1);
            if let Some(fd) = connect(handshake, epoll, address, port)? {
                return Ok(fd);
            }
            *failures += 1;
        }
    };
    let (cpu_before, began) = (thread_cpu(), SystemClock.boot());
    for _ in 0..IN_FLIGHT {
        open.insert(dial(&mut failures)?);
    }
    while SystemClock.boot().since(began) < length {
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), IN_FLIGHT as i32, 100) };
        for event in &events[..usize::try_from(count).unwrap_or(0)] {
            let fd = i32::try_from(event.u64).expect("a descriptor was put in");
            if answered(fd) {
                connects += 1;
            } else {
                failures += 1;
            }
            unsafe { libc::close(fd) };
            open.remove(&fd);
            open.insert(dial(&mut failures)?);
        }
    }
    let cpu = thread_cpu() - cpu_before;
    // At once, before the kernel sends the held-back ACKs: nobody is to notice these either.
    for fd in open {
        unsafe { libc::close(fd) };
    }
    unsafe { libc::close(epoll) };
    Ok(BareRun { connects, failures, cpu })
}

/// Begins one connect; `None` where it failed at once. A half-open check is eight system calls: socket, two options,
/// connect, epoll_ctl, two reads of options, close.
fn connect(handshake: Handshake, epoll: i32, address: Ipv4Addr, port: u16) -> io::Result<Option<i32>> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let fd = check(unsafe { libc::socket(libc::AF_INET, kind, 0) })?;
    if handshake == Handshake::HalfOpen {
        set_option(fd, libc::IPPROTO_TCP, libc::TCP_QUICKACK, &0_i32)?;
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        set_option(fd, libc::SOL_SOCKET, libc::SO_LINGER, &linger)?;
    }
    let to = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(address).to_be() },
        sin_zero: [0; 8],
    };
    let length = size_of::<libc::sockaddr_in>() as u32;
    let begun = unsafe { libc::connect(fd, (&raw const to).cast(), length) };
    if begun < 0 && io::Error::last_os_error().raw_os_error() != Some(libc::EINPROGRESS) {
        unsafe { libc::close(fd) };
        return Ok(None);
    }
    let mut event =
        libc::epoll_event { events: (libc::EPOLLOUT | libc::EPOLLONESHOT) as u32, u64: fd as u64 };
    check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) })?;
    Ok(Some(fd))
}

/// Whether the connect was answered, with the kernel's handshake time read, as a check reads it.
fn answered(fd: i32) -> bool {
    let mut error = 0_i32;
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let read_error = read_option(fd, libc::SOL_SOCKET, libc::SO_ERROR, &mut error);
    let read_info = read_option(fd, libc::IPPROTO_TCP, libc::TCP_INFO, &mut info);
    read_error && read_info && error == 0 && info.tcpi_rtt > 0
}

fn set_option<T>(fd: i32, level: i32, name: i32, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as u32;
    check(unsafe { libc::setsockopt(fd, level, name, std::ptr::from_ref(value).cast(), length) }).map(|_| ())
}

fn read_option<T>(fd: i32, level: i32, name: i32, value: &mut T) -> bool {
    let mut length = size_of::<T>() as u32;
    unsafe { libc::getsockopt(fd, level, name, std::ptr::from_mut(value).cast(), &raw mut length) == 0 }
}

fn check(returned: i32) -> io::Result<i32> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

fn thread_cpu() -> Duration {
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    let of = |t: libc::timeval| {
        Duration::from_secs(u64::try_from(t.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(t.tv_usec).unwrap_or(0))
    };
    of(usage.ru_utime) + of(usage.ru_stime)
}
