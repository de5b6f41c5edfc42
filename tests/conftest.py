"""Nothing that a test does may depend on the shell that started it."""
