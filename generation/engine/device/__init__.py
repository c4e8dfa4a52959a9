"""Devices, memory errors and synchronisation."""
