//! The shelf in Rust, its client and its server, against either schema: what `tests/cpp/shelf_client.cpp` and `shelf_server.cpp` are
//! in C++.

use mcrpc::server::Config;
use mcrpc::{Address, Client, Failure, Server, Status};
use mcrpc_core::admission;

use super::{PATIENCE, Version};

/// Calls a shelf on this port, and says what it said, a line per call.
pub fn call(schema: Version, port: u16) -> Vec<String> {
    let client = client(port);
    match schema {
        Version::Old => old::call(client),
        Version::New => new::call(client),
    }
}

/// A shelf in front of the one on this port, and its own port.
pub fn serve(schema: Version, behind: u16) -> (Server, u16) {
    // Nothing is refused because the machine is slow.
    let admission = admission::Config { mode: admission::Mode::Observe, ..admission::Config::DEFAULT };
    let config = Config { workers: 1, blocking_workers: 1, admission, ..Config::default() };
    let builder = Server::builder().listen("127.0.0.1:0").config(config);
    let client = client(behind);
    let server = match schema {
        Version::Old => builder.service(old::server(client)),
        Version::New => builder.service(new::server(client)),
    };
    let server = server.start().expect("a port of this machine is free");
    let Address::Tcp(address) = server.addresses()[0] else { panic!("it listens on TCP") };
    (server, address.port())
}

pub fn client(port: u16) -> Client {
    let client = Client::builder("shelf").service("Shelf", [format!("127.0.0.1:{port}")]).default_timeout(PATIENCE);
    client.build().expect("the test's address is one")
}

fn line(call: &str, answer: Result<String, Failure>) -> String {
    let status = answer.as_ref().map_or_else(Failure::status, |_| Status::OK);
    format!("{call} {} {}", status.0, answer.unwrap_or_default())
}

/// Client and server for one schema. `more`: what only the new one has.
macro_rules! peers {
    ($schema:ident, $colour:ident, $put_label:expr, $label:expr, {$($more:item)*}, $call_more:expr) => {
        #[allow(clippy::needless_update, reason = "the new schema has more fields")]
        mod $schema {
            use mcrpc::{Client, Failure};
            use mcrpc_build_sample::growth::$schema::*;

            use super::line;

            struct OneOf(ShelfClient);

            impl Shelf for OneOf {
                async fn get(&self, request: Item) -> Result<Item, Failure> {
                    let name = format!("next {}", request.name);
                    let mut reply = Item { id: request.id + 1, colour: request.colour, name, ..Item::default() };
                    $put_label(&mut reply, "the server's");
                    Ok(reply)
                }

                async fn pass(&self, request: Item) -> Result<Item, Failure> {
                    self.0.pass(&request).await
                }

                $($more)*
            }

            pub fn server(behind: Client) -> ShelfServer<impl Shelf> {
                ShelfServer::new(OneOf(ShelfClient::new(behind, "Shelf")))
            }

            pub fn call(client: Client) -> Vec<String> {
                let client = ShelfClient::new(client, "Shelf");
                let mut own = Item { id: 7, colour: Colour::$colour.into(), name: "item".into(), ..Item::default() };
                $put_label(&mut own, "the caller's");
                let got = client.get(&own).wait();
                let passed = client.pass(&own).wait();
                let passed_on = client.pass(&got.clone().unwrap_or_default()).wait();
                let mut lines: Vec<String> = [("get", got), ("pass", passed), ("pass on", passed_on)]
                    .map(|(call, answer)| line(call, answer.map(|item| text(&item))))
                    .into();
                lines.extend($call_more(&client, &own));
                lines
            }

            fn text(item: &Item) -> String {
                let Item { id, colour, name, .. } = item;
                format!("id {id} colour {colour} name {name} label {}", $label(item))
            }
        }
    };
}

peers!(old, Blue, |_: &mut Item, _: &str| {}, |_: &Item| "", {}, |_: &ShelfClient, _: &Item| None::<String>);
peers!(
    new,
    Green,
    |item: &mut Item, label: &str| *item =
        Item { label: label.into(), sizes: vec![1, 300], part: Some(Part { weight: 5 }), ..item.clone() },
    |item: &Item| item.label.clone(),
    {
        async fn count(&self, request: Item) -> Result<Item, Failure> {
            Ok(Item { id: request.sizes.len() as u64, ..Item::default() })
        }
    },
    |client: &ShelfClient, own: &Item| { Some(line("count", client.count(own).wait().map(|item| text(&item)))) }
);
