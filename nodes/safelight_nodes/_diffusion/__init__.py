"""How the built-in nodes run diffusion models. Private to the pack: the nodes beside it are its interface."""
