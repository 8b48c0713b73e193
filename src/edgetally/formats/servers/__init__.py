"""How each server logs: its fields, and how a configuration of it is cut into them."""
