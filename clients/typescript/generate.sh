#!/bin/sh
# Generate TypeScript from the contract, and from the error details that come with googleapis-common-protos:
#     npm run generate     (with buf and python of the repository's .venv on the path)
set -eu
target=$1
common=$(python -c 'import google.rpc; print(google.rpc.__path__[0].removesuffix("/google/rpc"))')
buf generate ../../proto --path ../../proto/waypost -o "$target"
buf generate "$common" --path "$common/google/rpc/error_details.proto" -o "$target"
