"""Pages for a browser: one file that needs no other, readable on a phone, dark, light, on paper."""
