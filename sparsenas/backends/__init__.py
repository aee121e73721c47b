"""Devices to measure beside this machine: over ssh and adb, in node and browsers, on clusters, modelled."""
