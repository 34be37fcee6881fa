"""Other templates for everybody: another model, or another key. No request waits for it."""
