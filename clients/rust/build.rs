//! Compiles the contract with `protox`, so that no `protoc` is needed on the machine.

use std::path::PathBuf;

use prost::Message;

const PROTO_ROOT: &str = "../../proto";
const FILES: [&str; 8] = [
    "waypost/v1/classify.proto",
    "waypost/v1/common.proto",
    "waypost/v1/embed.proto",
    "waypost/v1/error.proto",
    "waypost/v1/generate.proto",
    "waypost/v1/mesh.proto",
    "waypost/v1/rerank.proto",
    "waypost/v1/retrieve.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={PROTO_ROOT}");
    let descriptors = protox::compile(FILES, [PROTO_ROOT])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("waypost.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().build_server(false).compile_fds(descriptors)?;
    Ok(())
}
