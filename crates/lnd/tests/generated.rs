//! The generated code in `src/wire` is what the protos say, made by a compiler in Rust: nobody who
//! builds the crate needs protoc. With `PAYONCE_GENERATE=1` it is written anew.

use std::{env, fs, path::Path};

#[test]
fn the_generated_code_is_what_the_protos_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = protox::compile(["router.proto", "lightning.proto"], [root.join("proto")])
        .expect("the protos compile");
    let out = tempfile::tempdir().expect("a directory");
    tonic_prost_build::configure()
        .build_server(true)
        .out_dir(&out)
        .compile_fds(files)
        .expect("code is generated");
    for name in ["lnrpc.rs", "routerrpc.rs"] {
        let generated = fs::read_to_string(out.path().join(name)).expect("generated");
        let kept = root.join("src/wire").join(name);
        if env::var_os("PAYONCE_GENERATE").is_some() {
            fs::write(&kept, &generated).expect("written");
        }
        let kept = fs::read_to_string(&kept).expect("kept");
        assert!(generated == kept, "{name} is out of date: run this with PAYONCE_GENERATE=1");
    }
}
