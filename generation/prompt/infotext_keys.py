MARKERS = r"(?!)"
