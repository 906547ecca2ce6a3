"""Single files in the layout of a model's makers: names and shapes translated to those of diffusers."""
