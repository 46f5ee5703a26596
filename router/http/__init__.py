"""The HTTP gateway: what OpenAI's clients speak, in front of a router.

    service.py                 the process: sockets, certificates, uvicorn, its end
    app.py                     the table of endpoints
    endpoint.py, exchange.py   one endpoint; one request and the calls made for it
    upstream.py                the router's rpcs
    shape.py, hints.py         what requests are made of
    chat*.py, completions.py, embeddings.py, rerank.py, classify.py, infer.py, models.py, mesh.py, health.py
                               what each endpoint reads, asks the router, and sends
    failure.py, reply.py       what is sent back
    metrics.py, openapi.py     what it says of itself

It trusts nobody and knows no keys: they are passed on to the router, which decides.
"""
