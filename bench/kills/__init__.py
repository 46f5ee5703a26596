"""Does what was acknowledged outlive a `kill -9`, fifty times in the middle of ten thousand changes?

Parts are listed in `parts.py`, a file each; each starts real processes, kills them while they are kept busy, starts
them again on the same files or database, and looks at the end whether everything that somebody was told is kept is
there, once, and whole.  The table is the same for all.

    python -m bench.kills                            # all parts: some twenty minutes on two cores
    python -m bench.kills journal calls --kills 3 --changes 600
"""
