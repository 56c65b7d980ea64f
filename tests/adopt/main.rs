//! Given the programs and pages that show how a service adopts the library, when they are built and run as a reader would, then
//! they do what the pages say.

#[path = "../support/mod.rs"]
mod support;

mod c_server;
mod coroutines;
mod pages;
mod prefork;
mod program;
mod redis_pool;

use std::sync::Mutex;

/// The tests that load a machine count on most of it.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
