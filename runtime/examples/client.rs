//! A call of the server in `server.rs`.
//!
//! ```sh
//! cargo run --release -p mcrpc --example client -- 127.0.0.1:8000 hello
//! ```

use mcrpc::Client;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [_, server, text] =
        <[String; 3]>::try_from(std::env::args().collect::<Vec<_>>()).map_err(|_| "usage: client <address> <text>")?;
    let client = Client::builder("example.Client").service("echo", [server]).build()?;
    let reply = client.call("echo", "echo.Echo.Say", text).wait()?;
    println!("{}", String::from_utf8_lossy(&reply));
    Ok(())
}
