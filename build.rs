//! Gives the shared library its SONAME, and keeps it loaded once it is. Tells the tests which compilers to look for.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for name in ["TARGET", "HOST"] {
        println!("cargo:rustc-env=ZCRM_{name}={}", std::env::var(name).unwrap());
    }
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libzcrm.so.0");
        // Destructors of thread-local variables run when a thread ends, which may be after a dlclose: the code must still be there.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
