"""What each verb does: parse the call, ask the packages below, print."""
