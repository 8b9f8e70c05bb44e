#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| zcrm_fuzz::run("setting", data));
