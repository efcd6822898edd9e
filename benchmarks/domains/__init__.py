"""Seven networks, each taught a domain, drawn from, and judged."""
