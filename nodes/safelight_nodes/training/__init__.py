"""Training: tokenizers, autoencoders, CLIP, denoisers, versions of them that need few steps, and fine-tuning.

Every node here reports its loss and samples while it works, may be stopped at any step, and goes on from its last
checkpoint when the same work is run again: to the same weights, as if it had never been stopped.
"""
