//! Names the shared library. The number counts incompatible changes of the ABI; it is not the crate's version.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libmcrpc.so.0");
    println!("cargo:rerun-if-changed=build.rs");
}
