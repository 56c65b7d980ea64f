//! baidu_std through its public face.

mod errors;
mod frame;
mod origin;
