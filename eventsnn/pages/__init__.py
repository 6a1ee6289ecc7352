"""A run as one page of HTML, whole in itself."""
