"""The buttons below a picture: variations, remix, region, favourites, details, delete."""
