"""Devices, out-of-memory errors and synchronisation."""
