//! A server that is stopped accepts connections, and answers nothing.

use mcrpc::Server;
use mcrpc_agent::probe::{Prober, Question};
use mcrpc_core::strategy::endpoint::Endpoint;
use tokio::runtime::Builder;

use super::{ECHO, Process, told};

#[test]
#[ignore = "a process that another test starts"]
fn server_process() {
    let Some((_, address)) = told() else { return };
    let echo = |request: mcrpc::Request| async move { Ok(request.into_payload()) };
    let server = Server::builder().listen(address).method(ECHO, echo).start().unwrap();
    println!("@{}", server.addresses()[0]);
    loop {
        std::thread::park();
    }
}

#[test]
fn a_server_that_hangs_is_found_out_by_a_ping_and_not_by_a_connection() {
    let root = tempfile::tempdir().unwrap();
    let mut server = Process::again("hang::server_process", root.path(), "127.0.0.1:0");
    let endpoint = Endpoint::new(server.hear().unwrap().parse().unwrap(), 7);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let is_answered = |question| {
        runtime.block_on(async {
            let mut prober = Prober::new(question);
            prober.begin_round(vec![endpoint]);
            prober.next().await.unwrap().is_answered
        })
    };
    assert!(is_answered(Question::Ping) && is_answered(Question::Tcp), "it works");
    server.stop();
    assert!(is_answered(Question::Tcp), "the kernel accepts");
    assert!(!is_answered(Question::Ping), "nobody answers");
    server.go_on();
    assert!(is_answered(Question::Ping), "it goes on");
}
