//! CPU time per check of the bulk prober, over that of a bare loop of the same system calls, against an acceptor in
//! a process of its own. Prints a few rounds of each, interleaved, and the ratio of their medians.
//!
//! `cargo run --release -p quaywatch-probe --example bulk_cpu [half|full] [checks] [refused]`

#![expect(unsafe_code, reason = "the yardstick is a loop of bare system calls")]
#![expect(clippy::print_stdout, reason = "a tool for people")]

use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use quaywatch_core::spec::Handshake;
use quaywatch_core::{Clock, ErrorCode};
use quaywatch_net::SystemClock;
use quaywatch_probe::{Bulk, BulkConfig, Dial};
use socket2::{Domain, Socket, Type};

const ROUNDS: usize = 7;
const IN_FLIGHT: usize = 64;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is = |word: &str| arguments.iter().any(|argument| argument == word);
    if is("acceptor") {
        return accept_for_ever();
    }
    let handshake = if is("full") { Handshake::Full } else { Handshake::HalfOpen };
    let checks = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let acceptor = Acceptor::start()?;
    let port = if is("refused") { 1 } else { acceptor.port };
    let (mut bare, mut bulk) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(cost(checks, || bare_loop(handshake, port, checks))?);
        bulk.push(cost(checks, || bulk_round(handshake, port, checks))?);
    }
    let (bare, bulk) = (median(bare), median(bulk));
    println!("{handshake:?}: bare {bare:.2} us, bulk {bulk:.2} us, ratio {:.3}", bulk / bare);
    Ok(())
}

/// CPU time of this process per check, in microseconds.
fn cost(checks: u32, work: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let before = cpu()?;
    work()?;
    Ok((cpu()? - before).as_secs_f64() * 1e6 / f64::from(checks))
}

fn cpu() -> io::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let us = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0)
    };
    Ok(Duration::from_micros(us(usage.user_time()) + us(usage.system_time())))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Different addresses, so that ports do not run out.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x7F01_0000 + number % 20_000)
}

fn bulk_round(handshake: Handshake, port: u16, checks: u32) -> io::Result<()> {
    let (sender, reports) = channel();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let config = BulkConfig { max_in_flight: IN_FLIGHT, ..BulkConfig::default() };
    let bulk = Bulk::start(&config, &clock, move |batch| {
        let _ = sender.send(batch);
    })?;
    let dial = |number: u32| Dial {
        token: u64::from(number),
        address: SocketAddr::from((address(number), port)),
        timeout: Duration::from_secs(10),
        handshake,
        settle: Duration::ZERO,
    };
    bulk.submit((0..checks).map(dial).collect());
    let (mut seen, mut right) = (0, 0);
    while seen < checks {
        for report in reports.recv().map_err(io::Error::other)? {
            seen += 1;
            right += u32::from(report.code == ErrorCode::Ok);
        }
    }
    let late = bulk.stats().late_close.read();
    if right != checks || late > 0 {
        println!("  {right} of {checks} right, {late} late closes");
    }
    Ok(())
}

fn bare_loop(handshake: Handshake, port: u16, checks: u32) -> io::Result<()> {
    let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    let mut events: [libc::epoll_event; IN_FLIGHT] = unsafe { std::mem::zeroed() };
    let (mut started, mut done) = (0, 0);
    while started < checks.min(IN_FLIGHT as u32) {
        bare_connect(handshake, epoll, port, started)?;
        started += 1;
    }
    while done < checks {
        let count = check(unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), IN_FLIGHT as i32, 1_000) })?;
        for event in &events[..count as usize] {
            let fd = event.u64 as i32;
            read_option::<i32>(fd, libc::SOL_SOCKET, libc::SO_ERROR);
            read_option::<libc::tcp_info>(fd, libc::IPPROTO_TCP, libc::TCP_INFO);
            unsafe { libc::close(fd) };
            done += 1;
            if started < checks {
                bare_connect(handshake, epoll, port, started)?;
                started += 1;
            }
        }
    }
    check(unsafe { libc::close(epoll) }).map(|_| ())
}

fn bare_connect(handshake: Handshake, epoll: i32, port: u16, number: u32) -> io::Result<()> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let fd = check(unsafe { libc::socket(libc::AF_INET, kind, 0) })?;
    if handshake == Handshake::HalfOpen {
        set_option(fd, libc::IPPROTO_TCP, libc::TCP_QUICKACK, &0_i32);
        set_option(fd, libc::SOL_SOCKET, libc::SO_LINGER, &libc::linger { l_onoff: 1, l_linger: 0 });
    }
    let to = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(address(number)).to_be() },
        sin_zero: [0; 8],
    };
    unsafe { libc::connect(fd, (&raw const to).cast(), size_of::<libc::sockaddr_in>() as u32) };
    let mut event = libc::epoll_event { events: libc::EPOLLOUT as u32, u64: fd as u64 };
    check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) }).map(|_| ())
}

fn set_option<T>(fd: i32, level: i32, name: i32, value: &T) {
    unsafe { libc::setsockopt(fd, level, name, std::ptr::from_ref(value).cast(), size_of::<T>() as u32) };
}

fn read_option<T>(fd: i32, level: i32, name: i32) {
    let mut value = std::mem::MaybeUninit::<T>::zeroed();
    let mut length = size_of::<T>() as u32;
    unsafe { libc::getsockopt(fd, level, name, value.as_mut_ptr().cast(), &raw mut length) };
}

fn check(returned: i32) -> io::Result<i32> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// The other side, in a process of its own.
fn accept_for_ever() -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    socket.listen(8_192)?;
    println!("{}", socket.local_addr()?.as_socket().map_or(0, |address| address.port()));
    loop {
        drop(socket.accept());
    }
}

struct Acceptor {
    child: Child,
    port: u16,
}

impl Acceptor {
    fn start() -> io::Result<Self> {
        let mut child =
            Command::new(std::env::current_exe()?).arg("acceptor").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        BufReader::new(output).read_line(&mut line)?;
        let port = line.trim().parse().map_err(io::Error::other)?;
        Ok(Self { child, port })
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
