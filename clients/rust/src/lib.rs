pub mod v1 { tonic::include_proto!("waypost.v1"); }
