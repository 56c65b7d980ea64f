//! Echo servers and clients of other RPC systems, one process each: `serve NAME` prints where it listens and ends with its
//! standard input; `load NAME ADDRESS` makes calls, a round for each line of its standard input. The server runs on core 0,
//! the client on core 1, each on one thread.

#[path = "../../../runtime/benches/echo/closed_loop.rs"]
mod closed_loop;
mod grpc;
#[path = "../../../runtime/benches/echo/shape.rs"]
mod shape;
mod tarpc_echo;

use std::io::Read as _;
use std::net::SocketAddr;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tokio::net::TcpListener;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", name] => {
            pin_to(0);
            serve(name);
        }
        ["load", name, address] => {
            pin_to(1);
            let address = address.parse().expect("an address");
            match name {
                "tonic" => closed_loop::serve_lines::<grpc::Connection>(address),
                "tarpc" => closed_loop::serve_lines::<tarpc_echo::Connection>(address),
                _ => panic!("unknown: {name}"),
            }
        }
        _ => panic!("serve tonic|tarpc, or load tonic|tarpc ADDRESS: {arguments:?}"),
    }
}

/// Serves until the standard input ends.
fn serve(name: &str) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address: SocketAddr = listener.local_addr().expect("a port");
    let name = name.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a socket");
            match name.as_str() {
                "tonic" => grpc::serve(listener).await,
                "tarpc" => tarpc_echo::serve(listener).await,
                _ => panic!("unknown: {name}"),
            }
        });
    });
    println!("{address}");
    std::io::stdin().read_to_end(&mut Vec::new()).expect("the bench ends it");
}

fn pin_to(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core).expect("a core");
    sched_setaffinity(Pid::from_raw(0), &cores).expect("two cores");
}
