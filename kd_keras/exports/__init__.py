"""File formats of exported models, one file each, and the programs that run them."""
