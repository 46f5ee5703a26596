"""The log of calls: what was decided, asked and answered, in a database that is searched, exported and kept small.

journal    what happened is on disk before anything else is done with it
feed       hands the router's lines to the journal, and texts to the calls they belong to
rows       makes rows of lines
writer     brings them into the database, in batches, off the hot path
retention  removes what is too old, or somebody's
cold       moves what is older into Parquet files, which are a fraction of its size
reading    reads both as one
jobs       is what a router runs of this
"""
