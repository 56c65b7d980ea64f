//! What the page and the metrics cost the host.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mcrpc_agent::clock;
use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::stat::Stat;
use mcrpc_core::shield::health::Totals;

use crate::host::{Host, endpoint, seat_a_server};

/// 10 000 endpoints are called by 50 processes, all five times per second; Prometheus asks every 15 s and one page is open:
///
///     cargo test --release --test agent_page -- --ignored --nocapture what_the_agent
#[test]
#[ignore = "it measures for a minute, and says something of a release build on an idle machine only"]
fn what_the_agent_costs_with_ten_thousand_endpoints_and_fifty_processes() {
    const TIME: Duration = Duration::from_secs(60);
    let host = Host::start(&["127.0.0.1:0", "--seats", "64", "--counters", "4096"]);
    let fail = host.map(Segment::Fail);
    let cells = FailBuckets::attach(fail.shared(), fail.len()).unwrap();
    let cells: Vec<_> =
        (0..10_000).map(|number| cells.health(cells.bucket(&endpoint(number)).unwrap()).unwrap()).collect();
    let stat = host.map(Segment::Stat);
    let stat = Stat::attach(stat.shared(), stat.len()).unwrap();
    let seats: Vec<u32> = (0..50).map(|_| seat_a_server(&stat)).collect();
    let mut viewer = TcpStream::connect(host.address).unwrap();
    write!(viewer, "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    std::thread::spawn(move || std::io::copy(&mut viewer, &mut std::io::sink()));
    let costs = || {
        let all = host.metrics(|_| true);
        (all.value("process_cpu_seconds_total"), all.value("process_resident_memory_bytes") / f64::from(1 << 20))
    };
    let ((cpu_before_s, _), start) = (costs(), Instant::now());
    let mut most_mib: f64 = 0.0;
    for fifth in 0u32.. {
        for (number, cell) in cells.iter().enumerate() {
            let is_bad = (number + fifth as usize).is_multiple_of(1_000);
            cell.add(&Totals { calls: [50, 0, u64::from(is_bad), 0], time_us: 50_000 });
        }
        seats.iter().for_each(|&seat| stat.seats().beat(seat, 0, clock::monotonic()));
        if fifth % 75 == 74 {
            most_mib = most_mib.max(costs().1);
        }
        if start.elapsed() >= TIME {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let ((cpu_s, mib), elapsed_s) = (costs(), start.elapsed().as_secs_f64());
    let share = (cpu_s - cpu_before_s) / elapsed_s;
    println!("{:.1} % of a CPU, {:.1} MiB", 100.0 * share, most_mib.max(mib));
    assert!(share <= 0.05 && most_mib.max(mib) <= 64.0);
}
