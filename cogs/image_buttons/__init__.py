"""The buttons below an image: variations, remix, region, favourites, details, delete."""
