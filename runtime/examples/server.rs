//! A server of a file and a few lines.
//!
//! ```sh
//! printf '[server]\nlisten = ["127.0.0.1:8000"]\nprocesses = 4\n' > server.toml
//! cargo run --release -p mcrpc --example server -- server.toml
//! curl http://127.0.0.1:8000/status
//! ```

use mcrpc::{Request, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = std::env::args().nth(1).ok_or("usage: server <settings.toml>")?;
    let server = Server::builder()
        .config_file(settings)
        .before_child_run(|place| eprintln!("process {} begins", place.process))
        .method("echo.Echo.Say", |request: Request| async move { Ok(request.into_payload()) })
        .start()?;
    // It ends at SIGTERM or SIGINT, when all that was taken is answered.
    Ok(server.wait()?)
}
