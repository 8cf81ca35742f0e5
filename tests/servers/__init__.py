"""Real servers that tests and benchmarks talk to, each on 127.0.0.1 and a free port."""
