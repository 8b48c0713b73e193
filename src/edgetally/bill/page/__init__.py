"""The bill as HTML: an overview of all channels and a page for each, with all they need inside."""
