"""Wrong uses by kind; `test_wrong.py` tries them all."""
