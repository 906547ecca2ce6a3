"""Preprocessors: what is read off an image for ControlNets, masks and poses."""
