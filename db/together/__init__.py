"""The stores of what people make together: sessions, votes, canvases, contests, telephones."""
