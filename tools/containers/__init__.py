"""`make containers`: an engine, the images or stand-ins for them, and the tests that need both."""
