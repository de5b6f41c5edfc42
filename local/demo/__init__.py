"""`make demo`: the whole life of a peering, with the real tools, on the embedded AWS."""
