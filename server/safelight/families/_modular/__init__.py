"""What families share that run through the modular blocks of diffusers (see `safelight.diffusion.modular`)."""
