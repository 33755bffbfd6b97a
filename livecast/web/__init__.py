"""What people see: the client SDK and the pages, in TypeScript. `build.py` makes `dist/` of it, which a node serves."""
