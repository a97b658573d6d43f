"""The Array API standard: what it asks for, and a script that runs its own test-suite against ``fungrad.numpy``."""
