"""A client of the server, for programs: `Client` blocks, `AsyncClient` is for asyncio.

with Client("http://127.0.0.1:8686") as client:
    run = client.run(workflow="text_to_image", inputs={"prompt": "a red apple"})
    client.download(run, Path("images"))
"""

from .asynchronous import AsyncClient
from .blocking import Client

__all__ = ["AsyncClient", "Client"]
