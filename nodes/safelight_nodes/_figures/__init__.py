"""People from the front, drawn flat with soft shading, and which part of them a garment is.

Everything is measured in heights of a figure: x from its middle to the right, y from 0, above its hair, to 1, below
its shoes. Light falls from the upper left. What is drawn keeps colour and light apart, so that another cloth can be
laid into the same folds.
"""
