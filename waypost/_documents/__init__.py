"""The calls of the retriever: `requests` from plain Python values, `calls` with their rpcs, `replies` as dataclasses.

`sync` and `aio` are their methods of the two clients.
"""
