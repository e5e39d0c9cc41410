// SPDX-License-Identifier: BSL-1.0
// tidepool's benchmarks - tokio-postgres: its clients pipeline what several callers ask of them.
//
//   tokio_postgres    prepared point reads over a Unix socket and over TCP, 8 clients, one thread; $PGHOST, $PGPORT, $PGUSER, $PGDATABASE
//
// Prints "shared/read/VIA/CALLERS <TAB> metric <TAB> value". $SECONDS_A_CASE: how long each case is measured.
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Config, NoTls, Statement};

const CONNECTIONS: usize = 8;

fn cpu_us() -> f64 {
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut used) };
    let us = |t: libc::timeval| t.tv_sec as f64 * 1e6 + t.tv_usec as f64;
    us(used.ru_utime) + us(used.ru_stime)
}

#[derive(Default)]
struct Seen {
    waits: Vec<u32>, // of 10 ns
    begun: Option<(Instant, f64)>,
    stopped: Option<(Instant, f64)>,
}

async fn caller(client: Rc<(Client, Statement)>, mut seed: u32, seen: Rc<RefCell<Seen>>, warm: Instant, end: Instant) {
    loop {
        let asked = Instant::now();
        seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
        let id = (seed % 100000) as i32 + 1;
        let row = client.0.query_one(&client.1, &[&id]).await.expect("a row");
        assert_eq!(row.get::<_, i32>(0), id);
        let now = Instant::now();
        let mut seen = seen.borrow_mut();
        if now >= end {
            seen.stopped.get_or_insert_with(|| (now, cpu_us()));
            return;
        }
        if now < warm {
            continue;
        }
        seen.begun.get_or_insert_with(|| (now, cpu_us()));
        seen.waits.push(((now - asked).as_nanos() / 10) as u32);
    }
}

async fn measure(host: &str, via: &str, callers: usize, seconds: f64) {
    let var = |name| std::env::var(name).unwrap_or_default();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut config = Config::new();
        config.host(host).port(var("PGPORT").parse().expect("a port")).user(&var("PGUSER")).dbname(&var("PGDATABASE"));
        let (client, connection) = config.connect(NoTls).await.expect("a connection");
        tokio::task::spawn_local(connection);
        let statement = client.prepare("select balance from accounts where id = $1::int4").await.expect("a statement");
        clients.push(Rc::new((client, statement)));
    }
    let seen = Rc::new(RefCell::new(Seen::default()));
    let warm = Instant::now() + Duration::from_secs_f64(seconds / 2.0);
    let end = warm + Duration::from_secs_f64(seconds);
    let tasks: Vec<_> = (0..callers)
        .map(|i| tokio::task::spawn_local(caller(clients[i % CONNECTIONS].clone(), i as u32, seen.clone(), warm, end)))
        .collect();
    for task in tasks {
        task.await.expect("a caller");
    }
    let mut seen = seen.borrow_mut();
    seen.waits.sort_unstable();
    let (begun, stopped) = (seen.begun.expect("a beginning"), seen.stopped.expect("an end"));
    let count = seen.waits.len();
    let at = |q: f64| f64::from(seen.waits[(q * (count - 1) as f64) as usize]) / 100.0;
    let what = format!("shared/read/{via}/{callers}");
    println!("{what}\tqps\t{:.0}\n{what}\tcpu_us\t{:.3}", count as f64 / (stopped.0 - begun.0).as_secs_f64(), (stopped.1 - begun.1) / count as f64);
    println!("{what}\tp50_us\t{:.1}\n{what}\tp99_us\t{:.1}", at(0.5), at(0.99));
}

fn main() {
    let seconds = std::env::var("SECONDS_A_CASE").ok().and_then(|said| said.parse().ok()).unwrap_or(1.0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = std::env::var("PGHOST").expect("PGHOST");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        for (host, via) in [(folder.as_str(), "unix"), ("127.0.0.1", "tcp")] {
            for callers in [8, 64, 1000] {
                measure(host, via, callers, seconds).await;
            }
        }
    });
}
