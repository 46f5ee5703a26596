"""Small linear heads over a frozen encoder: data, training, figures, cards.

`recipes` is the table of heads that ship; `train` turns a recipe and its data into a head file, a model card and a run
log; `centroid` makes a head from five examples a label.  Serving reads the file in Rust and needs none of this.
"""
