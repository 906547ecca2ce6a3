"""ComfyUI's HTTP API and websocket, for scripts that were written for it: `safelight serve --comfyui-api`.

What is posted becomes a document and a run like any other, in the same queue, history and gallery. These routes see the
runs alone that came in through them. Shapes and the order of frames are those of ComfyUI 0.8; see docs/comfyui.md.
"""
