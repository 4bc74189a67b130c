//! Makes the code of payonce-lnd's protos with a compiler in Rust, so that nobody who builds the crate
//! needs protoc: the client's in `src/wire`, the server's, of the fake, in `tests/it/fake/wire`. With
//! `--check` writes nothing, and fails if what is kept is not what the protos say.

#![forbid(unsafe_code)]

use std::{env, error::Error, fs, path::Path, process};

const FILES: [&str; 2] = ["lnrpc.rs", "routerrpc.rs"];

fn main() -> Result<(), Box<dyn Error>> {
    let check = env::args().nth(1).as_deref() == Some("--check");
    let lnd = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/lnd");
    let made = env::temp_dir().join(format!("payonce-proto-{}", process::id()));
    for (server, kept) in [(false, "src/wire"), (true, "tests/it/fake/wire")] {
        let files = protox::compile(["router.proto", "lightning.proto"], [lnd.join("proto")])?;
        fs::create_dir_all(&made)?;
        tonic_prost_build::configure()
            .build_server(server)
            .build_client(!server)
            .out_dir(&made)
            .compile_fds(files)?;
        for name in FILES {
            let (made, kept) = (fs::read_to_string(made.join(name))?, lnd.join(kept).join(name));
            if !check {
                fs::write(&kept, made)?;
            } else if fs::read_to_string(&kept)? != made {
                return Err(format!("{} is not what the protos say", kept.display()).into());
            }
        }
        fs::remove_dir_all(&made)?;
    }
    println!("{}", if check { "the code is what the protos say" } else { "written" });
    Ok(())
}
