"""Texts, translations, views, modals and error messages."""
