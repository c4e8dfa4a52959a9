"""What people read and press: texts, translations, views, modals and errors."""
