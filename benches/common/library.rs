//! The shared library as a C program links it.

use std::path::Path;

use libloading::{Library, Symbol};

/// Opens one of the libraries that the build script has built: `mcrpc`, or `mcrpc_wire`.
pub fn open(name: &str) -> Library {
    let path = Path::new(env!("MCRPC_LIBRARY_DIR")).join(format!("lib{name}.so.0"));
    // SAFETY: the library has no initialisers to run.
    unsafe { Library::new(path) }.expect("the shared library was built")
}

/// The address of a function. It is to be called with the signature that the function of that name has in `mcrpc-ffi`, and
/// for as long as the library is open.
pub fn find(library: &Library, name: &str) -> *const () {
    // SAFETY: the symbol is not called here, and its address is valid as any pointer.
    let symbol: Symbol<'_, *const ()> = unsafe { library.get(name.as_bytes()) }.expect(name);
    *symbol
}
