"""Small logs of our own, one of each format that edgetally knows, and what they come to."""
