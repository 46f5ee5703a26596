"""Small linear heads over a frozen encoder: data, training, figures, cards.

`recipes` is the table of heads that ship, `own` is for labels of one's own; `train` turns a spec and its data into a
head file, a model card and a run log.  Serving needs `resolve` and `shipped` alone, and reads the files in Rust.
"""
