"""A node pack for tests of the server: light nodes, and some that misbehave."""
