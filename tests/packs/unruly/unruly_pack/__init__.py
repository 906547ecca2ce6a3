"""A node pack for tests of the engine: nodes that do what nodes must not."""
