//! Compiles the contract with `protox`, so that no `protoc` is needed on the machine.

use std::path::PathBuf;

use prost::Message;

const PROTO_ROOT: &str = "../../proto";
const FILES: [&str; 9] = [
    "waypost/v1/classify.proto",
    "waypost/v1/common.proto",
    "waypost/v1/embed.proto",
    "waypost/v1/error.proto",
    "waypost/v1/generate.proto",
    "waypost/v1/mesh.proto",
    "waypost/v1/metrics.proto",
    "waypost/v1/rerank.proto",
    "waypost/v1/retrieve.proto",
];

/// Served by routers only, so it has descriptors of its own.
const OIP: &str = "inference/grpc_service.proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={PROTO_ROOT}");
    generate("waypost.bin", &FILES)?;
    generate("inference.bin", &[OIP])
}

/// The code of `sources`, and their descriptors as `file`.
fn generate(file: &str, sources: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    let descriptors = protox::compile(sources, [PROTO_ROOT])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join(file), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .codec_path("crate::codec::StrictCodec")
        .bytes(".waypost.v1.EmbedResponse.vectors")
        .bytes(".inference.ModelInferRequest.raw_input_contents")
        .bytes(".inference.ModelInferResponse.raw_output_contents")
        .compile_fds(descriptors)?;
    Ok(())
}
