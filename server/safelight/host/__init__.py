"""The server's inner rooms: queue and history on disk, the pool of worker processes, the stream of events.

Knows nothing of HTTP, and imports no torch: only a worker process does, when it runs a node that needs it.
"""
