"""A script over websocket-client in the manner of ComfyUI's own API examples: post, listen, fetch.

Arguments are the server's address, a workflow, and "history" or "socket": where the images come from.
"""

import base64
import json
import sys
import urllib.parse
import urllib.request
import uuid

import websocket

url, workflow, way = sys.argv[1:]
client_id = str(uuid.uuid4())
with open(workflow, encoding="utf-8") as file:  # noqa: PTH123
    nodes = json.load(file)
if way == "socket":
    nodes["9"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["8", 0]}}

socket = websocket.WebSocket()
socket.connect(f"{url.replace('http', 'ws')}/ws?clientId={client_id}")
body = json.dumps({"prompt": nodes, "client_id": client_id}).encode("utf-8")
with urllib.request.urlopen(urllib.request.Request(f"{url}/prompt", data=body)) as answer:
    prompt_id = json.loads(answer.read())["prompt_id"]

images = []
current = ""
while True:
    out = socket.recv()
    if isinstance(out, str):
        message = json.loads(out)
        if message["type"] == "executing" and message["data"].get("prompt_id") == prompt_id:
            current = message["data"]["node"]
            if current is None:
                break
    elif current == "9":
        images.append(out[8:])
socket.close()

if way == "history":
    with urllib.request.urlopen(f"{url}/history/{prompt_id}") as answer:
        outputs = json.loads(answer.read())[prompt_id]["outputs"]
    for node in outputs.values():
        for image in node["images"]:
            query = urllib.parse.urlencode({key: image[key] for key in ("filename", "subfolder", "type")})
            with urllib.request.urlopen(f"{url}/view?{query}") as answer:
                images.append(answer.read())

print(json.dumps([base64.b64encode(data).decode() for data in images]))
