"""A script over comfy-api-simplified: arguments are the server's address, a workflow, an image and the token."""

import base64
import json
import sys

from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper

url, workflow, upload, token = sys.argv[1:]
api = ComfyApiWrapper(url, user="me" if token else "", password=token)
made = {}

nodes = ComfyWorkflowWrapper(workflow)
nodes.set_node_param("Sampler", "seed", 5)
made["text to image"] = api.queue_and_wait_images(nodes, "Save Image")

kept = api.upload_image(upload)
nodes["12"] = {
    "class_type": "LoadImage",
    "inputs": {"image": f"{kept['subfolder']}/{kept['name']}"},
    "_meta": {"title": "Load"},
}
nodes["5"] = {
    "class_type": "VAEEncode",
    "inputs": {"pixels": ["12", 0], "vae": ["4", 2]},
    "_meta": {"title": "Encode"},
}
nodes.set_node_param("Sampler", "denoise", 0.6)
made["image to image"] = api.queue_and_wait_images(nodes, "Save Image")

nodes["9"]["class_type"] = "SaveImageWebsocket"
nodes["9"]["inputs"].pop("filename_prefix")
made["websocket"] = api.queue_and_wait_images(nodes, "Save Image")

print(
    json.dumps(
        {
            "images": {
                way: [base64.b64encode(data).decode() for data in images.values()] for way, images in made.items()
            },
            "names": list(made["text to image"]),
            "queue": api.get_queue(),
            "sampler": list(api.get_object_info("KSampler")),
            "embeddings": api.get_embeddings(),
            "devices": len(api.get_system_stats()["devices"]),
        }
    )
)
