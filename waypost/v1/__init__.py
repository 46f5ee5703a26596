"""Generated from `proto/waypost/v1` by `proto/generate.py`; do not edit."""
