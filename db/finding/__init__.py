"""The indexes of prompts and pictures, and the searches over them."""
