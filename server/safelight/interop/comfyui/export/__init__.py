"""Documents written as workflows of ComfyUI, in its editor's format and in its API's."""
