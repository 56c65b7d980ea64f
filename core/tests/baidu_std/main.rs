//! baidu_std through its public face.

mod context;
mod errors;
mod frame;
mod messages;
mod meta;
mod origin;
mod prost;
mod stream;
mod vectors;
