"""Statistics on draws: plain NumPy arrays in, numbers out. Import the modules; nothing is loaded here."""
