"""What a backend is (``contract``), and what both implementations share."""
